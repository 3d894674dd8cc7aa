"""A pose estimate as plain values, for machines."""

import numpy as np

from geoloc.relocalize.estimate import Hypothesis, PoseEstimate


def plain_estimate(found: PoseEstimate, n_images: int) -> dict[str, object]:
    """The best hypothesis's fields if it is an answer, why not otherwise, and all hypotheses, of `n_images` known."""
    report: dict[str, object] = {"answered": found.answered, "refusal": found.refusal, "images": n_images}
    if found.answered:
        report |= _plain(found.best)
    report["hypotheses"] = [_plain(each) for each in found.hypotheses]
    return report


def plain_pose(one: Hypothesis) -> dict[str, object]:
    """Where a hypothesis has the image, as plain values."""
    pose, camera = one.camera.cam_from_world, one.camera
    return {
        "position_m": camera.centre_world.round(4).tolist(),
        "position_sigma_m": position_sigma(one).round(5).tolist(),
        "quaternion_wxyz": np.roll(pose.rotation.as_quat(canonical=True), 1).round(9).tolist(),
        "translation_m": pose.translation.round(6).tolist(),
        "cov": camera.calib_cov[:6, :6].tolist(),
        "lens": dict(zip(camera.lens.parameter_names, camera.lens.params.round(5).tolist(), strict=True)),
        "level": one.level,
        "level_probability": one.level_probability,
        "probability": round(one.probability, 6),
    }


def position_sigma(one: Hypothesis) -> np.ndarray:
    """Standard deviations (3,) m of the position."""
    turn = one.camera.cam_from_world.rotation.as_matrix()
    return np.sqrt(np.diag(turn.T @ one.camera.calib_cov[3:6, 3:6] @ turn))


def _plain(one: Hypothesis) -> dict[str, object]:
    return plain_pose(one) | {
        "inliers": len(one.points),
        "looked_for": one.evidence.n,
        "found": one.evidence.wins,
        "log_odds": round(one.evidence.log_odds, 2),
    }
