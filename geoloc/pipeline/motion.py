"""Motion models: how a track's state and covariance move on. State x, y (m), vx, vy (m/s), and turn rate (rad/s).

Constant velocity with white-noise acceleration, and the nearly coordinated turn (Bar-Shalom, Li and
Kirubarajan, 2001, sections 6.2.2 and 11.7.1).
"""

from typing import Protocol

import numpy as np

STATE_SIZE = {"constant_velocity": 4, "coordinated_turn": 5}
SMALL_TURN = 1e-4  # rad over a step, below which the turn's limits are used


class Motion(Protocol):
    """Moves states (T, d) and covariances (T, d, d) on by dt (T,) or a number of seconds."""

    def __call__(
        self, state: np.ndarray, cov: np.ndarray, dt: np.ndarray | float, noise: np.ndarray, turn_noise: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """State, covariance, and the transition (T, d, d) that the smoother needs.

        `noise` (T,) is the acceleration's density in m/s^1.5, `turn_noise` the turn rate's in rad/s^1.5.
        """


def constant_velocity(
    state: np.ndarray, cov: np.ndarray, dt: np.ndarray | float, noise: np.ndarray, turn_noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Straight on; see `Motion`."""
    dt = np.broadcast_to(np.asarray(dt, float), len(state))
    transition = np.zeros((len(state), 4, 4))
    transition[:, range(4), range(4)] = 1.0
    transition[:, 0, 2] = transition[:, 1, 3] = dt
    moved = np.einsum("tij,tj->ti", transition, state)
    return moved, transition @ cov @ transition.swapaxes(1, 2) + _acceleration_noise(dt, noise, 4), transition


def coordinated_turn(
    state: np.ndarray, cov: np.ndarray, dt: np.ndarray | float, noise: np.ndarray, turn_noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along a circle at the state's turn rate, linearised there; see `Motion`."""
    dt = np.broadcast_to(np.asarray(dt, float), len(state))
    vx, vy, rate = state[:, 2], state[:, 3], state[:, 4]
    turn = rate * dt
    straight = np.abs(turn) < SMALL_TURN
    safe = np.where(straight, 1.0, rate)
    sin, cos = np.sin(turn), np.cos(turn)
    a = np.where(straight, dt, sin / safe)  # integral of cos
    b = np.where(straight, 0.5 * turn * dt, (1.0 - cos) / safe)  # integral of sin
    da = np.where(straight, -turn * dt * dt / 3.0, (turn * cos - sin) / safe**2)
    db = np.where(straight, 0.5 * dt * dt, (turn * sin - 1.0 + cos) / safe**2)
    moved = state.copy()
    moved[:, 0] += a * vx - b * vy
    moved[:, 1] += b * vx + a * vy
    moved[:, 2], moved[:, 3] = cos * vx - sin * vy, sin * vx + cos * vy
    transition = np.zeros((len(state), 5, 5))
    transition[:, range(5), range(5)] = 1.0
    transition[:, 0, 2], transition[:, 0, 3] = a, -b
    transition[:, 1, 2], transition[:, 1, 3] = b, a
    transition[:, 2, 2], transition[:, 2, 3] = cos, -sin
    transition[:, 3, 2], transition[:, 3, 3] = sin, cos
    transition[:, 0, 4], transition[:, 1, 4] = da * vx - db * vy, db * vx + da * vy
    transition[:, 2, 4], transition[:, 3, 4] = -dt * moved[:, 3], dt * moved[:, 2]
    process = _acceleration_noise(dt, noise, 5)
    process[:, 4, 4] = turn_noise**2 * dt
    return moved, transition @ cov @ transition.swapaxes(1, 2) + process, transition


MOTIONS: dict[str, Motion] = {"constant_velocity": constant_velocity, "coordinated_turn": coordinated_turn}


def _acceleration_noise(dt: np.ndarray, noise: np.ndarray, size: int) -> np.ndarray:
    density = noise**2
    process = np.zeros((len(dt), size, size))
    for i in range(2):
        process[:, i, i] = density * dt**3 / 3.0
        process[:, i, i + 2] = process[:, i + 2, i] = density * dt**2 / 2.0
        process[:, i + 2, i + 2] = density * dt
    return process
