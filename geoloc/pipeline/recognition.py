"""Is this new track an object that was lost from sight? Log-likelihood ratios from place, time, class and looks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from geoloc.options import check_range
from geoloc.pipeline.identity_book import HIDDEN, Book
from geoloc.scene.site import Site
from geoloc.scene.ways import Ways

KEPT = 500  # lost identities whose distances are kept
NEVER = 14.0  # times the mean time of return, after which one in a million is still to come back
DRIVES = 1.0  # m; classes that are shorter go as they like
LANE = 4.0  # m, breadth of the ways over which a lost object spreads


@dataclass(frozen=True)
class RecognitionOptions:
    """What makes a new track a known object."""

    birth_density: float = 0.02  # new objects on a square metre near an entrance of the map
    inside_birth_density: float = 2e-5  # the same elsewhere
    open_birth_density: float = 0.002  # the same everywhere on a map that names no entrance
    entrance_reach: float = 4.0  # m around an entrance within which objects come
    returns: float = 0.95  # share of lost objects that come back, where the map names its entrances
    open_returns: float = 0.5  # the same where it names none, and objects leave anywhere
    return_s: float = 10.0  # mean time after which those do
    steady_s: float = 4.0  # mean time for which an object drives on as it did
    pace: float = 0.5  # of its class's speed: the mean speed of an object out of sight
    pace_spread: float = 0.6  # of that: its standard deviation
    waits: float = 0.3  # share of objects out of sight that wait there
    top_speed: float = 2.0  # times its class's speed: nothing is faster
    leave_s: float = 3600.0  # mean time after which a hidden object leaves unseen
    appearance_weight: float = 10.0  # log-odds per unit of cosine similarity above `appearance_neutral`
    appearance_neutral: float = 0.6

    def __post_init__(self) -> None:
        check_range(self, birth_density=(1e-12, 1e3), inside_birth_density=(1e-12, 1e3), waits=(1e-6, 1))
        check_range(self, pace=(1e-3, 10), pace_spread=(1e-3, 10), top_speed=(1e-3, 100), leave_s=(1, 1e12))
        check_range(self, entrance_reach=(0, 1e4), open_birth_density=(1e-12, 1e3), returns=(0, 1), open_returns=(0, 1))
        check_range(self, return_s=(1e-3, 1e9), steady_s=(1e-3, 1e9))


class Recognition:
    """The costs of one site. Ways round its walls are computed when they are first needed."""

    def __init__(self, site: Site, options: RecognitionOptions | None = None) -> None:
        self.site = site
        self.options = options or RecognitionOptions()
        self._fields: dict[int, tuple[float, np.ndarray]] = {}  # of lost identities: when lost, distances (m)

    @cached_property
    def _ways(self) -> Ways:
        return Ways.of(self.site)

    def odds(self, book: Book, new: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Log-likelihood ratios (n, m): the new track is the lost identity, against a new object."""
        odds = np.full((len(new), len(lost)), -np.inf)
        newcomer = np.log(self._density(book["start_level"][new], book["start"][new]))
        near = self._reachable(book, new, lost)
        for column in np.flatnonzero(near.any(axis=0)).tolist():
            mine, row = np.flatnonzero(near[:, column]), int(lost[column])
            where = self._place_odds(book, new[mine], row)
            odds[mine, column] = where - newcomer[mine] + self._looks(book, new[mine], row)
        return odds

    def _reachable(self, book: Book, new: np.ndarray, lost: np.ndarray) -> np.ndarray:
        """Whether (n, m) the new tracks are of the lost ones' family, began later, and no farther than they can be."""
        away = book["first_seen"][new, None] - book["seen"][lost]
        apart = np.linalg.norm(book["start"][new, None] - book["xy"][lost], axis=2)
        most = self.options.top_speed * book.kinds(lost).speed * away + _slack(book, lost)
        same = book.families(new)[:, None] == book.families(lost)
        ways: np.ndarray = same & (away > 0.0) & (apart <= most) & (new[:, None] != lost)
        return ways

    def is_exit(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether objects leave the site at points xy (N, 2) on levels (N,)."""
        return self._near("exit", level, xy)

    def _place_odds(self, book: Book, new: np.ndarray, row: int) -> np.ndarray:
        """Log density (n,) 1/m² of the tracks' first points, each were it the lost identity `row`."""
        options = self.options
        if book["life"][row] != HIDDEN:
            return self._spread(book, new, row)
        step = book["start"][new] - book["xy"][row]
        cov = book["cov"][new][:, :2, :2] + book["cov"][row, :2, :2] + book["bias_cov"][new] + book["bias_cov"][row]
        cov = cov + (0.1 * book.kinds(np.array([row])).length[0]) ** 2 * np.eye(2)
        inverse = np.linalg.inv(cov)
        distance2 = np.einsum("ni,nij,nj->n", step, inverse, step)
        stays = -0.5 * distance2 - 0.5 * np.log(np.linalg.det(cov)) - np.log(2 * np.pi)
        stays = np.where(book["start_level"][new] == book["level"][row], stays, -np.inf)
        away = book["first_seen"][new] - book["seen"][row]
        left = np.log(-np.expm1(-np.maximum(away, 1e-3) / options.leave_s))
        return np.logaddexp(stays, left + self._spread(book, new, row))

    def _spread(self, book: Book, new: np.ndarray, row: int) -> np.ndarray:
        """Log density (n,) 1/m² of an object that has gone on, or waited, since it was lost from sight."""
        options = self.options
        way = self._way(book, new, row)
        speed = book.kinds(np.array([row])).speed[0]
        away = np.maximum(book["first_seen"][new] - book["seen"][row], 1e-3)
        slack = _slack(book, np.array([row]))[0]
        most = options.top_speed * speed * away + slack
        mean = options.pace * speed * away
        sigma = np.hypot(options.pace_spread * mean, slack)
        goes = (1 - options.waits) * np.exp(-0.5 * ((way - mean) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        waits = options.waits / np.minimum(most, self._size)
        with np.errstate(divide="ignore"):
            around = np.where(way <= most, (goes + waits) / LANE, 0.0)
            steady = np.exp(-away / options.steady_s)
            density = steady * self._drives_on(book, new, row, away) + (1.0 - steady) * around
            return np.log(density) + np.log(self._comes_back(away))

    def _way(self, book: Book, new: np.ndarray, row: int) -> np.ndarray:
        """Length (n,) m of the shortest way from where an object was lost to where each track began."""
        straight = np.linalg.norm(book["start"][new] - book["xy"][row], axis=1)
        if self._is_open:
            return straight
        number = int(book["number"][row])
        if self._fields.get(number, (np.nan,))[0] != book["seen"][row]:
            drives = book.kinds(np.array([row])).length[0] >= DRIVES
            lost = book["seen"][row], self._ways.distances(int(book["level"][row]), book["xy"][row], drives)
            self._fields.pop(number, None)
            self._fields[number] = lost
            if len(self._fields) > KEPT:
                del self._fields[next(iter(self._fields))]
        cells = self._ways.rows(book["start_level"][new], book["start"][new])
        way = np.where(cells >= 0, self._fields[number][1][cells], np.inf)
        same = book["start_level"][new] == book["level"][row]
        return np.where(same, np.where(cells >= 0, np.maximum(way, straight), straight), way)

    @cached_property
    def _is_open(self) -> bool:
        """Whether nothing stands in anybody's way: one level without walls and one-way lanes."""
        site_map = self.site.site_map
        one_way = any(np.isfinite(zone.direction) for zone in site_map.zones)
        return len(site_map.levels) == 1 and not site_map.occluders and not one_way

    def _drives_on(self, book: Book, new: np.ndarray, row: int, away: np.ndarray) -> np.ndarray:
        """Density (n,) 1/m² of an object that kept its velocity."""
        step = book["start"][new] - book["xy"][row] - away[:, None] * book["velocity"][row]
        acceleration = book.kinds(np.array([row])).acceleration[0]
        cov = book["cov"][new][:, :2, :2] + book["bias_cov"][new] + book["cov"][row, :2, :2] + book["bias_cov"][row]
        cov = cov + book["cov"][row, 2:, 2:] * away[:, None, None] ** 2
        cov = cov + (acceleration**2 * away**3 / 3.0)[:, None, None] * np.eye(2)
        distance2 = np.einsum("ni,nij,nj->n", step, np.linalg.inv(cov), step)
        return np.exp(-0.5 * distance2) / (2.0 * np.pi * np.sqrt(np.linalg.det(cov)))

    def _comes_back(self, away: np.ndarray) -> np.ndarray:
        """Probability (n,) that an object which was lost for so long comes back at all."""
        options = self.options
        if self._has("entrance"):
            return np.full(len(away), options.returns)
        return options.open_returns * np.exp(-away / options.return_s)

    @property
    def forget_s(self) -> float:
        """Time (s) after which a lost object does not come back at all."""
        return np.inf if self._has("entrance") else NEVER * self.options.return_s

    @cached_property
    def _size(self) -> float:
        """Length (m) of all ways of the site, about."""
        if self._is_open:
            return np.inf
        return float(max(self._ways.graph.shape[0] * self._ways.cell**2 / LANE, 10.0))

    def _looks(self, book: Book, new: np.ndarray, row: int) -> np.ndarray | float:
        if not book.looks.shape[1] or not book.looks[row].any():
            return 0.0
        known = book.looks[new].any(axis=1)
        cosine = book.looks[new] @ book.looks[row]
        return np.where(known, self.options.appearance_weight * (cosine - self.options.appearance_neutral), 0.0)

    def _density(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """How many new objects (N,) 1/m² are to be expected at points."""
        options = self.options
        if not self._has("entrance"):
            return np.full(len(xy), options.open_birth_density)
        comes = self._near("entrance", level, xy)
        return np.where(comes, options.birth_density, options.inside_birth_density)

    def _has(self, kind: str) -> bool:
        return any(zone.kind == kind for zone in self.site.site_map.zones)

    def _near(self, kind: str, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        near = np.zeros(len(xy), dtype=bool)
        points = shapely.points(xy)
        for zone in self.site.site_map.zones:
            if zone.kind == kind:
                here = level == self.site.site_map.level_index[zone.level]
                near |= here & (shapely.distance(zone.polygon, points) <= self.options.entrance_reach)
        return near


def _slack(book: Book, rows: np.ndarray) -> np.ndarray:
    """By how much (n,) m where an object was lost, and where its track begins, are off."""
    slack: np.ndarray = 3.0 + np.sqrt(book["cov"][rows, 0, 0] + book["cov"][rows, 1, 1])
    return slack
