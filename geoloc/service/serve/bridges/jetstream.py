"""NATS JetStream: detections in from a stream that is worked off, positions and events out into others.

Subjects are `geoloc.SITE.detections.SOURCE` and `finish` in, `positions`, `events` and `cameras` out. The stream of
detections is a work queue: the server forgets what was acknowledged, and refuses more than it may hold, so that a
sender knows. An engine that comes back makes its consumer anew, which begins with the first message that was not
acknowledged: all come in order, none waits for a timeout behind newer ones.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from geoloc.errors import GeolocError, InputError
from geoloc.pipeline.lineage import Event
from geoloc.service.serve.bridges.bridge import still_wanted, topic_part
from geoloc.service.serve.bridges.intake import Intake, Message, own_form
from geoloc.service.serve.bridges.mqtt_line import tls_context
from geoloc.service.serve.bridges.options import NATS, NatsOptions, address_of, login
from geoloc.service.serve.bridges.outbox import Outbox, message_id, outbox_path
from geoloc.service.serve.engine import Receipt
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.said import as_text, event_data
from geoloc.service.serve.service import ServedSite

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import StreamConfig

LOGIN = "GEOLOC_NATS"  # how names of the environment begin
WAIT_S = 1.0  # for messages, and between tries
LONGEST_WAIT_S = 30.0  # between tries to connect
TIMEOUT_S = 5.0  # of the server's answers
ALREADY = 10058  # the server's error: a stream of this name is there, with other settings

Given = TypeVar("Given")
logger = logging.getLogger(__name__)


async def connect(options: NatsOptions, name: str) -> "Client":
    """A connection that is made again whenever it is lost; it waits until the server is there once."""
    import nats

    parts = address_of(options.url, NATS)
    user, password = login(options.login_file, LOGIN)
    given = {"user": user, "password": password} if user else {}
    if parts.scheme == "tls":
        given["tls"] = tls_context(options.ca_file)  # type: ignore[assignment]
    wait_s = WAIT_S

    async def told(error: Exception) -> None:
        logger.info("NATS server %s: %s", parts.hostname, type(error).__name__)

    while True:
        try:
            return await nats.connect(
                options.url, name=name, max_reconnect_attempts=-1, reconnect_time_wait=WAIT_S, error_cb=told,
                allow_reconnect=True, connect_timeout=TIMEOUT_S, **given,
            )  # fmt: skip
        except (OSError, TimeoutError, nats.errors.Error) as error:
            logger.warning("NATS server %s: %s; it is tried again", parts.hostname, type(error).__name__)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def require_nats() -> None:
    """InputError where the library is not installed."""
    try:
        import nats  # noqa: F401
    except ImportError as error:
        raise InputError(f"NATS needs the extra 'nats' ({error}): pip install 'geoloc[nats]'") from error


class SiteStreams:
    """The streams and subjects of one site; whoever works for the site, or sends to it, makes them if need be."""

    def __init__(self, jetstream: "JetStreamContext", options: NatsOptions, site: str) -> None:
        self._js, self._options = jetstream, options
        self.top = f"{options.prefix}.{topic_part(site)}"
        # a server of version 2.9 delivers nothing from a stream with a percent sign in its name
        self.stem = f"{options.prefix}-{topic_part(site)}".upper().replace("%", "_")

    @property
    def detections(self) -> str:
        """Name of the stream that detections wait in."""
        return f"{self.stem}-DETECTIONS"

    @property
    def events(self) -> str:
        """Name of the stream of events."""
        return f"{self.stem}-EVENTS"

    @property
    def now(self) -> str:
        """Name of the stream of what is newest."""
        return f"{self.stem}-NOW"

    async def make(self) -> None:
        """See that the streams are there; what an operator set otherwise stays so."""
        from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig

        waits = StreamConfig(
            name=self.detections, subjects=[f"{self.top}.detections.>", f"{self.top}.finish"],
            retention=RetentionPolicy.WORK_QUEUE, discard=DiscardPolicy.NEW, storage=StorageType.FILE,
            max_bytes=self._options.max_bytes, duplicate_window=120.0,
        )  # fmt: skip
        tells = StreamConfig(
            name=self.events, subjects=[f"{self.top}.events"], storage=StorageType.FILE,
            max_age=self._options.keep_s, duplicate_window=120.0,
        )  # fmt: skip
        shows = StreamConfig(
            name=self.now, subjects=[f"{self.top}.positions", f"{self.top}.cameras"],
            storage=StorageType.MEMORY, max_msgs_per_subject=1,
        )  # fmt: skip
        for config in (waits, tells, shows):
            await self.make_one(config)

    async def make_one(self, config: "StreamConfig") -> None:
        """See that a stream is there, whatever its settings."""
        from nats.js.errors import BadRequestError

        try:
            await self._js.add_stream(config)
        except BadRequestError as error:
            if error.err_code != ALREADY:
                raise

    async def consume(self, durable: str) -> "JetStreamContext.PullSubscription":
        """Messages from the first one on that was not acknowledged, by a consumer that is made anew."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        with suppress(NotFoundError):  # nobody was here before
            await self._js.delete_consumer(self.detections, durable)
        config = ConsumerConfig(
            durable_name=durable, ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL,
            ack_wait=self._options.ack_s, max_ack_pending=self._options.in_flight,
        )  # fmt: skip
        await self._js.add_consumer(self.detections, config)
        return await self._js.pull_subscribe_bind(durable, self.detections)


class NatsBridge:
    """A server and the sites of a service. Each site's engine is one worker of its stream."""

    name = "nats"

    def __init__(self, options: NatsOptions, sites: Mapping[str, ServedSite], serve: ServeOptions) -> None:
        require_nats()
        address_of(options.url, NATS)
        login(options.login_file, LOGIN)  # what is wrong with it is said at the start
        self.counts: Counter[str] = Counter()
        self._options, self._sites, self._serve = options, dict(sites), serve
        self._client: Client | None = None

    @property
    def connected(self) -> bool:
        """Whether the server is there."""
        return self._client is not None and bool(self._client.is_connected)

    async def run(self) -> None:
        """Work until cancelled."""
        client = self._client = await connect(self._options, "geoloc serve")
        try:
            async with asyncio.TaskGroup() as group:
                for name, site in self._sites.items():
                    group.create_task(self._serve_site(client, name, site))
        finally:
            await close(client)

    async def _serve_site(self, client: "Client", name: str, site: ServedSite) -> None:
        js = client.jetstream(timeout=TIMEOUT_S)
        streams = SiteStreams(js, self._options, name)
        await insist(streams.make, "streams")
        path = outbox_path({name: site.folder}, name, self.name)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take(client, streams, site))
            group.create_task(Outbox(site, path, partial(self._tell_events, js, streams.top, name)).run())
            group.create_task(self._tell_now(js, streams.top, site))

    # ---- in

    async def _take(self, client: "Client", streams: SiteStreams, site: ServedSite) -> None:
        import nats.errors

        intake = Intake(site, self._serve, self.counts)
        async with asyncio.TaskGroup() as group:
            group.create_task(intake.run())
            while not site.engine.ready.is_set():
                await asyncio.sleep(WAIT_S / 10)
            messages = await insist(partial(streams.consume, "engine"), "consumer")
            while still_wanted():
                try:
                    some = await messages.fetch(min(64, self._options.in_flight), timeout=WAIT_S)
                except (TimeoutError, nats.errors.TimeoutError):
                    continue
                except (nats.errors.Error, OSError) as error:
                    logger.warning("NATS: %s; it is tried again", error)
                    await asyncio.sleep(WAIT_S)
                    continue
                for one in some:
                    self.counts["in"] += 1
                    self.counts["again"] += one.metadata.num_delivered > 1
                    form = None if one.subject == f"{streams.top}.finish" else own_form
                    await intake.put(Message(one.data, form, partial(self._settle, one)))

    async def _settle(self, message: "Msg", said: Receipt | GeolocError) -> None:
        """Acknowledge; an acknowledgement that is lost brings the message again, which the engine knows then."""
        import nats.errors

        try:
            await (message.ack() if isinstance(said, Receipt) else message.term())
        except (nats.errors.Error, OSError) as error:
            logger.info("NATS: a message was not acknowledged (%s); it comes again", error)

    # ---- out

    async def _tell_events(self, js: "JetStreamContext", top: str, site: str, events: list[Event]) -> None:
        for event in events:
            data, headers = as_text(event_data(event)).encode(), {"Nats-Msg-Id": message_id(site, event)}
            await insist(partial(js.publish, f"{top}.events", data, headers=headers), "events")
            self.counts["events"] += 1

    async def _tell_now(self, js: "JetStreamContext", top: str, site: ServedSite) -> None:
        """The newest positions and the cameras' health, whenever they are others."""
        told: dict[str, object] = {}
        while still_wanted():
            await asyncio.sleep(1.0 / self._serve.positions_hz)
            now = {"positions": site.hub.positions, "cameras": site.cameras.health()}
            for what, said in now.items():
                if self.connected and said != told.get(what):
                    told[what] = said
                    await insist(partial(js.publish, f"{top}.{what}", as_text(said).encode()), what)
                    self.counts[what] += 1


async def insist(ask: Callable[[], Awaitable[Given]], what: str) -> Given:
    """The server's answer, however often it has to be asked."""
    import nats.errors

    while True:
        try:
            return await ask()
        except (nats.errors.Error, OSError, TimeoutError) as error:
            still_wanted()
            logger.warning("NATS %s: %s %s; it is tried again", what, type(error).__name__, error)
            await asyncio.sleep(WAIT_S)


async def close(client: "Client") -> None:
    """Let go of a connection, whose line may be dead."""
    with suppress(TimeoutError):
        async with asyncio.timeout(TIMEOUT_S):
            await client.close()
