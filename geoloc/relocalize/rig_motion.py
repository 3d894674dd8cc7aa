"""What ties images to each other: cameras mounted on one body, and how far a body moves from one moment to the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError, unknown_name
from geoloc.geometry.se3 import cross_matrix
from geoloc.options import check_range

STEP = 1e-6  # of numeric derivatives, rad and m


@dataclass(frozen=True, eq=False)
class Mount:
    """A camera on a body: `cam_from_body`, and the covariance (6, 6) of `exp(xi) * cam_from_body`; zeros: exact."""

    cam_from_body: RigidTransform = field(default_factory=RigidTransform.identity)
    cov: np.ndarray = field(default_factory=lambda: np.zeros((6, 6)))

    def __post_init__(self) -> None:
        cov = np.asarray(self.cov, float)
        if cov.shape != (6, 6) or not np.isfinite(cov).all() or np.linalg.eigvalsh(cov).min() < -1e-12:
            raise InputError(f"mount: covariance of shape {cov.shape}; it must be 6 x 6, finite and not negative")

    @property
    def is_exact(self) -> bool:
        """Whether nothing of it is open."""
        return not np.asarray(self.cov).any()


@dataclass(frozen=True)
class MotionPrior:
    """How a body moves between two images, before they are looked at: standard deviations on each axis.

    They grow with the time between the images, and are at least `still` (m) and `still_turn` (rad), as of a hand that
    holds a camera in place. A body "known to move little" has no speed, only these.
    """

    speed: float = 1.5  # m/s
    turn: float = 1.0  # rad/s
    still: float = 0.05  # m
    still_turn: float = 0.05  # rad

    def __post_init__(self) -> None:
        some = (1e-9, 1e6)
        check_range(self, speed=(0.0, 1e6), turn=(0.0, 1e6), still=some, still_turn=some)

    def cov(self, seconds: float) -> np.ndarray:
        """Covariance (6, 6) of the relative pose after some seconds."""
        turn = self.still_turn**2 + (self.turn * seconds) ** 2
        move = self.still**2 + (self.speed * seconds) ** 2
        return np.diag([turn] * 3 + [move] * 3)


def mount_of(mounts: Mapping[str, Mount], sensor: str) -> Mount:
    """The mount of a camera; of a single one that has no name, the body itself."""
    if not mounts and not sensor:
        return Mount()
    if sensor not in mounts:
        raise unknown_name("camera", sensor, mounts, "the rig")
    return mounts[sensor]


def adjoint(pose: RigidTransform) -> np.ndarray:
    """A (..., 6, 6) with `pose * exp(xi) = exp(A xi) * pose`."""
    turn, shift = pose.rotation.as_matrix(), pose.translation
    out = np.zeros((*turn.shape[:-2], 6, 6))
    out[..., :3, :3] = out[..., 3:, 3:] = turn
    out[..., 3:, :3] = cross_matrix(shift) @ turn
    return out


def relative(from_pose: RigidTransform, to_pose: RigidTransform) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """xi (6,) with `to = exp(xi) * from`, and its derivatives (6, 6) by perturbations of `from` and of `to`."""
    between = to_pose * from_pose.inv()
    xi = between.as_exp_coords()
    nudge = RigidTransform.from_exp_coords(STEP * np.eye(6))
    by_to = ((nudge * between).as_exp_coords() - xi).T / STEP
    by_from = ((between * nudge).as_exp_coords() - xi).T / -STEP
    return xi, by_from, by_to
