"""Cars: they drive lanes, queue, wait at gates and lights, park, stay, reverse out and leave."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from geoloc.synthetic.occupancy import Occupancy
from geoloc.synthetic.paths import DV, STEP, Leg
from geoloc.synthetic.routes import (
    legs_from_stall,
    legs_through,
    legs_to_stall,
    reachable,
    stall_centre,
    stall_heading,
)
from geoloc.synthetic.speeds import Drive, plan_drives
from geoloc.synthetic.truth import Truth
from geoloc.synthetic.world import TrafficOptions, World

RETRY = 10  # steps until a car whose way is closed tries again
TRIES = 3  # stalls or exits that an arriving car considers
SIZES = ([3.9, 1.68, 1.4], [4.7, 1.86, 1.75])  # m, least and largest length, width, height
SLIP = (0.08, 0.08, 0.017)  # m, m, rad: how a car stands in its stall


@dataclass(eq=False)
class _Car:
    number: int
    size: np.ndarray  # (3,) m
    drives: list[Drive] = field(default_factory=list)
    pose: np.ndarray = field(default_factory=lambda: np.full(4, np.nan))  # x, y, z, heading before it drives
    level: str = ""
    stall: str = ""  # where it stands; empty: it is not in the world
    leaves: bool = False  # after its last drive it is gone

    def place(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y, heading, velocity ahead (N, 4), level (N,) and presence (N,) at fractional steps (N,)."""
        pose = np.tile([*self.pose[[0, 1, 3]], 0.0], (len(steps), 1))
        level = np.full(len(steps), self.level, dtype="U64")
        for drive in self.drives:
            rows = np.flatnonzero(steps >= drive.first)
            index, pose[rows, 3] = drive.at(np.minimum(steps[rows], drive.last))
            pose[rows, :2], pose[rows, 2], level[rows] = drive.leg.at(index)
            pose[rows[steps[rows] > drive.last], 3] = 0.0  # it stands, or is gone
        here = np.isfinite(pose[:, 0])
        if self.leaves:
            here &= steps <= self.drives[-1].last
        return pose, level, here

    def comes_by(self, step: float) -> bool:
        """Whether it is in the world before `step`."""
        return bool(np.isfinite(self.pose[0])) or bool(self.drives and self.drives[0].first <= step)

    def is_gone(self, step: float) -> bool:
        """Whether it has left the world by `step`."""
        return self.leaves and self.drives[-1].last < step


def simulate_cars(world: World, options: TrafficOptions, rng: np.random.Generator) -> Truth:
    """Truth of the cars; ids 0, 1, ... A car whose way is never free does not come."""
    return next(simulate_cars_in_parts(world, options, rng, options.duration))


def simulate_cars_in_parts(
    world: World, options: TrafficOptions, rng: np.random.Generator, part: float
) -> Iterator[Truth]:
    """The truth of `simulate_cars` in parts of `part` s, so that a day of it need not be held."""
    traffic = _Traffic(world, options, rng)
    traffic.run()
    times = np.arange(max(1, round(options.duration * options.rate))) / options.rate
    size = max(1, round(part * options.rate))
    for start in range(0, len(times), size):
        now = times[start : start + size]
        steps = (now + options.warmup) / STEP
        cars = [car for car in traffic.cars if car.comes_by(steps[-1]) and not car.is_gone(steps[0])]
        yield Truth.concat([_car_truth(world, car, options.start_time + now, steps) for car in cars])


def _car_truth(world: World, car: _Car, times: np.ndarray, steps: np.ndarray) -> Truth:
    pose, level, here = car.place(steps)
    pose, level = pose[here], level[here]
    heading = np.mod(pose[:, 2] + np.pi, 2 * np.pi) - np.pi
    return Truth(
        time=times[here],
        object=np.full(len(pose), car.number),
        label=np.full(len(pose), "car"),
        level=level,
        xyz=np.column_stack([pose[:, :2], _heights(world, level, pose[:, :2])]),
        velocity=pose[:, 3:] * np.column_stack([np.cos(heading), np.sin(heading)]),
        heading=heading,
        size=np.tile(car.size, (len(pose), 1)),
    )


def _heights(world: World, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
    z = np.zeros(len(xy))
    for name in np.unique(level):
        z[level == name] = world.site.site_map.level(str(name)).z_at(xy[level == name])
    return z


class _Traffic:
    """The cars of a world while they are planned, one after the other in the order of their wishes."""

    def __init__(self, world: World, options: TrafficOptions, rng: np.random.Generator) -> None:
        self.world, self.options, self.rng = world, options, rng
        self.end = round((options.warmup + options.duration) / STEP)
        self.taken: set[str] = set()
        self.cars: list[_Car] = []
        self.occupancy = Occupancy()
        self.wishes: list[tuple[int, int]] = []  # step, car

    def run(self) -> None:
        """Plan every car's drives."""
        self._populate()
        while self.wishes:
            step, number = heapq.heappop(self.wishes)
            car = self.cars[number]
            planned = self._leave(car, step) if car.stall else self._arrive(car, step)
            if not planned:
                self._wish(car, step + RETRY)

    def _wish(self, car: _Car, step: int) -> None:
        """Let a car wish to come, or to leave, at `step`, if the recording still runs then."""
        if step < self.end:
            heapq.heappush(self.wishes, (step, car.number))

    def _populate(self) -> None:
        stalls = [str(name) for name in self.rng.permutation(sorted(p.name for p in self.world.site.site_map.stalls))]
        n_parked = min(round(self.options.parked_share * self.options.n_cars), len(stalls))
        for number in range(self.options.n_cars):
            car = _Car(number, np.round(self.rng.uniform(*SIZES), 2))
            self.cars.append(car)
            if number < n_parked:
                self._stand(car, stalls[number])
            else:
                self._wish(car, int(self.rng.integers(0, self.end)))

    def _stand(self, car: _Car, stall: str) -> None:
        """Put a car into its stall at the start; some wish to leave while the recording runs."""
        leaves = stall in self.world.access and self.rng.random() < self.options.leaving_share
        when = int(self.rng.uniform(self.options.warmup / STEP, self.end))
        slip = np.clip(self.rng.normal(0.0, SLIP), -0.12, 0.12)
        if leaves:  # from the middle of the stall, where its path begins
            slip = np.zeros(3)
            self._wish(car, when)
        xy, heading = stall_centre(self.world, stall) + slip[:2], stall_heading(self.world, stall) + slip[2]
        car.level = next(place.level for place in self.world.site.site_map.stalls if place.name == stall)
        z = _heights(self.world, np.array([car.level]), xy[None])
        car.pose, car.stall = np.array([*xy, z[0], heading]), stall
        self.taken.add(stall)
        self.occupancy.add(car.number, car.pose[None], car.size, 0, stays=True)

    def _arrive(self, car: _Car, step: int) -> bool:
        entrances = self.world.nodes_that_are("entrance")
        if not entrances:
            return True
        source = entrances[self.rng.integers(len(entrances))]
        goals = [stall for stall in sorted(self.world.access) if stall not in self.taken]
        if not self.world.access:
            goals = reachable(self.world, source, "exit")
        for goal in self.rng.permutation(goals)[:TRIES].tolist():
            parks = goal in self.world.access
            legs = (legs_to_stall if parks else legs_through)(self.world, source, goal)
            if legs and self._drive(car, legs, step, enters=True, leaves=not parks):
                car.stall = goal if parks else ""
                self.taken.update({goal} if parks else ())
                if parks and np.isfinite(self.options.stay):
                    stay = self.rng.exponential(self.options.stay) / STEP
                    self._wish(car, car.drives[-1].last + max(int(stay), 1))
                return True
        return False

    def _leave(self, car: _Car, step: int) -> bool:
        exits = reachable(self.world, self.world.access[car.stall][1], "exit")
        if not exits:
            return True
        legs = legs_from_stall(self.world, car.stall, exits[self.rng.integers(len(exits))])
        if not self._drive(car, legs, step, enters=False, leaves=True):
            return False
        self.taken.discard(car.stall)
        return True

    def _drive(self, car: _Car, legs: list[Leg], step: int, enters: bool, leaves: bool) -> bool:
        blocked = [self.occupancy.blocked(car.number, leg, car.size, step, self.options.horizon) for leg in legs]
        entry = int(legs[0].cap[0] / DV) if enters else -1
        drives = plan_drives(legs, blocked, step, entry, leaves)
        if not drives:
            return False
        car.drives, car.leaves = car.drives + drives, leaves
        self.occupancy.release(car.number, drives[0].first)
        steps = np.arange(drives[0].first, drives[-1].last + 1)
        pose, level, _ = car.place(steps.astype(float))
        track = np.column_stack([pose[:, :2], _heights(self.world, level, pose[:, :2]), pose[:, 2]])
        self.occupancy.add(car.number, track, car.size, int(steps[0]), stays=not leaves)
        return True
