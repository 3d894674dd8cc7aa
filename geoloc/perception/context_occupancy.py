"""Which stalls are taken, with a probability, from tracks: a filter for each, of what stands there and what is not."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely

from geoloc.options import check_range
from geoloc.perception.context_chance import inside_probability, slower_probability
from geoloc.scene.kinds import family_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks


@dataclass(frozen=True)
class OccupancyOptions:
    """How evidence counts."""

    taken_share: float = 0.5  # of stalls, before anything is seen
    turnover_s: float = 3600.0  # after which an unwatched stall may have changed
    correlated_s: float = 4.0  # s of tracks that count as one look
    missed: float = 0.05  # probability that what stands there has no track
    false: float = 0.01  # that a track stands where nothing is
    still: float = 0.6  # m/s
    on: float = 0.9  # a stall is taken from this probability on, until it falls below `off`
    off: float = 0.1

    def __post_init__(self) -> None:
        check_range(self, taken_share=(0.001, 0.999), turnover_s=(1, 1e9), correlated_s=(0.01, 1e4))
        check_range(self, missed=(1e-6, 0.5), false=(1e-6, 0.5), still=(0.01, 10), on=(0.5, 1), off=(0, 0.5))


@dataclass(frozen=True)
class Change:
    """A stall was taken or left, at a time, by a track (-1: not known which), with the probability that it is so."""

    stall: int
    taken: bool
    time: float
    track: int
    probability: float
    sigma: float  # m, of the track's position


class StallOccupancy:
    """Probability (S,) that each stall is taken, as tracks come; `watched` (S,) says which are seen at all."""

    def __init__(self, site: Site, options: OccupancyOptions | None = None) -> None:
        self.site, self.options = site, options or OccupancyOptions()
        self.stalls = site.site_map.stalls
        middle = np.array([shapely.get_coordinates(s.polygon.centroid)[0] for s in self.stalls]).reshape(-1, 2)
        self._level = site.site_map.level_rows(np.array([s.level for s in self.stalls], dtype=str))
        self.watched = np.ones(len(self.stalls), bool)
        if site.cameras and self.stalls:
            self.watched[:] = site.visibility.seen_by(self._level, middle).any(axis=1)
        self.probability = np.full(len(self.stalls), self.options.taken_share)
        self.taken = np.zeros(len(self.stalls), bool)
        self.by = np.full(len(self.stalls), -1)  # the track that stands there
        self.time = np.nan
        self._middle = middle

    def update(self, tracks: Tracks, time: float) -> list[Change]:
        """Take in the tracks of one time (s); what changed for sure."""
        step = 0.0 if np.isnan(self.time) else max(time - self.time, 0.0)
        first, self.time = np.isnan(self.time), time
        if not len(self.stalls):
            return []
        keep = np.exp(-step / self.options.turnover_s)
        p = self.options.taken_share + keep * (self.probability - self.options.taken_share)
        stands, by, sigma = self._standing(tracks)
        looks = 1.0 if first else min(step / self.options.correlated_s, 1.0)
        options = self.options
        if_taken = stands * (1 - options.missed) + (1 - stands) * options.missed
        if_free = stands * options.false + (1 - stands) * (1 - options.false)
        counts = self.watched | (stands > 0.5)
        odds = np.log(p / (1 - p)) + np.where(counts, looks * (np.log(if_taken) - np.log(if_free)), 0.0)
        self.probability = 1.0 / (1.0 + np.exp(-np.clip(odds, -8.0, 8.0)))
        return list(self._changes(by, sigma, first))

    def _standing(self, tracks: Tracks) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probability (S,) that something stands in each stall by its tracks, the likeliest one and its sigma (m)."""
        n = len(self.stalls)
        none, by, sigma = np.ones(n), np.full(n, -1), np.full(n, np.nan)
        vehicle = np.array([family_of(label) == "vehicle" for label in tracks.label.tolist()], bool)
        rows = np.flatnonzero(vehicle & (tracks.state != "tentative"))
        if not len(rows):
            return np.zeros(n), by, sigma
        xy, cov = tracks.xy[rows], tracks.position_cov[rows]
        still = slower_probability(tracks.velocity[rows], tracks.cov[rows, 2:, 2:], self.options.still)
        level = self.site.site_map.level_rows(tracks.level[rows])
        best = np.zeros(n)
        apart = np.linalg.norm(self._middle[:, None] - xy[None], axis=2)
        near = (apart < 6.0 + 4.0 * np.sqrt(np.trace(cov, axis1=1, axis2=2))) & (self._level[:, None] == level)
        for s in np.flatnonzero(near.any(axis=1)).tolist():
            mine = np.flatnonzero(near[s])
            p = inside_probability(self.stalls[s].polygon, xy[mine], cov[mine]) * still[mine] * tracks.score[rows][mine]
            none[s] = np.prod(1.0 - p)
            at = int(p.argmax())
            if p[at] > best[s]:
                best[s], by[s] = p[at], tracks.track[rows[mine[at]]]
                sigma[s] = float(np.sqrt(np.linalg.eigvalsh(cov[mine[at]])[-1]))
        return 1.0 - none, by, sigma

    def _changes(self, by: np.ndarray, sigma: np.ndarray, first: bool) -> Iterator[Change]:
        limit = np.where(self.taken, self.options.off, self.options.on)
        for s in np.flatnonzero(self.taken != (self.probability >= limit)).tolist():
            taken = not self.taken[s]
            track = int(by[s]) if taken else int(self.by[s])
            self.taken[s], self.by[s] = taken, by[s] if taken else -1
            p = float(self.probability[s] if taken else 1.0 - self.probability[s])
            if not first:
                yield Change(s, bool(taken), self.time, track, p, float(sigma[s]))
        stays = self.taken & (by >= 0)
        self.by[stays] = by[stays]
