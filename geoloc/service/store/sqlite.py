"""A store in one file: SQLite with a write-ahead log, as a GeoPackage whose layer `positions` has an R-tree.

Readers never wait for the writer. The R-tree follows the table by triggers of plain SQL, by `lon` and `lat`, or `x` and
`y` where the map has no datum. What is deleted is overwritten.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.io.track_gpkg import APPLICATION, HEADER, SYSTEMS, TABLES, VERSION
from geoloc.scene.sitemap import SiteMap
from geoloc.service.store.database import FullError, Row, StoreError

Done = TypeVar("Done")
WAIT_S = 10.0  # for another process that writes
CARTESIAN = -1  # the GeoPackage's name for metres of no known place
RTREE = """
CREATE TABLE gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
  definition TEXT NOT NULL, scope TEXT NOT NULL, UNIQUE (table_name, column_name, extension_name));
INSERT INTO gpkg_extensions VALUES
  ('positions', 'geom', 'gpkg_rtree_index', 'http://www.geopackage.org/spec120/#extension_rtree', 'write-only');
CREATE VIRTUAL TABLE rtree_positions_geom USING rtree(id, minx, maxx, miny, maxy);
"""
TRIGGERS = """
CREATE TRIGGER rtree_positions_geom_insert AFTER INSERT ON positions BEGIN INSERT INTO rtree_positions_geom VALUES
  (NEW.fid, ifnull(NEW.lon, NEW.x), ifnull(NEW.lon, NEW.x), ifnull(NEW.lat, NEW.y), ifnull(NEW.lat, NEW.y)); END;
CREATE TRIGGER rtree_positions_geom_delete AFTER DELETE ON positions BEGIN
  DELETE FROM rtree_positions_geom WHERE id = OLD.fid; END;
"""
CONTENTS = "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES (?, ?, ?, ?)"


class SqliteDatabase:
    """One connection to a store's file; made where there is none, unless it is only read."""

    types: Mapping[str, str] = {
        "int": "INTEGER", "real": "REAL", "text": "TEXT", "blob": "BLOB", "geom": "POINT",
        "fid": "INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL",
    }  # fmt: skip

    def __init__(self, path: Path, write: bool = True) -> None:
        self.path = path
        self._srs = CARTESIAN
        if not write and not path.is_file():
            raise InputError(f"{path}: there is no such store")
        self._db = self._try(lambda: self._open(write))

    def _open(self, write: bool) -> sqlite3.Connection:
        if write:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        where = self.path.resolve().as_uri() + ("" if write else "?mode=ro")
        db = sqlite3.connect(where, uri=True, timeout=WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA temp_store = MEMORY")
            if write:
                for setting in (
                    "auto_vacuum = INCREMENTAL", "journal_mode = WAL", "synchronous = FULL", "secure_delete = ON",
                    "wal_autocheckpoint = 500", "journal_size_limit = 4194304", "cache_size = -8000",
                ):  # fmt: skip
                    db.execute(f"PRAGMA {setting}").fetchall()
            else:
                db.execute("PRAGMA query_only = ON")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def _try(self, work: Callable[[], Done]) -> Done:
        try:
            return work()
        except (sqlite3.Error, OSError) as error:
            said = f"{self.path}: {error}"
            no_room = "disk I/O" in str(error) and not shutil.disk_usage(self.path.parent).free
            full = "full" in str(error) or no_room
            raise (FullError if full else StoreError)(said) from error

    def require(self) -> None:
        """Geometries are bytes to it."""

    def prepare(self, site_map: SiteMap) -> None:
        """The GeoPackage's own tables, and the layer's R-tree."""

        def work() -> None:
            self._db.execute(f"PRAGMA application_id = {APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {VERSION}")
            srs = CARTESIAN if site_map.datum is None else 4326
            for statement in _parts(TABLES + RTREE + TRIGGERS):
                self._db.execute(statement)
            self._db.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, '')", SYSTEMS)
            self._db.execute(CONTENTS, ("positions", "features", "positions", srs))
            self._db.execute("INSERT INTO gpkg_geometry_columns VALUES ('positions', 'geom', 'POINT', ?, 1, 0)", (srs,))
            for name in ("store", "windows", "events", "occupancy", "cameras"):
                self._db.execute(CONTENTS, (name, "attributes", name, 0))

        self._try(work)

    def has_tables(self) -> bool:
        """Whether it holds a store; InputError where it holds something else."""
        found = {name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if found and "store" not in found:
            raise InputError(f"{self.path}: is no store of geoloc serve; it holds {', '.join(sorted(found)[:3])}")
        return bool(found)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on the disk."""
        self.run("BEGIN IMMEDIATE")
        try:
            yield
            self.run("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._try(lambda: self._db.execute("ROLLBACK"))
            raise

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement."""
        return self._try(lambda: self._db.execute(sql, values)).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of the rows."""
        self._try(lambda: self._db.executemany(sql, rows))

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of an answer."""
        return self._try(lambda: self._db.execute(sql, values).fetchall())

    def stream(self, sql: str, values: Sequence[Any] = (), n: int = 1000) -> Iterator[list[Row]]:
        """The rows of an answer, `n` at a time."""
        cursor = self._try(lambda: self._db.execute(sql, values))
        try:
            while found := self._try(lambda: cursor.fetchmany(n)):
                yield found
        finally:
            cursor.close()

    def within(self, box: Sequence[float]) -> tuple[str, list[float]]:
        """By the R-tree."""
        west, south, east, north = box
        sql = "p.fid IN (SELECT id FROM rtree_positions_geom WHERE maxx >= ? AND minx <= ? AND maxy >= ? AND miny <= ?)"
        return sql, [west, east, south, north]

    def geometries(self, places: np.ndarray) -> tuple[str, list[Any]]:
        """Points as GeoPackage binary."""
        head = HEADER[:4] + self._srs_id().to_bytes(4, "little", signed=True)
        return "?", [head + one for one in shapely.to_wkb(shapely.points(places), byte_order=1, flavor="iso").tolist()]

    def _srs_id(self) -> int:
        if self._srs == CARTESIAN:
            self._srs = self.rows("SELECT srs_id FROM gpkg_geometry_columns WHERE table_name = 'positions'")[0][0]
        return self._srs

    def size(self) -> int:
        """Bytes of the pages that are in use, and of the write-ahead log."""
        of = "page_count", "freelist_count", "page_size"
        pages, left, page = (int(self.rows(f"PRAGMA {name}")[0][0]) for name in of)
        log = self.path.with_name(self.path.name + "-wal")
        return (pages - left) * page + (log.stat().st_size if log.exists() else 0)

    def free(self) -> float:
        """Bytes that the disk has left."""
        return float(self._try(lambda: shutil.disk_usage(self.path.parent)).free)

    def reclaim(self, all_of_it: bool = False) -> None:
        """Give free pages back to the disk, and what the write-ahead log holds with them."""
        self._try(lambda: self._db.execute("PRAGMA incremental_vacuum").fetchall())
        busy = self.rows("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        if all_of_it and busy:
            raise StoreError(f"{self.path}: somebody reads what was removed still; try again in a moment")
        if all_of_it and os.name == "posix":
            self._try(lambda: os.sync())

    def close(self) -> None:
        """Let go."""
        self._try(self._db.close)


def _parts(script: str) -> list[str]:
    """The statements of a script; a trigger holds semicolons."""
    found, start = [], ""
    for part in script.split(";"):
        start += part
        if sqlite3.complete_statement(start + ";"):
            if start.strip():
                found.append(start)
            start = ""
        else:
            start += ";"
    return found
