"""How much positions tremble around the truth from frame to frame, and how far speeds are off.

An offset that stays the same is no jitter: a parked car that is decimetres off but stands still has none.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.detection import Formula

# Of counts (..., 4): steps of what stands and the sum of their squares (m²), the same of what moves.
# No step at all gives 0.
JITTER_FIGURES: dict[str, Formula] = {
    "rms": lambda n: np.sqrt((n[..., 1] + n[..., 3]) / np.maximum(n[..., 0] + n[..., 2], 1.0)),
    "rms_still": lambda n: np.sqrt(n[..., 1] / np.maximum(n[..., 0], 1.0)),
    "rms_moving": lambda n: np.sqrt(n[..., 3] / np.maximum(n[..., 2], 1.0)),
}


@dataclass(frozen=True, eq=False)
class JitterScores:
    """M steps from one frame of a truth to its next: how much the error changed.

    `truth` (M,) id, `time` (M,) s of the later frame, `change` (M, 2) m of the error, `still` (M,) bool: the truth
    stood.
    """

    truth: np.ndarray
    time: np.ndarray
    change: np.ndarray
    still: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def counts(self) -> np.ndarray:
        """Counts of each step (M, 4), as JITTER_FIGURES take them."""
        square = (self.change**2).sum(axis=1)
        columns = [self.still, self.still * square, ~self.still, ~self.still * square]
        return np.stack(columns, axis=1).astype(float)

    def figure(self, name: str) -> float:
        """One of JITTER_FIGURES over all steps: m."""
        counts = self.counts.sum(axis=0)
        n = {"rms": counts[0] + counts[2], "rms_still": counts[0], "rms_moving": counts[2]}
        if name in n and not n[name]:
            raise InputError(f"jitter: {name} has no steps; no truth of that kind was followed in two frames running")
        return float(JITTER_FIGURES[name](counts))

    def per_truth(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ids (K,), their number of steps (K,) and their RMS (K,) m."""
        ids, which, n = np.unique(self.truth, return_inverse=True, return_counts=True)
        square = np.bincount(which, weights=(self.change**2).sum(axis=1), minlength=len(ids))
        return ids, n, np.sqrt(square / n)


@dataclass(frozen=True, eq=False)
class SpeedScores:
    """Errors of N velocities: `speed_error` (N,) m/s, positive where too fast; `velocity_error` (N,) m/s, a length."""

    speed_error: np.ndarray
    velocity_error: np.ndarray

    @property
    def bias(self) -> float:
        """Mean of the speed's error (m/s)."""
        return float(self.speed_error.mean())

    @property
    def rmse(self) -> float:
        """Root mean square of the speed's error (m/s)."""
        return float(np.sqrt((self.speed_error**2).mean()))

    @property
    def median_abs(self) -> float:
        """Median of the speed's absolute error (m/s)."""
        return float(np.median(np.abs(self.speed_error)))


def score_jitter(
    time: np.ndarray,
    truth: np.ndarray,
    error_xy: np.ndarray,
    speed: np.ndarray,
    max_step_s: float,
    still_below: float = 0.2,
) -> JitterScores:
    """Jitter of errors (N, 2) m, result less truth, of the matched truths `truth` (N,) id at `time` (N,) s.

    A step joins two rows of one truth that follow each other by at most `max_step_s` (1.5 frames is a fair choice),
    so that gaps are no jitter. A truth stands in a step if its true `speed` (N,) m/s is below `still_below` at both
    ends. A truth that changes to another result jumps, and the jump counts; give (truth, result) pairs a number
    each as `truth` to leave it out.
    """
    time, error_xy, speed, order = _sorted(time, truth, error_xy, speed)
    if not max_step_s > 0:
        raise InputError(f"jitter: steps of at most {max_step_s} s; give more than 0")
    ids = np.asarray(truth)[order]
    step = np.flatnonzero((ids[1:] == ids[:-1]) & (np.diff(time) <= max_step_s))
    still = (speed[step] < still_below) & (speed[step + 1] < still_below)
    return JitterScores(ids[step + 1], time[step + 1], error_xy[step + 1] - error_xy[step], still)


def true_speeds(time: np.ndarray, truth: np.ndarray, xy: np.ndarray, max_step_s: float) -> np.ndarray:
    """Speed (N,) m/s of each row from the true positions (N, 2) m before and after it, at most `max_step_s` away.

    Of a row with one such neighbour, the speed between the two; of a row with none, 0.
    """
    time, xy, _, order = _sorted(time, truth, xy, np.zeros(len(time)))
    ids = np.asarray(truth)[order]
    joined = (ids[1:] == ids[:-1]) & (np.diff(time) <= max_step_s)
    before = np.arange(len(time)) - np.concatenate([[0], joined]).astype(int)[: len(time)]
    after = np.arange(len(time)) + np.concatenate([joined, [0]]).astype(int)[: len(time)]
    moved, took = np.linalg.norm(xy[after] - xy[before], axis=1), time[after] - time[before]
    out = np.zeros(len(time))
    out[order] = np.divide(moved, took, out=np.zeros_like(moved), where=took > 0)
    return out


def score_speeds(velocity: np.ndarray, true_velocity: np.ndarray) -> SpeedScores:
    """Errors of velocities (N, 2) m/s against the true ones (N, 2) m/s, row by row."""
    velocity, true_velocity = np.asarray(velocity, float), np.asarray(true_velocity, float)
    if velocity.shape != true_velocity.shape or velocity.ndim != 2:
        raise InputError(f"speeds: velocities {velocity.shape}, true {true_velocity.shape}; give (N, 2) each")
    if not len(velocity):
        raise InputError("speeds: no velocities were given; nothing was matched with the truth")
    bad = np.flatnonzero(~(np.isfinite(velocity) & np.isfinite(true_velocity)).all(axis=1))
    if len(bad):
        raise InputError(f"speeds: row {bad[0]} is not finite; leave the {len(bad)} such rows out")
    speed, true_speed = np.linalg.norm(velocity, axis=1), np.linalg.norm(true_velocity, axis=1)
    return SpeedScores(speed - true_speed, np.linalg.norm(velocity - true_velocity, axis=1))


def _sorted(
    time: np.ndarray, truth: np.ndarray, xy: np.ndarray, speed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """time, xy and speed sorted by truth, then time, and the order."""
    time, truth, xy, speed = np.asarray(time, float), np.asarray(truth), np.asarray(xy, float), np.asarray(speed, float)
    n = len(time)
    if truth.shape != (n,) or xy.shape != (n, 2) or speed.shape != (n,):
        raise InputError(
            f"jitter: time {time.shape}, truth {truth.shape}, xy {xy.shape}, speed {speed.shape}; "
            "they must be (N,), (N,), (N, 2), (N,) of one N"
        )
    bad = np.flatnonzero(~(np.isfinite(time) & np.isfinite(xy).all(axis=1) & np.isfinite(speed)))
    if len(bad):
        raise InputError(f"jitter: row {bad[0]} is not finite; leave the {len(bad)} such rows out")
    order = np.lexsort((time, np.unique(truth, return_inverse=True)[1]))
    twice = np.flatnonzero((np.diff(time[order]) == 0) & (truth[order][1:] == truth[order][:-1]))
    if len(twice):
        row = order[twice[0] + 1]
        raise InputError(f"jitter: truth {truth[row]} comes more than once at {time[row]} s; one row of it is needed")
    return time[order], xy[order], speed[order], order
