"""Evidence: weights that are the true ones, probabilities that come true, signals that are missing or say nothing."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.forecasts import score_forecasts
from geoloc.retrieval.rerank.evidence import learn_evidence, with_prior


def pairs(rng: np.random.Generator, n: int, share: float = 0.2):
    """Two signals that tell (normal, of means +1 and -1 times 0.8 and 0.4), and one that does not."""
    same = rng.random(n) < share
    sign = np.where(same, 1.0, -1.0)
    signals = {"looks": 0.8 * sign + rng.normal(size=n), "time": 0.4 * sign + rng.normal(size=n)}
    return signals | {"noise": 5 * rng.normal(size=n)}, same


def test_probabilities_come_true_where_the_share_of_same_pairs_differs(rng) -> None:
    signals, same = pairs(rng, 6000)
    evidence = learn_evidence(signals, same, group=np.arange(6000) // 10)
    np.testing.assert_allclose(evidence.weight, [1.6, 0.8, 0.0], atol=0.15)
    fresh, truth = pairs(rng, 20_000, share=0.05)
    scores = score_forecasts(evidence.probability(fresh, prior=0.05), truth)
    assert scores.figure("calibration_error") < 0.01  # 0.004 measured
    held = score_forecasts(evidence.held_out_probability, same)
    assert held.figure("calibration_error") < 0.03
    assert held.figure("brier") < 0.8 * held.figure("uncertainty")


def test_parts_add_up_to_the_odds_and_what_is_not_known_adds_nothing(rng) -> None:
    signals, same = pairs(rng, 2000)
    evidence = learn_evidence(signals, same, group=np.arange(2000))
    some = {name: values[:5] for name, values in signals.items()}
    odds = evidence.odds(some)
    np.testing.assert_allclose(sum(evidence.parts(some).values()) + evidence.offset, odds)
    without = evidence.odds(some | {"looks": np.full(5, np.nan)})
    np.testing.assert_allclose(odds - without, evidence.parts(some)["looks"])


def test_signals_that_say_nothing_weigh_nothing_on_pairs_that_were_left_out(rng) -> None:
    same = rng.random(400) < 0.3
    evidence = learn_evidence({"noise": rng.normal(size=400)}, same, group=np.arange(400) // 4)
    assert np.abs(evidence.held_out).max() < 0.5


def test_too_little_to_learn_from_is_refused(rng) -> None:
    signals, same = pairs(rng, 100)
    with pytest.raises(InputError, match="20 pairs of either kind"):
        learn_evidence(signals, np.zeros(100, bool), group=np.arange(100))
    with pytest.raises(InputError, match="two groups"):
        learn_evidence(signals, same, group=np.zeros(100))
    evidence = learn_evidence(*pairs(rng, 1000), group=np.arange(1000))
    with pytest.raises(InputError, match="lack 'time'"):
        evidence.odds({"looks": np.zeros(3)})
    with pytest.raises(InputError, match="between 0 and 1"):
        with_prior(np.zeros(2), 1.0)
