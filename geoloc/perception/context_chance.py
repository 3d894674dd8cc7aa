"""Probabilities of what positions and velocities mean, through their covariances."""

from functools import lru_cache

import numpy as np
import shapely
from scipy.special import ndtr, ndtri

SIDE = 12  # quantiles each way; 144 points of equal weight


@lru_cache(maxsize=1)
def _quantiles() -> np.ndarray:
    """(Q, 2) points of a standard normal distribution, each with 1 / Q of it."""
    one = ndtri((np.arange(SIDE) + 0.5) / SIDE)
    one = one / one.std()  # the middle of a bin lies nearer than its mean
    return np.stack(np.meshgrid(one, one), axis=-1).reshape(-1, 2)


def spread_points(mean: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Points (N, Q, 2) that stand for normal distributions of mean (N, 2) and covariance (N, 2, 2)."""
    values, vectors = np.linalg.eigh(cov)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return mean[:, None, :] + np.einsum("nij,qj->nqi", root, _quantiles())


def inside_probability(polygon: shapely.Geometry, xy: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Probability (N,) that something at xy (N, 2) m with covariance (N, 2, 2) m² is in a polygon, to about 1 %."""
    out = np.zeros(len(xy))
    if not len(xy) or polygon.is_empty:
        return out
    reach = 4.0 * np.sqrt(np.maximum(np.trace(cov, axis1=1, axis2=2), 0.0))
    x0, y0, x1, y1 = polygon.bounds
    near = (xy[:, 0] > x0 - reach) & (xy[:, 0] < x1 + reach) & (xy[:, 1] > y0 - reach) & (xy[:, 1] < y1 + reach)
    rows = np.flatnonzero(near)
    if len(rows):
        points = spread_points(xy[rows], cov[rows])
        out[rows] = shapely.contains_xy(polygon, points[..., 0], points[..., 1]).mean(axis=1)
    return out


def slower_probability(velocity: np.ndarray, cov: np.ndarray, speed: float) -> np.ndarray:
    """Probability (N,) that a velocity (N, 2) m/s with covariance (N, 2, 2) is slower than `speed`."""
    points = spread_points(velocity, cov)
    return np.asarray((np.hypot(points[..., 0], points[..., 1]) < speed).mean(axis=1))


def faster_along_probability(velocity: np.ndarray, cov: np.ndarray, axis: np.ndarray, speed: float) -> np.ndarray:
    """Probability (N,) that velocities have more than `speed` along unit vectors `axis` (N, 2)."""
    mean = (velocity * axis).sum(axis=1)
    sigma = np.sqrt(np.maximum(np.einsum("ni,nij,nj->n", axis, cov, axis), 1e-12))
    return np.asarray(ndtr((mean - speed) / sigma))


def at_least(n: int, probability: np.ndarray) -> float:
    """Probability that at least `n` of independent things of `probability` (N,) are so."""
    count = np.ones(1)
    for p in probability.tolist():
        count = np.convolve(count, [1.0 - p, p])
    return float(count[n:].sum())
