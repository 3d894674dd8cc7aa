"""A camera that was turned after it was calibrated is told: over HTTP, on the page's line and over a broker."""

from dataclasses import replace

import numpy as np
import pytest
from broker_samples import Broker
from serve_samples import plaza, plaza_boxes, running, tokens, wait_for
from test_serve_brokers import PROGRAMS, Ear, bridges_to, sender_to

from geoloc.geometry.se3 import perturb
from geoloc.pipeline.happenings import HappeningOptions
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.service.serve.bridges.build import build_bridges
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.sender import batches_of
from geoloc.service.serve.service import LiveService, ServedSite

TURNED, ANGLE = "c3", 0.02  # rad, of which the calibration allows a tenth
SECONDS = 12.0
OPTIONS = ServeOptions(silent_s=1e6)


def as_calibrated() -> Site:
    """The plaza as it was before somebody turned a camera: what it sees now does not fit."""
    one = plaza().camera(TURNED)
    turned = perturb(one.cam_from_world, np.array([ANGLE, 0.0, 0.0, 0.0, 0.0, 0.0]))
    return plaza().with_cameras([replace(one, cam_from_world=turned)])


@pytest.mark.parametrize("program", PROGRAMS[:1])
def test_a_camera_that_was_turned_is_told_over_http_and_the_broker(program, tmp_path):
    often = LocalizerOptions(happenings=HappeningOptions(check_s=2.0))
    with Broker(program, tmp_path / "broker") as broker:
        sites = {"plaza": ServedSite(as_calibrated(), tmp_path / "state", often, OPTIONS)}
        service = LiveService(sites, tokens(), OPTIONS, build_bridges(bridges_to(broker), sites, OPTIONS))
        with running(tmp_path / "state", service=service) as live, sender_to(broker) as sender:
            heard = Ear(broker)
            for _, batch in batches_of(plaza_boxes(SECONDS), 0.5):
                sender.send(batch)
            sender.finish()
            told = [one for one in live.data("/v1/sites/plaza/events")["events"] if one["kind"] == "camera_moved"]
            assert [one["cameras"] for one in told] == [[TURNED]], "told once, and of no other"
            assert told[0]["probability"] > 0.999
            assert "off what the others see" in told[0]["why"]
            wait_for(lambda: told[0] in heard.of("events"))
            moved = [one["camera"] for one in live.data("/v1/sites/plaza/cameras")["cameras"] if one["moved"]]
            assert moved == [TURNED]
            wait_for(lambda: any(one.get("moved") for topic, one in tuple(heard.said) if topic.endswith(TURNED)))
            heard.close()


def test_cameras_that_stand_as_calibrated_are_not_told_to_have_moved(tmp_path):
    often = LocalizerOptions(happenings=HappeningOptions(check_s=2.0))
    service = LiveService(
        {"plaza": ServedSite(plaza(), tmp_path / "state", often, OPTIONS)}, tokens(), OPTIONS
    )  # fmt: skip
    with running(tmp_path / "state", service=service) as live:
        for _, batch in batches_of(plaza_boxes(SECONDS), 1.0):
            live.engine.submit(batch).result(60)
        live.engine.finish().result(60)
        kinds = {one["kind"] for one in live.data("/v1/sites/plaza/events")["events"]}
        assert "born" in kinds
        assert "camera_moved" not in kinds
