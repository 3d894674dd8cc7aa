"""Tracks out of a store that `geoloc serve` keeps in a file: read object by object, never held whole."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.io.store_rows import COLUMNS, tracks_of_rows
from geoloc.io.track_pieces import in_order
from geoloc.scene.tables import Tracks

MAGIC = b"SQLite format 3\x00"
PIECE_ROWS = 20_000


def is_store(path: Path | str) -> bool:
    """Whether a file is one of SQLite, which tracks are in only where it is a store."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


@dataclass(frozen=True, eq=False)
class StorePieces:
    """The tracks of a store between two times (UTC Unix s), in pieces of whole tracks; it may be written meanwhile."""

    path: Path
    start: float = -np.inf
    end: float = np.inf

    def __iter__(self) -> Iterator[Tracks]:
        """Pieces in order and checked; InputError where the file holds none of geoloc's."""
        try:
            with closing(sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, timeout=10.0)) as db:
                db.execute("PRAGMA query_only = ON")
                yield from self._pieces(db)
        except sqlite3.Error as error:
            raise InputError(f"{self.path}: is no store of geoloc serve ({error})") from error

    def _pieces(self, db: sqlite3.Connection) -> Iterator[Tracks]:
        given = [float(np.clip(one, -1e300, 1e300)) for one in (self.start, self.end)]
        sql = f"SELECT {', '.join(COLUMNS)} FROM positions WHERE time >= ? AND time <= ? ORDER BY track, time"
        rows: list[Any] = []
        track = COLUMNS.index("track")
        for row in db.execute(sql, given):
            if len(rows) >= PIECE_ROWS and row[track] != rows[-1][track]:
                yield in_order(tracks_of_rows(rows))
                rows = []
            rows.append(row)
        if rows:
            yield in_order(tracks_of_rows(rows))


def read_store(path: Path | str, start: float = -np.inf, end: float = np.inf) -> Tracks:
    """The tracks of a store between two times (UTC Unix s), as one table."""
    return Tracks.concat(list(StorePieces(Path(path), start, end)))
