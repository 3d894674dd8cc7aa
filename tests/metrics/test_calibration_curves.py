"""Coverage at every level, sharpness and likelihood tell honest, timid and boastful covariances apart."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from geoloc.errors import InputError
from geoloc.metrics.bootstrap import block_bootstrap
from geoloc.metrics.calibration_curves import LEVELS, coverage_curve, negative_log_likelihood, sharpness
from geoloc.metrics.consistency import consistency, coverage, nees, nis


def draw(rng: np.random.Generator, n: int = 4000, d: int = 2) -> tuple[np.ndarray, np.ndarray]:
    root = rng.normal(size=(n, d, d)) + 2 * np.eye(d)
    return np.einsum("nij,nj->ni", root, rng.normal(size=(n, d))), root @ root.swapaxes(1, 2)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_honest_covariances_lie_on_the_diagonal(d: int, rng: np.random.Generator) -> None:
    curve = coverage_curve(nees(*draw(rng, d=d)), d)
    assert np.abs(curve.measured - curve.stated).max() < 0.03  # measured 0.008; one sigma at 0.5 is 0.008
    assert curve.miscalibration < 0.015


def test_the_curve_shows_which_way_covariances_lie(rng: np.random.Generator) -> None:
    errors, covs = draw(rng)
    boastful = coverage_curve(nees(errors, 0.5 * covs), 2)
    timid = coverage_curve(nees(errors, 2.0 * covs), 2)
    assert (boastful.measured < boastful.stated).all()
    assert (timid.measured > timid.stated).all()
    # exact for two dimensions: 1 - (1 - p)^f
    np.testing.assert_allclose(boastful.measured, 1 - (1 - boastful.stated) ** 0.5, atol=0.03)


def test_the_curve_runs_to_99_percent_and_agrees_with_coverage(rng: np.random.Generator) -> None:
    values = nees(*draw(rng))
    curve = coverage_curve(values, 2)
    assert (curve.stated[0], curve.stated[-1]) == (0.05, 0.99)
    assert curve.measured.tolist() == [coverage(values, 2, level) for level in LEVELS]
    low, high = block_bootstrap(curve.counts(0.95), lambda n: n[..., 0] / n[..., 1], rng)
    assert low < curve.measured[-2] < high


def test_innovations_need_no_truth(rng: np.random.Generator) -> None:
    # a filter on a random walk: its innovations have the covariance that it says, if its noise is right
    state, x, p, innovations, covs = 0.0, 0.0, 1.0, [], []
    for _ in range(3000):
        state += rng.normal(0, 0.3)
        s = p + 0.09 + 0.25
        innovation = state + rng.normal(0, 0.5) - x
        gain = (p + 0.09) / s
        x, p = x + gain * innovation, (1 - gain) * (p + 0.09)
        innovations.append([innovation])
        covs.append([[s]])
    values = nis(np.array(innovations), np.array(covs))
    assert consistency(values, 1).consistent
    assert not consistency(values * 1.2, 1).consistent


def test_sharpness_is_the_size_of_the_ellipse() -> None:
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    size = sharpness(np.array([turn @ np.diag([9.0, 4.0]) @ turn.T, np.eye(2), np.eye(2)]))
    assert size.worst_sigma == pytest.approx([3, 1, 1])
    assert size.area == pytest.approx([6 * np.pi, np.pi, np.pi])
    assert size.summary()["worst_sigma_mean"] == pytest.approx(5 / 3)
    assert size.summary()["area_median"] == pytest.approx(np.pi)
    assert sharpness(4 * np.eye(3)[None]).area == pytest.approx([4 / 3 * np.pi * 8])


def test_likelihood_is_scipys_and_best_for_the_true_covariance(rng: np.random.Generator) -> None:
    errors, covs = draw(rng)
    found = negative_log_likelihood(errors, covs)
    for row in range(5):
        assert found[row] == pytest.approx(-multivariate_normal.logpdf(errors[row], cov=covs[row]))
    for factor in (0.8, 1.25):
        assert negative_log_likelihood(errors, factor * covs).mean() > found.mean() + 0.01


def test_bad_values_are_named(rng: np.random.Generator) -> None:
    for figure in (lambda v: coverage_curve(v, 2), lambda v: consistency(v, 2), lambda v: coverage(v, 2, 0.5)):
        with pytest.raises(InputError, match="nothing was matched"):
            figure(np.empty(0))
        with pytest.raises(InputError, match="row 1 is nan"):
            figure(np.array([1.0, np.nan]))
    with pytest.raises(InputError, match="between 0 and 1"):
        coverage_curve(np.ones(3), 2, (0.5, 95))
    with pytest.raises(InputError, match=r"no level 0\.123"):
        coverage_curve(np.ones(3), 2).counts(0.123)
    with pytest.raises(InputError, match="no covariance"):
        sharpness(np.array([np.eye(2), -np.eye(2)]))
    with pytest.raises(InputError, match="no covariances were given"):
        sharpness(np.empty((0, 2, 2)))
    with pytest.raises(InputError, match="no errors were given"):
        negative_log_likelihood(np.empty((0, 2)), np.empty((0, 2, 2)))
