"""Rows in a table of PostgreSQL with the extension pgvector.

A place that is a folder holds a server of its own, which runs while the index is open; a URI (postgresql://...) is a
server that runs anyway. Filters are SQL. Without a graph every row that a filter keeps is compared; with one
(method="hnsw") a search goes through it where a filter keeps many rows and they are among the nearest. Where few are
kept, or those that are kept are far, as when the query is of another colour, the graph would miss them: the kept rows
are compared.
"""

import contextlib
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.retrieval.rows import DTYPES, NONE, Found, no_answers
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.outbox import Batch
from geoloc.retrieval.servers.passwords import password_of, with_password, without_password
from geoloc.retrieval.servers.pgvector_client import PgLine, server_in
from geoloc.retrieval.servers.pgvector_sql import EXACT, GRAPH, TYPES, Language
from geoloc.retrieval.servers.remote_index import RemoteIndex, open_remote
from geoloc.retrieval.servers.sending import Sending, settings_of
from geoloc.retrieval.where import ID, Fields, Where

LONGEST = 10_000  # bytes of a name: what a line of PostgreSQL's index holds, with room
NO_OLD_LOGS = ("ALTER SYSTEM SET wal_recycle = off", "SELECT pg_reload_conf()")
NEW_LOG = ("SELECT pg_switch_wal()", "CHECKPOINT")
METHODS = ("exact", "hnsw")
SURE = 3.0  # times more or fewer rows than are compared one by one: what a guess must say to be trusted
WIDER = 10  # times the rows asked for are taken from the graph: what it gives first is not always nearest
FARTHER = 2  # times the rows of a search that the graph is searched on for rows that pass the filter
COUNTED = 10_000  # rows after which the server counts what columns hold, for its guesses
COMPACTING = 3600.0  # s that writing a table anew, or making a graph, may take


@dataclass(frozen=True)
class PgvectorOptions:
    """What a table is like; an existing graph keeps its m and ef_construction.

    Rows come in many times faster without a graph: for the first load open it with "exact", then with "hnsw".
    """

    collection: str = "looks"  # the table's name
    method: str = "exact"  # "exact" compares all rows that a filter keeps, "hnsw" goes through a graph, made if none is
    m: int = 16  # neighbours of a row in the graph
    ef_construction: int = 200  # rows looked at to find them
    build_memory_mb: int = 512  # that the server may take to make it; 1 million x 256 need about 1,500
    ef_search: int = 200  # rows of the graph that a search looks at, at least
    exact_below: int = 20_000  # a filter that keeps at most so many rows is answered without the graph

    def __post_init__(self) -> None:
        check_range(self, m=(2, 100), ef_construction=(4, 1000), ef_search=(1, 1000), exact_below=(0, 10**9))
        check_range(self, build_memory_mb=(1, 10**6))
        if self.method not in METHODS or not self.collection.isidentifier():
            said = f"method {self.method!r}, collection {self.collection!r}"
            raise InputError(f"pgvector: {said}; give a method of {', '.join(METHODS)} and a plain name")


def open_pgvector(dim: int, fields: Fields, place: str = "", model: str = "", **settings: Any) -> RemoteIndex:
    """An index in a table of the server at `place`: a URI, a folder, or empty for a server that lives with it."""
    options, sending = settings_of("pgvector", PgvectorOptions(), settings)
    about = About(dim, dict(fields), model)
    about.check_names("pgvector", ID, "vector")
    return open_remote(PgvectorStore(place, about, options, sending), sending)


class PgvectorStore:
    """One table, through one connection that is made anew when it broke."""

    longest_name, infinite = LONGEST, True

    def __init__(self, place: str, about: About, options: PgvectorOptions, sending: Sending) -> None:
        self.about, self.options, self.timeout = about, options, sending.timeout
        self._fresh = 0  # rows that were put since the server counted
        self._held = contextlib.ExitStack()  # the folder and the server that live with the index
        self._own = "://" not in place
        if "://" in place:
            uri = with_password(place, password_of("pgvector", sending.password_file))
            shown = without_password(place)
        else:
            shown = place or self._held.enter_context(tempfile.TemporaryDirectory(prefix="geoloc_pgvector_"))
            uri = self._held.enter_context(server_in(Path(shown).absolute())).get_uri()
        self.where = f"index pgvector, table {options.collection} at {shown}"
        self._line = PgLine(uri, self.where)
        self._sql = Language(self._line.pg.sql, options.collection, about)

    def open(self) -> None:
        """Find the table, or make it; and the graph, where it is asked for and not there."""
        with self._line.asking(self.timeout) as connection, connection.transaction():
            # two that open it at once would both make it
            connection.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [self.options.collection])
            found = connection.execute("SELECT to_regclass(%s)::oid", [f'"{self.options.collection}"']).fetchone()[0]
            if found is None:
                for statement in self._sql.making():
                    connection.execute(statement)
            else:
                written = connection.execute("SELECT obj_description(%s, 'pg_class')", [found]).fetchone()[0]
                self.about = self.about.agreed(_plain(written), self.where)
        graph = self._all("SELECT to_regclass('{name}')", name=self._sql.graph_name)[0][0]
        if self.options.method == "hnsw" and graph is None:
            with self._line.asking(COMPACTING) as connection, connection.transaction():
                connection.execute(f"SET LOCAL maintenance_work_mem = '{self.options.build_memory_mb}MB'")
                connection.execute(self._sql.graph(self.options.m, self.options.ef_construction))

    def count(self) -> int:
        """How many rows it holds."""
        return int(self._all("SELECT count(*) FROM {table}")[0][0])

    def held(self, ids: np.ndarray) -> np.ndarray:
        """Those of the ids (M,) that it holds."""
        rows = self._all("SELECT id FROM {table} WHERE id = ANY(%s::bigint[])", [ids.tolist()])
        return np.array([row[0] for row in rows], np.int64)

    def put(self, batch: Batch) -> None:
        """Take in rows that it does not hold, all or none."""
        columns = [batch.rows[name].tolist() for name in self.about.fields]
        for column, kind in zip(columns, self.about.fields.values(), strict=True):
            if kind is float:  # NaN is the largest number there, and equals itself: NULL is what "missing" means
                column[:] = [value if value == value else None for value in column]
        statement = self._sql.text("COPY {table} ({names}) FROM STDIN (FORMAT BINARY)", names=self._sql.names())
        types = ["int8", "vector", *(TYPES[kind] for kind in self.about.fields.values())]
        with self._line.asking(self.timeout) as pg, pg.transaction(), pg.cursor().copy(statement) as copy:
            copy.set_types(types)
            for row in zip(batch.ids.tolist(), batch.vectors, *columns, strict=True):
                copy.write_row(row)
        self._fresh += len(batch)

    def drop(self, ids: np.ndarray) -> None:
        """Forget rows (M,)."""
        with self._line.asking(self.timeout) as connection:
            connection.execute(self._sql.text("DELETE FROM {table} WHERE id = ANY(%s::bigint[])"), [ids.tolist()])

    def best(self, queries: np.ndarray, k: int, where: Where) -> Found:
        """The `k` best rows of queries (Q, D)."""
        condition, values = self._sql.condition(where)
        found = no_answers(len(queries), k)
        with self._line.asking(self.timeout * (1 + len(queries) // 8)) as connection, connection.transaction():
            rows = np.arange(len(queries))
            if self.options.method == "hnsw" and (not where.conditions or self._many(connection, condition, values)):
                self._widen(connection, k)
                graph = self._sql.text(GRAPH, condition=condition)
                got = self._fill(connection, found, graph, [[query, *values, WIDER * k] for query in queries], rows)
                rows = rows[got < WIDER * k]  # what is near there does not pass the filter: the graph is no help
            exact = self._sql.text(EXACT, condition=condition)
            self._fill(connection, found, exact, [[query, *values, k] for query in queries[rows]], rows)
        return found

    def ids(self, where: Where) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""
        condition, values = self._sql.condition(where)
        rows = self._all("SELECT id FROM {table} WHERE {condition} ORDER BY id", values, condition=condition)
        return np.array([row[0] for row in rows], np.int64)

    def read(self, ids: np.ndarray) -> Batch:
        """Rows that it holds."""
        text = "SELECT {names} FROM {table} WHERE id = ANY(%s::bigint[])"
        rows = self._all(text, [ids.tolist()], names=self._sql.names())
        columns = list(zip(*rows, strict=True)) if rows else [()] * (2 + len(self.about.fields))
        vectors = np.array([np.asarray(vector.to_numpy()) for vector in columns[1]], np.float32)
        fields: dict[str, np.ndarray] = {
            name: np.array(values, DTYPES[kind])
            for (name, kind), values in zip(self.about.fields.items(), columns[2:], strict=True)
        }
        return Batch(np.array(columns[0], np.int64), vectors.reshape(-1, self.about.dim), fields)

    def settle(self) -> None:
        """What was put is found at once; after many rows, count anew what they hold."""
        if self._fresh > COUNTED:
            with self._line.asking(10 * self.timeout) as connection:
                connection.execute(self._sql.text("ANALYZE {table}"))
            self._fresh = 0

    def compact(self) -> None:
        """Write the table anew, without what was dropped."""
        with self._line.asking(COMPACTING) as connection:
            # the log of what was written has the rows too: in a server of its own a new one begins, the old is deleted
            for statement in NO_OLD_LOGS if self._own else ():
                connection.execute(statement)
            connection.execute(self._sql.text("VACUUM (FULL, ANALYZE) {table}"))
            for statement in NEW_LOG if self._own else ():
                connection.execute(statement)

    def close(self) -> None:
        """End the connection, and the server where it lives with the index."""
        self._line.close()
        self._held.close()

    def _many(self, connection: Any, condition: Any, values: list[Any]) -> bool:
        """Whether a filter keeps more rows than are compared one by one."""
        most = self.options.exact_below
        # counting may take as long as comparing: where it is clear, the server's guess will do
        guess = self._sql.text("EXPLAIN (FORMAT JSON) SELECT FROM {table} WHERE {condition}", condition=condition)
        rows = connection.execute(guess, values).fetchone()[0][0]["Plan"]["Plan Rows"]
        if not most / SURE < rows < most * SURE:
            return bool(rows > most)
        text = "SELECT count(*) FROM (SELECT FROM {table} WHERE {condition} LIMIT %s) kept"
        n = connection.execute(self._sql.text(text, condition=condition), [*values, most + 1]).fetchone()[0]
        return bool(n > most)

    @staticmethod
    def _fill(connection: Any, found: Found, text: Any, values: list[list[Any]], rows: np.ndarray) -> np.ndarray:
        """Ask once for each row of the answer, all in one go, and write down what is found; how many came (R,)."""
        got, k = np.zeros(len(rows), int), found.ids.shape[1]
        with connection.pipeline():
            cursors = [connection.execute(text, some, binary=True) for some in values]
        for n, (row, cursor) in enumerate(zip(rows, cursors, strict=True)):
            answers = cursor.fetchall()
            got[n], best = len(answers), answers[:k]
            found.ids[row], found.scores[row] = NONE, -np.inf
            found.ids[row, : len(best)] = [answer[0] for answer in best]
            found.scores[row, : len(best)] = [answer[1] for answer in best]
        return got

    def _widen(self, connection: Any, k: int) -> None:
        """Let the graph be searched on for a while when the filter has not kept enough (pgvector 0.8 on)."""
        wide = min(max(self.options.ef_search, WIDER * k), 1000)
        limits = {"ef_search": str(wide), "iterative_scan": "relaxed_order", "max_scan_tuples": str(FARTHER * wide)}
        for name, value in (limits | {"scan_mem_multiplier": "50"}).items():
            connection.execute("SELECT set_config(%s, %s, true)", [f"hnsw.{name}", value])
        connection.execute("SET LOCAL enable_sort = off")  # it thinks little of the graph otherwise

    def _all(self, text: str, values: list[Any] | None = None, **parts: Any) -> list[Any]:
        with self._line.asking(self.timeout) as connection:
            return connection.execute(self._sql.text(text, **parts), values or [], binary=True).fetchall()


def _plain(text: str | None) -> object:
    with contextlib.suppress(ValueError):
        return json.loads(text or "")
    return None
