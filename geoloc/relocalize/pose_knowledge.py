"""What is known of an image's pose besides what it shows: its height or a plane it stands on, and which way is down."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import InputError
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import cross_matrix, perturb
from geoloc.relocalize.pose_fit import FittedPose
from geoloc.scene.camera import Camera

DOWN = np.array([0.0, 0.0, -1.0])  # in the world


@dataclass(frozen=True)
class Knowledge:
    """The camera's centre lies on `plane` z = a x + b y + c to `plane_sigma` m; `down` is a direction in its frame.

    Infinite sigmas, rad for the direction, say that nothing is known. A known height h over a flat floor at z0 is the
    plane (0, 0, z0 + h).
    """

    plane: tuple[float, float, float] = (0.0, 0.0, 0.0)
    plane_sigma: float = np.inf
    down: tuple[float, float, float] = (0.0, 1.0, 0.0)
    down_sigma: float = np.inf

    def __post_init__(self) -> None:
        finite = np.isfinite([*self.plane, *self.down]).all() and np.linalg.norm(self.down) > 0
        if not (finite and self.plane_sigma > 0 and self.down_sigma > 0):
            raise InputError(f"{self}: plane and direction must be finite, sigmas positive")

    def prior(self, lens: CameraPrior) -> CameraPrior:
        """What is known of a lens, with the plane added."""
        return replace(lens, plane=self.plane, plane_sigma=self.plane_sigma)


def known_pose(fitted: FittedPose, known: Knowledge) -> FittedPose:
    """The pose once it is known which way is down."""
    return replace(fitted, camera=known_camera(fitted.camera, known))


def known_camera(camera: Camera, known: Knowledge) -> Camera:
    """The camera once it is known which way is down: one update of its Gaussian (Kalman 1960)."""
    if not np.isfinite(known.down_sigma):
        return camera
    seen, expected, jacobian = _of_down(camera, known)
    innovation = jacobian @ camera.calib_cov @ jacobian.T + known.down_sigma**2 * np.eye(3)
    gain = np.linalg.solve(innovation, jacobian @ camera.calib_cov).T
    step = gain @ (seen - expected)
    left = np.eye(len(step)) - gain @ jacobian
    cov = left @ camera.calib_cov @ left.T + known.down_sigma**2 * gain @ gain.T
    lens = camera.lens
    if camera.freed:
        params = lens.params.copy()
        params[camera.freed_index] += step[6:]
        lens = type(lens)(params)  # type: ignore[call-arg]
    pose = perturb(camera.cam_from_world, step[:6])
    return replace(camera, lens=lens, cam_from_world=pose, calib_cov=symmetric(cov))


def down_odds(camera: Camera, known: Knowledge) -> float:
    """Logarithm of how much likelier what is known of down is under a camera, with its covariance, than anywhere."""
    if not np.isfinite(known.down_sigma):
        return 0.0
    seen, expected, jacobian = _of_down(camera, known)
    across = np.linalg.svd(expected[None])[2][1:]  # a direction has two axes, a sphere 4 pi of them
    cov = across @ jacobian @ camera.calib_cov @ jacobian.T @ across.T + known.down_sigma**2 * np.eye(2)
    angle = np.arccos(np.clip(seen @ expected, -1.0, 1.0))
    side = across @ seen
    off = side * angle / max(float(np.linalg.norm(side)), 1e-12)
    density = -0.5 * off @ np.linalg.solve(cov, off) - 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1]
    return float(density + np.log(4 * np.pi))


def _of_down(camera: Camera, known: Knowledge) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Down as it is known and as the camera has it, (3,) each in its frame, and the derivative of the latter."""
    seen = np.array(known.down) / np.linalg.norm(known.down)
    expected = camera.cam_from_world.rotation.apply(DOWN)
    # a turn w moves the expected direction by w x expected
    jacobian = np.zeros((3, len(camera.calib_cov)))
    jacobian[:, :3] = -cross_matrix(expected)
    return seen, expected, jacobian
