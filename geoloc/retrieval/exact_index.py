"""Every row compared with every query by one matrix product: what all other indexes are held against."""

import threading
from pathlib import Path

import numpy as np

from geoloc.errors import unknown_name
from geoloc.retrieval.rows import Found, best_columns, checked_queries, no_answers
from geoloc.retrieval.store.rows import RowStore
from geoloc.retrieval.where import ANYWHERE, Fields, Rows, Where

BLOCK = 256  # queries at a time: their scores against a million rows fit into a gigabyte


class ExactIndex:
    """Rows in plain arrays, in memory or in a folder. Safe to call from threads."""

    def __init__(
        self, dim: int, fields: Fields, place: str = "", model: str = "", **settings: bool | int | float | str
    ) -> None:
        for name in settings:
            raise unknown_name("setting", name, [], 'the index "exact"')
        self._lock = threading.RLock()
        self._store = RowStore(dim, fields, place, model)
        self.dim, self.fields, self.model = dim, self._store.fields, self._store.model

    def __len__(self) -> int:
        return len(self._store)

    def add(self, ids: np.ndarray, vectors: np.ndarray, rows: Rows) -> None:
        """Take in vectors (M, D) under ids (M,) with their fields (M,)."""
        with self._lock:
            self._store.add(ids, vectors, rows)
            if self._store.due:
                self._store.write("", {}, None)

    def remove(self, ids: np.ndarray) -> None:
        """Forget the rows of ids (M,)."""
        with self._lock:
            self._store.remove(ids)

    def search(self, queries: np.ndarray, k: int, where: Where = ANYWHERE) -> Found:
        """The `k` best rows of queries (Q, D), among those that `where` keeps."""
        queries = checked_queries(queries, k, self.dim)
        with self._lock:
            kept = self._by_id(where)
            rows = self._store.vectors.rows
            vectors = rows if len(kept) == len(rows) and (kept[1:] > kept[:-1]).all() else rows[kept]
            held = self._store.columns.held[kept]
        vectors = vectors.astype(np.float32, copy=False)
        found = no_answers(len(queries), k)
        for start in range(0, len(queries), BLOCK):
            scores = queries[start : start + BLOCK] @ vectors.T
            best = best_columns(scores, k)
            stop, n = start + len(scores), best.shape[1]
            found.ids[start:stop, :n] = held[best]
            found.scores[start:stop, :n] = np.take_along_axis(scores, best, axis=1)
        return found

    def ids(self, where: Where = ANYWHERE) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""
        with self._lock:
            return self._store.columns.held[self._by_id(where)]

    def read(self, ids: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Vectors (M, D) and fields (M,) of the rows under ids (M,)."""
        with self._lock:
            return self._store.read(ids)

    def flush(self) -> None:
        """Return when the disk has all that was added; a search finds it already."""
        with self._lock:
            self._store.flush()

    def compact(self) -> None:
        """Return when nothing is left of removed rows, in memory and in the folder."""
        with self._lock:
            self._store.renumber(lambda new: ("", {}, None))

    def save(self, folder: str | Path) -> None:
        """A snapshot in a new folder, whole or not at all; it opens as any index does."""
        with self._lock:
            self.compact()  # a snapshot holds nothing of removed rows
            self._store.save(folder, "", {}, None)

    def close(self) -> None:
        """Write what a quick start needs, and let others open the folder; the index is not used after it."""
        with self._lock:
            if self._store.changed:
                self._store.write("", {}, None)
            self._store.close()

    def _by_id(self, where: Where) -> np.ndarray:
        """Kept rows (M,) by their ids, so that among equals the smaller id comes first."""
        kept = self._store.kept(where)
        ids = self._store.columns.held[kept]
        return kept if (ids[1:] > ids[:-1]).all() else kept[np.argsort(ids)]
