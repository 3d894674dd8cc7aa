"""A site in regions: its boxes are shared out to the regions' streams, and their tracks are joined to the site's own.

Regions are sites of their own, which any workers have. A junction is held by one worker, as a site is: it has the seam,
and no engine. What the regions tell goes into one stream, whose order is what the seam goes by: so its state is a
function of the place in that stream, and whoever takes over comes to the same numbers.
"""

import asyncio
import gzip
import json
import logging
import shutil
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geoloc.errors import GeolocError
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.localizer import LocalizerOptions, window_numbers
from geoloc.pipeline.regions import Region, Seam
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks
from geoloc.service.serve.bridges.intake import unpacked
from geoloc.service.serve.bridges.jetstream import SiteStreams, insist
from geoloc.service.serve.heard import Frames
from geoloc.service.serve.said import as_text, event_data, positions_data, tracks_data, tracks_of
from geoloc.service.serve.service import WATCH_S
from geoloc.service.workers.held import Means, TracksStream
from geoloc.service.workers.outlet import Outlet
from geoloc.service.workers.region_file import region_name, seam_stream
from geoloc.service.workers.register import Claim
from geoloc.service.workers.site_log import SiteLog, read_message
from geoloc.service.workers.vault import Vault

if TYPE_CHECKING:
    from nats.aio.msg import Msg

QUIET_S = 1.0  # a region that gets no boxes for so long is told to close its windows
OWED_S = 120.0  # a region that got boxes and tells nothing for so long is waited for no more

logger = logging.getLogger(__name__)


class Junction:
    """One claimed site that is in regions. `run` until cancelled or LostError."""

    def __init__(self, means: Means, site: Site, regions: tuple[Region, ...], claim: Claim) -> None:
        self.claim, self.counts, self.working = claim, Counter[str](), False
        self._means, self._site, self._regions = means, site, regions
        self._js = means.client.jetstream()
        own, epoch, hold = SiteStreams(self._js, means.nats, site.name), claim.epoch, means.hold
        self._own = own
        self._parts = {one.name: SiteStreams(self._js, means.nats, region_name(site.name, one)) for one in regions}
        self._region_of = {f"{part.top}.tracks": name for name, part in self._parts.items()}
        self._whole = TracksStream(f"{own.stem}-TRACKS", (f"{own.top}.tracks",))
        self._came_in = seam_stream(self._js, means.nats, site.name, regions)
        self._log = SiteLog(means.client, self._js, own, epoch, hold)
        self._came = SiteLog(means.client, self._js, own, epoch, hold, self._came_in.name)
        self._split = {
            name: (Outlet(self._js, part.detections, f"{part.top}.detections.split", epoch, hold),
                   Outlet(self._js, part.detections, f"{part.top}.finish", epoch, hold))
            for name, part in self._parts.items()
        }  # fmt: skip
        self._tracks = Outlet(self._js, self._whole.name, f"{own.top}.tracks", epoch, hold)
        self._events = Outlet(self._js, own.events, f"{own.top}.events", epoch, hold)
        self._now = Outlet(self._js, own.now, f"{own.top}.positions", epoch, hold)
        self._note = Outlet(self._js, self._came_in.name, f"{own.top}.seam", epoch, hold)
        self._folder = means.scratch / f"{site.name}-{epoch}"
        self._place = claim.place
        self._seam, self._seam_place, self._done = Seam(regions), 0, -1
        self._latest: dict[str, int] = {}
        self._waiting: dict[int, dict[str, list[Tracks]]] = {}
        self._sent: dict[str, int] = {}  # the last window of which each region got boxes
        self._given: dict[str, float] = {}  # when (s of a steady clock) it got some, until its windows are closed
        self._heard = {name: time.monotonic() for name in self._parts}
        self._window_s = (means.engine or LocalizerOptions()).window_s
        self._saving = asyncio.Lock()
        self._joining = asyncio.Lock()  # while a message is worked on, the seam is of no place

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            await self._restore()
            logger.info("site %s: epoch %d joins %d regions", self._site.name, self.claim.epoch, len(self._regions))
            async with asyncio.TaskGroup() as group:
                for work in (self._share_out, self._join, self._save_often, self._wait_no_more):
                    group.create_task(work())
                self.working = True
        finally:
            self.working = False
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def release(self) -> None:
        """Write a snapshot, and say that the site is nobody's."""
        if self.working:
            await self._save()
        async with self._saving:  # what is done from here on, who comes next does again
            self.claim = await self._means.register.write(self._site.name, replace(self.claim, worker=""))

    # ---- begin

    async def _restore(self) -> None:
        await insist(self._make_streams, "streams")
        self._vault = await insist(lambda: Vault.open(self._js, self._means.nats.prefix, self._site.name), "store")
        if self.claim.files:
            await self._vault.fetch(self.claim.files, self._folder)
            state: dict[str, Any] = decode(self._snapshot(self.claim.number).read_bytes(), {})
            self._seam.resume(state["seam"])
            self._seam_place, self._done = state["place"], state["done"]
            self._latest, self._waiting, self._sent = state["latest"], state["waiting"], state["sent"]
            behind = [name for name, last in self._sent.items() if last > self._latest.get(name, -1)]
            self._given = dict.fromkeys(behind, time.monotonic())
        self._folder.mkdir(parents=True, exist_ok=True)
        both = [outlet for pair in self._split.values() for outlet in pair]
        for outlet in (*both, self._tracks, self._events, self._now, self._note):
            await outlet.find()

    async def _make_streams(self) -> None:
        keep_s = self._means.worker.keep_tracks_s
        for streams in (self._own, *self._parts.values()):
            await streams.make()
        await self._whole.make(self._own, keep_s)
        await self._came_in.make(self._own, keep_s)

    # ---- boxes to the regions

    async def _share_out(self) -> None:
        async for message in self._log.messages(self.claim.place):
            place = message.metadata.sequence.stream
            try:
                found = await asyncio.to_thread(read_message, message, self._log, self._site, self._means.serve)
            except GeolocError as error:
                self.counts["refused"] += 1
                logger.warning("site %s: a message was refused: %s", self._site.name, error)
            else:
                if found is None:
                    for _, end in self._split.values():
                        await end.put((place, 0), b"")
                elif isinstance(found, Frames):
                    await self._share(message, place, found)
            self._place = place

    async def _share(self, message: "Msg", place: int, found: Frames) -> None:
        lines = unpacked(message.data, self._means.serve).splitlines()
        cameras = [json.loads(line)["camera"] if line.strip() else "" for line in lines]
        for region in self._regions:
            mine = [line for line, camera in zip(lines, cameras, strict=True) if camera in region.cameras]
            times = found.boxes.time[np.isin(found.boxes.camera, region.cameras)]
            if len(times):
                last = int(window_numbers(times, self._window_s).max())
                self._sent[region.name] = max(last, self._sent.get(region.name, last))
                self._given[region.name] = time.monotonic()
            if mine:
                await self._split[region.name][0].put((place, 0), gzip.compress(b"\n".join(mine), 1))

    # ---- the regions' tracks to the site's

    async def _join(self) -> None:
        async for message in self._came.messages(self._seam_place):
            place, n_events = message.metadata.sequence.stream, self._seam.lineage.n_events
            async with self._joining:
                for number, (window, steps) in enumerate(self._ready(message)):
                    told = [self._seam.step(tables) for tables in steps]
                    await self._tell((place, number), window, tuple(told))
                for number, event in enumerate(self._seam.lineage.since(n_events)):
                    await self._events.put((place, number), as_text(event_data(event)).encode())
                self._seam_place = place

    async def _tell(self, at: tuple[int, int], window: int, tables: tuple[Tracks, ...]) -> None:
        if not self._tracks.has(at):
            said = as_text(tracks_data(tables, window, False))
            await self._tracks.put(at, gzip.compress(said.encode(), 1, mtime=0), {"Content-Encoding": "gzip"})
            await self._now.say(as_text(positions_data(tables[-1], window)).encode())

    def _ready(self, message: "Msg") -> list[tuple[int, list[dict[str, Tracks]]]]:
        """The windows that need not wait any more, each with its steps."""
        region = self._region_of.get(message.subject)
        if region is not None:
            said = json.loads(gzip.decompress(message.data))
            window = int(said["window"])
            if said["revised"] or window <= self._done:
                self.counts["told too late for the seam"] += 1
                return []
            self._waiting.setdefault(window, {})[region] = [tracks_of(step) for step in said["steps"]]
            self._latest[region] = max(window, self._latest.get(region, window))
            self._heard[region] = time.monotonic()
            until = min(self._latest.get(name, -1) for name in self._parts)
        else:
            until = int(json.loads(message.data)["until"])
        windows = sorted(window for window in self._waiting if window <= until)
        self._done = max(windows, default=self._done)
        found = []
        for window in windows:
            parts = self._waiting.pop(window)
            n = max(len(steps) for steps in parts.values())
            steps = [{name: _at(parts.get(name, []), k) for name in self._parts} for k in range(n)]
            found.append((window, steps))
        return found

    async def _wait_no_more(self) -> None:
        """Regions in which nothing happens hold nobody up. What the clock on the wall decides goes through the log."""
        noted = -1
        while True:
            await asyncio.sleep(WATCH_S)
            now = time.monotonic()
            for name in [name for name, when in self._given.items() if now - when > QUIET_S]:
                del self._given[name]
                end = self._split[name][1]
                await end.put((max(self._place, end.last[0]), end.last[1] + 1), b"")
            owing = [self._latest.get(name, -1) for name in self._parts if self._owes(name, now)]
            until = min(owing, default=max(self._waiting, default=-1))
            if until > noted and any(window <= until for window in self._waiting):
                noted = until
                await self._note.say(json.dumps({"until": until}).encode())

    def _owes(self, name: str, now: float) -> bool:
        """Whether a region got boxes of windows that it has not told."""
        if self._sent.get(name, -1) <= self._latest.get(name, -1):
            return False
        if now - self._heard[name] < OWED_S or name in self._given:
            return True
        logger.warning("site %s: region %s tells nothing; it is not waited for", self._site.name, name)
        return False

    # ---- snapshots

    async def _save_often(self) -> None:
        while True:
            before = self._place, self._seam_place
            await asyncio.sleep(self._means.worker.snapshot_s)
            if (self._place, self._seam_place) != before:
                await self._save()

    async def _save(self) -> None:
        async with self._saving:
            before, number, place, sent = self.claim.files, self.claim.number + 1, self._place, dict(self._sent)
            async with self._joining:
                came = self._seam_place
                state = {"seam": self._seam.state(), "place": came, "done": self._done, "latest": self._latest}
                data = encode({**state, "sent": sent, "waiting": self._waiting}, {})
            self._snapshot(number).write_bytes(data)
            files = await self._vault.store(self._folder, number, {})
            await self._means.hold()
            said = replace(self.claim, place=place, number=number, files=files)
            self.claim = await self._means.register.write(self._site.name, said)
            self._snapshot(number).unlink()
            await self._log.cut(place)
            await self._came.cut(came)
            await self._vault.remove(set(before.values()) - set(files.values()))

    def _snapshot(self, number: int) -> Path:
        return self._folder / f"snapshot-{number:012d}"


def _at(steps: list[Tracks], k: int) -> Tracks:
    return steps[k] if k < len(steps) else Tracks()

