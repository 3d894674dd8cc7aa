"""Where objects come and go, and how often: counted over a recording, in cells that borrow from all others."""

import numpy as np

from geoloc.pipeline.link_costs import Sights


class Places:
    """Beginnings, or ends, by cell, and by whether objects are expected to come or go there; classes apart.

    Each estimate leaves the object itself out, and weighs what was counted in its cell against what was counted
    in all places of its kind as one more object would (the means of a gamma and of a beta distribution).
    """

    def __init__(self, sights: Sights, expected: np.ndarray, families: np.ndarray, size: float) -> None:
        family = np.searchsorted(families, sights.family)
        self._kind = 2 * family + expected
        cell = np.floor(sights.xy / size).astype(int)
        key = np.column_stack([self._kind, sights.level, cell])
        found, row = np.unique(key, axis=0, return_inverse=True)
        self._cell, self._n_cells, self._n_kinds = row.ravel(), len(found), 2 * len(families)

    def rates(self, weight: np.ndarray, ground: np.ndarray, cell_ground: float) -> np.ndarray:
        """Rate (n,) 1/m² s at each row's place of events that count by `weight` (n,).

        `ground` (K,) m² s is that of each kind of place, `cell_ground` that of one cell.
        """
        overall = (np.bincount(self._kind, weight, self._n_kinds) + 1.0) / ground
        local = np.bincount(self._cell, weight, self._n_cells)[self._cell] - weight
        return (np.maximum(local, 0.0) + 1.0) / (cell_ground + 1.0 / overall[self._kind])

    def shares(self, weight: np.ndarray) -> np.ndarray:
        """Share (n,) of the rows at each row's place, each of which counts by `weight` (n,) from 0 to 1."""
        count = np.bincount(self._kind, minlength=self._n_kinds)
        overall = (np.bincount(self._kind, weight, self._n_kinds) + 1.0) / (count + 2.0)
        local = np.bincount(self._cell, weight, self._n_cells)[self._cell] - weight
        others = np.bincount(self._cell, minlength=self._n_cells)[self._cell] - 1.0
        return (np.clip(local, 0.0, others) + overall[self._kind]) / (others + 1.0)


class Waits:
    """How long objects stay out of sight: of those that stood, and those that moved, apart.

    Before anything is known, each order of magnitude of time is as likely.
    """

    def __init__(self, away: np.ndarray, stands: np.ndarray, longest: float) -> None:
        edges = np.exp2(0.5 * np.arange(int(2 * np.log2(2.0 + longest)) + 3)) - 1.0
        part = np.searchsorted(edges, away, side="right") - 1
        self._n = len(edges) - 1
        self._bin = np.minimum(part, self._n - 1) + self._n * stands
        self._kind, self._width = stands.astype(int), np.diff(edges)[self._bin % self._n]

    def densities(self, sure: np.ndarray) -> np.ndarray:
        """Log density (E,) 1/s of each link's time out of sight, from links of probability `sure` (E,)."""
        count = np.bincount(self._bin, sure, 2 * self._n)[self._bin] - sure
        total = np.bincount(self._kind, sure, 2)[self._kind] - sure
        return np.log((count + 1.0) / (total + self._n) / self._width)
