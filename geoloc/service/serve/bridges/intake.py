"""Messages of a broker on their way into a site's engine: in their order, acknowledged when the disk has them."""

import asyncio
import logging
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass

from geoloc.errors import GeolocError, InputError
from geoloc.scene.site import Site
from geoloc.service.serve.engine import BusyError, Receipt, UnavailableError
from geoloc.service.serve.heard import Frames, frames_of
from geoloc.service.serve.limits import GZIP
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.service import ServedSite

RETRY_S = 0.05  # between tries to hand in a message while too many boxes wait, or the disk does not take it
AHEAD = 64  # messages that were handed in and whose receipts have not come
MAGIC = b"\x1f\x8b"

Form = Callable[[bytes, Site], Frames]
logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Message:
    """One message: `form` reads it (None: all windows are to be closed), `settle` is told what became of it.

    It is settled with a receipt when the disk has it, or with an error when it will never be taken; a message that
    is not settled is to be delivered again.
    """

    data: bytes
    form: Form | None
    settle: Callable[[Receipt | GeolocError], Awaitable[None]]


class Intake:
    """The messages of one site. `put` waits while the engine is behind: so the broker is held back."""

    def __init__(self, site: ServedSite, options: ServeOptions, counts: Counter[str]) -> None:
        self._site, self._options, self._counts = site, options, counts
        self._came: asyncio.Queue[Message] = asyncio.Queue(AHEAD)
        self._handed: asyncio.Queue[tuple[Message, Frames | None, Future[Receipt]]] = asyncio.Queue(AHEAD)

    async def put(self, message: Message) -> None:
        """The next message."""
        await self._came.put(message)

    async def run(self) -> None:
        """Hand in and settle, until cancelled."""
        while not self._site.engine.ready.is_set():
            await asyncio.sleep(RETRY_S)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hand_in())
            group.create_task(self._settle())

    async def _hand_in(self) -> None:
        while True:
            message = await self._came.get()
            try:
                frames = await asyncio.to_thread(self._read, message)
            except GeolocError as error:
                await self._handed.put((message, None, _failed(error)))
                continue
            await self._handed.put((message, frames, await self._given(frames)))

    def _read(self, message: Message) -> Frames | None:
        if message.form is None:
            return None
        return message.form(unpacked(message.data, self._options), self._site.site)

    async def _given(self, frames: Frames | None) -> "Future[Receipt]":
        """The receipt to come; waits while too many boxes wait, and for ever once the engine has stopped."""
        while True:
            try:
                return await self._site.take_in_turn(frames) if frames is not None else self._site.engine.finish()
            except (BusyError, UnavailableError):
                await asyncio.sleep(RETRY_S)

    async def _settle(self) -> None:
        while True:
            message, frames, receipt = await self._handed.get()
            said = await self._outcome(frames, receipt)
            self._counts["taken" if isinstance(said, Receipt) else "refused"] += 1
            if not isinstance(said, Receipt):
                logger.warning("site %s: a message was refused: %s", self._site.site.name, said)
            await message.settle(said)

    async def _outcome(self, frames: Frames | None, receipt: "Future[Receipt]") -> Receipt | GeolocError:
        while True:
            try:
                return await asyncio.wrap_future(receipt)
            except UnavailableError:  # the disk does not take it, or the engine has stopped
                await asyncio.sleep(RETRY_S)
                receipt = await self._given(frames)
            except GeolocError as error:
                return error


def own_form(data: bytes, site: Site) -> Frames:
    """The form of HTTP: JSON lines."""
    return frames_of(data, site)


def unpacked(data: bytes, options: ServeOptions) -> bytes:
    """A message, unpacked where it is gzip; InputError where it is more than is taken."""
    if len(data) > options.max_body:
        raise InputError(f"more than {options.max_body} bytes; send smaller batches")
    if not data.startswith(MAGIC):
        return data
    press = zlib.decompressobj(GZIP)
    try:
        text = press.decompress(data, options.max_unpacked + 1)
    except zlib.error as error:
        raise InputError("is no gzip, though it begins so") from error
    if len(text) > options.max_unpacked:
        raise InputError(f"more than {options.max_unpacked} bytes unpacked; send smaller batches")
    if not press.eof or press.unused_data:
        raise InputError("is no whole gzip member")
    return text


def _failed(error: GeolocError) -> "Future[Receipt]":
    future: Future[Receipt] = Future()
    future.set_exception(error)
    return future
