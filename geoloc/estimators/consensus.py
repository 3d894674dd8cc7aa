"""Which views of a point agree: every pair of its views proposes a point, and all of its views judge it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from geoloc.estimators.point_fit import Fit, fit_points, linearised, normal_equations, residuals_px
from geoloc.estimators.sightings import Sightings
from geoloc.geometry.solver import inverse_symmetric_3, times

ALL_PAIRS = 12  # views; of more than these, each is paired with N_PARTNERS others only
N_PARTNERS = 6
N_REFITS = 3


@dataclass(frozen=True, eq=False)
class Consensus:
    """The group of views that agrees, for each of M points."""

    sightings: Sightings  # of that group only
    fit: Fit
    majority: np.ndarray  # (M,) bool: it holds more than half of the views
    ambiguous: np.ndarray  # (M,) bool: another group, as large, agrees on another point


def find_consensus(sightings: Sightings, view_gate2: float, pair_gate2: float) -> Consensus:
    """The views that agree with the best pair, fitted and judged again until the group stays the same.

    `view_gate2` is the squared gate of one view (2 degrees of freedom), `pair_gate2` that of the disagreement
    within a pair (1). The best pair has the smallest sum of squared distances, each cut at the view's gate,
    so the outcome does not depend on chance.
    """
    points, group, rivals = _best_pairs(sightings, view_gate2, pair_gate2)
    fit = fit_points(sightings.only(group), points)
    for _ in range(N_REFITS):
        wanted = _refit_distance2(sightings, fit, group) <= view_gate2
        changed = np.flatnonzero((wanted != group).any(axis=0))
        group = wanted
        if not len(changed):
            break
        fit.put(changed, fit_points(sightings.take(changed).only(group[:, changed]), fit.points[:, changed]))
    size = group.sum(axis=0)
    ambiguous = np.zeros(size.shape, dtype=bool)
    for rival in rivals:
        ambiguous |= (rival.sum(axis=0) >= size) & (rival & ~group).any(axis=0)
    return Consensus(sightings.only(group), fit, 2 * size > sightings.seen.sum(axis=0), ambiguous)


def _best_pairs(
    sightings: Sightings, view_gate2: float, pair_gate2: float
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """The best pair's point (3, M) and group (K, M); and the group of each pair that agrees with itself."""
    left, right = normal_equations(sightings)
    n_seen = sightings.seen.sum(axis=0)
    best = np.full((3, len(n_seen)), np.nan)
    best_cost = np.full(len(n_seen), np.inf)
    best_group = np.zeros(sightings.seen.shape, dtype=bool)
    groups = []
    done = np.zeros(len(n_seen), dtype=bool)
    rows, views = np.arange(len(n_seen)), sightings
    for i, j in _pairs(len(sightings.seen)):
        if 2 * done[rows].sum() > len(rows):  # the rest goes on alone
            kept = np.flatnonzero(~done[rows])
            rows, views, left, right = rows[kept], views.take(kept), left[..., kept], right[..., kept]
        if not len(rows):
            break
        proposal = times(inverse_symmetric_3(left[:, :, i] + left[:, :, j]), right[:, i] + right[:, j])
        distance2 = _distance2(views, proposal)
        agrees = distance2[i] + distance2[j] <= pair_gate2
        cost = np.where(agrees, np.minimum(distance2, view_gate2).sum(axis=0), np.inf)
        group = (distance2 <= view_gate2) & agrees
        groups.append(_spread(group, rows, best_group.shape))
        better = np.flatnonzero((cost < best_cost[rows]) & ~done[rows])
        at = rows[better]
        best_cost[at], best[:, at], best_group[:, at] = cost[better], proposal[:, better], group[:, better]
        # any other group as large would share three views with this one, and so its point
        done[at] = 2 * group[:, better].sum(axis=0) - n_seen[at] >= 3
    return best, best_group, groups


def _spread(group: np.ndarray, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A group (K, L) of some of the points as one (K, M) of all."""
    out = np.zeros(shape, dtype=bool)
    out[:, rows] = group
    return out


def _pairs(n_views: int) -> Iterator[tuple[int, int]]:
    if n_views <= ALL_PAIRS:
        yield from combinations(range(n_views), 2)
        return
    for offset in np.unique(np.linspace(1, n_views // 2, N_PARTNERS).astype(int)).tolist():
        yield from ((i, (i + offset) % n_views) for i in range(n_views))


def _distance2(sightings: Sightings, points: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distance of each sighting from points (3, M): (K, M); infinite behind a camera."""
    residual, depth = residuals_px(sightings.rows, points)
    distance2 = _mahalanobis2(residual, sightings.total(depth))
    return np.where(sightings.seen & (depth > 0), distance2, np.inf)


def _refit_distance2(sightings: Sightings, fit: Fit, group: np.ndarray) -> np.ndarray:
    """The same from a fit; for views that it does not rest on, its own covariance widens the gate."""
    residual, jacobian, depth = linearised(sightings.rows, fit.points)
    spread = np.einsum("iakm,abm->ibkm", jacobian, fit.cov)
    cov = np.einsum("ibkm,jbkm->ijkm", spread, jacobian)[[0, 0, 1], [0, 1, 1]]
    cov[:, group] = 0.0
    distance2 = _mahalanobis2(residual, cov + sightings.total(depth))
    return np.where(sightings.seen & (depth > 0), distance2, np.inf)


def _mahalanobis2(residual: np.ndarray, cov: np.ndarray) -> np.ndarray:
    (u, v), (uu, uv, vv) = residual, cov
    return (vv * u * u - 2.0 * uv * u * v + uu * v * v) / (uu * vv - uv * uv)
