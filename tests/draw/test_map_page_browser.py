"""The map page in a browser: no errors, tracks that move, and all of it by keys, mouse and touch."""

import numpy as np
import pytest
from draw_samples import garage, traffic
from map_page_steps import picture, set_time, settle

from geoloc.geometry.geodesy import geodetic_from_enu

START = 1_520_778_000.0


def test_slider_moves_the_tracks(shared):
    page = shared
    set_time(page, 3)
    early = picture(page)
    assert page.inner_text("#clock") == "14:20:03.0 UTC"
    set_time(page, 12)
    assert picture(page) != early
    set_time(page, 3)
    assert picture(page) == early, "the picture depends on the time alone"


def test_slider_obeys_the_keyboard(shared):
    page = shared
    page.focus("#time")
    before = page.inner_text("#clock")
    page.keyboard.press("ArrowRight")
    settle(page)
    after = page.inner_text("#clock")
    assert after != before
    assert page.get_attribute("#time", "aria-valuetext") == after
    page.keyboard.press("Home")
    settle(page)
    assert page.inner_text("#clock") == "14:20:00.0 UTC"


def test_play_runs_and_pauses(shared):
    page = shared
    set_time(page, 1)
    page.select_option("#speed", "8")
    page.click("#play")
    page.wait_for_function("() => scene.time > 2.5", timeout=10_000)
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.click("#play")
    settle(page)
    stopped = page.evaluate("scene.time")
    page.wait_for_timeout(150)
    assert page.evaluate("scene.time") == stopped
    page.focus("#canvas")
    page.keyboard.press(" ")
    page.wait_for_function("t => scene.time > t", arg=stopped, timeout=10_000)


def test_levels_switch_by_click_and_by_keys(shared):
    page = shared
    first = picture(page)
    page.click("text=level 2")
    assert picture(page) != first
    page.keyboard.press("ArrowLeft")
    assert picture(page) == first
    assert page.get_attribute("#levels >> nth=0 >> button >> nth=0", "aria-checked") == "true"


def test_click_on_a_track_shows_what_is_known_of_it(shared):
    page = shared
    set_time(page, 20)
    spot = page.evaluate("() => scene.present.filter(s => s.track.id === 7).map(s => view.toScreen(s.x, s.y))[0]")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + spot[0], box["y"] + spot[1])
    settle(page)
    assert "7 car" in page.inner_text("#tip")
    page.mouse.down()
    page.mouse.up()
    settle(page)
    text = page.inner_text("#details")
    xy = page.evaluate("() => scene.present.filter(s => s.track.id === 7).map(s => [s.x, s.y])[0]")
    lat, lon, _ = geodetic_from_enu(garage().site_map.datum, np.array([*xy, 0.0]))
    for part in (
        "level 1",
        f"{xy[0]:.2f}, {xy[1]:.2f} m",
        f"{lat:.7f}, {lon:.7f}",
        "0.80 m",
        "confirmed",
        "m/s",
    ):
        assert part in text, f"{part!r} is not in {text!r}"


def test_choosing_a_track_of_another_level_goes_there(shared):
    page = shared
    set_time(page, 14)
    page.click("#open-tracks")
    page.click("#tracks button[data-track='4']")
    settle(page)
    assert page.evaluate("scene.level") == 1
    assert "level 2" in page.inner_text("#details")


def test_zoom_and_pan_keep_the_point_under_the_mouse(shared):
    page = shared
    box = page.locator("#canvas").bounding_box()
    at = (300 - box["x"], 250 - box["y"])  # whole pixels of the window: the wheel's event has no others
    before = page.evaluate("at => view.toGround(...at)", at)
    page.mouse.move(box["x"] + at[0], box["y"] + at[1])
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => !view.fitted")
    assert page.evaluate("at => view.toGround(...at)", at) == pytest.approx(before, abs=1e-6)
    page.mouse.down()
    page.mouse.move(box["x"] + at[0] + 80, box["y"] + at[1] + 40, steps=4)
    page.mouse.up()
    assert page.evaluate("at => view.toGround(at[0] + 80, at[1] + 40)", at) == pytest.approx(before, abs=1e-6)
    page.focus("#canvas")
    page.keyboard.press("0")
    assert page.evaluate("view.fitted")


def test_two_fingers_zoom(open_page):
    page = open_page("garage", 390, 844, has_touch=True, is_mobile=True)
    before = page.evaluate("view.scale")
    page.evaluate("""() => {
      const canvas = document.getElementById('canvas'), box = canvas.getBoundingClientRect();
      canvas.setPointerCapture = () => {};
      const send = (type, id, x, y) => canvas.dispatchEvent(new PointerEvent(type, {
        pointerId: id, pointerType: 'touch', clientX: box.left + x, clientY: box.top + y }));
      send('pointerdown', 1, 150, 200); send('pointerdown', 2, 250, 200);
      send('pointermove', 1, 100, 200); send('pointermove', 2, 300, 200);
      send('pointerup', 1, 100, 200); send('pointerup', 2, 300, 200);
    }""")
    assert page.evaluate("view.scale") == pytest.approx(2 * before)


def test_footprints_can_be_hidden_one_by_one_and_all(shared):
    page = shared
    page.click("#open-cameras")
    every = picture(page)
    page.uncheck("#cameras input >> nth=0")
    fewer = picture(page)
    page.click("#all-cameras")
    assert len({every, fewer, picture(page)}) == 3
    page.click("#all-cameras")
    assert picture(page) == every


def test_positions_between_keys_are_interpolated_but_not_over_gaps(shared):
    at = shared.evaluate("""() => {
      const part = { t: [0, 1, 2, 9], x: [0, 2, 4, 8], y: [0, 0, 2, 2], level: [0, 0, 0, 0], state: [0, 0, 0, 0],
        life: [0, 0, 0, 0], cut: [0, 0, 1, 1], shape: [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]] };
      return [-1, 0.5, 1.25, 5, 9, 9.5].map(t => { const p = store.spot({}, part, t); return p && [p.x, p.y]; });
    }""")
    assert at == [None, [1, 0], [2.5, 0.5], None, [8, 2], None]


def test_objects_are_where_the_tracks_say_at_every_time(shared):
    """Read, unpacked and interpolated in the browser, against the table: to the centimetre that a key has."""
    tracks = traffic(START)
    for seconds in (0.0, 7.3, 14.0, 22.2):
        found = dict(shared.evaluate("t => store.at(t).map(s => [s.track.id, [s.x, s.y]])", seconds))
        now = tracks.take(np.abs(tracks.time - START - seconds) < 0.02)
        assert set(now.track.tolist()) == {int(number) for number in found}
        for number, xy in zip(now.track.tolist(), now.xy, strict=True):
            assert np.abs(np.array(found[number]) - xy).max() < 0.03


def test_ellipses_are_those_of_the_covariance(shared):
    spot = shared.evaluate("store.at(20).find(s => s.track.id === 7)")
    # 0.8 and 0.4 m along and across, and 0.05 m of bias; 2.448 sigma hold 95 %; a key has 1 % of it
    assert [spot["a"], spot["b"]] == pytest.approx([2.448 * 0.8016, 2.448 * 0.4031], rel=0.015)


def test_latitude_and_longitude_agree_with_the_library(shared):
    page, datum = shared, garage().site_map.datum
    enu = np.array([[0, 0, 0], [250.0, -130.0, 0.0], [-2000.0, 900.0, 0.0]])
    lat, lon, _ = geodetic_from_enu(datum, enu)
    found = page.evaluate("p => p.map(([e, n]) => toGeodetic(DATA.datum, e, n))", enu.tolist())
    assert np.abs(np.array(found) - np.column_stack([lat, lon])).max() < 1e-11


def test_hostile_names_are_shown_and_not_run(open_page):
    page = open_page("plaza")
    assert page.evaluate("window.hit") is None
    assert page.inner_text("h1").startswith("</script><script>")
    page.click("#tracks button >> nth=0")
    settle(page)
    assert "</script>" in page.inner_text("#details")
    assert page.evaluate("window.hit") is None


def test_single_level_needs_no_switch(open_page):
    assert not open_page("plaza").is_visible("#levels")


@pytest.mark.parametrize("name", ["garage", "plaza"])
def test_narrow_screens_do_not_scroll_sideways(open_page, name):
    page = open_page(name, 390, 844)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    box = page.locator("#canvas").bounding_box()
    assert box["width"] == 390
    assert box["height"] > 300
    slider = page.locator("#time").bounding_box()
    assert slider["y"] + slider["height"] <= 844, "the timeline is in view without scrolling"
    assert slider["width"] > 230


def test_dark_scheme_is_followed(open_page):
    colours = []
    for scheme in ("light", "dark"):
        page = open_page("garage", color_scheme=scheme)
        colours.append(page.evaluate("() => Array.from(context.getImageData(3, 3, 1, 1).data)"))
    assert np.mean(colours[0][:3]) > 200
    assert np.mean(colours[1][:3]) < 60
