"""A report never calls a bad calibration good: wrong marks, too few, moved points and blind stalls are told."""

from dataclasses import replace

import numpy as np
import pytest
from calibrated import REFUSED, calibrated_garage, mark, solve, yard

from geoloc.calibrate.ground_cells import level_ground
from geoloc.calibrate.marks_left_out import leave_marks_out, scatter
from geoloc.calibrate.quality import ground_sight
from geoloc.calibrate.report import STATES, CalibrationReport, calibration_report
from geoloc.calibrate.solution import Solution
from geoloc.errors import UnknownNameError
from geoloc.scene.camera import Camera
from geoloc.scene.ground_error import ground_sigma
from geoloc.scene.lenses import Homography
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint
from geoloc.synthetic.garage import garage

CAMERA = "p2-southwest"  # ten marks


@pytest.fixture(scope="module")
def report() -> CalibrationReport:
    return calibration_report(*calibrated_garage(np.random.default_rng(7)))


def moved_mark(solution: Solution, site: Site, off_px: float) -> tuple[Marks, int]:
    """The marks with one of CAMERA's that lies wrong, and its row."""
    row = int(np.flatnonzero(solution.marks.camera == CAMERA)[3])
    pixel = solution.marks.pixel.copy()
    pixel[row] += [off_px, 0.0]
    return solution.marks.replace(pixel=pixel), row


def test_left_out_marks_lie_as_far_off_as_their_sigmas_say(rng: np.random.Generator) -> None:
    site = garage().site
    exact = tuple(replace(point, sigma=(0.0, 0.0, 0.0)) for point in site.site_map.control_points)
    site = replace(site, site_map=replace(site.site_map, control_points=exact))
    squares, scatters = [], []
    for _ in range(12):
        solution = solve(site, mark(site, rng))
        checks = leave_marks_out(solution, site.site_map)
        squares.append(checks.surprise[np.isfinite(checks.surprise)] ** 2)
        scatters += [scatter(camera.name, checks)[0] ** 2 for camera in solution.cameras]
    assert np.mean(np.concatenate(squares)) == pytest.approx(2.0, abs=0.25)  # of two directions
    assert np.mean(scatters) == pytest.approx(1.0, abs=0.12)


def test_every_camera_has_a_row_with_its_state_and_reason(report: CalibrationReport) -> None:
    assert [camera.name for camera in report.cameras] == [camera.name for camera in garage().site.cameras]
    refused = report.camera(REFUSED)
    assert refused.state == "refused"
    assert "3 marks" in refused.words[0]
    assert "mark more points" in refused.words[1]
    assert REFUSED not in report.site.camera_index
    assert report.camera(CAMERA).state == "consistent"
    assert {camera.state for camera in report.cameras} <= set(STATES)
    with pytest.raises(UnknownNameError, match="p2-southwest"):
        report.camera("p2-southwst")


def test_a_wrong_mark_is_named_and_its_camera_is_not_called_good(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    marks, row = moved_mark(solution, site, 30.0)
    found = calibration_report(site, solve(site, marks))
    camera = found.camera(CAMERA)
    assert camera.state == "suspicious"
    assert found.marks.suspicious[row]
    assert found.marks.surprise[row] == found.marks.surprise[found.marks.of(CAMERA)].max()
    assert any(words.startswith(f"mark {str(marks.point[row])!r} lies") for words in camera.words)


def test_an_outlier_had_no_say_and_is_told_as_far_off_as_it_is(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    marks, row = moved_mark(solution, site, 200.0)
    used = np.arange(len(marks)) != row
    found = calibration_report(site, solve(site, marks, used))
    assert found.camera(CAMERA).state == "consistent"
    assert found.camera(CAMERA).n_used == 9
    np.testing.assert_allclose(found.marks.left_out[row], found.marks.residual[row])
    assert np.linalg.norm(found.marks.left_out[row]) == pytest.approx(200.0, abs=8.0)  # px
    assert any("not used, as an outlier" in words for words in found.camera(CAMERA).words)


def test_marks_that_just_suffice_prove_nothing(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    rows = np.flatnonzero(solution.marks.camera == CAMERA)[[0, 2, 5, 7]]
    found = calibration_report(site, solve(site, solution.marks.take(rows)))
    assert found.camera(CAMERA).state == "unchecked"  # 8 observations for 6 unknowns
    assert any("add at least a mark more" in words for words in found.camera(CAMERA).words)
    assert found.camera("p2-southeast").state == "kept"
    assert "no marks" in found.camera("p2-southeast").words[0]


def test_a_camera_without_covariance_is_never_sharp(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    silent = tuple(replace(camera, calib_cov=np.zeros((6, 6))) for camera in solution.cameras)
    found = calibration_report(site, replace(solution, cameras=silent))
    assert {camera.state for camera in found.cameras} == {"no error stated", "refused"}
    assert np.isnan(found.ground_sigma(0.5))
    assert found.next_marks() == ()
    kept = yard((15.0, -4.0))
    camera = calibration_report(kept, Solution((), Marks(), np.zeros((0, 2)), np.zeros(0, bool), ())).camera("pole 1")
    assert camera.state == "no error stated"
    assert "kept as it was" in " ".join(camera.words)


def test_cells_say_what_pixels_say(report: CalibrationReport) -> None:
    camera = report.site.camera(CAMERA)
    sight = ground_sight(report.site, CAMERA)
    upper = sight.level == 1
    level = report.site.site_map.levels[1]
    expected = sight.sigma(camera.calib_cov)[upper]
    np.testing.assert_allclose(ground_sigma(camera, level, sight.xyz[upper, :2]), expected, rtol=1e-6)


def test_cells_count_the_cameras_that_see_them(report: CalibrationReport) -> None:
    for index, ground in enumerate(report.grounds):
        cells = np.arange(ground.count.size)
        seen = report.site.visibility.seen_by(np.full(len(cells), index), ground.centres(cells))
        np.testing.assert_array_equal(seen.sum(axis=1), ground.count.ravel())
        assert ground.seen_m2 <= ground.area_m2 * 1.02
    camera = report.camera(CAMERA)
    view = next(view for view in report.grounds[1].views if view.camera == CAMERA)
    assert camera.seen_m2 >= 0.25 * len(view.cells)
    assert all(area <= camera.seen_m2 for _, area in camera.overlaps)


def test_a_homography_states_its_ground_sigma() -> None:
    matrix = np.array([[40.0, 3.0, 200.0], [2.0, -25.0, 700.0], [0.0, 0.03, 1.0]])
    camera = Camera("flat", Homography(matrix.ravel()), (1280, 720), homography_level="lot", homography_sigma_px=2.0)
    level = yard().site_map.levels[0]
    xy = np.array([[5.0, 3.0], [12.0, 9.0]])
    u, v, w = matrix @ np.column_stack([xy, np.ones(2)]).T
    pixels = np.column_stack([u / w, v / w])
    circle = 2.0 * np.column_stack([np.cos(a := np.linspace(0, 2 * np.pi, 721)), np.sin(a)])
    for point, pixel, sigma in zip(xy, pixels, ground_sigma(camera, level, xy), strict=True):
        ground = camera.level_xy(pixel + 1e-3 * circle)
        assert 1e3 * np.linalg.norm(ground - point, axis=1).max() == pytest.approx(sigma, rel=1e-3)
    silent = replace(camera, homography_sigma_px=0.0)
    assert np.isnan(ground_sigma(silent, level, xy)).all()
    site = replace(yard(), cameras=(camera,))
    nothing = Solution((), Marks(), np.zeros((0, 2)), np.zeros(0, bool), ())
    assert calibration_report(site, nothing).camera("flat").state == "kept"


def test_blind_stalls_are_named() -> None:
    site = yard((15.0, -4.0))
    wall = replace(site.site_map.occluders[0], height=5.5)
    site = replace(site, site_map=replace(site.site_map, occluders=(wall,)))
    ground = level_ground(site, 0)
    blind = {stall.name for stall in ground.stalls if stall.blind}
    assert {"S4", "S5"} <= blind  # behind the wall
    assert "S0" not in blind
    report = calibration_report(site, Solution((), Marks(), np.zeros((0, 2)), np.zeros(0, bool), ()))
    assert any("S4" in words and "blind" in words for words in report.words)


def test_a_map_whose_origin_is_wrong_is_told(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    shifted = tuple(
        ControlPoint(point.name, (point.xyz[0] - 11.6, point.xyz[1] - 14.4, point.xyz[2]), point.sigma)
        for point in solution.points
    )
    said = " ".join(calibration_report(site, replace(solution, points=shifted)).words)
    assert "18.49 m together (east -11.60, north -14.40, up 0.00): is the map's origin right?" in said


def test_one_point_that_moved_is_named(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    first = solution.points[0]
    points = (replace(first, xyz=(first.xyz[0] + 1.0, *first.xyz[1:])), *solution.points[1:])
    found = calibration_report(site, replace(solution, points=points))
    assert [move.name for move in found.moves] == [first.name]
    assert found.moves[0].sigmas == pytest.approx(50.0)
    assert any(repr(first.name) in words and "same things" in words for words in found.words)


def test_cameras_that_share_no_ground_are_told() -> None:
    both = garage().site
    pair = replace(both, cameras=(both.camera("p1-row-a"), both.camera("p2-southwest")))
    words = calibration_report(pair, Solution((), Marks(), np.zeros((0, 2)), np.zeros(0, bool), ())).words
    assert any("2 groups that share no ground: p1-row-a; p2-southwest" in said for said in words)


def test_what_is_to_be_marked_next_can_be_seen(report: CalibrationReport) -> None:
    found = [mark for camera in report.cameras for mark in camera.next_marks]
    assert found
    for mark_ in found:
        assert mark_.sigma_after < mark_.sigma_before
        assert not (mark_.camera.startswith("p1-aisle") and mark_.point.startswith("P2"))  # through the ceiling
    gains = [mark_.sigma_before - mark_.sigma_after for mark_ in report.next_marks()]
    assert gains == sorted(gains, reverse=True)


def test_what_changed_leaves_refused_cameras_out(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    found = calibration_report(site, solution, site.cameras)
    assert REFUSED not in [change.camera for change in found.changes]
    assert {change.state for change in found.changes} == {"changed"}
    assert calibration_report(site, solution).changes == ()


def test_the_order_of_the_cameras_changes_nothing(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    turned = replace(solution, cameras=solution.cameras[::-1])
    one, other = calibration_report(site, solution), calibration_report(site, turned)
    assert repr(one.cameras) == repr(other.cameras)


def test_points_that_one_camera_marked_stay_where_the_map_has_them(rng: np.random.Generator) -> None:
    site, solution = calibrated_garage(rng)
    counts = {name: int((solution.marks.point == name).sum()) for name in set(solution.marks.point.tolist())}
    lonely = {name for name, n in counts.items() if n == 1}
    moved = tuple(replace(point, xyz=(point.xyz[0] + 0.5, *point.xyz[1:])) for point in solution.points)
    found = calibration_report(site, replace(solution, points=moved)).marks
    for name, xyz in zip(found.marks.point.tolist(), found.xyz, strict=True):
        on_map = next(point for point in site.site_map.control_points if point.name == name).xyz
        assert xyz[0] - on_map[0] == pytest.approx(0.0 if name in lonely else 0.5)
