"""Gaussians in two dimensions: closed forms against NumPy's general ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.errors import InputError
from geoloc.geometry.gaussian import (
    ellipse,
    inverse_2x2,
    is_covariance,
    is_covariance_2x2,
    mahalanobis2,
    require_covariances,
    symmetric,
    worst_sigma,
)

sigma, angle = st.floats(1e-3, 1e3), st.floats(0, np.pi)


def covariance(major, minor, turn):
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return rotation @ np.diag([major**2, minor**2]) @ rotation.T


@given(sigma, sigma, angle)
def test_the_worst_sigma_is_the_longest_axis(a, b, turn):
    assert float(worst_sigma(covariance(a, b, turn))) == pytest.approx(max(a, b), rel=1e-9)


@given(st.floats(0.1, 10), st.floats(0.1, 10), angle)
def test_the_ellipse_holds_its_share_and_points_along_its_axis(a, b, turn):
    major, minor, along = ellipse(covariance(a, b, turn), 0.95)
    scale = 2.447746830680816  # sqrt of the 95 % quantile of chi-square with 2 degrees (published tables: 5.991)
    assert float(major) == pytest.approx(scale * max(a, b), rel=1e-6)
    assert float(minor) == pytest.approx(scale * min(a, b), rel=1e-6)
    assert -np.pi / 2 < along <= np.pi / 2
    if abs(a - b) > 0.01:
        want = turn if a > b else turn + np.pi / 2
        assert abs(np.sin(float(along) - want)) < 1e-5


def test_half_of_the_samples_lie_in_the_ellipse_of_one_half(rng):
    cov = covariance(3.0, 0.5, 0.7)
    xy = rng.multivariate_normal([0, 0], cov, 20000)
    major, minor, along = ellipse(cov, 0.5)
    u, v = xy @ [np.cos(along), np.sin(along)], xy @ [-np.sin(along), np.cos(along)]
    share = ((u / major) ** 2 + (v / minor) ** 2 <= 1).mean()
    assert share == pytest.approx(0.5, abs=0.0145)  # 4 sigma of 20,000 draws; measured 0.505


def test_closed_forms_agree_with_numpy(rng):
    matrices = rng.normal(size=(50, 2, 2))
    np.testing.assert_allclose(inverse_2x2(matrices), np.linalg.inv(matrices), rtol=1e-8)
    covs = matrices @ matrices.swapaxes(1, 2) + 0.01 * np.eye(2)
    d = rng.normal(size=(50, 2))
    want = np.einsum("ni,nij,nj->n", d, np.linalg.inv(covs), d)
    np.testing.assert_allclose(mahalanobis2(d, covs), want, rtol=1e-8)
    assert symmetric(matrices)[3, 0, 1] == symmetric(matrices)[3, 1, 0]


def test_a_singular_matrix_gives_no_finite_inverse_and_no_warning():
    assert not np.isfinite(inverse_2x2(np.ones((2, 2)))).any()


def test_what_is_no_covariance_is_told_apart():
    good = np.eye(2)
    bad = np.array([[[1.0, 2], [2, 1]], [[1, 0.5], [0, 1]], [[0, 0], [0, 1]], [[np.nan, 0], [0, 1]], [[-1, 0], [0, 1]]])
    assert is_covariance(np.concatenate([good[None], bad])).tolist() == [True] + [False] * 5
    assert is_covariance(np.zeros((0, 2, 2))).shape == (0,)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=4, max_size=4))
def test_the_closed_form_knows_a_covariance_as_the_eigenvalues_do(values):
    cov = np.reshape(values, (1, 2, 2))
    good = bool(is_covariance_2x2(cov)[0])
    if good:
        assert np.isfinite(cov).all()
        assert np.linalg.eigvalsh(symmetric(cov / np.abs(cov).max()))[0, 0] > -1e-9
    elif np.isfinite(cov).all() and 0 < np.abs(cov).max() < 1e100:
        scaled = cov / np.abs(cov).max()
        lopsided = abs(scaled[0, 0, 1] - scaled[0, 1, 0]) > 1e-7
        assert lopsided or np.linalg.eigvalsh(symmetric(scaled))[0, 0] < 1e-9


def test_the_first_row_that_is_no_covariance_is_named():
    covs = np.stack([np.eye(2), np.zeros((2, 2)), np.ones((2, 2))])
    with pytest.raises(InputError, match=r"points: row 1 is \[\[0.0, 0.0\], \[0.0, 0.0\]\].*\(2 such rows of 3\)"):
        require_covariances(covs, "points")
    require_covariances(covs[:1], "points")
    require_covariances(covs[:0], "points")
