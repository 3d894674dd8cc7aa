"""Tracks in MOTChallenge's form with world coordinates, that of 3DMOT2015.

Lines of `frame, id, left, top, width, height, conf, x, y, z`: frame from 1 by `fps` and `start` of the
options, id the track's number, box -1, -1, -1, -1 (tracks on the ground have none), conf the track's score,
x, y, z in metres in the site's frame (z of the level's surface).
"""

import numpy as np

from geoloc.errors import InputError
from geoloc.io.track_geojson import heights
from geoloc.io.track_options import WriteOptions
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks


def mot_text(tracks: Tracks, site_map: SiteMap, options: WriteOptions) -> str:
    """MOTChallenge's lines in the order of frame and track; InputError without `fps`, or if it is too low."""
    if not options.fps > 0:
        raise InputError("MOTChallenge counts frames; give their rate, such as fps=10")
    frame = 1 + np.rint((tracks.time - options.start) * options.fps).astype(int)
    if len(frame) and frame.min() < 1:
        raise InputError(f"a state at {tracks.time.min()} s lies before frame 1; set start to the first time")
    key = np.stack([frame, tracks.track], axis=1)
    if len(np.unique(key, axis=0)) < len(key):
        raise InputError(
            f"two states of one track fall into one frame at fps={options.fps:g}; give a higher one"
        )
    z = heights(tracks, site_map)
    lines = [
        f"{frame[i]},{tracks.track[i]},-1,-1,-1,-1,{tracks.score[i]:.4f},"
        f"{tracks.xy[i, 0]:.4f},{tracks.xy[i, 1]:.4f},{z[i]:.4f}\n"
        for i in np.lexsort((tracks.track, frame))
    ]
    return "".join(lines)
