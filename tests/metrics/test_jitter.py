"""Jitter is what changes from frame to frame: offsets, gaps and other objects are not in it."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.bootstrap import block_bootstrap, pool
from geoloc.metrics.jitter import JITTER_FIGURES, score_jitter, score_speeds, true_speeds


def scene(rng: np.random.Generator, sigma: float = 0.1) -> dict[str, np.ndarray]:
    """A parked car (id 5) and one that drives at 3 m/s (id 2), 200 frames at 10 Hz, rows in any order."""
    time = np.tile(0.1 * np.arange(200), 2)
    truth = np.repeat([5, 2], 200)
    speed = np.where(truth == 5, 0.0, 3.0)
    error = rng.normal(0, sigma, (400, 2)) * np.where(truth == 5, 1.0, 3.0)[:, None]
    rows = rng.permutation(400)
    return {"time": time[rows], "truth": truth[rows], "error_xy": error[rows], "speed": speed[rows]}


def test_standing_and_moving_are_told_apart(rng: np.random.Generator) -> None:
    scores = score_jitter(**scene(rng), max_step_s=0.15)
    assert len(scores) == 2 * 199
    # a change of two independent errors in two directions: sqrt(2 * 2) sigma
    assert scores.figure("rms_still") == pytest.approx(0.2, rel=0.1)  # measured 0.187 and 0.557
    assert scores.figure("rms_moving") == pytest.approx(0.6, rel=0.1)
    ids, n, rms = scores.per_truth()
    assert ids.tolist() == [2, 5]
    assert n.tolist() == [199, 199]
    assert rms == pytest.approx([scores.figure("rms_moving"), scores.figure("rms_still")])
    assert scores.figure("rms") == pytest.approx(np.sqrt((rms**2).mean()))


def test_an_offset_that_stays_is_no_jitter(rng: np.random.Generator) -> None:
    table = scene(rng)
    offset = np.where((table["truth"] == 5)[:, None], [0.7, -0.4], [-2.0, 0.0])
    scores = score_jitter(**table, max_step_s=0.15)
    shifted = score_jitter(**{**table, "error_xy": table["error_xy"] + offset}, max_step_s=0.15)
    assert shifted.figure("rms") == pytest.approx(scores.figure("rms"))


def test_a_gap_is_no_step() -> None:
    time, error = np.array([0.0, 0.1, 5.0, 5.1]), np.array([[0, 0], [0, 0], [9, 9], [9, 9.0]])
    scores = score_jitter(time, np.ones(4, int), error, np.zeros(4), max_step_s=0.15)
    assert len(scores) == 2
    assert scores.figure("rms") == 0


def test_jitter_comes_with_an_interval(rng: np.random.Generator) -> None:
    scores = score_jitter(**scene(rng), max_step_s=0.15)
    blocks = pool(scores.counts, (scores.time // 1.0).astype(int))
    low, high = block_bootstrap(blocks, JITTER_FIGURES["rms_still"], rng)
    assert low < scores.figure("rms_still") < high


def test_speeds_come_from_the_true_places(rng: np.random.Generator) -> None:
    time = np.tile(0.5 * np.arange(10), 2)
    truth = np.repeat([1, 0], 10)
    xy = np.column_stack([np.where(truth == 1, 4.0 * time, 7.0), np.zeros(20)])
    rows = rng.permutation(20)
    found = true_speeds(time[rows], truth[rows], xy[rows], max_step_s=0.6)
    np.testing.assert_allclose(found, np.where(truth[rows] == 1, 4.0, 0.0), atol=1e-12)
    assert true_speeds(time[:1], truth[:1], xy[:1], 0.6).tolist() == [0.0]
    assert len(true_speeds(np.empty(0), np.empty(0), np.empty((0, 2)), 0.6)) == 0


def test_speed_and_direction_err_apart() -> None:
    scores = score_speeds(np.array([[0.0, 3.0], [5.0, 0.0]]), np.array([[3.0, 0.0], [4.0, 0.0]]))
    assert scores.speed_error == pytest.approx([0.0, 1.0])
    assert scores.velocity_error == pytest.approx([np.sqrt(18), 1.0])
    assert (scores.bias, scores.median_abs) == (0.5, 0.5)
    assert scores.rmse == pytest.approx(np.sqrt(0.5))


def test_undefined_and_bad_input_is_named() -> None:
    row = np.zeros(2), np.ones(2, int), np.zeros((2, 2)), np.zeros(2)
    with pytest.raises(InputError, match=r"truth 1 comes more than once at 0\.0 s"):
        score_jitter(*row, max_step_s=1.0)
    one = score_jitter(*(column[:1] for column in row), max_step_s=1.0)
    with pytest.raises(InputError, match="rms_still has no steps"):
        one.figure("rms_still")
    with pytest.raises(InputError, match="row 1 is not finite"):
        score_jitter(np.arange(2.0), row[1], np.array([[0, 0], [0, np.nan]]), row[3], max_step_s=1.0)
    with pytest.raises(InputError, match="of one N"):
        score_jitter(np.arange(2.0), row[1], np.zeros((3, 2)), row[3], max_step_s=1.0)
    with pytest.raises(InputError, match="no velocities"):
        score_speeds(np.empty((0, 2)), np.empty((0, 2)))
    with pytest.raises(InputError, match="row 0 is not finite"):
        score_speeds(np.full((1, 2), np.nan), np.zeros((1, 2)))
