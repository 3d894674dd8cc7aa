"""A window's times, and which cameras it heard: what a step asks first."""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled


@compiled
def first_late(time, latest):
    """Row of the first finite time beyond `latest` (s) on either side or -1, their number, that of finite times."""
    row, late, finite = -1, 0, 0
    for i in range(len(time)):
        if np.isfinite(time[i]):
            finite += 1
            if abs(time[i]) > latest:
                row = i if row < 0 else row
                late += 1
    return row, late, finite


@compiled
def hear(camera, time, heard, pace, slower):
    """Cameras with a row in `camera` (N,), -1 for none of the site, delivered at `time` s: put down in place.

    `heard` (C,) s is when each delivered last, `pace` (C,) s its usual gap, 0 before two frames were seen; an empty
    frame between two others leaves a longer gap, which counts by the share `slower`.
    """
    for c in camera:
        if c < 0 or heard[c] == time:
            continue
        since = time - heard[c]
        if np.isfinite(since) and since > 0.0:
            eased = pace[c] + slower * (since - pace[c])
            pace[c] = min(since, eased) if pace[c] > 0.0 else since
        heard[c] = time


@compiled
def due(time, heard, pace, overdue, heard_s):
    """Cameras (C,) bool that delivered at `time` s, or have been silent for `overdue` of their gaps, up to heard_s."""
    out = np.empty(len(heard), np.bool_)
    for c in range(len(heard)):
        silent = time - heard[c]
        out[c] = silent == 0.0 or overdue * pace[c] < silent <= heard_s
    return out
