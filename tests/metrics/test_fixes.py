"""Positions against sparse fixes: interpolated between them, silent beyond them."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.fixes import distance_to_fixes


def test_fixes_are_interpolated_and_gaps_are_not_bridged() -> None:
    fix_time, fix_xy = np.array([30.0, 0.0, 10.0]), np.array([[30.0, 0.0], [0.0, 0.0], [10.0, 0.0]])
    time = np.array([-1.0, 0.0, 5.0, 10.0, 20.0, 30.0, 31.0])
    xy = np.column_stack([np.clip(time, 0, 30), np.full(7, 2.0)])
    near = distance_to_fixes(time, xy, fix_time, fix_xy, max_gap_s=12.0)
    np.testing.assert_allclose(near, [np.nan, 2, 2, 2, np.nan, 2, np.nan])  # 20 s lies in a gap of 20 s
    assert np.isnan(distance_to_fixes(time, xy, np.empty(0), np.empty((0, 2)), 12.0)).all()


def test_fixes_of_two_loggers_at_once_are_refused() -> None:
    with pytest.raises(InputError, match="one logger"):
        distance_to_fixes(np.zeros(1), np.zeros((1, 2)), np.zeros(2), np.zeros((2, 2)), 1.0)
