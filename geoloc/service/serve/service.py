"""The sites that are served: their engines, who listens to them, and who may come in."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.draw.extent import choose_extent
from geoloc.draw.page_data import camera_data, map_data
from geoloc.errors import GeolocError, unknown_name
from geoloc.pipeline.journal_options import JournalOptions
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.pipeline.queries import State
from geoloc.scene.footprint import footprints
from geoloc.scene.site import Site
from geoloc.service.serve.bridges.bridge import Bridge, keep_running
from geoloc.service.serve.cameras import CameraWatch
from geoloc.service.serve.engine import JOURNAL, BusyError, LiveEngine, Receipt, Told
from geoloc.service.serve.heard import Frames
from geoloc.service.serve.hub import NEWEST, Hub
from geoloc.service.serve.limits import Pace
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.pictures import PictureDesk
from geoloc.service.serve.said import Json
from geoloc.service.serve.tokens import Token, Tokens
from geoloc.service.store.writer import StoreWriter

PROBABILITY = 0.95  # that the error ellipses of the page hold
TURN_S = 0.02  # between two looks whether there is room
ENDS_S = 15.0  # that a bridge may take to let go
WATCH_S = 0.5  # between two looks at which cameras are heard
RANGE_M = 80.0  # footprints on the page end here

logger = logging.getLogger(__name__)


class ServedSite:
    """One site: its engine, and those who listen."""

    def __init__(
        self, site: Site, folder: Path, options: LocalizerOptions | None, serve: ServeOptions,
        changed: Collection[str] = (), store: StoreWriter | None = None, journal: JournalOptions = JOURNAL,
        kept_elsewhere: bool = False,
    ) -> None:  # fmt: skip
        self.site = site
        self.folder = folder
        self.landmarks: Path | None = None  # what pictures are placed by, where it is there
        self.gallery: Path | None = None  # what objects are searched in, where it is there
        self.hub = Hub(serve)
        self.store = store
        given = site, folder, options, changed, serve.max_waiting, self._tell, journal
        self.engine = LiveEngine(*given, kept_elsewhere)
        if store is not None:
            self.engine.begun, self.engine.needed = store.start, store.needed
        self.cameras = CameraWatch([camera.name for camera in site.cameras], serve.silent_s)
        self.hub.watchers.append(self.cameras.note)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn, self._in_turn, self._most = asyncio.Lock(), 0, serve.max_waiting

    def take(self, frames: Frames) -> "Future[Receipt]":
        """Hand in frames, as `LiveEngine.submit`; their cameras are heard."""
        receipt = self.engine.submit(frames.boxes)
        self.cameras.hear(frames.latest)
        return receipt

    async def take_in_turn(self, frames: Frames, within_s: float | None = None) -> "Future[Receipt]":
        """As `take`, in the order in which they came; BusyError where it is not its turn `within_s` (None: waits).

        Who came first goes in first: senders that wait fall behind alike, so no frame comes late for the others.
        """
        n = len(frames.boxes)
        if within_s is not None and self._in_turn and self._in_turn + n > self._most:
            raise BusyError(f"{self._in_turn} boxes wait for their turn; send the same again in a moment")
        self._in_turn += n
        try:
            async with asyncio.timeout(within_s), self._turn:
                while True:
                    try:
                        return self.take(frames)
                    except BusyError:
                        await asyncio.sleep(TURN_S)
        except TimeoutError as error:
            raise BusyError(f"{self.engine.waiting} boxes wait already; send the same again in a moment") from error
        finally:
            self._in_turn -= n

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin; what is new is told in the `loop`."""
        self._loop = loop
        self.engine.start()

    def _tell(self, told: Told) -> None:
        if self.store is not None:
            self.store.take(told)
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended: nobody listens any more
                self._loop.call_soon_threadsafe(self.hub.tell, told)

    @cached_property
    def map(self) -> Json:
        """What the page draws: map, cameras and where they see."""
        seen = footprints(self.site, RANGE_M)
        box = choose_extent(self.site, seen, np.zeros((0, 2)))
        return {
            "type": "site", "name": self.site.name, **map_data(self.site.site_map),
            "cameras": camera_data(self.site, seen), "probability": PROBABILITY, "box": np.round(box, 2).tolist(),
        }  # fmt: skip

    async def look_at_stalls(self, every_s: float) -> None:
        """Tell which stalls are taken, while somebody watches."""
        windows = -1
        while True:
            await asyncio.sleep(every_s)
            watched = any(one.wants == NEWEST for one in self.hub.listeners)
            if not watched or not self.engine.working or self.engine.figures.windows == windows:
                continue
            windows = self.engine.figures.windows
            with suppress(GeolocError):  # before the first window nothing is known
                state = await asyncio.wrap_future(self.engine.state())
                self.hub.tell_stalls(await asyncio.to_thread(_stalls, state))


    async def watch_cameras(self) -> None:
        """Tell which cameras fall silent, and which are back."""
        while not self.engine.working:
            await asyncio.sleep(WATCH_S)
        with suppress(GeolocError):
            self.cameras.note((await asyncio.wrap_future(self.engine.state())).happenings())
        while True:
            await asyncio.sleep(WATCH_S)
            for event in self.cameras.look():
                with suppress(GeolocError):  # it stops: the next start looks anew
                    await asyncio.wrap_future(self.engine.tell_of(event))


class LiveService:
    """The sites by name, who may come in, and how much is taken of whom."""

    def __init__(
        self, sites: Mapping[str, ServedSite], tokens: Tokens, options: ServeOptions, bridges: Collection[Bridge] = ()
    ) -> None:
        self.sites = dict(sites)
        self.bridges = tuple(bridges)
        self.tokens = tokens
        self.options = options
        self.pictures = PictureDesk(options)
        self.reading = asyncio.Semaphore(options.max_readers)  # bodies that are being read
        self.sockets = 0
        self.requests: Counter[tuple[str, int]] = Counter()  # by route and status
        self.started = time.time()
        self._paces: dict[str, tuple[Pace, Pace]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[None]:
        """One of those who may read a body, in the order in which they came; BusyError where it takes too long."""
        try:
            async with asyncio.timeout(self.options.turn_s):
                await self.reading.acquire()
        except TimeoutError as error:
            most = self.options.max_readers
            raise BusyError(f"{most} bodies are being read; send the same again in a moment") from error
        try:
            yield
        finally:
            self.reading.release()

    def site(self, name: str) -> ServedSite:
        """A site; UnknownNameError where it is not served."""
        if name not in self.sites:
            raise unknown_name("site", name[:40], self.sites)
        return self.sites[name]

    def pace(self, token: Token) -> tuple[Pace, Pace]:
        """What a token has left: of requests, and of boxes."""
        if token.name not in self._paces:
            self._paces[token.name] = Pace(self.options.requests_per_s), Pace(self.options.rows_per_s)
        return self._paces[token.name]

    async def start(self) -> None:
        """Begin at every site."""
        loop = asyncio.get_running_loop()
        for site in self.sites.values():
            site.start(loop)
            self._tasks.append(loop.create_task(site.look_at_stalls(self.options.stalls_s)))
            self._tasks.append(loop.create_task(site.watch_cameras()))
        for bridge in self.bridges:
            self._tasks.append(loop.create_task(keep_running(bridge)))

    async def stop(self) -> None:
        """Take in what waits, write snapshots, and end."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=ENDS_S)
            for task in left:
                logger.warning("%s does not end; it is left", task.get_name())
        self.pictures.close()
        for site in self.sites.values():
            await asyncio.to_thread(site.engine.stop)
            if site.store is not None:
                await asyncio.to_thread(site.store.stop)

    @property
    def failures(self) -> dict[str, str]:
        """Sites whose engines have stopped, and why."""
        return {name: site.engine.failure for name, site in self.sites.items() if site.engine.failure}

    @property
    def stores(self) -> list[str]:
        """How the stores are that are not well: behind, full, down or failed."""
        states = {site.store.state for site in self.sites.values() if site.store is not None}
        return sorted(states - {"ok", "starting"})

    @property
    def not_ready(self) -> dict[str, str]:
        """Sites that take nothing now, and why."""
        found = self.failures
        for name, site in self.sites.items():
            if not site.engine.working:
                found.setdefault(name, "is starting or stopping")
            elif site.engine.waiting >= self.options.max_waiting:
                found[name] = f"{site.engine.waiting} boxes wait"
        return found


async def ask(site: ServedSite, question: Any) -> Any:
    """What `question` makes of the site's state as of now, off the event loop."""
    state: State = await asyncio.wrap_future(site.engine.state())
    return await asyncio.to_thread(partial(question, state))


def _stalls(state: State) -> Json:
    found = state.occupancy()
    taken = [[one.level, one.name, one.objects[-1]] for one in found.places if one.kind == "stall" and one.objects]
    return {"type": "stalls", "taken": taken, "stalls": found.stalls, "unsure": found.unsure}
