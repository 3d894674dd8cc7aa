"""Normal equations of a network, its points eliminated: the Schur complement, its solution, and covariances.

Each eliminated point meets only the border, so its 3 x 3 block is inverted alone (Brown 1958; Triggs et al. 2000,
sec. 6). Products are taken for all sights of a camera, or of a pair of cameras, at once.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from geoloc.estimators.network import Layout
from geoloc.estimators.network_rows import Linear
from geoloc.geometry.solver import inverse_symmetric_3

BLOCK = 1024  # points whose covariances are worked on at once


@dataclass(frozen=True, eq=False)
class Normal:
    """The normal equations: of the border, of each point, and what joins them."""

    layout: Layout
    border: np.ndarray  # (B, B)
    border_right: np.ndarray  # (B,)
    point: np.ndarray  # (P, 3, 3); the identity for points in the border
    point_right: np.ndarray  # (P, 3)
    join: np.ndarray  # (N, 3, K) of each sight: its point by its camera's columns


@dataclass(frozen=True, eq=False)
class Reduced:
    """What is left for the border once the points are eliminated."""

    normal: Normal
    matrix: np.ndarray  # (B, B)
    right: np.ndarray  # (B,)
    point_inverse: np.ndarray  # (P, 3, 3); zero for points in the border

    def step(self, border: np.ndarray) -> np.ndarray:
        """The points' step (P, 3) that goes with the border's (B,)."""
        normal = self.normal
        layout = normal.layout
        moved = np.zeros_like(normal.join[:, :, 0])
        padded = np.append(border, 0.0)
        for camera, rows in layout.slices:
            moved[rows] = normal.join[rows] @ padded[layout.columns[camera]]
        right = normal.point_right - layout.by_point @ moved
        return np.einsum("pij,pj->pi", self.point_inverse, right)


def normal_equations(layout: Layout, linear: Linear) -> Normal:
    """The normal equations of all measurements."""
    size = layout.size
    border, right = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    for camera, rows in layout.slices:
        jacobian = linear.by_camera[rows].reshape(-1, linear.by_camera.shape[2])
        at = layout.columns[camera]
        border[at[:, None], at] += jacobian.T @ jacobian
        right[at] += jacobian.T @ linear.residual[rows].ravel()
    border, right = border[:-1, :-1], right[:-1]
    border += linear.row_jacobian.T @ linear.row_jacobian
    right += linear.row_jacobian.T @ linear.row_residual
    u, v = linear.by_point[:, 0], linear.by_point[:, 1]
    outer = u[:, :, None] * u[:, None, :] + v[:, :, None] * v[:, None, :]
    point = (layout.by_point @ outer.reshape(-1, 9)).reshape(-1, 3, 3)
    point[:, range(3), range(3)] += linear.survey_information
    pull = u * linear.residual[:, :1] + v * linear.residual[:, 1:]
    point_right = layout.by_point @ pull + linear.survey_pull
    point[layout.promoted], point_right[layout.promoted] = np.eye(3), 0.0
    by_camera = linear.by_camera
    join = u[:, :, None] * by_camera[:, None, 0] + v[:, :, None] * by_camera[:, None, 1]
    return Normal(layout, border, right, point, point_right, join)


def reduce(normal: Normal, damping: float) -> Reduced:
    """Eliminate the points; `damping` times its diagonal is added to each block (Marquardt 1963)."""
    layout = normal.layout
    inverse = _inverse(normal.point, damping)
    inverse[layout.promoted] = 0.0
    sights = layout.sights
    gain = np.matmul(inverse[sights.point], normal.join)
    pull = np.einsum("pij,pj->pi", inverse, normal.point_right)[sights.point]
    size, width = layout.size, normal.join.shape[2]
    matrix, right = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    for camera, rows in layout.slices:
        at = layout.columns[camera]
        join = normal.join[rows].reshape(-1, width)
        matrix[at[:, None], at] += 0.5 * (join.T @ gain[rows].reshape(-1, width))
        right[at] += join.T @ pull[rows].ravel()
    first, second, runs = layout.pairs
    left, other = normal.join[first].reshape(-1, width), gain[second].reshape(-1, width)
    for a, b, rows in runs:
        part = slice(3 * rows.start, 3 * rows.stop)
        matrix[layout.columns[a][:, None], layout.columns[b]] += left[part].T @ other[part]
    reduced = normal.border - (matrix + matrix.T)[:-1, :-1]
    reduced[range(size), range(size)] += damping * np.diag(normal.border)
    return Reduced(normal, reduced, normal.border_right - right[:-1], inverse)


def solve(reduced: Reduced) -> np.ndarray:
    """The border's step (B,), zero where it is held; LinAlgError where the equations are not positive definite."""
    free = reduced.normal.layout.free
    step = np.zeros(len(reduced.right))
    if len(free):
        matrix = reduced.matrix[np.ix_(free, free)]
        scale = _scale(matrix)
        factor = linalg.cho_factor(matrix * scale * scale[:, None], check_finite=False)
        step[free] = scale * linalg.cho_solve(factor, scale * reduced.right[free], check_finite=False)
    return step


def weakest(reduced: Reduced) -> tuple[float, np.ndarray]:
    """The smallest information in any direction of the border, relative to what its columns hold before the
    points are eliminated; and the direction (B,), its largest entry 1."""
    free = reduced.normal.layout.free
    scale = _scale(reduced.normal.border[np.ix_(free, free)])
    value, vector = linalg.eigh(reduced.matrix[np.ix_(free, free)] * scale * scale[:, None], subset_by_index=[0, 0])
    direction = np.zeros(len(reduced.right))
    direction[free] = np.abs(vector[:, 0]) / np.abs(vector[:, 0]).max()
    return float(value[0]), direction


def border_cov(reduced: Reduced, held_cov: np.ndarray) -> np.ndarray:
    """Covariance (B, B) of the border's unknowns.

    Those held keep `held_cov` (B, B), which the others inherit as far as they rest on them (Schmidt 1966).
    """
    free = reduced.normal.layout.free
    held = np.setdiff1d(np.arange(len(reduced.right)), free)
    cov = np.zeros_like(reduced.matrix)
    matrix = reduced.matrix[np.ix_(free, free)]
    scale = _scale(matrix)
    inverse = _positive_inverse(matrix * scale * scale[:, None]) * scale * scale[:, None]
    if len(held):
        lean = -inverse @ reduced.matrix[np.ix_(free, held)]
        own = held_cov[np.ix_(held, held)]
        cov[np.ix_(held, held)] = own
        cov[np.ix_(free, held)] = lean @ own
        cov[np.ix_(held, free)] = own @ lean.T
        inverse = inverse + lean @ own @ lean.T
    cov[np.ix_(free, free)] = inverse
    return cov


def point_leans(reduced: Reduced, points: np.ndarray) -> np.ndarray:
    """How points (M,) follow the border: derivative (M, 3, B)."""
    layout = reduced.normal.layout
    place = np.full(len(layout.network.points), -1)
    where, index = np.unique(points, return_inverse=True)
    place[where] = np.arange(len(where))
    lean = np.zeros((len(where), 3, layout.size + 1))
    rows = np.flatnonzero(layout.eliminated & (place[layout.sights.point] >= 0))
    columns = layout.columns[layout.sights.camera[rows]]
    gain = np.matmul(reduced.point_inverse[layout.sights.point[rows]], reduced.normal.join[rows])
    at = place[layout.sights.point[rows]]
    np.add.at(lean, (at[:, None, None], np.arange(3)[:, None], columns[:, None, :]), -gain)
    column = layout.point_column[where]
    promoted = np.flatnonzero(column >= 0)
    lean[promoted[:, None], np.arange(3), column[promoted][:, None] + np.arange(3)] = 1.0
    return lean[index, :, :-1]


def point_covs(reduced: Reduced, cov: np.ndarray) -> np.ndarray:
    """Covariances (P, 3, 3) m² of all points, given the border's (B, B)."""
    layout = reduced.normal.layout
    sights, width = layout.sights, reduced.normal.join.shape[2]
    padded = np.zeros((layout.size + 1, layout.size + 1))
    padded[:-1, :-1] = cov
    gain = np.matmul(reduced.point_inverse[sights.point], reduced.normal.join)
    turned = np.empty_like(gain)
    for camera, rows in layout.slices:
        at = layout.columns[camera]
        turned[rows] = (gain[rows].reshape(-1, width) @ padded[np.ix_(at, at)]).reshape(-1, 3, width)
    out = reduced.point_inverse + layout.sum_blocks(np.arange(len(gain)), _products(turned, gain))
    first, second, runs = layout.pairs
    left, other = gain[first], gain[second]
    turned = np.empty_like(left)
    for a, b, rows in runs:
        block = padded[np.ix_(layout.columns[a], layout.columns[b])]
        turned[rows] = (left[rows].reshape(-1, width) @ block).reshape(-1, 3, width)
    both = layout.sum_blocks(first, _products(turned, other))
    out += both + both.transpose(0, 2, 1)
    for point, column in zip(layout.promoted.tolist(), layout.point_column[layout.promoted].tolist(), strict=True):
        out[point] = cov[column : column + 3, column : column + 3]
    return out


def _products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`left @ right'` of (M, 3, K) and (M, 3, K) -> (M, 3, 3)."""
    return np.einsum("mik,mjk->mij", left, right)


def _inverse(matrix: np.ndarray, damping: float) -> np.ndarray:
    """Inverses of (P, 3, 3) with `damping` on their scaled diagonal; InputError-free: a singular one is infinite."""
    scale = 1.0 / np.sqrt(np.einsum("pii->pi", matrix))
    even = np.moveaxis(matrix * scale[:, :, None] * scale[:, None, :], 0, -1).copy()
    even[range(3), range(3)] += damping
    inverse = np.moveaxis(inverse_symmetric_3(even), -1, 0)
    return inverse * scale[:, :, None] * scale[:, None, :]


def _scale(matrix: np.ndarray) -> np.ndarray:
    """What brings the diagonal to one."""
    diagonal = np.diag(matrix)
    return 1.0 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))


def _positive_inverse(matrix: np.ndarray) -> np.ndarray:
    if not len(matrix):
        return matrix
    factor = linalg.cho_factor(matrix, lower=True, check_finite=False)[0]
    inverse, _ = linalg.lapack.dpotri(factor, lower=1)
    lower = np.tril(inverse)
    return lower + np.tril(inverse, -1).T
