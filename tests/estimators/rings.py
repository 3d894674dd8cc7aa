"""Cameras on a ring that look at its middle, and pixels of points with noise and with wrong calibration."""

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.distortion import radial_tangential_jacobians
from geoloc.scene.lenses import Fisheye, Lens, Pinhole, RadialTangential, fisheye_jacobians

LENS_OF: dict[str, Lens] = {
    "pinhole": Pinhole(np.array([1000.0, 1010.0, 955.0, 545.0])),
    "distorted": RadialTangential(np.array([1000.0, 1010.0, 955.0, 545.0, -0.3, 0.1, 1e-3, -5e-4, 0.01])),
    "rational": RadialTangential(np.array([900.0, 900.0, 960, 540, 0.3, 0.02, 1e-3, 2e-4, 0, 0.5, 0.1, 0.01])),
    "fisheye": Fisheye(np.array([500.0, 505.0, 955.0, 545.0, 0.02, -0.01, 0.002, -3e-4])),
}
POSE_SIGMAS = np.array([1e-3, 1e-3, 1e-3, 0.02, 0.02, 0.02])  # rad, m


def ring(n: int, lens: str = "pinhole", calib_cov: np.ndarray | None = None, freed: tuple[str, ...] = ()) -> list:
    """`n` cameras 20 m from the middle and 5 to 7 m above it."""
    cov = np.zeros((6, 6)) if calib_cov is None else calib_cov
    angles = 0.3 + 2 * np.pi * np.arange(n) / max(n, 3)
    centres = np.stack([20 * np.cos(angles), 20 * np.sin(angles), 5.0 + np.arange(n) % 3], axis=1)
    return [
        Camera(f"c{i}", LENS_OF[lens], (1920, 1080), look_at(centre, np.array([0, 0, 1.0])), cov, freed)
        for i, centre in enumerate(centres)
    ]


def box_points(rng: np.random.Generator, n: int) -> np.ndarray:
    """Points (n, 3) m that every camera of a ring sees."""
    return rng.uniform([-5, -5, 0], [5, 5, 3], (n, 3))


def see(cameras: list, points: np.ndarray) -> np.ndarray:
    """Exact pixels (N, V, 2)."""
    return np.stack([camera.project(points) for camera in cameras], axis=1)


def see_miscalibrated(cameras: list, points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pixels (N, V, 2) of cameras that really stand, and whose lenses really are, as `calib_cov` allows.

    Every point has its own draw of all the calibrations, so that the errors are independent.
    """
    out = np.empty((len(points), len(cameras), 2))
    for i, camera in enumerate(cameras):
        draw = rng.multivariate_normal(np.zeros(len(camera.calib_cov)), camera.calib_cov, len(points))
        poses = RigidTransform.from_exp_coords(draw[:, :6]) * camera.cam_from_world
        params = np.tile(camera.lens.params, (len(points), 1))
        params[:, camera.freed_index] += draw[:, 6:]
        rows = fisheye_jacobians if isinstance(camera.lens, Fisheye) else radial_tangential_jacobians
        out[:, i] = rows(params, poses.apply(points))[0]
    return out
