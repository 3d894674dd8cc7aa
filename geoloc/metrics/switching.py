"""The best one-to-one choice at every step of time, where changing it costs: a linear programme, solved exactly."""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
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
    weight, changes, whole = np.ones(len(gain)), np.zeros(n_steps), True
    order = np.lexsort([steps, cols, rows])
    for edges in _together(rows[order], cols[order]):
        some = order[edges]
        runs = _runs(rows[some], cols[some], steps[some], gain[some], n_steps, switch)
        if len(runs.row) == 1:
            continue  # nobody else wants either: together for good
        found = _solve(runs, gain[some], switch)
        weight[some] = found[runs.of_edge]
        np.add.at(changes, runs.change_step, np.abs(found[runs.before + 1] - found[runs.before]))
        whole &= bool(np.isin(found, (0.0, 1.0)).all())
    return SwitchingPlan(weight, changes, whole)


def _together(rows: np.ndarray, cols: np.ndarray) -> list[np.ndarray]:
    """The edges (indices, in order) grouped by connected component of the graph of rows and columns."""
    if not len(rows):
        return []
    n, m = int(rows.max()) + 1, int(cols.max()) + 1
    graph = coo_array((np.ones(len(rows)), (rows, n + cols)), shape=(n + m, n + m))
    label = connected_components(graph, directed=False)[1][rows]
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1)


@dataclass(frozen=True, eq=False)
class _Runs:
    """The steps of each pair in runs of one weight, numbered pair after pair; C changes between them.

    `row`, `col` (P,) count from 0, `of_edge` (E,) is the edge's run. Change c lies at the begin of step
    `change_step` (C,) between the runs `before` (C,) and before + 1 of `change_pair` (C,), sorted by pair and
    step; `up` and `down` (C,) bool say which way it may go.
    """

    row: np.ndarray
    col: np.ndarray
    of_edge: np.ndarray
    change_pair: np.ndarray
    change_step: np.ndarray
    before: np.ndarray
    up: np.ndarray
    down: np.ndarray


def _runs(
    rows: np.ndarray, cols: np.ndarray, steps: np.ndarray, gain: np.ndarray, n_steps: int, switch: float
) -> _Runs:
    """Runs of edges that are sorted by pair and step."""
    begins = np.diff(rows, prepend=-1).astype(bool) | np.diff(cols, prepend=-1).astype(bool)
    pair = np.cumsum(begins) - 1
    rises, drops = _worthwhile(pair, gain, switch)
    # a weight rises where its gain sets in and drops where it ends; the ends of the recording are free
    up = (pair * n_steps + steps)[rises & (steps > 0)]
    down = (pair * n_steps + steps + 1)[drops & (steps < n_steps - 1)]
    changes = np.union1d(up, down)
    change_pair, change_step = np.divmod(changes, n_steps)
    return _Runs(
        np.unique(rows[begins], return_inverse=True)[1],
        np.unique(cols[begins], return_inverse=True)[1],
        pair + np.searchsorted(changes, pair * n_steps + steps, "right"),
        change_pair,
        change_step,
        np.arange(len(changes)) + change_pair,
        np.isin(changes, up),
        np.isin(changes, down),
    )


def _worthwhile(pair: np.ndarray, gain: np.ndarray, switch: float) -> tuple[np.ndarray, np.ndarray]:
    """Edges before which some optimum may need the pair's weight to rise, and after which to drop: (E,) bool.

    Weights over time are sums of intervals of constant weight. An interval earns its gain less `switch` for
    each end inside the recording; one that earns nothing can be taken out, which frees its row and column,
    and so can steps without gain at its ends. So a weight drops only after an edge at which some interval
    that earns something ends, and rises likewise. Elsewhere steps share a variable and the optimum stays.
    """
    rises = _best_ending(pair[::-1], gain[::-1], switch)[::-1] > switch
    return rises, _best_ending(pair, gain, switch) > switch


def _best_ending(pair: np.ndarray, gain: np.ndarray, switch: float) -> np.ndarray:
    """Most that an interval of the pair ending at each edge earns before its end is paid (Kadane): (E,)."""
    best = gain.copy()
    place = np.flatnonzero(np.diff(pair, prepend=pair[0] - 1))  # of each pair's edge that is in turn
    while len(place := place[place + 1 < len(pair)]):
        place = place[pair[place + 1] == pair[place]] + 1
        best[place] += np.maximum(best[place - 1], -switch)
    return best


def _solve(runs: _Runs, gain: np.ndarray, switch: float) -> np.ndarray:
    """The weight of each run."""
    n_runs = len(runs.row) + len(runs.before)
    changes = _changes(runs, n_runs)
    earned = np.full(changes.shape[1], -switch)
    earned[:n_runs] = np.bincount(runs.of_edge, gain, n_runs)
    weight = _maximum(earned, _limits(runs, changes.shape[1]), changes)[:n_runs]
    whole = np.round(weight)
    return np.where(np.abs(weight - whole) < INTEGRAL, whole, np.clip(weight, 0.0, 1.0))


def _changes(runs: _Runs, n_runs: int) -> csr_array:
    """Equations weight after - weight before - rise + drop = 0 over the weights of runs, rises and drops."""
    n, up, down = len(runs.before), np.flatnonzero(runs.up), np.flatnonzero(runs.down)
    line = np.concatenate([np.arange(n), np.arange(n), up, down])
    moves = n_runs + np.arange(len(up) + len(down))
    column = np.concatenate([runs.before + 1, runs.before, moves])
    value = np.repeat([1.0, -1.0, -1.0, 1.0], [n, n, len(up), len(down)])
    return csr_array((value, (line, column)), shape=(n, n_runs + len(moves)))


def _limits(runs: _Runs, n_unknowns: int) -> csr_array:
    """Sums of weights that are at most 1: of each row and column, at the begin and wherever a pair of it changes."""
    length = int(runs.change_step.max(initial=0)) + 1
    changes = runs.change_pair * length + runs.change_step
    sums = list[np.ndarray]()
    for side in (runs.row, runs.col):
        for name in range(int(side.max()) + 1):
            pairs = np.flatnonzero(side == name)
            at = np.union1d(runs.change_step[side[runs.change_pair] == name], 0)
            sums += list(pairs + np.searchsorted(changes, pairs * length + at[:, None], "right"))
    starts = np.cumsum([0, *map(len, sums)])
    column = np.concatenate(sums)
    return csr_array((np.ones(len(column)), column, starts), shape=(len(sums), n_unknowns))


def _maximum(earned: np.ndarray, limits: csr_array, changes: csr_array) -> np.ndarray:
    """The x >= 0 (V,) that makes earned x largest, with limits x at most 1 and changes x = 0."""
    from scipy.optimize import linprog

    equal = {"A_eq": changes, "b_eq": np.zeros(changes.shape[0])}
    most = {"A_ub": limits, "b_ub": np.ones(limits.shape[0])}
    found = linprog(-earned, **most, **equal, method="highs-ds", options=TOLERANCES)
    if not found.success:
        raise GeometryError(f"an assignment over time of {len(earned)} unknowns was not found: {found.message}")
    return found.x
