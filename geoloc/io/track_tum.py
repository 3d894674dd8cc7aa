"""One track in TUM's form (Sturm et al. 2012), as evo reads it: `t tx ty tz qx qy qz qw`, world_from_body, t in s, m.

z is the level's. The body's x axis lies along the track's heading, or along its velocity where the heading is not
known, or east where it stands. The form is of one body: a recording of several tracks is refused.
"""

from collections.abc import Iterator

import numpy as np

from geoloc.errors import InputError
from geoloc.io.track_geojson import heights
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.tables import Tracks

STILL = 0.2  # m/s; a velocity below it has no direction


def tum_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """A line a state; InputError where there are several tracks."""
    first = -1
    for tracks in recording.pieces:
        z, half = heights(tracks, recording.site.site_map), yaw(tracks) / 2
        for rows in each_track(tracks):
            number = int(tracks.track[rows[0]])
            if first >= 0:
                found = f"there are tracks {first} and {number}"
                raise InputError(f"TUM holds one body; {found}: choose one (`track` of WriteOptions, --track)")
            first = number
            for i in rows:
                place = (tracks.time[i], *tracks.xy[i], z[i], 0.0, 0.0, np.sin(half[i]), np.cos(half[i]))
                yield " ".join(repr(float(value)) for value in place) + "\n"


def yaw(tracks: Tracks) -> np.ndarray:
    """Direction of each state (N,) rad from east: the heading, else that of the velocity, else 0."""
    east, north = tracks.velocity.T
    by_velocity = np.where(np.hypot(east, north) >= STILL, np.arctan2(north, east), 0.0)
    return np.where(np.isfinite(tracks.heading), tracks.heading, by_velocity)
