"""Similarity that spreads over the graph of mutual neighbours: rows that are alike through others come nearer.

Iscen, Tolias, Avrithis, Furon and Chum 2017, "Efficient diffusion on region manifolds": (I - alpha S) f = y solved by
conjugate gradients, S the symmetrically normalised affinities of mutual neighbours, y a query's own nearest rows.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, eye_array

from geoloc.errors import GeometryError, InputError
from geoloc.options import check_range
from geoloc.retrieval.rerank.neighbours import Neighbours, known

RTOL = 1e-7  # of the solution, where rankings no longer change
MOST_STEPS = 1000
BLOCK = 64  # queries that are solved side by side


@dataclass(frozen=True)
class DiffusionOptions:
    """Settings of diffusion; the defaults are the paper's, of whole images."""

    k: int = 50  # neighbours of a row on the graph
    k_query: int = 10  # rows that a query starts from
    alpha: float = 0.99  # share that goes on to neighbours
    power: float = 3.0  # of the similarities

    def __post_init__(self) -> None:
        check_range(self, k=(1, 100_000), k_query=(1, 100_000), alpha=(0, 0.999999), power=(0.1, 100))


def affinity_graph(lists: Neighbours, options: DiffusionOptions | None = None) -> csr_array:
    """Normalised affinities S (N, N) of unit rows by their `lists` among themselves, at least `options.k` + 1 long."""
    options = options or DiffusionOptions()
    lists = lists.first(options.k + 1)
    there = known(lists) & (lists.rows != np.arange(len(lists))[:, None])
    row = np.nonzero(there)[0]
    affinity = _affinities(lists.distance[there], options.power)
    graph = csr_array((affinity, (row, lists.rows[there])), (len(lists), len(lists)))
    mutual = graph.minimum(graph.T)  # both are one number where both rows list each other
    degree = np.asarray(mutual.sum(axis=1)).ravel()
    scale = np.divide(1.0, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0)
    row = np.repeat(np.arange(len(lists)), np.diff(mutual.indptr))
    return csr_array((mutual.data * scale[row] * scale[mutual.indices], mutual.indices, mutual.indptr), mutual.shape)


def diffuse(graph: csr_array, found: Neighbours, options: DiffusionOptions | None = None) -> np.ndarray:
    """Scores (Q, N) of rows by their `affinity_graph` and the queries' nearest rows `found` (Q, k).

    GeometryError where the equations do not converge.
    """
    options = options or DiffusionOptions()
    found = found.first(options.k_query)
    there = known(found)
    if found.rows.max(initial=-1) >= graph.shape[0]:
        raise InputError(f"diffusion: row {found.rows.max()} was found; the graph has {graph.shape[0]}")
    start = np.zeros((len(found), graph.shape[0]))
    query = np.nonzero(there)[0]
    start[query, found.rows[there]] = _affinities(found.distance[there], options.power)
    system = csr_array(eye_array(graph.shape[0], format="csr") - options.alpha * graph)
    blocks = [_solved(system, start[first : first + BLOCK].T, options.alpha) for first in range(0, len(start), BLOCK)]
    return np.concatenate([block.T for block in blocks]) if blocks else start


def _solved(system: csr_array, right: np.ndarray, alpha: float) -> np.ndarray:
    """Solutions (N, q) for right sides (N, q) by conjugate gradients (Hestenes and Stiefel 1952), side by side."""
    x, left, step = np.zeros_like(right), right.copy(), right.copy()
    size = np.einsum("nq,nq->q", left, left)
    enough = RTOL**2 * size
    for _ in range(MOST_STEPS):
        if (size <= enough).all():
            return x
        moved = system @ step
        along = np.einsum("nq,nq->q", step, moved)
        length = np.divide(size, along, out=np.zeros_like(size), where=along > 0)
        x += length * step
        left -= length * moved
        before, size = size, np.einsum("nq,nq->q", left, left)
        step = left + np.divide(size, before, out=np.zeros_like(size), where=before > 0) * step
    raise GeometryError(f"diffusion: {MOST_STEPS} steps did not settle it; set alpha below {alpha}")


def _affinities(distance: np.ndarray, power: float) -> np.ndarray:
    """Of squared distances between unit vectors."""
    return np.asarray(np.maximum(1.0 - 0.5 * distance.astype(float), 0.0) ** power)
