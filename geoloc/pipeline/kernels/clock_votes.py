"""Points vote for the offset of their camera's clock that would put them on the track on whose way they lie."""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled
from geoloc.pipeline.kernels.clock_evidence import AWAY, EAST, NORTH
from geoloc.pipeline.kernels.clock_windows import (
    AWAY_X,
    AWAY_Y,
    CAMERA,
    FIRST,
    FIRST_TIME,
    LENGTH,
    MOVING,
    SECOND,
    SECOND_TIME,
    STANDING,
    TIME,
    XX,
    XY,
    YY,
    X,
    Y,
)

NORMAL = 1.4826  # a normal distribution's sigma over its median deviation
WHEN, WHICH, SIGMA, WHO = range(4)  # what a vote holds: time (s), offset (s), its sigma (s), the track's id


@compiled
def vote(rows, time, memory, recent_s, own, motion, track_ids, xy, velocity, cov, reach_s, gate2, known, mean, doubt,
         votes):  # fmt: skip
    """Add the votes of rows that lie on the way of just one fast track that other cameras see; how many of each camera.

    `votes` (C, V, 4) keep the last V of each camera, the newest last. A point is where it would lie without any
    correction for movement: each track has its own velocity. `known` (C,) s is what was taken off the stamps. Points
    of tracks that stand, `own` (N,) is each one's, say nothing: what drives past them is another object.
    """
    added = np.zeros(len(votes), np.int64)
    place = np.empty(2)
    for i in range(len(rows)):
        if own[i] >= 0 and motion[own[i]] == STANDING:
            continue
        c = int(rows[i, CAMERA])
        a, b = rows[i, LENGTH] * rows[i, AWAY_X], rows[i, LENGTH] * rows[i, AWAY_Y]
        place[0] = rows[i, X] - a * mean[c, AWAY] - mean[c, EAST]
        place[1] = rows[i, Y] - b * mean[c, AWAY] - mean[c, NORTH]
        noise = _noise(rows[i], a, b, doubt[c, AWAY:, AWAY:])
        found, along, sigma = -1, 0.0, 0.0
        for t in range(len(track_ids)):
            if motion[t] != MOVING or not _seen_by_another(memory[t], rows[i, CAMERA], time - recent_s):
                continue
            speed = np.hypot(velocity[t, 0], velocity[t, 1])
            ux, uy = velocity[t, 0] / speed, velocity[t, 1] / speed
            x = place[0] - xy[t, 0] + velocity[t, 0] * (time - rows[i, TIME])
            y = place[1] - xy[t, 1] + velocity[t, 1] * (time - rows[i, TIME])
            ahead, aside = x * ux + y * uy, y * ux - x * uy
            xx, xy_, yy = noise[0] + cov[t, 0, 0], noise[1] + cov[t, 0, 1], noise[2] + cov[t, 1, 1]
            across2 = uy * uy * xx - 2.0 * ux * uy * xy_ + ux * ux * yy
            if aside * aside >= gate2 * across2 or abs(ahead) > reach_s * speed:
                continue
            if found >= 0:
                found = -1
                break
            found, along = t, ahead / speed
            sigma = np.sqrt(ux * ux * xx + 2.0 * ux * uy * xy_ + uy * uy * yy) / speed
        if found >= 0:
            votes[c, :-1] = votes[c, 1:].copy()
            votes[c, -1, WHEN], votes[c, -1, WHICH] = time, known[c] - along
            votes[c, -1, SIGMA], votes[c, -1, WHO] = sigma, track_ids[found]
            added[c] += 1
    return added


@compiled
def _noise(row, a, b, doubt):
    """Noise of a point and doubt about its distance along the line of sight and its camera's shift."""
    xx = row[XX] + a * a * doubt[0, 0] + 2.0 * a * doubt[0, 1] + doubt[1, 1]
    xy = row[XY] + a * b * doubt[0, 0] + a * doubt[0, 2] + b * doubt[0, 1] + doubt[1, 2]
    yy = row[YY] + b * b * doubt[0, 0] + 2.0 * b * doubt[0, 2] + doubt[2, 2]
    return xx, xy, yy


@compiled
def _seen_by_another(memory, camera, since):
    return (memory[FIRST_TIME] >= since and memory[FIRST] != camera) or (
        memory[SECOND_TIME] >= since and memory[SECOND] != camera
    )


@compiled
def jumps_of(votes, fresh, n_new, n_tracks, spread_s, least_s, sigmas, floor_s, mean, sigma):
    """Size (C,) s, sigma (C,) s and first time (C,) s of the jumps that the last `n_new` votes agree on; size 0: none.

    Against the votes before or, where these are few, against the offset `mean` (C,) known to `sigma` (C,). Of
    `fresh` (C,) cameras alone.
    """
    size, doubt, since = np.zeros(len(votes)), np.ones(len(votes)), np.zeros(len(votes))
    for c in range(len(votes)):
        if not fresh[c] or np.isnan(votes[c, -n_new, WHEN]):
            continue
        new, old = votes[c, -n_new:], votes[c, :-n_new]
        old = old[np.isfinite(old[:, WHEN])]
        now, spread = _middle(new[:, WHICH])
        if len(np.unique(new[:, WHO])) < n_tracks or spread > spread_s:
            continue
        if len(old) >= n_new:  # what shifts do to votes they do to all of them
            before, spread_before = _middle(old[:, WHICH])
            unsure = np.hypot(floor_s, np.hypot(spread, spread_before))
        else:
            before = mean[c]
            unsure = np.hypot(np.hypot(np.median(new[:, SIGMA]), spread), sigma[c])
        if abs(now - before) >= max(least_s, sigmas * unsure):
            size[c], doubt[c] = now - before, unsure
            near = np.abs(new[:, WHICH] - now) < 0.5 * abs(now - before)
            since[c] = new[:, WHEN][near][0]
    return size, doubt, since


@compiled
def _middle(values):
    """Median of values and their robust spread."""
    middle = np.median(values)
    return middle, NORMAL * np.median(np.abs(values - middle))
