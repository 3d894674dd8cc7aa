"""Figures as measures: their intervals hold what they promise, quantiles as well as sums, alone and in pairs."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.measures import Blocks, Measure, difference, of_counts, of_mean, of_quantile

BLOCKS = Blocks(np.repeat(np.arange(40), 25), 40)


def interval(measure: Measure) -> tuple[float, float]:
    figure = measure.figure("plaza", "all", "blocks")
    return figure.low, figure.high


def test_a_mean_and_its_counts_give_one_interval(rng: np.random.Generator) -> None:
    values = rng.normal(3, 1, 1000)
    counts = np.stack([values, np.ones(1000)], axis=1)
    of_sums = of_counts("x", "m", "", counts, BLOCKS, lambda n: n[..., 0] / n[..., 1])
    assert interval(of_mean("x", "m", "", values, BLOCKS)) == interval(of_sums)


def test_a_quantile_is_numpys(rng: np.random.Generator) -> None:
    values = rng.exponential(1.0, 1000)
    for share in (0.0, 0.5, 0.95, 1.0):
        measure = of_quantile("x", "m", "", values, BLOCKS, share)
        assert measure.value == pytest.approx(np.quantile(values, share), abs=1e-12)
    drawn = np.zeros(40)
    drawn[[3, 7]] = [2, 1]
    rows = np.concatenate([values[75:100], values[75:100], values[175:200]])
    median = of_quantile("x", "m", "", values, BLOCKS)
    assert float(median.formula(drawn)) == pytest.approx(np.median(rows), abs=1e-12)


def test_the_median_interval_holds_the_median() -> None:
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        values = rng.normal(size=(40, 1)).repeat(25, axis=1).ravel() + 0.5 * rng.normal(size=1000)
        low, high = interval(of_quantile("x", "m", "", values, BLOCKS))
        held += low <= 0.0 <= high
    assert 180 <= held <= 198  # of 200; 95 % promised, measured 185


def test_too_few_blocks_have_no_interval() -> None:
    few = Blocks(np.arange(4), 4)
    figure = of_mean("x", "m", "said", np.arange(4.0), few).figure("plaza", "all", "blocks")
    assert np.isnan([figure.low, figure.high]).all()
    assert figure.protocol == "said; no interval: blocks needs 5 with data, here 4"


def test_one_rare_event_in_many_blocks_has_no_interval(rng: np.random.Generator) -> None:
    """Bootstrapping a single return over 40 blocks would call 0 % sure: 0 to 0."""
    event = np.array([[0.0, 1.0, 0.0, 0.0, 0.0]])
    rare = of_counts("x", "%", "", event, Blocks(np.array([7]), 40), lambda n: n[..., 0] / np.maximum(n[..., 1], 1))
    assert np.isnan(interval(rare)).all()
    assert np.isnan(difference(rare, rare, "all").p_value)
    few = of_quantile("x", "m", "", rng.normal(size=4), Blocks(np.arange(4), 40))
    assert np.isnan(interval(few)).all()
    zeros = of_counts("fp", "", "", np.zeros((1000, 1)), BLOCKS, lambda n: n[..., 0])
    assert interval(zeros) == (0.0, 3.0)  # blocks without a false positive are data: the rule of three


def test_a_block_without_rows_is_still_drawn(rng: np.random.Generator) -> None:
    sparse = Blocks(np.repeat(np.arange(0, 40, 2), 5), 40)
    low, high = interval(of_quantile("x", "m", "", rng.normal(size=100), sparse))
    assert low < high


@pytest.mark.parametrize("make", [of_mean, of_quantile])
def test_differences_are_tested_in_pairs(make: object, rng: np.random.Generator) -> None:
    """What is common to both runs, hard and easy stretches, does not hide that one is always worse."""
    hard = np.repeat(rng.normal(5, 2, 40), 25)
    good, bad = hard + rng.normal(0, 0.1, 1000), hard + 0.3 + rng.normal(0, 0.1, 1000)
    found = difference(make("x", "m", "", bad, BLOCKS), make("x", "m", "", good, BLOCKS), "all")  # type: ignore[operator]
    assert found.difference == pytest.approx(0.3, abs=0.1)
    assert found.low <= found.difference <= found.high
    if make is of_mean:
        assert found.low > 0.25
        assert found.p_value < 0.01
    same = difference(make("x", "m", "", good, BLOCKS), make("x", "m", "", good, BLOCKS), "all")  # type: ignore[operator]
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_nothing_matched_is_no_number() -> None:
    with pytest.raises(InputError, match="nothing was matched"):
        of_mean("error", "m", "", np.empty(0), Blocks(np.empty(0, dtype=int), 3))


def test_runs_on_other_blocks_do_not_pair() -> None:
    other = Blocks(np.arange(10), 10)
    with pytest.raises(InputError, match="40 and 10 blocks"):
        difference(of_mean("x", "", "", np.ones(1000), BLOCKS), of_mean("x", "", "", np.ones(10), other), "all")


def test_what_always_or_never_happened_is_not_certain() -> None:
    ones, zeros = np.ones(1000), np.zeros(1000)
    assert interval(of_mean("recall", "%", "", ones, BLOCKS, 100)) == (92.5, 100.0)  # 3 of 40 blocks
    assert interval(of_mean("refused", "%", "", zeros, BLOCKS, 100)) == (0.0, 7.5)


def test_distances_from_zero_lie_in_their_own_interval() -> None:
    """Resampling makes |a - b| larger; an interval of plain percentiles would leave the figure itself out."""

    def distance(n: np.ndarray) -> np.ndarray:
        return np.abs(n[..., 0] / n[..., 1]) + np.abs(n[..., 2] / n[..., 1])

    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        counts = np.column_stack([rng.normal(0.15, 1, 1000), np.ones(1000), rng.normal(0.1, 1, 1000)])
        measure = of_counts("x", "", "", counts, BLOCKS, distance, skewed=True)
        low, high = interval(measure)
        assert 0 <= low <= measure.value <= high
        held += low <= 0.25 <= high
    assert held >= 90  # of 100; measured 94


def test_an_interval_that_leaves_zero_out_has_a_p_value_below_five_per_cent() -> None:
    for seed in range(30):
        rng = np.random.default_rng(seed)
        ours, other = (of_counts("x", "", "", rng.random((12, 1)) < p, Blocks(np.arange(12), 12), lambda n: n[..., 0])
                       for p in (0.7, 0.4))
        found = difference(ours, other, "all")
        assert (found.low > 0 or found.high < 0) <= (found.p_value <= 0.05)


def test_a_quantile_of_many_rows_is_answered_fast_and_near() -> None:
    rng = np.random.default_rng(0)
    values, blocks = rng.exponential(size=200_000), Blocks(np.repeat(np.arange(100), 2000), 100)
    measure = of_quantile("x", "m", "", values, blocks)
    drawn = rng.multinomial(100, np.full(100, 0.01))
    exact = np.median(np.repeat(values, drawn[blocks.block]))
    assert float(measure.formula(drawn)) == pytest.approx(exact, abs=2e-3)
    assert measure.value == np.median(values)
