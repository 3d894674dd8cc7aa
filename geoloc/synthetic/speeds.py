"""Speed profiles that meet nobody: dynamic programming on the lattice of place, speed and time.

A car's path is fixed, and cars are planned one after the other; each finds the least delayed profile around
those that were planned before it (prioritised planning, Erdmann and Lozano-Perez 1987; path-velocity
decomposition, Kant and Zucker 1986). Queues, yielding and waiting at red lights come out of it.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.synthetic.paths import DS, DV, STEP, Leg

ACCELERATIONS = (-2, -1, 0, 1)  # in DV a step: brakes up to 3 m/s², gains 1.5 m/s²
COMFORT = 0.02  # cost of a unit of acceleration squared, beside 1 for a step of delay at the start
SLOW_ENTRY = 0.1  # cost of coming into the world slower by DV
PATIENCE = 40  # steps that the planner looks past the first arrival, so that waiting earlier stays possible


@dataclass(frozen=True, eq=False)
class Drive:
    """A leg with its speed profile: fractional sample and speed (in DV) at each step from `first` on."""

    leg: Leg
    first: int
    index: np.ndarray  # (n,) int
    speed: np.ndarray  # (n,) int

    @property
    def last(self) -> int:
        """The step at which the car stands at the end of the leg, or leaves."""
        return self.first + len(self.index) - 1

    def at(self, step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sample of the leg and velocity along its heading (m/s) at fractional steps (N,) of the drive."""
        i = np.clip(np.floor(step).astype(int) - self.first, 0, len(self.index) - 2)
        f = step - self.first - i
        v0, v1 = self.speed[i], self.speed[i + 1]
        index = self.index[i] + 2 * v0 * f + (v1 - v0) * f**2
        forward = -1.0 if self.leg.reverse else 1.0
        return index, forward * (v0 + (v1 - v0) * f) * DV * self.leg.spacing / DS


@dataclass(frozen=True, eq=False)
class _Field:
    """Costs of one leg: of being at its end at each step, and the way back."""

    arrival: np.ndarray  # (T,) cost
    state: np.ndarray  # (T,) flat index of the arriving state
    back: np.ndarray  # (T, n, K) int8: which acceleration led there; -1: from the source


def plan_drives(
    legs: list[Leg], blocked: list[np.ndarray], first: int, entry: int, leaves: bool
) -> list[Drive]:
    """Drives along `legs` in order, from step `first` on; none if there is no way.

    `blocked` has an array (T, n) bool for each leg: where the car may not be at steps first, first + 1, ...
    A car with `entry` >= 0 comes into the world with at most that speed (in DV), as soon as there is room;
    with -1 it stands there. `leaves`: it drives out of the world at the end.
    """
    n_steps = len(blocked[0])
    delay = np.arange(n_steps, dtype=float)
    source = delay if entry >= 0 else np.where(delay == 0, 0.0, np.inf)
    fields: list[_Field] = []
    for i, leg in enumerate(legs):
        wait = round(leg.dwell / STEP)
        source = np.concatenate([np.full(wait, np.inf), source])[:n_steps] + wait
        closed = np.convolve(blocked[i][:, 0], np.ones(wait + 1))[:n_steps] > 0  # at any time while it waits
        source = np.where(closed, np.inf, source)
        if not np.isfinite(source).any():
            return []
        speed = max(entry, 0) if i == 0 else 0
        fields.append(_search(leg, blocked[i], source, speed, leaves and i == len(legs) - 1))
        source = fields[-1].arrival
    if not np.isfinite(source).any():
        return []
    drives: list[Drive] = []
    t = int(np.argmin(source))
    for leg, field in zip(reversed(legs), reversed(fields), strict=True):
        drive = _trace(leg, field, t)
        t = drive.first - round(leg.dwell / STEP)
        drives.insert(0, Drive(leg, first + drive.first, drive.index, drive.speed))
    return drives


def _search(leg: Leg, blocked: np.ndarray, source: np.ndarray, speed: int, leaves: bool) -> _Field:
    n, n_steps = len(leg.xyz), len(source)
    cap = np.maximum((leg.cap / DV + 1e-9).astype(int), 1)
    speed = min(speed, int(cap[0]))
    entries = np.arange(0, speed + 1, 2)  # with an odd speed it would never stop on an even place
    n_speeds = int(cap.max()) + 1
    came_from = _predecessors(n, n_speeds)
    too_fast = (np.arange(n_speeds) > cap[:, None]).ravel()
    remaining = np.repeat(np.arange(n - 1, -1, -1.0) / (n - 1), n_speeds)
    ends = np.arange(max(n - 2 * n_speeds, 0) * n_speeds if leaves else (n - 1) * n_speeds, n * n_speeds)
    ends = ends if leaves else ends[:1]  # at the end of the path it stands
    back = np.full((n_steps, n * n_speeds), -1, np.int8)
    arrival, state = np.full(n_steps, np.inf), np.zeros(n_steps, int)
    cost = np.full(n * n_speeds + 1, np.inf)  # the last is nowhere
    found = n_steps
    begin = int(np.flatnonzero(np.isfinite(source))[0])
    for t in range(begin, n_steps):
        reached = min(n, (t - begin + 1) * 2 * n_speeds) * n_speeds
        best = _advance(cost, came_from[:, :reached], back[t]) + remaining
        begins = source[t] + SLOW_ENTRY * (speed - entries)
        back[t, entries] = np.where(begins < best[entries], -1, back[t, entries])
        best[entries] = np.minimum(best[entries], begins)
        best[too_fast] = np.inf
        best.reshape(n, n_speeds)[blocked[t]] = np.inf
        cost[:-1] = best
        state[t] = ends[np.argmin(best[ends])]
        arrival[t] = best[state[t]]
        found = min(found, t) if np.isfinite(arrival[t]) else found
        if t >= found + (0 if leaves else PATIENCE):
            break
    return _Field(arrival, state, back.reshape(n_steps, n, n_speeds))


def _advance(cost: np.ndarray, came_from: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Least cost of each state one step later; the acceleration that gives it is written to `back`."""
    best = np.full(len(back), np.inf)
    reached = came_from.shape[1]
    for i, acceleration in enumerate(ACCELERATIONS):
        option = cost[came_from[i]] + COMFORT * acceleration**2
        better = option < best[:reached]
        np.copyto(best[:reached], option, where=better)
        np.copyto(back[:reached], i, where=better)
    return best


def _predecessors(n: int, n_speeds: int) -> np.ndarray:
    """Flat index of the state that each acceleration comes from: (A, n * K); n * K where there is none."""
    place, speed = np.arange(n)[:, None], np.arange(n_speeds)
    before = speed - np.array(ACCELERATIONS)[:, None, None]
    start = place - (speed + before)
    exists = (before >= 0) & (before < n_speeds) & (start >= 0)
    return np.where(exists, start * n_speeds + before, n * n_speeds).reshape(len(ACCELERATIONS), -1)


def _trace(leg: Leg, field: _Field, t: int) -> Drive:
    n_speeds = field.back.shape[2]
    index, speed = divmod(int(field.state[t]), n_speeds)
    places, speeds = [index], [speed]
    while (choice := int(field.back[t, index, speed])) >= 0:
        before = speed - ACCELERATIONS[choice]
        index, speed, t = index - speed - before, before, t - 1
        places.append(index)
        speeds.append(speed)
    return Drive(leg, t, np.array(places[::-1]), np.array(speeds[::-1]))
