"""Rows in a collection of Milvus: Milvus Lite in a folder, or a server or cluster by its URI, through one client.

Milvus compares every row with method="exact". With method="hnsw" it searches a graph; rows that a narrow filter keeps
are then read and compared here. Its filters know no circle: the square around it is asked for, and more rows than are
wanted, until enough of them lie within.
"""

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.retrieval.rows import Found, best_columns, no_answers
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.milvus_client import MilvusLine, release_lite
from geoloc.retrieval.servers.milvus_rows import SCORE, batch_of, numbers, rows_of, text_of, within
from geoloc.retrieval.servers.outbox import Batch
from geoloc.retrieval.servers.passwords import password_of, without_password
from geoloc.retrieval.servers.remote_index import RemoteIndex, open_remote
from geoloc.retrieval.servers.sending import Sending, Unanswered, settings_of
from geoloc.retrieval.where import ID, Fields, Near, Where

LONGEST = 1024  # bytes of a name, as the collection's columns are declared
PAGE = 10_000  # rows of one answer; Milvus gives at most 16,384
FEW = 1000  # ids of one request
METHODS = ("exact", "hnsw")
COMPACTING = 3600.0  # s that a cluster may take to write segments anew
ANEW = "_anew"  # ends the name of a collection that takes another's place
ABOUT = "geoloc.about"  # the collection's property that says what it holds


@dataclass(frozen=True)
class MilvusOptions:
    """What a collection is like; an existing one keeps its method, m, ef_construction, shards and replicas."""

    collection: str = "looks"  # its name
    method: str = "exact"  # "exact" compares all rows that a filter keeps, "hnsw" goes through a graph
    m: int = 16  # neighbours of a row in the graph
    ef_construction: int = 200  # rows looked at to find them
    ef_search: int = 200  # rows of the graph that a search looks at, at least
    exact_below: int = 5_000  # a filter that keeps at most so many rows is answered by reading and comparing them
    shards: int = 1  # parts of the collection, on a cluster
    replicas: int = 1  # copies that answer, on a cluster
    token: str = ""  # "user:password" or a key, for a server that asks for one; a gallery does not keep it
    database: str = ""  # of the server; empty: its default one

    def __post_init__(self) -> None:
        check_range(self, m=(2, 2048), ef_construction=(4, 10_000), ef_search=(1, PAGE), exact_below=(0, PAGE))
        check_range(self, shards=(1, 16), replicas=(1, 64))
        if self.method not in METHODS or not self.collection.isidentifier():
            said = f"method {self.method!r}, collection {self.collection!r}"
            raise InputError(f"milvus: {said}; give a method of {', '.join(METHODS)} and a plain name")


def open_milvus(dim: int, fields: Fields, place: str = "", model: str = "", **settings: Any) -> RemoteIndex:
    """An index in a collection of Milvus at `place`: a URI (http://...), a folder, or empty: it goes with it."""
    options, sending = settings_of("milvus", MilvusOptions(), settings)
    about = About(dim, dict(fields), model)
    about.check_names("milvus", ID, "vector")
    return open_remote(MilvusStore(place, about, options, sending), sending)


class MilvusStore:
    """One collection, read with strong consistency: what was acknowledged is found."""

    longest_name, infinite = LONGEST, False

    def __init__(self, place: str, about: About, options: MilvusOptions, sending: Sending) -> None:
        self.about, self.options, self.timeout = about, options, sending.timeout
        self._folder: Any = None
        self.uri = place
        if "://" not in place:
            self._folder = None if place else tempfile.TemporaryDirectory(prefix="geoloc_milvus_")
            folder = Path(place or self._folder.name).absolute()
            folder.mkdir(parents=True, exist_ok=True)
            self.uri = str(folder / "milvus.db")
        self.where = f"index milvus, collection {options.collection} at {without_password(self.uri)}"
        asks = "://" in place and not options.token  # Milvus Lite does not
        token = password_of("milvus", sending.password_file) if asks else options.token
        self._line = MilvusLine(self.uri, self.where, token, options.database)

    def open(self) -> None:
        """Find the collection, or make it."""
        with self._line.asking(self.timeout) as client:
            name, anew = self.options.collection, self.options.collection + ANEW
            if not client.has_collection(name, timeout=self.timeout):
                if client.has_collection(anew, timeout=self.timeout):  # a rewriting was cut short after its last row
                    client.rename_collection(anew, name, timeout=self.timeout)
                else:
                    self._make(client, name)
            found = client.describe_collection(self.options.collection, timeout=self.timeout)
            about = None
            with contextlib.suppress(ValueError):
                about = json.loads(found["properties"].get(ABOUT) or found["description"])
            self.about = self.about.agreed(about, self.where)
            client.load_collection(self.options.collection, replica_number=self.options.replicas, timeout=self.timeout)

    def count(self) -> int:
        """How many rows it holds."""
        return self._count("")

    def held(self, ids: np.ndarray) -> np.ndarray:
        """Those of the ids (M,) that it holds."""
        return np.sort(np.array([row[ID] for row in self._get(ids, [ID])], np.int64))

    def put(self, batch: Batch) -> None:
        """Take in rows; one that is there already is replaced."""
        with self._line.asking(self.timeout) as client:
            said = client.upsert(self.options.collection, rows_of(batch, self.about.fields), timeout=self.timeout)
        if said.get("upsert_count") != len(batch):
            raise Unanswered(f"{said.get('upsert_count')} of {len(batch)} rows were taken")

    def drop(self, ids: np.ndarray) -> None:
        """Forget rows (M,)."""
        for some in _parts(ids):
            with self._line.asking(self.timeout) as client:
                client.delete(self.options.collection, ids=some.tolist(), timeout=self.timeout)

    def best(self, queries: np.ndarray, k: int, where: Where) -> Found:
        """The `k` best rows of queries (Q, D)."""
        if k > PAGE:
            raise InputError(f"{self.where}: {k} answers asked for; it gives at most {PAGE}")
        if not len(queries):
            return no_answers(0, k)
        text = text_of(where, self.about.fields)
        if self.options.method == "hnsw" and self._count(text) <= self.options.exact_below:
            return self._compare(queries, k, where)
        circles = [condition for condition in where.conditions if isinstance(condition, Near)]
        wanted = 2 * k + 10 if circles else k
        while True:
            answers = self._search(queries, min(wanted, PAGE), text, circles)
            found, short = within(answers, k, circles, min(wanted, PAGE))
            if not short:
                return found
            if wanted >= PAGE:
                return self._compare(queries, k, where)
            wanted *= 4

    def ids(self, where: Where) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""
        circles = [condition for condition in where.conditions if isinstance(condition, Near)]
        names = sorted({ID, *(name for circle in circles for name in (circle.x, circle.y))})
        rows = list(self._query(text_of(where, self.about.fields), names))
        columns = {name: numbers([row[name] for row in rows]) for name in names}
        return np.sort(columns[ID][Where(tuple(circles)).holds(columns)])

    def read(self, ids: np.ndarray) -> Batch:
        """Rows that it holds."""
        return batch_of(self._get(ids, [ID, "vector", *self.about.fields]), self.about)

    def settle(self) -> None:
        """Write what is in memory to where it is kept; it is found already."""
        with self._line.asking(self.timeout) as client:
            client.flush(self.options.collection, timeout=self.timeout)

    def compact(self) -> None:
        """Write the segments anew, without what was dropped."""
        self.settle()
        if "://" not in self.uri:
            self._rewrite()
            return
        with self._line.asking(self.timeout) as client:
            job = client.compact(self.options.collection, timeout=self.timeout)
            until = time.monotonic() + COMPACTING
            while client.get_compaction_state(job, timeout=self.timeout) != "Completed":
                if time.monotonic() > until:
                    raise Unanswered(f"compaction is not done in {COMPACTING:g} s")
                time.sleep(0.5)

    def close(self) -> None:
        """End the connection; what lived with the index goes with it."""
        self._line.close()
        if self._folder is not None:
            release_lite(self.uri)
            self._folder.cleanup()
        self._folder = None

    def _make(self, client: Any, collection: str) -> None:
        kinds = self._line.milvus.DataType
        types = {int: kinds.INT64, float: kinds.DOUBLE, str: kinds.VARCHAR}
        about = json.dumps(self.about.written())  # Milvus Lite keeps no description
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False, description=about)
        schema.add_field(ID, kinds.INT64, is_primary=True)
        schema.add_field("vector", kinds.FLOAT_VECTOR, dim=self.about.dim)
        for name, kind in self.about.fields.items():
            more = {"max_length": LONGEST} if kind is str else {"nullable": True} if kind is float else {}
            schema.add_field(name, types[kind], **more)
        index = client.prepare_index_params()
        graph = {"M": self.options.m, "efConstruction": self.options.ef_construction}
        how = {"index_type": "HNSW", "params": graph} if self.options.method == "hnsw" else {"index_type": "FLAT"}
        index.add_index("vector", metric_type="IP", **how)
        client.create_collection(
            collection,
            schema=schema,
            consistency_level="Strong",
            num_shards=self.options.shards,
            properties={ABOUT: about},
            timeout=self.timeout,
        )
        # not waited for: loading does, and an empty one is ready at once
        client.create_index(collection, index, timeout=self.timeout, sync=False)

    def _count(self, text: str) -> int:
        with self._line.asking(self.timeout) as client:
            rows = client.query(
                self.options.collection, filter=text, output_fields=["count(*)"], timeout=self.timeout
            )
        return int(rows[0]["count(*)"])

    def _get(self, ids: np.ndarray, names: list[str]) -> list[Any]:
        found: list[Any] = []
        for some in _parts(ids):
            with self._line.asking(self.timeout) as client:
                found += client.get(
                    self.options.collection, ids=some.tolist(), output_fields=names, timeout=self.timeout
                )
        return found

    def _query(self, text: str, names: list[str]) -> Iterator[Any]:
        """Rows that a filter keeps, page by page."""
        with self._line.asking(self.timeout) as client:
            pages = client.query_iterator(
                self.options.collection, filter=text, batch_size=PAGE, output_fields=names, timeout=self.timeout
            )
            try:
                while page := pages.next():
                    yield from page
            finally:
                pages.close()

    def _search(self, queries: np.ndarray, k: int, text: str, circles: list[Near]) -> list[dict[str, np.ndarray]]:
        """For each query the ids, scores and places of its `k` best within the squares, best first."""
        names = sorted({name for circle in circles for name in (circle.x, circle.y)})
        params = {"ef": max(self.options.ef_search, k)} if self.options.method == "hnsw" else {}
        with self._line.asking(self.timeout) as client:
            answers = client.search(
                self.options.collection,
                list(queries),
                limit=k,
                filter=text,
                output_fields=names,
                search_params={"metric_type": "IP", "params": params},
                timeout=self.timeout,
            )
        if len(answers) != len(queries):
            raise Unanswered(f"{len(answers)} of {len(queries)} queries were answered")
        return [
            {
                ID: np.array([hit[ID] for hit in hits], np.int64),
                SCORE: np.array([hit["distance"] for hit in hits], np.float32),
                **{name: numbers([hit["entity"][name] for hit in hits]) for name in names},
            }
            for hits in answers
        ]

    def _compare(self, queries: np.ndarray, k: int, where: Where) -> Found:
        """All rows that a filter keeps, read and compared here."""
        found = no_answers(len(queries), k)
        ids = self.ids(where)
        best_ids, best_scores = np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32)
        for some in _parts(ids, PAGE):
            rows = self.read(some)
            ordered = rows.take(np.argsort(rows.ids))
            best_ids = np.hstack([best_ids, np.broadcast_to(ordered.ids, (len(queries), len(ordered)))])
            best_scores = np.hstack([best_scores, queries @ ordered.vectors.T])
            best = best_columns(best_scores, k)
            best_ids = np.take_along_axis(best_ids, best, axis=1)
            best_scores = np.take_along_axis(best_scores, best, axis=1)
        found.ids[:, : best_ids.shape[1]], found.scores[:, : best_ids.shape[1]] = best_ids, best_scores
        return found

    def _rewrite(self) -> None:
        """What Milvus Lite does not do when it is asked to compact: all rows into a new collection."""
        name, anew, timeout = self.options.collection, self.options.collection + ANEW, self.timeout
        with self._line.asking(self.timeout) as client:
            if client.has_collection(anew, timeout=timeout):  # of a rewriting that was cut short
                client.drop_collection(anew, timeout=timeout)
            self._make(client, anew)
            for some in _parts(self.ids(Where())):
                client.upsert(anew, rows_of(self.read(some), self.about.fields), timeout=timeout)
            client.flush(anew, timeout=timeout)
            client.drop_collection(name, timeout=timeout)
            client.rename_collection(anew, name, timeout=timeout)
            client.load_collection(name, timeout=timeout)


def _parts(ids: np.ndarray, size: int = FEW) -> list[np.ndarray]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]
