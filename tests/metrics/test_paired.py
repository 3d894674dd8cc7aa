"""Paired tests: right as often as they say, and far sharper than two intervals side by side."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.bootstrap import block_bootstrap, sequence_blocks
from geoloc.metrics.detection import DETECTION_FIGURES
from geoloc.metrics.paired import paired_bootstrap, paired_permutation

RECALL = DETECTION_FIGURES["recall"]


def runs(rng: np.random.Generator, better: float, n_blocks: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Two runs over blocks that are easy or hard for both; the second finds `better` more of the truths."""
    share = rng.uniform(0.4, 0.8, n_blocks)
    matched = [rng.binomial(50, share + add) for add in (0.0, better)]
    first, second = (np.stack([m, 0 * m, 50 - m, m], axis=1) for m in matched)
    return first, second


def test_intervals_of_the_difference_hold_it_as_often_as_they_say(rng: np.random.Generator) -> None:
    hits = 0
    for _ in range(1000):
        found = paired_bootstrap(*runs(rng, 0.05), RECALL, rng, n=300)
        hits += found.low <= -0.05 <= found.high
    assert 0.90 <= hits / 1000 <= 0.97  # measured 0.92; 0.95 asked, one sigma is 0.007


def test_equal_runs_are_called_different_as_seldom_as_asked(rng: np.random.Generator) -> None:
    pairs = [runs(rng, 0.0) for _ in range(400)]
    resampled = np.array([paired_bootstrap(*pair, RECALL, rng, n=199).p_value for pair in pairs])
    exchanged = np.array([paired_permutation(*pair, RECALL, rng, n=199) for pair in pairs])
    for p_values in (resampled, exchanged):
        assert 0.02 <= (p_values <= 0.05).mean() <= 0.09  # measured 0.060 and 0.043; one sigma is 0.011
        assert 0.42 <= (p_values <= 0.5).mean() <= 0.58


def test_a_small_gain_shows_in_pairs_where_intervals_overlap(rng: np.random.Generator) -> None:
    first, second = runs(rng, 0.06)
    apart = [block_bootstrap(run, RECALL, rng) for run in (first, second)]
    assert apart[0][1] > apart[1][0]
    found = paired_bootstrap(first, second, RECALL, rng)
    assert found.high < 0
    assert found.p_value < 0.01
    assert paired_permutation(first, second, RECALL, rng) < 0.01
    assert found.difference == pytest.approx(RECALL(first.sum(axis=0)) - RECALL(second.sum(axis=0)))
    back = paired_bootstrap(second, first, RECALL, rng)
    assert back.difference == -found.difference


def test_few_blocks_are_exchanged_in_every_way(rng: np.random.Generator) -> None:
    # five blocks that all favour one: 2 of the 32 exchanges are as far
    first = np.column_stack([np.arange(1.0, 6.0), np.ones(5)])
    mean = lambda n: n[..., 0] / n[..., 1]  # noqa: E731
    assert paired_permutation(first, first - [0.5, 0.0], mean, rng) == 2 / 32
    assert paired_permutation(first, first, mean, rng) == 1.0


def test_drawn_exchanges_agree_with_all_of_them(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    values = rng.normal(0.4, 1, 14)
    first, second = np.column_stack([values, np.ones(14)]), np.column_stack([np.zeros(14), np.ones(14)])
    mean = lambda n: n[..., 0] / n[..., 1]  # noqa: E731
    exact = paired_permutation(first, second, mean, rng)
    monkeypatch.setattr("geoloc.metrics.paired.MOST_EXACT", 5)
    assert paired_permutation(first, second, mean, rng) == pytest.approx(exact, abs=0.02)
    assert 0.01 < exact < 0.99


def test_runs_over_other_blocks_cannot_be_paired(rng: np.random.Generator) -> None:
    first, second = runs(rng, 0.0, 5)
    for test in (paired_bootstrap, paired_permutation):
        with pytest.raises(InputError, match="over the same blocks"):
            test(first, second[:4], RECALL, rng)
        with pytest.raises(InputError, match="1 blocks tell nothing"):
            test(first[:1], second[:1], RECALL, rng)
        with pytest.raises(InputError, match="not finite"):
            test(first * np.nan, second, RECALL, rng)
    with pytest.raises(InputError, match="figure is undefined"), np.errstate(invalid="ignore"):
        paired_bootstrap(first, second, lambda n: n[..., 1] / n[..., 1], rng)


def test_blocks_of_time_do_not_join_sequences() -> None:
    sequence, time = np.array(["b", "a", "a", "b", "a"]), np.array([0.0, 0.0, 9.0, 5.0, 12.0])
    assert sequence_blocks(sequence, time, 10.0).tolist() == [2, 0, 0, 2, 1]
    assert len(sequence_blocks(np.empty(0, str), np.empty(0), 10.0)) == 0
    with pytest.raises(InputError, match=r"give \(N,\) each"):
        sequence_blocks(sequence, time[:2], 10.0)
