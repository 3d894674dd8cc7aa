"""What makes poses lie: the other direction, other axes or units, and estimates that are the truth."""

from collections.abc import Callable

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError
from geoloc.evaluation.guards import EXACT, FACTORS, FOUND
from geoloc.metrics.localization import poses_from_centres, position_errors, rotation_errors

FEWEST = 3  # poses from which a coincidence of all of them is unlikely
BETTER = 0.1  # of an error, its median once the poses are read in another way: chance does not give that

# What poses may be if they are no cam_from_world (N,), and how they then are to be read.
READINGS: dict[str, Callable[[RigidTransform], RigidTransform]] = {
    "one of the two looks like world_from_cam: inverted, it fits; invert it": lambda poses: poses.inv(),
    "one of the two seems to hold the cameras' centres for translations; build its poses from centres": lambda poses: (
        poses_from_centres(poses.translation, poses.rotation)
    ),
    "one of the two seems to have camera axes of OpenGL, y up and z backward; turn it half about x": lambda poses: (
        RigidTransform.from_rotation(Rotation.from_rotvec([np.pi, 0.0, 0.0])) * poses
    ),
    "the result's quaternions look like x y z w read as w x y z; reorder them": lambda poses: (
        RigidTransform.from_components(poses.translation, Rotation.from_quat(poses.rotation.as_quat()[:, [3, 0, 1, 2]]))
    ),
}


def refuse_other_reading(true: RigidTransform, estimated: RigidTransform) -> None:
    """InputError where another reading of the poses `estimated` (N,), or other units, would make them fit.

    Poses that fit in no way are scored as they are.
    """
    if len(estimated) < FEWEST:
        return
    refuse_other_scale(true.inv().translation, estimated.inv().translation)
    before = _medians(true, estimated)
    for says, read in READINGS.items():
        after = _medians(true, read(estimated))
        if (after <= before + EXACT).all() and (after < BETTER * before).any():
            raise InputError(
                f"{says}. Medians {_text(before)} would be {_text(after)}; poses are cam_from_world, x right, y down"
            )


def refuse_other_scale(true_xyz: np.ndarray, xyz: np.ndarray) -> None:
    """InputError where positions (N, 3) would fit the true ones (N, 3) m in another unit."""
    spread = np.median(np.linalg.norm(true_xyz - np.median(true_xyz, axis=0), axis=1))
    error = np.median(np.linalg.norm(xyz - true_xyz, axis=1))
    for factor, unit in FACTORS.items():
        other = np.median(np.linalg.norm(factor * xyz - true_xyz, axis=1))
        if other < BETTER * min(error, spread):
            raise InputError(
                f"{unit}: times {factor:g} the result's positions lie {other:.3g} m from the truth's, as they are "
                f"{error:.3g} m (medians); give both in metres"
            )


def find_copies(distance: np.ndarray, angle: np.ndarray) -> list[str]:
    """Signs that answers were made from the truth: errors (N,) m and (N,) rad that no measurement has."""
    exact = float(np.mean((distance <= EXACT) & (angle <= EXACT))) if len(distance) else 0.0
    if exact < FOUND:
        return []
    return [f"{100 * exact:.0f} % of the answers are exactly the truth: they were not measured"]


def _medians(true: RigidTransform, estimated: RigidTransform) -> np.ndarray:
    """Median errors: m, rad."""
    return np.array([np.median(position_errors(true, estimated)), np.median(rotation_errors(true, estimated))])


def _text(medians: np.ndarray) -> str:
    return f"{medians[0]:.3g} m and {np.degrees(medians[1]):.3g} deg"
