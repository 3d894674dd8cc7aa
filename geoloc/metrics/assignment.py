"""The one-to-one choice of the largest total weight among sparse edges."""

import itertools

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from geoloc.metrics.numbering import numbered

DENSE_LIMIT = 4_000_000  # entries of a dense table; larger components are solved as sparse ones
SMALL = 50  # edges that are solved as they are: cutting them up takes longer
TRIED = 4  # rows or columns up to which all ways to choose are tried, in all components of one shape at once


def assign(rows: np.ndarray, cols: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Which edges (E,) between `rows` and `cols` (E,) int form the best one-to-one choice: (E,) bool.

    Maximises the sum of `weight` (E,); an edge of weight 0 or less is never chosen, a row or column may stay
    alone. An edge comes once. Edges that no optimum can do without are taken first, the rest is cut into
    connected components, so that a whole recording may be given as one graph with a row a detection.
    """
    chosen = np.zeros(len(weight), dtype=bool)
    left = np.flatnonzero(weight > 0)
    n_taken = len(left)
    while len(left) > SMALL and n_taken > 0.1 * len(left):
        sure = _dominant(rows[left], cols[left], weight[left])
        taken = left[sure]
        chosen[taken] = True
        n_taken = len(taken)
        left = left[~(among(rows[left], rows[taken]) | among(cols[left], cols[taken]))]
    chosen[left[_solve_all(rows[left], cols[left], weight[left], most=False)]] = True
    return chosen


def assign_most(rows: np.ndarray, cols: np.ndarray, similarity: np.ndarray) -> np.ndarray:
    """As `assign`, but first as many edges as possible, then the largest sum of `similarity` in [0, 1]."""
    chosen = alone(rows, cols)
    left = np.flatnonzero(~chosen)
    chosen[left[_solve_all(rows[left], cols[left], similarity[left], most=True)]] = True
    return chosen


def alone(rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Edges (E,) whose row and column have no other edge: (E,) bool."""
    if not len(rows):
        return np.zeros(0, dtype=bool)
    return (np.bincount(rows)[rows] == 1) & (np.bincount(cols)[cols] == 1)


def _dominant(rows: np.ndarray, cols: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Edges that outweigh their row's and their column's next best together: every optimum holds them."""
    return weight > _best_other(rows, weight) + _best_other(cols, weight)


def _best_other(nodes: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Largest weight among the other edges of each edge's node, 0 where there is none: (E,)."""
    n = int(nodes.max()) + 1
    first = np.zeros(n)
    np.maximum.at(first, nodes, weight)
    top = weight == first[nodes]
    others = np.flatnonzero(~top)
    second = np.zeros(n)
    np.maximum.at(second, nodes[others], weight[others])
    second = np.where(np.bincount(nodes[top], minlength=n) > 1, first, second)
    return np.where(top, second[nodes], first[nodes])


def among(nodes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Which `nodes` (E,) are among those `taken`: (E,) bool."""
    there = np.zeros(int(nodes.max(initial=-1)) + 1, dtype=bool)
    there[taken] = True
    return there[nodes]


def _solve_all(rows: np.ndarray, cols: np.ndarray, weight: np.ndarray, most: bool) -> np.ndarray:
    """Which edges are the best, component by component: (E,) bool. Weights > 0, or in [0, 1] with `most`."""
    if len(weight) < 2:
        return np.ones(len(weight), dtype=bool)
    row_names, row = numbered(rows)
    col_names, col = numbered(cols)
    n_rows, n_cols = len(row_names), len(col_names)
    if len(weight) <= SMALL:
        return _solve(row, col, weight + 2.0 * min(n_rows, n_cols) * most, (n_rows, n_cols))
    graph = coo_array((np.ones(len(row)), (row, col + n_rows)), shape=(n_rows + n_cols,) * 2)
    _, label = connected_components(graph, directed=False)
    row_place, heights = _places(label[:n_rows])
    col_place, widths = _places(label[n_rows:])
    part = label[row]
    if most:  # one more edge outweighs all the similarities that its component can hold
        weight = weight + 2.0 * np.minimum(heights, widths)[part]
    return _by_shape(row_place[row], col_place[col], weight, part, heights, widths)


def _places(label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each node within its component (N,), and how many of them each component has (C,)."""
    size = np.bincount(label)
    order = np.argsort(label, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(label)) - np.repeat(np.cumsum(size) - size, size)
    return place, size


def _by_shape(
    row: np.ndarray, col: np.ndarray, weight: np.ndarray, part: np.ndarray, heights: np.ndarray, widths: np.ndarray
) -> np.ndarray:
    """Which edges are the best in each component `part` (E,) of `heights` (C,) rows and `widths` (C,) columns."""
    chosen = np.zeros(len(weight), dtype=bool)
    height, width = heights[part], widths[part]
    for n, m in itertools.product(range(1, TRIED + 1), repeat=2):
        edges = np.flatnonzero((height == n) & (width == m))
        if len(edges):
            chosen[edges] = _try_all(row[edges], col[edges], weight[edges], part[edges], (n, m))
    large = np.flatnonzero(np.maximum(height, width) > TRIED)
    large = large[np.argsort(part[large], kind="stable")]
    for edges in np.split(large, np.flatnonzero(np.diff(part[large])) + 1) if len(large) else []:
        shape = int(height[edges[0]]), int(width[edges[0]])
        chosen[edges] = _solve(row[edges], col[edges], weight[edges], shape)
    return chosen


def _try_all(
    row: np.ndarray, col: np.ndarray, weight: np.ndarray, part: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Which edges (E,) are the best in many components of one small shape."""
    if shape[0] > shape[1]:
        return _try_all(col, row, weight, part, (shape[1], shape[0]))
    names, number = numbered(part)
    table = np.zeros((len(names), *shape))
    table[number, row, col] = weight
    ways = np.array(list(itertools.permutations(range(shape[1]), shape[0])))
    best = ways[table[:, np.arange(shape[0]), ways].sum(axis=-1).argmax(axis=1)]
    return best[number, row] == col


def _solve(row: np.ndarray, col: np.ndarray, weight: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which edges of a graph of `shape` nodes (all weights > 0) are the best: (E,) bool."""
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
