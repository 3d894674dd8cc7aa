"""A pose as the commands that find one tell it."""

import numpy as np

from geoloc.relocalize.estimate import Hypothesis


def plain_pose(one: Hypothesis) -> dict[str, object]:
    """Where a hypothesis has the image, as plain values."""
    pose, camera = one.camera.cam_from_world, one.camera
    return {
        "position_m": camera.centre_world.round(4).tolist(),
        "position_sigma_m": _sigma(one).round(5).tolist(),
        "quaternion_wxyz": np.roll(pose.rotation.as_quat(canonical=True), 1).round(9).tolist(),
        "translation_m": pose.translation.round(6).tolist(),
        "cov": camera.calib_cov[:6, :6].tolist(),
        "lens": dict(zip(camera.lens.parameter_names, camera.lens.params.round(5).tolist(), strict=True)),
        "level": one.level,
        "level_probability": one.level_probability,
        "probability": round(one.probability, 6),
    }


def _sigma(one: Hypothesis) -> np.ndarray:
    """Standard deviations (3,) m of the position."""
    turn = one.camera.cam_from_world.rotation.as_matrix()
    return np.sqrt(np.diag(turn.T @ one.camera.calib_cov[3:6, 3:6] @ turn))


def where(one: Hypothesis) -> str:
    """Position with sigma, and level, in one line."""
    level = f", level {one.level} ({one.level_probability:.0%})" if one.level else ""
    places = zip("xyz", one.camera.centre_world, _sigma(one), strict=True)
    return f"{', '.join(f'{axis} {at:.3f} ± {by:.3f}' for axis, at, by in places)} m{level}"
