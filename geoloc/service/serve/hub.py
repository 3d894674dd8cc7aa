"""What is told to those who listen: newest positions to those who look, everything to those who keep it.

A client that is slow never holds up another, nor the engine. One that looks gets the newest positions and misses those
between; one that wants everything, and every client's events, wait in a queue of its own: it is cut off once that is
too long, or once it does not take a message in time.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from geoloc.pipeline.lineage import Event
from geoloc.service.serve.engine import Told
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.said import Json, as_text, event_data, positions_data, tracks_data

NEWEST, ALL = "newest", "all"
WANTS = (NEWEST, ALL)


class SlowError(Exception):
    """A client that does not keep up."""


class Listener:
    """One client's messages that wait. It lives in the event loop."""

    def __init__(self, wants: str, options: ServeOptions) -> None:
        self.wants = wants
        self.skipped = 0  # positions that newer ones took the place of
        self._options = options
        self._queue: deque[str] = deque()
        self._newest = ""
        self._too_slow = False
        self._wake = asyncio.Event()

    def put(self, message: str) -> None:
        """A message that has to arrive."""
        if not self._too_slow:
            self._queue.append(message)
        self._too_slow |= len(self._queue) > self._options.behind
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Messages that have to arrive still."""
        return len(self._queue)

    def show(self, message: str) -> None:
        """Positions, in place of those that still wait."""
        self.skipped += bool(self._newest)
        self._newest = message
        self._wake.set()

    async def deliver(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Send what comes, for as long as the client takes it; SlowError when it does not."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                if self._too_slow:
                    raise SlowError(f"it is more than {self._options.behind} messages behind")
                await self._send(send, self._queue.popleft())
            if self._newest:
                message, self._newest = self._newest, ""
                await self._send(send, message)
                await asyncio.sleep(1.0 / self._options.positions_hz)

    async def _send(self, send: Callable[[str], Awaitable[None]], message: str) -> None:
        try:
            async with asyncio.timeout(self._options.send_s):
                await send(message)
        except TimeoutError as error:
            raise SlowError(f"it took no message for {self._options.send_s:g} s") from error


class Hub:
    """Those who listen to one site, and the positions that they saw last."""

    def __init__(self, options: ServeOptions) -> None:
        self.listeners: set[Listener] = set()
        self.cut_off = 0
        self.skipped = 0  # of clients that have gone
        self.positions: Json = {"type": "positions", "window": 0, "time": None, "objects": []}
        self.stalls: Json = {}
        self.watchers: list[Callable[[tuple[Event, ...]], None]] = []  # called with events that are new or other
        self.followers: list[Callable[[Told], None]] = []  # called with all that is new
        self._options = options

    def join(self, wants: str) -> Listener:
        """A new client."""
        listener = Listener(wants, self._options)
        self.listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """A client has gone."""
        self.listeners.discard(listener)
        self.skipped += listener.skipped

    def tell(self, told: Told) -> None:
        """Pass on what is new."""
        self._show_newest(told)
        for follower in self.followers:
            follower(told)
        if told.answers and any(one.wants == ALL for one in self.listeners):
            for answer in told.answers:
                self._put(as_text(tracks_data(answer.tracks, answer.window, answer.revised)), ALL)
        for watcher in self.watchers if told.events else ():
            watcher(told.events)
        if told.events and self.listeners:
            self._put(as_text({"type": "events", "events": [event_data(event) for event in told.events]}))

    def tell_stalls(self, stalls: Json) -> None:
        """Pass on which stalls are taken, if that has changed."""
        if stalls != self.stalls:
            self.stalls = stalls
            self._put(as_text(stalls), NEWEST)

    def _show_newest(self, told: Told) -> None:
        last = max(told.answers, key=lambda answer: answer.window, default=None)
        if last is None or last.window < self.positions["window"] or not last.tracks:
            return
        self.positions = positions_data(last.tracks[-1], last.window)
        lookers = [one for one in self.listeners if one.wants == NEWEST]
        message = as_text(self.positions) if lookers else ""
        for one in lookers:
            one.show(message)

    def _put(self, message: str, wants: str = "") -> None:
        for one in self.listeners:
            if not wants or one.wants == wants:
                one.put(message)
