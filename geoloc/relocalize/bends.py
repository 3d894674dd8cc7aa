"""How far a model without known poses is bent: by what two halves of its points, which share none, say apart.

A chain of pictures bends where few or wrong points hold it together, and its own residuals do not tell: it was fitted
to them. Two models of half the points each bend differently, and where a picture hangs on something that only looks
alike, the halves seldom agree on it, or one of them does not hold it at all. Their half difference is as large as the
error of the whole by chance (as of the mean of two halves), and how far the whole is from their middle is error too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.scene.camera import Camera

NEIGHBOURS = 5  # nearest pictures, itself among them, whose disagreement tells the sigma of one
MOST = 1.0  # m; sigma past which a picture places nothing


@dataclass(frozen=True, eq=False)
class Straight:
    """Cameras with what their bend leaves open in `calib_cov`, and why others are `refused`, by name."""

    cameras: tuple[Camera, ...]
    refused: Mapping[str, str]


def straight_only(whole: Sequence[Camera], halves: Sequence[Sequence[Camera]], most: float = MOST) -> Straight:
    """The cameras that both halves hold and place within `most` m (sigma); all three models in the site's frame."""
    by_name = [{camera.name: camera for camera in half} for half in halves]
    refused = {
        camera.name: "only a part of what it shares with other pictures holds it: its place cannot be confirmed"
        for camera in whole if len(by_name) < 2 or not all(camera.name in half for half in by_name)
    }  # fmt: skip
    held = [camera for camera in whole if camera.name not in refused]
    variance = np.array([_variance(camera, *(half[camera.name] for half in by_name)) for camera in held])
    centres = np.array([camera.centre_world for camera in held])
    kept = []
    for camera in held:
        near = np.argsort(np.linalg.norm(centres - camera.centre_world, axis=1))[:NEIGHBOURS]
        turn2, shift2 = variance[near].mean(axis=0)
        sigma = float(np.sqrt(shift2))
        if sigma > most:
            said = "two halves of what it shares with other pictures leave its place open"
            refused[camera.name] = f"{said} by {sigma:.1f} m (sigma)"
        else:
            kept.append(replace(camera, calib_cov=np.diag([turn2] * 3 + [shift2] * 3), freed=()))
    return Straight(tuple(kept), refused)


def _variance(whole: Camera, first: Camera, second: Camera) -> tuple[float, float]:
    """Variance of one axis of a camera's rotation (rad²) and place (m²): the halves' difference, and off the middle."""
    poses = first.cam_from_world, second.cam_from_world, whole.cam_from_world
    half = 0.5 * _xi(poses[0], poses[1])
    middle = 0.5 * (_xi(poses[0], poses[2]) + _xi(poses[1], poses[2]))
    square = (half**2 + middle**2).reshape(2, 3).mean(axis=1)
    return float(square[0]), float(square[1])


def _xi(pose: RigidTransform, other: RigidTransform) -> np.ndarray:
    """Rotation (rad) between two poses of a camera in its axes, and how far apart its places are (m), (6,)."""
    turn = (pose.rotation * other.rotation.inv()).as_rotvec()
    return np.concatenate([turn, pose.inv().translation - other.inv().translation])
