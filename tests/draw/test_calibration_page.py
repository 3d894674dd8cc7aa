"""The calibration page: its numbers are the report's, names stay text, it fits every screen and needs no still."""

import re
import time
from dataclasses import replace

import numpy as np
import pytest
from calibrated import REFUSED, calibrated_garage, mark, solve, yard

from geoloc.calibrate.report import calibration_report
from geoloc.calibrate.solution import Refused, Solution
from geoloc.draw.calibration_page import write_calibration_page
from geoloc.draw.ground_bands import length_text
from geoloc.errors import InputError, UnknownNameError
from geoloc.evaluation.calibration_text import report_text
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.synthetic.stills import render_still

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>{{script}}"


@pytest.fixture(scope="module")
def report():
    site, solution = calibrated_garage(np.random.default_rng(7))
    return calibration_report(site, solution, site.cameras)


@pytest.fixture(scope="module")
def page_file(report, tmp_path_factory):
    return write_calibration_page(report, tmp_path_factory.mktemp("page") / "garage.html")


@pytest.fixture(scope="module")
def hostile_file(tmp_path_factory):
    """A yard in which every name is an attack, with stills, an outlier, and a camera that is refused."""
    site = yard((15.0, -4.0), (33.0, 14.0))
    cameras = tuple(replace(camera, name=HOSTILE + camera.name) for camera in site.cameras)
    points = tuple(replace(point, name=HOSTILE + point.name) for point in site.site_map.control_points)
    level = replace(site.site_map.levels[0], name=HOSTILE)
    things = {
        name: tuple(replace(thing, name=HOSTILE + thing.name, level=HOSTILE) for thing in getattr(site.site_map, name))
        for name in ("stalls", "occluders")
    }
    site = Site(HOSTILE, cameras, replace(site.site_map, levels=(level,), control_points=points, **things))
    marks = mark(site, np.random.default_rng(5), 0.3)
    used = np.arange(len(marks)) != 1
    solution = replace(solve(site, marks, used), notes=(HOSTILE,))
    refused = (*solution.refused, Refused(HOSTILE, HOSTILE, HOSTILE))
    stills = {c.name: render_still(c, site.site_map, np.random.default_rng(1)) for c in cameras}
    found = calibration_report(site, replace(solution, refused=refused), cameras)
    return write_calibration_page(found, tmp_path_factory.mktemp("hostile") / "page.html", stills)


def test_the_table_says_what_the_report_says(report, page_file, open_file) -> None:
    page = open_file(page_file)
    rows = page.locator(".wide-table tbody tr")
    assert rows.count() == len(report.cameras)
    for i, camera in enumerate(report.cameras):
        cells = rows.nth(i).locator("th, td").all_inner_texts()
        assert cells[0] == camera.name
        assert camera.state in cells[1]
        if camera.state == "refused":
            assert cells[2:5] == [str(camera.n_marks), "–", "–"]
            continue
        assert cells[2] == f"{camera.n_used} of {camera.n_marks}"
        assert cells[3:5] == [f"{camera.rms_px:.2f} px", f"{camera.left_out_px:.2f} px"]
        lengths = (camera.left_out_m, camera.centre_sigma_m, camera.ground_median_m, camera.ground_p90_m)
        assert cells[5:9] == [length_text(value) for value in lengths]
        assert cells[9] == f"{camera.seen_m2:,.0f} m²"


def test_headlines_marks_and_suggestions_are_the_reports(report, page_file, open_file) -> None:
    page = open_file(page_file)
    values = page.locator(".stat .value").all_inner_texts()
    assert values[1] == f"{report.left_out_px:.2f} px"
    assert values[2] == f"{report.rms_px:.2f} px"
    assert values[3] == length_text(report.ground_sigma(0.5))
    first = page.locator(".suggestions li").first.inner_text()
    best = report.next_marks()[0]
    assert best.camera in first
    assert f"{length_text(best.sigma_before)} → {length_text(best.sigma_after)}" in first
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    shown = page.locator(".marks-table tbody tr")
    assert shown.count() == len(report.marks.marks)
    texts = {tuple(re.split(r"\s+", row)[-5:]) for row in shown.all_inner_texts()}
    checks = report.marks
    for row in report.marks.of("p2-southwest").tolist():
        sizes = [f"{np.linalg.norm(part[row]):.2f}" for part in (checks.residual, checks.left_out)]
        assert (*sizes, *length_text(float(np.linalg.norm(checks.left_out_m[row]))).split(" "),
                f"{checks.surprise[row]:.1f}") in texts  # fmt: skip
    assert page.locator(".still .mark").count() == len(report.marks.marks)
    assert page.locator(".still .best").count() == sum(bool(camera.next_marks) for camera in report.cameras)


def test_a_refused_camera_says_why(report, page_file, open_file) -> None:
    page = open_file(page_file)
    number = [camera.name for camera in report.cameras].index(REFUSED)
    words = page.locator(f"#c{number}").inner_text()
    assert "refused" in words
    assert "four are the fewest" in words
    assert "mark more points in its still".capitalize() in words


def test_a_page_without_stills_draws_lines_and_marks(page_file) -> None:
    page = page_file.read_text(encoding="utf-8")
    assert "<image" not in page
    assert page.count('class="lines"') == 11
    assert len(page) < 2_000_000


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_flows_over_the_edge(page_file, hostile_file, open_file, width, scheme) -> None:
    for file in (page_file, hostile_file):
        page = open_file(file, width, color_scheme=scheme)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        over = page.evaluate(
            "width => [...document.querySelectorAll('main *, header *')].filter(e => !e.closest('svg')"
            " && !e.closest('.wide-table') && e.getBoundingClientRect().right > width + 1).length",
            width,
        )
        assert over == 0


def test_hostile_names_stay_text(hostile_file, open_file) -> None:
    page = open_file(hostile_file)
    assert page.evaluate("window.hit") is None
    assert page.locator("main img").count() == 0
    assert "</script><script>window.hit=1</script>" in page.locator("h1").inner_text()
    assert "{{script}}" in page.locator("h1").inner_text()
    assert page.locator("script").count() == 1


def test_what_is_drawn_can_be_hidden(page_file, open_file) -> None:
    page = open_file(page_file)
    lines = page.locator(".still .lines").first
    assert lines.is_visible()
    page.get_by_label("map lines").uncheck()
    assert not lines.is_visible()


def test_marks_and_places_tell_their_numbers(report, page_file, open_file) -> None:
    page = open_file(page_file)
    page.locator(".still .mark").first.hover()
    assert "residual" in page.locator(".tip").inner_text()
    page.locator(".ground .hovers rect").nth(40).hover()
    assert re.search(r"\) m: .* sharp, seen by \d", page.locator(".tip").inner_text())


def test_stills_of_the_wrong_camera_or_shape_are_refused(report, tmp_path) -> None:
    name = report.cameras[0].name
    with pytest.raises(UnknownNameError, match="p1-aisle"):
        write_calibration_page(report, tmp_path / "a.html", {name[:-1]: np.zeros((540, 960, 3), np.uint8)})
    with pytest.raises(InputError, match="960 x 700, its camera 1920 x 1080"):
        write_calibration_page(report, tmp_path / "a.html", {name: np.zeros((700, 960, 3), np.uint8)})
    with pytest.raises(InputError, match="uint8"):
        write_calibration_page(report, tmp_path / "a.html", {name: np.zeros((540, 960))})
    assert not (tmp_path / "a.html").exists()


@pytest.mark.slow
def test_fourteen_cameras_with_stills_take_seconds(report, tmp_path) -> None:
    still = np.full((1080, 1920, 3), 128, np.uint8)
    start = time.process_time()
    write_calibration_page(report, tmp_path / "page.html", {camera.name: still for camera in report.cameras})
    assert time.process_time() - start < 10  # s; 1.4 found


def test_an_empty_site_has_a_page(tmp_path) -> None:
    nothing = Solution((), Marks(), np.zeros((0, 2)), np.zeros(0, bool), ())
    found = calibration_report(Site("nowhere", ()), nothing)
    assert write_calibration_page(found, tmp_path / "page.html").is_file()
    assert "calibration of nowhere" in report_text(found)


def test_the_terminal_says_what_the_report_says(report) -> None:
    said = report_text(report, marks=True)
    for camera in report.cameras:
        line = next(line for line in said.splitlines() if line.startswith(camera.name))
        assert camera.state in line
        if np.isfinite(camera.rms_px):
            assert f"{camera.rms_px:.2f}" in line
            assert f"{camera.ground_p90_m:.3f}" in line
    assert "where to mark next:" in said
    assert said.count("P1 mark 5") == int((report.marks.marks.point == "P1 mark 5").sum())
