"""Points that were taken a while before the window: each goes on with the object that it was of."""

import numpy as np
import pytest

from geoloc.pipeline.alignment import align_times
from geoloc.scene.tables import GroundPoints, Tracks

SIGMA2 = 0.1 * np.eye(2)  # m²


def cars(xy: np.ndarray, velocity: np.ndarray, time: float) -> Tracks:
    n = len(xy)
    cov = np.tile(0.1 * np.eye(4), (n, 1, 1))
    return Tracks(
        time=np.full(n, time), track=np.arange(n), xy=xy, velocity=velocity, cov=cov, bias_cov=np.zeros((n, 2, 2)),
        label=["car"] * n,
    )  # fmt: skip


def seen(xy: np.ndarray, time: np.ndarray) -> GroundPoints:
    n = len(xy)
    cov = np.tile(SIGMA2, (n, 1, 1))
    return GroundPoints(
        time=time, camera=["A"] * n, level=["ground"] * n, xy=xy, cov=cov, bias_cov=np.zeros((n, 2, 2)),
        away=np.tile([1.0, 0.0], (n, 1)), label=["car"] * n,
    )  # fmt: skip


def test_an_old_point_goes_on_with_its_own_car_though_another_one_is_there_now() -> None:
    """Two cars on opposite lanes: a second ago each was where the other one is now."""
    tracks = cars(np.array([[6.0, 2.0], [0.0, -2.0]]), np.array([[6.0, 0.0], [-6.0, 0.0]]), 10.0)
    points = seen(np.array([[0.0, 2.0], [6.0, -2.0]]), np.full(2, 9.0))
    moved, late = align_times(points, tracks, 10.0, np.zeros(2))
    np.testing.assert_allclose(moved.xy, tracks.xy, atol=1e-9)
    assert np.array_equal(moved.cov, points.cov)
    assert not late.any()


@pytest.mark.parametrize("late_s", [0.0, 0.4, -1.2])
def test_points_among_many_cars_find_the_same_one_as_by_trying_all(rng, late_s: float) -> None:
    n = 60
    velocity = rng.uniform(-12.0, 12.0, (n, 2))
    tracks = cars(rng.uniform(0.0, 300.0, (n, 2)), velocity, 10.0)
    then = tracks.xy - late_s * velocity
    points = seen(then + rng.normal(0.0, 0.1, (n, 2)), np.full(n, 10.0 - late_s))
    moved, _ = align_times(points, tracks, 10.0, np.full(n, 0.01))
    best = np.hypot(*(points.xy[:, None] - then).transpose(2, 0, 1)).argmin(axis=1)
    np.testing.assert_allclose(moved.xy, points.xy + late_s * velocity[best], atol=1e-9)


def test_a_point_that_lay_on_no_car_stays_and_may_have_come_far() -> None:
    tracks = cars(np.array([[0.0, 0.0]]), np.array([[6.0, 0.0]]), 10.0)
    points = seen(np.array([[0.0, 0.0]]), np.array([9.0]))  # the car is here now, and was 6 m behind
    moved, _ = align_times(points, tracks, 10.0, np.zeros(1))
    assert np.array_equal(moved.xy, points.xy)
    assert (np.diagonal(moved.cov[0]) > 7.0**2).all()
