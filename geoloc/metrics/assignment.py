"""The one-to-one choice of the largest total weight among sparse edges."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

DENSE_LIMIT = 4_000_000  # entries of a dense table; larger components are solved as sparse ones
SMALL = 100  # edges that are solved as they are: cutting them up takes longer


def assign(rows: np.ndarray, cols: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Which edges (E,) between `rows` and `cols` (E,) int form the best one-to-one choice: (E,) bool.

    Maximises the sum of `weight` (E,); an edge of weight 0 or less is never chosen, a row or column may stay
    alone. An edge comes once. Edges that no optimum can do without are taken first, the rest is cut into
    connected components, so that a whole recording may be given as one graph with a row a detection.
    """
    chosen = np.zeros(len(weight), dtype=bool)
    left = np.flatnonzero(weight > 0)
    while len(left) > SMALL:
        sure = _dominant(rows[left], cols[left], weight[left])
        taken = left[sure]
        if not len(taken):
            break
        chosen[taken] = True
        left = left[~(np.isin(rows[left], rows[taken]) | np.isin(cols[left], cols[taken]))]
    for edges in _components(rows, cols, left):
        chosen[edges[_solve(rows[edges], cols[edges], weight[edges])]] = True
    return chosen


def assign_most(rows: np.ndarray, cols: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """As `assign`, but first as many edges as possible, then the largest sum of `similarity` in [0, 1]."""
    chosen = (_degree(rows) == 1) & (_degree(cols) == 1)
    for edges in _components(rows, cols, np.flatnonzero(~chosen)):
        # one more edge outweighs all the similarities that a component can hold
        size = min(len(np.unique(rows[edges])), len(np.unique(cols[edges])))
        chosen[edges[_solve(rows[edges], cols[edges], similarity[edges] + 2.0 * size)]] = True
    return chosen


def _dominant(rows: np.ndarray, cols: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Edges that outweigh their row's and their column's next best together: every optimum holds them."""
    return weight > _best_other(rows, weight) + _best_other(cols, weight)


def _degree(nodes: np.ndarray) -> np.ndarray:
    """How many edges the node of each edge has: (E,)."""
    return np.bincount(nodes)[nodes] if len(nodes) else np.empty(0, dtype=int)


def _best_other(nodes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Largest weight among the other edges of each edge's node, 0 where there is none: (E,)."""
    n = int(nodes.max()) + 1
    first = np.zeros(n)
    np.maximum.at(first, nodes, weight)
    top = weight == first[nodes]
    second = np.zeros(n)
    np.maximum.at(second, nodes[~top], weight[~top])
    second = np.where(np.bincount(nodes[top], minlength=n) > 1, first, second)
    return np.where(top, second[nodes], first[nodes])


def _components(rows: np.ndarray, cols: np.ndarray, edges: np.ndarray) -> list[np.ndarray]:
    """The `edges` (indices) grouped by connected component."""
    if len(edges) <= SMALL:
        return [edges] if len(edges) else []
    row_names, row = np.unique(rows[edges], return_inverse=True)
    col_names, col = np.unique(cols[edges], return_inverse=True)
    n = len(row_names) + len(col_names)
    graph = coo_array((np.ones(len(edges)), (row, col + len(row_names))), shape=(n, n))
    _, label = connected_components(graph, directed=False)
    order = np.argsort(label[row], kind="stable")
    cuts = np.flatnonzero(np.diff(label[row][order])) + 1
    return np.split(edges[order], cuts)


def _solve(rows: np.ndarray, cols: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Which edges of one component (all weights > 0) are the best: (E,) bool."""
    if len(weight) == 1:
        return np.ones(1, dtype=bool)
    row_names, row = np.unique(rows, return_inverse=True)
    col_names, col = np.unique(cols, return_inverse=True)
    shape = len(row_names), len(col_names)
    solve = _solve_dense if shape[0] * shape[1] <= DENSE_LIMIT else _solve_sparse
    row_taken, col_taken = solve(row, col, weight, shape)
    partner = np.full(shape[0], -1)
    partner[row_taken] = col_taken
    return partner[row] == col


def _solve_dense(
    row: np.ndarray, col: np.ndarray, weight: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    table = np.zeros(shape)
    table[row, col] = weight
    row_taken, col_taken = linear_sum_assignment(table, maximize=True)
    return row_taken, col_taken


def _solve_sparse(
    row: np.ndarray, col: np.ndarray, weight: np.ndarray, shape: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    n, m = shape
    top = weight.max() + 1.0  # costs must not be zero, which would mean "no edge"
    costs = np.concatenate([top - weight, np.full(n, top)])  # a column of its own lets each row stay alone
    edges = np.concatenate([row, np.arange(n)]), np.concatenate([col, m + np.arange(n)])
    row_taken, col_taken = min_weight_full_bipartite_matching(csr_array((costs, edges), shape=(n, m + n)))
    return row_taken, col_taken
