"""Where a body touches the ground, in pixels, with its own covariance: better than the middle of a box's lower edge."""

import numpy as np

from geoloc.perception.silhouettes import Body
from geoloc.scene.camera import Camera

STEP_M = 0.05


def foot_of(
    camera: Camera, body: Body, xyz: np.ndarray, heading: float, edge_px: float, size_share: float, hidden: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Pixel (2,) of the middle of a footprint at xyz (3,) m, and its covariance (2, 2) px².

    An outline's edge is good to `edge_px`; `size_share` of the length and width is how much bodies differ, which moves
    the middle by half of it. A body of which a share is `hidden` from below is placed by what is left.
    """
    by_ground = ground_jacobian(camera, xyz)
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, -sin], [sin, cos]])
    spread = np.diag((size_share * np.array([body.length, body.width])) ** 2)
    along = _away(camera, xyz)
    lost = (0.5 * hidden * body.length) ** 2 * np.outer(along, along)
    cov = by_ground @ (turn @ spread @ turn.T + lost) @ by_ground.T + edge_px**2 * np.eye(2)
    return camera.project(xyz[None])[0], 0.5 * (cov + cov.T)


def ground_jacobian(camera: Camera, xyz: np.ndarray) -> np.ndarray:
    """How the pixel of a place (3,) m changes with x and y: (2, 2) px/m."""
    return np.asarray(camera.jacobians(xyz[None])[1][0][:, :2])


def _away(camera: Camera, xyz: np.ndarray) -> np.ndarray:
    away = xyz[:2] - camera.centre_world[:2]
    return np.asarray(away / max(float(np.linalg.norm(away)), 1e-9))
