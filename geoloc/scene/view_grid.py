"""The cells of a level, and which of them one camera sees: the parts of `visibility`."""

from dataclasses import dataclass

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.geometry.gaussian import inverse_2x2, worst_sigma
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye
from geoloc.scene.occlusion import Blocker
from geoloc.scene.sitemap import Level, SiteMap

MAX_CELLS = 20_000_000  # of one level
N_BORDER = 33  # samples along each side of the image

WATCHED = "area_of_interest"  # kind of the zones outside which a site's detectors report nothing


@dataclass(frozen=True, eq=False)
class Grid:
    """The cells of one level that any camera might see: their heights, and the surface that gives them."""

    index: int
    cell: float
    height: float
    first: np.ndarray  # (2,)
    size: np.ndarray  # (2,) cells along x and y
    z: np.ndarray  # (ny, nx) m; NaN off the level, inside pillars, and outside what is watched
    surface: np.ndarray  # (ny, nx) index into planes
    planes: np.ndarray  # (S, 3)

    @property
    def n_cells(self) -> int:
        return int(self.size.prod())

    @classmethod
    def of(
        cls,
        index: int,
        level: Level,
        site_map: SiteMap,
        views: list["View"],
        cell: float,
        max_range: float,
        height: float,
    ) -> "Grid":
        anchors = [view.anchor for view in views if view.level in (-1, index)]
        first, size = _window(level, anchors, max_range, cell)
        if size.prod() > MAX_CELLS:
            raise InputError(
                f"visibility of level {level.name!r}: {size[0]} x {size[1]} cells of {cell} m are more than "
                f"{MAX_CELLS}; take a larger cell or a smaller max_range, or give the level a polygon"
            )
        x, y = (cell * (first[axis] + 0.5 + np.arange(size[axis])) for axis in (0, 1))
        xy = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        z, surface = np.full(len(xy), np.nan), np.zeros(len(xy), dtype=np.int16)
        for i, piece in reversed(list(enumerate(level.surfaces))):
            held = piece.holds(xy)
            z[held], surface[held] = piece.z_at(xy[held]), i
        for occluder in site_map.occluders:
            if occluder.level == level.name and occluder.height >= height:
                z[_covers(occluder.geometry, xy)] = np.nan
        watched = [zone.polygon for zone in site_map.zones if (zone.kind, zone.level) == (WATCHED, level.name)]
        if watched:
            z[~_covers(shapely.union_all(watched), xy)] = np.nan
        planes = np.array([piece.plane for piece in level.surfaces], float)
        nx, ny = size
        return cls(index, cell, height, first, size, z.reshape(ny, nx), surface.reshape(ny, nx), planes)

    def near(self, anchor: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Cells on the level within a radius in plan: flat indices (N,) and their points (N, 3) m."""
        low = np.floor((anchor - radius) / self.cell) - self.first
        high = np.floor((anchor + radius) / self.cell) - self.first + 1
        (x0, y0), (x1, y1) = (np.clip(edge, 0, self.size).astype(int) for edge in (low, high))
        x = self.cell * (self.first[0] + 0.5 + np.arange(x0, x1))
        y = self.cell * (self.first[1] + 0.5 + np.arange(y0, y1))
        close = (x - anchor[0]) ** 2 + ((y - anchor[1]) ** 2)[:, None] <= radius**2
        row, column = np.nonzero(close & np.isfinite(self.z[y0:y1, x0:x1]))
        flat = (row + y0) * int(self.size[0]) + column + x0
        return flat, np.stack([x[column], y[row], self.z.ravel()[flat]], axis=-1)


@dataclass(frozen=True, eq=False)
class View:
    """One camera, ready to be asked about the cells of each level."""

    camera: Camera
    anchor: np.ndarray  # (2,) m, from where its range counts
    level: int  # the only level that it sees; -1: any
    max_range: float
    max_m_per_px: float
    cos_cone: float  # of the half angle of a cone around the optical axis that holds the image

    @classmethod
    def of(cls, camera: Camera, site_map: SiteMap, max_range: float, max_m_per_px: float) -> "View":
        if camera.is_homography:
            level = site_map.level_index[camera.homography_level]
            return cls(camera, camera.anchor_xy, level, max_range, max_m_per_px, -1.0)
        return cls(camera, camera.anchor_xy, -1, max_range, max_m_per_px, _cos_cone(camera))

    def cells(self, grid: Grid, blockers: list[Blocker]) -> np.ndarray:
        """Flat indices of the grid's cells that this camera sees."""
        if self.level not in (-1, grid.index):
            return np.zeros(0, dtype=np.intp)
        rows, points = grid.near(self.anchor, self.max_range)
        if self.camera.is_homography:
            return rows[_seen_by_homography(self.camera, points[:, :2], self.anchor, self.max_m_per_px)]
        centre = self.camera.centre_world
        keep = self._resolves(centre, points, grid.planes[grid.surface.ravel()[rows]])
        rows, points = rows[keep], points[keep]
        keep = self.camera.inside(self.camera.project(points))
        rows, targets = rows[keep], points[keep] + [0.0, 0.0, grid.height]
        for blocked in blockers:
            keep = ~blocked(centre, targets)
            rows, targets = rows[keep], targets[keep]
        return rows

    def _resolves(self, centre: np.ndarray, points: np.ndarray, planes: np.ndarray) -> np.ndarray:
        """Points in front, within range, on a surface that is seen from above and not too grazingly."""
        offset = points - centre
        distance2 = np.einsum("ij,ij->i", offset, offset)
        axis = self.camera.cam_from_world.rotation.as_matrix()[2]
        above = centre[2] - (planes[:, 0] * centre[0] + planes[:, 1] * centre[1] + planes[:, 2])
        focal = self.camera.lens.params[:2].min()
        in_cone = offset @ axis >= self.cos_cone * np.sqrt(distance2)
        return in_cone & (distance2 <= self.max_range**2) & (distance2 <= self.max_m_per_px * focal * above)


def _window(level: Level, anchors: list[np.ndarray], radius: float, cell: float) -> tuple[np.ndarray, np.ndarray]:
    """First cell (2,) and number of cells (2,) of the level that lie within `radius` of any camera."""
    if not anchors:
        return np.zeros(2), np.zeros(2, dtype=int)
    low, high = np.min(anchors, axis=0) - radius, np.max(anchors, axis=0) + radius
    if not any(surface.polygon.is_empty for surface in level.surfaces):
        bounds = shapely.total_bounds([surface.polygon for surface in level.surfaces])
        low, high = np.maximum(low, bounds[:2]), np.minimum(high, bounds[2:])
    first = np.floor(low / cell)
    return first, np.maximum(np.ceil(high / cell) - first, 0).astype(int)


def _cos_cone(camera: Camera) -> float:
    """Cosine of the largest angle from the optical axis in the image or, if less, in the lens's field."""
    width, height = camera.size
    u, v = np.linspace(-0.5, width - 0.5, N_BORDER), np.linspace(-0.5, height - 0.5, N_BORDER)
    sides = [(u, np.full_like(u, v[0])), (u, np.full_like(u, v[-1]))]
    sides += [(np.full_like(v, u[0]), v), (np.full_like(v, u[-1]), v)]
    forward = camera.lens.unproject(np.concatenate([np.stack(side, axis=-1) for side in sides]))[:, 2]
    field = camera.lens.limit if isinstance(camera.lens, Fisheye) else np.arctan(camera.lens.limit)
    widest = field if np.isnan(forward).any() else np.arccos(forward.min())
    return float(np.cos(min(widest + 1e-3, np.pi)))


def _seen_by_homography(camera: Camera, xy: np.ndarray, bottom: np.ndarray, max_m_per_px: float) -> np.ndarray:
    """Points (N, 2) of the level whose pixels lie on the image, this side of the horizon, finely enough."""
    matrix = camera.lens.params.reshape(3, 3)
    u, v, w = matrix[:, :2] @ xy.T + matrix[:, 2:]
    side = matrix[2, :2] @ bottom + matrix[2, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = np.stack([u / w, v / w], axis=-1)
        by_ground = (matrix[None, :2, :2] - pixels[:, :, None] * matrix[None, 2:, :2]) / w[:, None, None]
        by_pixel = inverse_2x2(by_ground)
        m_per_px = worst_sigma(by_pixel @ by_pixel.swapaxes(1, 2))
        return (w * side > 0) & camera.inside(pixels) & (m_per_px <= max_m_per_px)


def _covers(geometry: shapely.Geometry, xy: np.ndarray) -> np.ndarray:
    """Which points (N, 2) lie in a solid; a wall is a line and holds none."""
    if not geometry.geom_type.endswith("Polygon") or not len(xy):
        return np.zeros(len(xy), dtype=bool)
    x0, y0, x1, y1 = geometry.bounds
    rows = np.flatnonzero((xy[:, 0] >= x0) & (xy[:, 0] <= x1) & (xy[:, 1] >= y0) & (xy[:, 1] <= y1))
    covered = np.zeros(len(xy), dtype=bool)
    covered[rows] = shapely.contains_xy(geometry, xy[rows, 0], xy[rows, 1])
    return covered
