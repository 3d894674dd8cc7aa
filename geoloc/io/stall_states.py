"""Which stalls were taken at the end of a recording, by its tracks alone."""

from dataclasses import dataclass

import numpy as np
import shapely

from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.sitemap import Place
from geoloc.scene.tables import Tracks


@dataclass(frozen=True)
class StallState:
    """A stall at `time` (UTC Unix s, the last of the recording).

    `status` is occupied, free, or unknown where no camera sees the stall and no track stands in it. `track` is the one
    that stands in it (-1: none), `sigma` (m) how well its place is known (NaN: none).
    """

    stall: Place
    time: float
    status: str
    track: int
    sigma: float


def stall_states(recording: Recording, within_s: float) -> tuple[StallState, ...]:
    """State of every stall of the map: taken by a track that was last within `within_s` s of the end, inside it."""
    last = Tracks.concat([t.take(np.array([rows[-1] for rows in each_track(t)])) for t in recording.pieces])
    end = float(last.time.max()) if len(last) else 0.0
    last = last.take(last.time >= end - within_s)
    sigma = worst_sigma(last.position_cov)
    found = []
    for stall in recording.site.site_map.stalls:
        inside = (last.level == stall.level) & shapely.intersects_xy(stall.polygon, last.xy[:, 0], last.xy[:, 1])
        rows = np.flatnonzero(inside)
        if len(rows):
            row = rows[np.argmin(sigma[rows])]
            found.append(StallState(stall, end, "occupied", int(last.track[row]), float(sigma[row])))
        else:
            found.append(StallState(stall, end, "free" if _seen(recording, stall) else "unknown", -1, np.nan))
    return tuple(found)


def _seen(recording: Recording, stall: Place) -> bool:
    """Whether some camera sees the middle of a stall."""
    site = recording.site
    if not site.cameras:
        return False
    level = site.site_map.level_rows(np.array([stall.level]))
    return bool(site.visibility.seen_by(level, shapely.get_coordinates(stall.polygon.centroid)).any())
