"""Malformed and hostile packets over every way in: each is refused or taken whole, and nothing else happens.

`python tools/faults.py` sends a hundred thousand.
"""

import asyncio
import http.client
import logging
import os
import time

import pytest
from broker_samples import Broker, service_with
from fault_samples import held_mb, restored, told
from fuzz_samples import fuzzed
from serve_samples import ALL, plaza, running, wait_for
from test_serve_brokers import bridges_to, engine_bytes

from geoloc.errors import GeolocError
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.packets import PacketLocalizer
from geoloc.service.serve.bridges.intake import MAGIC, unpacked
from geoloc.service.serve.engine import _numbered
from geoloc.service.serve.heard import frames_of
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.service import LiveService

PACKETS = int(os.environ.get("GEOLOC_FUZZED", "1600")) // 4  # over each way
MORE_MB = 200.0
OPTIONS = ServeOptions(silent_s=1e6, requests_per_s=1e6, rows_per_s=1e9)
GOOD = (200, 400, 413)


@pytest.fixture(autouse=True)
def quiet():
    """What is refused is logged, which is not what is looked at here."""
    logger = logging.getLogger("geoloc.service")
    before = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(before)


def require_as_undisturbed(folder, bodies: list[bytes]) -> None:
    """The engine of a folder knows what one does that was given the good ones of the bodies alone, and no more."""
    live, record, site = PacketLocalizer(Localizer(plaza())), 0, plaza()
    for body in bodies:
        try:
            boxes = frames_of(unpacked(body, OPTIONS), site).boxes
        except GeolocError:
            continue
        if len(boxes):
            record += 1
            live.push(_numbered(boxes, record))
    live.finish()
    assert record > 0.1 * len(bodies), "some are good"
    assert record < 0.7 * len(bodies), "most are not"
    assert restored(folder)[1] == engine_bytes(live.localizer)


def require_works(live, before: float, bodies: list[bytes], way: str, start: float) -> None:
    """It goes on as if nothing had been."""
    assert not live.service.failures
    assert live.ask("/healthz", "")[0] == 200
    assert live.service.reading._value == OPTIONS.max_readers, "nobody reads still"
    grown = held_mb(os.getpid()) - before
    told(f"fuzzed packets over {way}", len(bodies), time.monotonic() - start, grown)
    assert grown < MORE_MB


def test_fuzzed_packets_over_http_are_refused_or_taken_whole(tmp_path):
    bodies, statuses = list(fuzzed(PACKETS, 1)), set()
    start = time.monotonic()
    with running(tmp_path / "state", OPTIONS) as live:
        before = held_mb(os.getpid())
        line = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)
        headers = {"Authorization": f"Bearer {ALL}", "Content-Type": "application/x-ndjson"}
        for body in bodies:
            packed = {"Content-Encoding": "gzip"} if body.startswith(MAGIC) else {}
            line.request("POST", "/v1/sites/plaza/detections", body, headers | packed)
            answer = line.getresponse()
            answer.read()
            statuses.add(answer.status)
        line.close()
        require_works(live, before, bodies, "HTTP", start)
    assert statuses <= set(GOOD), statuses
    assert {200, 400} <= statuses
    require_as_undisturbed(tmp_path / "state", bodies)


def test_fuzzed_packets_over_websocket_are_refused_or_taken_whole(tmp_path):
    # what is packed is no text, and is not unpacked there
    bodies = [body for body in fuzzed(PACKETS, 2) if not body.startswith(MAGIC)]
    start = time.monotonic()
    with running(tmp_path / "state", OPTIONS) as live:
        before = held_mb(os.getpid())
        answers = asyncio.run(send_over_websocket(live.url, bodies))
        assert len(answers) == len(bodies)
        assert all("record" in one or "error" in one for one in answers)
        require_works(live, before, bodies, "WebSocket", start)
    require_as_undisturbed(tmp_path / "state", bodies)


async def send_over_websocket(url: str, bodies: list[bytes]) -> list[dict]:
    import aiohttp

    headers, answers = {"Authorization": f"Bearer {ALL}"}, []
    address = url.replace("http", "ws", 1) + "/v1/sites/plaza/stream"
    async with aiohttp.ClientSession() as session, session.ws_connect(address, headers=headers) as socket:
        for body in bodies:
            await socket.send_bytes(body)
            answers.append(await socket.receive_json(timeout=60))
    return answers


@pytest.mark.parametrize("program", ["mosquitto", "nats-server"])
def test_fuzzed_messages_of_a_broker_are_settled_each_and_hold_up_none(program, tmp_path):
    bodies, start = list(fuzzed(PACKETS, 3)), time.monotonic()
    with Broker(program, tmp_path / "broker") as broker:
        service: LiveService = service_with(tmp_path / "state", bridges_to(broker), OPTIONS)
        with running(tmp_path / "state", service=service) as live:
            (bridge,) = service.bridges
            wait_for(lambda: bridge.connected)
            before = held_mb(os.getpid())
            asyncio.run((publish_mqtt if program == "mosquitto" else publish_nats)(broker, bodies))
            wait_for(lambda: bridge.counts["taken"] + bridge.counts["refused"] >= len(bodies), 600)
            assert bridge.counts["refused"] > 0
            require_works(live, before, bodies, program, start)
    require_as_undisturbed(tmp_path / "state", bodies)


async def publish_mqtt(broker: Broker, bodies: list[bytes]) -> None:
    from geoloc.service.serve.bridges.mqtt_line import MqttLine
    from geoloc.service.serve.bridges.options import MqttOptions

    line = MqttLine(MqttOptions(url=broker.url, session_s=0), "fuzz", [], lambda *_: None)
    line.start()
    await line.connected.wait()
    for body in bodies:
        await line.publish("geoloc/plaza/detections", body)
    await asyncio.to_thread(line.stop)


async def publish_nats(broker: Broker, bodies: list[bytes]) -> None:
    import nats

    client = await nats.connect(broker.url)
    stream = client.jetstream()
    for body in bodies:
        await stream.publish("geoloc.plaza.detections.fuzz", body, timeout=60)
    await client.close()
