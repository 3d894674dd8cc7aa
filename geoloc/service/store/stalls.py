"""Which stalls change hands from window to window: a stall is taken by who is parked in it, seen or hidden."""

from collections.abc import Iterator, Mapping

import numpy as np
import shapely

from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

STANDS = ("parked", "hidden")


class Stalls:
    """Who is in which stall, as of the last window; `changes` moves it on."""

    def __init__(self, site: Site) -> None:
        stalls = site.site_map.stalls
        self._names = [(stall.level, stall.name) for stall in stalls]
        self._level = np.array([stall.level for stall in stalls], dtype=str)
        self._tree = shapely.STRtree([stall.polygon for stall in stalls])
        self._taken: dict[tuple[str, str], int] = {}
        self.known = False  # whether it is known who was there before

    def forget(self) -> None:
        """The engine has gone back: who was there before is to be asked of the store."""
        self.known = False

    def begin(self, taken: Mapping[tuple[str, str], int]) -> None:
        """As of the window before the next one: object by level and stall."""
        self._taken, self.known = {name: number for name, number in taken.items() if number}, True

    def changes(self, tracks: Tracks) -> Iterator[tuple[str, str, int]]:
        """Level, stall and its new object (0: free), of the stalls that the next window changes."""
        now: dict[tuple[str, str], int] = {}
        rows = np.flatnonzero(np.isin(tracks.life, STANDS)) if self._names and len(tracks) else np.zeros(0, int)
        if len(rows):
            point, stall = self._tree.query(shapely.points(tracks.xy[rows]), predicate="covered_by")
            for row, k in zip(rows[point].tolist(), stall.tolist(), strict=True):
                if tracks.level[row] == self._level[k]:
                    number = int(tracks.track[row])
                    now[self._names[k]] = max(number, now.get(self._names[k], 0))
        for name in self._names:
            if now.get(name, 0) != self._taken.get(name, 0):
                yield *name, now.get(name, 0)
        self._taken = now
