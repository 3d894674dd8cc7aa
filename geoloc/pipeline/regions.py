"""One large site in regions: an engine each, cameras in common where they meet, and a seam that joins their tracks.

Each region's engine follows what its own cameras see, some way beyond its border. Where two regions see the same object
the seam gives both tracks one number: the older one. The position that is told is that of the region in whose area the
object is, so an object that crosses a border keeps its number. The seam reads tracks alone, in order: what it says is a
function of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import shapely
from scipy.optimize import linear_sum_assignment
from scipy.stats import chi2
from shapely import Polygon

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.scene.footprint import footprints
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

FAR = 1e6  # m; the outermost regions end there
TIDY_S = 600.0

Key = tuple[str, int]  # a region and the number of a track there


@dataclass(frozen=True)
class RegionOptions:
    """How a site is cut, and when two tracks are one object."""

    overlap_m: float = 5.0  # a region's cameras see this far beyond its border
    camera_share: float = 0.3  # of what a camera sees that must lie in a region for it to be one of its cameras
    range_m: float = 25.0  # what cameras see farther off does not count for that
    gate_probability: float = 0.99  # that two tracks of one object are taken for one
    settle_s: float = 1.0  # two numbers that agree for so long become one
    forget_s: float = 14400.0  # tracks that were not there for longer have no number any more
    border_m: float = 1.0  # an object is told by its region until it is this far beyond the border

    def __post_init__(self) -> None:
        check_range(self, overlap_m=(0, 1e4), camera_share=(0, 1), range_m=(1, 1e4), gate_probability=(0.5, 1 - 1e-9))
        check_range(self, settle_s=(0, 1e3), border_m=(0, 1e3), forget_s=(1, 1e12))


@dataclass(frozen=True, eq=False)
class Region:
    """A part of a site: what it owns (world xy, m, on every level), and its cameras."""

    name: str
    area: Polygon
    cameras: tuple[str, ...]

    def site(self, whole: Site) -> Site:
        """The site with this region's cameras alone; its map is the whole one."""
        return replace(whole, cameras=tuple(whole.camera(name) for name in self.cameras))


def split_site(site: Site, count: int, options: RegionOptions | None = None) -> tuple[Region, ...]:
    """`count` strips across the longer side of what the cameras see, of about as many cameras each.

    InputError where a region would have no camera.
    """
    options = options or RegionOptions()
    if count < 1:
        raise InputError(f"{count} regions; give 1 or more")
    seen = footprints(site, options.range_m)
    areas = {name: shapely.union_all([one.area for one in seen if one.camera == name]) for name in site.camera_index}
    middles = np.array([[area.centroid.x, area.centroid.y] for area in areas.values() if not area.is_empty])
    if len(middles) < count:
        raise InputError(f"site {site.name!r}: {len(middles)} cameras that see ground; too few for {count} regions")
    axis = int(np.argmax(np.ptp(middles, axis=0)))
    edges = [-FAR, *np.quantile(middles[:, axis], np.arange(1, count) / count).tolist(), FAR]
    found = []
    for k in range(count):
        low, high = [-FAR, -FAR], [FAR, FAR]
        low[axis], high[axis] = edges[k], edges[k + 1]
        area = shapely.box(*low, *high)
        wide = area.buffer(options.overlap_m, join_style="mitre")
        least = options.camera_share
        mine = [n for n, one in areas.items() if one.area and one.intersection(wide).area > least * one.area]
        if not mine:
            raise InputError(f"site {site.name!r}: region {k + 1} of {count} would have no camera; make fewer")
        found.append(Region(f"r{k + 1}", area, tuple(mine)))
    return tuple(found)


class Seam:
    """Joins the tracks of a site's regions, window by window."""

    def __init__(self, regions: Sequence[Region], options: RegionOptions | None = None) -> None:
        self.options = options or RegionOptions()
        self.lineage = Lineage()  # numbers that became one
        self._regions = {region.name: region for region in regions}
        self._number: dict[Key, int] = {}
        self._agree: dict[tuple[Key, Key], float] = {}  # s, since when two tracks with two numbers are at one place
        self._teller: dict[int, str] = {}  # region that told of a number last
        self._next = 1
        self._seen: dict[Key, float] = {}  # s, when each numbered track was there last
        self._tidied = -np.inf  # s
        self.crossed = 0  # times that another region began to tell of an object

    def state(self) -> dict[str, Any]:
        """What `resume` takes: numbers, names and events, as `codec` stores them."""
        return {name: value for name, value in vars(self).items() if name not in ("options", "_regions")}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Become as a seam of the same regions was."""
        vars(self).update(state)

    def step(self, tables: Mapping[str, Tracks]) -> Tracks:
        """One window's tracks of every region, as one table in which each object stands once."""
        time = max((float(table.time[0]) for table in tables.values() if len(table)), default=np.nan)
        own = {name: _moved(table.take(table.state != "tentative"), time) for name, table in tables.items()}
        names, agreed = sorted(own), set[tuple[Key, Key]]()
        for k, first in enumerate(names):
            for second in names[k + 1 :]:
                for pair in self._pairs(first, own[first], second, own[second]):
                    agreed.add(pair)
                    self._join(*pair, own)
        self._agree = {pair: since for pair, since in self._agree.items() if pair in agreed}
        for name, table in own.items():
            for number in table.track[self._inside(name, table, 0.0)].tolist():
                if (name, number) not in self._number:
                    self._number[name, number] = self._new()
        self._seen |= {(name, track): time for name, table in own.items() for track in table.track.tolist()}
        if time > self._tidied + TIDY_S:
            self._tidy(time)
        return self._told(own)

    def _tidy(self, time: float) -> None:
        """Let go of tracks that were not there for long: their regions give these numbers to nothing else."""
        self._tidied = time
        self._seen = {key: seen for key, seen in self._seen.items() if seen > time - self.options.forget_s}
        self._number = {key: number for key, number in self._number.items() if key in self._seen}
        left = set(self._number.values())
        self._teller = {number: name for number, name in self._teller.items() if number in left}

    def _inside(self, name: str, table: Tracks, beyond: float) -> np.ndarray:
        """Which rows (N,) lie in a region's area, or at most so far (m) beyond it."""
        area = self._regions[name].area
        return np.asarray(shapely.distance(area, shapely.points(table.xy)) <= beyond, dtype=bool)

    def _pairs(self, first: str, a: Tracks, second: str, b: Tracks) -> list[tuple[Key, Key]]:
        """Tracks of two regions that are at one place, where both look."""
        reach = self.options.overlap_m
        a = a.take(self._inside(second, a, reach) & self._inside(first, a, reach))
        b = b.take(self._inside(first, b, reach) & self._inside(second, b, reach))
        if not len(a) or not len(b):
            return []
        off = a.xy[:, None] - b.xy[None]
        cov = a.position_cov[:, None] + b.position_cov[None]
        squared = np.einsum("ijk,ijk->ij", off, np.linalg.solve(cov, off[..., None])[..., 0])
        gate = float(chi2.ppf(self.options.gate_probability, 2))
        fits = (squared <= gate) & (a.level[:, None] == b.level[None]) & (a.label[:, None] == b.label[None])
        rows, columns = linear_sum_assignment(np.where(fits, squared, 1e6))
        kept = [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if fits[i, j]]
        return [((first, int(a.track[i])), (second, int(b.track[j]))) for i, j in kept]

    def _join(self, first: Key, second: Key, own: Mapping[str, Tracks]) -> None:
        """Two tracks at one place get one number: at once where one has none yet, else when they agree for long."""
        numbers = [self._number.get(key) for key in (first, second)]
        if numbers[0] == numbers[1]:
            if numbers[0] is None:
                self._number[first] = self._number[second] = self._new()
            return
        for key, number in ((first, numbers[1]), (second, numbers[0])):
            if key not in self._number and number is not None and not self._used(number, key[0], own):
                self._number[key] = number
                return
        if None in numbers:
            return
        time = max(float(own[key[0]].time[0]) for key in (first, second))
        since = self._agree.setdefault((first, second), time)
        kept, given_up = sorted(number for number in numbers if number is not None)
        regions = {key[0] for key, number in self._number.items() if number == given_up}
        if time - since >= self.options.settle_s and not any(self._used(kept, one, own, given_up) for one in regions):
            self._number = {k: kept if number == given_up else number for k, number in self._number.items()}
            self.lineage.add(Event(time, "merged", kept, (given_up,), why="seen by two regions at one place"))

    def _used(self, number: int, region: str, own: Mapping[str, Tracks], beside: int = 0) -> bool:
        """Whether a track that is there in a region has a number already, and another one there has `beside`."""
        there = [self._number.get((region, track)) for track in own[region].track.tolist()]
        return number in there and (not beside or beside in there)

    def _told(self, own: Mapping[str, Tracks]) -> Tracks:
        """Each number once, as the region says that has it."""
        rows: dict[int, list[tuple[tuple[bool, bool, bool], str, int]]] = {}
        for name, table in own.items():
            inside, near = self._inside(name, table, 0.0), self._inside(name, table, self.options.border_m)
            for row, track in enumerate(table.track.tolist()):
                number = self._number.get((name, track))
                if number is not None:
                    stays = bool(near[row]) and self._teller.get(number) == name
                    rank = bool(table.state[row] == "confirmed"), stays, bool(inside[row])
                    rows.setdefault(number, []).append((rank, name, row))
        parts = []
        for number in sorted(rows):
            _, name, row = max(rows[number])
            self.crossed += self._teller.get(number, name) != name
            self._teller[number] = name
            parts.append(own[name].take(np.array([row])).revised(track=np.array([number])))
        return Tracks.concat(parts) if parts else Tracks()

    def _new(self) -> int:
        self._next += 1
        return self._next - 1


def _moved(table: Tracks, time: float) -> Tracks:
    """Tracks moved on to a time (s): a window of one region lies some hundredths of a second beside another's."""
    if not len(table) or table.time[0] == time:
        return table
    passed = time - float(table.time[0])
    on = np.eye(4)
    on[:2, 2:] = passed * np.eye(2)
    xy, cov = table.xy + passed * table.velocity, on @ table.cov @ on.T
    return table.revised(time=np.full(len(table), time), xy=xy, cov=cov)
