"""How a site's objects come back into sight: learned from those that were recognised before.

Objects that were lost at one place come back at the same few others, after much the same time: a ramp, a gate, a
gap between two cameras. Parzen windows over the last such transits give how likely a new one is, as in Javed,
Shafique and Shah, 2003 (Tracking across multiple cameras with disjoint views); what was never seen before is left to
what is known of any site.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from geoloc.options import check_range
from geoloc.pipeline.link_costs import Sights

AT_ONCE = 1.0  # s; who was away for less needs no experience
PARKED_S = 60.0  # s; what stays for longer is parked, and not on its way
UNIT_S = 1.0  # s, in which a coming object is seen; densities of place count those that come within it

SAME_PLACE = 0.01  # m


@dataclass(frozen=True)
class TransitOptions:
    """How much past counts, and how alike two transits are."""

    most: int = 1000  # transits that are remembered
    place_sigma: float = 3.0  # m between places where objects of one way were lost, or seen again
    time_sigma: float = 1.0  # s between the times that they were away
    time_spread: float = 0.15  # and of the time, where that is more
    unknown: float = 2.0  # transits' worth of doubt that the next goes the ways that were gone before

    def __post_init__(self) -> None:
        check_range(self, most=(0, 1e5), place_sigma=(1e-2, 1e3), time_sigma=(1e-2, 1e3))
        check_range(self, time_spread=(0, 10), unknown=(1e-6, 1e6))


class Transits:
    """The last transits of one site, each with the probability that it was one object's."""

    def __init__(self, options: TransitOptions | None = None) -> None:
        self.options = options or TransitOptions()
        self._rows = np.zeros((0, 9))  # family, both levels, both places (m), time away (s), probability

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
        same = (way[:, None, :3] == self._rows[:, :3]).all(axis=2) * self._rows[:, 8]
        begins = np.exp(-0.5 * ((way[:, None, 3:5] - self._rows[:, 3:5]) ** 2).sum(axis=2) / options.place_sigma**2)
        from_here = (way[:, None, :2] == self._rows[:, :2]).all(axis=2) * self._rows[:, 8] * begins
        off2 = ((way[:, None, 5:7] - self._rows[:, 5:7]) ** 2).sum(axis=2) / options.place_sigma**2
        sigma = np.maximum(options.time_sigma, options.time_spread * self._rows[:, 7])
        late = ((new.time - lost.time)[:, None] - self._rows[:, 7]) / sigma
        kernel = np.exp(-0.5 * (off2 + late**2)) / ((2 * np.pi) ** 1.5 * options.place_sigma**2 * sigma)
        known, support = (same * begins * kernel).sum(axis=1), from_here.sum(axis=1) + options.unknown
        out = generic.copy()
        with np.errstate(divide="ignore"):
            seen_before = np.log(known * UNIT_S / support)
        out[rows] = np.logaddexp(seen_before, generic[rows] + np.log(options.unknown / support))
        return out


def _ways(lost: Sights, new: Sights) -> np.ndarray:
    """Family, both levels and both places (K, 7) of each pair."""
    return np.column_stack([lost.family, lost.level, new.level, lost.xy, new.xy])
