"""Which measurements of a network are wrong: each one is held against what all the others say of it."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from geoloc.calibrate.kept import Kept, moved, placed_points, pruned
from geoloc.calibrate.robust_fit import robust_fit
from geoloc.estimators.bundle import Bundle, bundle
from geoloc.estimators.network import Network, Sights

N_ROUNDS = 15
JUDGED = 1e-3  # a measurement on which the fit rests all but alone cannot be judged by it


@dataclass(frozen=True, eq=False)
class Cleaned:
    """A network's fit to the measurements that agree.

    `residual` (N, 2) px and `spread` (N, 2, 2) px², the covariance of the predicted pixels, are of all sights;
    `placed` (P,) bool are the points that the kept measurements place. `factor` is by how much marks scatter more
    or less than their sigmas say.
    """

    bundle: Bundle
    kept: Kept
    residual: np.ndarray
    spread: np.ndarray
    placed: np.ndarray
    factor: float


def clean(network: Network, probability: float) -> Cleaned:
    """Fit a network to what agrees; an honest measurement is dropped with `probability`.

    UndeterminedError where what agrees does not determine the cameras.
    """
    network, kept = robust_fit(network, probability)
    seen: list[Kept] = []
    for _ in range(N_ROUNDS):
        fit = bundle(pruned(network, kept))
        found = _judged(network, kept, fit, probability)
        network = moved(network, fit.adjusted)
        if found.kept == kept or found.kept in seen:
            return found
        seen.append(kept)
        kept = found.kept
    return _judged(network, kept, bundle(pruned(network, kept)), probability)


def _judged(network: Network, kept: Kept, fit: Bundle, probability: float) -> Cleaned:
    """Each measurement against what the kept ones, without it, say of it (Baarda 1968)."""
    placed = placed_points(network, kept)
    sights = network.sights
    used = kept.sights & placed[sights.point]
    residual, spread = np.full((len(used), 2), np.nan), np.zeros((len(used), 2, 2))
    for camera in range(len(network.cameras)):
        rows = np.flatnonzero((sights.camera == camera) & placed[sights.point])
        pixel, spread[rows] = fit.predict(camera, sights.point[rows])
        residual[rows] = sights.pixel[rows] - pixel
    spread[~np.isfinite(spread).all(axis=(1, 2))] = 0.0
    noise = sights.sigma**2
    total = noise[:, None, None] * np.eye(2) + np.where(used, -1.0, 1.0)[:, None, None] * spread
    distance2 = _distance2(residual, total, noise)
    factor = _scatter(network, used, residual, spread)
    typical = np.median(distance2[used & (distance2 > 0)]) if (distance2[used] > 0).any() else 0.0
    gate = chi2.isf(probability, [1, 2, 3]) * max(1.0, typical / chi2.ppf(0.5, 2))
    survey2 = _survey_distance2(network, kept, fit)
    row2, line2 = _row_distance2(network, kept, fit)
    # one at a time, as with surveys
    worst = max(row2.max(initial=0.0), line2.max(initial=0.0))
    good_rows, good_lines = ((each <= gate[0]) | (each < worst) for each in (row2, line2))
    n_spans = int(kept.spans.sum())
    survey_of = np.zeros(len(network.points))
    np.maximum.at(survey_of, network.surveyed.point, np.where(kept.surveys, survey2 * gate[1] / gate[2], 0.0))
    wrong = used & (distance2 > gate[1]) & (distance2 >= survey_of[sights.point] * (1.0 - 1e-6))
    wrong &= _is_worst(distance2, wrong, sights)
    back = ~kept.sights & placed[sights.point] & (distance2 <= gate[1])
    mark_of = np.zeros(len(network.points))
    np.maximum.at(mark_of, sights.point[used], distance2[used])
    survey_wrong = (survey2 > gate[2]) & (survey2 * gate[1] / gate[2] > mark_of[network.surveyed.point] * (1.0 + 1e-6))
    # one at a time: a wrong point tilts its neighbours
    survey_wrong &= survey2 == survey2[kept.surveys].max(initial=0.0)
    new = Kept(
        (kept.sights & ~wrong & (np.isfinite(distance2) | ~placed[sights.point])) | back,
        np.where(kept.surveys, ~survey_wrong, survey2 <= gate[2]),
        _still(kept.spans, good_rows[:n_spans]),
        _still(kept.heights, good_rows[n_spans:]),
        kept.lines & good_lines,
    )
    return Cleaned(fit, new, residual, spread, placed, factor)


def _scatter(network: Network, used: np.ndarray, residual: np.ndarray, spread: np.ndarray) -> float:
    """How widely used marks scatter, in their sigmas: squares over what the fit leaves free (Helmert 1907)."""
    sigma = network.sights.sigma[used]
    freedom = np.sum(2.0 - np.trace(spread[used], axis1=1, axis2=2) / sigma**2)
    return float(np.sqrt(np.sum((residual[used] / sigma[:, None]) ** 2) / freedom)) if freedom >= 1.0 else 1.0


def _distance2(residual: np.ndarray, total: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distances; zero where the fit rests on the measurement alone, infinite without residual."""
    least = np.linalg.eigvalsh(total)[:, 0]
    judged = (least > JUDGED * noise) & np.isfinite(residual).all(axis=1)
    distance2 = np.where(np.isfinite(residual).all(axis=1), 0.0, np.inf)
    rows = np.flatnonzero(judged)
    solved = np.linalg.solve(total[rows], residual[rows][:, :, None])[:, :, 0]
    distance2[rows] = np.einsum("ni,ni->n", residual[rows], solved)
    return distance2


def _survey_distance2(network: Network, kept: Kept, fit: Bundle) -> np.ndarray:
    surveyed = network.surveyed
    sigma = np.clip(surveyed.sigma, 1e-6, 1e6)
    off = surveyed.xyz - fit.points[surveyed.point]
    sign = np.where(kept.surveys, -1.0, 1.0)[:, None, None]
    # in sigmas, so that an axis known to 1 m does not hide beside one known to 1 cm
    cov = fit.point_cov[surveyed.point] / (sigma[:, :, None] * sigma[:, None, :])
    value, vector = np.linalg.eigh(np.eye(3) + sign * cov)
    along = np.einsum("qij,qi->qj", vector, off / sigma)
    return np.where(value > JUDGED, along**2 / np.maximum(value, JUDGED), 0.0).sum(axis=1)


def _row_distance2(network: Network, kept: Kept, fit: Bundle) -> tuple[np.ndarray, np.ndarray]:
    """Squared sigmas by which measurements disagree with everything else.

    Of the kept distances, then the kept heights; and of the lines' statements (S,), 0 where they are not kept.
    """
    linear, fitted = fit.adjusted.linear, fit.adjusted.layout.network
    n_rows = len(fitted.spans.metres) + len(fitted.heights.sigma)
    rows = slice(0, n_rows + len(fitted.lines.row_line))  # the first of the border's own rows
    jacobian, residual = linear.row_jacobian[rows], linear.row_residual[rows]
    left = 1.0 - linear.row_taken[rows] - np.einsum("rb,bc,rc->r", jacobian, fit.cov, jacobian)
    distance2 = np.where(left > JUDGED, residual**2 / np.maximum(left, JUDGED), 0.0)
    n_lines = len(network.lines)
    name = np.concatenate([np.flatnonzero(kept.lines[:n_lines]), n_lines + np.arange(len(network.lines.bearing))])
    of_lines = np.zeros(len(kept.lines))
    np.maximum.at(of_lines, name[fitted.lines.row_statement], distance2[n_rows:])
    return distance2[:n_rows], of_lines


def _is_worst(distance2: np.ndarray, wrong: np.ndarray, sights: Sights) -> np.ndarray:
    """Which of the `wrong` rows are the worst both of their camera and of their point."""
    worst = np.zeros(len(wrong), dtype=bool)
    rows = np.flatnonzero(wrong)
    for group in (sights.camera, sights.point):
        most = np.zeros(int(group.max(initial=0)) + 1)
        np.maximum.at(most, group[rows], distance2[rows])
        mine = wrong & (distance2 >= most[group])
        worst = mine if group is sights.camera else worst & mine
    return worst


def _still(kept: np.ndarray, good: np.ndarray) -> np.ndarray:
    """What is kept (N,) once those of it that are not `good` (M,) are dropped."""
    still = kept.copy()
    still[kept] = good
    return still
