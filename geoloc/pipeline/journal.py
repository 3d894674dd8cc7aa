"""State that survives: an engine whose every call is in a log before it is answered, and which starts again there.

After kill -9 at any moment the newest snapshot is read and the log behind it replayed: the same calls, by the same
steps, to the same bytes. Calls are windows, packets as they came, and what the operator takes back. The log has a call
before its answer is returned, so nothing that was answered is lost; one that was written but not answered any more is
there too, and `replay` of the recording passes it over.
"""

import logging
import zlib
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np

from geoloc.errors import GeolocError, InputError, unknown_name
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.epochs import CHANGES, Epoch, moved
from geoloc.pipeline.fed import Fed, Reached
from geoloc.pipeline.journal_options import JournalOptions
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.linking import Linked, link
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, step_windows, window_numbers, windows_of_site
from geoloc.pipeline.packets import Answer, PacketLocalizer, last_said, packets_of
from geoloc.pipeline.queries import State
from geoloc.pipeline.record_log import PartWriter, part_paths, read_head
from geoloc.pipeline.state_folder import HEAD, StateFolder, chunk_name, require_same_attributes
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints, Tracks

Said = TypeVar("Said")

logger = logging.getLogger(__name__)


class JournaledLocalizer:
    """A `Localizer` whose state survives in a folder, fed with windows (`step`) or packets as they come (`push`).

    >>> with JournaledLocalizer.open(site, "state") as journaled:       # doctest: +SKIP
    ...     tracks = journaled.step(detections)
    ...     journaled.state.where(17)
    """

    def __init__(self, folder: StateFolder, options: JournalOptions) -> None:
        self.folder = folder
        self.options = options
        self.packets = PacketLocalizer(Localizer(folder.site, folder.options))
        self.number = 0  # of records so far: calls since the folder was begun
        self.replayed = 0  # of them, at the start
        self.needed = np.inf  # record behind which others need the log, and a snapshot to replay it from
        self._reached = Reached()
        self._fed = Fed()
        self._epoch = -1  # of the folder's epochs
        self._writer: PartWriter | None = None
        self._saved = self._synced = -np.inf  # s, of the last snapshot and the last wait for the disk
        self._times: dict[int, float] = {}  # s, when each of the log's files began, by its first record

    @classmethod
    def open(
        cls,
        site: Site,
        folder: str | Path,
        options: LocalizerOptions | None = None,
        journal: JournalOptions | None = None,
        changed: Collection[str] = (),
    ) -> "JournaledLocalizer":
        """The engine as the folder has it, or a new one; without `options` a folder's own are taken.

        InputError where the folder is of another site, or damaged, or of another calibration, map or options, but for
        what `changed` (of CHANGES) tells it to go on with; nothing is changed then.
        """
        path = Path(folder)
        for change in changed:
            if change not in CHANGES:
                raise unknown_name("change", change, CHANGES)
        if not (path / HEAD).exists():
            StateFolder.require_free(path)
            found = StateFolder.create(path, site, options or LocalizerOptions())
        else:
            found = StateFolder.find(path, site)
        now = Epoch.of(1, -np.inf, site, options or found.options)
        differences = found.epochs[-1].differences(now)
        for change, message in differences.items():
            if change not in changed:
                raise InputError(f"{path}: {message}")
        found.lock()
        try:
            journaled = cls(found, journal or JournalOptions())
            journaled.restore(write=True)
            if differences:
                journaled._go_on_with(now, site)
        except BaseException:
            found.unlock()
            raise
        return journaled

    @property
    def localizer(self) -> Localizer:
        """The engine."""
        return self.packets.localizer

    @property
    def state(self) -> State:
        """Answers about now and before."""
        return self.localizer.state

    def step(self, detections: Detections, time: float | None = None, cameras: Iterable[str] | None = None) -> Tracks:
        """As `PacketLocalizer.step`; the window is in the log before its tracks are returned."""
        given = None if cameras is None else sorted(cameras)
        time = None if time is None else float(time)
        entry = {"call": "step", "detections": detections, "time": time, "cameras": given}
        return self._logged(entry, lambda: self._step(detections, time, given))

    def push(self, packet: Detections) -> list[Answer]:
        """As `PacketLocalizer.push`; the packet is in the log before its answers are returned."""
        return self._push(packet, False)

    def finish(self) -> list[Answer]:
        """As `PacketLocalizer.finish`."""
        return self._logged({"call": "finish"}, self.packets.finish) if self.packets.waits else []

    def undo(self, object: int, other: int, why: str = "") -> Event:
        """As `Localizer.undo`: the operator says that `other` is not `object`."""
        entry = {"call": "undo", "object": int(object), "other": int(other), "why": str(why)}
        return self._logged(entry, lambda: self.packets.undo(int(object), int(other), str(why)))

    def tell(self, event: Event) -> Event:
        """As `Localizer.tell`; the event, with its id, is in the log before it is returned."""
        return self._logged({"call": "tell", "event": event}, lambda: self.packets.tell(event))

    def link(self, tracks: Tracks, points: GroundPoints) -> Linked:
        """As `geoloc.link`: numbers that it gives are in the log before they are returned, and never given again."""
        first = self.localizer.identities.book.first_free
        linked = link(tracks, self.localizer.site, self.localizer.options.linking, points, first)
        stop = linked.first_free
        if stop > first:
            self._logged({"call": "reserve", "stop": stop}, lambda: self.packets.reserve(stop))
        return linked

    def replay(self, detections: Detections) -> Iterator[Tracks]:
        """Feed a recording, but for the windows that the folder has already: the tracks of each."""
        parts = self._reached.behind(windows_of_site(detections, self.localizer), self.folder.options.window_s)
        return step_windows(self.localizer, parts, self.step)

    def replay_packets(self, detections: Detections) -> list[tuple[Tracks, GroundPoints]]:
        """Feed a log of packets, in the order of the rows, but for those that the folder has already.

        What was said last of each step. A log that does not begin with all that came of the last one is another one.
        """
        held = self._fed.of(packets_of(detections))
        packets = (packet for k, packet in enumerate(packets_of(detections)) if k >= held)
        first = iter([held == 0])
        return last_said(lambda packet: self._push(packet, next(first, False)), self.finish, packets)

    def sync(self) -> None:
        """Wait until the disk has every call so far: they outlive the loss of power, too. OSError where it fails."""
        if self._writer is not None:
            self._writer.sync()

    def save(self) -> None:
        """Write a snapshot now, begin a new file of the log, and remove what is not kept any longer."""
        history = self.localizer.history
        chunks = {chunk_name(chunk): chunk for chunk in history.chunks}
        state = {"packets": self.packets, "reached": self._reached, "fed": self._fed, "epoch": self._epoch}
        self.folder.save_snapshot(self.number, state, chunks)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._saved = self.localizer.tracker.time
        self._forget()

    def close(self) -> None:
        """Write a snapshot and let go of the folder. Not closing it loses nothing; the next start takes longer."""
        if self._writer is not None:
            self.save()
        self.folder.unlock()

    def __enter__(self) -> "JournaledLocalizer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
            return
        # what led to an error is in the log; a snapshot of what it left behind might not be
        if self._writer is not None:
            self._writer.close()
        self.folder.unlock()

    def _save_if_possible(self, now: float) -> None:
        try:
            self.save()
        except InputError as error:  # the log has everything still
            logger.warning("%s; no snapshot was written, a restart will take longer", error)
            self._saved = now

    # ---- log

    def _append(self, entry: dict[str, object]) -> None:
        if self._writer is None:
            time = self.localizer.tracker.time
            head = {"schema": 1, "time": None if np.isnan(time) else time}
            self._writer = PartWriter.begin(self.folder.path, self.number + 1, encode(head, {}))
            self._times[self.number + 1] = time
        press = zlib.compressobj(self.options.compression, zdict=self.folder.names)
        self._writer.append(press.compress(encode(entry, {})) + press.flush())
        self.number += 1

    def _logged(self, entry: dict[str, object], call: Callable[[], Said]) -> Said:
        """The answer of a call, which is in the log before."""
        self._append(entry)
        said = call()
        now = self.localizer.tracker.time
        if now >= self._synced + self.options.sync_s and self._writer is not None:
            self._writer.sync()
            self._synced = now
        if np.isinf(self._saved) and np.isfinite(now):
            self._saved = now
        if now >= self._saved + self.options.snapshot_s:
            self._save_if_possible(now)
        return said

    def _step(self, detections: Detections, time: float | None, cameras: list[str] | None) -> Tracks:
        self._reached.note(detections, self.folder.options.window_s)
        return self.packets.step(detections, time, cameras)

    def _push(self, packet: Detections, first: bool) -> list[Answer]:
        entry = {"call": "push", "packet": packet, "first": first}
        return self._logged(entry, lambda: self._feed(packet, first))

    def _feed(self, packet: Detections, first: bool) -> list[Answer]:
        """Push a packet; the `first` one of another recording begins another count."""
        if first:
            self._fed = Fed()
        self._fed.note(packet)
        return self.packets.push(packet)

    # ---- restart

    def restore(self, write: bool) -> None:
        """Become what the folder holds; `write`: and go on there."""
        deque(self.restored(write), maxlen=0)

    def restored(self, write: bool, after: float = np.inf) -> Iterator[list[Answer]]:
        """The same record by record, with the answers of each, from a snapshot that is not behind record `after`."""
        self._load_newest(after)
        self._enter(self.folder.epoch_of(self.number + 1))
        for path in part_paths(self.folder.path):
            time = decode(read_head(path), {})["time"]
            self._times[int(path.name[4:])] = np.nan if time is None else time
        last = None
        for part in self.folder.parts(self.number):
            last = part
            for record in part.records[max(self.number + 1 - part.first, 0) :]:
                yield self._step_again(record)
        if write and last is not None:
            if last.torn:
                logger.warning("%s: %d bytes of a torn record were cut off; it had no answer yet", last.path, last.torn)
            if last.first + len(last.records) == self.number + 1:
                self._writer = PartWriter(last.path, self.number + 1, last.end)

    def _load_newest(self, after: float) -> None:
        """The newest snapshot that is whole, and not behind record `after`; none: the engine stays new."""
        wrong = ""
        for number in (one for one in self.folder.snapshots() if one <= after):
            try:
                state = self.folder.load_snapshot(number)
            except InputError as error:
                wrong = wrong or f"{error}; "
                logger.warning("%s: what was before it is taken", error)
                continue
            require_same_attributes(self.packets, state["packets"], "engine")
            self.packets, self._reached, self._fed = state["packets"], state["reached"], state["fed"]
            self.number, self._epoch = number, state["epoch"]
            self._saved = self.localizer.tracker.time
            return
        first = int(part_paths(self.folder.path)[0].name[4:]) if part_paths(self.folder.path) else 1
        if first > 1:
            raise InputError(f"{wrong}no snapshot can be read and the log begins at record {first}: restore a copy")

    def _step_again(self, record: bytes) -> list[Answer]:
        self._enter(self.folder.epoch_of(self.number + 1))
        try:
            press = zlib.decompressobj(zdict=self.folder.names)
            entry: dict[str, Any] = decode(press.decompress(record), {})
        except zlib.error as error:
            raise InputError(f"{self.folder.path}: record {self.number + 1} cannot be unpacked ({error})") from error
        calls: dict[str, Callable[[], object]] = {
            "step": lambda: [self._answer(self._step(entry["detections"], entry["time"], entry["cameras"]))],
            "push": lambda: self._feed(entry["packet"], entry["first"]),
            "finish": self.packets.finish,
            "reserve": lambda: self.packets.reserve(entry["stop"]),
            "undo": lambda: self.packets.undo(entry["object"], entry["other"], entry["why"]),
            "tell": lambda: self.packets.tell(entry["event"]),
        }
        if entry["call"] not in calls:
            raise InputError(f"{self.folder.path}: record {self.number + 1} is a {entry['call']!r}, unknown here")
        self.number += 1
        self.replayed += 1
        try:
            said = calls[entry["call"]]()
            return said if isinstance(said, list) else []
        except GeolocError as error:
            logger.info("record %d was refused, as it was before: %s", self.number, error)
            return []

    def _answer(self, tracks: Tracks) -> Answer:
        """What was said of a window that was given whole."""
        number = window_numbers(np.array([self.localizer.tracker.time]), self.folder.options.window_s).item()
        return Answer(number, (tracks,), (self.localizer.points,), False)

    # ---- epochs

    def _go_on_with(self, epoch: Epoch, site: Site) -> None:
        """Another epoch begins with the next record; what came before is in a snapshot of this one."""
        now = self.localizer.tracker.time
        epoch = replace(epoch, first=self.number + 1, after=-np.inf if np.isnan(now) else now)
        self.folder.go_on_with(epoch, site)
        self._enter(epoch)
        self.save()

    def _enter(self, epoch: Epoch) -> None:
        """Be of an epoch from now on."""
        index = self.folder.epochs.index(epoch)
        if index == self._epoch:
            return
        self._epoch = index
        self.packets.settle()
        site = self.folder.site_of(epoch)
        if self.localizer.site is not site or self.localizer.options != epoch.options:
            self.packets = moved(self.packets, site, epoch.options)
        epochs = self.folder.epochs[: index + 1]
        self.localizer.history.earlier = tuple((b.after, a.calibration) for a, b in pairwise(epochs))

    def _forget(self) -> None:
        """Remove snapshots, log and history that are not kept any longer."""
        folder, options, now = self.folder, self.options, self.localizer.tracker.time
        snapshots = folder.snapshots()
        others = next((number for number in snapshots if number <= self.needed), 0)
        for number in snapshots[options.keep_snapshots :]:
            if number != others:
                folder.remove(f"snapshot-{number:012d}")
        needed = min(snapshots[: options.keep_snapshots][-1], others)
        firsts = [int(path.name[4:]) for path in part_paths(folder.path)]
        for first, following in pairwise(firsts):
            ended = self._times.get(following, -np.inf)
            if following <= needed + 1 and not ended > now - options.keep_log_s:
                folder.remove(f"log-{first:012d}")
                self._times.pop(first, None)
        held = {chunk_name(chunk) for chunk in self.localizer.history.chunks}
        for name in folder.chunk_names():
            if name in held or folder.load_chunk(name).end > now - options.keep_history_s:
                break
            folder.remove(name)
