"""What each camera can see of each level, computed once a site and looked up at every step.

A place is seen by a camera if an object's foot there projects inside the image and the line to a point
`height` above it is clear of floors, walls, pillars and the mesh. Beyond a stated range, and where one pixel
covers a stated length of ground, nothing counts as seen. The answer is that of the cell's centre, so it may
be wrong within half a cell's diagonal of an edge. A camera that is known by a homography has no position:
it sees what its image covers of its level, within the range of the ground at the bottom of the image.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.occlusion import Blocker, Occlusion, mesh_blocker
from geoloc.scene.view_grid import Grid, View

if TYPE_CHECKING:
    from geoloc.scene.site import Site


@dataclass(frozen=True, eq=False)
class Visibility:
    """Tables over the cells of all L levels; the last row stands for everywhere else, which nobody sees."""

    cell: float  # m
    n_cameras: int
    first: np.ndarray  # (L, 2) lowest cell, in cells from the origin
    shape: np.ndarray  # (L, 2) cells along x and y
    offset: np.ndarray  # (L,) row of each level's lowest cell
    seen: np.ndarray  # (R + 1, ceil(C / 8)) uint8, a bit a camera
    depth: np.ndarray  # (R + 1,) m to the nearest place on the level that no camera sees

    def seen_by(self, level_index: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Which of the C cameras see points xy (T, 2) m on levels (T,): (T, C) bool; NaN is seen by none."""
        bits = self.seen[self._rows(level_index, xy)]
        return np.unpackbits(bits, axis=1, count=self.n_cameras).view(bool)

    def sees(self, camera_index: np.ndarray, level_index: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Whether camera (K,) sees point xy (K, 2) m on level (K,): (K,) bool."""
        camera = np.asarray(camera_index)
        byte = self.seen[self._rows(level_index, xy), camera >> 3]
        return (byte >> (7 - (camera & 7)).astype(np.uint8) & 1).view(bool)

    def distance_to_unseen(self, level_index: np.ndarray, xy: np.ndarray) -> np.ndarray:
        """Distance (T,) m from points to the nearest place on their level that no camera sees; 0 there.

        The edge of the level is such a place: objects come and go over it.
        """
        return self.depth[self._rows(level_index, xy)]

    def _rows(self, level_index: np.ndarray, xy: np.ndarray) -> np.ndarray:
        level = np.asarray(level_index)
        at = np.floor(np.asarray(xy, float).reshape(-1, 2) * (1.0 / self.cell)) - self.first[level]
        shape = self.shape[level]
        x, y = at[:, 0], at[:, 1]
        inside = (x >= 0) & (y >= 0) & (x < shape[:, 0]) & (y < shape[:, 1]) & (level >= 0)
        row = np.where(inside, self.offset[level] + y * shape[:, 0] + x, len(self.seen) - 1)
        return row.astype(np.intp)


def compute_visibility(
    site: "Site",
    cell: float = 0.5,
    max_range: float = 150.0,
    max_m_per_px: float = 2.0,
    height: float = 0.9,
    mesh: str | Path | None = None,
) -> Visibility:
    """The visibility of a site's levels in cells of `cell` m.

    `max_range` (m) and `max_m_per_px` (ground that one pixel covers along the view, about) say how far a
    camera counts; `height` (m) is where above its foot an object must be in clear view; `mesh` is the file
    of a triangle mesh in the world frame that blocks the view too (extra `mesh`).
    """
    for name, value in (("cell", cell), ("max_range", max_range), ("max_m_per_px", max_m_per_px)):
        if not 0 < value < np.inf:
            raise InputError(f"visibility: {name} is {value}; it must be positive")
    if not 0 <= height < np.inf:
        raise InputError(f"visibility: height is {height}; it must not be negative")
    blockers: list[Blocker] = [Occlusion(site.site_map)]
    if mesh is not None:
        blockers.append(mesh_blocker(mesh))
    views = [View.of(camera, site.site_map, max_range, max_m_per_px) for camera in site.cameras]
    levels = []
    for index, level in enumerate(site.site_map.levels):
        grid = Grid.of(index, level, site.site_map, views, cell, max_range, height)
        seen = np.zeros((grid.n_cells, (len(views) + 7) // 8), dtype=np.uint8)
        for i, view in enumerate(views):
            seen[view.cells(grid, blockers), i >> 3] |= np.uint8(128 >> (i & 7))
        levels.append(_trim(grid, seen))
    return _join(levels, cell, len(views))


def _trim(grid: Grid, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The part of a level's table that some camera sees: first cell, size, bits, distance to the unseen."""
    from scipy.ndimage import distance_transform_edt

    nx, ny = grid.size
    bits = seen.reshape(ny, nx, seen.shape[1])
    anyone = np.asarray(bits.any(axis=2))
    rows, columns = np.flatnonzero(anyone.any(axis=1)), np.flatnonzero(anyone.any(axis=0))
    if not len(rows):
        return grid.first, np.zeros(2, dtype=int), seen[:0], np.zeros(0)
    y, x = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    depth = distance_transform_edt(np.pad(anyone[y, x], 1))[1:-1, 1:-1]
    # from a cell's centre to the edge of the nearest unseen cell, not to its centre
    depth = grid.cell * np.maximum(depth - 0.5, 0.0)
    size = np.array([x.stop - x.start, y.stop - y.start])
    first = grid.first + np.array([x.start, y.start])
    return first, size, bits[y, x].reshape(-1, seen.shape[1]), depth.ravel()


def _join(
    levels: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]], cell: float, n_cameras: int
) -> Visibility:
    first, size, bits, depth = zip(*levels, strict=True)
    rows = [len(part) for part in bits]
    width = (n_cameras + 7) // 8
    return Visibility(
        cell=cell,
        n_cameras=n_cameras,
        first=np.array(first, float),
        shape=np.array(size, float),
        offset=np.cumsum([0, *rows[:-1]]).astype(float),
        seen=np.concatenate([*bits, np.zeros((1, width), dtype=np.uint8)]),
        depth=np.concatenate([*depth, np.zeros(1)]),
    )
