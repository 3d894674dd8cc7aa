"""Rigid motions: SciPy's RigidTransform with the one perturbation that all covariances use.

`exp(xi) * cam_from_world`, xi = rotation (rad), then translation (m).
"""

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation


def cross_matrix(vectors: np.ndarray) -> np.ndarray:
    """The matrix of `v x`: (..., 3) -> (..., 3, 3)."""
    x, y, z = np.moveaxis(np.asarray(vectors, float), -1, 0)
    zero = np.zeros_like(x)
    rows = [zero, -z, y, z, zero, -x, -y, x, zero]
    return np.stack(rows, axis=-1).reshape(*x.shape, 3, 3)


def perturb(cam_from_world: RigidTransform, xi: np.ndarray) -> RigidTransform:
    """`exp(xi) * cam_from_world` for xi (6,) or (N, 6): rotation vector (rad), then translation part (m)."""
    return RigidTransform.from_exp_coords(xi) * cam_from_world


def pose_cov(rotation_sigma: float, translation_sigma: float) -> np.ndarray:
    """Covariance (6, 6) of independent perturbations: standard deviation of each rotation (rad), translation (m)."""
    return np.diag([rotation_sigma**2] * 3 + [translation_sigma**2] * 3)


def from_rt(rotation: np.ndarray, translation: np.ndarray) -> RigidTransform:
    """Transform with X_target = R X + t from a matrix (3, 3) or rotation vector (3,) and t (3,)."""
    matrix = np.asarray(rotation, float)
    turn = Rotation.from_rotvec(matrix) if matrix.shape[-1:] == matrix.shape else Rotation.from_matrix(matrix)
    return RigidTransform.from_components(np.asarray(translation, float), turn)


def look_at(centre_world: np.ndarray, target_world: np.ndarray) -> RigidTransform:
    """cam_from_world of an upright camera at `centre_world` that looks at `target_world` (both (3,) m)."""
    forward = np.asarray(target_world, float) - np.asarray(centre_world, float)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-9:
        right = np.array([1.0, 0.0, 0.0])  # straight down: image right is east
    right = right / np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    return from_rt(rotation, -rotation @ np.asarray(centre_world, float))
