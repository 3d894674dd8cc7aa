"""The best one-to-one choice at every step of time, where changing it costs: a linear programme, solved exactly."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from geoloc.errors import GeometryError

INTEGRAL = 1e-6  # HiGHS keeps to its bounds within 1e-10; nearer to a whole number than this is that number
TOLERANCES = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}


@dataclass(frozen=True, eq=False)
class SwitchingPlan:
    """`weight` (E,) in [0, 1] of each edge, and `changes` (T,): the sum of |change of weight| into each step.

    `whole`: no weight is split, at steps without an edge neither.
    """

    weight: np.ndarray
    changes: np.ndarray
    whole: bool


def assign_with_switching(
    rows: np.ndarray, cols: np.ndarray, steps: np.ndarray, gain: np.ndarray, n_steps: int, switch: float
) -> SwitchingPlan:
    """Maximises sum gain w - switch * sum |w(t) - w(t - 1)| over weights w of (row, col) at each of T steps.

    At a step the weights of a row, and those of a column, are at least 0 and sum to at most 1. Edges (E,) of
    `rows`, `cols`, `steps` int and `gain` > 0 each come once; pairs gain nothing at steps without an edge.
    Pairs that are joined by no row or column are solved apart. GeometryError if HiGHS finds no optimum.
    """
    width = int(cols.max(initial=0)) + 1
    weight, changes, whole = np.ones(len(gain)), np.zeros(n_steps), True
    for edges in _together(rows, cols):
        names, pair = np.unique(rows[edges] * width + cols[edges], return_inverse=True)
        if len(names) == 1:
            continue  # nobody else wants either: together for good
        table = np.zeros((len(names), n_steps))
        table[pair, steps[edges]] = gain[edges]
        chosen = _solve(names // width, names % width, table, switch)
        weight[edges] = chosen[pair, steps[edges]]
        changes[1:] += np.abs(np.diff(chosen, axis=1)).sum(axis=0)
        whole &= bool(np.isin(chosen, (0.0, 1.0)).all())
    return SwitchingPlan(weight, changes, whole)


def _together(rows: np.ndarray, cols: np.ndarray) -> list[np.ndarray]:
    """The edges (indices) grouped by connected component of the graph of rows and columns."""
    if not len(rows):
        return []
    n, m = int(rows.max()) + 1, int(cols.max()) + 1
    graph = coo_array((np.ones(len(rows)), (rows, n + cols)), shape=(n + m, n + m))
    label = connected_components(graph, directed=False)[1][rows]
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


def _solve(row: np.ndarray, col: np.ndarray, gain: np.ndarray, switch: float) -> np.ndarray:
    """Weights (P, T) of the pairs (P,) of one component with their `gain` (P, T)."""
    rises, drops = _worthwhile(gain, switch)
    starts = np.ones(gain.shape, dtype=bool)
    starts[:, 1:] = rises | drops
    run = (np.cumsum(starts) - 1).reshape(gain.shape)  # a variable for each run of steps of one pair
    changes = _changes(run, rises, drops)
    earned = np.zeros(changes.shape[1])
    n_runs = int(run[-1, -1]) + 1
    earned[:n_runs] = np.bincount(run.ravel(), gain.ravel(), n_runs)
    earned[n_runs:] = -switch
    weight = _maximum(earned, _limits(run, row, col), changes)[:n_runs]
    whole = np.round(weight)
    return np.where(np.abs(weight - whole) < INTEGRAL, whole, np.clip(weight, 0.0, 1.0))[run]


def _maximum(earned: np.ndarray, limits: coo_array, changes: coo_array) -> np.ndarray:
    """The x >= 0 (V,) that makes earned x largest, with limits x at most 1 and changes x = 0."""
    from scipy.optimize import linprog

    n_limits, n_changes = limits.shape[0], changes.shape[0]
    limits = coo_array((limits.data, limits.coords), shape=(n_limits, len(earned)))
    equal = {"A_eq": changes.tocsr(), "b_eq": np.zeros(n_changes)}
    most = {"A_ub": limits.tocsr(), "b_ub": np.ones(n_limits)}
    found = linprog(-earned, **most, **equal, method="highs-ds", options=TOLERANCES)
    if not found.success:
        raise GeometryError(f"an assignment over time of {len(earned)} unknowns was not found: {found.message}")
    return found.x


def _worthwhile(gain: np.ndarray, switch: float) -> tuple[np.ndarray, np.ndarray]:
    """Where some optimum may need a pair's weight to rise, and to drop, between steps: two (P, T - 1) bool.

    Weights over time are sums of intervals of constant weight. An interval earns its gain less `switch` for
    each end inside the recording; one that earns nothing can be taken out, which frees its row and column.
    So a weight drops after step t only where the best interval that ends there earns something, and has its
    last gain at t; and rises likewise. Elsewhere the steps are one variable and the optimum stays the same.
    """
    drops = (_best_ending(gain, switch)[:, :-1] > switch) & (gain[:, :-1] > 0)
    rises = (_best_ending(gain[:, ::-1], switch)[:, -2::-1] > switch) & (gain[:, 1:] > 0)
    return rises, drops


def _best_ending(gain: np.ndarray, switch: float) -> np.ndarray:
    """Most that an interval ending at each step earns before its end is paid (Kadane): (P, T)."""
    best = gain.copy()
    for t in range(1, gain.shape[1]):
        best[:, t] += np.maximum(best[:, t - 1], -switch)
    return best


def _changes(run: np.ndarray, rises: np.ndarray, drops: np.ndarray) -> coo_array:
    """Equations weight(later run) - weight(earlier run) - rise + drop = 0 over (runs, rises, drops)."""
    pair, step = np.nonzero(rises | drops)
    up, down = np.flatnonzero(rises[pair, step]), np.flatnonzero(drops[pair, step])
    n, n_runs = len(pair), int(run[-1, -1]) + 1
    line = np.concatenate([np.arange(n), np.arange(n), up, down])
    moves = n_runs + np.arange(len(up) + len(down))
    where = np.concatenate([run[pair, step + 1], run[pair, step], moves])
    value = np.repeat([1.0, -1.0, -1.0, 1.0], [n, n, len(up), len(down)])
    return coo_array((value, (line, where)), shape=(n, n_runs + len(moves)))


def _limits(run: np.ndarray, row: np.ndarray, col: np.ndarray) -> coo_array:
    """Sums of runs that are at most 1: of each row and column, at each step at which they are others than before."""
    lines, runs, n = list[np.ndarray](), list[np.ndarray](), 0
    for side in (row, col):
        for name in np.unique(side):
            mine = run[side == name]
            differs = np.ones(run.shape[1], dtype=bool)
            differs[1:] = (mine[:, 1:] != mine[:, :-1]).any(axis=0)
            mine = mine[:, differs]
            lines.append(np.broadcast_to(n + np.arange(mine.shape[1]), mine.shape).ravel())
            runs.append(mine.ravel())
            n += mine.shape[1]
    at = np.concatenate(lines), np.concatenate(runs)
    return coo_array((np.ones(len(at[0])), at), shape=(n, int(run[-1, -1]) + 1))
