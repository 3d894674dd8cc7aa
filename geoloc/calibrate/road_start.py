"""Where the adjustment of a road view may start: rotations from vanishing points, one for each focal length tried.

A camera with square pixels sees the road's direction at the vanishing point of its lane lines; with a focal
length, a segment across the road then gives the road's normal (Dubská, Herout, Juránek, Sochor: Fully Automatic
Roadside Camera Calibration for Traffic Surveillance, IEEE T-ITS 2014, section III).
"""

import numpy as np
from scipy.spatial.transform import Rotation

from geoloc.errors import GeometryError
from geoloc.geometry.vectors import unit_rows


def image_lines(ends: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    """Unit lines (N, 3) through pairs of pixels (N, 2, 2), in coordinates (pixel - centre) / scale."""
    points = np.concatenate([(ends - centre) / scale, np.ones((len(ends), 2, 1))], axis=2)
    return unit_rows(np.cross(points[:, 0], points[:, 1]))


def vanishing_direction(ends: np.ndarray, centre: np.ndarray, focal: float) -> np.ndarray:
    """Unit direction (3,) in the camera frame that segments (N, 2, 2) px, parallel on the ground, share.

    It points to the vanishing point: forward. GeometryError if the segments lie on one image line.
    """
    lines = image_lines(ends, centre, focal)
    length = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
    _, size, axes = np.linalg.svd(lines * (length / length.sum())[:, None], full_matrices=True)
    if len(lines) < 2 or size[1] < 1e-4 * size[0]:
        found = f"{len(lines)} segments along the road, all on one line of the image"
        raise GeometryError(f"{found}, have no vanishing point; mark a second lane line")
    return axes[2] if axes[2, 2] > 0 else -axes[2]


def start_rotation(along: np.ndarray, across: np.ndarray, centre: np.ndarray, focal: float) -> Rotation:
    """cam_from_road of x along, y to the left, z up.

    `along` (N, 2, 2) and `across` (M, 2, 2) px; without one across, the camera is taken as upright.
    """
    x = vanishing_direction(along, centre, focal)
    right = np.zeros(3)
    for line in image_lines(across, centre, focal):
        step = np.cross(line, x)  # in the plane of the line, and across the road's direction
        right += step * np.sign(step[0]) / np.linalg.norm(step)
    return frame_of(x, right)


def frame_of(ahead: np.ndarray, right: np.ndarray | None = None) -> Rotation:
    """cam_from_road of x towards `ahead`, z up, and y away from `right` (directions (3,) in the camera frame).

    Without `right`, or with a zero one, the camera is taken as upright.
    """
    x = ahead / np.linalg.norm(ahead)
    if right is None or np.linalg.norm(right) < 1e-9:
        right = np.cross([0.0, 1.0, 0.0], x)
    right = right - x * (right @ x)
    right /= np.linalg.norm(right)
    return Rotation.from_matrix(np.stack([x, -right, np.cross(right, x)], axis=1))
