"""Vectors moved towards their nearest rows: query expansion, and the same of the rows themselves.

With alpha 0 all neighbours count alike (Chum et al. 2007); with alpha > 0 each by its similarity to that power
(Radenović, Tolias and Chum 2018, alpha-weighted query expansion); of rows it is database-side augmentation
(Arandjelović and Zisserman 2012; Gordo et al. 2017).
"""

import numpy as np

from geoloc.errors import InputError
from geoloc.retrieval.rerank.neighbours import BLOCK_BYTES, checked_vectors
from geoloc.retrieval.rows import NONE


def expand_queries(queries: np.ndarray, rows: np.ndarray, near: np.ndarray, alpha: float = 3.0) -> np.ndarray:
    """Unit queries (Q, D) plus their nearest unit rows, weighted by similarity^alpha: unit vectors (Q, D) float32.

    `near` (Q, n) int: the rows of `rows` (N, D) that a search of the queries gave, -1 for none; a row that is
    dissimilar (below 0) counts nothing unless alpha is 0. An empty list leaves its query as it is.
    """
    queries, rows, near = checked_vectors(queries, "queries"), checked_vectors(rows, "rows"), np.asarray(near)
    if near.ndim != 2 or len(near) != len(queries) or queries.shape[1] != rows.shape[1]:
        raise InputError(f"expansion: queries {queries.shape}, rows {rows.shape}, near {near.shape}; give (Q, n)")
    out = np.empty_like(queries)
    step = max(1, int(BLOCK_BYTES / (4 * max(near.shape[1] * rows.shape[1], 1))))
    for start in range(0, len(queries), step):
        block, there = queries[start : start + step], near[start : start + step] != NONE
        found = rows[np.where(there, near[start : start + step], 0)] if len(rows) else rows.reshape(0, 0, len(rows.T))
        weight = np.maximum(np.einsum("qd,qnd->qn", block, found), 0.0) ** alpha if alpha else np.ones(there.shape)
        out[start : start + step] = block + np.einsum("qn,qnd->qd", weight * there, found)
    return unit_rows(out)


def augment_rows(rows: np.ndarray, near: np.ndarray, alpha: float = 3.0) -> np.ndarray:
    """Unit rows (N, D) replaced by the weighted mean of themselves and their nearest `near` (N, n): unit (N, D).

    A row that stands in its own list counts once.
    """
    near = np.asarray(near)
    own = near == np.arange(len(near))[:, None]
    return expand_queries(rows, rows, np.where(own, NONE, near), alpha)


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors (N, D) float32 of unit length; zeros stay."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0), np.float32)
