"""How far it is from one place of a site to another for what must go round walls and over ramps.

Cells of all levels, eight neighbours each; a step that would cross a wall or pillar is not taken, and levels
are joined where they meet, as at the foot of a ramp, and by stairs and lifts. Distances over such a grid are up to
8 % too long (Borgefors, 1986), and a cell's size off at both ends. What drives has a longer way against a one-way lane,
and from stall to stall.
"""

from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from geoloc.scene.joints import joints_of
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level

MARGIN = 10.0  # m around what is seen of a level without outlines
JOINT = 1.0  # m; levels are joined where they are no farther apart in height
AGAINST = 10.0  # times its length: a step against a one-way lane, where a car that turns or parks moves back a little
ACROSS = 10.0  # the same of one from stall to stall, which may be empty
MOST_KNOWN = 100_000  # lengths of ways that are kept
NOT_SEARCHED = (np.inf, -np.inf)  # length (m), and up to which one was searched
STEPS = ((1, 0), (0, 1), (1, 1), (1, -1))


@dataclass(frozen=True, eq=False)
class Ways:
    """The ways of one site; `Ways.of(site)` computes them once."""

    cell: float  # m
    first: np.ndarray  # (L, 2) m, lower corner of each level's cells
    number: tuple[np.ndarray, ...]  # of each level (ny, nx): row of each cell, -1 where nothing can stand
    graph: csr_array  # (R, R) m, each step both ways
    driven: csr_array  # (R, R) m, the same as they are for vehicles
    # by graph and pair of rows: length (m), and up to which one was searched
    searched: dict[int, dict[tuple[int, int], tuple[float, float]]] = field(default_factory=dict, repr=False)

    @cached_property
    def driven_back(self) -> csr_array:
        """The steps of `driven` from where they lead to where they come from."""
        return csr_array(self.driven.T)

    @classmethod
    def of(cls, site: Site, cell: float = 1.0) -> "Ways":
        """The ways over a site's levels in cells of `cell` m."""
        first, number, z, total = [], [], [], 0
        for index, level in enumerate(site.site_map.levels):
            low, high = _extent(site, index, level)
            size = np.maximum(np.ceil((high - low) / cell).astype(int), 0)
            x, y = (low[i] + cell * (0.5 + np.arange(size[i])) for i in (0, 1))
            height = level.z_at(np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)).reshape(size[1], size[0])
            free = np.isfinite(height)
            cells = np.full(free.shape, -1)
            cells[free] = total + np.arange(free.sum())
            total += int(free.sum())
            first.append(low)
            number.append(cells)
            z.append(height)
        levels = zip(site.site_map.levels, first, number, strict=True)
        steps = [_steps(site, *of_level, cell) for of_level in levels]
        steps += [_joints(first, number, z, cell), _climbs(site, first, number, cell)]
        a, b, length = (np.concatenate(part) for part in zip(*steps, strict=True))
        both = np.concatenate([a, b]), np.concatenate([b, a])
        graph = csr_array((np.concatenate([length, length]), both), shape=(total, total))
        return cls(cell, np.array(first), tuple(number), graph, _driven(site, first, number, graph, cell))

    def distances(self, level: int, xy: np.ndarray, drives: bool = False) -> np.ndarray:
        """Distance (R,) m from a point xy (2,) to every cell, for what `drives` or walks; infinite without a way."""
        row = int(self.rows(np.array([level]), xy[None])[0])
        if row < 0:
            return np.full(self.graph.shape[0], np.inf)
        return np.asarray(dijkstra(self.driven if drives else self.graph, indices=row))

    def rows(self, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """The cell of each point xy (N, 2) m on levels (N,), or the free one nearest to it within 2 m; -1: none."""
        rows = np.full(len(xy), -1)
        known = np.isfinite(xy).all(axis=1)
        for index, cells in enumerate(self.number):
            here = np.flatnonzero((level == index) & known)
            x, y = np.floor((xy[here] - self.first[index]) / self.cell).astype(int).T
            inside = (x >= 0) & (y >= 0) & (x < cells.shape[1]) & (y < cells.shape[0])
            rows[here[inside]] = cells[y[inside], x[inside]]
        for i in np.flatnonzero((rows < 0) & known).tolist():
            index, point = int(level[i]), xy[i]
            cells = self.number[index]
            x, y = np.floor((point - self.first[index]) / self.cell).astype(int)
            reach = int(np.ceil(2.0 / self.cell))
            y0, x0 = max(y - reach, 0), max(x - reach, 0)
            near = cells[y0 : max(y + reach + 1, 0), x0 : max(x + reach + 1, 0)]
            found = np.argwhere(near >= 0)
            if len(found):
                best = np.argmin(((found + np.array([y0 - y, x0 - x])) ** 2).sum(axis=1))
                rows[i] = near[tuple(found[best])]
        return rows


def way_lengths(ways: Ways, start: np.ndarray, goal: np.ndarray, most: np.ndarray, drives: np.ndarray) -> np.ndarray:
    """Length (K,) m of the way from cell to cell of each pair; infinite where it is longer than `most` (K,) m.

    What `drives` (K,) bool has a longer way against one-way lanes.
    """
    out = np.full(len(start), np.inf)
    known = (start >= 0) & (goal >= 0)
    for rows, there, back in (
        (np.flatnonzero(known & ~drives), ways.graph, ways.graph),
        (np.flatnonzero(known & drives), ways.driven, ways.driven_back),
    ):
        a, b, graph = start[rows], goal[rows], there
        if len(np.unique(b)) < len(np.unique(a)):  # from the side that has fewer cells
            a, b, graph = b, a, back
        out[rows] = _search(ways, graph, a, b, most[rows])
    return np.where(out <= most, out, np.inf)


def _search(ways: Ways, graph: csr_array, start: np.ndarray, goal: np.ndarray, most: np.ndarray) -> np.ndarray:
    """Length (K,) m of the way from `start` to `goal` (K,), rows of a graph, where it is at most `most` (K,) m.

    Those of the last searches are known still: the same is asked for in every window, until somebody is recognised.
    """
    known = ways.searched.setdefault(id(graph), {})
    pairs = list(zip(start.tolist(), goal.tolist(), strict=True))
    found = [known.get(pair, NOT_SEARCHED) for pair in pairs]
    out, limit = np.array(found, float).reshape(-1, 2).T.copy()
    rows = np.flatnonzero(np.isinf(out) & (limit < most))
    if len(rows):
        out[rows] = _searched(graph, start[rows], goal[rows], most[rows], ways.cell)
        if len(known) > MOST_KNOWN:
            known.clear()
        for k in rows.tolist():
            known[pairs[k]] = out[k].item(), most[k].item()
    return out


def _searched(graph: csr_array, start: np.ndarray, goal: np.ndarray, most: np.ndarray, cell: float) -> np.ndarray:
    """As `_search`, each anew."""
    from geoloc.scene.kernels.searching import way_lengths as lengths

    order = np.argsort(start, kind="stable")
    sources, first = np.unique(start[order], return_index=True)
    limit, first = np.maximum.reduceat(most[order], first), np.append(first, len(start))
    out, found = np.empty(len(start)), np.empty(len(start))
    lengths(graph.indptr, graph.indices, graph.data, sources, limit, first, goal[order], cell, found)
    out[order] = found
    return out


def _driven(site: Site, first: list[np.ndarray], number: list[np.ndarray], graph: csr_array, cell: float) -> csr_array:
    """The same steps, those against a one-way lane or from stall to stall longer."""
    start, end = np.repeat(np.arange(graph.shape[0]), np.diff(graph.indptr)), graph.indices
    length = graph.data
    middle = np.zeros((graph.shape[0], 2))
    for low, cells in zip(first, number, strict=True):
        row, column = np.nonzero(cells >= 0)
        middle[cells[row, column]] = low + cell * (np.column_stack([column, row]) + 0.5)
    lane = np.zeros((len(middle), 2))  # m/m, zero where any direction is allowed
    for zone in site.site_map.zones:
        if np.isfinite(zone.direction):
            cells = number[site.site_map.level_index[zone.level]]
            rows = cells[cells >= 0]
            inside = shapely.contains_xy(zone.polygon, middle[rows, 0], middle[rows, 1])
            lane[rows[inside]] = np.cos(zone.direction), np.sin(zone.direction)
    along = np.einsum("ni,ni->n", middle[end] - middle[start], lane[start] + lane[end])
    length = np.where(along < -1e-9, AGAINST * length, length)
    stall = _stalls(site, number, middle)
    length = np.where((stall[start] != stall[end]) & (stall[start] >= 0) & (stall[end] >= 0), ACROSS * length, length)
    return csr_array((length, (start, end)), shape=graph.shape)


def _stalls(site: Site, number: list[np.ndarray], middle: np.ndarray) -> np.ndarray:
    """The stall that each cell (R,) is in; -1: none."""
    out = np.full(len(middle), -1)
    for level, cells in zip(site.site_map.levels, number, strict=True):
        rows = cells[cells >= 0]
        here = [index for index, stall in enumerate(site.site_map.stalls) if stall.level == level.name]
        tree = shapely.STRtree([site.site_map.stalls[index].polygon for index in here])
        cell, found = tree.query(shapely.points(middle[rows]), predicate="within")
        out[rows[cell]] = np.array(here, dtype=int)[found]
    return out


def _extent(site: Site, index: int, level: Level) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper corner (2,) m of a level: of its outlines, or of what is seen of it."""
    if not any(surface.polygon.is_empty for surface in level.surfaces):
        x0, y0, x1, y1 = shapely.union_all([surface.polygon for surface in level.surfaces]).bounds
        return np.array([x0, y0]), np.array([x1, y1])
    seen = site.visibility
    low = seen.first[index] * seen.cell
    return low - MARGIN, low + seen.shape[index] * seen.cell + MARGIN


def _steps(
    site: Site, level: Level, first: np.ndarray, cells: np.ndarray, cell: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps between neighbours on one level that cross no occluder: both cells and the length (m) of each."""
    occluders = [o.geometry for o in site.site_map.occluders if o.level == level.name]
    walls, near = shapely.union_all(occluders), _near_walls(occluders, first, cells.shape, cell)
    shapely.prepare(walls)
    ny, nx = cells.shape
    found = []
    for dx, dy in STEPS:
        ys, xs = slice(max(0, -dy), ny - max(0, dy)), slice(0, nx - dx)
        a = cells[ys, xs]
        b = cells[ys.start + dy : ys.stop + dy, dx:nx]
        row, column = np.nonzero((a >= 0) & (b >= 0))
        tried = np.flatnonzero(near[row + ys.start, column])
        start = first + cell * (np.column_stack([column, row + ys.start])[tried] + 0.5)
        lines = shapely.linestrings(np.stack([start, start + cell * np.array([dx, dy])], axis=1))
        free = np.ones(len(row), dtype=bool)
        free[tried] = ~shapely.intersects(walls, lines)
        a, b = a[row, column][free], b[row, column][free]
        found.append((a, b, np.full(len(a), cell * np.hypot(dx, dy))))
    a, b, length = (np.concatenate(part) for part in zip(*found, strict=True))
    return a, b, length


def _near_walls(
    occluders: list[shapely.Geometry], first: np.ndarray, shape: tuple[int, ...], cell: float
) -> np.ndarray:
    """Cells (ny, nx) from whose middles a step may meet an occluder: those about the box of each of its edges."""
    near = np.zeros(shape, dtype=bool)
    for geometry in shapely.get_parts(occluders).tolist() if occluders else []:
        corners = shapely.get_coordinates(geometry)
        ends = np.stack([corners, np.roll(corners, -1, axis=0)])  # an edge that is none, from last to first, is no harm
        low = np.floor((ends.min(axis=0) - first) / cell).astype(int) - 2
        high = np.floor((ends.max(axis=0) - first) / cell).astype(int) + 3
        for x0, y0, x1, y1 in np.hstack([np.maximum(low, 0), np.maximum(high, 0)]).tolist():
            near[y0:y1, x0:x1] = True
        if geometry.area > 0.0:  # what is in it is met too
            x0, y0 = np.maximum(low.min(axis=0), 0)
            x1, y1 = np.maximum(high.max(axis=0), 0)
            near[y0:y1, x0:x1] = True
    return near


def _joints(
    first: list[np.ndarray], number: list[np.ndarray], z: list[np.ndarray], cell: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Steps between cells of two levels that adjoin in plan and meet in height."""
    found = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    around = np.array([(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)])
    for i, j in combinations(range(len(number)), 2):
        size = np.array(number[j].shape)[::-1]
        row, column = np.nonzero(number[i] >= 0)
        middle = first[i] + cell * (np.column_stack([column, row]) + 0.5)
        at = np.floor((middle - first[j]) / cell).astype(int)[:, None] + around
        of_cell, of_step = np.nonzero(((at >= 0) & (at < size)).all(axis=2))
        x, y = at[of_cell, of_step].T
        a, b = number[i][row, column][of_cell], number[j][y, x]
        gap = np.abs(z[i][row, column][of_cell] - z[j][y, x])
        meets = (b >= 0) & (gap <= JOINT)
        length = np.hypot(gap, cell * np.hypot(*around[of_step].T))
        found.append((a[meets], b[meets], np.maximum(length[meets], 1e-3)))
    a, b, length = (np.concatenate(part) for part in zip(*found, strict=True))
    return a, b, length


def _climbs(
    site: Site, first: list[np.ndarray], number: list[np.ndarray], cell: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A step between the middles of a zone of stairs or a lift that two levels have, as long as it is high."""
    found = []
    for joint in joints_of(site.site_map):
        for zone in shapely.get_parts(joint.climb):
            middle = shapely.get_coordinates(shapely.point_on_surface(zone))
            places = [np.floor((middle[0] - first[k]) / cell).astype(int) for k in (joint.first, joint.second)]
            sizes = [np.array(number[k].shape)[::-1] for k in (joint.first, joint.second)]
            if not all(((at >= 0) & (at < size)).all() for at, size in zip(places, sizes, strict=True)):
                continue
            rows = [int(number[k][y, x]) for k, (x, y) in zip((joint.first, joint.second), places, strict=True)]
            heights = [site.site_map.levels[k].z_at(middle)[0] for k in (joint.first, joint.second)]
            if min(rows) >= 0:
                found.append((rows[0], rows[1], max(abs(heights[1] - heights[0]), cell)))
    a, b, length = np.array(found, float).reshape(-1, 3).T
    return a.astype(int), b.astype(int), length
