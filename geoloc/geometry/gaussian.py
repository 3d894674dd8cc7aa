"""Gaussians as arrays of means and covariances: what every stage does with its uncertainty."""

import numpy as np

from geoloc.errors import InputError


def symmetric(cov: np.ndarray) -> np.ndarray:
    """The symmetric part: (..., d, d) -> (..., d, d)."""
    return 0.5 * (cov + np.swapaxes(cov, -1, -2))


def worst_sigma(cov: np.ndarray) -> np.ndarray:
    """Largest standard deviation over all directions: (..., 2, 2) m² -> (...) m."""
    half_trace = 0.5 * (cov[..., 0, 0] + cov[..., 1, 1])
    half_difference = 0.5 * (cov[..., 0, 0] - cov[..., 1, 1])
    return np.sqrt(half_trace + np.hypot(half_difference, cov[..., 0, 1]))


def inverse_2x2(matrix: np.ndarray) -> np.ndarray:
    """Inverse in closed form: (..., 2, 2) -> (..., 2, 2); a singular matrix gives infinities or NaN."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    out = np.empty_like(matrix)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1.0 / (a * d - b * c)
        out[..., 0, 0], out[..., 0, 1] = d * scale, -b * scale
        out[..., 1, 0], out[..., 1, 1] = -c * scale, a * scale
    return out


def mahalanobis2(difference: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distance: (..., 2) and (..., 2, 2) -> (...)."""
    inverse = inverse_2x2(cov)
    x, y = difference[..., 0], difference[..., 1]
    cross = inverse[..., 0, 1] + inverse[..., 1, 0]
    return inverse[..., 0, 0] * x * x + cross * x * y + inverse[..., 1, 1] * y * y


def is_covariance(cov: np.ndarray, rtol: float = 1e-9) -> np.ndarray:
    """Which of (..., d, d) are finite, symmetric and positive definite: (...) bool."""
    finite = np.isfinite(cov).all(axis=(-2, -1))
    safe = np.where(finite[..., None, None], cov, np.eye(cov.shape[-1]))
    close = np.abs(safe - np.swapaxes(safe, -1, -2)).max(axis=(-2, -1), initial=0.0)
    eigenvalues = np.linalg.eigvalsh(symmetric(safe))
    return finite & (close <= rtol * np.abs(eigenvalues[..., -1])) & (eigenvalues[..., 0] > 0)


def is_covariance_2x2(cov: np.ndarray) -> np.ndarray:
    """As `is_covariance` of (N, 2, 2) in closed form, a little asymmetry by rounding allowed: (N,) bool."""
    xx, xy, yx, yy = cov.reshape(-1, 4).T
    with np.errstate(invalid="ignore", over="ignore"):
        determinant = xx * yy - xy * yx
        symmetric = np.abs(xy - yx) <= 1e-6 * (xx + yy)
        return (determinant > 0) & (xx > 0) & (determinant < np.inf) & symmetric


def require_covariances(cov: np.ndarray, what: str) -> None:
    """Raise InputError, naming `what` and the first row that is none, unless all of (N, 2, 2) are covariances."""
    good = is_covariance_2x2(cov)
    if not good.all():
        row = int(np.argmin(good))
        raise InputError(
            f"{what}: row {row} is {cov[row].tolist()}, no covariance ({(~good).sum()} such rows of {len(good)}); "
            "it must be finite, symmetric and positive definite"
        )


def ellipse(cov: np.ndarray, probability: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Axes of the ellipse that holds `probability`: (..., 2, 2) -> semi-major, semi-minor, angle (rad).

    The angle is that of the semi-major axis from +x (east), counter-clockwise, in (-pi/2, pi/2].
    """
    eigenvalues, eigenvectors = np.linalg.eigh(cov)
    scale = np.sqrt(-2.0 * np.log1p(-probability))  # chi-square quantile of 2 dof
    semi = scale * np.sqrt(np.maximum(eigenvalues, 0.0))
    angle = np.arctan2(eigenvectors[..., 1, 1], eigenvectors[..., 0, 1])
    angle = np.where(angle > np.pi / 2, angle - np.pi, np.where(angle <= -np.pi / 2, angle + np.pi, angle))
    return semi[..., 1], semi[..., 0], angle
