"""Detections over real brokers, which are killed, as the engine is: nothing is lost, and the tracks are the batch's."""

import asyncio
import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from broker_samples import Broker, Child, service_with
from serve_samples import plaza, plaza_boxes, running, wait_for

from geoloc.pipeline.codec import encode
from geoloc.pipeline.epochs import given_of
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.localizer import Localizer, replay
from geoloc.pipeline.packets import PacketLocalizer
from geoloc.scene.tables import Tracks
from geoloc.service.serve.bridges.options import BridgeOptions, MqttOptions, NatsOptions
from geoloc.service.serve.bridges.senders import MqttSender, NatsSender
from geoloc.service.serve.sender import batches_of

BATCH_S = 0.2
PROGRAMS = ("mosquitto", "nats-server")


def bridges_to(broker: Broker) -> BridgeOptions:
    if broker.program == "mosquitto":
        return BridgeOptions(mqtt=MqttOptions(url=broker.url))
    return BridgeOptions(nats=NatsOptions(url=broker.url, ack_s=2.0))


def sender_to(broker: Broker, patience_s: float = 120.0):
    if broker.program == "mosquitto":
        return MqttSender(MqttOptions(url=broker.url), "plaza", patience_s)
    return NatsSender(NatsOptions(url=broker.url), "plaza", patience_s)


def engine_tracks(folder: Path) -> bytes:
    """All that the engine of a folder knows."""
    with JournaledLocalizer.open(plaza(), folder) as journaled:
        journaled.finish()
        return engine_bytes(journaled.localizer)


def engine_bytes(localizer: Localizer) -> bytes:
    return encode({"engine": localizer}, given_of(localizer.site, localizer.options))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked and killed")
@pytest.mark.parametrize("program", PROGRAMS)
def test_broker_and_engine_killed_in_turn_lose_nothing_and_the_tracks_are_the_batchs(program, tmp_path):
    batches = [batch for _, batch in batches_of(plaza_boxes(6.0), BATCH_S)][:20]
    list(replay(Localizer(plaza()), batches[0]))  # kernels are loaded before the fork
    done, sent = threading.Event(), []
    with Broker(program, tmp_path / "broker") as broker:
        child = Child(lambda: service_with(tmp_path / "state", bridges_to(broker)))

        def send() -> None:
            with sender_to(broker) as sender:
                for batch in batches:
                    sender.send(batch)
                    sent.append(len(batch))
                    time.sleep(0.02)
                sender.finish()
            done.set()

        thread = threading.Thread(target=send)
        thread.start()
        try:
            for k, step in enumerate((3, 7, 11, 15)):
                wait_for(lambda step=step: len(sent) >= step or done.is_set(), 120)
                if k % 2:
                    broker.kill()
                    broker.start()
                else:
                    child.kill()
                    child.start()
            wait_for(done.is_set, 120)
            thread.join()
            wait_for(lambda: worked_off(broker), 120)
        finally:
            child.kill()
            thread.join(1)
    straight = PacketLocalizer(Localizer(plaza()))
    for batch in batches:
        straight.push(batch)
    straight.finish()
    assert engine_tracks(tmp_path / "state") == engine_bytes(straight.localizer)


def worked_off(broker: Broker) -> bool:
    """Whether the engine has acknowledged everything that was sent. Over MQTT a sender waits for that itself."""
    if broker.program == "mosquitto":
        return True
    import nats

    async def waiting() -> int:
        client = await nats.connect(broker.url)
        info = await client.jetstream().stream_info("GEOLOC-PLAZA-DETECTIONS")
        await client.close()
        return info.state.messages

    return asyncio.run(waiting()) == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_events_positions_and_health_are_told_over_the_broker(program, tmp_path):
    with Broker(program, tmp_path / "broker") as broker:
        service = service_with(tmp_path / "state", bridges_to(broker))
        with running(tmp_path / "state", service=service) as live, sender_to(broker) as sender:
            heard = Ear(broker)
            for _, batch in batches_of(plaza_boxes(4.0), BATCH_S):
                sender.send(batch)
            sender.finish()
            # over NATS a batch is taken when the stream has it: the engine may be behind, and tell of more
            wait_for(lambda: worked_off(broker), 120)
            expected = live.data("/v1/sites/plaza/events")["events"]
            wait_for(lambda: heard.last_events(expected) == expected, 120)
            assert {"born", "entered", "arrived"} <= {one["kind"] for one in expected}
            now = live.service.sites["plaza"].hub.positions
            wait_for(lambda: now in heard.of("positions"), 120)
            wait_for(lambda: set(heard.cameras().values()) == {"heard"}, 120)
            assert len(heard.cameras()) == len(plaza().cameras)
            heard.close()


class Ear:
    """What is told, by the last parts of topics."""

    def __init__(self, broker: Broker) -> None:
        self.said: list[tuple[str, dict]] = []
        self._loop, self._ready, self._end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
        work = self._mqtt if broker.program == "mosquitto" else self._nats
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(work(broker),), daemon=True)
        self._thread.start()
        assert self._ready.wait(30)

    def of(self, what: str) -> list[dict]:
        return [one for topic, one in tuple(self.said) if topic.replace(".", "/").endswith(f"/{what}")]

    def last_events(self, wanted: list[dict]) -> list[dict]:
        """What was told last under the ids of those that are wanted."""
        last = {one["id"]: one for one in self.of("events")}
        return [last[one["id"]] for one in wanted if one["id"] in last]

    def cameras(self) -> dict[str, str]:
        """The state of each."""
        found = [one for topic, one in tuple(self.said) if "cameras" in topic]
        listed = [one for said in found for one in said.get("cameras", [said])]
        return {one["camera"]: one["state"] for one in listed}

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()

    async def _mqtt(self, broker: Broker) -> None:
        from geoloc.service.serve.bridges.mqtt_line import MqttLine

        def hear(generation: int, message) -> None:
            line.acknowledge(generation, message)
            self.said.append((message.topic, json.loads(message.payload)))

        topics = [f"geoloc/plaza/{what}" for what in ("events", "positions", "cameras/+")]
        line = MqttLine(MqttOptions(url=broker.url, session_s=0), "ear", topics, hear)
        line.start()
        await line.connected.wait()
        self._ready.set()
        await self._end.wait()
        await asyncio.to_thread(line.stop)

    async def _nats(self, broker: Broker) -> None:
        import nats

        client = await nats.connect(broker.url)

        async def hear(message) -> None:
            self.said.append((message.subject, json.loads(message.data)))

        for what in ("events", "positions", "cameras"):
            await client.subscribe(f"geoloc.plaza.{what}", cb=hear)
        await client.flush()
        self._ready.set()
        await self._end.wait()
        await client.close()


@pytest.mark.parametrize("program", PROGRAMS)
def test_what_is_wrong_is_refused_once_and_holds_up_nothing(program, tmp_path):
    with Broker(program, tmp_path / "broker") as broker:
        service = service_with(tmp_path / "state", bridges_to(broker))
        with running(tmp_path / "state", service=service) as live, sender_to(broker) as sender:
            boxes = plaza_boxes(0.3)
            wrong = boxes.replace(camera=np.full(len(boxes), "nobody"))
            if program == "mosquitto":
                with pytest.raises(Exception, match="unknown camera"):
                    sender.send(wrong)
            else:
                sender.send(wrong)
            sender.send(boxes)
            (bridge,) = service.bridges
            wait_for(lambda: bridge.counts["taken"] >= 1)
            assert bridge.counts["refused"] == 1
            assert live.engine.figures.rows == len(boxes)
            figures = live.ask("/metrics")[1].decode()
            assert f'geoloc_bridge_up{{bridge="{bridge.name}"}} 1.0' in figures


def test_tracks_told_over_websocket_are_the_batchs_when_the_boxes_come_over_nats(tmp_path):
    from test_serve_tracks import listen, same_bytes

    from geoloc.service.serve.said import tracks_of

    boxes, windows, ready, stop = plaza_boxes(3.0), {}, threading.Event(), threading.Event()
    with Broker("nats-server", tmp_path / "broker") as broker:
        service = service_with(tmp_path / "state", bridges_to(broker))
        with running(tmp_path / "state", service=service) as live:
            thread = threading.Thread(target=listen, args=(live.url, windows, ready, stop))
            thread.start()
            assert ready.wait(60)
            with sender_to(broker) as sender:
                for _, batch in batches_of(boxes, BATCH_S):
                    sender.send(batch)
                sender.finish()
            (bridge,) = service.bridges
            wait_for(lambda: bridge.counts["taken"] == 16)
            stop.set()
            thread.join()
    told = Tracks.concat([tracks_of(step) for number in sorted(windows) for step in windows[number]])
    expected = Tracks.concat(list(replay(Localizer(plaza()), boxes)))
    assert len(told) == len(expected) > 200
    assert same_bytes(told, expected)
