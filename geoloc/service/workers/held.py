"""A site that this worker has: its engine restored from the newest snapshot, fed from the stream, and telling.

Everything that the engine is told comes out of the stream, in its order: so its state is a function of the place, and
whoever restores a snapshot of one place and goes on from there comes to the same bytes.
"""

import asyncio
import gzip
import logging
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from geoloc.errors import GeolocError, InputError
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.journal_options import JournalOptions
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.pipeline.packets import Answer
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.service.serve.bridges.jetstream import SiteStreams, insist
from geoloc.service.serve.bridges.options import NatsOptions
from geoloc.service.serve.engine import BusyError, Receipt, Told
from geoloc.service.serve.heard import Frames
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.said import as_text, event_data, tracks_data
from geoloc.service.serve.service import WATCH_S, ServedSite
from geoloc.service.workers.options import WorkerOptions
from geoloc.service.workers.outlet import Outlet
from geoloc.service.workers.register import Claim, Register
from geoloc.service.workers.site_log import SiteLog, note_data, read_message
from geoloc.service.workers.vault import Vault

if TYPE_CHECKING:
    from concurrent.futures import Future

    from nats.aio.client import Client
    from nats.aio.msg import Msg

READY_S, WAIT_S = 0.02, 0.02

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TracksStream:
    """A stream of whole tracks: of a site, or of all regions of one."""

    name: str
    subjects: tuple[str, ...]

    async def make(self, streams: SiteStreams, keep_s: float) -> None:
        """See that it is there."""
        from nats.js.api import StorageType, StreamConfig

        config = StreamConfig(
            name=self.name, subjects=list(self.subjects), storage=StorageType.FILE, max_age=keep_s,
            duplicate_window=min(120.0, keep_s),
        )  # fmt: skip
        await streams.make_one(config)


@dataclass(frozen=True, eq=False)
class Means:
    """What all sites of a worker share."""

    client: "Client"
    register: Register
    nats: NatsOptions
    serve: ServeOptions
    worker: WorkerOptions
    engine: LocalizerOptions | None
    changed: tuple[str, ...]
    scratch: Path
    hold: Callable[[], Awaitable[None]]  # returns while this worker surely has its sites


class HeldSite:
    """One claimed site. `run` until cancelled or LostError; `release` hands it over without loss of time."""

    def __init__(self, means: Means, site: Site, claim: Claim, tracks: TracksStream | None = None) -> None:
        self.claim, self.counts = claim, Counter[str]()
        self.place = self.told = claim.place  # up to which messages were handed in, and told
        self._means, self._site = means, site
        self._js = means.client.jetstream()
        self._streams = SiteStreams(self._js, means.nats, site.name)
        hold, epoch, top = means.hold, claim.epoch, self._streams.top
        self._log = SiteLog(means.client, self._js, self._streams, epoch, hold)
        self._whole = tracks or TracksStream(f"{self._streams.stem}-TRACKS", (f"{top}.tracks",))
        self.tracks = Outlet(self._js, self._whole.name, f"{top}.tracks", epoch, hold)
        self._events = Outlet(self._js, self._streams.events, f"{top}.events", epoch, hold)
        now = self._streams.now
        self._now = {what: Outlet(self._js, now, f"{top}.{what}", epoch, hold) for what in ("positions", "cameras")}
        self._notes = Outlet(self._js, self._streams.detections, self._log.notes, epoch, hold)
        self._folder = means.scratch / f"{site.name}-{epoch}"
        journal = JournalOptions(sync_s=1e9, snapshot_s=1e9, keep_log_s=0.0, keep_snapshots=1,
                                 keep_history_s=means.worker.keep_history_s)  # fmt: skip
        given = site, self._folder, means.engine, means.serve, means.changed
        self.served = ServedSite(*given, journal=journal, kept_elsewhere=True)
        self._came: asyncio.Queue[Told] = asyncio.Queue()
        self._saving = asyncio.Lock()
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Work until cancelled; GeolocError where the site cannot be worked on here."""
        start = time.monotonic()
        try:
            await self._restore()
            name, epoch = self._site.name, self.claim.epoch
            logger.info("site %s: epoch %d at %d after %.2f s", name, epoch, self.place, time.monotonic() - start)
            async with asyncio.TaskGroup() as group:
                self._reading = group.create_task(self._read())
                for work in (self._tell, self._save_often, self._tell_now, self._watch_cameras, self._watch_engine):
                    group.create_task(work())
        finally:
            await asyncio.to_thread(self.served.engine.stop)
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def release(self) -> None:
        """Take nothing more, tell what is known, write a snapshot, and say that the site is nobody's."""
        if self._reading is not None:
            self._reading.cancel()
            await self._caught_up(0)
            await self._save()
        self.claim = await self._means.register.write(self._site.name, replace(self.claim, worker=""))

    @property
    def working(self) -> bool:
        """Whether the engine is restored, and works."""
        return self._reading is not None and self.served.engine.working

    # ---- begin

    async def _restore(self) -> None:
        await insist(self._make_streams, "streams")
        vault = await insist(self._open_vault, "store")
        if self.claim.files:
            await vault.fetch(self.claim.files, self._folder)
        self.served.hub.followers.append(self._came.put_nowait)
        self.served.start(asyncio.get_running_loop())
        while not self.served.engine.ready.is_set():
            if self.served.engine.failure:
                raise InputError(self.served.engine.failure)
            await asyncio.sleep(READY_S)
        for outlet in (self.tracks, self._events, *self._now.values(), self._notes):
            await outlet.find()

    async def _open_vault(self) -> Vault:
        self._vault = await Vault.open(self._js, self._means.nats.prefix, self._site.name)
        return self._vault

    async def _make_streams(self) -> None:
        await self._streams.make()
        await self._whole.make(self._streams, self._means.worker.keep_tracks_s)
        config = (await self._js.stream_info(self._streams.detections)).config
        if self._log.notes not in (config.subjects or []):
            await self._js.update_stream(config.evolve(subjects=[*(config.subjects or []), self._log.notes]))

    # ---- in

    async def _read(self) -> None:
        async for message in self._log.messages(self.claim.place):
            place = message.metadata.sequence.stream
            packet = await self._read_one(message)
            await self._caught_up(self._means.worker.ahead)
            (await self._handed_in(packet, place)).add_done_callback(self._count)
            self.place = place

    async def _read_one(self, message: "Msg") -> Detections | Event | None:
        """What is for the engine; nothing where the message is wrong, for it has its place even so."""
        try:
            found = await asyncio.to_thread(read_message, message, self._log, self._site, self._means.serve)
        except GeolocError as error:
            self.counts["refused"] += 1
            logger.warning("site %s: a message was refused: %s", self._site.name, error)
            return Detections()
        if isinstance(found, Frames):
            self.served.cameras.hear(found.latest)
            return found.boxes
        return found

    async def _handed_in(self, packet: Detections | Event | None, place: int) -> "Future[Receipt]":
        while True:
            try:
                return self.served.engine.take_kept(packet, place)
            except BusyError:
                await asyncio.sleep(WAIT_S)

    def _count(self, receipt: "Future[Receipt]") -> None:
        self.counts["taken" if receipt.exception() is None else "refused"] += 1

    async def _caught_up(self, ahead: int) -> None:
        """Wait until at most so many messages are handed in and not told."""
        while self.place - self.told > ahead:
            await asyncio.sleep(WAIT_S / 4)

    async def _watch_engine(self) -> None:
        while not self.served.engine.failure:
            await asyncio.sleep(WATCH_S)
        raise InputError(self.served.engine.failure)

    # ---- out

    async def _tell(self) -> None:
        """What came of each message, in order."""
        while True:
            told = await self._came.get()
            for number, answer in enumerate(told.answers):
                at = told.place, number
                if not self.tracks.has(at):
                    data = await asyncio.to_thread(_packed, answer)
                    await self.tracks.put(at, data, {"Content-Encoding": "gzip", **self._id("t", at)})
            for number, event in enumerate(told.events):
                at = told.place, number
                await self._events.put(at, as_text(event_data(event)).encode(), self._id("e", at))
            self.told = max(told.place, self.told)

    def _id(self, kind: str, at: tuple[int, int]) -> dict[str, str]:
        return {"Nats-Msg-Id": f"{self._streams.top}-{kind}-{at[0]}.{at[1]}"}

    async def _tell_now(self) -> None:
        """The newest positions and the cameras' health, whenever they are others."""
        told: dict[str, object] = {}
        while True:
            await asyncio.sleep(1.0 / self._means.serve.positions_hz)
            for what, said in (("positions", self.served.hub.positions), ("cameras", self.served.cameras.health())):
                if self._means.client.is_connected and said != told.get(what):
                    told[what] = said
                    await self._now[what].say(as_text(said).encode())

    async def _watch_cameras(self) -> None:
        """What is seen by the clock on the wall goes through the stream, too."""
        state = await asyncio.wrap_future(self.served.engine.state())
        self.served.cameras.note(state.happenings())
        while True:
            await asyncio.sleep(WATCH_S)
            for event in self.served.cameras.look():
                await self._notes.say(note_data(event))

    # ---- snapshots

    async def _save_often(self) -> None:
        options, saved = self._means.worker, time.monotonic()
        while True:
            await asyncio.sleep(min(WATCH_S, options.snapshot_s / 4))
            due = time.monotonic() - saved >= options.snapshot_s and self.told > self.claim.place
            if due or self.told - self.claim.place >= options.snapshot_messages:
                await self._save()
                saved = time.monotonic()

    async def _save(self) -> None:
        """Write a snapshot, say so in the register, and only then let go of what it holds."""
        async with self._saving:
            engine, before = self.served.engine, self.claim.files
            number, place = await asyncio.wrap_future(engine.ask(partial(_saved, lambda: engine.place)))
            while self.told < place:
                await asyncio.sleep(WAIT_S)
            place = max(place, self.claim.place)
            files = await self._vault.store(self._folder, number, before)
            await self._means.hold()
            said = replace(self.claim, place=place, number=number, files=files)
            self.claim = await self._means.register.write(self._site.name, said)
            await self._log.cut(place)
            await self._vault.remove(set(before.values()) - set(files.values()))


def _packed(answer: Answer) -> bytes:
    """A window's whole tracks: the same bytes for the same numbers."""
    said = as_text(tracks_data(answer.tracks, answer.window, answer.revised))
    return gzip.compress(said.encode(), 1, mtime=0)


def _saved(place: Callable[[], int], journaled: JournaledLocalizer) -> tuple[int, int]:
    """In the engine's thread: a snapshot, the record after which it is, and the place."""
    journaled.save()
    return journaled.number, place()
