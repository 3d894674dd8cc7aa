"""Rows that a server has not acknowledged wait here, in the order in which they came."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_bytes, write_whole
from geoloc.retrieval.where import Fields, Rows


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows as an index takes them: ids (M,), vectors (M, D), fields (M,) each."""

    ids: np.ndarray
    vectors: np.ndarray
    rows: Rows

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, kept: np.ndarray | slice) -> "Batch":
        """Some of the rows, by a mask, indices or a slice."""
        return Batch(self.ids[kept], self.vectors[kept], {name: values[kept] for name, values in self.rows.items()})

    def parts(self, size: int) -> list["Batch"]:
        """The rows in batches of at most `size`."""
        return [self.take(slice(start, start + size)) for start in range(0, len(self), size)]


class Outbox:
    """Batches in memory, and in a folder where one is given: a batch is a file there, written whole."""

    def __init__(self, folder: str, limit: int) -> None:
        self.folder, self.limit = Path(folder) if folder else None, limit
        self.waiting: dict[int, Batch] = {}
        if self.folder is not None and self.folder.is_dir():
            for path in sorted(self.folder.glob("*.npz")):
                self.waiting[int(path.stem)] = read_batch(path)

    def __len__(self) -> int:
        return sum(map(len, self.waiting.values()))

    def ids(self) -> np.ndarray:
        """Ids (M,) of the rows that wait."""
        return np.concatenate([np.zeros(0, np.int64), *(batch.ids for batch in self.waiting.values())])

    def check(self, dim: int, fields: Fields) -> None:
        """InputError where what waits is of another index than one of such rows."""
        for batch in self.waiting.values():
            if batch.vectors.shape[1:] != (dim,) or set(batch.rows) != set(fields):
                said = f"rows of {batch.vectors.shape[1:]} with {', '.join(batch.rows)} wait there"
                raise InputError(f"{self.folder}: {said}, for another index; give each index a queue of its own")

    def check_room(self, n: int, where: str) -> None:
        """InputError where `n` more rows would be too many."""
        if len(self) + n > self.limit:
            said = f"{len(self)} rows wait for an answer, {n} more are over queue_rows={self.limit}"
            raise InputError(f"{where}: {said}; nothing of them was taken: wait until flush() succeeds")

    def put(self, batch: Batch) -> None:
        """One more batch, after the others."""
        key = max(self.waiting, default=0) + 1
        if self.folder is not None:
            write_batch(self.folder / f"{key:012d}.npz", batch)
        self.waiting[key] = batch

    def first(self) -> tuple[int, Batch]:
        """The batch that waits longest, with its key."""
        key = min(self.waiting)
        return key, self.waiting[key]

    def drop(self, key: int) -> None:
        """A batch is where it should be."""
        del self.waiting[key]
        if self.folder is not None:
            (self.folder / f"{key:012d}.npz").unlink(missing_ok=True)


def write_batch(path: Path, batch: Batch) -> None:
    """Rows as a file, whole and durable, or not at all."""
    content = io.BytesIO()
    fields = {f"field_{name}": values for name, values in batch.rows.items()}
    np.savez(content, ids=batch.ids, vectors=batch.vectors, **fields)  # type: ignore[arg-type]
    write_whole(path, content.getvalue(), sync=True)


def read_batch(path: Path) -> Batch:
    """Rows of such a file."""
    try:
        with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as held:
            rows = {name.removeprefix("field_"): held[name] for name in held.files if name.startswith("field_")}
            return Batch(held["ids"], held["vectors"], rows)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: no batch of rows ({error}); was it cut short?") from error
