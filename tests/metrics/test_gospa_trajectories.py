"""T-GOSPA against its authors' program, its published linear programme, trying everything, and as a metric."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from geoloc.errors import InputError
from geoloc.metrics import switching
from geoloc.metrics.bootstrap import block_bootstrap, pool, time_blocks
from geoloc.metrics.gospa import gospa
from geoloc.metrics.matching import Sightings
from geoloc.metrics.trajectory_gospa import score_trajectories, trajectory_figures, trajectory_gospa

AUTHORITIES = Path(__file__).resolve().parents[2] / "fixtures" / "authorities"
NONE = Sightings.unnamed(np.empty(0), np.empty((0, 2)))
PARTS = ("localization", "missed", "false", "switch")
Options = tuple[float, float, float]  # c, gamma, p


def sightings(rows: list, n_coordinates: int = 2) -> Sightings:
    table = np.array(rows, float)
    where = table[:, 2:4].copy()
    where[:, n_coordinates:] = 0.0  # a line, seen as a plane
    return Sightings(table[:, 0].astype(int), table[:, 1].astype(int), where)


@pytest.fixture(scope="module")
def crowd() -> dict:
    return json.loads((AUTHORITIES / "tracking.json").read_text())["positions"]


@pytest.mark.parametrize("which", range(5))
def test_t_gospa_and_its_parts_are_its_authors(crowd: dict, which: int) -> None:
    want = json.loads((AUTHORITIES / "gospa.json").read_text())["t_gospa"][which]
    truth, result = (sightings(crowd[name], want["coordinates"]) for name in ("truth", "result"))
    scores = trajectory_gospa(truth, result, want["c"], want["gamma"], want["p"])
    costs = scores.counts[:, :4].sum(axis=0)
    assert costs.sum() == pytest.approx(want["total"], rel=1e-9)
    np.testing.assert_allclose(costs, [want[name] for name in PARTS], rtol=1e-9)


def few(rng: np.random.Generator, name: int, n_steps: int, most: int) -> Sightings:
    """Up to `most` tracks with gaps that walk over a small field, near and far from each other in turn."""
    n = int(rng.integers(0, most + 1))
    where = rng.uniform(0, 2.5, (n, 1, 2)) + np.cumsum(rng.normal(0, 0.5, (n, n_steps, 2)), axis=1)
    track, frame = np.nonzero(rng.random((n, n_steps)) < 0.85)
    return Sightings(frame, track + name, np.round(where[track, frame], 1))


def options(rng: np.random.Generator) -> Options:
    return float(rng.choice([0.7, 1.5, 3.0])), float(rng.choice([0.2, 0.8, 2.0, 9.0])), float(rng.choice([1.0, 2.0]))


def published_costs(truth: Sightings, result: Sightings, c: float, p: float, n_steps: int) -> np.ndarray:
    """D of the paper: (n_steps, nx + 1, ny + 1) by its cases, one by one."""
    x_names, y_names = np.unique(truth.id), np.unique(result.id)
    at = [{(f, i): w for f, i, w in zip(s.frame, s.id, s.where, strict=True)} for s in (truth, result)]
    costs = np.zeros((n_steps, len(x_names) + 1, len(y_names) + 1))
    for t, i, j in np.ndindex(costs.shape):
        x = at[0].get((t, x_names[i])) if i < len(x_names) else None
        y = at[1].get((t, y_names[j])) if j < len(y_names) else None
        if x is not None and y is not None:
            costs[t, i, j] = min(np.linalg.norm(x - y), c) ** p
        elif x is not None or y is not None:
            costs[t, i, j] = c**p / 2
    return costs


def published_optimum(costs: np.ndarray, gamma: float, p: float) -> float:
    """The paper's linear programme, every pair and every step in it: least cost to the power p."""
    steps, rows, cols = costs.shape
    if rows == 1 or cols == 1:
        return float(costs.sum())
    w = np.arange(costs.size).reshape(costs.shape)
    h = w.size + np.arange((steps - 1) * (rows - 1) * (cols - 1)).reshape(steps - 1, rows - 1, cols - 1)
    n = w.size + h.size
    sums = [w[t, i, :] for t in range(steps) for i in range(rows - 1)]
    sums += [w[t, :, j] for t in range(steps) for j in range(cols - 1)]
    equal, above = np.zeros((len(sums), n)), []
    for line, members in enumerate(sums):
        equal[line, members] = 1
    for t, i, j in np.ndindex(h.shape):
        for sign in (1, -1):
            line = np.zeros(n)
            line[[w[t + 1, i, j], w[t, i, j], h[t, i, j]]] = sign, -sign, -1
            above.append(line)
    objective = np.concatenate([costs.ravel(), np.full(h.size, gamma**p / 2)])
    limits = {"A_ub": np.array(above), "b_ub": np.zeros(len(above))} if above else {}
    return linprog(objective, A_eq=equal, b_eq=np.ones(len(sums)), **limits, method="highs").fun


def by_trying(costs: np.ndarray, gamma: float, p: float) -> float:
    """The multidimensional assignment metric: the best whole assignment of every step, by dynamic programming."""
    _, rows, cols = costs.shape
    nobody = cols - 1
    ways = [
        way
        for way in itertools.product(range(cols), repeat=rows - 1)
        if len({j for j in way if j != nobody}) == sum(j != nobody for j in way)
    ]
    tables = np.zeros((len(ways), rows, cols))
    for n, way in enumerate(ways):
        for i, j in enumerate(way):
            tables[n, i, j] = 1
        tables[n, -1, [j for j in range(nobody) if j not in way]] = 1
    real = tables[:, :-1, :-1]
    switches = gamma**p / 2 * np.abs(real[:, None] - real[None]).sum(axis=(2, 3))
    each = np.einsum("nij,tij->tn", tables, costs)
    best = each[0]
    for step in each[1:]:
        best = (best[:, None] + switches).min(axis=0) + step
    return float(best.min())


def example(seed: int, n_steps: int = 5, most: int = 3) -> tuple[Sightings, Sightings, Options]:
    rng = np.random.default_rng(seed)
    return few(rng, 0, n_steps, most), few(rng, 50, n_steps, most), options(rng)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_it_is_the_published_programme_and_never_above_whole_assignments(seed: int) -> None:
    truth, result, (c, gamma, p) = example(seed)
    scores = trajectory_gospa(truth, result, c, gamma, p)
    costs = published_costs(truth, result, c, p, 5)
    total = scores.counts[:, :4].sum()
    assert total == pytest.approx(published_optimum(costs, gamma, p), abs=1e-7)
    whole = by_trying(costs, gamma, p)
    assert total <= whole + 1e-9
    if scores.whole:
        assert total == pytest.approx(whole, abs=1e-9)


def jumping(rng: np.random.Generator, n: int, n_steps: int) -> Sightings:
    """Tracks that are anywhere on one square metre at every step: nothing but the cost of switches holds them."""
    frame, ids = np.repeat(np.arange(n_steps), n), np.tile(np.arange(n), n_steps)
    return Sightings(frame, ids, np.round(rng.uniform(0, 1, (n * n_steps, 2)), 1))


def test_split_weights_lie_below_every_whole_assignment() -> None:
    gaps = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        truth, result = jumping(rng, 3, 12), jumping(rng, 3, 12)
        scores = trajectory_gospa(truth, result, 2.0, 0.3, 2.0)
        if not scores.whole:
            costs, total = published_costs(truth, result, 2.0, 2.0, 12), scores.counts[:, :4].sum()
            assert total == pytest.approx(published_optimum(costs, 0.3, 2.0), abs=1e-7)
            gaps.append(by_trying(costs, 0.3, 2.0) - total)
    assert len(gaps) >= 3  # 8 of 120; otherwise nothing was looked at
    assert min(gaps) > -1e-9
    assert max(gaps) > 1e-3


def all_changes(pair: np.ndarray, gain: np.ndarray, switch: float) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(len(gain), bool), np.ones(len(gain), bool)


def unpruned(truth: Sightings, result: Sightings, options: Options) -> float:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(switching, "_worthwhile", all_changes)
        patch.setattr(switching, "_together", lambda rows, cols: [np.arange(len(rows))] if len(rows) else [])
        return trajectory_gospa(truth, result, *options).counts[:, :4].sum()


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1))
def test_pruning_keeps_the_optimum(seed: int) -> None:
    truth, result, options = example(seed, n_steps=10, most=5)
    total = trajectory_gospa(truth, result, *options).counts[:, :4].sum()
    assert total == pytest.approx(unpruned(truth, result, options), abs=1e-9)


def test_pruning_keeps_the_optimum_where_nothing_stands_out() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        truth, result = jumping(rng, 4, 10), jumping(rng, 4, 10)
        c, gamma, p = options = 0.8, rng.uniform(0.2, 1.2), rng.choice([1.0, 2.0])
        total = trajectory_gospa(truth, result, *options).counts[:, :4].sum()
        assert total == pytest.approx(unpruned(truth, result, options), abs=1e-9)
        if seed < 10:
            published = published_optimum(published_costs(truth, result, c, p, 10), gamma, p)
            assert total == pytest.approx(published, abs=1e-7)


@pytest.mark.parametrize("barely", range(4))
def test_a_stay_that_just_pays_for_its_end_is_not_pruned(barely: int) -> None:
    # rows 0 and 1 change columns half-way; one of the four stays earns little more than the switch it needs
    row, col, first = np.array([[0, 1, 0, 1], [0, 1, 1, 0], [0, 0, 2, 2]])
    stay = np.array([5.0, 5.0, 5.0, 5.0])
    stay[barely] = 1.2
    edges = np.concatenate([row, row]), np.concatenate([col, col]), np.concatenate([first, first + 1])
    gain = np.concatenate([stay, stay]) / 2
    plan = switching.assign_with_switching(*edges, gain, n_steps=4, switch=1.0)
    assert (gain * plan.weight).sum() - plan.changes.sum() == pytest.approx(16.2 - 4.0)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_it_is_a_metric(seed: int) -> None:
    rng = np.random.default_rng(seed)
    c, gamma, p = options(rng)
    x, y, z = (few(rng, name, 6, 4) for name in (0, 50, 90))

    def distance(a: Sightings, b: Sightings) -> float:
        return trajectory_gospa(a, b, c, gamma, p).distance

    assert distance(x, x) == 0
    renamed = Sightings(x.frame, 7 - x.id, x.where)
    assert distance(x, renamed) == 0
    assert (distance(x, y) > 0) or (len(x) == len(y) == 0)
    assert distance(x, y) == pytest.approx(distance(y, x), abs=1e-9)
    assert distance(x, y) <= distance(x, z) + distance(z, y) + 1e-9


def two_lines(n: int = 10) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    frame, ids = np.repeat(np.arange(n), 2), np.tile([0, 1], n)
    return frame, ids, np.column_stack([0.5 * frame, 4.0 * ids])


def test_each_hazard_is_paid_for_under_its_own_name() -> None:
    frame, ids, where = two_lines()
    truth, c, gamma = Sightings(frame, ids, where), 2.0, 3.0

    def costs(result: Sightings) -> list[float]:
        return trajectory_gospa(truth, result, c, gamma).counts[:, :4].sum(axis=0).round(9).tolist()

    swapped = Sightings(frame, np.where(frame >= 5, 1 - ids, ids), where)
    assert costs(swapped) == [0, 0, 0, 2 * gamma]  # both change to another track
    assert trajectory_gospa(truth, swapped, c, gamma).counts[5, 3] == 2 * gamma
    broken = Sightings(frame, np.where(frame >= 5, ids + 2, ids), where)
    assert costs(broken) == [0, 0, 0, 2 * gamma]
    assert costs(Sightings(frame, ids, where + np.array([0.3, 0.4]))) == [0.5 * 20, 0, 0, 0]
    kept = (frame < 3) | (frame > 5)
    assert costs(Sightings(frame[kept], ids[kept], where[kept])) == [0, 6 * c / 2, 0, 0]  # a gap is no switch
    assert costs(Sightings(frame, ids, where + np.array([0, 50.0]))) == [0, 20 * c / 2, 20 * c / 2, 0]
    short = Sightings(frame, np.where((frame == 4) & (ids == 0), 8, ids), where)
    assert costs(short) == [0, c / 2, c / 2, 0]  # one frame under another name: cheaper left than followed


def test_switches_that_cost_nearly_nothing_leave_gospa(crowd: dict) -> None:
    truth, result = (sightings(crowd[name]) for name in ("truth", "result"))
    free = trajectory_gospa(truth, result, 2.0, 1e-9)
    np.testing.assert_allclose(free.counts[:, :4].sum(axis=1), gospa(truth, result, 2.0).gospa, atol=1e-7)
    dear = trajectory_gospa(truth, result, 2.0, 1e6)
    assert dear.counts[:, 3].sum() == 0  # then each track keeps its partner for good


def test_frames_of_nobody_and_the_order_of_rows_change_nothing(crowd: dict, rng: np.random.Generator) -> None:
    truth, result = (sightings(crowd[name]) for name in ("truth", "result"))
    want = trajectory_gospa(truth, result, 2.0, 1.0, 2.0)
    shuffled = []
    for s in (truth, result):
        order = rng.permutation(len(s))
        shuffled.append(Sightings(1.7e9 + 3.0 * s.frame[order], s.id[order], s.where[order] + [4e5, -3e5]))
    found = trajectory_gospa(*shuffled, 2.0, 1.0, 2.0)
    assert found.distance == pytest.approx(want.distance, rel=1e-8)


def test_intervals_come_from_the_counts(crowd: dict, rng: np.random.Generator) -> None:
    scores = trajectory_gospa(sightings(crowd["truth"]), sightings(crowd["result"]), 2.0, 1.0, 2.0)
    blocks = pool(scores.counts, time_blocks(scores.frames, 5.0))
    low, high = block_bootstrap(blocks, trajectory_figures(2.0)["t_gospa"], rng)
    assert low < scores.figure("t_gospa") < high
    assert scores.figure("t_gospa") == pytest.approx(scores.distance / len(scores.frames) ** 0.5)


def test_nothing_found_is_all_missed_and_nothing_true_all_false() -> None:
    frame, ids, where = two_lines()
    one = Sightings(frame, ids, where)
    assert trajectory_gospa(one, NONE, 2.0, 1.0).counts.sum(axis=0).tolist() == [0, 20, 0, 0, 10]
    assert trajectory_gospa(NONE, one, 2.0, 1.0).counts.sum(axis=0).tolist() == [0, 0, 20, 0, 10]
    assert trajectory_gospa(NONE, NONE, 2.0, 1.0).distance == 0


def test_bad_input_is_refused_by_name() -> None:
    one = Sightings.unnamed(np.array([0]), np.zeros((1, 2)))
    with pytest.raises(InputError, match="truth is empty"):
        score_trajectories(NONE, one, 1.0, 1.0)
    for gamma in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(InputError, match="penalty of a switch"):
            score_trajectories(one, one, 1.0, gamma)
    with pytest.raises(InputError, match="c must be greater than 0"):
        score_trajectories(one, one, 0.0, 1.0)
