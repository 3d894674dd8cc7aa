"""The fit of M points to their sightings: linear start, Gauss-Newton, and the covariances at its end."""

from dataclasses import dataclass, fields

import numpy as np

from geoloc.estimators.sightings import Sightings
from geoloc.geometry.solver import gram, inverse_symmetric_3, sandwich, times, whitening

MAX_STEPS = 15
HOPELESS = 100.0  # squared sigmas a view that the step is expected to leave
SETTLED = 0.1  # sigma; the step after one this small is hundreds of times smaller


@dataclass(frozen=True, eq=False)
class Fit:
    """Points relative to the sightings' origin, and the fit's state there, whitened by noise + calibration."""

    points: np.ndarray  # (3, M) m
    cov: np.ndarray  # (3, 3, M) m², noise and calibration together
    jacobian: np.ndarray  # (2, 3, K, M) 1/m
    residual: np.ndarray  # (2, K, M) sigma
    depth: np.ndarray  # (K, M); 1 where blank
    whitener: np.ndarray  # (3, K, M) 1/px: xx, yx, yy
    settled: np.ndarray  # (M,) bool

    @property
    def distance2(self) -> np.ndarray:
        """Squared Mahalanobis distance of each sighting: (K, M), of 2 degrees of freedom."""
        return np.einsum("ikm,ikm->km", self.residual, self.residual)

    def put(self, at: np.ndarray, other: "Fit") -> None:
        """Replace the points at an index."""
        for mine in fields(self):
            getattr(self, mine.name)[..., at] = getattr(other, mine.name)

    def noise_cov(self, noise: np.ndarray) -> np.ndarray:
        """The part of `cov` that comes from `noise` (3, K, M) px²: (3, 3, M) m²."""
        s_xx, s_yx, s_yy = self.whitener
        l_xx = np.sqrt(noise[0])
        l_yx = noise[1] / l_xx
        l_yy = np.sqrt(noise[2] - l_yx * l_yx)
        rows = np.empty_like(self.jacobian)
        np.multiply(self.jacobian[0], s_xx * l_xx, out=rows[0])
        rows[0] += self.jacobian[1] * (s_yx * l_xx + s_yy * l_yx)
        np.multiply(self.jacobian[1], s_yy * l_yy, out=rows[1])
        return sandwich(self.cov, gram(rows))


def linear_start(sightings: Sightings) -> np.ndarray:
    """Points (3, M) that minimise the squared residuals, in sigmas of noise, times depth: closed form."""
    rows = _whitened(sightings.rows[:2], whitening(sightings.noise))
    right = np.einsum("iakm,ikm->am", rows[:, :3], rows[:, 3])
    return -times(inverse_symmetric_3(gram(rows[:, :3])), right)


def normal_equations(sightings: Sightings) -> tuple[np.ndarray, np.ndarray]:
    """The linear start's equations of each sighting alone: (3, 3, K, M) and right sides (3, K, M)."""
    rows = _whitened(sightings.rows[:2], whitening(sightings.noise))
    left = np.einsum("iakm,ibkm->abkm", rows[:, :3], rows[:, :3])
    return left, -np.einsum("iakm,ikm->akm", rows[:, :3], rows[:, 3])


def residuals_px(rows: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Residuals (2, K, M) px and depths (K, M) of points (3, M) under the rows (3, 4, K, M) of sightings."""
    values = _homogeneous(rows, points)
    return values[:2] / values[2], values[2]


def linearised(rows: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals (2, K, M), their derivatives by the point (2, 3, K, M), depths (K, M)."""
    values = _homogeneous(rows, points)
    inverse = 1.0 / values[2]
    residual = values[:2] * inverse
    jacobian = residual[:, None] * rows[2, :3]
    np.subtract(rows[:2, :3], jacobian, out=jacobian)
    jacobian *= inverse
    return residual, jacobian, values[2]


def fit_points(sightings: Sightings, start: np.ndarray) -> Fit:
    """Maximum likelihood from `start` (3, M), each residual weighed by its covariance at the start's depth."""
    _, depth = residuals_px(sightings.rows, start)
    whitener = whitening(sightings.total(depth))
    rows = np.concatenate([_whitened(sightings.rows[:2], whitener), sightings.rows[2:]])
    points = start.copy()
    settled = np.zeros(start.shape[1], dtype=bool)
    active = np.arange(start.shape[1])
    left = rows
    for _ in range(MAX_STEPS):
        step, size2, cost = _step(left, points[:, active])
        points[:, active] += step
        settled[active] = size2 <= SETTLED**2
        # a size that is no number never settles; views that disagree this much will not come together
        moving = (size2 > SETTLED**2) & (cost - size2 <= HOPELESS * len(left[0, 0]))
        if not moving.any():
            break
        if not moving.all():
            active = active[moving]
            left = left[..., moving]
    residual, jacobian, depth = linearised(rows, points)
    cov = inverse_symmetric_3(gram(jacobian))
    return Fit(points, cov, jacobian, residual, depth, whitener, settled)


def _step(rows: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gauss-Newton's step (3, M) m, its squared size (M,) in sigmas, and the squared residuals before it (M,)."""
    residual, jacobian, _ = linearised(rows, points)
    slope = np.einsum("iakm,ikm->am", jacobian, residual)
    step = -times(inverse_symmetric_3(gram(jacobian)), slope)
    return step, -np.einsum("am,am->m", step, slope), np.einsum("ikm,ikm->m", residual, residual)


def _homogeneous(rows: np.ndarray, points: np.ndarray) -> np.ndarray:
    values = np.einsum("ijkm,jm->ikm", rows[:, :3], points)
    values += rows[:, 3]
    return values


def _whitened(rows: np.ndarray, whitener: np.ndarray) -> np.ndarray:
    """Rows (2, 4, K, M) px by the whitener (3, K, M) -> (2, 4, K, M) sigma."""
    out = np.empty_like(rows)
    np.multiply(rows[1], whitener[2], out=out[1])
    out[1] += rows[0] * whitener[1]
    np.multiply(rows[0], whitener[0], out=out[0])
    return out
