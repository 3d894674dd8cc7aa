"""Is what begins here what ended there? Likelihoods of pairs of sights, from place, velocity, time, class and looks."""

from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from geoloc.options import check_range
from geoloc.scene.lanes import DRIVES, lane_axes
from geoloc.scene.site import Site
from geoloc.scene.ways import Ways

LANE = 4.0  # m, breadth of the ways over which a lost object spreads
SLACK = 3.0  # m by which a way over cells may be off
VELOCITY_SIGMA = 3.0
ODD = 0.05  # share of heights that are wrong, a load on the roof or a bad box
TURNS = 0.1  # share of vehicles that forget meanwhile which way they drove
BATCH = 64  # fields of way lengths that are held at once


@dataclass(frozen=True)
class LinkCostOptions:
    """Where an object may be that was lost from sight, and how it looks."""

    entrance_reach: float = 4.0  # m around an entrance within which objects come
    pace: float = 0.5  # of its class's speed: the mean speed of an object out of sight
    pace_spread: float = 0.6  # of that: its standard deviation
    waits: float = 0.3  # share of objects out of sight that wait there
    top_speed: float = 2.0  # times its class's speed: nothing is faster
    top_acceleration: float = 5.0  # m/s²; nothing changes its velocity faster
    turn_s: float = 10.0  # time within which an object out of sight forgets its velocity
    wrong_way: float = 0.01  # share of the vehicles that drive against one-way lanes
    height_spread: float = 0.3  # m, standard deviation of the heights of different vehicles
    appearance_weight: float = 10.0  # log-odds per unit of cosine similarity above `appearance_neutral`
    appearance_neutral: float = 0.6

    def __post_init__(self) -> None:
        check_range(self, entrance_reach=(0, 1e4), waits=(1e-6, 1), turn_s=(1e-3, 1e9))
        check_range(self, pace=(1e-3, 10), pace_spread=(1e-3, 10), top_speed=(1e-3, 100))
        check_range(self, wrong_way=(1e-6, 0.5), height_spread=(0, 1e3))
        check_range(self, top_acceleration=(1e-3, 1e6))


@dataclass(frozen=True, eq=False)
class Sights:
    """Objects as they were last, or first, seen: one row each."""

    time: np.ndarray  # (N,) s
    level: np.ndarray  # (N,) index among the map's levels
    xy: np.ndarray  # (N, 2) m
    velocity: np.ndarray  # (N, 2) m/s
    cov: np.ndarray  # (N, 4, 4) of x, y, vx, vy
    bias_cov: np.ndarray  # (N, 2, 2) m²
    stays_s: np.ndarray  # (N,) s, mean time that it goes on standing there; 0: it does not stand
    family: np.ndarray  # (N,) str or object, see `scene.kinds`
    length: np.ndarray  # (N,) m, of its class
    speed: np.ndarray  # (N,) m/s, of its class
    acceleration: np.ndarray  # (N,) m/s^1.5, of its class
    height: np.ndarray  # (N,) m, NaN: not known
    height_var: np.ndarray  # (N,) m²
    embedding: np.ndarray  # (N, D); zeros: not known

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: np.ndarray) -> Self:
        """The rows that an index or a mask selects."""
        return type(self)(**{item.name: getattr(self, item.name)[rows] for item in fields(self)})


class LinkCosts:
    """The costs of one site. Ways round its walls are computed when they are first needed."""

    def __init__(self, site: Site, options: LinkCostOptions | None = None) -> None:
        self.site = site
        self.options = options or LinkCostOptions()

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Nothing of it changes: copies of an engine share it."""
        return self

    def density(self, lost: Sights, new: Sights) -> np.ndarray:
        """Log density (K,) 1/m² of the first place of `new` row k, were it what was lost in row k, and their looks."""
        out = np.full(len(lost), -np.inf)
        away = new.time - lost.time
        straight = np.linalg.norm(new.xy - lost.xy, axis=1)
        possible = (away > -1e-6) & (lost.family == new.family)
        possible &= (straight <= self._farthest(lost, away)) | (lost.stays_s > 0)
        possible &= self._can_turn(lost, new, away)
        rows = np.flatnonzero(possible)
        if len(rows):
            lost, new = lost.take(rows), new.take(rows)
            out[rows] = self._place(lost, new) + self._looks(lost, new) + self._heights(lost, new)
        return out

    def comes_at(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether new objects come at points (N,): near entrances, or the edge of sight on a site that names none."""
        if self.has("entrance"):
            return self.is_near("entrance", level, xy)
        return self.site.visibility.distance_to_unseen(level, xy) <= self.options.entrance_reach

    def leaves_at(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether objects leave at points (N,): near exits, or the edge of sight on a site that names none."""
        if self.has("exit"):
            return self.is_near("exit", level, xy)
        return self.site.visibility.distance_to_unseen(level, xy) <= self.options.entrance_reach

    def areas(self) -> np.ndarray:
        """Ground (2,) m² in view where objects do not come, and where they do; a cell at least."""
        seen = self.site.visibility
        size = seen.shape.astype(int)
        level = np.repeat(np.arange(len(size)), size.prod(axis=1))
        row = np.arange(len(level)) - seen.offset.astype(int)[level]
        x = row % np.maximum(size[level, 0], 1)
        cell = np.column_stack([x, row // np.maximum(size[level, 0], 1)])
        xy = seen.cell * (seen.first[level] + cell + 0.5)
        watched = seen.seen[:-1].any(axis=1)
        comes = self.comes_at(level[watched], xy[watched])
        return np.maximum([(~comes).sum(), comes.sum()], 1) * seen.cell**2

    def has(self, kind: str) -> bool:
        """Whether the map names zones of this kind."""
        return any(zone.kind == kind for zone in self.site.site_map.zones)

    def is_near(self, kind: str, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether points xy (N, 2) on levels (N,) lie in a zone of this kind, or `entrance_reach` before one."""
        near = np.zeros(len(xy), dtype=bool)
        points = shapely.points(xy)
        for zone in self.site.site_map.zones:
            if zone.kind == kind:
                here = level == self.site.site_map.level_index[zone.level]
                near |= here & (shapely.distance(zone.polygon, points) <= self.options.entrance_reach)
        return near

    # ---- where a lost object may be

    def _place(self, lost: Sights, new: Sights) -> np.ndarray:
        """Log density (K,) 1/m² of the new ones' first places, were they the lost ones."""
        if not self._is_one_way:
            return self._place_by_ways(lost, new, False)
        drives = lost.length >= DRIVES
        against = np.where(drives, self._goes_against(lost), 0.0)
        with np.errstate(divide="ignore"):
            out = self._place_by_ways(lost, new, True) + np.log1p(-against)
            rows = np.flatnonzero(drives)
            free = self._place_by_ways(lost.take(rows), new.take(rows), False) + np.log(against[rows])
        out[rows] = np.logaddexp(out[rows], free) + self._keep_direction(against[rows], new.take(rows))
        return out

    def _heights(self, lost: Sights, new: Sights) -> np.ndarray:
        """Log-likelihood ratio (K,) of the heights of one vehicle, against those of two; never above 0."""
        own = lost.height_var + new.height_var
        anyone = own + 2.0 * self.options.height_spread**2
        step2 = (new.height - lost.height) ** 2
        ratio = np.sqrt(anyone / own) * np.exp(0.5 * step2 * (1.0 / anyone - 1.0 / own))
        return np.where(np.isnan(ratio), 0.0, np.log(ODD + (1.0 - ODD) * np.minimum(ratio, 1.0)))

    def _goes_against(self, lost: Sights) -> np.ndarray:
        """Probability (K,) that vehicles drive against one-way lanes, by how they moved in theirs."""
        rate, seen = self.options.wrong_way, self._seen_against(lost)
        return rate * seen / (rate * seen + (1.0 - rate) * (1.0 - seen))

    def _keep_direction(self, against: np.ndarray, new: Sights) -> np.ndarray:
        """Log-likelihood ratio (K,) of the new ones' directions for vehicles that drove `against` (K,) theirs."""
        rate, seen = self.options.wrong_way, self._seen_against(new)
        against = TURNS * rate + (1.0 - TURNS) * against
        alike = against * seen + (1.0 - against) * (1.0 - seen)
        return np.log(alike / (rate * seen + (1.0 - rate) * (1.0 - seen)))

    def _seen_against(self, sights: Sights) -> np.ndarray:
        """Probability (K,) of a velocity against the lane where it is, by the velocity alone; 0.5 where none is."""
        from scipy.special import ndtr

        axes = lane_axes(self.site.site_map, sights.level, sights.xy)
        along = np.einsum("ki,ki->k", axes, sights.velocity)
        sigma = np.sqrt(np.einsum("ki,kij,kj->k", axes, sights.cov[:, 2:, 2:], axes))
        return np.asarray(np.where(axes.any(axis=1), ndtr(-along / np.maximum(sigma, 0.1)), 0.5))

    def _place_by_ways(self, lost: Sights, new: Sights, lanes: bool) -> np.ndarray:
        """As `_place`, for vehicles that keep to one-way `lanes` or do not care."""
        way, most = self._ways_between(lost, new, lanes)
        away = np.maximum(new.time - lost.time, 1e-3)
        moves = self._wanders(lost, new, way, most)
        kept = np.exp(-np.minimum(away / self.options.turn_s, 700.0))
        # it takes two turns to go anywhere
        moves = moves + 2.0 * np.log(-np.expm1(-away / self.options.turn_s)) + velocity_odds(lost, new, kept)
        fewer = np.log(kept) + np.log(2.0 - kept)
        straight_on = goes_on_density(lost, new, self.options.turn_s) - self._detour(lost, new, way, lanes)
        moves = np.logaddexp(straight_on + fewer, moves)
        moves = np.where(way <= most, moves, -np.inf)
        stands = lost.stays_s > 0
        with np.errstate(divide="ignore"):
            left = np.log(-np.expm1(-away / lost.stays_s))
        stays = np.where(stands, stays_density(lost, new), -np.inf)
        return np.where(stands, np.logaddexp(stays, left + moves), moves)

    def _detour(self, lost: Sights, new: Sights, way: np.ndarray, lanes: bool) -> np.ndarray:
        """Logarithm (K,) of how many times longer a way along one-way lanes is: few drive straight on against one."""
        if not lanes:
            return np.zeros(len(lost))
        straight = np.linalg.norm(new.xy - lost.xy, axis=1)
        return np.where(lost.length >= DRIVES, np.log(np.maximum(way, SLACK) / np.maximum(straight, SLACK)), 0.0)

    def _wanders(self, lost: Sights, new: Sights, way: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Log density (K,) 1/m² of an object that has gone on, anywhere, or waited since it was lost."""
        options = self.options
        away = np.maximum(new.time - lost.time, 1e-3)
        mean = options.pace * lost.speed * away
        sigma = np.hypot(options.pace_spread * mean, _slack(lost))
        goes = (1 - options.waits) * np.exp(-0.5 * ((way - mean) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        waits = options.waits / np.minimum(most, self._size)
        return np.log((goes + waits) / LANE)

    def _farthest(self, lost: Sights, away: np.ndarray) -> np.ndarray:
        """How far (K,) m the lost ones can have come in `away` (K,) s."""
        return self.options.top_speed * lost.speed * np.maximum(away, 1e-3) + _slack(lost)

    def _can_turn(self, lost: Sights, new: Sights, away: np.ndarray) -> np.ndarray:
        """Whether (K,) the lost ones can have come to the velocities of the new ones in `away` (K,) s."""
        change = np.linalg.norm(new.velocity - lost.velocity, axis=1)
        sigma = np.sqrt(np.trace(lost.cov[:, 2:, 2:] + new.cov[:, 2:, 2:], axis1=1, axis2=2))
        return change <= self.options.top_acceleration * np.maximum(away, 0.0) + VELOCITY_SIGMA * sigma

    def _ways_between(self, lost: Sights, new: Sights, lanes: bool) -> tuple[np.ndarray, np.ndarray]:
        """Length (K,) m of the shortest way of each pair, infinite where there is none, and the longest possible."""
        most = self._farthest(lost, new.time - lost.time)
        straight = np.linalg.norm(new.xy - lost.xy, axis=1)
        same_level = lost.level == new.level
        if self._is_open:
            return np.where(same_level, straight, np.inf), most
        ways = self._ways
        start, goal = ways.rows(lost.level, lost.xy), ways.rows(new.level, new.xy)
        way = way_lengths(ways, start, goal, 1.1 * most, (lost.length >= DRIVES) & lanes)
        off_map = np.isinf(way) & same_level & ((start < 0) | (goal < 0))
        way = np.where(off_map, straight, way)
        return np.where(same_level, np.maximum(straight, way), way), most

    @cached_property
    def _is_open(self) -> bool:
        """Whether nothing stands in any way: one level without walls and one-way lanes."""
        return len(self.site.site_map.levels) == 1 and not self.site.site_map.occluders and not self._is_one_way

    @cached_property
    def _is_one_way(self) -> bool:
        return any(np.isfinite(zone.direction) for zone in self.site.site_map.zones)

    @cached_property
    def _ways(self) -> Ways:
        return ways_of(self.site)

    @cached_property
    def _size(self) -> float:
        """Length (m) of all ways of the site, about."""
        if self._is_open:
            seen = self.site.visibility
            return float(max((len(seen.seen) - 1) * seen.cell**2 / LANE, 10.0))
        return float(max(self._ways.graph.shape[0] * self._ways.cell**2 / LANE, 10.0))

    def _looks(self, lost: Sights, new: Sights) -> np.ndarray:
        """Log-likelihood ratio (K,) of the embeddings; 0 where one is not known."""
        if not lost.embedding.shape[1] or lost.embedding.shape[1] != new.embedding.shape[1]:
            return np.zeros(len(lost))
        known = np.isfinite(lost.embedding).all(axis=1) & np.isfinite(new.embedding).all(axis=1)
        known &= lost.embedding.any(axis=1) & new.embedding.any(axis=1)
        cosine = np.einsum("kd,kd->k", lost.embedding, new.embedding)
        return np.where(known, self.options.appearance_weight * (cosine - self.options.appearance_neutral), 0.0)


@lru_cache(maxsize=16)
def ways_of(site: Site) -> Ways:
    """The ways of a site, which all engines of it share."""
    return Ways.of(site)


def way_lengths(ways: Ways, start: np.ndarray, goal: np.ndarray, most: np.ndarray, drives: np.ndarray) -> np.ndarray:
    """Length (K,) m of the way from cell to cell of each pair; infinite where it is longer than `most` (K,) m.

    What `drives` (K,) bool has a longer way against one-way lanes.
    """
    out = np.full(len(start), np.inf)
    known = (start >= 0) & (goal >= 0)
    rows = np.flatnonzero(known & ~drives)
    a, b = start[rows], goal[rows]
    if len(np.unique(b)) < len(np.unique(a)):  # ways go both ways: search from the side that has fewer cells
        a, b = b, a
    out[rows] = _search(ways.graph, False, a, b, most[rows])
    rows = np.flatnonzero(known & drives)
    out[rows] = _search(ways.driven, True, start[rows], goal[rows], most[rows])
    return out


def _search(graph: csr_array, directed: bool, start: np.ndarray, goal: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Length (K,) m of the way from `start` to `goal` (K,), rows of a graph, where it is at most about so long."""
    out = np.full(len(start), np.inf)
    # the longest first, so that each batch's search goes no farther than its own pairs need
    sources, source = np.unique(start, return_inverse=True)
    limit = np.zeros(len(sources))
    np.maximum.at(limit, source, most)
    rank = np.empty(len(sources), dtype=int)
    rank[np.argsort(limit, kind="stable")] = np.arange(len(sources))
    order = np.argsort(rank[source], kind="stable")
    place = rank[source][order]
    by_rank = sources[np.argsort(rank)]
    for first in range(0, len(sources), BATCH):
        mine = slice(*np.searchsorted(place, [first, first + BATCH]))
        rows, batch = order[mine], by_rank[first : first + BATCH]
        field = dijkstra(graph, directed=directed, indices=batch, limit=float(most[rows].max()))
        out[rows] = field[place[mine] - first, goal[rows]]
    return out


def goes_on_density(lost: Sights, new: Sights, turn_s: float) -> np.ndarray:
    """Log density (K,) 1/m² of the new ones' places for objects that forget their velocity within `turn_s`.

    That the velocities agree is part of it: the density of place and velocity (of an integrated process of
    Ornstein and Uhlenbeck, 1930), over that of the velocity alone of just any object of the class.
    """
    away = np.maximum(new.time - lost.time, 0.0)
    state = np.concatenate([lost.xy, lost.velocity], axis=1)
    moved, cov = wandered(state, lost.cov, away, lost.speed, turn_s)
    cov = cov + new.cov
    cov[:, :2, :2] += lost.bias_cov + new.bias_cov
    step = np.concatenate([new.xy, new.velocity], axis=1) - moved
    any_velocity = new.cov[:, 2:, 2:] + lost.speed[:, None, None] ** 2 * np.eye(2)
    return log_normal(step, cov) - log_normal(new.velocity, any_velocity)


def wandered(
    state: np.ndarray, cov: np.ndarray, dt: np.ndarray, speed: np.ndarray, turn_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """States (K, 4) and covariances (K, 4, 4) after dt (K,) s; velocities, of sigma `speed`, last for `turn_s`."""
    t = dt / turn_s
    kept, lost = np.exp(-t), -np.expm1(-t)
    transition = np.zeros((len(dt), 4, 4))
    transition[:, [0, 1], [0, 1]] = 1.0
    transition[:, [0, 1], [2, 3]] = (turn_s * lost)[:, None]
    transition[:, [2, 3], [2, 3]] = kept[:, None]
    added = np.zeros((len(dt), 4, 4))
    # the series where the closed form cancels
    place = np.where(t > 1e-2, 2.0 * t - 2.0 * lost - lost**2, 2.0 / 3.0 * t**3)
    added[:, [0, 1], [0, 1]] = (speed**2 * turn_s**2 * place)[:, None]
    added[:, [0, 1, 2, 3], [2, 3, 0, 1]] = (speed**2 * turn_s * lost**2)[:, None]
    added[:, [2, 3], [2, 3]] = (speed**2 * -np.expm1(-2.0 * t))[:, None]
    moved = np.einsum("kij,kj->ki", transition, state)
    return moved, transition @ cov @ transition.swapaxes(1, 2) + added


def velocity_odds(lost: Sights, new: Sights, kept: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio (K,) of the new velocities, where a share `kept` (K,) of the lost ones is remembered.

    Against those of just any object of the class (Ornstein and Uhlenbeck, 1930).
    """
    spread = lost.speed**2 * (1.0 - kept**2)
    noise = new.cov[:, 2:, 2:]
    own = noise + kept[:, None, None] ** 2 * lost.cov[:, 2:, 2:] + spread[:, None, None] * np.eye(2)
    anyone = noise + lost.speed[:, None, None] ** 2 * np.eye(2)
    return log_normal(new.velocity - kept[:, None] * lost.velocity, own) - log_normal(new.velocity, anyone)


def stays_density(lost: Sights, new: Sights) -> np.ndarray:
    """Log density (K,) 1/m² of the new ones' places for objects that stood still."""
    cov = lost.cov[:, :2, :2] + new.cov[:, :2, :2] + lost.bias_cov + new.bias_cov
    cov = cov + (0.1 * lost.length[:, None, None]) ** 2 * np.eye(2)
    return np.where(lost.level == new.level, log_normal(new.xy - lost.xy, cov), -np.inf)


def log_normal(step: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Log density (K,) of steps (K, d) under normal distributions of mean 0 and covariance (K, d, d)."""
    distance2 = np.einsum("ki,ki->k", step, np.linalg.solve(cov, step[:, :, None])[:, :, 0])
    return -0.5 * (distance2 + np.linalg.slogdet(cov)[1] + step.shape[1] * np.log(2 * np.pi))


def _slack(lost: Sights) -> np.ndarray:
    """How far (K,) m off the length of a way may be."""
    return SLACK + np.sqrt(np.trace(lost.cov[:, :2, :2], axis1=1, axis2=2))
