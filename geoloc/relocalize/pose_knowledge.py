"""What is known of an image's pose besides what it shows: its height or a plane it stands on, and which way is down."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import InputError
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import cross_matrix, perturb
from geoloc.relocalize.pose_fit import FittedPose

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
    """The pose once it is known which way is down: one update of its Gaussian (Kalman 1960)."""
    if not np.isfinite(known.down_sigma):
        return fitted
    camera = fitted.camera
    seen = np.array(known.down) / np.linalg.norm(known.down)
    expected = camera.cam_from_world.rotation.apply(DOWN)
    # a turn w moves the expected direction by w x expected
    jacobian = np.zeros((3, len(camera.calib_cov)))
    jacobian[:, :3] = -cross_matrix(expected)
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
    return replace(fitted, camera=replace(camera, lens=lens, cam_from_world=pose, calib_cov=symmetric(cov)))
