"""The folder in which an engine's state survives: what it is of, its log, its snapshots and its history.

    state.json               site, options and schema that all else in the folder is of
    log-NNNNNNNNNNNN         records from that number on, see `record_log`
    snapshot-NNNNNNNNNNNN    the whole engine after that many records
    history-NNNNNNNNNNNN     chunks of the history that the engine itself holds no longer, or shares with snapshots

Every file but the log's last is written whole or not at all; one process writes at a time.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from geoloc.errors import InputError
from geoloc.files import read_json, write_whole
from geoloc.options import merge_options, options_to_dict
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.history import Chunk
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.pipeline.record_log import Part, framed, part_paths, read_framed, read_part
from geoloc.scene.fingerprint import calibration_fingerprint, site_fingerprint
from geoloc.scene.site import Site

SCHEMA = 1
HEAD = "state.json"
KEYS = ("schema", "site", "site_fingerprint", "calibration", "options")

logger = logging.getLogger(__name__)


class StateFolder:
    """A folder of one site's engine. `create` it, or `find` what is there."""

    def __init__(self, path: Path, site: Site, options: LocalizerOptions) -> None:
        self.path = path
        self.site = site
        self.options = options
        self.names = json.dumps([camera.name for camera in site.cameras]).encode()[-32768:]  # what records repeat
        self._lock = -1

    @classmethod
    def create(cls, path: Path, site: Site, options: LocalizerOptions) -> "StateFolder":
        """A new folder; its head says what it is of."""
        head = {
            "schema": SCHEMA,
            "site": site.name,
            "site_fingerprint": site_fingerprint(site),
            "calibration": calibration_fingerprint(site),
            "options": options_to_dict(options),
        }
        write_whole(path / HEAD, json.dumps(head, indent=1) + "\n")
        return cls(path, site, options)

    @classmethod
    def find(cls, path: Path, site: Site) -> "StateFolder":
        """A folder that is there, with the options that it says; InputError where it is of another site."""
        if not (path / HEAD).is_file():
            raise InputError(f"{path}: holds no state ({HEAD}); geoloc localize SITE BOXES --state FOLDER begins one")
        head = read_json(path / HEAD)
        if not isinstance(head, dict) or head.get("schema") != SCHEMA or set(head) != set(KEYS):
            found = head.get("schema") if isinstance(head, dict) else head
            raise InputError(f"{path / HEAD}: is of schema {found!r}; this geoloc reads {SCHEMA}: begin a new folder")
        _require_site(path, head, site)
        return cls(path, site, merge_options(LocalizerOptions(), head["options"]))

    def require_options(self, options: LocalizerOptions) -> None:
        """Raise InputError, naming the first, where options differ from the folder's."""
        mine, asked = _flat(options_to_dict(self.options)), _flat(options_to_dict(options))
        for key, value in asked.items():
            if mine[key] != value:
                change = f"option {key} is {value!r}, and {mine[key]!r} in this state"
                raise InputError(f"{self.path}: {change}; continue with its own options, or begin a new folder")

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
        for name, chunk in chunks.items():
            path = self.path / name
            if not path.exists():
                write_whole(path, framed(encode(chunk, {}), chunk.number), sync=True)
        write_whole(self._snapshot(number), framed(data, number), sync=True)

    def load_snapshot(self, number: int) -> dict[str, Any]:
        """The snapshot after record `number`; InputError where it is damaged."""
        state = decode(read_framed(self._snapshot(number), number), _Given(self))
        if not isinstance(state, dict):
            raise InputError(f"{self._snapshot(number)}: holds no state")
        return state

    def _snapshot(self, number: int) -> Path:
        return self.path / f"snapshot-{number:012d}"

    # ---- history

    def load_chunk(self, name: str) -> Chunk:
        """A chunk of the history."""
        path = self.path / name
        chunk = decode(read_framed(path, int(name[8:])), {})
        if not isinstance(chunk, Chunk):
            raise InputError(f"{path}: holds no history")
        return chunk

    def chunk_names(self) -> list[str]:
        """The chunks of the history that are stored, in order."""
        return sorted(path.name for path in self.path.glob("history-*") if path.name[8:].isdigit())

    def remove(self, name: str) -> None:
        """Remove a file that nothing needs any more."""
        (self.path / name).unlink(missing_ok=True)


def given_of(site: Site, options: LocalizerOptions) -> dict[str, object]:
    """What the bytes of an engine leave out, for `codec.encode`."""
    return {"site": site, "map": site.site_map, **_parts_of("options", options)}


def chunk_name(chunk: Chunk) -> str:
    """The file of a chunk."""
    return f"history-{chunk.number:012d}"


class _Given(dict[str, object]):
    """What snapshots leave out: site, options, and chunks, which are loaded when they are asked for."""

    def __init__(self, folder: StateFolder) -> None:
        super().__init__(given_of(folder.site, folder.options))
        self._folder = folder

    def __missing__(self, name: str) -> object:
        if not (name.startswith("history-") and name[8:].isdigit()):
            raise KeyError(name)
        self[name] = self._folder.load_chunk(name)
        return self[name]


def _require_site(path: Path, head: Mapping[str, Any], site: Site) -> None:
    if head["site"] != site.name:
        raise InputError(f"{path}: is the state of site {head['site']!r}, not of {site.name!r}; give its own folder")
    if head["calibration"] != calibration_fingerprint(site):
        made = f"was made with calibration {head['calibration']}; the site's is {calibration_fingerprint(site)} now"
        raise InputError(f"{path}: {made}: begin a new folder, or go back to the cameras that it was made with")
    if head["site_fingerprint"] != site_fingerprint(site):
        raise InputError(f"{path}: the map of site {site.name!r} has changed since; begin a new folder")


def _parts_of(name: str, options: object) -> dict[str, object]:
    """Options and the groups of options in them, by their names."""
    found = {name: options}
    for item in fields(options):  # type: ignore[arg-type]
        value = getattr(options, item.name)
        if is_dataclass(value):
            found |= _parts_of(f"{name}.{item.name}", value)
    return found


def _flat(options: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in options.items():
        found |= _flat(value, f"{path}{key}.") if isinstance(value, dict) else {path + key: _plain(value)}
    return found


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
