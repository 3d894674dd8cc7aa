"""What the clocks need of some windows' points: the newest of each camera and track, at one time.

A row holds, in this order: time (s), camera, track's id (-1: none), x, y (m), noise and bias as xx, xy, yy (m²),
the unit vector away from the camera, the class's length (m) and its acceleration (m/s^1.5).
A track's memory holds: since when (s) and how often it was learned from, and the two cameras that saw it last, with
when (s): camera, time, camera, time.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled
from geoloc.pipeline.kernels.small import order_of

TIME, CAMERA, TRACK, X, Y, XX, XY, YY, AWAY_X, AWAY_Y, LENGTH, ACCELERATION, COLUMNS = range(13)
SINCE, TIMES, FIRST, FIRST_TIME, SECOND, SECOND_TIME, MEMORY = range(7)
UNSURE, MOVING, STANDING = range(3)


@compiled
def rows_of(time, camera, xy, cov, bias_cov, away, length, acceleration, group, track_of_group, track_ids):
    """The points of one window as rows (N, COLUMNS)."""
    rows = np.empty((len(time), COLUMNS))
    for i in range(len(time)):
        track = track_of_group[group[i]]
        rows[i, TIME], rows[i, CAMERA], rows[i, TRACK] = time[i], camera[i], track_ids[track] if track >= 0 else -1
        rows[i, X], rows[i, Y] = xy[i, 0], xy[i, 1]
        rows[i, XX] = cov[i, 0, 0] + bias_cov[i, 0, 0]
        rows[i, XY] = cov[i, 0, 1] + bias_cov[i, 0, 1]
        rows[i, YY] = cov[i, 1, 1] + bias_cov[i, 1, 1]
        rows[i, AWAY_X], rows[i, AWAY_Y] = away[i, 0], away[i, 1]
        rows[i, LENGTH], rows[i, ACCELERATION] = length[i], acceleration[i]
    return rows


@compiled
def newest(rows, n_cameras):
    """The last row of each camera and track, and of no track those of a camera's last frame.

    Slow cameras, exposed between each other's frames, may never share a window. They come in order of track, camera.
    """
    last = np.full(n_cameras, -np.inf)
    keys = np.empty((len(rows), 3))
    for i in range(len(rows)):
        camera = int(rows[i, CAMERA])
        last[camera] = max(last[camera], rows[i, TIME])
        keys[i, 0], keys[i, 1], keys[i, 2] = rows[i, TRACK], rows[i, CAMERA], -rows[i, TIME]
    out, n, before = np.empty_like(rows), 0, -1
    for i in order_of(keys):
        if rows[i, TRACK] < 0.0:
            fresh = rows[i, TIME] == last[int(rows[i, CAMERA])]
        else:
            fresh = before < 0 or rows[i, TRACK] != rows[before, TRACK] or rows[i, CAMERA] != rows[before, CAMERA]
            before = i
        if fresh:
            out[n] = rows[i]
            n += 1
    return out[:n]


@compiled
def place_in(ids, wanted):
    """Rows (N,) of ascending `ids` that hold each of `wanted` (N,); -1 where none does."""
    out = np.searchsorted(ids, wanted)
    for i in range(len(wanted)):
        if out[i] == len(ids) or ids[out[i]] != wanted[i]:
            out[i] = -1
    return out


@compiled
def motions_of(velocity, cov, speed, moving, standing, sure):
    """Whether tracks surely MOVE by more than `moving` of their class's speed, or STAND: (T,), else UNSURE."""
    out = np.zeros(len(velocity), np.int64)
    for t in range(len(velocity)):
        now = np.hypot(velocity[t, 0], velocity[t, 1])
        sigma = np.sqrt(0.5 * (cov[t, 2, 2] + cov[t, 3, 3]))
        if now > moving * speed[t] and now > sure * sigma:
            out[t] = MOVING
        elif now + sigma < standing * speed[t]:
            out[t] = STANDING
    return out


@compiled
def remember(ids, memory, track_ids, rows, track, time):
    """The tracks' memory (T, MEMORY) of now, from that of tracks `ids` before, with who sees them in `rows`."""
    now = np.full((len(track_ids), MEMORY), -np.inf)
    now[:, TIMES] = 0.0
    before = place_in(ids, track_ids)
    for t in range(len(track_ids)):
        if before[t] >= 0:
            now[t] = memory[before[t]]
    for i in range(len(rows)):
        if track[i] >= 0:
            one, camera = now[track[i]], rows[i, CAMERA]
            first = one[FIRST] == camera or (one[SECOND] != camera and one[FIRST_TIME] <= one[SECOND_TIME])
            at = FIRST if first else SECOND
            one[at], one[at + 1] = camera, time
    return now


@compiled
def bring(rows, track, motion, velocity, cov, time):
    """Rows brought to `time` by their tracks: xy (N, 2) m, noise (N, 3) m², velocity (N, 2) m/s, 0 if none moves."""
    xy, noise, moves = np.empty((len(rows), 2)), np.empty((len(rows), 3)), np.zeros((len(rows), 2))
    for i in range(len(rows)):
        t, dt = track[i], time - rows[i, TIME]
        # of white-noise acceleration, see `motion`
        swerve = rows[i, ACCELERATION] ** 2 * abs(dt) ** 3 / 3.0
        xy[i, 0], xy[i, 1] = rows[i, X], rows[i, Y]
        noise[i, 0], noise[i, 1], noise[i, 2] = rows[i, XX] + swerve, rows[i, XY], rows[i, YY] + swerve
        if t >= 0 and motion[t] == MOVING:
            moves[i, 0], moves[i, 1] = velocity[t, 0], velocity[t, 1]
            xy[i, 0] += dt * velocity[t, 0]
            xy[i, 1] += dt * velocity[t, 1]
            noise[i, 0] += dt * dt * cov[t, 2, 2]
            noise[i, 1] += dt * dt * cov[t, 2, 3]
            noise[i, 2] += dt * dt * cov[t, 3, 3]
    return xy, noise, moves
