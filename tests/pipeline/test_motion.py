import numpy as np
import pytest

from geoloc.pipeline.motion import MOTIONS, STATE_SIZE, constant_velocity, coordinated_turn

STATES = np.array([[1.0, 2.0, 3.0, -1.0, 0.4], [0.0, 0.0, 8.0, 2.0, -0.9], [5.0, 5.0, -1.0, 0.5, 1e-6]])


@pytest.mark.parametrize("name", MOTIONS)
def test_the_transition_is_the_derivative_of_the_motion(name):
    size, move = STATE_SIZE[name], MOTIONS[name]
    state, cov = STATES[:, :size], np.broadcast_to(np.eye(size), (3, size, size))
    _, _, transition = move(state, cov, 0.7, np.ones(3), 0.1)
    for i in range(size):
        step = np.zeros(size)
        step[i] = 1e-6
        more, less = (move(state + s, cov, 0.7, np.ones(3), 0.1)[0] for s in (step, -step))
        assert np.allclose(transition[:, :, i], (more - less) / 2e-6, atol=2e-6)


def test_a_turn_is_a_circle():
    """8 m/s at 0.5 rad/s is a circle of 16 m: after a full turn the car is back."""
    state, cov = np.array([[0.0, 0.0, 8.0, 0.0, 0.5]]), np.eye(5)[None]
    moved = state
    for _ in range(100):
        moved = coordinated_turn(moved, cov, 2 * np.pi / 0.5 / 100, np.ones(1), 0.1)[0]
    assert np.allclose(moved, state, atol=1e-9)
    half = coordinated_turn(state, cov, np.pi / 0.5, np.ones(1), 0.1)[0]
    assert np.allclose(half[0, :2], [0.0, 32.0], atol=1e-9)


def test_without_a_turn_both_motions_agree():
    state, cov = STATES[:, :5] * [1, 1, 1, 1, 0], np.broadcast_to(np.eye(5), (3, 5, 5))
    straight, straight_cov, _ = constant_velocity(state[:, :4], cov[:, :4, :4], 0.5, np.ones(3), 0.0)
    turned, turned_cov, _ = coordinated_turn(state, cov * np.diag([1, 1, 1, 1, 0]), 0.5, np.ones(3), 0.0)
    assert np.allclose(straight, turned[:, :4])
    assert np.allclose(straight_cov, turned_cov[:, :4, :4])


def test_two_half_steps_are_one_step(rng):
    """What is predicted must not depend on how often: cov after 2 x 0.5 s is that after 1 s."""
    state, cov = STATES[:, :4], np.broadcast_to(0.1 * np.eye(4), (3, 4, 4))
    once = constant_velocity(state, cov, 1.0, np.ones(3), 0.0)
    half = constant_velocity(state, cov, 0.5, np.ones(3), 0.0)
    twice = constant_velocity(half[0], half[1], 0.5, np.ones(3), 0.0)
    assert np.allclose(once[0], twice[0])
    assert np.allclose(once[1], twice[1])
