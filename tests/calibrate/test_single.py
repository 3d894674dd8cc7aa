"""One camera from its marks: honest where it is given, refused and named where it cannot be."""

import re
from dataclasses import replace

import numpy as np
import pytest
from consistency import assert_consistent

from geoloc.calibrate.single import SingleSolution, calibrate_camera, calibrate_each
from geoloc.calibrate.single_case import Problem, SingleOptions, priors_of
from geoloc.calibrate.single_poses import FOLDED, impossible
from geoloc.calibrate.solution import Refused
from geoloc.calibrate.usable_marks import usable_marks
from geoloc.estimators.camera_fit import fits_of
from geoloc.geometry.se3 import perturb
from geoloc.scene.known import Known, KnownCamera, KnownLens
from geoloc.scene.lenses import Lens, RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint
from geoloc.synthetic.drawn_cameras import COLLINEAR, SIZE, DrawnCamera, calib_error, draw_camera, draw_hard_camera

N_SITES = 20  # 200 in tools/recordings/drawn_calibration.py


def solved(site: DrawnCamera, options: SingleOptions | None = None) -> SingleSolution:
    found = calibrate_camera("cam", SIZE, site.marks, site.points, options)
    assert isinstance(found, SingleSolution), found
    return found


def lens_known(lens: Lens) -> Known:
    return Known(cameras=(KnownCamera("cam", lens="given"),), lenses=(KnownLens("given", lens, SIZE),))


def moved_points(site: DrawnCamera, change: np.ndarray) -> tuple[ControlPoint, ...]:
    xyz = np.array([point.xyz for point in site.points]) @ change
    return tuple(replace(point, xyz=tuple(row)) for point, row in zip(site.points, xyz.tolist(), strict=True))


def with_pixels(marks: Marks, rows: np.ndarray, pixels: np.ndarray) -> Marks:
    changed = marks.pixel.copy()
    changed[rows] = pixels
    return marks.replace(pixel=changed)


@pytest.fixture(scope="module")
def drawn() -> list[tuple[DrawnCamera, SingleSolution]]:
    rng = np.random.default_rng(5)
    sites = [draw_camera(rng, int(rng.integers(8, 25))) for _ in range(N_SITES)]
    return [(site, solved(site, SingleOptions(sigma_known=True))) for site in sites]


def test_poses_are_as_sure_as_they_say(drawn) -> None:
    errors = np.array([calib_error(found.camera, site.camera)[:6] for site, found in drawn])
    assert_consistent(errors, np.array([found.camera.calib_cov[:6, :6] for _, found in drawn]))  # 6.1 of 6


def test_ground_points_lie_where_their_ellipses_say(drawn) -> None:
    """The ground below the lowest mark, found from its true pixel as the engine does it."""
    errors, covs = [], []
    for site, found in drawn:
        place = site.truth[np.argsort(site.truth[:, 2])[0]] * [1, 1, 0]
        pixel = site.camera.project(place[None])
        ray = found.camera.unproject(pixel)[0]
        hit = found.camera.centre_world - ray * found.camera.centre_world[2] / ray[2]
        _, by_world, by_calib = found.camera.jacobians(place[None])
        back = np.linalg.inv(by_world[0][:, :2])
        errors.append(hit[:2] - place[:2])
        covs.append(back @ by_calib[0] @ found.camera.calib_cov @ by_calib[0].T @ back.T)
    assert_consistent(np.array(errors), np.array(covs))  # 1.8 of 2


def test_marks_of_unknown_accuracy_leave_a_camera_no_surer_than_it_is() -> None:
    rng = np.random.default_rng(8)
    values = []
    for _ in range(8):
        site = draw_camera(rng, int(rng.integers(8, 25)))
        found = solved(site)
        error = calib_error(found.camera, site.camera)[:6]
        values.append(error @ np.linalg.solve(found.camera.calib_cov[:6, :6], error))
    assert 2.0 < np.mean(values) < 7.5  # 5.3 of 6: heavier tails than a Gaussian's are never ruled out by few marks


def test_a_fifth_of_gross_outliers_is_survived_and_named() -> None:
    rng = np.random.default_rng(6)
    values, missed = [], 0
    for _ in range(6):
        n = int(rng.integers(15, 25))
        site = draw_camera(rng, n)
        wrong = rng.choice(n, n // 5, replace=False)
        pixels = np.column_stack([rng.uniform(0, SIZE[0] - 1, n // 5), rng.uniform(0, SIZE[1] - 1, n // 5)])
        far = np.linalg.norm(pixels - site.marks.pixel[wrong], axis=1) > 100
        site = replace(site, marks=with_pixels(site.marks, wrong, pixels))
        found = solved(site)
        error = calib_error(found.camera, site.camera)[:6]
        values.append(error @ np.linalg.solve(found.camera.calib_cov[:6, :6], error))
        missed += int(found.used[wrong[far]].sum())
    assert max(values) < 30  # 8.6 at most; 6 expected
    assert missed == 0


def test_a_fisheye_that_nobody_named_is_no_wrong_pose_called_good() -> None:
    """Through any other kind of lens the fit is 0.3 to 4 m off at 0.1 m stated, squared distances of 40 to 5000."""
    rng = np.random.default_rng(4)
    values = []
    for flat in (False, True) * 2:
        site = draw_camera(rng, int(rng.integers(10, 20)), flat, fisheye=True)
        found = solved(site)
        error = calib_error(found.camera, site.camera)[:6]
        values.append(error @ np.linalg.solve(found.camera.calib_cov[:6, :6], error))
    assert max(values) < 25  # 9.4 at most; 6 expected


@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_what_is_refused_as_loose_does_not_depend_on_where_the_map_begins(shift: float) -> None:
    """The camera's position is as sure however far the origin is: turning errors have no lever there."""
    site = draw_camera(np.random.default_rng(2), 12)
    moved = tuple(replace(p, xyz=(p.xyz[0] + shift, p.xyz[1] - shift, p.xyz[2])) for p in site.points)
    found = solved(replace(site, points=moved))
    assert np.linalg.norm(found.camera.centre_world - [shift, -shift, 0] - site.camera.centre_world) < 0.5


@pytest.mark.parametrize("flat", [False, True])
def test_a_mirrored_map_is_refused_and_called_mirrored(flat: bool) -> None:
    rng = np.random.default_rng(7)
    for _ in range(2):
        site = draw_camera(rng, int(rng.integers(8, 25)), flat)
        found = calibrate_camera("cam", SIZE, site.marks, moved_points(site, np.diag([-1.0, 1.0, 1.0])))
        assert isinstance(found, Refused)
        swapped = moved_points(site, np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]))
        found = calibrate_camera("cam", SIZE, site.marks, swapped)
        assert isinstance(found, Refused)
        assert "swapped" in found.next_step


def test_a_lens_that_folds_over_is_not_called_a_camera_behind_its_marks(rng) -> None:
    site = draw_camera(rng, 12)
    usable = usable_marks("cam", SIZE, site.marks, site.points, None)
    options = SingleOptions()
    problem = Problem("cam", SIZE, usable, options, None, None, priors_of(SIZE, None, options))
    focal = float(site.camera.lens.params[0])
    folded = RadialTangential(np.array([focal, focal, 959.5, 539.5, -5.0, 0, 0, 0]))
    turned = perturb(site.camera.cam_from_world, np.array([0, np.pi, 0, 0, 0, 0]))
    cases = {FOLDED: (folded, site.camera.cam_from_world), "behind its marks": (site.camera.lens, turned)}
    for words, (lens, pose) in cases.items():
        assert words in impossible(problem, fits_of(lens, [pose], usable.marked))


def test_marks_on_a_line_are_refused() -> None:
    rng = np.random.default_rng(9)
    for _ in range(20):
        site = draw_camera(rng, 12)
        line = np.linspace(0, 20, 12)[:, None] * [1, 0.3, 0]
        points = tuple(replace(p, xyz=tuple(x)) for p, x in zip(site.points, line.tolist(), strict=True))
        found = calibrate_camera("cam", SIZE, site.marks, points)
        assert isinstance(found, Refused)
        assert "one line" in found.reason


def test_marks_on_a_line_and_a_typo_are_refused() -> None:
    """The one point off the line is a typo that nothing contradicts: one in four were up to 38 m off, called good."""
    for seed in range(10):
        rng = np.random.default_rng([8, seed])
        site = draw_hard_camera(rng, COLLINEAR)
        typo = replace(site.points[0], xyz=tuple(site.points[0].xyz + np.array([*rng.normal(0, 5, 2), 0])))
        found = calibrate_camera("cam", SIZE, site.marks, (typo, *site.points[1:]))
        assert isinstance(found, Refused), seed
        assert "one line" in found.reason


def test_too_few_marks_are_told_how_many_more_and_where(rng) -> None:
    site = draw_camera(rng, 12)
    found = calibrate_camera("cam", SIZE, site.marks.take(np.arange(3)), site.points)
    assert isinstance(found, Refused)
    assert "mark 2 more points" in found.next_step
    assert "of the still" in found.next_step


def test_two_marks_of_one_point_and_a_mark_outside_its_still_are_named(rng) -> None:
    site = draw_camera(rng, 12)
    twice = site.marks.replace(point=["p0", *site.marks.point[:-1]])
    assert "'p0' is marked twice" in calibrate_camera("cam", SIZE, twice, site.points).reason
    outside = with_pixels(site.marks, np.array([3]), np.array([[2500.0, 20.0]]))
    assert "'p3' at (2500, 20) is outside" in calibrate_camera("cam", SIZE, outside, site.points).reason


def test_marks_made_on_a_larger_still_are_named(rng) -> None:
    site = draw_camera(rng, 12)
    found = calibrate_camera("cam", (960, 540), site.marks, site.points)
    assert "another size" in found.next_step
    lens = RadialTangential(np.array([1400.0, 1400, 479.5, 269.5, 0, 0, 0, 0]))
    found = calibrate_camera("cam", SIZE, site.marks, site.points, known=lens_known(lens))
    assert "960 x 540" in found.next_step


def test_a_point_that_the_map_does_not_have_is_told_with_the_nearest_name(rng) -> None:
    site = draw_camera(rng, 12)
    marks = site.marks.replace(point=["p11x", *site.marks.point[1:]])
    found = solved(replace(site, marks=marks))
    assert any("'p11x'" in note and "did you mean" in note for note in found.notes)
    assert np.isnan(found.residual[0]).all()
    assert not found.used[0]


def test_marks_in_one_corner_are_refused(rng) -> None:
    site = draw_camera(rng, 12)
    corner = site.marks.replace(pixel=site.marks.pixel * 0.1)
    assert "% of the still" in calibrate_camera("cam", SIZE, corner, site.points).reason


def test_degrees_for_metres_and_a_point_on_another_continent_are_named(rng) -> None:
    site = draw_camera(rng, 12)
    degrees = moved_points(site, np.eye(3) * 1e-5)
    assert "degrees" in calibrate_camera("cam", SIZE, site.marks, degrees).reason
    far = (replace(site.points[0], xyz=(-7.1e6, 3e6, 0.0)), *site.points[1:])
    assert "latitude and longitude" in calibrate_camera("cam", SIZE, site.marks, far).reason


def test_heights_in_feet_are_named() -> None:
    rng = np.random.default_rng(3)
    told = 0
    for _ in range(2):
        site = draw_camera(rng, 24)
        found = calibrate_camera("cam", SIZE, site.marks, moved_points(site, np.diag([1, 1, 1 / 0.3048])))
        if isinstance(found, Refused):
            told += "feet" in found.next_step
        else:  # most points lie at height 0: the camera is right, and the others are named
            assert np.linalg.norm(found.camera.centre_world - site.camera.centre_world) < 1.0
            assert sum("z were" in note for note in found.notes) >= 3
            told += 1
    assert told == 2


def test_swapped_marks_and_a_typo_are_told_apart(rng) -> None:
    site = draw_camera(rng, 20)
    far = int(np.argmax(np.linalg.norm(site.marks.pixel - site.marks.pixel[0], axis=1)))
    marks = with_pixels(site.marks, np.array([0, far]), site.marks.pixel[[far, 0]])
    notes = " ".join(solved(replace(site, marks=marks)).notes)
    assert f"swapped with that of 'p{far}'" in notes
    x, y, z = site.points[5].xyz
    typo = (*site.points[:5], replace(site.points[5], xyz=(x + 10, y, z)), *site.points[6:])
    notes = " ".join(solved(replace(site, points=typo)).notes)
    told = re.search(r"'p5' is wrong.*x were (-?[0-9.]+) instead", notes)
    assert told is not None, notes
    assert float(told[1]) == pytest.approx(x, abs=0.5)


def test_a_given_lens_needs_four_marks_and_is_kept() -> None:
    rng = np.random.default_rng(12)
    site = draw_camera(rng, 12)
    found = calibrate_camera("cam", SIZE, site.marks, site.points, known=lens_known(site.camera.lens))
    assert isinstance(found, SingleSolution)
    assert found.estimated == ()
    np.testing.assert_array_equal(found.camera.lens.params, site.camera.lens.params)
    assert np.linalg.norm(found.camera.centre_world - site.camera.centre_world) < 0.5


def test_a_rigid_motion_of_the_site_moves_the_camera_with_it(rng) -> None:
    site = draw_camera(rng, 16)
    here = solved(site).camera
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
    there = solved(replace(site, points=moved_points(site, turn))).camera
    np.testing.assert_allclose(there.centre_world, here.centre_world @ turn, atol=1e-3)


def test_the_order_of_the_marks_changes_nothing(rng) -> None:
    site = draw_camera(rng, 16)
    here = solved(site)
    other = solved(replace(site, marks=site.marks.take(np.arange(16)[::-1])))
    assert np.linalg.norm(here.camera.centre_world - other.camera.centre_world) < 1e-3


def test_cameras_that_fail_do_not_stop_the_others(rng) -> None:
    site = draw_camera(rng, 16)
    few = site.marks.take(np.arange(3)).replace(camera=["blind"] * 3)
    marks = type(few).concat([site.marks, few])
    found, _ = calibrate_each({"cam": SIZE, "blind": SIZE}, marks, site.points)
    assert [camera.name for camera in found.cameras] == ["cam"]
    assert [refused.camera for refused in found.refused] == ["blind"]
    assert np.isnan(found.residual[16:]).all()
    assert found.used[:16].sum() >= 15
