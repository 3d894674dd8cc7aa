"""The folder in which an index is kept: which files are its whole state, and one writer at a time.

    lock          held by the process that has the index open
    index.json    names the files that belong together; written last, so that a write is seen whole or not at all
    vectors-G     rows of float32 or float16, appended to
    columns-G.npz ids, fields, and which rows are removed, at the last whole write
    graph-G       the backend's own structure over the vectors, at the last whole write; not always there
    log-G         what came since
"""

import json
import os
import shutil
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_json, write_whole

HEAD, LOCK, FORMAT = "index.json", "lock", 1
OWN = ("vectors-", "columns-", "graph-", "log-")
KINDS = {"int": int, "float": float, "str": str}


@dataclass(frozen=True)
class Head:
    """What `index.json` holds."""

    dim: int
    fields: dict[str, str]  # name to int, float or str
    model: str
    rows: int  # vectors at the last whole write
    dtype: str  # float32 or float16
    vectors: str
    columns: str
    log: str
    graph: str = ""  # file; empty: none
    kind: str = ""  # of the graph
    settings: str = ""  # of the graph, JSON
    number: int = 0  # of whole writes
    format: int = FORMAT


class Folder:
    """A folder that this process alone writes to, with the head that stands in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"index {path}: cannot be opened ({error.strerror or error})") from error
        try:
            self._claim()
            self.head = self._read()
        except InputError:
            self.close()
            raise

    def commit(self, head: Head) -> None:
        """Make these files the state, and delete what is not of it."""
        write_head(self.path, head)
        self.head = head
        self.tidy()

    def tidy(self) -> None:
        """Delete files of writes that were not finished or are past."""
        named = {self.head.vectors, self.head.columns, self.head.log, self.head.graph} if self.head else set()
        for path in self.path.iterdir():
            if path.name.startswith(OWN) and path.name not in named:
                path.unlink()

    def close(self) -> None:
        """Let others open it."""
        if self._lock >= 0:
            os.close(self._lock)
        self._lock = -1

    def _claim(self) -> None:
        if os.name != "posix":
            return
        import fcntl

        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            said = "is open already, here or in another process; close it first"
            raise InputError(f"index {self.path}: {said}") from error

    def _read(self) -> Head | None:
        path = self.path / HEAD
        if not path.exists():
            strange = [one.name for one in self.path.iterdir() if one.name != LOCK and not one.name.startswith(OWN)]
            if strange:
                raise InputError(f"index {self.path}: no index, but {strange[0]!r} is in it; give a folder of its own")
            return None
        plain = read_json(path)
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            raise InputError(f"{path}: no index of format {FORMAT}; was it written by a newer version?")
        try:
            head = Head(**plain)
        except TypeError as error:
            raise InputError(f"{path}: not whole ({error}); take the index from a snapshot") from error
        lacks = [name for name in (head.vectors, head.columns, head.log) if not (self.path / name).exists()]
        if lacks:
            raise InputError(f"index {self.path}: the file {lacks[0]} is missing; take the index from a snapshot")
        return head


def write_head(path: Path, head: Head) -> None:
    """Write `index.json`, and wait until the disk has it."""
    write_whole(path / HEAD, json.dumps(asdict(head), indent=1) + "\n", sync=True)


def write_columns(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays, and wait until the disk has them."""
    try:
        with path.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def read_columns(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file that `write_columns` wrote."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot be read ({error}); take the index from a snapshot") from error


def wait_for(path: Path) -> None:
    """Wait until the disk has a file's content."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def new_folder(path: Path) -> Path:
    """A folder beside `path` to write into, before `put_in_place` gives it its name; InputError where one stands."""
    if path.exists():
        raise InputError(f"{path}: is there already; give a new folder for the snapshot")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return part


def put_in_place(part: Path, path: Path) -> None:
    """Give a folder that is written whole its name."""
    for file in part.iterdir():
        wait_for(file)
    os.replace(part, path)
    wait_for(path.parent)
