"""A site's stream of messages as the log of its engine: read in order from any place on, and cut behind a snapshot.

It is the stream that `geoloc serve --nats` works off. Workers acknowledge nothing in it: what a snapshot holds is
purged, so it begins with the first message that whoever comes next has to work on.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from geoloc.errors import InputError
from geoloc.pipeline.lineage import Event
from geoloc.scene.site import Site
from geoloc.service.serve.bridges.intake import unpacked
from geoloc.service.serve.bridges.jetstream import WAIT_S, SiteStreams, insist
from geoloc.service.serve.cameras import SILENT
from geoloc.service.serve.heard import Frames, frames_of
from geoloc.service.serve.options import ServeOptions
from geoloc.service.workers.register import LostError

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import ConsumerInfo

NEVER_AGAIN_S = 7 * 86_400.0  # nothing is acknowledged, and nothing is to come again on its own
IDLE_S = 600.0  # after which the server lets a consumer go that nobody asks
AT_ONCE = 64
OTHERS = "engine"  # the consumer of `geoloc serve`

logger = logging.getLogger(__name__)


class SiteLog:
    """The messages of one site, for the worker of one epoch; `hold` waits until the site is surely its own.

    `stream` is another one that is read in the same way.
    """

    def __init__(
        self, client: "Client", js: "JetStreamContext", streams: SiteStreams, epoch: int,
        hold: Callable[[], Awaitable[None]], stream: str = "",
    ) -> None:  # fmt: skip
        self.stream = stream or streams.detections
        self.finish, self.notes = f"{streams.top}.finish", f"{streams.top}.notes"
        self._client, self._js, self._epoch, self._hold = client, js, epoch, hold

    async def messages(self, after: int) -> AsyncIterator["Msg"]:
        """The messages behind a place, in order, for ever; LostError where a later epoch reads."""
        import nats.errors

        while True:
            subscription = await insist(self._consumer, "consumer")
            links, delivered = self._client.stats["reconnects"], 0
            while links == self._client.stats["reconnects"]:  # what was on its way when the line broke is gone
                try:
                    some = await subscription.fetch(AT_ONCE, timeout=WAIT_S)
                except (TimeoutError, nats.errors.TimeoutError):
                    continue
                except (nats.errors.Error, OSError) as error:
                    logger.warning("NATS %s: %s; it is read anew", self.stream, type(error).__name__)
                    await asyncio.sleep(WAIT_S)
                    break
                steps = [one.metadata.sequence.consumer for one in some]
                if steps != list(range(delivered + 1, delivered + 1 + len(some))):
                    break  # one was lost on the way
                delivered += len(some)
                for one in some:
                    if one.metadata.sequence.stream > after:
                        after = one.metadata.sequence.stream
                        yield one
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def cut(self, place: int) -> None:
        """Let go of what a snapshot holds: everything up to a place."""
        await insist(lambda: self._js.purge_stream(self.stream, seq=place + 1), "stream")

    async def behind(self, place: int) -> int:
        """Messages that lie behind a place."""
        info = await self._js.stream_info(self.stream)
        return max(info.state.last_seq - max(place, info.state.first_seq - 1), 0)

    async def _consumer(self) -> "JetStreamContext.PullSubscription":
        """A consumer of this epoch in place of all that are older; it begins with the first message that is there."""
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
        from nats.js.errors import NotFoundError

        await self._hold()
        own = f"worker-{self._epoch}"
        for one in await self._js.consumers_info(self.stream):
            self._require_over(one)
            with suppress(NotFoundError):
                await self._js.delete_consumer(self.stream, one.name)
        config = ConsumerConfig(
            durable_name=own, ack_policy=AckPolicy.EXPLICIT, deliver_policy=DeliverPolicy.ALL,
            ack_wait=NEVER_AGAIN_S, max_ack_pending=-1, inactive_threshold=IDLE_S,
        )  # fmt: skip
        await self._js.add_consumer(self.stream, config)
        return await self._js.pull_subscribe_bind(own, self.stream)

    def _require_over(self, consumer: "ConsumerInfo") -> None:
        """Raise where the reader is none that this one replaces."""
        word, _, epoch = consumer.name.partition("-")
        if word == "worker" and epoch.isdigit() and int(epoch) > self._epoch:
            raise LostError(f"{self.stream}: epoch {epoch} reads, {self._epoch} is over")
        if consumer.name == OTHERS and consumer.num_waiting:
            raise InputError(f"{self.stream}: geoloc serve works on it; end that, then workers go on")


def read_message(message: "Msg", log: SiteLog, site: Site, options: ServeOptions) -> Frames | Event | None:
    """What a message holds; None: all windows are to be closed. InputError where it is wrong."""
    if message.subject == log.finish:
        return None
    if message.subject == log.notes:
        return _note(message.data, site)
    return frames_of(unpacked(message.data, options), site)


def note_data(event: Event) -> bytes:
    """A note that a camera is silent, or is back, for the log."""
    said = {"time": event.time, "kind": event.kind, "why": event.why, "camera": event.cameras[0]}
    return json.dumps(said).encode()


def _note(data: bytes, site: Site) -> Event:
    try:
        found: dict[str, Any] = json.loads(data)
        kind, why, camera = (str(found[name]) for name in ("kind", "why", "camera"))
        time = float(found["time"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"is no note ({error})") from error
    if kind not in SILENT:
        raise InputError(f"a note of kind {kind[:40]!r}")
    return Event(time, kind, 0, why=why[:200], cameras=(site.camera(camera).name,))
