"""Is this new track an object that was lost from sight? Log-likelihood ratios from place, time, class and looks."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from geoloc.options import check_range
from geoloc.pipeline.identity_book import Book
from geoloc.scene.kinds import kind_column
from geoloc.scene.site import Site
from geoloc.scene.ways import Ways

LANE = 4.0  # m, breadth of the ways over which a lost object spreads


@dataclass(frozen=True)
class RecognitionOptions:
    """What makes a new track a known object."""

    birth_density: float = 0.02  # new objects on a square metre near an entrance, or near what nobody sees
    inside_birth_density: float = 2e-5  # the same elsewhere
    entrance_reach: float = 4.0  # m around an entrance within which objects come
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
        check_range(self, entrance_reach=(0, 1e4))


class Recognition:
    """The costs of one site. Ways round its walls are computed when they are first needed."""

    def __init__(self, site: Site, options: RecognitionOptions | None = None) -> None:
        self.site = site
        self.options = options or RecognitionOptions()

    @cached_property
    def _ways(self) -> Ways:
        return Ways.of(self.site)

    def odds(self, book: Book, new: np.ndarray, lost: np.ndarray, time: float) -> np.ndarray:
        """Log-likelihood ratios (n, m): the new track is the lost identity, against a new object."""
        odds = np.full((len(new), len(lost)), -np.inf)
        newcomer = np.log(self._density(book.start_level[new], book.start[new]))
        for column, row in enumerate(lost.tolist()):
            same = (book.family[new] == book.family[row]) & (book.first_seen[new] > book.seen[row] - 1e-6)
            mine = np.flatnonzero(same)
            if not len(mine):
                continue
            where = self._place_odds(book, new[mine], row)
            odds[mine, column] = where - newcomer[mine] + self._looks(book, new[mine], row)
        return odds

    def is_exit(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether objects leave the site at points xy (N, 2) on levels (N,)."""
        return self._near("exit", level, xy)

    def _place_odds(self, book: Book, new: np.ndarray, row: int) -> np.ndarray:
        """Log density (n,) 1/m² of the tracks' first points, each were it the lost identity `row`."""
        options = self.options
        if book.life[row] != "hidden":
            return self._spread(book, new, row)
        step = book.start[new] - book.xy[row]
        cov = book.cov[new][:, :2, :2] + book.cov[row, :2, :2] + book.bias_cov[new] + book.bias_cov[row]
        cov = cov + (0.1 * kind_column(book.label[row : row + 1], "length")[0]) ** 2 * np.eye(2)
        inverse = np.linalg.inv(cov)
        distance2 = np.einsum("ni,nij,nj->n", step, inverse, step)
        stays = -0.5 * distance2 - 0.5 * np.log(np.linalg.det(cov)) - np.log(2 * np.pi)
        stays = np.where(book.start_level[new] == book.level[row], stays, -np.inf)
        away = book.first_seen[new] - book.seen[row]
        left = np.log(-np.expm1(-np.maximum(away, 1e-3) / options.leave_s))
        return np.logaddexp(stays, left + self._spread(book, new, row))

    def _spread(self, book: Book, new: np.ndarray, row: int) -> np.ndarray:
        """Log density (n,) 1/m² of an object that has gone on, or waited, since it was lost from sight."""
        options = self.options
        field = self._ways.distances(int(book.level[row]), book.xy[row])
        cells = self._ways.rows(book.start_level[new], book.start[new])
        straight = np.linalg.norm(book.start[new] - book.xy[row], axis=1)
        way = np.where(cells >= 0, field[cells], np.inf)
        same_level = book.start_level[new] == book.level[row]
        way = np.where(np.isinf(way) & same_level & (cells < 0), straight, way)
        way = np.where(same_level, np.maximum(straight, np.minimum(way, 1.08 * way)), way)
        speed = kind_column(book.label[row : row + 1], "speed")[0]
        away = np.maximum(book.first_seen[new] - book.seen[row], 1e-3)
        slack = 3.0 + np.sqrt(np.trace(book.cov[row, :2, :2]))
        most = options.top_speed * speed * away + slack
        mean = options.pace * speed * away
        sigma = np.hypot(options.pace_spread * mean, slack)
        goes = (1 - options.waits) * np.exp(-0.5 * ((way - mean) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
        waits = options.waits / np.minimum(most, self._size)
        with np.errstate(divide="ignore"):
            return np.where(way <= most, np.log((goes + waits) / LANE), -np.inf)

    @cached_property
    def _size(self) -> float:
        """Length (m) of all ways of the site, about."""
        return float(max(self._ways.graph.shape[0] * self._ways.cell**2 / LANE, 10.0))

    def _looks(self, book: Book, new: np.ndarray, row: int) -> np.ndarray | float:
        if not book.embedding.shape[1] or not book.embedding[row].any():
            return 0.0
        known = book.embedding[new].any(axis=1)
        cosine = book.embedding[new] @ book.embedding[row]
        return np.where(known, self.options.appearance_weight * (cosine - self.options.appearance_neutral), 0.0)

    def _density(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """How many new objects (N,) 1/m² are to be expected at points: near entrances, else at the edge of sight."""
        options = self.options
        if self._has("entrance"):
            comes = self._near("entrance", level, xy)
        else:
            comes = self.site.visibility.distance_to_unseen(level, xy) <= options.entrance_reach
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
