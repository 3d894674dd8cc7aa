"""The marking page in a browser: calibrated at every mark, lines drawn into the still, and clicks into a scan."""

import numpy as np
import pytest
from marking_clicks import CAMERA, at, click, mark, settled, spread
from marking_samples import garage_site, true_pixels
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.scan import ScanRegistration
from geoloc.io.known import read_lines
from geoloc.io.points import read_points
from geoloc.scene.known import Distances, ImageLines, Known
from geoloc.scene.site import Site
from geoloc.service.live import live_calibration
from geoloc.service.marking import MarkingSession
from geoloc.service.scan_view import ScanView
from geoloc.service.stills import find_stills

BOLLARD, SIGMA = (24.0, 8.0, 0.9), 0.03  # m: middle of its top, and how well the scan lies


@pytest.fixture(scope="module")
def scan() -> ScanView:
    """A floor of the garage's level P1 with one bollard of half a metre across, 0.9 m high."""
    rng = np.random.default_rng(5)
    floor = np.column_stack([rng.uniform([4, 2], [44, 28], (60_000, 2)), rng.normal(size=60_000) * 0.01])
    top = rng.uniform(-0.4, 0.4, (2000, 3)) * [1, 1, 0] + BOLLARD + rng.normal(size=(2000, 3)) * [0, 0, 0.01]
    cov = np.diag([0.0, 0.0, 0.0, *[SIGMA**2] * 3, 0.0])
    registration = ScanRegistration(RigidTransform.identity(), 1.0, cov, 0.01, 0.01, 1.0, 0.0)
    return ScanView(np.concatenate([floor, top]), registration, garage_site().site_map)


@pytest.fixture
def session(site, stills, tmp_path, scan) -> MarkingSession:
    """The garage before it is calibrated, with a scan."""
    fresh = Site(site.name, (), site.site_map)
    solve = live_calibration(fresh, Known(Distances(), ImageLines()))
    return MarkingSession(fresh, find_stills(stills), tmp_path / "calibration", solve, scan=scan)


def draw(page, mode, start, end):
    page.click(f"#modes [data-mode={mode}]")
    click(page, "still", start)
    click(page, "still", end)
    settled(page)


def lines_of(session):
    return read_lines(session.folder / "lines.csv")[0]


def test_refused_at_first_then_found_as_marks_are_clicked(open_page, site):
    page = open_page()
    assert "0 marks at points of the map" in page.inner_text("#verdict-head")
    assert "all over the still" in page.inner_text("#next-step")
    for name, pixel in spread(site, 8).items():
        mark(page, name, pixel)
    assert page.inner_text("#verdict-head") == "8 marks confirm each other."
    facts = page.inner_text("#facts")
    assert "pose, f" in facts
    assert "nine tenths of it better than" in facts
    assert float(page.inner_text("#rms")) < 1.5  # px; the screen is coarser than the still
    following = page.evaluate("now.next")
    (u, v) = true_pixels(site.camera(CAMERA), site)[following["point"]]
    assert (following["u"], following["v"]) == pytest.approx((u, v), abs=15.0)  # px, by eight marks
    assert f"Mark {following['point']} next" in page.inner_text("#next-step")
    page.evaluate("level => setLevel(level)", 1 - following["level"])
    page.click("#next-step button")
    assert page.evaluate("now.level") == following["level"]


def test_a_wrong_mark_is_named_and_found_by_its_name(open_page, site, session):
    wanted = spread(site, 9)
    names, pixels = list(wanted), list(wanted.values())
    pixels[2], pixels[6] = pixels[6], pixels[2]
    for name, pixel in zip(names, pixels, strict=True):
        session.mark(CAMERA, name, pixel, 1.0)
    page = open_page()
    assert page.inner_text("#verdict-head").startswith("2 of 9 marks look wrong")
    assert "looks swapped with that of" in page.inner_text("#wrong")
    assert set(page.locator("#list .poor .point").all_inner_texts()) == {names[2], names[6]}
    page.click(f"#wrong button:has-text('{names[2]}')")
    assert page.evaluate("now.selected") == names[2]
    page.keyboard.press("Delete")
    settled(page)
    assert names[2] not in session.state.marks.point.tolist()


def test_lines_are_drawn_with_two_clicks_undone_moved_and_deleted(open_page, session):
    page = open_page()
    draw(page, "plumb", (300, 300), (310, 700))
    draw(page, "parallel", (600, 500), (900, 480))
    draw(page, "parallel", (600, 600), (900, 590))
    draw(page, "horizon", (100, 200), (1700, 210))
    lines = lines_of(session)
    assert lines.kind.tolist() == ["plumb", "parallel", "parallel", "horizon"]
    assert lines.group.tolist() == ["", "A", "A", ""]
    np.testing.assert_allclose(lines.start[0], (300, 300), atol=1.5)  # px: half a pixel of the screen
    assert page.locator("#lines .point").all_inner_texts() == ["plumb", "parallel A", "parallel A", "horizon"]
    page.keyboard.press("Control+z")
    settled(page)
    assert len(lines_of(session)) == 3
    page.mouse.move(*at(page, "still", (310, 700)))
    page.mouse.down()
    page.mouse.move(*at(page, "still", (300, 760)), steps=4)
    page.mouse.up()
    settled(page)
    np.testing.assert_allclose(lines_of(session).end[0], (300, 760), atol=1.5)
    page.click("#lines li:nth-child(1) .point")
    page.keyboard.press("Delete")
    settled(page)
    page.click("#lines li:nth-child(2) .gone")
    settled(page)
    assert lines_of(session).kind.tolist() == ["parallel"]
    assert len(session.state.marks) == 0
    page.reload()
    page.wait_for_function("() => now.picture && now.verdict")
    assert page.locator("#lines .point").all_inner_texts() == ["parallel A"]


def test_a_new_set_of_parallel_lines_and_escape(open_page, session):
    page = open_page()
    draw(page, "parallel", (600, 500), (900, 480))
    page.select_option("#set", "B")
    draw(page, "parallel", (600, 700), (610, 200))
    assert lines_of(session).group.tolist() == ["A", "B"]
    click(page, "still", (100, 100))
    page.keyboard.press("Escape")  # half a line is given up
    page.keyboard.press("Escape")  # and then the tool
    assert page.get_attribute("#modes [data-mode=point]", "aria-checked") == "true"
    assert page.evaluate("now.drawing") is None
    assert len(session.state.lines) == 2


def test_too_short_a_line_is_not_drawn(open_page, session):
    page = open_page()
    page.click("#modes [data-mode=plumb]")
    click(page, "still", (300, 300))
    click(page, "still", (304, 302))
    assert "too short" in page.inner_text("#toast")
    click(page, "still", (304, 600))
    settled(page)
    assert len(session.state.lines) == 1


def test_a_click_into_the_scan_gives_a_point_with_its_height_and_sigma(open_page, session):
    page = open_page()
    page.wait_for_function("() => scanHere()")
    click(page, "still", (700, 600))
    click(page, "map", BOLLARD[:2])
    page.wait_for_selector("#ask[open]")
    assert "scan's surface" in page.inner_text("#ask-help")
    page.fill("#ask-name", "bollard")
    page.keyboard.press("Enter")
    settled(page)
    (point,) = read_points(session.folder / "points.csv").points
    assert point.xyz == pytest.approx(BOLLARD, abs=0.15)
    assert point.xyz[2] == pytest.approx(BOLLARD[2], abs=0.01)  # m; a mean of some 100 points of 1 cm
    assert point.sigma[2] == pytest.approx(SIGMA, abs=0.003)
    assert SIGMA < point.sigma[0] < 0.3  # m: the scan's place, and a pixel of the screen
    assert session.state.marks.point.tolist() == ["bollard"]


def test_where_the_scan_has_nothing_a_click_sets_nothing(open_page, session):
    page = open_page()
    page.wait_for_function("() => scanHere()")
    click(page, "still", (700, 600))
    click(page, "map", (50.0, 20.0))
    page.wait_for_selector("#toast:visible")
    assert "the scan has no points there" in page.inner_text("#toast")
    assert not page.is_visible("#ask")
    page.uncheck("#show-scan")
    click(page, "map", (50.0, 20.0))
    page.wait_for_selector("#ask[open]")
    assert page.input_value("#ask-height") == "0"


def test_what_stands_higher_than_the_cut_is_left_out(open_page):
    page = open_page()
    page.fill("#cut", "0.5")
    page.keyboard.press("Tab")
    page.wait_for_function("() => scan.wanted.endsWith('/50') && scanHere()")
    click(page, "still", (700, 600))
    click(page, "map", BOLLARD[:2])
    page.wait_for_selector("#ask[open]")
    assert float(page.input_value("#ask-height")) == pytest.approx(0.0, abs=0.02)  # m: the floor under the bollard
