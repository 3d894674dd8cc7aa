"""k-reciprocal re-ranking in bounded memory: two rows are alike that have the same mutual neighbours.

Zhong, Zheng, Cao and Li 2017, "Re-ranking person re-identification with k-reciprocal encoding". Their published
program holds matrices of all against all; here each row keeps the few entries of its encoding, and the answer is the
same: final distance = share * original + (1 - share) * Jaccard's.

    for rows, distance in reciprocal_blocks(queries, gallery):  # (q, N) for some queries at a time
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array, csr_array

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.retrieval.rerank.neighbours import (
    Neighbours,
    checked_vectors,
    distance_blocks,
    known,
    listed_distances,
    nearest_rows,
)

EXTRA = 3  # times k1
SIMILAR = 2.0 / 3.0  # of a neighbour's own mutual neighbours that must be shared before they join (eq. 4)


@dataclass(frozen=True)
class ReciprocalOptions:
    """Settings of k-reciprocal re-ranking; the defaults are the paper's for Market-1501."""

    k1: int = 20  # neighbours that may be mutual
    k2: int = 6  # neighbours whose encodings are averaged, the row itself among them; 1: none
    share: float = 0.3  # of the original distance in the final one (lambda)

    def __post_init__(self) -> None:
        check_range(self, k1=(1, 10_000), k2=(1, 10_000), share=(0, 1))

    @property
    def depth(self) -> int:
        """How long lists have to be."""
        return max(self.k1 + 1, self.k2)

    @property
    def list_length(self) -> int:
        """How long lists had better be: distances in an encoding are then mostly found in them, not computed."""
        return max(EXTRA * self.k1, self.depth)


def reciprocal_blocks(
    queries: np.ndarray,
    rows: np.ndarray,
    options: ReciprocalOptions | None = None,
    lists: Neighbours | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Final distances (q, N) of `queries` (Q, D) to `rows` (N, D), some queries at a time: which, and they.

    As `reciprocal_blocks_among` of the queries and rows one after the other, as the published program has it.
    """
    queries, rows = checked_vectors(queries, "queries"), checked_vectors(rows, "rows")
    if queries.shape[1] != rows.shape[1]:
        raise InputError(f"k-reciprocal: queries {queries.shape}, rows {rows.shape}; give vectors of one length")
    both, n = np.concatenate([queries, rows]), len(queries)
    return reciprocal_blocks_among(both, slice(0, n), slice(n, None), options, lists)


def reciprocal_blocks_among(
    vectors: np.ndarray,
    asked: np.ndarray | slice,
    held: np.ndarray | slice,
    options: ReciprocalOptions | None = None,
    lists: Neighbours | None = None,
) -> Iterator[tuple[slice, np.ndarray]]:
    """Final distances (q, N) of the vectors `asked` (Q,) to the vectors `held` (N,), rows of all `vectors` (M, D).

    A slice in place of row numbers spares a copy. Original distances are squared Euclidean ones over the largest of
    the query's to all, as in the published program. `lists`: neighbours of all vectors among themselves, itself
    first; made exactly unless given, at least `options.depth` long.
    """
    options, vectors = options or ReciprocalOptions(), checked_vectors(vectors, "vectors")
    lists = lists or nearest_rows(vectors, vectors, options.list_length)
    encoding = reciprocal_encoding(vectors, lists, options)
    encoded, columns = encoding[asked], csc_array(encoding[held])
    del encoding
    farthest = _positive(lists.farthest)[asked]
    for block, distance in distance_blocks(vectors[asked], vectors[held]):
        distance *= (options.share / farthest[block])[:, None]
        distance += (1.0 - options.share) * jaccard_distances(encoded[block], columns)
        yield block, distance


def reciprocal_encoding(
    vectors: np.ndarray, lists: Neighbours, options: ReciprocalOptions | None = None
) -> csr_array:
    """Encodings (N, N) float32 of vectors (N, D) by their `lists`: row i holds its weights of its mutual neighbours."""
    options = options or ReciprocalOptions()
    if len(lists) != len(vectors) or lists.rows.shape[1] < min(options.depth, len(vectors)):
        asked = f"({len(vectors)}, {options.depth}) and longer"
        raise InputError(f"k-reciprocal: {len(vectors)} vectors with lists {lists.rows.shape}; give {asked}")
    pattern = _mutual_and_theirs(lists, options.k1)
    row = np.repeat(np.arange(len(vectors)), np.diff(pattern.indptr))
    distance = listed_distances(vectors, lists, row, pattern.indices)
    weight = np.exp(-distance / _positive(lists.farthest)[row])
    total = np.bincount(row, weight, len(vectors))
    shares = (weight / total[row]).astype(np.float32)
    encoding = csr_array((shares, pattern.indices, pattern.indptr), pattern.shape)
    return encoding if options.k2 == 1 else csr_array(_mean_over(lists, options.k2) @ encoding)


def jaccard_distances(asked: csr_array, held: csc_array) -> np.ndarray:
    """Generalised Jaccard distances (Q, N) float32 of encodings (Q, M) to encodings (N, M), both summing to 1 a row.

    1 - s / (2 - s) with s the sum of minima, which is over the entries that both have (eq. 10).
    """
    from geoloc.retrieval.kernels.encodings import sum_minima

    sums = np.zeros((asked.shape[0], held.shape[0]), np.float32)
    sum_minima(asked.indptr, asked.indices, asked.data, held.indptr, held.indices, held.data, sums)
    np.divide(sums, 2.0 - sums, out=sums)
    return np.subtract(1.0, sums, out=sums)


def _mutual_and_theirs(lists: Neighbours, k1: int) -> csr_array:
    """Pattern (N, N) of each row's mutual neighbours, and of those of its neighbours that are much alike to it."""
    mutual, closer = _mutual(lists, k1 + 1), _mutual(lists, int(np.around(k1 / 2)) + 1)
    size = np.diff(closer.indptr)
    shared = csr_array((mutual @ closer.T).multiply(mutual))  # how many of its mutual neighbours each of them has
    joins = shared.data > SIMILAR * size[shared.indices]
    row = np.repeat(np.arange(len(lists)), np.diff(shared.indptr))
    joining = csr_array((np.ones(int(joins.sum()), np.float32), (row[joins], shared.indices[joins])), shared.shape)
    pattern = csr_array(mutual + joining @ closer)
    pattern.sort_indices()
    return pattern


def _mutual(lists: Neighbours, k: int) -> csr_array:
    listed = _listed(lists, k)
    return csr_array(listed.multiply(listed.T))


def _mean_over(lists: Neighbours, k: int) -> csr_array:
    return csr_array(_listed(lists, k) / np.float32(k))


def _listed(lists: Neighbours, k: int) -> csr_array:
    """Ones (N, N) float32 at the first `k` of each list."""
    first = lists.first(k)
    there = known(first)
    row = np.repeat(np.arange(len(lists)), there.sum(axis=1))
    return csr_array((np.ones(len(row), np.float32), (row, first.rows[there])), (len(lists), len(lists)))


def _positive(farthest: np.ndarray) -> np.ndarray:
    """Where all rows are one, any scale of their distances will do."""
    return np.where(farthest > 0, farthest, np.float32(1.0))
