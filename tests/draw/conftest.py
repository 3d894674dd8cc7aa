"""The map page in a browser, loaded once for the tests of a file."""

import numpy as np
import pytest
from draw_samples import crowd, garage, plaza, traffic
from map_page_steps import settle

from geoloc.draw.layers import Markers
from geoloc.draw.page import PageExtras, write_map_page
from geoloc.draw.page_cameras import CameraAlarm
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
