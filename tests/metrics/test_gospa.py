"""GOSPA, OSPA and OSPA(2) against Stone Soup, against trying everything, and as metrics."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.errors import InputError
from geoloc.metrics.bootstrap import block_bootstrap, pool, time_blocks
from geoloc.metrics.gospa import GOSPA_FIGURES, gospa, score_gospa
from geoloc.metrics.matching import Sightings
from geoloc.metrics.ospa2 import ospa2, score_ospa2

AUTHORITIES = Path(__file__).resolve().parents[2] / "fixtures" / "authorities"
EXACT = 1e-9
NONE = Sightings.unnamed(np.empty(0), np.empty((0, 2)))


def sightings(rows: list) -> Sightings:
    table = np.array(rows, float).reshape(-1, 4)
    return Sightings(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])


@pytest.fixture(scope="module")
def crowd() -> tuple[Sightings, Sightings]:
    content = json.loads((AUTHORITIES / "tracking.json").read_text())["positions"]
    return sightings(content["truth"]), sightings(content["result"])


@pytest.fixture(params=range(4))
def stone_soup(request: pytest.FixtureRequest) -> dict:
    return json.loads((AUTHORITIES / "gospa.json").read_text())["stonesoup"][request.param]


def test_gospa_and_its_parts_are_stone_soups(crowd: tuple[Sightings, Sightings], stone_soup: dict) -> None:
    scores = gospa(*crowd, stone_soup["c"], stone_soup["p"])
    np.testing.assert_allclose(scores.gospa, stone_soup["gospa"], rtol=0, atol=EXACT)
    for column, name in enumerate(("localization", "missed", "false")):
        np.testing.assert_allclose(scores.counts[:, column], stone_soup[name], rtol=0, atol=EXACT, err_msg=name)
    assert scores.figure("gospa") == pytest.approx(np.mean(stone_soup["gospa"]), abs=EXACT)


def test_ospa_is_stone_soups_or_less(crowd: tuple[Sightings, Sightings], stone_soup: dict) -> None:
    ours, theirs = gospa(*crowd, stone_soup["c"], stone_soup["p"]).ospa, np.array(stone_soup["ospa"])
    # Stone Soup pairs by the distance itself, which is the least sum of its powers only at p = 1
    assert (ours <= theirs + EXACT).all()
    if stone_soup["p"] == 1:
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=EXACT)


def places(rng: np.random.Generator, name: int, n_frames: int = 1) -> Sightings:
    """Up to three tracks with gaps on a small field, so that some are near and some beyond the cutoff."""
    n = int(rng.integers(0, 4))
    there = rng.random((n_frames, n)) < 0.8
    frame, ids = np.nonzero(there)
    return Sightings(frame, ids + name, np.round(rng.uniform(0, 3, (len(frame), 2)), 1))


def by_trying(truth: np.ndarray, result: np.ndarray, c: float, p: float) -> tuple[float, float]:
    """GOSPA and OSPA by their definitions, over every way to pair."""
    small, large = sorted((truth, result), key=len)
    apart = np.minimum(np.linalg.norm(small[:, None] - large[None], axis=2), c) ** p
    orders = itertools.permutations(range(len(large)), len(small))
    sums = [(sum(apart[i, j] for i, j in enumerate(order)), len(large) - len(small)) for order in orders]
    least_gospa = min(s + n * c**p / 2 for s, n in sums) ** (1 / p)
    return least_gospa, min((s + n * c**p) / max(len(large), 1) for s, n in sums) ** (1 / p)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 2.0, 3.5]))
def test_no_pairing_is_nearer(seed: int, p: float) -> None:
    rng = np.random.default_rng(seed)
    truth, result = places(rng, 0), places(rng, 10)
    scores = gospa(truth, result, 1.5, p)
    want = by_trying(truth.where, result.where, 1.5, p)
    assert (scores.gospa.sum(), scores.ospa.sum()) == pytest.approx(want, abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 2.0]))
def test_each_is_a_metric(seed: int, p: float) -> None:
    rng = np.random.default_rng(seed)
    x, y, z = (places(rng, name, n_frames=3) for name in (0, 10, 20))

    def distances(a: Sightings, b: Sightings) -> np.ndarray:
        scores, tracks = gospa(a, b, 1.5, p), ospa2(a, b, 1.5, 10.0, p)
        found = np.zeros((3, 3))
        found[scores.frames.astype(int), :2] = scores.counts[:, 3:5]
        found[2, 2] = tracks.ospa2[-1] if len(tracks.ospa2) else 0.0  # the window that holds everything
        return found

    np.testing.assert_array_equal(distances(x, x), 0.0)
    np.testing.assert_allclose(distances(x, y), distances(y, x), atol=1e-12)
    assert (distances(x, y) <= distances(x, z) + distances(z, y) + 1e-12).all()


def mean_distance(a: dict, b: dict, c: float, p: float) -> float:
    """Base distance of OSPA(2)^p between tracks {frame: place} by its definition."""
    either = a.keys() | b.keys()
    return sum(min(np.linalg.norm(a[t] - b[t]), c) ** p if t in a and t in b else c**p for t in either) / len(either)


def tracks_between(s: Sightings, low: float, high: float) -> list[dict]:
    rows = np.flatnonzero((s.frame > low) & (s.frame <= high))
    return [{s.frame[i]: s.where[i] for i in rows if s.id[i] == name} for name in np.unique(s.id[rows])]


@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 2.0]), st.sampled_from([1, 2, 4]))
def test_ospa2_is_its_definition_in_every_window(seed: int, p: float, window: int) -> None:
    rng = np.random.default_rng(seed)
    truth, result = places(rng, 0, 5), places(rng, 10, 5)
    c, scores = 2.0, ospa2(truth, result, 2.0, window, p)
    for end, value in zip(scores.frames, scores.ospa2, strict=True):
        both = (tracks_between(s, end - window, end) for s in (truth, result))
        small, large = sorted(both, key=len)
        orders = itertools.permutations(large, len(small))
        least = min(sum(mean_distance(a, b, c, p) for a, b in zip(small, o, strict=True)) for o in orders)
        want = ((least + c**p * (len(large) - len(small))) / len(large)) ** (1 / p)
        assert value == pytest.approx(want, abs=1e-7)  # a p-th root near 0 magnifies rounding


def test_a_new_name_costs_ospa2_but_not_ospa() -> None:
    frame = np.arange(10)
    line = np.column_stack([0.5 * frame, np.zeros(10)])
    truth = Sightings(frame, np.zeros(10, int), line)
    renamed = Sightings(frame, (frame >= 5).astype(int), line)
    assert gospa(truth, renamed, 1.0).figure("ospa") == 0
    found = ospa2(truth, renamed, 1.0, window=4).ospa2
    np.testing.assert_allclose(found[:5], 0, atol=1e-12)
    # two of four frames under each name: half of the cutoff for one, the whole for the one more
    assert found[6] == pytest.approx((0.5 + 1.0) / 2)
    np.testing.assert_allclose(found[8:], 0, atol=1e-12)


def test_windows_of_a_clock_in_seconds_do_not_grow_by_rounding() -> None:
    time = 0.1 * np.arange(40)  # 0.1 * 7 > 0.1 * 10 - 0.3, though frame 7 is three frames before frame 10
    ids = (np.arange(40) >= 8).astype(int)
    truth, renamed = (Sightings(time, name, np.zeros((40, 2))) for name in (np.zeros(40, int), ids))
    found = ospa2(truth, renamed, 1.0, window=0.3).ospa2
    np.testing.assert_array_equal(np.flatnonzero(found > 1e-9), [8, 9])  # three frames a window


def test_intervals_come_from_the_counts(crowd: tuple[Sightings, Sightings], rng: np.random.Generator) -> None:
    scores = gospa(*crowd, 2.0)
    blocks = pool(scores.counts, time_blocks(scores.frames, 5.0))
    low, high = block_bootstrap(blocks, GOSPA_FIGURES["gospa"], rng)
    assert low < scores.figure("gospa") < high


def test_nothing_found_is_all_missed_and_nothing_true_all_false(crowd: tuple[Sightings, Sightings]) -> None:
    truth, _ = crowd
    for c, scores, column in ((2.0, gospa(truth, NONE, 2.0), 1), (2.0, gospa(NONE, truth, 2.0), 2)):
        assert scores.counts[:, :3].sum() == scores.counts[:, column].sum() == c / 2 * len(truth)
        np.testing.assert_array_equal(scores.ospa, c)
    assert gospa(NONE, NONE, 2.0).figure("gospa") == ospa2(NONE, NONE, 2.0, 5).figure("ospa2") == 0
    assert ospa2(NONE, truth, 2.0, 5).figure("ospa2") == ospa2(truth, NONE, 2.0, 5).figure("ospa2") == 2.0


def test_bad_input_is_refused_by_name(crowd: tuple[Sightings, Sightings]) -> None:
    for score in (lambda: score_gospa(NONE, crowd[1], 1.0), lambda: score_ospa2(NONE, crowd[1], 1.0, 5)):
        with pytest.raises(InputError, match="truth is empty"):
            score()
    for c, p in ((0.0, 1.0), (-1.0, 1.0), (np.nan, 1.0), (np.inf, 1.0), (1.0, 0.5), (1.0, np.inf)):
        with pytest.raises(InputError, match="c must be greater than 0"):
            score_gospa(*crowd, c, p)
    for window in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="a window of"):
            score_ospa2(*crowd, 1.0, window)
    box = Sightings(np.array([0]), np.array([0]), np.array([[0.0, 0.0, 1.0, 1.0]]))
    with pytest.raises(InputError, match="truth: rows of 4 numbers"):
        score_gospa(box, box, 1.0)
