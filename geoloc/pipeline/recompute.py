"""A state worked out again from its log, with the cameras as they truly were: into a new folder, the old one stays."""

import json
import shutil
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import GeolocError, InputError
from geoloc.files import read_json, write_whole
from geoloc.pipeline.codec import decode
from geoloc.pipeline.doubts import Doubt, camera_in, true_version
from geoloc.pipeline.epochs import Epoch
from geoloc.pipeline.journal import JournaledLocalizer, JournalOptions
from geoloc.pipeline.record_log import part_paths
from geoloc.pipeline.state_folder import HEAD, StateFolder
from geoloc.scene.site import Site
from geoloc.scene.versions import Version


@dataclass(frozen=True)
class Recomputed:
    """What was done: from which time (s) on the log was worked through again, how many records, with what changes.

    `since` is when the first camera was otherwise; where `start` is later, what lies between stays as it was, for
    the log does not reach back to it. `refused` are calls that the new state did not take, such as an operator's about
    an object that it does not have.
    """

    folder: Path
    since: float
    start: float
    records: int
    changes: tuple[tuple[float, str], ...]
    refused: tuple[str, ...]


def recompute(
    site: Site, folder: str | Path, out: str | Path, doubts: Sequence[Doubt], versions: Sequence[Version],
    journal: JournalOptions | None = None,
) -> Recomputed:  # fmt: skip
    """The state of `folder` as it would be, had its doubted cameras been known; written to the new folder `out`.

    From the newest snapshot before the first of them on, all that the log holds is fed again, each record with the
    cameras that were true then. InputError where no camera is known to have been otherwise, or nothing can be read.
    """
    since = min((doubt.since for doubt in doubts if np.isfinite(doubt.since)), default=np.nan)
    if np.isnan(since):
        raise InputError(f"{folder}: nothing to work out again: no camera is known to have been otherwise")
    old, out = StateFolder.find(Path(folder), site), Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: is there already; give a new folder")
    number, start = _from(old, since)
    _fork(old, out, number)
    fork = StateFolder.find(out, site)
    fork.lock()
    journaled = JournaledLocalizer(fork, journal or JournalOptions())
    try:
        journaled.restore(write=True)
        replayed = _Replay(old, journaled, doubts, versions)
        for record, entry in _records(old, number):
            replayed.feed(record, entry)
        journaled.save()
    finally:
        journaled.folder.unlock()
    return Recomputed(out, since, start, replayed.records, tuple(replayed.changes), tuple(replayed.refused))


def _from(old: StateFolder, since: float) -> tuple[int, float]:
    """The record after which to begin, and the time (s) of the state there; NaN: before the first window."""
    later: list[tuple[int, float]] = []
    for number in old.snapshots():
        time = float(old.load_snapshot(number)["packets"].localizer.tracker.time)
        if not time > since:
            return number, time
        later.append((number, time))
    paths = part_paths(old.path)
    if paths and int(paths[0].name[4:]) == 1:
        return 0, np.nan
    if not later:
        raise InputError(f"{old.path}: neither a snapshot nor the beginning of the log is left; feed the recording "
                         "again: geoloc localize SITE BOXES --calibrated-at TIME")  # fmt: skip
    return later[-1]


def _fork(old: StateFolder, out: Path, number: int) -> None:
    """A copy of a folder as it was after record `number`, without the log behind it."""
    head = read_json(old.path / HEAD)
    epochs = [value for value, epoch in zip(head["epochs"], old.epochs, strict=True) if epoch.first <= number + 1]
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(old.path.iterdir()):
        copied = path.name.startswith(("cameras-", "map-")) or (number and path.name.startswith("history-"))
        if copied or path.name == f"snapshot-{number:012d}":
            shutil.copyfile(path, out / path.name)
    write_whole(out / HEAD, json.dumps({**head, "epochs": epochs}, indent=1) + "\n", sync=True)


def _records(old: StateFolder, after: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and entry of each record of a log behind number `after`."""
    for part in old.parts(after):
        for number, record in enumerate(part.records, part.first):
            if number > after:
                press = zlib.decompressobj(zdict=old.names)
                yield number, decode(press.decompress(record), {})


class _Replay:
    """Feeds an engine the records of another, with the cameras that were true."""

    def __init__(
        self, old: StateFolder, journaled: JournaledLocalizer, doubts: Sequence[Doubt], versions: Sequence[Version]
    ) -> None:
        self.old, self.journaled, self.doubts, self.versions = old, journaled, doubts, versions
        self.records = 0
        self.changes: list[tuple[float, str]] = []
        self.refused: list[str] = []
        self._time = -np.inf
        self._last: Site | None = None
        self._epoch: Epoch | None = None
        self._sites: dict[tuple[int, tuple[tuple[str, int], ...]], Site] = {}

    def feed(self, number: int, entry: dict[str, Any]) -> None:
        """One call, as it was made."""
        given = entry.get("detections", entry.get("packet"))
        if entry.get("time") is not None:
            self._time = float(entry["time"])
        elif given is not None and len(given):
            self._time = float(given.time.max())
        self._enter(number)
        engine = self.journaled
        self.records += 1
        try:
            match entry["call"]:
                case "step":
                    engine.step(entry["detections"], entry["time"], entry["cameras"])
                case "push":
                    engine._push(entry["packet"], entry["first"])
                case "finish":
                    engine.finish()
                case "undo":
                    engine.undo(entry["object"], entry["other"], entry["why"])
                case "reserve":
                    engine._logged(entry, lambda: engine.packets.reserve(entry["stop"]))
                case other:
                    raise InputError(f"{self.old.path}: record {number} is a {other!r}, unknown here")
        except GeolocError as error:
            self.refused.append(f"record {number} ({entry['call']}): {error}")

    def _enter(self, number: int) -> None:
        """Work with what was true at the record's time."""
        epoch, engine = self.old.epoch_of(number), self.journaled
        site = self._site(epoch)
        if site is self._last and epoch is self._epoch:
            return
        self._last, self._epoch = site, epoch
        now = Epoch.of(engine.number + 1, -np.inf, site, epoch.options)
        if engine.folder.epochs[-1].differences(now):
            engine._go_on_with(now, site)
            self.changes.append((self._time, now.calibration))

    def _site(self, epoch: Epoch) -> Site:
        true = true_version(self.versions, self._time)
        doubted = {one.camera for one in self.doubts if one.since <= self._time <= one.end}  # false for NaN
        key = self.old.epochs.index(epoch), tuple((name, true.number) for name in sorted(doubted) if true is not None)
        if key not in self._sites:
            site = self.old.site_of(epoch)
            found = [camera_in(true, name) for name in sorted(doubted)] if true is not None else []
            cameras = [camera for camera in found if camera is not None]
            self._sites[key] = site.with_cameras(cameras) if cameras else site
        return self._sites[key]
