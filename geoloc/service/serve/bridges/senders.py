"""Senders over brokers, as `geoloc.service.serve.sender.Sender` over HTTP: each batch until it is taken for good."""

import asyncio
import gzip
import json
import secrets
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from geoloc.errors import InputError
from geoloc.scene.tables import Detections
from geoloc.service.serve.bridges.bridge import topic_part
from geoloc.service.serve.bridges.jetstream import SiteStreams, connect, insist, require_nats
from geoloc.service.serve.bridges.mqtt_line import MqttLine, require_paho
from geoloc.service.serve.bridges.options import MqttOptions, NatsOptions
from geoloc.service.serve.heard import lines_of
from geoloc.service.serve.sender import Sent

if TYPE_CHECKING:
    import paho.mqtt.client as paho

ANSWER_S = 2.0  # after which a batch is sent again
WAIT_S = 0.2  # between tries
Given = TypeVar("Given")


class _Loop:
    """An event loop in a thread, for those who have none."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="sender", daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, Given]) -> Given:
        """The outcome of `work` in the loop."""
        future: Future[Given] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result()

    def close(self) -> None:
        """End the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class BrokerSender:
    """What senders over brokers have in common; `_hand_in` tries once, and says whether it was taken."""

    def __init__(self, host: str, site: str, patience_s: float) -> None:
        self.sent = Sent()
        self._host, self._site, self._patience_s = host, site, patience_s
        self._loop = _Loop()

    def __enter__(self) -> "BrokerSender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.do(self._leave())
        self._loop.close()

    def send(self, detections: Detections) -> int:
        """Send whole frames; the number of the record that they are in, where the way tells (else 0)."""
        start = time.monotonic()
        number = self._insist("detections", gzip.compress(lines_of(detections), 1))
        self.sent.took_s.append(time.monotonic() - start)
        self.sent.batches += 1
        self.sent.rows += len(detections)
        return number

    def finish(self) -> int:
        """No more comes: have the windows closed that wait for more."""
        return self._insist("finish", b"")

    def _insist(self, what: str, body: bytes) -> int:
        until, own = time.monotonic() + self._patience_s, secrets.token_hex(8)
        while True:
            number = self._loop.do(self._hand_in(what, body, own))
            if number is not None:
                return number
            self.sent.again += 1
            if time.monotonic() > until:
                raise InputError(
                    f"{self._host}: took nothing for {self._patience_s:g} s; do the broker and geoloc serve run there?"
                )
            time.sleep(WAIT_S)

    async def _hand_in(self, what: str, body: bytes, own: str) -> int | None:
        raise NotImplementedError

    async def _leave(self) -> None:
        raise NotImplementedError


class MqttSender(BrokerSender):
    """Over MQTT: a batch is taken when the engine, not the broker alone, says that it is on disk."""

    def __init__(self, options: MqttOptions, site: str, patience_s: float = 60.0) -> None:
        require_paho()
        super().__init__(options.url, site, patience_s)
        own = secrets.token_hex(6)
        self._top, self._replies = f"{options.prefix}/{topic_part(site)}", f"{options.prefix}/replies/{own}"
        self._answers: dict[bytes, asyncio.Future[bytes]] = {}
        self._line: MqttLine = self._loop.do(self._open(options, f"geoloc-sender-{own}"))

    async def _open(self, options: MqttOptions, client_id: str) -> "MqttLine":
        line = MqttLine(replace(options, session_s=0), client_id, [self._replies], self._hear)
        line.start()
        return line

    def _hear(self, generation: int, message: "paho.MQTTMessage") -> None:
        self._line.acknowledge(generation, message)
        asked = self._answers.get(bytes(getattr(message.properties, "CorrelationData", b"")))
        if asked is not None and not asked.done():
            asked.set_result(bytes(message.payload))

    async def _hand_in(self, what: str, body: bytes, own: str) -> int | None:
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties, key = Properties(PacketTypes.PUBLISH), own.encode()
        properties.ResponseTopic, properties.CorrelationData = self._replies, key
        answer = self._answers[key] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._line.connected.wait()
                await self._line.publish(f"{self._top}/{what}", body, properties=properties)
                said = json.loads(await answer)
        except TimeoutError:
            return None
        finally:
            self._answers.pop(key, None)
        if "error" in said:
            raise InputError(f"{self._host}: refused: {said['error']}")
        return int(said["record"])

    async def _leave(self) -> None:
        await asyncio.to_thread(self._line.stop)


class NatsSender(BrokerSender):
    """Over JetStream: a batch is taken when the stream has it; one that is sent again is known by its message id."""

    def __init__(self, options: NatsOptions, site: str, patience_s: float = 60.0) -> None:
        require_nats()
        super().__init__(options.url, site, patience_s)
        try:
            self._loop.do(asyncio.wait_for(self._open(options), patience_s))
        except TimeoutError as error:
            self._loop.close()
            raise InputError(f"{options.url}: no answer in {patience_s:g} s; does a server run there?") from error

    async def _open(self, options: NatsOptions) -> None:
        self._client = await connect(options, "geoloc replay")
        self._js = self._client.jetstream(timeout=ANSWER_S)
        self._streams = SiteStreams(self._js, options, self._site)
        await insist(self._streams.make, "streams")

    async def _hand_in(self, what: str, body: bytes, own: str) -> int | None:
        import nats.errors

        subject = f"{self._streams.top}.{what}" + (".replay" if what == "detections" else "")
        try:
            await self._js.publish(subject, body, headers={"Nats-Msg-Id": own})
        except (nats.errors.Error, OSError, TimeoutError):
            return None
        return 0

    async def _leave(self) -> None:
        await self._client.close()
