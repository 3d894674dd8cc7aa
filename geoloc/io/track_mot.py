"""Tracks in MOTChallenge's form with world coordinates, that of 3DMOT2015.

Lines of `frame, id, left, top, width, height, conf, x, y, z`: frame from 1 by `fps` and `start` of the
options, id the track's number, box -1, -1, -1, -1 (tracks on the ground have none), conf the track's score,
x, y, z in metres in the site's frame (z of the level's surface).
"""

from collections.abc import Iterator

import numpy as np

from geoloc.errors import InputError
from geoloc.io.track_geojson import heights
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks


def mot_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """MOTChallenge's lines in the order of frame and track; InputError without `fps`, or if it is too low.

    The order is by frame, so six numbers a state (48 bytes) are held.
    """
    if not options.fps > 0:
        raise InputError("MOTChallenge counts frames; give their rate, such as fps=10")
    pieces = [_numbers(tracks, recording.site.site_map, options) for tracks in recording.pieces]
    frame, track, *values = np.concatenate([np.zeros((0, 6)), *pieces]).T
    order = np.lexsort((track, frame))
    for i in order:
        score, x, y, z = (column[i] for column in values)
        yield f"{int(frame[i])},{int(track[i])},-1,-1,-1,-1,{score:.4f},{x:.4f},{y:.4f},{z:.4f}\n"


def _numbers(tracks: Tracks, site_map: SiteMap, options: WriteOptions) -> np.ndarray:
    """Frame, track, score, x, y, z of each state (N, 6)."""
    frame = 1 + np.rint((tracks.time - options.start) * options.fps)
    if len(frame) and frame.min() < 1:
        raise InputError(f"a state at {tracks.time.min()} s lies before frame 1; set start to the first time")
    if ((np.diff(frame) == 0) & (np.diff(tracks.track) == 0)).any():
        raise InputError(
            f"two states of one track fall into one frame at fps={options.fps:g}; give a higher one"
        )
    return np.column_stack([frame, tracks.track, tracks.score, tracks.xy, heights(tracks, site_map)])
