"""Motion models: how a track's state and covariance move on. State x, y (m), vx, vy (m/s), and turn rate (rad/s).

Constant velocity with white-noise acceleration, and the nearly coordinated turn (Bar-Shalom, Li and
Kirubarajan, 2001, sections 6.2.2 and 11.7.1).
"""

from typing import Protocol

import numpy as np

from geoloc.pipeline.lazily import motion

STATE_SIZE = {"constant_velocity": 4, "coordinated_turn": 5}


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
    return _move_on(state, cov, dt, noise, turn_noise)


def coordinated_turn(
    state: np.ndarray, cov: np.ndarray, dt: np.ndarray | float, noise: np.ndarray, turn_noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along a circle at the state's turn rate, linearised there; see `Motion`."""
    return _move_on(state, cov, dt, noise, turn_noise)


MOTIONS: dict[str, Motion] = {"constant_velocity": constant_velocity, "coordinated_turn": coordinated_turn}


def _move_on(
    state: np.ndarray, cov: np.ndarray, dt: np.ndarray | float, noise: np.ndarray, turn_noise: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    steps = np.array(np.broadcast_to(np.asarray(dt, float), len(state)))
    given = np.ascontiguousarray(state), np.ascontiguousarray(cov), steps, np.ascontiguousarray(noise)
    return motion.move_on(*given, float(turn_noise))
