"""Where cars stand when, and which places of a path that closes at which time."""

import numpy as np
from scipy.spatial import cKDTree

from geoloc.synthetic.paths import STEP, Leg

FOREVER = 2**31
REACH = 6.5  # m, two cars whose centres are farther apart do not touch
STOREY = 1.5  # m, cars farther apart in height do not touch
GAP = 0.6  # m that a queuing car leaves at least, before and behind
SIDE_GAP = 0.12  # m to the side
STALL_GAP = 0.03  # m to the side and ahead, in a stall
BEFORE, AFTER = 1, 2  # steps that a place stays closed around the time at which a car is there
COARSE = 2  # samples of the path for one test


def rectangles_overlap(
    xy_a: np.ndarray,
    heading_a: np.ndarray,
    size_a: np.ndarray,
    xy_b: np.ndarray,
    heading_b: np.ndarray,
    size_b: np.ndarray,
) -> np.ndarray:
    """Which pairs of rectangles overlap: centres (N, 2) m, headings (N,) rad, lengths and widths (N, 2) m.

    Separating axes: two rectangles are apart if one of their four sides' directions separates them.
    """
    gap = xy_b - xy_a
    cos, sin = np.abs(np.cos(heading_b - heading_a)), np.abs(np.sin(heading_b - heading_a))
    apart = np.zeros(len(gap), dtype=bool)
    for heading, own, other in ((heading_a, size_a, size_b), (heading_b, size_b, size_a)):
        c, s = np.cos(heading), np.sin(heading)
        along, across = np.abs(gap[:, 0] * c + gap[:, 1] * s), np.abs(gap[:, 1] * c - gap[:, 0] * s)
        apart |= 2 * along > own[:, 0] + other[:, 0] * cos + other[:, 1] * sin
        apart |= 2 * across > own[:, 1] + other[:, 0] * sin + other[:, 1] * cos
    return ~apart


class Occupancy:
    """The runs of steps for which each car stands at a place, in the planner's steps."""

    def __init__(self) -> None:
        self._pose = np.empty((0, 4))  # x, y, z, heading
        self._size = np.empty((0, 2))
        self._run = np.empty((0, 3), int)  # car, first step, last step

    def add(self, car: int, pose: np.ndarray, size: np.ndarray, first: int, stays: bool) -> None:
        """`car` of length and width `size` is at `pose` (n, 4: x, y, z, heading) at steps first, first + 1, ...

        `stays`: after the last of them it stands there until `release`.
        """
        new = np.append(True, (np.diff(pose, axis=0) != 0).any(axis=1))
        starts = np.flatnonzero(new)
        ends = np.append(starts[1:] - 1, len(pose) - 1) + first
        if stays:
            ends[-1] = FOREVER
        runs = np.column_stack([np.full(len(starts), car), starts + first, ends])
        self._pose = np.concatenate([self._pose, pose[starts]])
        self._size = np.concatenate([self._size, np.broadcast_to(size[:2], (len(starts), 2))])
        self._run = np.concatenate([self._run, runs])

    def release(self, car: int, step: int) -> None:
        """`car` stands no longer than `step` where it stood."""
        self._run[(self._run[:, 0] == car) & (self._run[:, 2] == FOREVER), 2] = step

    def blocked(self, car: int, leg: Leg, size: np.ndarray, first: int, n_steps: int) -> np.ndarray:
        """Where `car` may not be on `leg` at steps first, first + 1, ...: (n_steps, n) bool."""
        n = len(leg.xyz)
        closed = np.zeros((n_steps + 1, -(-n // COARSE)), dtype=int)
        run, sample = self._touching(car, leg, size, first, n_steps)
        begin = np.clip(self._run[run, 1] - BEFORE - first, 0, n_steps)
        end = np.clip(self._run[run, 2] + AFTER + 1 - first, 0, n_steps)
        np.add.at(closed, (begin, sample), 1)
        np.add.at(closed, (end, sample), -1)
        blocked = np.repeat(np.cumsum(closed[:-1], axis=0) > 0, COARSE, axis=1)[:, :n]
        times = (np.arange(n_steps) + first) * STEP
        for place, light in leg.reds:
            strip = round(2 * STEP * leg.cap[place] / leg.spacing) + 1  # no step is long enough to jump it
            red = light.is_red(times) | light.is_red(times - 0.99 * STEP)  # also on the way to this step
            blocked[red, place : place + strip] = True
        return blocked

    def _touching(
        self, car: int, leg: Leg, size: np.ndarray, first: int, n_steps: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a run and a coarse sample of the leg at which the two cars would touch."""
        alive = (self._run[:, 0] != car) & (self._run[:, 2] >= first - AFTER)
        rows = np.flatnonzero(alive & (self._run[:, 1] <= first + n_steps + BEFORE))
        middle = np.minimum(np.arange(0, len(leg.xyz), COARSE) + COARSE // 2, len(leg.xyz) - 1)
        near = cKDTree(leg.xyz[middle]).query_ball_point(self._pose[rows, :3], REACH)
        counts = np.fromiter(map(len, near), dtype=int, count=len(rows))
        run = np.repeat(rows, counts)
        sample = np.fromiter((i for found in near for i in found), dtype=int, count=counts.sum())
        place = middle[sample]
        tight = leg.tight[place]
        half_sample = leg.spacing * COARSE
        own = np.column_stack(
            [
                size[0] + half_sample + np.where(tight, STALL_GAP, 2 * GAP),
                size[1] + 2 * np.where(tight, STALL_GAP, SIDE_GAP),
            ]
        )
        pose = self._pose[run]
        hit = rectangles_overlap(
            leg.xyz[place, :2], leg.heading[place], own, pose[:, :2], pose[:, 3], self._size[run]
        )
        hit &= np.abs(leg.xyz[place, 2] - pose[:, 2]) < STOREY
        return run[hit], sample[hit]
