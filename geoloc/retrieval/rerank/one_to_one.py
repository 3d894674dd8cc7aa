"""Which of many beginnings continues which of many ends: one matching over a whole recording.

A set of chains through tracklets, each of which goes on in at most one other, that has the largest sum of
log-odds is a matching of ends with beginnings (the path cover of a graph without cycles; Fulkerson, 1956): a
min-cost flow of unit capacities, solved exactly.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

ROUNDS = 20  # of the marginals, at most
SETTLED = 1e-3


def best_matching(end: np.ndarray, begin: np.ndarray, odds: np.ndarray, n: int) -> np.ndarray:
    """Which edges (E,) bool the matching of the largest sum takes, of edges end -> begin among n of each.

    An end that is left alone, and so a beginning, weighs 0: edges of odds below that are never taken.
    """
    chosen = np.zeros(len(odds), dtype=bool)
    use = np.flatnonzero(odds > 0)
    if not len(use):
        return chosen
    ends, row = np.unique(end[use], return_inverse=True)
    begins, column = np.unique(begin[use], return_inverse=True)
    alone = np.arange(len(ends))
    # costs must not be 0: all of a row's are raised alike, which changes no choice
    cost = odds[use].max() + 1.0 - np.append(odds[use], np.zeros(len(ends)))
    where = np.append(row, alone), np.append(column, len(begins) + alone)
    matched = min_weight_full_bipartite_matching(coo_array((cost, where)).tocsr())[1]
    chosen[use] = matched[row] == column
    return chosen


def link_probabilities(end: np.ndarray, begin: np.ndarray, odds: np.ndarray, n: int) -> np.ndarray:
    """Probability (E,) of each edge over all matchings, by belief propagation (Williams and Lau, 2014)."""
    weight = np.exp(np.clip(odds, -50.0, 50.0))
    to_end = np.ones(len(odds))
    for _ in range(ROUNDS):
        offered = weight * to_end
        to_begin = weight / (1.0 + np.maximum(np.bincount(end, offered, n)[end] - offered, 0.0))
        rivals = np.maximum(np.bincount(begin, to_begin, n)[begin] - to_begin, 0.0)
        before, to_end = to_end, 1.0 / (1.0 + rivals)
        if np.abs(to_end - before).max(initial=0.0) < SETTLED:
            break
    offered = weight * to_end
    return offered / (1.0 + np.bincount(end, offered, n)[end])
