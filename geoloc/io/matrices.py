"""Cameras of plain matrices: a projection (3, 4) taken apart into lens and pose."""

import numpy as np
from scipy.linalg import rq
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.geometry.se3 import from_rt
from geoloc.io.camera_parts import lens_from_matrix
from geoloc.scene.lenses import Lens

MAX_SKEW = 1e-3  # of the focal length; beyond it the matrix is not that of a camera here


def camera_from_projection(projection: np.ndarray, where: str) -> tuple[Lens, RigidTransform]:
    """Lens without distortion and cam_from_world of a projection (3, 4) from metres to pixels.

    K R and K t by RQ decomposition (Hartley and Zisserman, Multiple View Geometry, 2004, section 6.2.4).
    """
    projection = np.asarray(projection, float)
    if projection.shape != (3, 4) or not np.isfinite(projection).all():
        raise InputError(f"{where}: a projection is 3 x 4 finite numbers; found shape {projection.shape}")
    if np.linalg.cond(projection[:, :3]) > 1e12:
        raise InputError(f"{where}: the projection is singular; it has no camera centre")
    # the sign is free; a camera's has a positive determinant
    projection = projection * np.sign(np.linalg.det(projection[:, :3]))
    matrix, rotation = rq(projection[:, :3])
    signs = np.sign(np.diag(matrix))
    matrix, rotation = matrix * signs, signs[:, None] * rotation
    translation = np.linalg.solve(matrix, projection[:, 3])
    matrix = matrix / matrix[2, 2]
    if abs(matrix[0, 1]) > MAX_SKEW * matrix[0, 0]:
        raise InputError(f"{where}: the projection has skew {matrix[0, 1]:.3g} px; lenses here have none")
    matrix[0, 1] = 0.0
    return lens_from_matrix(matrix, np.zeros(0), where), from_rt(rotation, translation)
