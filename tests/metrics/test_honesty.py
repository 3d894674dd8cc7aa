"""NEES, coverage and bootstrap intervals tell honest from dishonest."""

import numpy as np
import pytest
from consistency import assert_consistent

from geoloc.errors import InputError
from geoloc.metrics.bootstrap import block_bootstrap, pool, time_blocks
from geoloc.metrics.consistency import consistency, consistency_by_group, coverage, nees
from geoloc.metrics.detection import DETECTION_FIGURES


def draw(rng: np.random.Generator, n: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    root = rng.normal(size=(n, 2, 2)) + 2 * np.eye(2)
    return np.einsum("nij,nj->ni", root, rng.normal(size=(n, 2))), root @ root.swapaxes(1, 2)


def test_honest_covariances_pass_and_others_fail(rng: np.random.Generator) -> None:
    errors, covs = draw(rng)
    assert_consistent(errors, covs)
    for factor in (0.85, 1.15):  # of the covariance: 8 % in sigma
        with pytest.raises(AssertionError, match="mean NEES"):
            assert_consistent(errors, factor * covs)


def test_ellipses_hold_what_they_promise(rng: np.random.Generator) -> None:
    values = nees(*draw(rng))
    for probability in (0.5, 0.95):  # measured 0.496 and 0.952, one sigma of 4000 is 0.008 and 0.003
        assert coverage(values, 2, probability) == pytest.approx(probability, abs=0.025)


def test_a_group_that_lies_is_told_apart(rng: np.random.Generator) -> None:
    errors, covs = draw(rng)
    group = np.arange(len(errors)) % 2
    values = nees(errors * np.where(group, 1.3, 1.0)[:, None], covs)
    found = consistency_by_group(values, group, 2)
    assert found[0].consistent
    assert not found[1].consistent
    assert found[0].n + found[1].n == len(errors)


def test_covariances_that_are_none_are_refused() -> None:
    with pytest.raises(InputError, match="first row 1"):
        nees(np.zeros((2, 2)), np.array([np.eye(2), np.zeros((2, 2))]))
    with pytest.raises(InputError, match=r"give \(N, d\)"):
        nees(np.zeros((2, 2)), np.eye(2))
    with pytest.raises(InputError, match="nothing was matched"):
        consistency(np.empty(0), 2)


def test_bootstrap_interval_holds_the_truth_as_often_as_it_says(rng: np.random.Generator) -> None:
    hits = 0
    for _ in range(300):
        matched = rng.binomial(20, 0.8, size=60)
        counts = np.stack([matched, 0 * matched, 20 - matched, 0.5 * matched], axis=1)
        low, high = block_bootstrap(counts, DETECTION_FIGURES["recall"], rng, n=300)
        hits += low <= 0.8 <= high
    assert 0.90 <= hits / 300 <= 0.98  # measured 0.94; 0.95 asked, one sigma is 0.013


def test_neighbouring_frames_that_err_together_widen_the_interval(rng: np.random.Generator) -> None:
    shared = np.repeat(rng.binomial(20, 0.5 + 0.4 * (rng.random(20) < 0.5)), 10)
    counts = np.stack([shared, 0 * shared, 20 - shared, shared], axis=1)
    frame = np.arange(len(counts))
    widths = []
    for length in (1.0, 10.0):
        blocks = pool(counts, time_blocks(frame, length))
        low, high = block_bootstrap(blocks, DETECTION_FIGURES["recall"], rng)
        widths.append(high - low)
    assert widths[1] > 2.5 * widths[0]  # measured 3.1; root of 10 expected


def test_clock_in_seconds_does_not_split_a_block() -> None:
    time = 1.7e9 + 0.1 * np.arange(100)
    assert np.bincount(time_blocks(time, 1.0)).tolist() == [10] * 10
    assert len(time_blocks(np.empty(0), 1.0)) == 0


def test_one_block_has_no_interval(rng: np.random.Generator) -> None:
    assert np.isnan(block_bootstrap(np.ones((1, 4)), DETECTION_FIGURES["moda"], rng)).all()
