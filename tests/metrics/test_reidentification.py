"""Identity over long gaps: same, fresh, another's, or never followed again."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.bootstrap import block_bootstrap
from geoloc.metrics.detection import score_pairs
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.reidentification import (
    FRESH,
    GAPS_S,
    REIDENTIFICATION_FIGURES,
    SAME,
    UNFOLLOWED,
    WRONG,
    ReturnScores,
    follow,
    score_returns,
)

Stay = tuple[int, int, int, int]  # id, first minute, last minute, where


def seen(stays: list[Stay]) -> Sightings:
    """Sightings every ten seconds: an object of a number, from minute to minute, at 10 m times `where`."""
    rows = [(t, name, where) for name, start, stop, where in stays for t in range(60 * start, 60 * stop, 10)]
    table = np.array(rows, dtype=float).reshape(-1, 3)
    return Sightings(table[:, 0].astype(int), table[:, 1].astype(int), np.outer(table[:, 2], [10.0, 0.0]))


def returns(truth: list[Stay], result: list[Stay], least_gap_s: float = GAPS_S[0]) -> ReturnScores:
    pairs = pair_positions(seen(truth), seen(result), 2.0)
    return score_returns(pairs, *follow(pairs), pairs.frames.astype(float), least_gap_s)


def test_each_outcome_is_told_apart() -> None:
    truth = [(1, 0, 5, 1), (1, 20, 30, 1), (2, 0, 5, 2), (2, 20, 30, 2), (3, 0, 5, 3), (3, 20, 30, 3), (4, 0, 5, 4)]
    truth += [(4, 20, 30, 4), (5, 0, 30, 5)]
    result = [(11, 0, 5, 1), (11, 20, 30, 1), (12, 0, 5, 2), (92, 20, 30, 2), (13, 0, 5, 3), (14, 20, 30, 3)]
    result += [(14, 0, 5, 4), (15, 0, 30, 5)]
    scores = returns(truth, result)
    assert scores.truth.tolist() == [0, 1, 2, 3]
    assert scores.outcome.tolist() == [SAME, FRESH, WRONG, UNFOLLOWED]
    assert scores.taken.tolist() == [False, False, False, True]  # 14 went from the fourth to the third
    assert scores.gap == pytest.approx(15 * 60 + 10)
    assert [scores.figure(name) for name in REIDENTIFICATION_FIGURES] == [0.25] * 5


def test_classes_of_gaps_hold_each_other() -> None:
    truth = [(1, 0, 5, 1), (1, 7, 12, 1), (1, 20, 25, 1), (1, 60, 65, 1)]
    scores = returns(truth, [(11, 0, 12, 1), (11, 20, 25, 1), (12, 60, 65, 1)])
    assert [len(scores.longer_than(gap)) for gap in GAPS_S] == [3, 2, 1]
    assert [scores.longer_than(gap).figure("same") for gap in GAPS_S] == pytest.approx([2 / 3, 1 / 2, 0])


def test_not_followed_and_away_are_kept_apart() -> None:
    # the first stands there unseen by the tracker, the second leaves
    truth = [(1, 0, 20, 1), (2, 0, 5, 2), (2, 15, 20, 2)]
    scores = returns(truth, [(11, 0, 5, 1), (11, 15, 20, 1), (12, 0, 5, 2), (12, 15, 20, 2)])
    assert len(scores.longer_than(300)) == 2
    assert scores.longer_than(300, absent=True).truth.tolist() == [1]
    assert scores.absent == pytest.approx([10, 610])


def test_short_gaps_and_losses_without_a_return_are_no_events() -> None:
    truth = [(1, 0, 5, 1), (1, 6, 10, 1), (2, 0, 30, 2), (3, 10, 30, 3)]
    scores = returns(truth, [(11, 0, 5, 1), (12, 6, 10, 1), (13, 0, 5, 2), (14, 20, 30, 3)], least_gap_s=120)
    assert len(scores) == 0
    with pytest.raises(InputError, match="no truth was away and came back"):
        scores.figure("same")


def test_an_id_that_another_took_after_the_return_is_not_taken() -> None:
    truth = [(1, 0, 5, 1), (1, 20, 25, 1), (2, 0, 40, 2)]
    result = [(11, 0, 5, 1), (12, 20, 25, 1), (13, 0, 30, 2), (11, 30, 40, 2)]
    scores = returns(truth, result)
    assert scores.outcome.tolist() == [FRESH]
    assert not scores.taken.any()


def test_a_neighbour_that_is_nearer_for_one_frame_does_not_lend_its_id() -> None:
    # both pairs stay within the threshold, but in the last frame before the gap the crossed ones are the nearer
    frame, ids = np.repeat([0, 10, 20, 900, 910], 2), np.tile([1, 2], 5)
    truth = Sightings(frame, ids, np.where(ids[:, None] == 1, [0.0, 0.0], [0.6, 0.0]))
    swapped = (frame == 20)[:, None]
    result = Sightings(frame, ids, np.where(swapped, truth.where[::-1], truth.where))
    pairs = pair_positions(truth, result, 2.0)
    time = pairs.frames.astype(float)
    assert score_returns(pairs, *follow(pairs), time).outcome.tolist() == [SAME, SAME]
    nearest = score_pairs(pairs, 0.5)
    assert score_returns(pairs, nearest.truth, nearest.result, time).outcome.tolist() == [WRONG, WRONG]


def test_results_that_match_nothing_follow_nothing() -> None:
    pairs = pair_positions(seen([(1, 0, 1, 1)]), seen([(2, 0, 1, 9)]), 2.0)
    truth, result = follow(pairs)
    assert (len(truth), len(result)) == (0, 0)


def test_returns_come_with_an_interval(rng: np.random.Generator) -> None:
    truth, result = [], []
    for k in range(40):
        truth += [(k, 0, 2, k), (k, 9, 11, k)]
        result += [(k, 0, 2, k), (k if k % 4 else 100 + k, 9, 11, k)]
    scores = returns(truth, result)
    assert scores.figure("same") == 0.75
    low, high = block_bootstrap(scores.counts, REIDENTIFICATION_FIGURES["same"], rng)
    assert 0.55 < low < 0.75 < high < 0.95


def test_bad_matches_and_times_are_refused() -> None:
    pairs = pair_positions(seen([(1, 0, 1, 1)]), seen([(2, 0, 1, 1)]), 2.0)
    time = pairs.frames.astype(float)
    with pytest.raises(InputError, match="truth row 0 is matched twice in frame 0"):
        score_returns(pairs, np.array([0, 0]), np.array([0, 1]), time)
    with pytest.raises(InputError, match="finite and rise"):
        score_returns(pairs, np.array([0]), np.array([0]), time[::-1])
    with pytest.raises(InputError, match=r"give \(T,\)"):
        score_returns(pairs, np.array([0]), np.array([0, 1]), time)
    assert len(score_returns(pairs, np.empty(0, int), np.empty(0, int), time)) == 0
