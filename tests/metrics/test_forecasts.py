"""Stated probabilities against what happened: reliability, the Brier score's parts, and their intervals."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.bootstrap import block_bootstrap
from geoloc.metrics.forecasts import FORECAST_FIGURES, score_forecasts


def test_honest_probabilities_are_reliable_and_boastful_ones_are_not(rng: np.random.Generator) -> None:
    true = rng.beta(1, 1, 20_000)
    event = rng.random(20_000) < true
    boastful = np.where(true > 0.5, 1 - 2 * (1 - true) ** 2, 2 * true**2)
    honest, lying = score_forecasts(true, event), score_forecasts(boastful, event)
    assert honest.figure("calibration_error") < 0.01  # measured 0.006
    assert lying.figure("calibration_error") > 0.05  # measured 0.089
    for name in ("reliability", "brier", "log_loss", "worst_calibration_error"):
        assert honest.figure(name) < lying.figure(name)


def test_parts_of_the_brier_score_add_up(rng: np.random.Generator) -> None:
    probability = rng.random(500)
    scores = score_forecasts(probability, rng.random(500) < 0.3 + 0.4 * probability)
    parts = [scores.figure(name) for name in ("reliability", "uncertainty", "within_bins")]
    assert scores.figure("brier") == pytest.approx(sum(parts) - scores.figure("resolution"))
    assert scores.figure("brier") == pytest.approx(scores.squared_error.mean())


def test_murphys_decomposition_is_exact_for_one_forecast_a_bin(rng: np.random.Generator) -> None:
    probability = rng.choice([0.05, 0.35, 0.65, 0.95], 400)
    event = rng.random(400) < probability
    scores = score_forecasts(probability, event)
    assert scores.figure("within_bins") == pytest.approx(0, abs=1e-12)
    by_hand = sum(
        (probability == p).mean() * (event[probability == p].mean() - event.mean()) ** 2 for p in np.unique(probability)
    )
    assert scores.figure("resolution") == pytest.approx(by_hand)


def test_a_sure_forecast_that_fails_is_dear_but_finite() -> None:
    scores = score_forecasts(np.array([0.0, 1.0]), np.array([True, True]))
    assert scores.log_loss == pytest.approx([36.04, 0.0], abs=0.01)
    assert scores.figure("brier") == 0.5


def test_figures_of_pooled_blocks_are_those_of_the_rows(rng: np.random.Generator) -> None:
    probability = rng.random(600)
    scores = score_forecasts(probability, rng.random(600) < probability, edges=np.array([0, 0.2, 0.9, 1.0]))
    blocks = scores.pooled(np.arange(600) // 20)
    assert blocks.shape == (30, 3 * 3 + 2)
    for name, formula in FORECAST_FIGURES.items():
        assert formula(blocks.sum(axis=0)) == pytest.approx(scores.figure(name), abs=1e-12)
    low, high = block_bootstrap(blocks, FORECAST_FIGURES["brier"], rng)
    assert low < scores.figure("brier") < high


def test_empty_bins_have_no_frequency() -> None:
    count, forecast, observed = score_forecasts(np.array([0.95, 0.97]), np.array([1, 0]), 2).diagram()
    assert count.tolist() == [0, 2]
    assert np.isnan([forecast[0], observed[0]]).all()
    assert (forecast[1], observed[1]) == (pytest.approx(0.96), 0.5)


def test_what_is_no_probability_is_named() -> None:
    with pytest.raises(InputError, match=r"row 1 is 1\.2"):
        score_forecasts(np.array([0.5, 1.2]), np.array([0, 1]))
    with pytest.raises(InputError, match="row 0 is nan"):
        score_forecasts(np.array([np.nan]), np.array([0]))
    with pytest.raises(InputError, match="true or false"):
        score_forecasts(np.array([0.5]), np.array([2]))
    with pytest.raises(InputError, match="none were given"):
        score_forecasts(np.empty(0), np.empty(0))
    with pytest.raises(InputError, match="rise from 0 to 1"):
        score_forecasts(np.array([0.5]), np.array([1]), np.array([0.0, 50.0, 100.0]))
    with pytest.raises(InputError, match=r"give \(N,\) each"):
        score_forecasts(np.array([0.5]), np.array([1, 0]))
