"""The ground in cells: who sees it, how sharply their calibrations put it on the map, which stalls nobody sees."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from geoloc.scene.ground_error import ground_sigma
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Place

BLIND = 0.5  # share of a stall that cameras must see, or a car in it may go unseen


@dataclass(frozen=True, eq=False)
class CellView:
    """The cells (K,) of a level that one camera sees, flat indices, and the ground sigma (K,) m of each.

    The sigma is the largest standard deviation that the calibration leaves to the ground under a pixel: NaN where
    the camera states no error. Pixel noise and the map's heights come on top.
    """

    camera: str
    cells: np.ndarray
    sigma: np.ndarray


@dataclass(frozen=True)
class StallView:
    """A stall: which share of it any camera sees, and how many cameras see at least half of it."""

    name: str
    level: str
    seen: float
    n_cameras: int

    @property
    def blind(self) -> bool:
        """Whether less than half of it is seen."""
        return self.seen < BLIND


@dataclass(frozen=True, eq=False)
class LevelGround:
    """One level in cells of `cell` m from `corner` (2,) m on, `shape` (rows to the north, columns to the east).

    `area_m2` is the level's own area, 0 where it has no edge.
    """

    name: str
    area_m2: float
    corner: np.ndarray
    cell: float
    shape: tuple[int, int]
    views: tuple[CellView, ...]
    stalls: tuple[StallView, ...]

    @cached_property
    def count(self) -> np.ndarray:
        """How many cameras see each cell: (ny, nx) int."""
        count = np.zeros(self.shape[0] * self.shape[1], dtype=int)
        for view in self.views:
            count[view.cells] += 1
        return count.reshape(self.shape)

    @cached_property
    def sigma(self) -> np.ndarray:
        """Ground sigma (ny, nx) m by the camera that knows it best; NaN where none states one."""
        sigma = np.full(self.shape[0] * self.shape[1], np.inf)
        for view in self.views:
            sigma[view.cells] = np.fmin(sigma[view.cells], view.sigma)
        return np.where(np.isinf(sigma), np.nan, sigma).reshape(self.shape)

    @property
    def seen_m2(self) -> float:
        """Area that at least one camera sees."""
        return self.cell**2 * float((self.count >= 1).sum())

    @property
    def twice_m2(self) -> float:
        """Area that two cameras or more see."""
        return self.cell**2 * float((self.count >= 2).sum())

    def centres(self, cells: np.ndarray) -> np.ndarray:
        """Middles (K, 2) m of cells (K,)."""
        row, column = np.divmod(cells, self.shape[1])
        return self.corner + self.cell * (np.column_stack([column, row]) + 0.5)


def level_ground(site: Site, index: int) -> LevelGround:
    """What the cameras of a site see of one of its levels, in the cells of its visibility."""
    seen_by, level = site.visibility, site.site_map.levels[index]
    nx, ny = seen_by.shape[index].astype(int).tolist()
    offset = int(seen_by.offset[index])
    bits = np.unpackbits(seen_by.seen[offset : offset + nx * ny], axis=1, count=len(site.cameras)).astype(bool)
    corner = seen_by.cell * seen_by.first[index]
    empty = LevelGround(level.name, _area(level), corner, seen_by.cell, (ny, nx), (), ())
    views = []
    for camera, column in zip(site.cameras, bits.T, strict=True):
        cells = np.flatnonzero(column)
        if len(cells):
            views.append(CellView(camera.name, cells, ground_sigma(camera, level, empty.centres(cells))))
    stalls = [_stall_view(site, index, stall) for stall in site.site_map.stalls if stall.level == level.name]
    return LevelGround(level.name, empty.area_m2, corner, seen_by.cell, (ny, nx), tuple(views), tuple(stalls))


def shared_ground(grounds: tuple[LevelGround, ...], names: tuple[str, ...]) -> np.ndarray:
    """Area (C, C) m² that each pair of cameras sees; on the diagonal what each sees."""
    place = {name: i for i, name in enumerate(names)}
    total = np.zeros((len(names), len(names)))
    for ground in grounds:
        seen = np.zeros((len(names), ground.shape[0] * ground.shape[1]), dtype=np.float32)
        for view in ground.views:
            seen[place[view.camera], view.cells] = 1.0
        total += ground.cell**2 * (seen @ seen.T)
    return total


def _area(level: Level) -> float:
    return float(shapely.union_all([surface.polygon for surface in level.surfaces]).area)


def _stall_view(site: Site, index: int, stall: Place) -> StallView:
    cell = site.visibility.cell
    x0, y0, x1, y1 = stall.polygon.bounds
    x, y = (np.arange(np.floor(a / cell), np.ceil(b / cell)) * cell + cell / 2 for a, b in ((x0, x1), (y0, y1)))
    xy = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    xy = xy[shapely.contains_xy(stall.polygon, xy[:, 0], xy[:, 1])]
    if not len(xy):
        xy = shapely.get_coordinates(stall.polygon.representative_point())
    seen = site.visibility.seen_by(np.full(len(xy), index), xy)
    each = seen.mean(axis=0)
    return StallView(stall.name, stall.level, float(seen.any(axis=1).mean()), int((each >= BLIND).sum()))
