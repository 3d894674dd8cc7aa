"""The map page in a browser: no errors, tracks that move, and all of it by keys, mouse and touch."""

import numpy as np
import pytest
from draw_samples import crowd, garage, plaza, traffic

from geoloc.draw.layers import Markers
from geoloc.draw.page import PageExtras, write_map_page
from geoloc.draw.page_cameras import CameraAlarm
from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.scene.site import Site

HOSTILE = "</script><script>window.hit=1</script><img src=x onerror=window.hit=1>"
START = 1_520_778_000.0
FRESH = """() => { setPlaying(false); document.activeElement.blur(); select(null); setHeat('none');
  scene.stalls = 'taken'; setLevel(0); view.fit(); setSpeed(1); goTo(15); hover(-1e6, -1e6, 0); }"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    people, picture = crowd(np.random.default_rng(1), 8), np.full((54, 96, 3), 90, np.uint8)
    hostile = Site(HOSTILE, plaza().cameras, plaza().site_map)
    extras = PageExtras(
        alarms=[CameraAlarm("A-cam2", START + 10, START + 20, "moved", "turned by 0.9 degrees")],
        stills={"A-cam2": picture}, crops={7: picture},
    )  # fmt: skip
    return {
        "garage": write_map_page(garage(), traffic(START), folder / "garage.html", extras=extras),
        "plaza": write_map_page(
            hostile, people.replace(label=np.full(len(people), HOSTILE)), folder / "plaza.html",
            markers=Markers(name=[HOSTILE], xy=[[5, 5]]),
        ),
    }  # fmt: skip


@pytest.fixture(scope="module")
def opened(browser, files):
    """The garage's page, loaded once for all tests, and what it complained of or asked for."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, complaints = context.new_page(), []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: complaints.append(r.url) if r.url.split(":")[0] not in ("file", "data") else None)
    page.goto(files["garage"].as_uri())
    yield page, complaints
    context.close()


@pytest.fixture
def shared(opened):
    """The garage's page at 15 s with nothing chosen; it must not complain, nor ask for anything."""
    page, complaints = opened
    page.wait_for_function("() => store.there.size > 0")
    page.evaluate(FRESH)
    settle(page)
    yield page
    assert complaints == []


@pytest.fixture
def open_page(open_file, files):
    """Function that opens one of the pages by its name, drawn."""

    def open_(name, *size, **options):
        page = open_file(files[name], *size, **options)
        page.wait_for_function("() => store.there.size > 0")
        settle(page)
        return page

    return open_


def settle(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def picture(page):
    settle(page)
    return page.evaluate("() => document.getElementById('canvas').toDataURL()")


def set_time(page, seconds):
    page.evaluate(
        "t => { const s = element('time'); s.value = t; s.dispatchEvent(new Event('input')); }",
        seconds,
    )
    settle(page)


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


def centre_of(page, script):
    """Where on the window something of the map is."""
    box, (u, v) = page.locator("#canvas").bounding_box(), page.evaluate(script)
    return box["x"] + u, box["y"] + v


def test_click_on_a_stall_tells_its_history(shared):
    set_time(shared, 28)
    name = shared.evaluate("stallName(DATA.stays[0][0])")
    ring = "const r = stallShape(DATA.stays[0][0])[1][0]"
    middle = f"(() => {{ {ring}; return view.toScreen((r[0] + r[4]) / 2, r[1] + 0.8); }})()"
    shared.mouse.click(*centre_of(shared, middle))
    settle(shared)
    text = shared.inner_text("#details")
    assert f"Stall {name}" in text
    assert "7, since 14:20:" in text
    assert "by 1 object" in text
    shared.click("#details .told-line >> nth=0")
    settle(shared)
    assert shared.evaluate("[scene.selected, scene.time === DATA.stays[0][2]]") == [7, True]


def test_stalls_are_coloured_by_who_is_in_them(shared):
    set_time(shared, 28)
    taken = picture(shared)
    colours = shared.evaluate("[stallColour(DATA.stays[0][0], scene), stallColour(0, scene)].map(c => c[0])")
    assert len(set(colours)) == 2
    shared.keyboard.press("s")
    assert shared.evaluate("scene.stalls") == "since"
    assert picture(shared) != taken


def test_click_on_a_camera_shows_its_still_and_what_it_sees(shared):
    shared.mouse.click(*centre_of(shared, "view.toScreen(...DATA.cameras.find(c => c.name === 'A-cam2').xy)"))
    settle(shared)
    text = shared.inner_text("#details")
    for part in ("Camera A-cam2", "moved since 14:20:10", "turned by 0.9 degrees", "Sees of level 1", "no marks here"):
        assert part in text, f"{part!r} is not in {text!r}"
    assert shared.get_attribute("#details image", "href").startswith("data:image/jpeg")
    assert shared.locator("#details polyline").count() > 10


def test_alarm_of_a_camera_appears_when_it_is_on(shared):
    set_time(shared, 5)
    before = picture(shared)
    assert "alarm" not in shared.get_attribute("#open-cameras", "class").split()
    set_time(shared, 15)
    assert shared.evaluate("DATA.cameras.filter(alarmOf).map(c => c.name)") == ["A-cam2"]
    assert "alarm" in shared.get_attribute("#open-cameras", "class").split()
    assert picture(shared) != before
    set_time(shared, 25)
    assert shared.evaluate("DATA.cameras.filter(alarmOf).length") == 0


def test_crop_of_an_object_is_in_its_card(shared):
    shared.evaluate("select(7)")
    settle(shared)
    assert shared.get_attribute("#details img", "src").startswith("data:image/jpeg")
    shared.evaluate("select(6)")
    settle(shared)
    assert shared.locator("#details img").count() == 0


def test_search_finds_an_object_that_is_not_there_now(shared):
    set_time(shared, 1)
    shared.keyboard.press("/")
    shared.keyboard.type("8")
    assert "van" in shared.inner_text("#found")
    set_time(shared, 25)
    shared.keyboard.press("Enter")
    shared.wait_for_function("() => scene.selected === 8")
    assert shared.evaluate("scene.present.some(spot => spot.track.id === 8)")
    assert "8 van" in shared.inner_text("#details")


def test_search_finds_stalls_and_cameras_and_says_when_nothing_is_found(shared):
    shared.fill("#search", "B-cam3")
    shared.keyboard.press("Enter")
    settle(shared)
    assert shared.evaluate("[scene.camera, scene.level]") == ["B-cam3", 1]
    shared.fill("#search", "B05")
    shared.click("#found button")
    assert shared.evaluate("stallName(scene.stall)") == "B05"
    shared.fill("#search", "nobody")
    assert "Nothing" in shared.inner_text("#found")
    shared.fill("#search", "")


def test_keys_and_the_list_of_them(shared):
    shared.keyboard.press("2")
    assert shared.evaluate("scene.level") == 1
    shared.keyboard.press(".")
    assert shared.evaluate("scene.time") == 16
    shared.keyboard.press("h")
    assert shared.evaluate("scene.heatName") == "dwell"
    shared.wait_for_function("() => [...heats.values()].some(heat => heat.picture)")
    assert "Time spent" in shared.inner_text("#legend")
    shared.keyboard.press("?")
    assert shared.is_visible("#help")
    assert "play, pause" in shared.inner_text("#help")
    shared.keyboard.press("Escape")
    assert not shared.is_visible("#help")
    dark = shared.evaluate("isDark()")
    shared.keyboard.press("d")
    assert shared.evaluate("isDark()") != dark
    shared.keyboard.press("d")


def test_events_are_jumped_to(shared):
    shared.click("#open-events")
    shared.select_option("#kind", "parks")
    set_time(shared, 1)
    shared.click("#later")
    settle(shared)
    assert shared.evaluate("[scene.time === DATA.stays[0][2], scene.selected]") == [True, 7]
    shared.select_option("#kind", "alarm")
    shared.click("#earlier")
    assert shared.evaluate("scene.time") == 10
    assert "A-cam2: moved" in shared.inner_text("#events")
    shared.select_option("#kind", "all")


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
