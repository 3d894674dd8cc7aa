"""Which of several places it was: what look-alikes gather, and rivals with more of one thing and less of another."""

import numpy as np
import pytest

from geoloc.relocalize.evidence import opposite_quarters
from geoloc.relocalize.place_odds import place_probabilities

SURE = 40.0  # log-odds
# what wrong places of a garage gathered for the map's own images: support, pieces, whether one was the best
REPEATS = np.array([[2.4, 8, 1], [9.8, 16, 1], [18.2, 7, 1], [5.5, 7, 1], [10.4, 11, 1], [6.5, 16, 1], [0, 0, 0]] * 2)


def test_a_facade_that_looks_alike_does_not_win_by_its_pieces():
    # as met: the wrong place had more features on one facade, the true one the better landmarks all over the image
    wrong, true = place_probabilities(np.array([[48.9, 22], [75.0, 12]]), np.array([SURE, SURE]), REPEATS)
    assert wrong < 0.5  # measured 0.22; 0.99 while only places not yet found could gather more
    assert true < 0.99


def test_a_rival_of_some_standing_keeps_a_little_place_from_being_sure():
    alone = place_probabilities(np.array([[32.6, 24]]), np.array([SURE]), REPEATS)[0]
    beside = place_probabilities(np.array([[32.6, 24], [10.5, 19]]), np.array([SURE, SURE]), REPEATS)[0]
    assert beside < 0.99
    assert 1 - beside > 3 * (1 - alone)


def test_twins_share_what_there_is_and_a_far_better_place_needs_not_share():
    twins = place_probabilities(np.array([[60.0, 40], [60.0, 40]]), np.array([SURE, SURE]), REPEATS)
    assert twins == pytest.approx([0.5, 0.5], abs=0.01)
    shares = place_probabilities(np.array([[150.0, 100], [9.0, 12], [4.0, 6]]), np.array([SURE, 5.0, 2.0]), REPEATS)
    assert shares[0] > 0.999
    beyond = place_probabilities(np.array([[1e6, 1e6], [9.0, 12]]), np.array([1e5, 5.0]), np.tile([0.1, 1, 0], (90, 1)))
    assert beyond[0] > 0.999
    unlikely = place_probabilities(np.array([[150.0, 100], [0.0, 30]]), np.array([SURE, -1.0]), REPEATS)
    assert unlikely[1] == 0.0


def test_probabilities_are_of_one_place_at_most(rng):
    for _ in range(200):
        n = int(rng.integers(1, 6))
        gathered = np.stack([rng.exponential(30, n), rng.integers(0, 50, n)], axis=1)
        shares = place_probabilities(gathered, rng.normal(2, 5, n), REPEATS)
        assert (shares >= 0).all()
        assert shares.sum() <= 1 + 1e-9


def test_each_half_of_what_a_pose_is_fitted_to_leaves_landmarks_between(rng):
    pixels = rng.uniform([0, 0], [640, 360], (90, 2))
    halves = opposite_quarters(pixels)
    assert sorted(np.concatenate(halves).tolist()) == list(range(90))
    for half, other in (halves, halves[::-1]):
        assert len(half) in (44, 45, 46)
        # from edge to edge, and most of the others not right beside one of them
        assert (np.ptp(pixels[half], axis=0) > [450, 250]).all()  # measured 576 and 277
        away = np.linalg.norm(pixels[other][:, None] - pixels[half], axis=2).min(axis=1)
        assert (away > 25).mean() > 0.5
    assert [len(half) for half in opposite_quarters(np.zeros((0, 2)))] == [0, 0]
    assert sum(len(half) for half in opposite_quarters(np.ones((7, 2)))) == 7
