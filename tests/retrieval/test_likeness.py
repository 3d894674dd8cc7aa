"""What a cosine says: learned so that answers are honest, nothing where looks tell nothing."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.retrieval.likeness import Likeness, Trials, learn_likeness, posterior


def trials(rng: np.random.Generator, apart: float, n: int = 400, others: int = 50) -> Trials:
    """Scores of one object about N(apart, 1), of others about N(0, 1): the true log ratio is apart (s - apart / 2)."""
    same = np.tile(np.r_[True, np.zeros(others, bool)], n)
    query = np.repeat(np.arange(n), others + 1)
    return Trials(rng.normal(size=len(same)) + apart * same, same, query, query // 4)


def test_the_ratio_of_two_bell_curves_is_found(rng) -> None:
    found = learn_likeness(trials(rng, 4.0))
    assert found.weight == pytest.approx(4.0, rel=0.2)
    assert found.neutral == pytest.approx(2.0, abs=0.25)
    assert (found.n_same, found.n_different) == (400, 20_000)


def test_looks_that_tell_nothing_are_said_to(rng) -> None:
    found = learn_likeness(trials(rng, 0.0))
    assert found.weight == 0.0
    assert "tell nothing" in str(found)
    assert found.log_ratio(np.array([-1.0, 5.0])).tolist() == [0.0, 0.0]


def test_no_ratio_is_greater_than_the_pairs_bear_out(rng) -> None:
    found = learn_likeness(trials(rng, 9.0, n=30, others=2))
    assert found.most == pytest.approx(np.log(61))
    assert found.log_ratio(np.array([1e6, -1e6])).tolist() == [found.most, -found.most]


def test_too_few_are_refused(rng) -> None:
    with pytest.raises(InputError, match="it takes 20 of each"):
        learn_likeness(trials(rng, 4.0, n=10))


def test_probabilities_add_up_whatever_is_not_listed() -> None:
    shares, none, rest = posterior(np.array([5.0, 0.0, -3.0]), 1000, 0.5)
    assert shares.sum() + none + rest == pytest.approx(1.0)
    assert shares[0] / shares[1] == pytest.approx(np.exp(5.0))
    assert none / shares[1] == pytest.approx(1000.0)
    assert rest / shares[2] == pytest.approx(997.0)
    assert posterior(np.zeros(0), 0, 0.3) == (pytest.approx([]), 1.0, 0.0)


def test_two_lookalikes_share_what_there_is() -> None:
    shares, none, _ = posterior(np.array([8.0, 8.0]), 2, 0.5)
    assert shares == pytest.approx([0.5, 0.5], abs=1e-3)
    assert none < 1e-3


def test_a_likeness_says_what_it_rests_on() -> None:
    assert str(Likeness()).startswith("general")
    assert "learned from 5 pairs" in str(Likeness(3.0, 0.5, 2.0, 5, 70, 0.1))
