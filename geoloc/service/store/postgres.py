"""A store in PostgreSQL with PostGIS: the same tables in a schema of the site's own, with an index of places (GiST).

The address is libpq's: `postgresql://geoloc@db/geoloc`. Passwords stay out of it: PGPASSFILE, PGPASSWORD or a service
file hold them.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.scene.sitemap import SiteMap
from geoloc.service.store.database import FullError, Row, StoreError

CONNECT_S = 5
STATEMENT_MS = 60_000  # after which a statement is given up: a database that hangs is one that is down
DISK_FULL = "53100"


class PostgresDatabase:
    """One connection to the schema of one site; the schema is made where there is none, unless it is only read."""

    types: Mapping[str, str] = {
        "int": "bigint", "real": "double precision", "text": "text", "blob": "bytea",
        "geom": "geometry(PointZ)", "fid": "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    }  # fmt: skip

    def __init__(self, url: str, site: str, write: bool = True) -> None:
        psycopg = self.check(url)
        self.schema = schema_of(site)
        self._shown = f"store {urlsplit(url).hostname or 'local'}{urlsplit(url).path}"
        self._srid = 0
        with self._naming():
            self._db = psycopg.connect(
                url, connect_timeout=CONNECT_S, autocommit=True, application_name="geoloc",
                options=f"-c statement_timeout={STATEMENT_MS} -c search_path={self.schema},public",
            )  # fmt: skip
            encoding = self._db.info.parameter_status("server_encoding")
            if encoding != "UTF8":
                raise InputError(f"{self._shown}: its encoding is {encoding}; give a database of encoding UTF8")
            if write:
                self._db.execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")

    @staticmethod
    def check(url: str) -> Any:
        """The library; InputError where it is not installed, or the address holds a password."""
        if urlsplit(url).password or "password=" in url:
            raise InputError("the store's address holds a password, which would be in logs; put it into PGPASSFILE")
        try:
            import psycopg
        except ImportError as error:
            said = f"a store in PostgreSQL needs the extra 'postgres' ({error})"
            raise InputError(f"{said}: pip install 'geoloc[postgres]'") from error
        return psycopg

    @contextmanager
    def _naming(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            said = str(error).strip().partition("\n")[0] or type(error).__name__
            raise (FullError if error.sqlstate == DISK_FULL else StoreError)(f"{self._shown}: {said}") from error

    def require(self) -> None:
        """PostGIS."""
        if not self.rows("SELECT 1 FROM pg_extension WHERE extname = 'postgis'"):
            self.run("CREATE EXTENSION postgis SCHEMA public")

    def prepare(self, site_map: SiteMap) -> None:
        """The index of places."""
        self._srid = 0 if site_map.datum is None else 4326
        self.run(f"ALTER TABLE positions ALTER COLUMN geom TYPE geometry(PointZ, {self._srid})")
        self.run("CREATE INDEX positions_geom ON positions USING gist (geom)")

    def has_tables(self) -> bool:
        """Whether it holds a store."""
        sql = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = 'store'"
        return bool(self.rows(sql, [self.schema]))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, on the disk."""
        with self._naming(), self._db.transaction():
            yield

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement."""
        with self._naming():
            return self._db.execute(_translated(sql), values).rowcount

    def run_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each of the rows."""
        with self._naming(), self._db.cursor() as cursor:
            cursor.executemany(_translated(sql), rows)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows of an answer."""
        with self._naming():
            cursor = self._db.execute(_translated(sql), values)
            return cursor.fetchall() if cursor.description else []

    def stream(self, sql: str, values: Sequence[Any] = (), n: int = 1000) -> Iterator[list[Row]]:
        """The rows of an answer, `n` at a time, by a cursor of the server."""
        with self._naming(), self._db.transaction(), self._db.cursor("geoloc") as cursor:
            cursor.execute(_translated(sql), values)
            while found := cursor.fetchmany(n):
                yield found

    def within(self, box: Sequence[float]) -> tuple[str, list[float]]:
        """By the index of places."""
        return f"p.geom && ST_MakeEnvelope(?, ?, ?, ?, {self._own_srid()})", list(box)

    def geometries(self, places: np.ndarray) -> tuple[str, list[Any]]:
        """Points as well-known binary."""
        points = shapely.to_wkb(shapely.points(places), flavor="extended").tolist()
        return f"ST_GeomFromWKB(?, {self._own_srid()})", points

    def _own_srid(self) -> int:
        if not self._srid and self.has_tables():
            self._srid = int(self.rows("SELECT Find_SRID(?, 'positions', 'geom')", [self.schema])[0][0])
        return self._srid

    def size(self) -> int:
        """Bytes of the site's tables and indexes."""
        sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class WHERE relkind = 'r' "
        sql += "AND relnamespace = to_regnamespace(?)"
        return int(self.rows(sql, [self.schema])[0][0])

    def free(self) -> float:
        """Its disk is another machine's."""
        return math.inf

    def reclaim(self, all_of_it: bool = False) -> None:
        """Make what was removed room for others; `all_of_it`: the tables are written anew, without it."""
        self.run("SET statement_timeout = 0")
        for table in ("windows", "positions", "events", "occupancy"):
            self.run(f"VACUUM {'FULL ' if all_of_it else ''}{table}")
        self.run(f"SET statement_timeout = {STATEMENT_MS}")

    def close(self) -> None:
        """Let go."""
        with self._naming():
            self._db.close()


def schema_of(site: str) -> str:
    """A site's schema: its name in letters, digits and _, told apart by its bytes where that changes it."""
    plain = re.sub(r"[^a-z0-9_]", "_", site)
    told_apart = "" if plain == site and len(site) <= 40 else "_" + hashlib.sha256(site.encode()).hexdigest()[:12]
    return f"geoloc_{plain[:40]}{told_apart}"


def _translated(sql: str) -> Any:
    return sql.replace("%", "%%").replace("?", "%s")
