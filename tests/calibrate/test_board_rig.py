"""Rigs from one board: honest even though the board moves between exposures; what has no link is named."""

from dataclasses import replace

import numpy as np
import pytest
from board_samples import CHARUCO, CHESS, SIZE
from consistency import assert_consistent
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.calibrate.board_rig import calibrate_rig
from geoloc.calibrate.boards import BoardCorners
from geoloc.errors import GeometryError, InputError
from geoloc.geometry.se3 import from_rt
from geoloc.scene.lenses import RadialTangential

LENSES = {
    "left": RadialTangential(np.array([700.0, 700.7, 488.0, 312.0, -0.2, 0.06, 0.0004, -0.0006, -0.01])),
    "right": RadialTangential(np.array([720.0, 719.0, 471.0, 325.0, -0.15, 0.04, -0.0003, 0.0002, 0.0])),
}
POSES = {"left": RigidTransform.identity(), "right": from_rt(np.array([0.02, -0.6, 0.05]), np.array([0.45, 0.01, 0.2]))}
SIZES = dict.fromkeys(LENSES, SIZE)
TURN, SHIFT, SIGMA = 0.004, 0.001, 0.2


def rig_corners(rng, n=12, turn=TURN, shift=SHIFT) -> BoardCorners:
    """What both cameras see of a board that slips a little between their exposures."""
    tables = []
    middle = CHARUCO.points.mean(axis=0)
    for view in range(n):
        place = rng.uniform([-0.12, -0.1, 0.5], [0.22, 0.1, 0.75])
        tilt = Rotation.from_euler("yxz", rng.uniform([-25, -35, -180], [55, 35, 180]), degrees=True)
        board = RigidTransform.from_components(place, tilt) * RigidTransform.from_translation(-middle)
        for name, lens in LENSES.items():
            slip = RigidTransform.from_components(rng.normal(0, shift, 3), Rotation.from_rotvec(rng.normal(0, turn, 3)))
            moved = RigidTransform.from_translation(place) * slip * RigidTransform.from_translation(-place)
            pixel = lens.project((POSES[name] * moved * board).apply(CHARUCO.points))
            inside = np.isfinite(pixel).all(axis=1) & (pixel > 0).all(axis=1) & (pixel < np.array(SIZE) - 1).all(axis=1)
            number = np.flatnonzero(inside)
            names = {"camera": np.full(len(number), name), "view": np.full(len(number), f"t{view:02d}")}
            noisy = pixel[number] + rng.normal(0, SIGMA, (len(number), 2))
            tables.append(BoardCorners(corner=number, pixel=noisy, **names))
    return BoardCorners.concat(tables)


def errors_of(fit) -> np.ndarray:
    """Errors (24,) of the second camera's pose and both lenses."""
    left, right = fit.cameras
    xi = (right.cam_from_world * POSES["right"].inv()).as_exp_coords()
    parts = [left.lens.params - LENSES["left"].params, xi, right.lens.params - LENSES["right"].params]
    return np.concatenate(parts)


def test_covariance_of_a_rig_is_honest_though_the_board_slips(rng) -> None:
    errors, covs, slips = [], [], []
    for _ in range(5):
        fit = calibrate_rig(rig_corners(rng), CHARUCO, SIZES)
        errors.append(errors_of(fit))
        covs.append(fit.cov[6:, 6:])
        slips.append((fit.slip.turn, fit.slip.shift))
    assert_consistent(np.array(errors), np.array(covs))
    assert_consistent(np.array(errors)[:, 9:15], np.array(covs)[:, 9:15, 9:15])
    np.testing.assert_allclose(np.mean(slips, axis=0), (TURN, SHIFT), rtol=0.2)


def test_a_still_board_gives_a_slip_of_nothing(rng) -> None:
    fit = calibrate_rig(rig_corners(rng, turn=0.0, shift=0.0), CHARUCO, SIZES)
    assert fit.slip.turn < 5e-4
    assert fit.slip.shift < 2e-4
    assert fit.rms_px == pytest.approx(SIGMA * np.sqrt(2), rel=0.1)
    assert not fit.refused


def test_the_first_camera_is_the_world(rng) -> None:
    corners = rig_corners(rng)
    fit = calibrate_rig(corners, CHARUCO, SIZES)
    turned = calibrate_rig(corners, CHARUCO, dict(reversed(SIZES.items())))
    assert fit.cameras[0].cam_from_world.as_matrix() == pytest.approx(np.eye(4))
    assert not fit.cameras[0].calib_cov[:6].any()
    assert [camera.name for camera in turned.cameras] == ["right", "left"]
    between = [f.cameras[1].cam_from_world for f in (fit, turned)]
    assert np.abs((between[0] * between[1]).as_exp_coords()).max() < 1e-4


def test_a_picture_of_another_moment_is_left_out_by_name(rng) -> None:
    corners = rig_corners(rng, n=18)
    late = (corners.camera == "right") & (corners.view == "t04")
    other = (corners.camera == "right") & (corners.view == "t09")
    assert late.any()
    assert other.any()
    view = np.where(late, "t09", np.where(other, "t04", corners.view))
    fit = calibrate_rig(corners.replace(view=view), CHARUCO, SIZES)
    named = {refused.view.split()[1] for refused in fit.refused}
    assert named == {"t04", "t09"}
    assert "not the same moment" in fit.refused[0].reason
    assert np.abs(errors_of(fit)[9:12]).max() < 0.02  # rad


def test_cameras_that_never_see_the_board_together_are_named(rng) -> None:
    corners = rig_corners(rng)
    apart = corners.replace(view=np.char.add(corners.camera, corners.view))
    with pytest.raises(GeometryError, match="2 groups that never see the board at once: left; right"):
        calibrate_rig(apart, CHARUCO, SIZES)


def test_wrong_rigs_are_refused(rng) -> None:
    corners = rig_corners(rng, n=4)
    with pytest.raises(InputError, match="upside down"):
        calibrate_rig(corners, CHESS, SIZES)
    with pytest.raises(InputError, match="two cameras or more"):
        calibrate_rig(corners, CHARUCO, {"left": SIZE})
    with pytest.raises(InputError, match="'right'"):
        calibrate_rig(corners, CHARUCO, {"left": SIZE, "hall": SIZE})
    with pytest.raises(GeometryError, match="camera 'left': 2 views"):
        calibrate_rig(corners.take(corners.view < "t02"), CHARUCO, SIZES)
    with pytest.raises(InputError, match="has 0 to 14"):
        calibrate_rig(corners, replace(CHARUCO, columns=6, rows=4), SIZES)
