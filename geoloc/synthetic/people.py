"""People: they walk to goals, give way, meet, stand together, come and go through doors.

The social force model of Helbing and Molnar (1995): a person relaxes towards the wished velocity and is pushed
by others who are near, more so by those in front.
"""

from dataclasses import dataclass

import numpy as np
import shapely

from geoloc.synthetic.truth import Truth
from geoloc.synthetic.world import TrafficOptions, World

DT = 0.1  # s, longest inner step
RELAX = 0.6  # s to take up the wished velocity
PUSH, PUSH_RANGE = 2.2, 0.35  # m/s² between touching people, and the distance (m) over which it falls by e
NEAR = 0.55  # m, centre to centre, at which the push is PUSH
APART = 0.45  # m, closer than this nobody comes
BEHIND = 0.35  # weight of others who are behind, beside 1 for those in front
FIRM = 0.1  # weight of the push on somebody who stands
TOP_SPEED = 2.0  # m/s
ARRIVED = 0.35  # m from the goal
SLOW_DOWN = 1.2  # m from the goal at which a person slows
TURN_TIME = 0.4  # s in which a body turns
STAND = (4.0, 20.0)  # s
STUCK = 4.0  # s without getting nearer, after which another goal is chosen
P_MEET, P_DOOR, P_TOGETHER = 0.3, 0.25, 0.45  # next goal: stand with somebody, leave; come in a group
SIZES = ([0.28, 0.44, 1.55], [0.38, 0.54, 1.92])  # m, least and largest depth, width, height


@dataclass(eq=False)
class _Crowd:
    """All people as arrays; the slot of one who leaves is given to the next who comes to the same walk."""

    walk: np.ndarray  # (n,) index of the walk
    number: np.ndarray  # (n,) object id of the person in this slot
    xy: np.ndarray  # (n, 2) m
    velocity: np.ndarray  # (n, 2) m/s
    facing: np.ndarray  # (n, 2), not normalised
    goal: np.ndarray  # (n, 2) m
    pace: np.ndarray  # (n,) m/s
    wait: np.ndarray  # (n,) s still to stand
    nearest: np.ndarray  # (n,) m, closest so far to the goal
    since: np.ndarray  # (n,) s since then
    departs: np.ndarray  # (n,) bool: the goal is a door
    size: np.ndarray  # (n, 3) m


def simulate_people(world: World, options: TrafficOptions, rng: np.random.Generator, first: int) -> Truth:
    """Truth of the people, `n_people` at any time, on the walks by area; ids from `first` on."""
    if not world.walks or options.n_people == 0:
        return Truth()
    area = np.cumsum([walk.area.area for walk in world.walks])
    ends = np.round(area / area[-1] * options.n_people).astype(int)
    walk = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
    return _Walkers(world, walk, rng, first).run(options)


class _Walkers:
    """The walks of a world and the people on them."""

    def __init__(self, world: World, walk: np.ndarray, rng: np.random.Generator, first: int) -> None:
        self.world, self.rng, self.next_number = world, rng, first
        self.inside = np.array([walk.area.buffer(-0.25) for walk in world.walks])
        shapely.prepare(self.inside)
        self.strangers = walk[:, None] != walk  # pairs on different walks: they do not meet
        np.fill_diagonal(self.strangers, True)
        self.crowd = self._begin(walk)

    def run(self, options: TrafficOptions) -> Truth:
        """Rows at the options' rate, after the warm-up."""
        inner = int(np.ceil(1.0 / (options.rate * DT)))
        dt = 1.0 / (options.rate * inner)
        n_frames = max(1, round(options.duration * options.rate))
        for _ in range(round(options.warmup / dt)):
            self._step(dt)
        rows = []
        for _ in range(n_frames):
            crowd = self.crowd
            rows.append(
                (crowd.number.copy(), crowd.xy.copy(), crowd.velocity.copy(), crowd.facing, crowd.size.copy())
            )
            for _ in range(inner):
                self._step(dt)
        times = options.start_time + np.arange(n_frames) / options.rate
        return self._truth(times, *(np.concatenate(column) for column in zip(*rows, strict=True)))

    def _truth(
        self,
        times: np.ndarray,
        number: np.ndarray,
        xy: np.ndarray,
        velocity: np.ndarray,
        facing: np.ndarray,
        size: np.ndarray,
    ) -> Truth:
        level = np.array([walk.level for walk in self.world.walks])[np.tile(self.crowd.walk, len(times))]
        z = np.empty(len(xy))
        for name in np.unique(level):
            z[level == name] = self.world.site.site_map.level(str(name)).z_at(xy[level == name])
        return Truth(
            time=np.repeat(times, len(self.crowd.walk)),
            object=number,
            label=np.full(len(xy), "person"),
            level=level,
            xyz=np.column_stack([xy, z]),
            velocity=velocity,
            heading=np.arctan2(facing[:, 1], facing[:, 0]),
            size=size,
        )

    def _begin(self, walk: np.ndarray) -> _Crowd:
        n = len(walk)
        xy = np.array([self._points(int(i), 1)[0] for i in walk])
        crowd = _Crowd(
            walk=walk,
            number=np.zeros(n, int),
            xy=xy,
            velocity=np.zeros((n, 2)),
            facing=np.ones((n, 2)),
            goal=xy.copy(),
            pace=np.zeros(n),
            wait=np.zeros(n),
            nearest=np.full(n, np.inf),
            since=np.zeros(n),
            departs=np.zeros(n, bool),
            size=np.zeros((n, 3)),
        )
        for i in range(n):
            self._newcomer(crowd, i, xy[i])
        return crowd

    def _newcomer(self, crowd: _Crowd, i: int, xy: np.ndarray) -> None:
        crowd.number[i], self.next_number = self.next_number, self.next_number + 1
        crowd.xy[i], crowd.velocity[i] = xy, 0.0
        crowd.size[i] = np.round(self.rng.uniform(*SIZES), 2)
        crowd.pace[i] = np.clip(self.rng.normal(1.3, 0.2), 0.8, 1.8)
        crowd.wait[i] = 0.0
        self._new_goal(crowd, i)
        if (
            i and crowd.walk[i] == crowd.walk[i - 1] and self.rng.random() < P_TOGETHER
        ):  # walks with the one before: same goal and pace
            aside = np.zeros(2) if crowd.departs[i - 1] else self.rng.uniform(-0.7, 0.7, 2)  # a door is narrow
            crowd.goal[i] = crowd.goal[i - 1] + aside
            crowd.pace[i], crowd.departs[i] = crowd.pace[i - 1], crowd.departs[i - 1]
        crowd.facing[i] = crowd.goal[i] - xy

    def _new_goal(self, crowd: _Crowd, i: int) -> None:
        """Somebody to stand with, a door, or any place that can be walked to straight."""
        crowd.nearest[i], crowd.since[i], crowd.departs[i] = np.inf, 0.0, False
        choice = self.rng.random()
        doors = self.world.walks[crowd.walk[i]].doors
        standing = np.flatnonzero((crowd.wait > 0) & ~self.strangers[i])
        if choice < P_MEET and len(standing):
            other = standing[self.rng.integers(len(standing))]
            angle = self.rng.uniform(0, 2 * np.pi, 12)
            found = self._walkable(
                crowd, i, crowd.xy[other] + 0.9 * np.column_stack([np.cos(angle), np.sin(angle)])
            )
            crowd.wait[other] += self.rng.uniform(*STAND)
        elif choice < P_MEET + P_DOOR and len(doors):
            found = self._walkable(crowd, i, self.rng.permutation(doors))
            crowd.departs[i] = len(found) > 0
        else:
            found = self._walkable(crowd, i, self._points(int(crowd.walk[i]), 12))
        crowd.goal[i] = found[0] if len(found) else crowd.xy[i] + self.rng.uniform(-1, 1, 2)

    def _walkable(self, crowd: _Crowd, i: int, goals: np.ndarray) -> np.ndarray:
        """Those of `goals` (n, 2) m that person `i` can walk to straight."""
        lines = shapely.linestrings(np.stack(np.broadcast_arrays(crowd.xy[i], goals), axis=1))
        return goals[shapely.covers(self.inside[crowd.walk[i]], lines)]

    def _points(self, walk: int, n: int) -> np.ndarray:
        """`n` random places of a walk (n, 2) m."""
        x0, y0, x1, y1 = self.inside[walk].bounds
        found = np.empty((0, 2))
        while len(found) < n:
            xy = self.rng.uniform([x0, y0], [x1, y1], (2 * n + 8, 2))
            found = np.concatenate([found, xy[shapely.contains_xy(self.inside[walk], xy[:, 0], xy[:, 1])]])
        return found[:n]

    def _step(self, dt: float) -> None:
        crowd = self.crowd
        to_goal = crowd.goal - crowd.xy
        distance = np.linalg.norm(to_goal, axis=1)
        standing = crowd.wait > 0
        speed = np.where(standing, 0.0, crowd.pace * np.minimum(1.0, distance / SLOW_DOWN + 0.2))
        wished = to_goal / np.maximum(distance, 1e-9)[:, None] * speed[:, None]
        push = self._push(crowd, wished)
        push[standing] *= FIRM
        velocity = crowd.velocity + dt * ((wished - crowd.velocity) / RELAX + push)
        fast = np.linalg.norm(velocity, axis=1) / TOP_SPEED
        velocity /= np.maximum(fast, 1.0)[:, None]
        before = crowd.xy
        crowd.xy = self._hold(self._separate(before + dt * velocity))
        crowd.velocity = (crowd.xy - before) / dt
        look = np.where((np.linalg.norm(crowd.velocity, axis=1) > 0.3)[:, None], crowd.velocity, crowd.facing)
        unit = look / np.maximum(np.linalg.norm(look, axis=1), 1e-9)[:, None]
        crowd.facing = crowd.facing / np.maximum(np.linalg.norm(crowd.facing, axis=1), 1e-9)[:, None]
        crowd.facing = crowd.facing + min(1.0, dt / TURN_TIME) * (unit - crowd.facing)
        self._decide(distance, standing, dt)

    def _decide(self, distance: np.ndarray, standing: np.ndarray, dt: float) -> None:
        crowd = self.crowd
        crowd.wait = np.maximum(crowd.wait - dt, 0.0)
        nearer = distance < crowd.nearest - 0.05
        crowd.nearest = np.where(nearer, distance, crowd.nearest)
        crowd.since = np.where(nearer | standing, 0.0, crowd.since + dt)
        arrived = ~standing & (distance < ARRIVED)
        for i in np.flatnonzero(arrived & crowd.departs).tolist():
            doors = self.world.walks[crowd.walk[i]].doors
            door = doors[self.rng.integers(len(doors))]
            if (
                np.linalg.norm(crowd.xy[~self.strangers[i]] - door, axis=1).min(initial=np.inf) > NEAR
            ):  # else it waits until the way in is free
                self._newcomer(crowd, i, door)
        for i in np.flatnonzero(arrived & ~crowd.departs).tolist():
            crowd.wait[i] = self.rng.uniform(*STAND) if self.rng.random() < 0.6 else 0.0
            if crowd.wait[i] == 0:
                self._new_goal(crowd, i)
        up = standing & (crowd.wait == 0)
        for i in np.flatnonzero(up | (crowd.since > STUCK)).tolist():
            self._new_goal(crowd, i)

    def _push(self, crowd: _Crowd, wished: np.ndarray) -> np.ndarray:
        gap, distance = self._gaps(crowd.xy)
        away = gap / np.maximum(distance, 1e-9)[..., None]
        ahead = wished / np.maximum(np.linalg.norm(wished, axis=1), 1e-9)[:, None]
        front = -(away[..., 0] * ahead[:, :1] + away[..., 1] * ahead[:, 1:])
        weight = BEHIND + (1 - BEHIND) * (1 + front) / 2
        force = PUSH * np.exp((NEAR - distance) / PUSH_RANGE) * weight
        # a little to the right: two who meet head-on pass each other
        aside = np.stack([away[..., 1], -away[..., 0]], axis=-1)
        return np.einsum("ij,ijk->ik", force, away - 0.3 * aside)

    def _gaps(self, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vectors (n, n, 2) and distances (n, n) m from each other person of the same walk; else far away."""
        gap = xy[:, None] - xy[None]
        distance = np.hypot(gap[..., 0], gap[..., 1])
        distance[self.strangers] = np.inf
        return gap, distance

    def _hold(self, xy: np.ndarray) -> np.ndarray:
        """Whoever would leave the walk is put back onto its edge."""
        inside = self.inside[self.crowd.walk]
        for i in np.flatnonzero(~shapely.intersects_xy(inside, xy[:, 0], xy[:, 1])):
            edge = inside[i].boundary
            xy[i] = shapely.get_coordinates(edge.interpolate(edge.project(shapely.Point(xy[i]))))[0]
        return xy

    def _separate(self, xy: np.ndarray) -> np.ndarray:
        """Push apart whoever has come closer than APART: half of what is missing each, a few times over."""
        for _ in range(3):
            gap, distance = self._gaps(xy)
            missing = np.maximum(APART - distance, 0.0)
            if not missing.any():
                break
            xy = xy + 0.5 * np.einsum("ij,ijk->ik", missing / np.maximum(distance, 1e-6), gap)
        return xy
