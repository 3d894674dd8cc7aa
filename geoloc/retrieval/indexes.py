"""Nearest vectors: an index takes rows with ids and gives the ids that are most alike to a query.

`INDEXES` names what can hold them. "exact" compares with every row by one matrix product and needs numpy alone;
"faiss" is FAISS's flat index, equally exact and faster with many rows.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from geoloc.errors import InputError, unknown_name

BLOCK = 256  # queries at a time: their scores against a million rows fit into a gigabyte
NONE = -1  # id where fewer rows than asked for are left


@dataclass(frozen=True, eq=False)
class Found:
    """The K best of each of Q queries, best first: `ids` (Q, K) int, -1 for none; `scores` (Q, K), -inf for none."""

    ids: np.ndarray
    scores: np.ndarray


class Index(Protocol):
    """Rows (N, D) float32 under ids that are unique and not negative; alike is what has a large inner product."""

    def __len__(self) -> int:
        """How many rows it holds."""

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Take in rows (M, D) under ids (M,) that it does not hold yet; InputError otherwise, and nothing is added."""

    def remove(self, ids: np.ndarray) -> None:
        """Forget the rows of ids (M,); InputError for one that it does not hold, and nothing is removed."""

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Found:
        """The `k` best rows of queries (Q, D), equals by id; among the ids `allowed` (M,) alone, where given."""


class ExactIndex:
    """Every row compared with every query by one matrix product."""

    def __init__(self, dim: int) -> None:
        self.ids, self.vectors = np.zeros(0, np.int64), np.zeros((0, dim), np.float32)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Take in rows (M, D) under ids (M,)."""
        ids, vectors = checked_rows(ids, vectors, self.vectors.shape[1], self.ids)
        ids, vectors = np.concatenate([self.ids, ids]), np.concatenate([self.vectors, vectors])
        order = np.argsort(ids)  # so that among equals the smaller id comes first
        self.ids, self.vectors = ids[order], vectors[order]

    def remove(self, ids: np.ndarray) -> None:
        """Forget the rows of ids (M,)."""
        kept = ~np.isin(self.ids, checked_known(ids, self.ids))
        self.ids, self.vectors = self.ids[kept], self.vectors[kept]

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Found:
        """The `k` best rows of queries (Q, D), among the ids `allowed` alone where given."""
        queries = checked_queries(queries, k, self.vectors.shape[1])
        rows = np.arange(len(self)) if allowed is None else np.flatnonzero(np.isin(self.ids, allowed))
        vectors = self.vectors if allowed is None else self.vectors[rows]
        found = no_answers(len(queries), k)
        for start in range(0, len(queries), BLOCK):
            scores = queries[start : start + BLOCK] @ vectors.T
            best = best_columns(scores, k)
            stop, n = start + len(scores), best.shape[1]
            found.ids[start:stop, :n] = self.ids[rows[best]]
            found.scores[start:stop, :n] = np.take_along_axis(scores, best, axis=1)
        return found


class FaissIndex:
    """FAISS's flat index of inner products, with ids."""

    def __init__(self, dim: int) -> None:
        self._faiss = _faiss()
        self.dim, self.ids = dim, np.zeros(0, np.int64)
        self.index = self._faiss.IndexIDMap2(self._faiss.IndexFlatIP(dim))

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: np.ndarray, vectors: np.ndarray) -> None:
        """Take in rows (M, D) under ids (M,)."""
        ids, vectors = checked_rows(ids, vectors, self.dim, self.ids)
        self.index.add_with_ids(vectors, ids)
        self.ids = np.sort(np.concatenate([self.ids, ids]))

    def remove(self, ids: np.ndarray) -> None:
        """Forget the rows of ids (M,)."""
        ids = checked_known(ids, self.ids)
        self.index.remove_ids(ids)
        self.ids = np.setdiff1d(self.ids, ids)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> Found:
        """The `k` best rows of queries (Q, D), among the ids `allowed` alone where given."""
        queries = checked_queries(queries, k, self.dim)
        found = no_answers(len(queries), k)
        here = self.ids if allowed is None else np.intersect1d(self.ids, allowed)
        n = min(k, len(here))
        if not n or not len(queries):
            return found
        selected = None if allowed is None else self._faiss.SearchParameters(sel=self._faiss.IDSelectorBatch(here))
        scores, ids = self.index.search(queries, n, params=selected)
        order = np.lexsort((ids, -scores), axis=1)
        found.ids[:, :n] = np.take_along_axis(ids, order, axis=1)
        found.scores[:, :n] = np.take_along_axis(scores, order, axis=1)
        return found


INDEXES: dict[str, type[ExactIndex] | type[FaissIndex]] = {"exact": ExactIndex, "faiss": FaissIndex}


def make_index(name: str, dim: int) -> Index:
    """An empty index of rows of length `dim`, by a name of `INDEXES`."""
    if name not in INDEXES:
        raise unknown_name("index", name, INDEXES)
    return INDEXES[name](dim)


def best_columns(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the `k` largest scores (Q, N) of each row, largest first, equals by column: (Q, min(k, N))."""
    n = scores.shape[1]
    if k < n:
        least = np.partition(scores, n - k, axis=1)[:, n - k, None]
        # of those that tie at the cut the first columns stay
        above, level = scores > least, scores == least
        room = k - above.sum(axis=1, keepdims=True)
        columns = np.nonzero(above | (level & (np.cumsum(level, axis=1) <= room)))[1].reshape(len(scores), k)
    else:
        columns = np.broadcast_to(np.arange(n), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


def checked_rows(ids: np.ndarray, vectors: np.ndarray, dim: int, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids (M,) int64 and vectors (M, dim) float32, refused where they are no rows for an index that holds `held`."""
    ids, vectors = np.asarray(ids), np.ascontiguousarray(vectors, np.float32)
    if ids.ndim != 1 or vectors.shape != (len(ids), dim):
        raise InputError(f"index: ids {ids.shape} with vectors {vectors.shape}; give (M,) and (M, {dim})")
    if len(ids) and (ids.dtype.kind not in "iu" or ids.min() < 0):
        raise InputError(f"index: ids of {ids.dtype} from {ids.min()}; give whole numbers from 0 on")
    if not np.isfinite(vectors).all():
        raise InputError(f"index: the vector of id {ids[~np.isfinite(vectors).all(axis=1)][0]} is not finite")
    unique, count = np.unique(ids, return_counts=True)
    twice = np.concatenate([unique[count > 1], np.intersect1d(unique, held)])
    if len(twice):
        raise InputError(f"index: id {twice[0]} comes twice; remove it before it is added anew")
    return ids.astype(np.int64), vectors


def checked_known(ids: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Ids (M,) int64, refused where one is not among `held`."""
    ids = np.asarray(ids)
    strange = np.setdiff1d(ids, held)
    if len(strange):
        raise InputError(f"index: holds no id {strange[0]}; it holds {len(held)}")
    return ids.astype(np.int64)


def checked_queries(queries: np.ndarray, k: int, dim: int) -> np.ndarray:
    """Queries (Q, dim) float32, refused where they do not fit."""
    queries = np.ascontiguousarray(queries, np.float32)
    if queries.ndim != 2 or queries.shape[1] != dim or not np.isfinite(queries).all():
        raise InputError(f"index: queries {queries.shape}; give finite rows (Q, {dim})")
    if k < 1:
        raise InputError(f"index: {k} answers asked for; ask for at least 1")
    return queries


def no_answers(n: int, k: int) -> Found:
    """Room for the answers to `n` queries."""
    return Found(np.full((n, k), NONE, np.int64), np.full((n, k), -np.inf, np.float32))


def _faiss():  # type: ignore[no-untyped-def]
    try:
        import faiss
    except ImportError as error:
        said = 'FAISS is not installed; pip install "geoloc[faiss]", or use the index "exact"'
        raise InputError(f'index "faiss": {said}') from error
    return faiss
