"""MQTT: detections in, acknowledged when the disk has them; positions, events and the cameras' health out.

Topics are `geoloc/SITE/detections` and `finish` in, `positions`, `events` and `cameras/CAMERA` (retained) out. A
message may ask for an answer (MQTT 5: response topic below `geoloc/replies/`, correlation data): its sender then knows
that it is on disk, whatever the broker may lose.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from geoloc.errors import GeolocError, InputError
from geoloc.pipeline.lineage import Event
from geoloc.scene.site import Site
from geoloc.service.serve.bridges.bridge import topic_part
from geoloc.service.serve.bridges.intake import Form, Intake, Message, own_form
from geoloc.service.serve.bridges.mqtt_line import LOGIN, MqttLine, require_paho
from geoloc.service.serve.bridges.options import MqttOptions, login
from geoloc.service.serve.bridges.outbox import Outbox, outbox_path
from geoloc.service.serve.bridges.scenescape import TOPIC, scenescape_frames
from geoloc.service.serve.engine import Receipt
from geoloc.service.serve.heard import Frames
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.said import Json, as_text, event_data
from geoloc.service.serve.service import ServedSite

if TYPE_CHECKING:
    import paho.mqtt.client as paho
    from paho.mqtt.properties import Properties

HEALTH_S = 1.0  # between two looks at the cameras' health
STAMP_S = 10.0  # between two messages of a camera of which nothing but its last frame's time is new

logger = logging.getLogger(__name__)


class MqttBridge:
    """A broker and the sites of a service."""

    name = "mqtt"

    def __init__(self, options: MqttOptions, sites: Mapping[str, ServedSite], serve: ServeOptions) -> None:
        require_paho()
        login(options.login_file, LOGIN)  # what is wrong with it is said at the start
        self.counts: Counter[str] = Counter()
        self._options, self._sites, self._serve = options, dict(sites), serve
        self._client_id = options.client_id or "-".join(["geoloc", *map(topic_part, self._sites)])
        self._routes = _routes(options, self._sites)
        self._intakes = {name: Intake(site, serve, self.counts) for name, site in self._sites.items()}
        self._came: asyncio.Queue[tuple[int, paho.MQTTMessage]] = asyncio.Queue()  # ReceiveMaximum bounds it
        self._answers: set[asyncio.Task[None]] = set()  # on their way
        self._line: MqttLine | None = None

    @property
    def connected(self) -> bool:
        """Whether the broker is there."""
        return self._line is not None and self._line.connected.is_set()

    async def run(self) -> None:
        """Work until cancelled."""
        status = f"{self._options.prefix}/status/{topic_part(self._client_id)}"
        hear = lambda generation, message: self._came.put_nowait((generation, message))  # noqa: E731
        line = MqttLine(self._options, self._client_id, self._routes, hear, (status, b'{"connected":false}'))
        self._line = line
        line.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take(line))
                group.create_task(line.publish(status, b'{"connected":true}', retain=True))
                for name, site in self._sites.items():
                    top = f"{self._options.prefix}/{topic_part(name)}"
                    path = outbox_path({name: site.folder}, name, self.name)
                    group.create_task(self._intakes[name].run())
                    group.create_task(Outbox(site, path, partial(self._tell_events, line, top)).run())
                    group.create_task(self._tell_positions(line, top, site))
                    group.create_task(self._tell_health(line, top, site))
        finally:
            await asyncio.shield(asyncio.to_thread(line.stop))

    # ---- in

    async def _take(self, line: MqttLine) -> None:
        while True:
            generation, message = await self._came.get()
            self.counts["in"] += 1
            site, form = self._routes[message.topic]
            settle = partial(self._settle, line, generation, message)
            await self._intakes[site].put(Message(bytes(message.payload), form, settle))

    async def _settle(
        self, line: MqttLine, generation: int, message: "paho.MQTTMessage", said: Receipt | GeolocError
    ) -> None:
        line.acknowledge(generation, message)
        asked = getattr(message.properties, "ResponseTopic", "")
        if not asked:
            return
        if not asked.startswith(f"{self._options.prefix}/replies/") or any(sign in asked for sign in "+#"):
            logger.warning("MQTT: an answer was asked for at a topic that is not below replies/; none was given")
            return
        text: Json = {"error": str(said)}
        if isinstance(said, Receipt):
            text = {"accepted": said.rows, "record": said.number}
        # nobody waits for the broker here: whoever asked asks again
        answer = asyncio.create_task(line.publish(asked, as_text(text).encode(), properties=_answering(message)))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)

    # ---- out

    async def _tell_events(self, line: MqttLine, top: str, events: list[Event]) -> None:
        for event in events:
            await line.publish(f"{top}/events", as_text(event_data(event)).encode())
            self.counts["events"] += 1

    async def _tell_positions(self, line: MqttLine, top: str, site: ServedSite) -> None:
        told = None
        while True:
            await asyncio.sleep(1.0 / self._serve.positions_hz)
            if self.connected and site.hub.positions is not told:
                told = site.hub.positions
                await line.publish(f"{top}/positions", as_text(told).encode())
                self.counts["positions"] += 1

    async def _tell_health(self, line: MqttLine, top: str, site: ServedSite) -> None:
        """Each camera's health, retained: told anew when it changes, and over every new connection."""
        told: dict[str, tuple[Json, float]] = {}
        generation = -1
        while True:
            await asyncio.sleep(HEALTH_S)
            if generation != line.generation:
                told.clear()
                generation = line.generation
            for one in site.cameras.health()["cameras"] if self.connected else ():
                before, at = told.get(one["camera"], ({}, 0.0))
                stamps = before | {"time": None} == one | {"time": None}
                if before == one or (stamps and time.monotonic() - at < STAMP_S):
                    continue
                told[one["camera"]] = one, time.monotonic()
                topic = f"{top}/cameras/{topic_part(one['camera'])}"
                await line.publish(topic, as_text(one).encode(), retain=True)
                self.counts["health"] += 1


def _routes(options: MqttOptions, sites: Mapping[str, ServedSite]) -> dict[str, tuple[str, Form | None]]:
    """Topics that are heard: of which site, and what reads them."""
    found: dict[str, tuple[str, Form | None]] = {}
    for name, site in sites.items():
        top = f"{options.prefix}/{topic_part(name)}"
        found[f"{top}/detections"] = name, own_form
        found[f"{top}/finish"] = name, None
        for camera in [camera.name for camera in site.site.cameras] if options.scenescape else ():
            topic = f"{TOPIC}{camera}"
            if topic in found:
                raise InputError(f"two sites have a camera {camera!r}: SceneScape's topics cannot tell them apart")
            _check_level(camera)
            found[topic] = name, partial(_scenescape, camera=camera)
    return found


def _scenescape(data: bytes, site: Site, camera: str) -> Frames:
    return scenescape_frames(data, site, camera)


def _check_level(camera: str) -> None:
    signs: Collection[str] = [sign for sign in "+#/" if sign in camera]
    if signs:
        raise InputError(f"camera {camera!r} cannot be heard as SceneScape's: {', '.join(signs)} is in its name")


def _answering(message: "paho.MQTTMessage") -> "Properties":
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    properties = Properties(PacketTypes.PUBLISH)
    correlation = getattr(message.properties, "CorrelationData", None)
    if correlation is not None:
        properties.CorrelationData = correlation
    return properties
