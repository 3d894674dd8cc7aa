"""What a site tells, into a stream in which each thing stands once and in order, whoever tells it.

What is told is a function of the site's stream of messages: at which place of it, and which one of what came of that.
Both stand in the headers, with the epoch. Every message names the sequence number of the one before it on its subject,
and the server refuses it where another one is there: so a worker that does not know that it has been replaced cannot
add anything behind what its successor has told, and who begins finds where to go on.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from geoloc.service.serve.bridges.jetstream import WAIT_S, insist
from geoloc.service.workers.register import LostError

if TYPE_CHECKING:
    from nats.js import JetStreamContext

EPOCH, PLACE = "Geoloc-Epoch", "Geoloc-Place"
WRONG_LAST = (10071, 10164)  # the server's errors: another message is the last one

At = tuple[int, int]  # a place of the site's stream, and the number of what came of it
logger = logging.getLogger(__name__)


class Outlet:
    """One subject of one site, for the worker of one epoch; `hold` waits until the site is surely its own."""

    def __init__(
        self, js: "JetStreamContext", stream: str, subject: str, epoch: int, hold: Callable[[], Awaitable[None]]
    ) -> None:
        self._js, self._stream, self._subject, self._epoch, self._hold = js, stream, subject, epoch, hold
        self._sequence = 0
        self.last: At = (0, -1)  # that was told, by whomever
        self.told = 0  # messages

    async def find(self) -> None:
        """Learn what was told last; LostError where a later epoch did."""
        last = await insist(self._newest, self._subject)
        self._sequence, self.last, epoch = last
        if epoch > self._epoch:
            raise LostError(f"{self._subject}: epoch {epoch} goes on, {self._epoch} is over")

    def has(self, at: At) -> bool:
        """Whether what came of a message has been told."""
        return at <= self.last

    async def put(self, at: At, data: bytes, headers: dict[str, str] | None = None) -> None:
        """Tell what came of a message, once; returns when the stream has it."""
        while not self.has(at):
            if await self._publish(at, data, headers or {}):
                return
            await self.find()

    async def say(self, data: bytes) -> None:
        """Tell what is so now, whether or not it was told before."""
        while not await self._publish(self.last, data, {}):
            await self.find()

    async def _publish(self, at: At, data: bytes, headers: dict[str, str]) -> bool:
        """Whether the stream has it; no: it may, or another message came between."""
        import nats.errors
        from nats.js.api import Header
        from nats.js.errors import APIError

        await self._hold()
        own = {EPOCH: str(self._epoch), PLACE: f"{at[0]}.{at[1]}"}
        expected = {str(Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value): str(self._sequence)}
        try:
            ack = await self._js.publish(self._subject, data, headers={**headers, **own, **expected})
        except (nats.errors.Error, OSError, TimeoutError) as error:
            if not (isinstance(error, APIError) and error.err_code in WRONG_LAST):
                logger.warning("NATS %s: %s %s; it is tried again", self._subject, type(error).__name__, error)
                await asyncio.sleep(WAIT_S)
            return False
        self._sequence, self.last = ack.seq, at
        self.told += 1
        return True

    async def _newest(self) -> tuple[int, At, int]:
        """Sequence number, place and epoch of the last message; zeros where there is none, or none of a worker's."""
        from nats.js.errors import NotFoundError

        try:
            found = await self._js.get_last_msg(self._stream, self._subject)
        except NotFoundError:
            return 0, self.last, 0
        headers = found.headers or {}
        if PLACE not in headers or found.seq is None:
            return found.seq or 0, self.last, 0
        place, _, number = headers[PLACE].partition(".")
        return found.seq, (int(place), int(number)), int(headers[EPOCH])
