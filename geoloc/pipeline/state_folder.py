"""The folder in which an engine's state survives: what it is of, its log, its snapshots and its history.

    state.json               site and schema, and the calibration, map and options that the rest is made with
    cameras-*, map-*         those calibrations and maps
    log-NNNNNNNNNNNN         records from that number on, see `record_log`
    snapshot-NNNNNNNNNNNN    the whole engine after that many records
    history-NNNNNNNNNNNN-*   chunks of the history that the engine itself holds no longer, or shares with snapshots

Every file but the log's last is written whole or not at all; one process writes at a time.
"""

import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from geoloc.errors import InputError
from geoloc.files import read_json, write_whole
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.epochs import Epoch, given_of, require_same_layout
from geoloc.pipeline.history import Chunk
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.pipeline.record_log import Part, framed, part_paths, read_framed, read_part
from geoloc.scene.map_storage import load_map, save_map
from geoloc.scene.site import Site
from geoloc.scene.storage import load_cameras, save_cameras

SCHEMA = 3
HEAD = "state.json"
KEYS = ("schema", "site", "epochs")
BEGUN = ("cameras-*.json", "map-*.geojson", ".*.part", "lock")  # what is there before the head, or left of it
CHUNK = re.compile(r"history-\d{12}-[0-9a-f]{8}")  # file of a chunk: its number and checksum

logger = logging.getLogger(__name__)


class StateFolder:
    """A folder of one site's engine. `create` it, or `find` what is there."""

    def __init__(self, path: Path, name: str, epochs: list[Epoch], site: Site) -> None:
        self.path = path
        self.name = name
        self._lock = -1
        self.epochs = epochs  # the last one is now's
        now = Epoch.of(0, 0.0, site, LocalizerOptions())
        self._sites = {(now.calibration, now.map): site}  # those that are loaded, by their fingerprints
        cameras = [camera.name for camera in (self.site if epochs else site).cameras]
        self.names = json.dumps(cameras).encode()[-32768:]  # what records repeat

    @classmethod
    def create(cls, path: Path, site: Site, options: LocalizerOptions) -> "StateFolder":
        """A new folder; its head says what it is of."""
        return cls(path, site.name, [], site)._begin(Epoch.of(1, float("-inf"), site, options), site)

    @classmethod
    def find(cls, path: Path, site: Site) -> "StateFolder":
        """A folder that is there, made with whatever it says; InputError where it is of another site."""
        if not (path / HEAD).is_file():
            raise InputError(f"{path}: holds no state ({HEAD}); geoloc localize SITE BOXES --state FOLDER begins one")
        head = read_json(path / HEAD)
        if not isinstance(head, dict) or head.get("schema") != SCHEMA or set(head) != set(KEYS):
            found = head.get("schema") if isinstance(head, dict) else head
            raise InputError(f"{path / HEAD}: is of schema {found!r}; this geoloc reads {SCHEMA}: begin a new folder")
        if head["site"] != site.name:
            whose = f"is the state of site {head['site']!r}, not of {site.name!r}"
            raise InputError(f"{path}: {whose}; give its own folder")
        try:
            epochs = [Epoch.parsed(value) for value in head["epochs"]]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path / HEAD}: does not hold what geoloc writes ({error}); restore a copy") from error
        return cls(path, site.name, epochs, site)

    @staticmethod
    def require_free(path: Path) -> None:
        """InputError where a folder holds anything but what a process left that was killed as it began one there."""
        left = [one.name for one in path.iterdir()] if path.is_dir() else []
        if not all(any(fnmatch(name, kind) for kind in BEGUN) for name in left):
            raise InputError(f"{path}: is not empty, and holds no state; give a new folder")

    # ---- what it is made with

    @property
    def site(self) -> Site:
        """The site as it is now."""
        return self.site_of(self.epochs[-1])

    @property
    def options(self) -> LocalizerOptions:
        """The options as they are now."""
        return self.epochs[-1].options

    def site_of(self, epoch: Epoch) -> Site:
        """The site as it was in an epoch."""
        key = epoch.calibration, epoch.map
        if key not in self._sites:
            cameras = load_cameras(self.path / f"cameras-{epoch.calibration}.json")
            self._sites[key] = Site(self.name, cameras, load_map(self.path / f"map-{epoch.map}.geojson"))
        return self._sites[key]

    def epoch_of(self, number: int) -> Epoch:
        """The epoch of record `number`."""
        return next(epoch for epoch in reversed(self.epochs) if epoch.first <= number)

    def epoch_at(self, time: float) -> Epoch:
        """The epoch in which a time (s) was worked on."""
        return next((epoch for epoch in reversed(self.epochs) if epoch.after < time), self.epochs[0])

    def go_on_with(self, epoch: Epoch, site: Site) -> None:
        """Another epoch begins; InputError where the state's rows would not fit."""
        require_same_layout(self.site, site)
        self.epochs[-1].require_change(epoch)
        self._begin(epoch, site)

    def _begin(self, epoch: Epoch, site: Site) -> "StateFolder":
        cameras, site_map = self.path / f"cameras-{epoch.calibration}.json", self.path / f"map-{epoch.map}.geojson"
        if not cameras.exists():
            save_cameras(site.cameras, cameras)
        if not site_map.exists():
            save_map(site.site_map, site_map)
        epochs = [*self.epochs, epoch]
        head = {"schema": SCHEMA, "site": self.name, "epochs": [one.plain() for one in epochs]}
        write_whole(self.path / HEAD, json.dumps(head, indent=1) + "\n", sync=True)
        self.epochs = epochs
        self._sites[epoch.calibration, epoch.map] = site
        return self

    # ---- one writer

    def lock(self) -> None:
        """Keep other processes from writing here until this one ends, however it does."""
        self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT)
        if os.name != "posix":
            return
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise InputError(f"{self.path}: another process is at work on this state; end it first") from error
        for path in self.path.glob(".*.part"):  # what a process that was killed was about to write
            path.unlink()

    def unlock(self) -> None:
        """Let others write again."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    # ---- log

    def parts(self, after: int) -> Iterator[Part]:
        """The log's files that hold records behind number `after`; InputError where some are missing or damaged."""
        paths = part_paths(self.path)
        firsts = [int(path.name[4:]) for path in paths]
        needed = [i for i in range(len(paths)) if i + 1 == len(paths) or firsts[i + 1] > after + 1]
        expected = after + 1
        for i in needed:
            part = read_part(paths[i])
            if part.first > expected:
                raise InputError(f"{self.path}: records {expected} to {part.first - 1} are missing from the log")
            if part.torn and i + 1 < len(paths):
                raise InputError(f"{part.path}: ends in the middle of a record, and is not the last; restore a copy")
            expected = part.first + len(part.records)
            yield part

    # ---- snapshots

    def snapshots(self) -> list[int]:
        """Numbers of records after which there are snapshots, the newest first."""
        return sorted(int(path.name[9:]) for path in self.path.glob("snapshot-*") if path.name[9:].isdigit())[::-1]

    def save_snapshot(self, number: int, state: Mapping[str, object], chunks: Mapping[str, Chunk]) -> None:
        """Write the snapshot after record `number`, and the `chunks` that it shares, each whole or not at all."""
        data = encode(dict(state), {**given_of(self.site, self.options), **chunks})
        for chunk in chunks.values():
            self.save_chunk(chunk)
        write_whole(self._snapshot(number), framed(data, number), sync=True)

    def load_snapshot(self, number: int) -> dict[str, Any]:
        """The snapshot after record `number`, as of its own epoch; InputError where it is damaged."""
        data, epoch = read_framed(self._snapshot(number), number), self.epoch_of(number + 1)
        state = decode(data, _Given(self, epoch))
        if not isinstance(state, dict) or not 0 <= state.get("epoch", -1) < len(self.epochs):
            raise InputError(f"{self._snapshot(number)}: holds no state")
        own = self.epochs[state["epoch"]]
        # it may have been written a moment before the epoch of the next record began
        return state if own is epoch else decode(data, _Given(self, own))

    def _snapshot(self, number: int) -> Path:
        return self.path / f"snapshot-{number:012d}"

    # ---- history

    def save_chunk(self, chunk: Chunk) -> None:
        """Write a chunk of the history, whole or not at all, where it is not there."""
        path = self.path / chunk_name(chunk)
        if not path.exists():
            write_whole(path, framed(encode(chunk, {}), chunk.number), sync=True)

    def load_chunk(self, name: str) -> Chunk:
        """A chunk of the history."""
        path = self.path / name
        chunk = decode(read_framed(path, chunk_number(name)), {})
        if not isinstance(chunk, Chunk):
            raise InputError(f"{path}: holds no history")
        return chunk

    def chunk_names(self) -> list[str]:
        """The chunks of the history that are stored, in order."""
        return sorted(path.name for path in self.path.glob("history-*") if CHUNK.fullmatch(path.name))

    def chunks_before(self, number: int, start: float) -> Iterator[Chunk]:
        """The chunks before number `number`, which begins at `start` (s), the newest first.

        Of several of one number, which late packets made, the one that ends there is it.
        """
        for name in reversed(self.chunk_names()):
            if chunk_number(name) == number - 1:
                chunk = self.load_chunk(name)
                if chunk.end == start:
                    number, start = chunk.number, chunk.start
                    yield chunk

    def remove(self, name: str) -> None:
        """Remove a file that nothing needs any more."""
        (self.path / name).unlink(missing_ok=True)


def chunk_name(chunk: Chunk) -> str:
    """The file of a chunk."""
    return f"history-{chunk.number:012d}-{chunk.checksum:08x}"


def chunk_number(name: str) -> int:
    """The number of a chunk by the name of its file."""
    return int(name[8:20])


def require_same_attributes(fresh: object, loaded: object, where: str) -> None:
    """Raise InputError where a loaded object of the engine lacks what a new one has, as one of another version may."""
    for name, value in vars(fresh).items():
        if name not in vars(loaded):
            made = "was written by another version of geoloc"
            raise InputError(f"snapshot: its {where} has no {name!r}: it {made}; use that one, or begin a new folder")
        if type(value).__module__.startswith("geoloc.pipeline") and hasattr(value, "__dict__"):
            require_same_attributes(value, getattr(loaded, name), f"{where}.{name}")


class _Given(dict[str, object]):
    """What snapshots leave out: site, options, and chunks, which are loaded when they are asked for."""

    def __init__(self, folder: StateFolder, epoch: Epoch) -> None:
        super().__init__(given_of(folder.site_of(epoch), epoch.options))
        self._folder = folder

    def __missing__(self, name: str) -> object:
        if not CHUNK.fullmatch(name):
            raise KeyError(name)
        self[name] = self._folder.load_chunk(name)
        return self[name]
