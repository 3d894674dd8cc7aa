"""A clock that jumps takes its camera's points off the others' tracks altogether, so no comparison tells of it.

But each point also votes for the offset that would put it on the one track of other cameras on whose way it lies:
votes that agree on another offset than those before are a jump.
"""

from collections import deque
from typing import NamedTuple

import numpy as np

from geoloc.pipeline.lazily import clock_votes

LEAST_SPREAD_S = 0.05  # of a camera's votes
JUMP_TRACKS = 3  # whose points must agree on a jump
MOST_JUMPS = 1000  # that are remembered


class ClockJump(NamedTuple):
    """A clock that jumped: from `time` (s) on its stamps are later by `size` (s)."""

    camera: str
    time: float
    size: float
    sigma: float  # s, of the size


class JumpVotes:
    """The last votes of each camera: `n_votes` new ones are compared with twice as many before."""

    def __init__(self, names: list[str], n_votes: int) -> None:
        self.found: deque[ClockJump] = deque(maxlen=MOST_JUMPS)
        self._names = names
        self._n_votes = n_votes
        self._votes = np.full((len(names), 3 * n_votes, 4), np.nan)

    def __bool__(self) -> bool:
        return bool(self.found)

    def take(self, *window: object) -> np.ndarray:
        """Add a window's votes, see `kernels.clock_votes.vote`: which cameras (C,) have new ones."""
        return clock_votes.vote(*window, self._votes) > 0

    def decide(
        self, fresh: np.ndarray, spread_s: float, least_s: float, sigmas: float, mean: np.ndarray, sigma: np.ndarray
    ) -> tuple[int, ClockJump] | None:
        """The camera whose votes agree on a jump, of several the one furthest from none."""
        limits = self._n_votes, JUMP_TRACKS, spread_s, least_s, sigmas, LEAST_SPREAD_S
        size, doubt, since = clock_votes.jumps_of(self._votes, fresh, *limits, mean, sigma)
        camera = int(np.argmax(np.abs(size) / doubt))
        if size[camera] == 0.0:
            return None
        self._votes[:] = np.nan
        jump = ClockJump(self._names[camera], float(since[camera]), float(size[camera]), float(doubt[camera]))
        self.found.append(jump)
        return camera, jump
