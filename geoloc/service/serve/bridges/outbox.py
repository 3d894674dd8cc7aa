"""Events on their way out: each is delivered until it is taken, over restarts of the service and of the other end.

The engine's log is the queue. What is kept here on disk is the last event that was delivered and what the latest ones
said, so that after a restart those that are new, or were changed since, are delivered; in memory wait at most MOST.
"""

import asyncio
import json
import logging
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from geoloc.errors import GeolocError, InputError
from geoloc.files import write_whole
from geoloc.pipeline.lineage import Event
from geoloc.scene import jsonfile
from geoloc.service.serve.said import as_text, event_data
from geoloc.service.serve.service import ServedSite

MOST = 2000  # events that wait in memory; beyond them they are read from the engine's state again
AT_ONCE = 100  # events of one delivery
KEPT = 1000  # delivered events that are known, should a late frame change them
READY_S = 0.1

Deliver = Callable[[list[Event]], Awaitable[None]]
logger = logging.getLogger(__name__)


class Outbox:
    """The events of one site for one receiver; `deliver` returns when they are taken, and raises nothing."""

    def __init__(self, site: ServedSite, path: Path, deliver: Deliver, kinds: Iterable[str] = ()) -> None:
        self._site, self._path, self._deliver, self._kinds = site, path, deliver, frozenset(kinds)
        self._waiting: dict[int, Event] = {}
        self._behind = False  # more came than wait: the rest is in the state
        self._wake = asyncio.Event()
        self._last, self._said = 0, dict[int, int]()

    def put(self, events: Iterable[Event]) -> None:
        """What is new, or was changed."""
        for event in events:
            if len(self._waiting) >= MOST and event.id not in self._waiting:
                self._behind = True
            else:
                self._waiting[event.id] = event
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._site.hub.watchers.append(self.put)
        try:
            while not self._site.engine.working:
                await asyncio.sleep(READY_S)
            await self._catch_up(fresh=not await asyncio.to_thread(self._load))
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await self._deliver_some()
                if self._behind:
                    self._behind = False
                    await self._catch_up()
        finally:
            self._site.hub.watchers.remove(self.put)

    async def _deliver_some(self) -> None:
        some = [self._waiting.pop(id) for id in sorted(self._waiting)[:AT_ONCE]]
        wanted = [event for event in some if not self._kinds or event.kind in (*self._kinds, "withdrawn")]
        if wanted:
            await self._deliver(wanted)
        self._mark(some)
        await asyncio.to_thread(self._save)

    async def _catch_up(self, fresh: bool = False) -> None:
        """Take from the state what was not delivered as it is now; a `fresh` outbox begins with what comes next."""
        try:
            events = (await asyncio.wrap_future(self._site.engine.state())).happenings()
        except GeolocError as error:  # the engine stops
            logger.info("site %s: %s", self._site.site.name, error)
            return
        if fresh:
            self._mark([event for event in events if event.id not in self._waiting])
            await asyncio.to_thread(self._save)
            return
        oldest = min(self._said, default=self._last + 1)
        self.put(event for event in events if event.id >= oldest and self._said.get(event.id) != _crc(event))

    def _mark(self, events: Iterable[Event]) -> None:
        for event in events:
            self._said[event.id] = _crc(event)
            self._last = max(self._last, event.id)
        if len(self._said) > 2 * KEPT:
            self._said = dict(sorted(self._said.items())[-KEPT:])

    def _load(self) -> bool:
        """Whether something was delivered before; a damaged file is said, and everything that is kept sent again."""
        if not self._path.exists():
            return False
        try:
            found = jsonfile.read_object(self._path)
            self._said = {int(id): int(crc) for id, crc in found["said"]}
            self._last = int(found["last"])
        except (InputError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s: is damaged (%s); events that were delivered may be told again", self._path, error)
            self._said, self._last = {}, 0
        return True

    def _save(self) -> None:
        text = json.dumps({"schema": 1, "last": self._last, "said": sorted(self._said.items())})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, text)
        except (OSError, InputError) as error:
            logger.warning("%s: %s; after a restart events may be told twice", self._path, error)


def _crc(event: Event) -> int:
    return zlib.crc32(as_text(event_data(event)).encode())


def message_id(site: str, event: Event) -> str:
    """The same for the same event as it was said, another one when it is revised."""
    return f"{site}-{event.id}-{_crc(event):08x}"


def outbox_path(folders: Mapping[str, Path], site: str, receiver: str) -> Path:
    """Where it is kept what was delivered: beside the site's state."""
    folder = folders[site]
    return folder.with_name(f"{folder.name}.delivered") / f"{receiver}.json"
