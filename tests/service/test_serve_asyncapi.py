"""The AsyncAPI document, against what is really said over WebSocket, MQTT, NATS and to webhooks."""

import asyncio
import json
import threading

import pytest
from broker_samples import Broker, service_with
from serve_samples import ALL, plaza_boxes, running, wait_for
from test_serve_brokers import Ear, sender_to
from test_serve_webhooks import KEY, Receiver

from geoloc.files import parse_json
from geoloc.service.serve.bridges.options import BridgeOptions, MqttOptions, NatsOptions, WebhookOptions
from geoloc.service.serve.heard import lines_of

jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")


def heard_over(url: str, wants: str, said: list[dict], ready: threading.Event, stop: threading.Event) -> None:
    """All that a WebSocket says."""
    import aiohttp

    async def hear() -> None:
        address = f"{url.replace('http', 'ws', 1)}/v1/sites/plaza/live{wants}"
        async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
            await socket.send_json({"token": ALL})
            while not stop.is_set():
                try:
                    said.append(json.loads((await socket.receive(timeout=0.2)).data))
                    ready.set()
                except TimeoutError:
                    continue

    asyncio.run(hear())


def check(document: dict, channel: str, said: list[dict]) -> set[str]:
    """Hold each message to the channel's; the names of those that came."""
    names = [one["$ref"].rpartition("/")[2] for one in document["channels"][channel]["messages"].values()]
    found = set()
    for one in said:
        fits = [name for name in names if not list(validator(document, name).iter_errors(one))]
        assert len(fits) == 1, (channel, fits, str(one)[:300])
        found.add(fits[0])
    return found


def validator(document: dict, message: str):
    payload = document["components"]["messages"][message]["payload"]
    return jsonschema.Draft202012Validator({**payload, "components": document["components"]})


def test_what_is_said_is_what_the_document_says(tmp_path):
    receiver = Receiver()
    (tmp_path / "key").write_text(KEY)
    with Broker("mosquitto", tmp_path / "m") as mqtt, Broker("nats-server", tmp_path / "n") as nats:
        hook = WebhookOptions(f"http://127.0.0.1:{receiver.port}/", str(tmp_path / "key"))
        options = BridgeOptions(MqttOptions(url=mqtt.url), NatsOptions(url=nats.url), {"test": hook})
        service = service_with(tmp_path / "state", options)
        with running(tmp_path / "state", service=service) as live, sender_to(mqtt) as sender:
            document = parse_json(live.ask("/asyncapi.json", "")[1].decode(), "asyncapi.json")
            ears, stop = (Ear(mqtt), Ear(nats)), threading.Event()
            sockets = []
            for wants in ("", "?wants=all"):
                said, ready = [], threading.Event()
                thread = threading.Thread(target=heard_over, args=(live.url, wants, said, ready, stop))
                thread.start()
                assert ready.wait(60)
                sockets.append((said, thread))
            boxes = plaza_boxes(2.0)
            for line in lines_of(boxes).splitlines():
                validator(document, "Frames").validate(json.loads(line))
            receipt = {"accepted": len(boxes), "record": sender.send(boxes)}
            sender.finish()
            assert check(document, "stream", [receipt]) == {"Receipt"}
            wait_for(lambda: all(ear.of("events") and ear.of("positions") and ear.cameras() for ear in ears))
            wait_for(lambda: receiver.posts)
            wait_for(lambda: {"stalls", "events", "positions"} <= {one["type"] for one in sockets[0][0]})
            wait_for(lambda: {"tracks", "events"} <= {one["type"] for one in sockets[1][0]})
            stop.set()
            for said, thread in sockets:
                thread.join()
                check(document, "live", said)
            for ear, broker, camera in zip(ears, ("mqtt", "nats"), ("mqttCamera", "natsCameras"), strict=True):
                assert check(document, f"{broker}Events", ear.of("events")) == {"Event"}
                assert check(document, f"{broker}Positions", ear.of("positions")) == {"Positions"}
                check(document, camera, [one for topic, one in ear.said if "cameras" in topic])
                ear.close()
            check(document, "webhook", [json.loads(body) for body, _ in receiver.posts])
    receiver.close()


def test_every_reference_of_the_document_leads_somewhere(tmp_path):
    with running(tmp_path / "state") as live:
        document = parse_json(live.ask("/asyncapi.json", "")[1].decode(), "asyncapi.json")

    def walk(value) -> None:
        if isinstance(value, dict):
            for key, one in value.items():
                if key == "$ref":
                    at = document
                    for part in one.removeprefix("#/").split("/"):
                        at = at[part]
                walk(one)
        elif isinstance(value, list):
            for one in value:
                walk(one)

    walk(document)
    assert document["asyncapi"] == "3.0.0"
