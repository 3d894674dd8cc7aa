"""Tracks of a synthetic world beside its truth."""

import numpy as np

from geoloc.evaluation.recording import Recording, site_recording
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.io.track_tables import IGNORED
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks
from geoloc.synthetic.truth import Truth


def synthetic_recording(tracks: Tracks, truth: Truth, site: Site, options: TrackingOptions) -> Recording:
    """What the engine stands by, on the ground of the map, beside an observation's truth."""
    return site_recording(site, truth_tracks(truth), tracks, resample=False, ignored_m=options.reach)


def truth_tracks(truth: Truth) -> Tracks:
    """Tracks of an observation's truth; objects that no camera shows at a time are ignored there."""
    return Tracks(
        time=truth.time,
        track=truth.object,
        level=truth.level,
        xy=truth.xyz[:, :2],
        z=truth.xyz[:, 2],
        velocity=truth.velocity,
        label=truth.label,
        state=np.where(truth.n_cameras > 0, "", IGNORED),
    )
