"""The rows of an embedded index: vectors and fields in memory or in a folder, safe from a crash at any moment."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.retrieval.rows import checked_fields, checked_rows, comes_twice, not_held
from geoloc.retrieval.store.columns import Columns
from geoloc.retrieval.store.folder import (
    KINDS,
    Folder,
    Head,
    new_folder,
    put_in_place,
    read_columns,
    wait_for,
    write_columns,
    write_head,
)
from geoloc.retrieval.store.growing import BYTES, Vectors
from geoloc.retrieval.store.log import Log
from geoloc.retrieval.where import ID, Fields, Rows, Where

LOGGED = 50_000  # rows in the log, and
PART = 8  # a part of this many of all, before all is written whole: what a start after a crash has to work on

WriteGraph = Callable[[Path], None]
Regraph = Callable[[np.ndarray], tuple[str, dict[str, float], WriteGraph | None]]


class RowStore:
    """Rows 0 to N - 1 in the order in which they came; removed ones keep their number until `compact`."""

    def __init__(self, dim: int, fields: Fields, place: str, model: str) -> None:
        self.dim, self.model = dim, model
        self.fields: Fields = dict(fields)
        self._folder = Folder(Path(place)) if place else None
        self._log: Log | None = None
        self._logged = 0
        head = self._folder.head if self._folder else None
        try:
            if self._folder and head:
                self._check(head)
                self._open(self._folder, head)
            else:
                self.columns = Columns(self.fields)
                self.vectors = Vectors(dim, np.float32, self._path("vectors-0"))
                if self._folder:
                    self.write("", {}, None)
        except InputError:
            self.close()
            raise

    def __len__(self) -> int:
        return len(self.columns) - self.columns.n_gone

    @property
    def head(self) -> Head | None:
        """What the folder held at the last whole write; None: in memory."""
        return self._folder.head if self._folder else None

    @property
    def path(self) -> Path | None:
        """The folder; None: in memory."""
        return self._folder.path if self._folder else None

    @property
    def changed(self) -> bool:
        """Whether the log holds anything."""
        return self._logged > 0

    @property
    def due(self) -> bool:
        """Whether the log is long enough for a whole write."""
        return self._folder is not None and self._logged > max(LOGGED, len(self.columns) // PART)

    def add(self, ids: np.ndarray, vectors: np.ndarray, rows: Rows) -> np.ndarray:
        """Take rows in behind the others; their vectors (M, dim) float32."""
        ids, vectors = checked_rows(ids, vectors, self.dim)
        known = ids[self.columns.find(ids) >= 0]
        if len(known):
            raise comes_twice(known[0])
        rows = checked_fields(rows, self.fields, len(ids))
        n = len(self.columns)
        self.vectors.append(vectors)
        if self._log:
            check = np.array(self.vectors.check(n))
            try:
                self._log.append({"start": np.array(n), "crc": check, ID: ids, **_named(rows)})
            except InputError:
                self.vectors.cut(n)
                raise
        self._logged += len(ids)
        self.columns.append(ids, rows)
        return vectors

    def remove(self, ids: np.ndarray) -> np.ndarray:
        """Mark as removed, and give their rows (M,)."""
        ids = np.unique(np.asarray(ids))
        rows = self.find(ids)
        if self._log and len(rows):
            self._log.append({"removed": ids})
        self._logged += len(rows)
        self.columns.remove(rows)
        return rows

    def find(self, ids: np.ndarray) -> np.ndarray:
        """The rows (M,) of ids (M,); InputError for one that is not held."""
        ids = np.asarray(ids)
        whole = ids.astype(np.int64)
        rows = np.where(whole == ids, self.columns.find(whole), -1)
        if (rows < 0).any():
            raise not_held(ids[rows < 0][0], len(self))
        return rows

    def kept(self, where: Where) -> np.ndarray:
        """Rows (M,) that `where` keeps, in order; InputError where it does not fit the fields."""
        where.check(self.fields)
        return self.columns.kept(where)

    def read(self, ids: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Vectors (M, dim) float32 and fields (M,) of the rows under ids (M,)."""
        rows = self.find(ids)
        return self.vectors.rows[rows].astype(np.float32), self.columns.read(rows)

    def flush(self) -> None:
        """Return when the disk has all rows."""
        self.vectors.sync()
        if self._log:
            self._log.sync()

    def write(self, kind: str, settings: dict[str, float], graph: WriteGraph | None) -> None:
        """Write all but the vectors anew, and empty the log."""
        if self._folder is None:
            return
        number = self._folder.head.number + 1 if self._folder.head else 0
        head = self._head(number, self.vectors.path.name if self.vectors.path else "", kind, settings, graph)
        self.vectors.sync()
        log = self._write_to(self._folder.path, head, graph)
        self._folder.commit(head)
        if self._log:
            self._log.close()
        self._log, self._logged = log, 0

    def renumber(self, graph: Regraph, dtype: type[np.floating] | None = None) -> None:
        """Leave removed rows out, keep vectors as `dtype`, and write all: as one step, or not at all.

        `graph` takes the new number of each old row (N,), -1 for a removed one, and gives what is then to be written.
        """
        kept = np.flatnonzero(~self.columns.gone)
        new = np.full(len(self.columns), -1, np.int64)
        new[kept] = np.arange(len(kept))
        path = self._path(f"vectors-{self.head.number + 1}" if self.head else "vectors-0")
        vectors = Vectors(self.dim, dtype or self.vectors.dtype.type, path)
        step = max(1, BYTES // (4 * self.dim))
        try:
            for start in range(0, len(kept), step):
                vectors.append(self.vectors.rows[kept[start : start + step]])
            self.columns = self.columns.taken(kept, self.fields)
            self.vectors.close()
            self.vectors = vectors
            self.write(*graph(new))
        except BaseException:
            self.close()  # memory and folder may tell of different rows by now; the folder is whole
            raise

    def save(self, folder: str | Path, kind: str, settings: dict[str, float], graph: WriteGraph | None) -> None:
        """Write the rows and the backend's structure into a new folder, whole or not at all."""
        path = Path(folder)
        part = new_folder(path)
        head = self._head(0, "vectors-0", kind, settings, graph)
        try:
            self.vectors.rows.tofile(part / head.vectors)
            self._write_to(part, head, graph).close()
            write_head(part, head)
            put_in_place(part, path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def close(self) -> None:
        """Give the files back."""
        if self._log:
            self._log.close()
        if hasattr(self, "vectors"):
            self.vectors.close()
        if self._folder:
            self._folder.close()
        self._log = None

    def _path(self, name: str) -> Path | None:
        return self._folder.path / name if self._folder else None

    def _head(self, number: int, vectors: str, kind: str, settings: dict[str, float], graph: WriteGraph | None) -> Head:
        fields = {name: of.__name__ for name, of in self.fields.items()}
        columns, log, structure = f"columns-{number}.npz", f"log-{number}", f"graph-{number}" if graph else ""
        rows, dtype = len(self.columns), self.vectors.dtype.name
        said = json.dumps(settings)
        return Head(
            self.dim, fields, self.model, rows, dtype, vectors, columns, log, structure, kind, said, number=number
        )

    def _write_to(self, path: Path, head: Head, graph: WriteGraph | None) -> Log:
        write_columns(path / head.columns, self.columns.arrays())
        if graph:
            graph(path / head.graph)
            wait_for(path / head.graph)
        (path / head.log).unlink(missing_ok=True)
        log = Log(path / head.log)
        log.sync()
        return log

    def _check(self, head: Head) -> None:
        fields = {name: KINDS.get(kind, str) for name, kind in head.fields.items()}
        place = f"index {self.path}"
        if head.dim != self.dim:
            raise InputError(f"{place}: holds vectors of length {head.dim}, not {self.dim}; give another folder")
        if fields != dict(self.fields):
            strange = sorted(set(fields.items()) ^ set(self.fields.items()), key=str)[0][0]
            raise InputError(f"{place}: holds other fields ({strange!r} differs); give another folder")
        if self.model and head.model and self.model != head.model:
            said = f"holds vectors of the model {head.model!r}, not {self.model!r}"
            raise InputError(f"{place}: {said}: they cannot be compared; embed anew into another folder")
        self.model = head.model or self.model

    def _open(self, folder: Folder, head: Head) -> None:
        folder.tidy()
        dtype = np.float16 if head.dtype == "float16" else np.float32
        self.columns = Columns(self.fields, read_columns(folder.path / head.columns))
        self.vectors = Vectors(self.dim, dtype, folder.path / head.vectors, head.rows)
        self._log = Log(folder.path / head.log)
        for record in self._log.replay():
            if "removed" in record:
                self.columns.remove(self.columns.find(record["removed"]))
                self._logged += len(record["removed"])
            elif not self._replay(record):
                self._log.cut()
                break

    def _replay(self, record: dict[str, np.ndarray]) -> bool:
        """Whether the vectors of a record of rows are there; if so the rows are taken in."""
        n, ids = int(record["start"]), record[ID]
        there = n == len(self.columns) and self.vectors.claim(n + len(ids))
        if not there or self.vectors.check(n) != int(record["crc"]):
            self.vectors.cut(n)
            return False
        self.columns.append(ids, {name: record[f"field.{name}"] for name in self.fields})
        self._logged += len(ids)
        return True


def _named(rows: Rows) -> dict[str, np.ndarray]:
    return {f"field.{name}": values for name, values in rows.items()}
