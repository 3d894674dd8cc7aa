"""Is what begins here what ended there? Likelihoods of pairs of sights, from place, velocity, time, class and looks."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
import shapely

from geoloc.options import check_range
from geoloc.pipeline.lazily import link_odds
from geoloc.retrieval.likeness import Likeness
from geoloc.scene.lanes import DRIVES, lane_axes
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.ways import Ways, way_lengths

LANE = 4.0  # m, breadth of the ways over which a lost object spreads
SLACK = 3.0  # m by which a way over cells may be off
VELOCITY_SIGMA = 3.0
FASTEST_SIGMA = 5.0  # over the mean pace: nothing is faster
STANDS = 0.1  # of its class's length: how far off an object that stands may be when it is seen again
BODY = 0.3  # of its class's length: how far apart two tracks of one body may be
AT_ONCE = 1e-3  # s
OVERLAP_S = 2.0  # for as long an object's next track may have begun before its last one ended
ODD = 0.05  # share of heights that are wrong, a load on the roof or a bad box
TURNS = 0.1  # share of vehicles that forget meanwhile which way they drove


@dataclass(frozen=True)
class LinkCostOptions:
    """Where an object may be that was lost from sight, and how it looks."""

    entrance_reach: float = 4.0  # m around an entrance within which objects come
    pace: float = 0.5  # of its class's speed: the mean speed of what moves, before any was seen here
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
    pace: np.ndarray  # (N, 2) m/s, mean and standard deviation of the speed of its family's that move here
    acceleration: np.ndarray  # (N,) m/s^1.5, of its class
    height: np.ndarray  # (N,) m, NaN: not known
    height_var: np.ndarray  # (N,) m²
    embedding: np.ndarray  # (N, D); zeros: not known

    def __len__(self) -> int:
        return len(self.time)

    def take(self, rows: np.ndarray) -> Self:
        """The rows that an index or a mask selects."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        # `take` copies whole rows, several times faster than an index
        return type(self)(**{name: column.take(rows, axis=0) for name, column in self.__dict__.items()})


class LinkCosts:
    """The costs of one site. Ways round its walls are computed when they are first needed."""

    def __init__(self, site: Site, options: LinkCostOptions | None = None) -> None:
        self.site = site
        self.options = options or LinkCostOptions()

    def prepare(self) -> None:
        """Work out the ways of the site, if it has walls, now rather than when an object is first looked for."""
        if not self._is_open and self._ways.graph.shape[0]:
            here = np.zeros(1, dtype=int)
            way_lengths(self._ways, here, here, np.ones(1), here > 0)  # the search is compiled once

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

    def enclosed(self, length: np.ndarray) -> np.ndarray:
        """Which objects of so many m (N,) come and leave by the entrances and exits that the map names alone.

        Vehicles do; people get out of cars and go through doors.
        """
        return (length >= DRIVES) & self.has("entrance")

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
        at_once = new.time - lost.time < AT_ONCE
        way = np.where(at_once & (lost.level == new.level), np.linalg.norm(new.xy - lost.xy, axis=1), way)
        away = np.maximum(new.time - lost.time, 1e-3)
        moves = self._wanders(lost, new, way, most)
        kept = np.exp(-np.minimum(away / self.options.turn_s, 700.0))
        # it takes two turns to go anywhere
        moves = moves + 2.0 * np.log(-np.expm1(-away / self.options.turn_s)) + velocity_odds(lost, new, kept)
        fewer = np.log(kept) + np.log(2.0 - kept)
        straight_on = goes_on_density(lost, new, self.options.turn_s) - self._detour(lost, new, way, lanes)
        moves = np.logaddexp(straight_on + fewer, moves)
        # cameras that disagree about a body, as while a car turns, show another velocity too
        moves = np.where(at_once & (lost.length >= DRIVES), body_density(lost, new), moves)
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
        mean = lost.pace[:, 0] * away
        sigma = np.hypot(lost.pace[:, 1] * away, _slack(lost))
        goes = (1 - options.waits) * np.exp(-0.5 * ((way - mean) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        waits = options.waits / np.minimum(most, self._size)
        return np.log((goes + waits) / LANE)

    def _farthest(self, lost: Sights, away: np.ndarray) -> np.ndarray:
        """How far (K,) m the lost ones can have come in `away` (K,) s."""
        fastest = np.minimum(self.options.top_speed * lost.speed, lost.pace[:, 0] + FASTEST_SIGMA * lost.pace[:, 1])
        return fastest * np.maximum(away, 1e-3) + _slack(lost)

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

    @property
    def _is_open(self) -> bool:
        """Whether nothing stands in any way: one level without walls and one-way lanes."""
        return len(self.site.site_map.levels) == 1 and not self.site.site_map.occluders and not self._is_one_way

    @property
    def _is_one_way(self) -> bool:
        return has_lanes(self.site.site_map)

    @property
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
        likeness = Likeness(self.options.appearance_weight, self.options.appearance_neutral)
        return np.where(known, likeness.log_ratio(cosine), 0.0)


@lru_cache(maxsize=64)
def has_lanes(site_map: SiteMap) -> bool:
    """Whether a map has one-way lanes."""
    return any(np.isfinite(zone.direction) for zone in site_map.zones)


@lru_cache(maxsize=16)
def ways_of(site: Site) -> Ways:
    """The ways of a site, which all engines of it share."""
    return Ways.of(site)


def not_before(lost: Sights, new: Sights) -> Sights:
    """`new`, of which those that were seen before the lost ones were last seen are where they were then."""
    overlap = np.maximum(lost.time - new.time, 0.0)
    return replace(new, time=new.time + overlap, xy=new.xy + overlap[:, None] * new.velocity)


def goes_on_density(lost: Sights, new: Sights, turn_s: float) -> np.ndarray:
    """Log density (K,) 1/m² of the new ones' places for objects that forget their velocity within `turn_s`.

    That the velocities agree is part of it: the density of place and velocity (of an integrated process of
    Ornstein and Uhlenbeck, 1930), over that of the velocity alone of just any object of the class.
    """
    was = lost.xy, lost.velocity, lost.cov, lost.bias_cov, lost.speed
    goes = np.maximum(new.time - lost.time, 0.0), new.xy, new.velocity, new.cov, new.bias_cov
    return np.asarray(link_odds.goes_on(*map(np.ascontiguousarray, (*was, *goes)), float(turn_s)))


def wandered(
    state: np.ndarray, cov: np.ndarray, dt: np.ndarray, speed: np.ndarray, turn_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """States (K, 4) and covariances (K, 4, 4) after dt (K,) s; velocities, of sigma `speed`, last for `turn_s`."""
    given = map(np.ascontiguousarray, (state, cov, dt, speed))
    moved, spread = link_odds.wander(*given, float(turn_s))
    return moved, spread


def velocity_odds(lost: Sights, new: Sights, kept: np.ndarray) -> np.ndarray:
    """Log-likelihood ratio (K,) of the new velocities, where a share `kept` (K,) of the lost ones is remembered.

    Against those of just any object of the class (Ornstein and Uhlenbeck, 1930).
    """
    given = lost.velocity, lost.cov, lost.speed, new.velocity, new.cov, kept
    return np.asarray(link_odds.velocity_odds(*map(np.ascontiguousarray, given)))


def body_density(one: Sights, other: Sights) -> np.ndarray:
    """Log density (K,) 1/m² of the places of the others where they show the body of the ones at the same time."""
    return _same_place(one, other, BODY)


def stays_density(lost: Sights, new: Sights) -> np.ndarray:
    """Log density (K,) 1/m² of the new ones' places for objects that stood still."""
    return _same_place(lost, new, STANDS)


def _same_place(one: Sights, other: Sights, slack: float) -> np.ndarray:
    """Log density (K,) 1/m² of places within about a `slack`, of the class's length, of others."""
    given = one.xy, one.cov, one.bias_cov, slack * one.length, other.xy, other.cov, other.bias_cov
    density = link_odds.stays(*map(np.ascontiguousarray, given))
    return np.where(one.level == other.level, density, -np.inf)


def log_normal(step: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """Log density (K,) of steps (K, d) under normal distributions of mean 0 and covariance (K, d, d)."""
    return np.asarray(link_odds.log_normals(np.ascontiguousarray(step), np.ascontiguousarray(cov)))


def _slack(lost: Sights) -> np.ndarray:
    """How far (K,) m off the length of a way may be."""
    return SLACK + np.sqrt(np.trace(lost.cov[:, :2, :2], axis1=1, axis2=2))
