"""Distance of positions to sparse fixes of another sensor, such as GPS loggers."""

import numpy as np

from geoloc.errors import InputError


def distance_to_fixes(
    time: np.ndarray, xy: np.ndarray, fix_time: np.ndarray, fix_xy: np.ndarray, max_gap_s: float
) -> np.ndarray:
    """Distance (N,) m of positions (N, 2) m at times (N,) s to fixes (F, 2) at fix_time (F,), interpolated.

    NaN where no two fixes at most `max_gap_s` apart enclose the time.
    """
    if len(fix_time) == 0:
        return np.full(len(time), np.nan)
    order = np.argsort(fix_time, kind="stable")
    fix_time, fix_xy = np.asarray(fix_time, float)[order], np.asarray(fix_xy, float)[order]
    if (np.diff(fix_time) == 0).any():
        raise InputError("fixes: two fixes have one time; give those of one logger only")
    at = np.column_stack([np.interp(time, fix_time, fix_xy[:, k]) for k in (0, 1)])
    after = np.searchsorted(fix_time, time, "left")
    before = np.searchsorted(fix_time, time, "right") - 1
    enclosed = (before >= 0) & (after < len(fix_time))
    gap = np.where(enclosed, fix_time[np.minimum(after, len(fix_time) - 1)] - fix_time[before], np.inf)
    return np.where(gap <= max_gap_s, np.linalg.norm(xy - at, axis=1), np.nan)
