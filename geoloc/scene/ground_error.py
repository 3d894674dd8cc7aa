"""How well a camera's calibration knows the ground under a pixel."""

import numpy as np

from geoloc.geometry.gaussian import inverse_2x2, worst_sigma
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import Level


def ground_jacobians(camera: Camera, xyz: np.ndarray, slope: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of the pixels of ground points (N, 3) by their xy on a slope (N, 2) and by the calibration."""
    _, by_world, by_calib = camera.jacobians(xyz)
    return by_world[:, :, :2] + by_world[:, :, 2:] * slope[:, None, :], by_calib


def ground_sigma(camera: Camera, level: Level, xy: np.ndarray) -> np.ndarray:
    """Largest standard deviation (N,) m that a camera's calibration leaves at points xy (N, 2) m of a level.

    NaN where the camera states no error.
    """
    if camera.is_homography:
        if camera.homography_sigma_px == 0:
            return np.full(len(xy), np.nan)
        by_pixel = inverse_2x2(homography_jacobian(camera, xy))
        return camera.homography_sigma_px * worst_sigma(by_pixel @ by_pixel.swapaxes(1, 2))
    if not camera.calib_cov.any():
        return np.full(len(xy), np.nan)
    by_ground, by_calib = ground_jacobians(camera, np.column_stack([xy, level.z_extended(xy)]), slope_at(level, xy))
    moves = np.linalg.solve(by_ground, by_calib)
    return np.asarray(worst_sigma(moves @ camera.calib_cov @ moves.swapaxes(1, 2)))


def slope_at(level: Level, xy: np.ndarray) -> np.ndarray:
    """dz/dx and dz/dy (N, 2) of a level under points (N, 2) m; 0 off it."""
    slope = np.zeros((len(xy), 2))
    for surface in reversed(level.surfaces):
        slope[surface.holds(xy)] = surface.plane[:2]
    return slope


def homography_jacobian(camera: Camera, xy: np.ndarray) -> np.ndarray:
    """Derivative (N, 2, 2) px/m of the pixel by the place on the level, of a camera known by its homography."""
    matrix = camera.lens.params.reshape(3, 3)
    u, v, w = matrix[:, :2] @ xy.T + matrix[:, 2:]
    pixel = np.column_stack([u / w, v / w])
    return np.asarray((matrix[:2, :2] - pixel[:, :, None] * matrix[2, :2]) / w[:, None, None])


def level_pixels(camera: Camera, level: Level, xy: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of places (N, 2) m of a level, whatever stands between; NaN behind the camera or past a horizon."""
    if camera.is_homography:
        u, v, w = np.linalg.inv(camera.ground_from_image) @ np.column_stack([xy, np.ones(len(xy))]).T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((w > 0)[:, None], np.column_stack([u / w, v / w]), np.nan)
    return camera.project(np.column_stack([xy, level.z_extended(xy)]))
