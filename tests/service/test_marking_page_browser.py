"""The marking page in a browser: clicks and keys become marks, residuals follow, and nothing is lost."""

import numpy as np
import pytest
from marking_clicks import CAMERA, at, click, mark, settled, show_level, spread
from marking_samples import true_pixels

from geoloc.io.marks import read_marks
from geoloc.io.points import read_points
from geoloc.service.marking_state import Spot

HELD_BACK = "() => !dispatchEvent(new Event('beforeunload', { cancelable: true }))"
HOSTILE = "</script><img src=x onerror=window.hit=1>"


def test_six_points_are_marked_by_clicking_and_residuals_fall_below_two_pixels(open_page, site, session):
    page = open_page()
    assert "too few" in page.inner_text("#verdict-head")
    wanted = spread(site, 6)
    for count, (name, pixel) in enumerate(wanted.items(), 1):
        mark(page, name, pixel)
        assert page.inner_text("#count") == str(count)
    sizes = [float(text.split()[0]) for text in page.locator("#list .size").all_inner_texts()]
    assert len(sizes) == 6
    assert max(sizes) < 2.0, sizes  # measured: 0.6 px, half a screen pixel at double size
    assert float(page.inner_text("#rms")) < 1.0
    saved = read_marks(session.folder / "marks.csv")
    assert saved.marks.point.tolist() == list(wanted)
    np.testing.assert_allclose(saved.marks.pixel, list(wanted.values()), atol=0.6)
    assert set(saved.marks.camera.tolist()) == {CAMERA}


def test_undo_and_redo_by_keys_change_the_file_too(open_page, site, session):
    page = open_page()
    (first, pixel), (second, other) = spread(site, 2).items()
    mark(page, first, pixel)
    mark(page, second, other)
    page.keyboard.press("Control+z")
    settled(page)
    assert page.inner_text("#count") == "1"
    assert read_marks(session.folder / "marks.csv").marks.point.tolist() == [first]
    page.keyboard.press("Control+Shift+z")
    settled(page)
    assert read_marks(session.folder / "marks.csv").marks.point.tolist() == [first, second]
    page.click("#undo")
    settled(page)
    page.click("#undo")
    settled(page)
    assert len(session.state.marks) == 0
    assert page.is_disabled("#undo")


def test_undoing_a_mark_of_another_camera_shows_that_camera(open_page, site):
    page = open_page()
    (name, pixel), *_ = spread(site, 2).items()
    mark(page, name, pixel)
    page.keyboard.press("]")
    page.wait_for_function("() => now.camera.name === 'p2-southeast'")
    page.keyboard.press("Control+z")
    page.wait_for_function("() => now.camera.name === 'p1-ramp-foot'")


def test_a_reload_shows_the_same(open_page, site):
    page = open_page()
    for name, pixel in spread(site, 5).items():
        mark(page, name, pixel)
    before = page.inner_text("#list")
    page.reload()
    page.wait_for_function("() => now.picture && now.verdict?.rms")
    assert page.inner_text("#list") == before


def test_the_map_may_be_clicked_first(open_page, site, session):
    page = open_page()
    (name, pixel), *_ = spread(site, 2).items()
    point = next(point for point in site.site_map.control_points if point.name == name)
    show_level(page, point)
    click(page, "map", point.xyz[:2])
    assert page.inner_text("#hint span") == f"Now click {name} in the still"
    click(page, "still", pixel)
    settled(page)
    assert session.state.marks.point.tolist() == [name]


def test_a_new_point_is_asked_about_and_kept_beside_the_map(open_page, session):
    page = open_page()
    click(page, "still", (700, 600))
    click(page, "map", (24.0, 8.0))
    page.fill("#ask-name", HOSTILE)
    page.fill("#ask-sigma", "0.3")
    page.keyboard.press("Enter")
    settled(page)
    (point,) = read_points(session.folder / "points.csv").points
    assert point.name == HOSTILE
    assert point.xyz == pytest.approx((24.0, 8.0, 0.0), abs=0.15)  # a screen pixel is 0.1 m here
    assert point.sigma == (0.3, 0.3, 0.02)
    assert session.state.marks.point.tolist() == [HOSTILE]
    assert page.inner_text("#list .point") == HOSTILE
    assert page.evaluate("window.hit") is None
    page.keyboard.press("Control+z")
    settled(page)
    assert read_points(session.folder / "points.csv").points == ()


def test_a_tie_point_needs_no_place_on_the_map_and_is_offered_in_the_next_still(open_page, session):
    page = open_page()
    click(page, "still", (700, 600))
    page.click("#tie")
    assert page.input_value("#ask-name") == "T1"
    page.keyboard.press("Enter")
    settled(page)
    page.click("#after")
    page.wait_for_function("() => now.camera.name === 'p2-southeast' && now.picture")
    click(page, "still", (500, 500))
    page.click("#tie")
    assert page.input_value("#ask-name") == "T1"
    page.keyboard.press("Enter")
    settled(page)
    assert session.state.marks.point.tolist() == ["T1", "T1"]
    assert session.state.points == ()


def test_a_mark_is_dragged_and_removed(open_page, site, session):
    page = open_page()
    (name, pixel), *_ = spread(site, 3).items()
    mark(page, name, pixel)
    page.mouse.move(*at(page, "still", pixel))
    page.mouse.down()
    page.mouse.move(*at(page, "still", (pixel[0] - 30, pixel[1] + 12)), steps=5)
    page.mouse.up()
    settled(page)
    np.testing.assert_allclose(session.state.marks.pixel[0], [pixel[0] - 30, pixel[1] + 12], atol=0.8)
    page.focus("#still")
    page.keyboard.press("Delete")
    settled(page)
    assert len(session.state.marks) == 0


def test_marking_by_keys_alone(open_page, session, site):
    page = open_page()
    page.focus("#still")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Shift+ArrowLeft", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("now.pending.pixel") is not None
    point = site.site_map.control_points[0]
    page.evaluate("p => { mapPane.view.x = p[0]; mapPane.view.y = p[1]; }", list(point.xyz))
    page.focus("#map")
    for key in ("ArrowLeft", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    settled(page)
    assert session.state.marks.point.tolist() == [point.name]


def test_escape_gives_up_what_is_half_marked(open_page, session):
    page = open_page()
    click(page, "still", (700, 600))
    page.keyboard.press("Escape")
    assert page.inner_text("#hint") == ""
    click(page, "map", (24.0, 8.0))
    assert page.inner_text("#hint span") == "Now click that spot in the still"
    assert len(session.state.marks) == 0


def test_zoom_keeps_the_pixel_under_the_mouse(open_page):
    page = open_page()
    x, y = (round(value) for value in at(page, "still", (800, 500)))
    box = page.locator("#still").bounding_box()
    inside = [x - box["x"], y - box["y"]]
    before = page.evaluate("p => stillPane.view.pixelAt(...p)", inside)
    page.mouse.move(x, y)
    page.mouse.wheel(0, -600)
    page.wait_for_function("() => !stillPane.view.fitted")
    assert page.evaluate("p => stillPane.view.pixelAt(...p)", inside) == pytest.approx(before, abs=1e-6)
    page.click("#still-pane [data-zoom=fit]")
    assert page.evaluate("stillPane.view.fitted")


def test_a_file_that_another_program_changed_is_not_written_over(open_page, session, site):
    page = open_page()
    (name, pixel), (second, other) = spread(site, 2).items()
    mark(page, name, pixel)
    theirs = f"camera,point,u,v,sigma\n{CAMERA},{second},{other[0]},{other[1]},2\n"
    (session.folder / "marks.csv").write_text(theirs)
    click(page, "still", (pixel[0] + 30, pixel[1] + 30))
    point = next(point for point in site.site_map.control_points if point.name == name)
    click(page, "map", point.xyz[:2])
    page.wait_for_selector("#reload:visible")
    assert page.inner_text("#saved") == "not saved"
    assert "another program has changed it" in page.inner_text("#toast")
    assert (session.folder / "marks.csv").read_text() == theirs
    page.click("#reload")
    page.wait_for_function("() => document.getElementById('count').textContent === '1' && !failed")
    assert page.inner_text("#list .point") == second


def test_what_is_not_saved_is_warned_about(open_page, session):
    page = open_page()
    assert not page.evaluate(HELD_BACK)
    click(page, "still", (700, 600))
    page.click("#tie")
    assert page.evaluate(HELD_BACK)


def test_the_next_mark_is_shown_in_both_panes(open_page, site, session):
    for name, pixel in spread(site, 5).items():
        session.mark(CAMERA, name, pixel, 1.0)
    page = open_page()
    page.wait_for_function("() => now.next")
    following = page.evaluate("now.next")
    assert f"Mark {following['point']} next" in page.inner_text("#next-step")
    assert (following["u"], following["v"]) == pytest.approx(true_pixels(site.camera(CAMERA), site)[following["point"]])


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1800, "dark"), (820, "light")])
def test_nothing_sticks_out_at_any_width(open_page, session, width, scheme):
    session.mark(CAMERA, "A" * 150, (300.0, 300.0), 1.0, Spot(5.0, 8.0, "P1", 0.0, 0.5, 0.1))
    page = open_page(width, 900, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for selector in ("#undo", "#saved", "#count", "#still-pane .zoom", "#map-pane .zoom"):
        box = page.locator(selector).bounding_box()
        assert box["x"] >= 0, selector
        assert box["x"] + box["width"] <= width, selector
