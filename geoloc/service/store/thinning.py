"""Old ways as few keys, between which an object went straight, by a stated error and with an honest sigma.

Of what was said of an object in a row only keys are kept. Between two of them lies the straight way in time, with the
mean of their covariances by time. `off` (m) of the later one bounds both what that misses: at each time that was
dropped, with d the distance to what was said and C its covariance,

    |d|  <=  off    and    C + d dᵀ  <=  C_between + off² I

so a position that is read between keys is honest with `off`² added to its variances (the mean of two covariances
bounds that of the mean, however both correlate). A way is cut in two where `off` would exceed the error: top-down
time-ratio (Meratnia and de By, 2004).
"""

from itertools import pairwise

import numpy as np

from geoloc.geometry.gaussian import symmetric


def thinned_keys(
    time: np.ndarray, xy: np.ndarray, cov: np.ndarray, cut: np.ndarray, error: float
) -> tuple[np.ndarray, np.ndarray]:
    """Keys of a way (N,) s, (N, 2) m, (N, 2, 2) m² in order of time: which rows stay (N,) bool, and their `off` (N,) m.

    `cut` (N,) bool: rows before which nothing is known of the way, or something else changed; they and the ones before
    stay. `off` is 0 where nothing was dropped.
    """
    n = len(time)
    stays, off = np.zeros(n, dtype=bool), np.zeros(n)
    edges = np.flatnonzero(np.r_[True, cut[1:], True]) if n else np.zeros(0, int)
    parts = [(int(a), int(b) - 1) for a, b in pairwise(edges)]
    while parts:
        first, last = parts.pop()
        stays[first] = stays[last] = True
        if last - first < 2:
            continue
        misses = _misses(time, xy, cov, first, last)
        worst = int(np.argmax(misses))
        if misses[worst] <= error:
            off[last] = misses[worst]
        else:
            parts += [(first, first + 1 + worst), (first + 1 + worst, last)]
    return stays, off


def between(
    time: np.ndarray, xy: np.ndarray, cov: np.ndarray, off: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (M, 2) m and their covariances (M, 2, 2) m² at times `at` (M,) s between keys, honest by `off`."""
    k = np.clip(np.searchsorted(time, at, side="left"), 1, len(time) - 1)
    share = np.clip((at - time[k - 1]) / np.maximum(time[k] - time[k - 1], 1e-12), 0.0, 1.0)
    inside = (share > 0) & (share < 1)
    mean = xy[k - 1] + share[:, None] * (xy[k] - xy[k - 1])
    mixed = cov[k - 1] + share[:, None, None] * (cov[k] - cov[k - 1])
    return mean, mixed + (np.where(inside, off[k], 0.0) ** 2)[:, None, None] * np.eye(2)


def _misses(time: np.ndarray, xy: np.ndarray, cov: np.ndarray, first: int, last: int) -> np.ndarray:
    """By how much (m) the straight way from row `first` to `last` misses each row between."""
    rows = slice(first + 1, last)
    share = (time[rows] - time[first]) / max(time[last] - time[first], 1e-12)
    away = xy[rows] - (xy[first] + share[:, None] * (xy[last] - xy[first]))
    short = cov[rows] - (cov[first] + share[:, None, None] * (cov[last] - cov[first]))
    lacks = np.linalg.eigvalsh(symmetric(short + away[:, :, None] * away[:, None, :]))[:, -1]
    return np.maximum(np.linalg.norm(away, axis=1), np.sqrt(np.maximum(lacks, 0.0)))
