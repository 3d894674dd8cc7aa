"""The calibration that a camera has after it moved, proposed from a check: pose, focal length, wider covariance."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import GeometryError
from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import cross_matrix
from geoloc.relocalize.drift import DriftCheck
from geoloc.relocalize.motions import CROP, N_MOTION, ROTATION, TRANSLATION, ZOOM
from geoloc.scene.camera import Camera


def proposed_camera(camera: Camera, check: DriftCheck) -> Camera:
    """`camera` (as it was when its reference was pinned) as the check found it.

    Its `calib_cov` is what it was, carried to the new pose, and what the check does not know: a zoom frees the focal
    lengths, a crop the principal point, a translation that was found or could not be told apart stays in it.
    GeometryError where the frame does not tell where the camera looks.
    """
    if not check.known:
        raise GeometryError(f"camera {camera.name!r}: {check.state}, {check.reason}; its pose cannot be proposed")
    theta = check.theta
    moved = RigidTransform.from_components(theta[TRANSLATION], Rotation.from_rotvec(theta[ROTATION]))
    params = np.array(camera.lens.params)
    params[:2] *= np.exp(theta[ZOOM])
    params[2:4] += theta[CROP]
    freed = _freed(camera, check)
    cov = _carried(camera, freed, moved, float(np.exp(theta[ZOOM][0])))
    by_motion = _by_motion(freed, params)
    cov = cov + by_motion @ check.cov @ by_motion.T
    lens = type(camera.lens)(params)  # type: ignore[call-arg]
    return replace(
        camera, lens=lens, cam_from_world=moved * camera.cam_from_world, calib_cov=symmetric(cov), freed=freed
    )


def _freed(camera: Camera, check: DriftCheck) -> tuple[str, ...]:
    names = {3: ("fx", "fy"), 4: ("cx",), 5: ("cy",)}
    wanted = [name for column in check.freed for name in names.get(column, ())]
    return (*camera.freed, *(name for name in wanted if name not in camera.freed))


def _carried(camera: Camera, freed: tuple[str, ...], moved: RigidTransform, zoom: float) -> np.ndarray:
    """The old covariance of pose and lens in the new pose's perturbation: exp(xi') * moved = moved * exp(xi)."""
    rotation, shift = moved.rotation.as_matrix(), moved.translation
    size = 6 + len(freed)
    change = np.zeros((size, 6 + len(camera.freed)))
    change[:3, :3] = change[3:6, 3:6] = rotation
    change[3:6, :3] = cross_matrix(shift) @ rotation
    for i, name in enumerate(camera.freed):
        change[6 + i, 6 + i] = zoom if name in ("fx", "fy") else 1.0
    return np.asarray(change @ camera.calib_cov @ change.T)


def _by_motion(freed: tuple[str, ...], params: np.ndarray) -> np.ndarray:
    """d (pose, freed lens parameters) / d motion: (6 + k, N_MOTION)."""
    out = np.zeros((6 + len(freed), N_MOTION))
    out[:3, ROTATION] = out[3:6, TRANSLATION] = np.eye(3)
    for i, name in enumerate(freed):
        if name in ("fx", "fy"):
            out[6 + i, 3] = params[("fx", "fy").index(name)]
        elif name in ("cx", "cy"):
            out[6 + i, 4 + ("cx", "cy").index(name)] = 1.0
    return out
