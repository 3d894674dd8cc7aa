"""How a site's objects come back into sight: learned from those that were recognised before.

Objects that were lost at one place come back at the same few others, after much the same time: a ramp, a gate, a
gap between two cameras. Parzen windows over the last such transits give how likely a new one is, as in Javed,
Shafique and Shah, 2003 (Tracking across multiple cameras with disjoint views); what was never seen before is left to
what is known of any site. Times from camera to camera that the site's map tells count as if they had been seen here.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.spatial import cKDTree
from scipy.special import ndtri

from geoloc.options import check_range
from geoloc.pipeline.link_costs import Sights
from geoloc.scene.lanes import DRIVES
from geoloc.scene.sitemap import SiteMap

AT_ONCE = 1.0  # s; who was away for less needs no experience
PARKED_S = 60.0  # s; what stays for longer is parked, and not on its way
UNIT_S = 1.0  # s, in which a coming object is seen; densities of place count those that come within it

SAME_PLACE = 0.01  # m
COLUMNS = 9
TOLD = -1.0  # family of transits that the map tells: of everything that drives


@dataclass(frozen=True)
class TransitOptions:
    """How much past counts, and how alike two transits are."""

    most: int = 1000  # transits that are remembered
    place_sigma: float = 3.0  # m between places where objects of one way were lost, or seen again
    time_sigma: float = 1.0  # s between the times that they were away
    time_spread: float = 0.15  # and of the time, where that is more
    unknown: float = 2.0  # transits' worth of doubt that the next goes the ways that were gone before
    told: int = 20  # transits that a time from the map counts for, at most

    def __post_init__(self) -> None:
        check_range(self, most=(0, 1e5), place_sigma=(1e-2, 1e3), time_sigma=(1e-2, 1e3))
        check_range(self, time_spread=(0, 10), unknown=(1e-6, 1e6), told=(0, 1e4))


class Transits:
    """The last transits of one site, each with the probability that it was one object's."""

    def __init__(self, options: TransitOptions | None = None, site_map: SiteMap | None = None) -> None:
        self.options = options or TransitOptions()
        # family, both levels, both places (m), time away (s), probability
        self._rows = np.zeros((0, COLUMNS)) if site_map is None else _told(site_map, self.options)

    def learn(self, lost: Sights, new: Sights, sure: np.ndarray) -> None:
        """Row k of `new` was row k of `lost` with probability `sure` (K,)."""
        rows = np.flatnonzero((lost.stays_s < PARKED_S) & (new.time - lost.time >= AT_ONCE))
        more = np.column_stack([_ways(lost, new), new.time - lost.time, sure])[rows]
        self._rows = np.concatenate([self._rows, more])[-self.options.most :] if self.options.most else self._rows

    def forget(self, places: np.ndarray) -> None:
        """Do without the transits from or to places (N, 2) m where one object was."""
        if len(places) and len(self._rows):
            tree = cKDTree(places)
            off = np.minimum(tree.query(self._rows[:, 3:5])[0], tree.query(self._rows[:, 5:7])[0])
            self._rows = self._rows[off > SAME_PLACE]

    def density(self, lost: Sights, new: Sights, generic: np.ndarray) -> np.ndarray:
        """Log density (K,) 1/m² of the new ones' places now, where `generic` (K,) is that on just any site."""
        rows = np.flatnonzero(np.isfinite(generic) & (lost.stays_s < PARKED_S) & (new.time - lost.time >= AT_ONCE))
        if not len(rows) or not len(self._rows):
            return generic
        lost, new = lost.take(rows), new.take(rows)
        way, options = _ways(lost, new), self.options
        kin = (way[:, :1] == self._rows[:, 0]) | ((lost.length >= DRIVES)[:, None] & (self._rows[:, 0] == TOLD))
        leaves = kin & (way[:, 1:2] == self._rows[:, 1])
        begins = np.exp(-0.5 * ((way[:, None, 3:5] - self._rows[:, 3:5]) ** 2).sum(axis=2) / options.place_sigma**2)
        from_here = leaves * self._rows[:, 8] * begins
        there = way[:, 2:3] == self._rows[:, 2]
        off2 = ((way[:, None, 5:7] - self._rows[:, 5:7]) ** 2).sum(axis=2) / options.place_sigma**2
        sigma = np.maximum(options.time_sigma, options.time_spread * self._rows[:, 7])
        late = ((new.time - lost.time)[:, None] - self._rows[:, 7]) / sigma
        kernel = np.exp(-0.5 * (off2 + late**2)) / ((2 * np.pi) ** 1.5 * options.place_sigma**2 * sigma)
        known, support = (from_here * there * kernel).sum(axis=1), from_here.sum(axis=1) + options.unknown
        out = generic.copy()
        with np.errstate(divide="ignore"):
            seen_before = np.log(known * UNIT_S / support)
        out[rows] = np.logaddexp(seen_before, generic[rows] + np.log(options.unknown / support))
        return out


def _ways(lost: Sights, new: Sights) -> np.ndarray:
    """Family, both levels and both places (K, 7) of each pair."""
    return np.column_stack([lost.family, lost.level, new.level, lost.xy, new.xy])


def _told(site_map: SiteMap, options: TransitOptions) -> np.ndarray:
    """The map's times from camera to camera as transits (N, COLUMNS) that were seen, spread as they say."""
    parts = [np.zeros((0, COLUMNS))]
    for transit in site_map.transits:
        n = min(round(transit.n), options.told)
        seconds = transit.seconds + transit.seconds_sigma * ndtri((np.arange(n) + 0.5) / max(n, 1))
        level = site_map.level_index[transit.level]
        ends = shapely.get_coordinates(transit.line)[[0, -1]].ravel()
        way = np.tile([TOLD, level, level, *ends], (n, 1))
        parts.append(np.column_stack([way, np.maximum(seconds, AT_ONCE), np.ones(n)]))
    return np.concatenate(parts)[-options.most :] if options.most else parts[0]
