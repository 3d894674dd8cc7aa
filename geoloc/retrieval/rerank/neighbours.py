"""The nearest rows of each of many vectors, exactly and in bounded memory: what most re-ranking starts from.

    lists = nearest_rows(vectors, vectors, 30)  # each row's own place is the first of its list

Lists may come from any index too. `farthest` (N,) is the squared distance to the row that is farthest away, by which
k-reciprocal re-ranking measures; an index of inner products gives it of unit vectors as the nearest of -vector.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from geoloc.compiled import is_compiled
from geoloc.errors import InputError
from geoloc.retrieval.rows import NONE, best_columns

BLOCK_BYTES = 32e6  # of a block of scores
MANY = 4096  # rows from which on each pair is looked at once: loading numba takes a second
SQUARE = 2048  # rows and columns of distances at a time
GROUP = 32  # columns whose best stands for them while a row's threshold is found


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The K nearest of each of N vectors, nearest first, equals by row: `rows` (N, K) int32, -1 for none.

    `distance` (N, K) float32 is the squared Euclidean one, inf for none; `farthest` (N,) that of the farthest row.
    """

    rows: np.ndarray
    distance: np.ndarray
    farthest: np.ndarray

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or self.distance.shape != self.rows.shape or self.farthest.shape != self.rows.shape[:1]:
            shapes = f"{self.rows.shape}, distance {self.distance.shape}, farthest {self.farthest.shape}"
            raise InputError(f"neighbours: rows {shapes}; give (N, K), (N, K) and (N,)")

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, k: int) -> "Neighbours":
        """The lists cut to their first `k`."""
        return Neighbours(self.rows[:, :k], self.distance[:, :k], self.farthest)


def nearest_rows(queries: np.ndarray, rows: np.ndarray, k: int) -> Neighbours:
    """The `k` nearest of `rows` (N, D) to each of `queries` (Q, D), by squared distance; lists may be shorter.

    One matrix product a block, and of many rows asked for their own neighbours each pair but once; memory beyond the
    vectors and the answer is some 100 MB whatever N. InputError where a vector is not finite.
    """
    if k < 1:
        raise InputError(f"neighbours: {k} asked for; ask for at least 1")
    if queries is rows and len(rows) >= MANY and is_compiled():
        return _nearest_among(checked_vectors(rows, "rows"), k)
    parts = [(*_nearest(block, k), block.max(axis=1, initial=0.0)) for _, block in distance_blocks(queries, rows)]
    if not parts:
        none = np.zeros((0, min(k, len(rows))))
        return Neighbours(none.astype(np.int32), none.astype(np.float32), np.zeros(0, np.float32))
    return Neighbours(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def distance_blocks(queries: np.ndarray, rows: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Squared distances (q, N) float32 of `queries` (Q, D) to `rows` (N, D), some at a time: which, and they."""
    queries, rows = checked_vectors(queries, "queries"), checked_vectors(rows, "rows")
    if queries.shape[1] != rows.shape[1]:
        raise InputError(f"neighbours: queries {queries.shape}, rows {rows.shape}; give vectors of one length")
    length = np.einsum("nd,nd->n", rows, rows)
    step = max(1, int(BLOCK_BYTES / (4 * max(len(rows), 1))))
    for start in range(0, len(queries), step):
        block = queries[start : start + step]
        squared = block @ rows.T
        squared *= -2.0
        squared += length
        squared += np.einsum("nd,nd->n", block, block)[:, None]
        yield slice(start, start + len(block)), np.maximum(squared, 0.0, out=squared)


def checked_vectors(vectors: np.ndarray, what: str) -> np.ndarray:
    """Vectors (N, D) float32; InputError where they are none, or not finite."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2:
        raise InputError(f"{what}: vectors of shape {vectors.shape}; give (N, D)")
    if not np.isfinite(vectors).all():
        row = int(np.argmin(np.isfinite(vectors).all(axis=1)))
        raise InputError(f"{what}: the vector of row {row} is not finite; drop it or make it anew")
    return vectors


def _nearest(distance: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and values of the `k` smallest of distances (Q, N), as `best_columns` orders them."""
    n = distance.shape[1]
    if n <= GROUP * k:
        columns = best_columns(-distance, k)
        return columns.astype(np.int32), np.take_along_axis(distance, columns, axis=1)
    # at least k groups have one as near as the k-th nearest group's nearest: all that is farther cannot be in the list
    whole = n // GROUP * GROUP
    least = distance[:, :whole].reshape(len(distance), -1, GROUP).min(axis=2)
    limit = np.partition(least, k - 1, axis=1)[:, k - 1]
    query, column = np.nonzero(distance <= limit[:, None])
    value = distance[query, column]
    order = np.lexsort((column, value, query))
    first = np.searchsorted(query, np.arange(len(distance)))
    kept = order[first[:, None] + np.arange(k)]
    return column[kept].astype(np.int32), value[kept]


def _nearest_among(vectors: np.ndarray, k: int) -> Neighbours:
    """The `k` nearest of vectors (N, D) to each of them, square by square of the distances on one side."""
    from geoloc.retrieval.kernels.lists import put_square

    n, k = len(vectors), min(k, len(vectors))
    length = np.einsum("nd,nd->n", vectors, vectors)
    rows, values = np.full((n, k), NONE, np.int32), np.full((n, k), np.inf, np.float32)
    worst, farthest = np.full(n, np.inf, np.float32), np.zeros(n, np.float32)
    room = np.empty(SQUARE * SQUARE, np.float32)
    for first in range(0, n, SQUARE):
        some = vectors[first : first + SQUARE]
        for second in range(first, n, SQUARE):
            others = vectors[second : second + SQUARE]
            product = np.matmul(some, others.T, out=room[: len(some) * len(others)].reshape(len(some), -1))
            put_square(product, length, first, second, rows, values, worst, farthest)
    return Neighbours(rows, values, farthest)


def known(neighbours: Neighbours) -> np.ndarray:
    """Which places of the lists (N, K) hold a row."""
    return neighbours.rows != NONE


def listed_distances(vectors: np.ndarray, lists: Neighbours, row: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Squared distances (P,) of pairs of vectors (N, D): from the lists where they have them, else computed."""
    n, there = len(vectors), known(lists)
    listed = (np.arange(n)[:, None] * n + lists.rows)[there]
    order = np.argsort(listed)
    asked = row.astype(np.int64) * n + other
    place = np.minimum(np.searchsorted(listed, asked, sorter=order), len(listed) - 1)
    out = lists.distance[there][order[place]]
    missing = np.flatnonzero(listed[order[place]] != asked)
    step = max(1, int(BLOCK_BYTES / (8 * max(vectors.shape[1], 1))))
    for start in range(0, len(missing), step):
        pairs = missing[start : start + step]
        apart = vectors[row[pairs]] - vectors[other[pairs]]
        out[pairs] = np.einsum("pd,pd->p", apart, apart)
    return out
