"""The map page in a browser: what is told of stalls, cameras and objects, search, keys, events."""

from map_page_steps import centre_of, picture, set_time, settle


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
    settle(shared)
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
