"""Many vectors in FAISS, embedded: in memory or in a folder, exact while they are few, in lists of codes once many.

    index = make_index("faiss", 256, FIELDS, "galleries/garage", model=fingerprint)

In the folder every row is safe from the end of the process once `add` returns, and from the loss of power once
`flush` returns. Opening maps the vectors and reads the rest: a gallery of a million starts in under a second.

Lists and codes are learned from the rows when there are `flat_rows`, and anew each time they are four times as many:
that `add` takes a minute at a million. In between `add` measures now and then how widely a search has to look.
"""

import json
import threading
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.options import merge_options
from geoloc.retrieval.faiss_effort import TUNED_AGAIN, set_effort
from geoloc.retrieval.faiss_exact import exact_search, load_faiss
from geoloc.retrieval.faiss_filtered import Kept, exact_is_faster, exact_kept, filtered_search
from geoloc.retrieval.faiss_graphs import (
    BUILT_AGAIN,
    FaissOptions,
    Graph,
    Hnsw,
    IvfPq,
    Settings,
    build_graph,
    load_graph,
)
from geoloc.retrieval.rows import NONE, Found, checked_queries, no_answers
from geoloc.retrieval.store.rows import RowStore, WriteGraph
from geoloc.retrieval.where import ANYWHERE, Fields, Rows, Where

LEAST = 1000  # rows that lists and codes are learned from
GONE = 8  # a part of this many of the rows removed, and all is written without them
CACHED = 16  # filters whose lists are remembered until the rows change


class FaissIndex:
    """Rows in a store, and FAISS's structure over their vectors once they are many. Safe to call from threads."""

    def __init__(
        self, dim: int, fields: Fields, place: str = "", model: str = "", **settings: bool | int | float | str
    ) -> None:
        self._faiss = load_faiss()
        self.options = merge_options(FaissOptions(), settings)
        self._lock = threading.RLock()
        self._store = RowStore(dim, fields, place, model)
        self.dim, self.fields, self.model = dim, self._store.fields, self._store.model
        self._kept: dict[Where, Kept] = {}
        self._graph: Graph | None = None
        try:
            self._graph = self._load()
            self._upkeep()
        except InputError:
            self._store.close()
            raise

    def __len__(self) -> int:
        return len(self._store)

    @property
    def kind(self) -> str:
        """How it searches now: flat (exact), ivfpq or hnsw."""
        return self._graph.kind if self._graph else "flat"

    @property
    def settings(self) -> Settings:
        """How widely it searches: probes and refine of ivfpq, effort of hnsw."""
        return dict(self._graph.settings) if self._graph else {}

    def add(self, ids: np.ndarray, vectors: np.ndarray, rows: Rows) -> None:
        """Take in vectors (M, D) under ids (M,) with their fields (M,)."""
        with self._lock:
            start = len(self._store.columns)
            vectors = self._store.add(ids, vectors, rows)
            self._changed()
            if self._graph:
                self._graph.add(vectors, start)
            self._upkeep()

    def remove(self, ids: np.ndarray) -> None:
        """Forget the rows of ids (M,)."""
        with self._lock:
            rows = self._store.remove(ids)
            self._changed()
            if self._graph and len(rows):
                self._graph.remove(rows)

    def search(self, queries: np.ndarray, k: int, where: Where = ANYWHERE) -> Found:
        """The `k` best rows of queries (Q, D), among those that `where` keeps."""
        queries = checked_queries(queries, k, self.dim)
        with self._lock:
            if not len(queries) or not len(self):
                where.check(self.fields)
                return no_answers(len(queries), k)
            scores, rows = self._search(queries, k, where)
            ids = np.where(rows >= 0, self._store.columns.held[rows], NONE)
        scores[rows < 0] = -np.inf
        order, here = np.lexsort((ids, -scores), axis=1), np.arange(len(ids))[:, None]
        return Found(ids[here, order], scores[here, order])

    def ids(self, where: Where = ANYWHERE) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""
        with self._lock:
            return np.sort(self._store.columns.held[self._store.kept(where)])

    def read(self, ids: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Vectors (M, D) and fields (M,) of the rows under ids (M,); lists of codes keep vectors in float16."""
        with self._lock:
            return self._store.read(ids)

    def flush(self) -> None:
        """Return when the disk has all that was added; a search finds it already."""
        with self._lock:
            self._store.flush()

    def compact(self) -> None:
        """Return when nothing is left of removed rows, in memory and in the folder."""
        with self._lock:
            if self._store.columns.n_gone:
                self._leave_out()
            elif self._store.changed:
                self._store.write(*self._written())

    def save(self, folder: str | Path) -> None:
        """A snapshot in a new folder, whole or not at all; it opens as any index does."""
        with self._lock:
            if self._store.columns.n_gone:
                self.compact()  # a snapshot holds nothing of removed rows
            self._store.save(folder, *self._written())

    def close(self) -> None:
        """Write what a quick start needs, and let others open the folder; the index is not used after it."""
        with self._lock:
            if self._store.changed:
                self._store.write(*self._written())
            self._graph = None
            self._store.close()

    def _search(self, queries: np.ndarray, k: int, where: Where) -> tuple[np.ndarray, np.ndarray]:
        graph, store = self._graph, self._store
        if not where.conditions and (graph or not store.columns.n_gone):
            if graph:
                return graph.search(queries, k)
            found, scores = exact_search(self._faiss, queries, k, store.vectors.rows, None)
            return scores, found
        kept = store.kept(where)
        if not isinstance(graph, IvfPq) or exact_is_faster(graph, len(queries), len(kept)):
            if isinstance(graph, Hnsw) and len(kept) == len(self):
                return graph.search(queries, k)
            return exact_kept(self._faiss, queries, k, store.vectors.rows, kept)
        if len(kept) == len(self):
            return graph.search(queries, k)
        lists = self._lists_of(where, graph, kept)
        if exact_is_faster(graph, len(queries), len(kept), lists.apart):
            return exact_kept(self._faiss, queries, k, store.vectors.rows, kept)
        return filtered_search(self._faiss, graph, queries, k, lists)

    def _lists_of(self, where: Where, graph: IvfPq, rows: np.ndarray) -> Kept:
        kept = self._kept.pop(where, None) or Kept(self._faiss, graph, rows)
        if len(self._kept) >= CACHED:
            del self._kept[next(iter(self._kept))]
        self._kept[where] = kept
        return kept

    def _changed(self) -> None:
        self._kept.clear()
        if self._graph:
            self._graph.look_at(self._store.vectors.rows)

    def _upkeep(self) -> None:
        """Make the structure where there are enough rows for it, anew where they have outgrown it; write a long log."""
        wanted = self.options.kind != "flat" and len(self) > max(self.options.flat_rows, LEAST)
        kind, rows = self.kind, self._graph.settings["rows"] if self._graph else 0
        if wanted and (kind != self.options.kind or (kind == "ivfpq" and len(self) > BUILT_AGAIN * rows)):
            self._build()
        elif isinstance(self._graph, IvfPq) and len(self) > TUNED_AGAIN * self._graph.settings["tuned"]:
            set_effort(self._faiss, self._graph, self._store.vectors.rows, self.options)
        elif self._store.columns.n_gone > max(LEAST, len(self._store.columns) // GONE):
            self._leave_out()
        elif self._store.due:
            self._store.write(*self._written())

    def _build(self) -> None:
        self._graph = None
        half = np.float16 if self.options.kind == "ivfpq" else None
        if self._store.columns.n_gone or (half and self._store.vectors.dtype != np.float16):
            self._store.renumber(lambda new: ("", {}, None), half)
        self._graph = build_graph(self._faiss, self._store.vectors.rows, self.options)
        self._changed()
        if isinstance(self._graph, IvfPq):
            set_effort(self._faiss, self._graph, self._store.vectors.rows, self.options)
        self._store.write(*self._written())

    def _leave_out(self) -> None:
        self._store.renumber(self._renumbered)
        self._changed()
        self._upkeep()

    def _renumbered(self, new: np.ndarray) -> tuple[str, Settings, WriteGraph | None]:
        if isinstance(self._graph, Hnsw):
            self._graph = None  # its rows cannot be taken out: `_upkeep` makes it anew
        if self._graph:
            self._graph.renumber(new)
        return self._written()

    def _written(self) -> tuple[str, Settings, WriteGraph | None]:
        graph = self._graph
        return (graph.kind, graph.settings, graph.write) if graph else ("", {}, None)

    def _load(self) -> Graph | None:
        """The structure as it was written, with the rows that came since."""
        head, store = self._store.head, self._store
        if head is None or not head.graph or head.kind != self.options.kind or store.path is None:
            return None
        if not (store.path / head.graph).exists():
            return None
        graph = load_graph(self._faiss, store.path / head.graph, head.kind, json.loads(head.settings), head.rows)
        rows, gone = store.vectors.rows, np.flatnonzero(store.columns.gone)
        if len(rows) > head.rows:
            graph.add(rows[head.rows :].astype(np.float32), head.rows)
        graph.look_at(rows)
        if len(gone):
            graph.remove(gone)
        return graph
