"""Evidence about the clocks of pairs of cameras that saw the same objects, and what follows from all of it together.

Parameters of a camera, in this order: offset (s), drift (s/s), distance along the line of sight (of the class's
length), shift east and north (m); see `kernels.clock_evidence`.
"""

import numpy as np

from geoloc.pipeline.lazily import clock_evidence, clock_solving

OFFSET, DRIFT = 0, 1
SIZE = 5  # parameters of a camera
SOLVE_S = 5.0  # least time between two solutions,
RENEW_S = 60.0  # of which one so often is of all cameras,
FRESH = 0.1  # the others of those whose evidence has grown by this share
NEIGHBOURS = 10  # cameras that are solved for together


class ClockTies:
    """Parameters of C cameras with Gaussian priors of `sigma` (C, 5) about zero, `mean` (C, 5) and `cov` (C, 5, 5).

    `variance` (C,) s² is that of each offset against the best common one of the cameras that see what it sees.
    """

    def __init__(self, sigma: np.ndarray, memory_s: float) -> None:
        n = len(sigma)
        self.sigma, self.mean = sigma.copy(), np.zeros((n, SIZE))
        self.cov: np.ndarray = sigma[:, :, None] ** 2 * np.eye(SIZE)
        self.variance = sigma[:, OFFSET] ** 2
        self.time = np.nan  # s, of the offsets among the parameters
        self._memory_s = memory_s
        self._solved = -np.inf  # s
        self._tie = np.zeros(0, dtype=np.int64)  # first camera times C plus the second, larger one; ascending
        self._information = np.zeros((0, 2 * SIZE, 2 * SIZE))
        self._weighted = np.zeros((0, 2 * SIZE))
        self._count = np.zeros(0)  # of comparisons
        self._heard = np.zeros((2, n))  # comparisons of each camera, and those since it was solved for

    def offsets(self, time: float | np.ndarray, camera: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Offsets (N,) s of cameras (N,) at a time, or at (N,) times (s)."""
        return self.mean[camera, OFFSET] + self.mean[camera, DRIFT] * (time - self.time)

    def learn(self, pairs: np.ndarray, time: float, *window: np.ndarray | float) -> None:
        """Take in pairs' evidence at `time` (s): `pairs` (P,) as of `ties_of`, the rest as `learn_pairs` takes it."""
        if not len(pairs):
            return
        if np.isnan(self.time):
            self.time = self._solved = time - SOLVE_S
        if time - self.time >= RENEW_S:
            self._move_on(time)
        self._make_room(pairs)
        before = self._count.copy()
        rows, groups, z, noise, velocity, own, robust2 = window
        given = rows, groups, np.searchsorted(self._tie, pairs), z, noise, velocity, time - self.time, own, robust2
        clock_evidence.learn_pairs(*given, self.mean, self.cov, self._information, self._weighted, self._count)
        self._heard += self._of_cameras(self._count - before)

    def solve(self, time: float) -> bool:
        """Renew what is known where there is enough new evidence; whether anything was."""
        total, fresh = self._heard
        wanted = fresh > FRESH * total
        if time - self._solved < SOLVE_S or not wanted.any():
            return False
        self._solved = time
        fresh[wanted] = 0.0
        evidence = self._tie, self._information, self._weighted, self._count, self.sigma, wanted, NEIGHBOURS
        clock_solving.solve_clocks(*evidence, self.mean, self.cov, self.variance)
        return True

    def forget(self, camera: int, sigma: float) -> None:
        """Start anew with a camera, whose offset is known to `sigma` (s) now."""
        n = len(self.mean)
        mine = (self._tie // n == camera) | (self._tie % n == camera)
        for evidence in (self._information, self._weighted, self._count):
            evidence[mine] = 0.0
        self.sigma[camera, OFFSET] = sigma
        self.mean[camera] = 0.0
        self.cov[camera] = np.diag(self.sigma[camera] ** 2)
        self.variance[camera] = sigma**2
        self._heard[:, camera] = 0.0

    def _move_on(self, time: float) -> None:
        """Offsets of now in place of those of a while ago; evidence fades, so all cameras want to be solved for."""
        dt = time - self.time
        keep = float(np.exp(-dt / self._memory_s))
        clock_evidence.age(self._information, self._weighted, self._count, dt, keep)
        self._heard[1] = self._heard[0]
        self.mean[:, OFFSET] += dt * self.mean[:, DRIFT]
        self.time = time

    def _make_room(self, pairs: np.ndarray) -> None:
        known = np.union1d(self._tie, pairs)
        if len(known) == len(self._tie):
            return
        old, at = (self._information, self._weighted, self._count), np.searchsorted(known, self._tie)
        new = [np.zeros((len(known), *array.shape[1:])) for array in old]
        for array, grown in zip(old, new, strict=True):
            grown[at] = array
        self._tie = known
        self._information, self._weighted, self._count = new

    def _of_cameras(self, count: np.ndarray) -> np.ndarray:
        n = len(self.mean)
        return np.bincount(self._tie // n, count, n) + np.bincount(self._tie % n, count, n)
