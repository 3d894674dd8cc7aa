"""A marking session over the garage's drawn stills, served, and a browser page on it."""

import threading
from pathlib import Path

import pytest
from marking_samples import draw_still, garage_site, pose_fit

from geoloc.service.marking import MarkingSession
from geoloc.service.marking_server import MarkingServer
from geoloc.service.stills import find_stills

CAMERAS = ("p1-ramp-foot", "p2-southeast")


@pytest.fixture(scope="session")
def site():
    return garage_site()


@pytest.fixture(scope="session")
def stills(site, tmp_path_factory) -> Path:
    """Folder with the stills of CAMERAS."""
    folder = tmp_path_factory.mktemp("stills")
    for name in CAMERAS:
        draw_still(site.camera(name), site, folder / f"{name}.png")
    return folder


@pytest.fixture
def session(site, stills, tmp_path) -> MarkingSession:
    return MarkingSession(site, find_stills(stills), tmp_path / "calibration", pose_fit(site))


@pytest.fixture
def server(session):
    running = MarkingServer(session)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture
def open_page(browser, server):
    """Function that opens the marking page and, at the end, holds it to no error and no request elsewhere."""
    opened = []

    def open_(width=1280, height=800, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page, complaints = context.new_page(), []
        # a refused change is told by the page; that the browser notes its status is no fault
        page.on("console", lambda m: None if "status of 409" in m.text else complaints.append(m.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith((server.url, "data:")) else complaints.append(r.url))
        page.goto(server.url)
        page.wait_for_function("() => now.picture && now.verdict")
        opened.append((context, complaints))
        return page

    yield open_
    for context, complaints in opened:
        context.close()
        assert complaints == []
