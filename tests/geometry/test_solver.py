"""Closed forms for three unknowns, held against numpy; unit rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from geoloc.geometry.solver import gram, inverse_symmetric_3, largest_eigenvalue_3, sandwich, times, whitening
from geoloc.geometry.vectors import unit_rows

SIGMA = st.floats(1e-3, 1e3)
TURN = st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3))


def turned(sigmas: tuple[float, float, float], turn: tuple[float, float, float]) -> np.ndarray:
    """Covariance (3, 3) with these standard deviations along turned axes."""
    rotation = Rotation.from_rotvec(turn).as_matrix()
    return rotation @ np.diag(np.square(sigmas)) @ rotation.T


@given(st.tuples(SIGMA, SIGMA, SIGMA), TURN)
def test_the_largest_eigenvalue_is_the_longest_axis(sigmas, turn):
    found = largest_eigenvalue_3(turned(sigmas, turn)[:, :, None])
    assert found[0] == pytest.approx(max(sigmas) ** 2, rel=1e-7)


@given(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10), st.floats(0.1, 10)), TURN)
def test_the_inverse_undoes_its_matrix(sigmas, turn):
    matrix = turned(sigmas, turn)
    inverse = inverse_symmetric_3(matrix[:, :, None])[:, :, 0]
    np.testing.assert_allclose(inverse @ matrix, np.eye(3), atol=1e-8)  # 1e-11 measured at a condition of 1e4


@given(st.floats(1e-2, 1e2), st.floats(1e-2, 1e2), st.floats(-0.99, 0.99))
def test_whitening_turns_a_covariance_into_unity(a, b, correlation):
    cov = np.array([[a * a, correlation * a * b], [correlation * a * b, b * b]])
    xx, yx, yy = whitening(cov[[0, 0, 1], [0, 1, 1]][:, None])[:, 0]
    lower = np.array([[xx, 0.0], [yx, yy]])
    np.testing.assert_allclose(lower @ cov @ lower.T, np.eye(2), atol=1e-9)


def test_products_agree_with_einsum_free_numpy(rng):
    rows = rng.normal(size=(2, 3, 4, 5))
    matrices = gram(rows)
    vectors = rng.normal(size=(3, 5))
    for m in range(5):
        stacked = rows[:, :, :, m].transpose(0, 2, 1).reshape(-1, 3)
        np.testing.assert_allclose(matrices[:, :, m], stacked.T @ stacked)
        np.testing.assert_allclose(times(matrices, vectors)[:, m], matrices[:, :, m] @ vectors[:, m])
        other = np.diag([1.0, 2.0, 3.0])[:, :, None] * np.ones(5)
        wanted = matrices[:, :, m] @ other[:, :, m] @ matrices[:, :, m]
        np.testing.assert_allclose(sandwich(matrices, other)[:, :, m], wanted)


def test_a_singular_matrix_gives_no_finite_inverse_and_no_warning():
    assert not np.isfinite(inverse_symmetric_3(np.ones((3, 3, 1)))).any()
    assert largest_eigenvalue_3(np.eye(3)[:, :, None]) == pytest.approx(1.0)


def test_unit_rows_have_length_one_and_zero_stays_zero():
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [1e-12, 0.0]])
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8], [0.0, 0.0], [0.0, 0.0]])
    assert unit_rows(np.zeros((4, 0))).shape == (4, 0)
    assert unit_rows(np.zeros((0, 3))).shape == (0, 3)
