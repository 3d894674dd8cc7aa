"""The live page in a browser: objects move, events are told, and it asks nobody but its own service."""

import json
import threading
import time

import pytest
from serve_samples import ALL, plaza_boxes, running

from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.sender import Sender, batches_of

SILENT = "() => element('alarms').innerText.includes('c7 is silent: no frame for')"
CLEARED = """() => {
  window.cleared = false;
  const look = () => { window.cleared ||= !element("alarms").innerText.includes("c7"); };
  new MutationObserver(look).observe(element("alarms"), { childList: true });
}"""


@pytest.fixture
def live(browser, tmp_path):
    """A page on a service that is sent the plaza at twice its pace; held to no error and no other address."""
    with running(tmp_path / "state") as service:
        stop = threading.Event()

        def send() -> None:
            begin = time.monotonic()
            with Sender(service.url, "plaza", ALL) as sender:
                boxes = plaza_boxes(30.0)
                for until, batch in batches_of(boxes, 0.2):
                    if stop.wait(max(begin + (until - boxes.time.min()) / 2 - time.monotonic(), 0.0)):
                        return
                    sender.send(batch)

        thread = threading.Thread(target=send)
        thread.start()
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page, complaints = context.new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((service.url, "data:")) else complaints.append(r.url))
        page.goto(f"{service.url}/#token={ALL}")
        yield page
        stop.set()
        context.close()
        thread.join()
        assert complaints == []


def test_objects_move_on_the_live_page(live):
    live.wait_for_function("() => scene.present.length > 2", timeout=60_000)
    assert ALL not in live.url, "the token does not stay in the address"
    spots = "() => JSON.stringify(scene.present.map(one => [one.track.id, one.x, one.y, one.a]))"
    before = {one[0]: one for one in json.loads(live.evaluate(spots))}
    picture = "() => canvas.toDataURL()"
    drawn, then = live.evaluate(picture), live.evaluate("scene.time")
    live.wait_for_function("t => scene.time > t + 1.5", arg=then, timeout=60_000)
    after = {one[0]: one for one in json.loads(live.evaluate(spots))}
    stayed = before.keys() & after.keys()
    moved = [abs(before[k][1] - after[k][1]) + abs(before[k][2] - after[k][2]) for k in stayed]
    assert max(moved) > 0.3, "people of the plaza walk"
    assert all(0 < one[3] < 20 for one in after.values()), "every one has an ellipse"
    assert live.evaluate(picture) != drawn
    live.wait_for_function("() => element('link').textContent === 'live'")
    assert live.locator("#objects button").count() > 2
    live.locator("#objects button").first.click()
    assert "Sigma" in live.inner_text("#details")


def test_the_alarm_of_a_camera_appears_and_goes_with_it(browser, tmp_path):
    boxes = plaza_boxes(4.0)
    options = ServeOptions(silent_s=2.0)
    with running(tmp_path / "state", options) as service, Sender(service.url, "plaza", ALL) as sender:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(f"{service.url}/#token={ALL}")
        page.wait_for_function("() => DATA && DATA.name === 'plaza'")
        assert not page.is_visible("#alarm")
        sender.send(boxes)
        page.wait_for_function(SILENT, timeout=60_000)
        assert page.is_visible("#alarm")
        assert page.locator("#events .warns").count() >= 1
        page.reload()
        page.wait_for_function("() => element('alarms').innerText.includes('c7 is silent')", timeout=60_000)
        later = boxes.take(boxes.camera == "c7")
        page.evaluate(CLEARED)
        sender.send(later.replace(time=later.time + 100.0))
        page.wait_for_function("() => window.cleared", timeout=60_000)
        told = [one["kind"] for one in service.data("/v1/sites/plaza/events")["events"] if one["cameras"] == ["c7"]]
        assert [kind for kind in told if kind.startswith("camera")][:2] == ["camera_silent", "camera_back"]
        page.close()


def test_without_a_token_the_page_asks_for_one(browser, tmp_path):
    with running(tmp_path / "state") as service:
        page = browser.new_page()
        page.goto(service.url)
        page.fill("#token", "wrong")
        page.click("#door button")
        page.wait_for_function("() => element('refused').textContent.includes('not known')")
        page.fill("#token", ALL)
        page.click("#door button")
        page.wait_for_function("() => DATA && DATA.name === 'plaza'")
        assert not page.is_visible("#door")
        page.close()
