"""Lenses from boards: honest covariances, what cannot be told is not told, what does not fit is left out."""

import numpy as np
import pytest
from board_samples import CHARUCO, CHESS, DOME, LENS, SIZE, board_pose, render, scattered_poses, seen_corners
from consistency import assert_consistent

from geoloc.calibrate.board_coverage import empty_thirds, lens_sigma
from geoloc.calibrate.board_detection import detect_boards
from geoloc.calibrate.boards import BoardCorners
from geoloc.calibrate.intrinsics import IntrinsicsOptions, calibrate_intrinsics, typical_prior
from geoloc.errors import GeometryError, InputError, UnknownNameError
from geoloc.scene.lenses import LENSES, RadialTangential

N_DRAWS = 8
MIDDLE = ((SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2)


@pytest.mark.parametrize(
    ("lens", "distance"), [(LENS, (0.35, 0.6)), (DOME, (0.12, 0.3))], ids=["radial_tangential", "fisheye"]
)
def test_covariance_is_honest_whatever_the_boards_poses(lens, distance, rng) -> None:
    errors, covs, sigmas = [], [], []
    for _ in range(N_DRAWS):
        corners = seen_corners(scattered_poses(rng, 12, lens, distance=distance), lens, rng=rng)
        fit = calibrate_intrinsics(corners, CHARUCO, SIZE, lens.model)
        assert not {"f", "cx", "cy", "k1", "k2"} & set(fit.held)
        errors.append(fit.lens.params - lens.params)
        covs.append(fit.cov)
        sigmas.append(fit.sigma_px)
    assert_consistent(np.array(errors), np.array(covs))
    assert np.mean(sigmas) == pytest.approx(0.2, rel=0.03)


def test_boards_in_the_middle_tell_no_distortion_and_keep_its_width(rng) -> None:
    prior = typical_prior(LENS, SIZE, IntrinsicsOptions())
    errors, covs = [], []
    for _ in range(N_DRAWS):
        # whoever takes it from a drawer: any lens such as there are
        unknowns = prior.mean + rng.normal(size=9) * np.where(np.isfinite(prior.sigma), 0.6 * prior.sigma, 0.0)
        params = np.array([unknowns[0], unknowns[0] * unknowns[1], *unknowns[2:]])
        lens = RadialTangential(params)
        poses = scattered_poses(rng, 12, lens, spread=0.1, distance=(1.4, 2.0), tilt_deg=45)
        fit = calibrate_intrinsics(seen_corners(poses, lens, rng=rng), CHARUCO, SIZE)
        assert {"k2", "k3"} <= set(fit.held)
        assert any("no board in the left third" in note for note in fit.notes)
        errors.append(fit.lens.params - params)
        covs.append(fit.cov)
    nees = np.einsum("ni,nij,nj->n", errors, np.linalg.inv(covs), errors)
    # lenses drawn at 0.6 of the typical sigmas: never overconfident, 4 to 9 where all are held or all are told
    assert 3.0 < nees.mean() < 10.0
    assert any("px in a corner of the picture" in note or "folds over" in note for note in fit.notes)


def test_same_tilt_everywhere_does_not_tell_the_focal_length(rng) -> None:
    spots = rng.uniform([100, 100], [860, 540], (12, 2))
    flat = [board_pose(LENS, spot, 0.6, (1, -1, 20 * i), CHARUCO) for i, spot in enumerate(spots)]
    with pytest.raises(GeometryError, match=r"focal length is not determined .* tilted alike.* tilted 30° to 45°"):
        calibrate_intrinsics(seen_corners(flat, rng=rng), CHARUCO, SIZE)


def test_small_far_boards_do_not_tell_the_focal_length(rng) -> None:
    poses = scattered_poses(rng, 5, spread=0.4, distance=(4.0, 5.0), tilt_deg=20)
    with pytest.raises(GeometryError, match="small, far off, or too few"):
        calibrate_intrinsics(seen_corners(poses, rng=rng), CHARUCO, SIZE)


def test_moved_pictures_and_wrong_corners_are_left_out_by_name(rng) -> None:
    corners = seen_corners(scattered_poses(rng, 14), rng=rng)
    pixel = corners.pixel.copy()
    bent = corners.view == "v03"
    pixel[bent] += rng.normal(0, 15.0, (bent.sum(), 2))
    swapped = np.flatnonzero(corners.view == "v05")[:2]
    pixel[swapped] = pixel[swapped[::-1]]
    clean = calibrate_intrinsics(corners, CHARUCO, SIZE)
    fit = calibrate_intrinsics(corners.replace(pixel=pixel), CHARUCO, SIZE)
    assert [refused.view for refused in fit.refused] == ["v03"]
    assert "px where those of the others" in fit.refused[0].reason
    assert set(np.flatnonzero(~fit.used & ~bent)) == set(swapped)
    assert any("2 single corners" in note for note in fit.notes)
    assert np.abs((fit.lens.params - clean.lens.params) / np.sqrt(np.diag(clean.cov))).max() < 1.5  # 0.6 sigma
    assert np.isnan(fit.residual[bent]).all()


@pytest.mark.parametrize("n_wrong", [3])
def test_a_quarter_of_the_pictures_may_be_of_something_else(n_wrong, rng) -> None:
    corners = seen_corners(scattered_poses(rng, 12), rng=rng)
    wrong = np.isin(corners.view, np.unique(corners.view)[:n_wrong])
    pixel = np.where(wrong[:, None], rng.uniform(0, SIZE, corners.pixel.shape), corners.pixel)
    fit = calibrate_intrinsics(corners.replace(pixel=pixel), CHARUCO, SIZE)
    assert len(fit.refused) == n_wrong
    assert fit.lens.params[0] == pytest.approx(700, rel=0.005)


def test_order_of_rows_and_names_of_views_do_not_matter(rng) -> None:
    corners = seen_corners(scattered_poses(rng, 10), rng=rng)
    mixed = corners.take(rng.permutation(len(corners)))
    mixed = mixed.replace(view=np.char.add("z", mixed.view))
    first, second = (calibrate_intrinsics(table, CHARUCO, SIZE) for table in (corners, mixed))
    assert np.abs((first.lens.params - second.lens.params) / np.sqrt(np.diag(first.cov))).max() < 1e-3
    np.testing.assert_allclose(first.cov, second.cov, rtol=1e-3, atol=1e-12)


def test_pictures_from_lens_to_numbers(rng) -> None:
    spots = [(250, 180), (700, 180), (260, 450), (700, 450), (480, 320), (350, 330), (600, 320)]
    tilts = [(-30, 30, 5), (30, 25, 95), (-25, -30, 20), (35, -20, 50), (5, 5, 0), (0, 40, 15), (40, 0, 80)]
    poses = [board_pose(LENS, spot, 0.55, tilt) for spot, tilt in zip(spots, tilts, strict=True)]
    found = detect_boards(((f"p{i}", render(pose, rng=rng)) for i, pose in enumerate(poses)), CHESS, "gate")
    fit = calibrate_intrinsics(found.corners, CHESS, found.size)
    assert len(fit.views) >= 5
    assert fit.rms_px < 0.1  # 0.04
    grid, sigma = lens_sigma(fit.lens, fit.cov, SIZE)
    assert fit.lens.params[0] == pytest.approx(700, abs=4 * fit.sigma["fx"] + 0.3)
    assert grid.shape[:2] == sigma.shape


def test_freed_unknowns_are_those_named(rng) -> None:
    lens = RadialTangential(np.array([700.0, 700.0, *MIDDLE, -0.2, 0, 0, 0, 0]))
    corners = seen_corners(scattered_poses(rng, 10, lens), lens, rng=rng)
    fit = calibrate_intrinsics(corners, CHARUCO, SIZE, free=("f", "k1"))
    assert fit.freed == ("f", "k1")
    assert fit.lens.params[0] == fit.lens.params[1]
    np.testing.assert_array_equal(np.sqrt(np.diag(fit.cov))[[2, 3, 5, 6, 7, 8]], 0.0)
    assert fit.sigma["fx"] == pytest.approx(fit.sigma["fy"], rel=1e-9)
    assert fit.camera().calib_cov.shape == (15, 15)


def test_an_unknown_that_is_not_told_is_not_freed_on_demand(rng) -> None:
    poses = scattered_poses(rng, 12, spread=0.1, distance=(1.4, 2.0), tilt_deg=45)
    with pytest.raises(GeometryError, match=r"do not tell k[23]"):
        calibrate_intrinsics(seen_corners(poses, rng=rng), CHARUCO, SIZE, free=("f", "cx", "cy", "k1", "k2", "k3"))


def test_wrong_calls_are_told(rng) -> None:
    corners = seen_corners(scattered_poses(rng, 4), rng=rng)
    with pytest.raises(UnknownNameError, match="fish_eye"):
        calibrate_intrinsics(corners, CHARUCO, SIZE, "fish_eye")
    with pytest.raises(UnknownNameError, match="k4"):
        calibrate_intrinsics(corners, CHARUCO, SIZE, free=("f", "k4"))
    with pytest.raises(InputError, match="must name f"):
        calibrate_intrinsics(corners, CHARUCO, SIZE, free=("k1",))
    with pytest.raises(InputError, match="is off the picture of 640 x 480"):
        calibrate_intrinsics(corners, CHARUCO, (640, 480))
    with pytest.raises(InputError, match="no corners"):
        calibrate_intrinsics(BoardCorners(), CHARUCO, SIZE)
    with pytest.raises(InputError, match="has 0 to 34"):
        calibrate_intrinsics(corners.replace(corner=corners.corner + 30), CHARUCO, SIZE)
    two = BoardCorners.concat([corners, corners.replace(camera=np.full(len(corners), "hall"))])
    with pytest.raises(InputError, match="gate, hall"):
        calibrate_intrinsics(two, CHARUCO, SIZE)
    with pytest.raises(GeometryError, match=r"2 of 2 pictures.*3 are the fewest"):
        calibrate_intrinsics(corners.take(corners.view < "v02"), CHARUCO, SIZE)
    with pytest.raises(InputError, match="four positive shares"):
        IntrinsicsOptions(radial=(0.2, 0.1))


def test_thirds_without_a_board_are_named() -> None:
    left = np.random.default_rng(0).uniform([0, 0], [500, 640], (200, 2))
    assert empty_thirds(left, SIZE) == ["right"]


def test_sigma_of_a_lens_is_what_a_turn_does_not_take_up() -> None:
    # a shift of the axis is very nearly a turn of the camera; a focal length is not
    cov = np.zeros((4, 4))
    cov[2, 2] = 1.0
    pinhole = LENSES["pinhole"](np.array([3000.0, 3000.0, *MIDDLE]))
    _, shifted = lens_sigma(pinhole, cov, SIZE)
    cov = np.zeros((4, 4))
    cov[0, 0] = cov[1, 1] = cov[0, 1] = cov[1, 0] = 9.0
    _, zoomed = lens_sigma(pinhole, cov, SIZE)
    assert shifted.max() < 0.03  # px of 1
    corner = 3.0 * np.hypot(*SIZE) / 2 / 3000
    assert zoomed[0, 0] == pytest.approx(corner, rel=0.02)
