"""A scan of the site as a picture from above, and the surface under a click into it."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.scan import ScanRegistration, register_scan
from geoloc.calibrate.scan_picks import pick_at
from geoloc.draw.style import LIGHT
from geoloc.errors import GeometryError, InputError
from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.scans import read_scan
from geoloc.scene.sitemap import Level, SiteMap

LARGEST, FINEST = 2000, 0.02  # pixels of the longer side, m of one
BELOW, TO_NEXT = 0.6, 0.5  # m under a level's surface that still belong to it; what the next level's slab takes
PER_CELL = 1.5  # points of a pixel, about
PICK_RADIUS = (0.15, 0.5)  # m: of the surface that a click looks at, in dense scans and sparse ones
COLOURS = LIGHT.heat
LIGHT_FROM = np.array([-0.5, 0.5, 0.7])  # east, north, up: the upper left, as maps are shaded


@dataclass(frozen=True, eq=False)
class ScanPicture:
    """A level of a scan from above: `pixels` (H, W, 4) RGBA, clear where it has no points.

    `affine` (2, 3) takes (u, v, 1) to x, y in m; colours go from `low` to `high` m over the level. `height` (H, W) m
    is the world's z of the highest point of a pixel, NaN where there is none.
    """

    pixels: np.ndarray
    affine: np.ndarray
    low: float
    high: float
    height: np.ndarray

    @cached_property
    def png(self) -> bytes:
        """The picture as a file."""
        import cv2

        return bytes(cv2.imencode(".png", cv2.cvtColor(self.pixels, cv2.COLOR_RGBA2BGRA))[1])

    def z_at(self, x: float, y: float) -> float:
        """Height (m) of what the picture shows at a place; NaN where it shows nothing."""
        u, v = np.linalg.solve(self.affine[:, :2], np.array([x, y]) - self.affine[:, 2])
        rows, columns = self.height.shape
        inside = -0.5 <= u < columns - 0.5 and -0.5 <= v < rows - 0.5
        return float(self.height[round(v), round(u)]) if inside else float("nan")


@dataclass(frozen=True)
class ScanSpot:
    """The surface under a click: `z` in the world, `height` over the level, and standard deviations, all in m."""

    z: float
    height: float
    sigma_xy: float
    sigma_z: float


class ScanView:
    """A registered scan. Points (N, 3) of it in the world, what the registration leaves open, and its pictures."""

    def __init__(self, points: np.ndarray, registration: ScanRegistration, site_map: SiteMap) -> None:
        self._points = registration.apply(points)
        self._registration, self._site_map = registration, site_map
        self.picture = lru_cache(maxsize=8)(self._picture)

    def _level_rows(self, level: int, cut: float) -> np.ndarray:
        """Rows of the points that lie on a level or stand on it, up to `cut` m, and under the next one."""
        here, others = self._site_map.levels[level], self._site_map.levels
        xy, z = self._points[:, :2], self._points[:, 2]
        ground = here.z_extended(xy)
        keep = (z > ground - BELOW) & (z < ground + cut)
        for other in others:
            if other is not here:
                above = other.z_at(xy)
                with np.errstate(invalid="ignore"):
                    keep &= ~((above > ground + TO_NEXT) & (z > above - TO_NEXT))
        return np.flatnonzero(keep)

    def _picture(self, level: int, cut: float) -> ScanPicture:
        """Level `level` (its index) from above, without what is more than `cut` m over it."""
        points = self._points[self._level_rows(level, cut)]
        if not len(points):
            name = self._site_map.levels[level].name
            raise GeometryError(f"the scan has no points on level {name!r}, up to {cut:g} m over it")
        return _draw(points, self._site_map.levels[level])

    def pick(self, level: int, cut: float, x: float, y: float, click_m: float) -> ScanSpot:
        """The surface that the picture shows at a place clicked to `click_m` (m); GeometryError where there is none."""
        picture = self.picture(level, cut)
        near_z = picture.z_at(x, y)
        if np.isnan(near_z):
            raise GeometryError("the scan has no points there; click on a denser place")
        radius = float(np.clip(1.5 * picture.affine[0, 0], *PICK_RADIUS))
        near = self._points[np.abs(self._points[:, :2] - [x, y]).max(axis=1) < 2 * radius]
        found = pick_at(near, (x, y), near_z, radius)
        cov = found.cov + self._registration.point_cov(found.xyz)[0]
        cov[[0, 1], [0, 1]] += click_m**2
        z = float(found.xyz[2])
        ground = float(self._site_map.levels[level].z_extended(np.array([[x, y]]))[0])
        return ScanSpot(z, z - ground, float(worst_sigma(cov[:2, :2])), float(np.sqrt(cov[2, 2])))


def open_scan(path: Path, site_map: SiteMap, sigma: float = 0.0) -> ScanView:
    """The scan of a file, laid on the map; with a `sigma` (m) it lies in the site's own metres, that well.

    GeometryError says why it cannot be laid on the map, and what to do.
    """
    points = read_scan(path)
    if sigma:
        if not 0 < sigma < np.inf:
            raise InputError(f"scan {path}: sigma {sigma} m; it must be positive")
        cov = np.diag([0.0, 0.0, 0.0, *[sigma**2] * 3, 0.0])
        return ScanView(points, ScanRegistration(RigidTransform.identity(), 1.0, cov, 0.0, 0.0, 0.0, 0.0), site_map)
    try:
        return ScanView(points, register_scan(points, site_map), site_map)
    except GeometryError as error:
        own = "or, if it lies in the site's own metres already, say how well: --scan-sigma 0.02"
        raise GeometryError(f"scan {path}: {error}; {own}") from error


def _draw(points: np.ndarray, level: Level) -> ScanPicture:
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    span = np.maximum(high - low, 0.1)
    cell = max(float(np.sqrt(PER_CELL * span.prod() / len(points))), float(span.max()) / LARGEST, FINEST)
    columns, rows = (np.ceil(span / cell).astype(int) + 1).tolist()
    at = np.floor((points[:, :2] - low) / cell).astype(int)
    height = np.full(rows * columns, np.nan)
    order = np.argsort(points[:, 2])  # of several in a pixel the highest is written last
    height[((rows - 1 - at[:, 1]) * columns + at[:, 0])[order]] = points[order, 2]
    height = _closed(height.reshape(rows, columns))
    affine = np.array([[cell, 0.0, low[0] + cell / 2], [0.0, -cell, low[1] + (rows - 0.5) * cell]])
    v, u = np.mgrid[:rows, :columns]
    xy = np.stack([affine[0, 0] * u + affine[0, 2], affine[1, 1] * v + affine[1, 2]], axis=-1).reshape(-1, 2)
    over = height - level.z_extended(xy).reshape(rows, columns)
    bottom, top = np.nanpercentile(over, [1.0, 99.0]).tolist()
    top = max(top, bottom + 0.1)
    return ScanPicture(_shaded(height, (over - bottom) / (top - bottom), cell), affine, bottom, top, height)


def _closed(height: np.ndarray) -> np.ndarray:
    """Holes of a pixel or two take the highest of their neighbours."""
    import cv2

    for _ in range(2):
        wide = cv2.dilate(np.where(np.isnan(height), -1e9, height), np.ones((3, 3), np.uint8))
        some = cv2.boxFilter((~np.isnan(height)).astype(np.float64), -1, (3, 3), normalize=False) >= 4
        height = np.where(np.isnan(height) & some, wide, height)
    return height


def _shaded(height: np.ndarray, share: np.ndarray, cell: float) -> np.ndarray:
    """RGBA (H, W, 4) of heights (m): coloured by `share` (0 to 1), lit from the upper left."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS], float)
    known = ~np.isnan(height)
    at = np.clip(np.where(known, share, 0.0), 0.0, 1.0) * (len(stops) - 1)
    colour = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=-1)
    south, east = np.gradient(height, cell)
    normal = np.stack([-east, south, np.ones_like(height)], axis=-1)  # rows run south
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    lit = np.nan_to_num(normal @ (LIGHT_FROM / np.linalg.norm(LIGHT_FROM)), nan=0.7)
    lit = np.clip(0.45 + 0.78 * lit, 0.3, 1.12)
    rgb = np.clip(colour * lit[..., None], 0, 255)
    return np.concatenate([rgb, 255.0 * known[..., None]], axis=-1).astype(np.uint8)
