"""A level as a picture: pixels of some centimetres, north up, and which camera sees which of them how finely."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from geoloc.geometry.gaussian import inverse_2x2
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.ground_error import ground_jacobians, ground_sigma, homography_jacobian, slope_at
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level
from geoloc.scene.visibility import compute_visibility

ABOVE = 0.05  # m over the ground that must be in clear view: what stands is masked by the map's walls and pillars


@dataclass(frozen=True)
class SightOptions:
    """Which ground counts as seen."""

    cell: float = 0.25  # m; side of the cells in which sight is worked out
    reach: float = 60.0  # m from the camera
    coarsest: float = 0.4  # m that a pixel may cover along the view

    def __post_init__(self) -> None:
        check_range(self, cell=(0.02, 10), reach=(1, 2000), coarsest=(0.005, 20))


@dataclass(frozen=True, eq=False)
class Sheet:
    """A level cut into pixels of `pixel` m: `shape` (H, W), its upper left corner at `corner` (2,) m."""

    level: str
    corner: np.ndarray
    pixel: float
    shape: tuple[int, int]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 m."""
        (x, y), (height, width) = self.corner.tolist(), self.shape
        return x, y - height * self.pixel, x + width * self.pixel, y

    @property
    def world_from_pixel(self) -> np.ndarray:
        """The affine map (2, 3) from (column, row, 1), a pixel's centre at integers, to m: what a world file says."""
        x, y = self.corner + np.array([0.5, -0.5]) * self.pixel
        return np.array([[self.pixel, 0.0, x], [0.0, -self.pixel, y]])

    def xy(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Places (N, 2) m of pixels, whole or not."""
        return self.corner + self.pixel * np.column_stack([np.asarray(columns) + 0.5, -(np.asarray(rows) + 0.5)])

    def pixels(self, xy: np.ndarray) -> np.ndarray:
        """Column and row (N, 2) of places (N, 2) m."""
        return (np.asarray(xy, float) - self.corner) * [1.0, -1.0] / self.pixel - 0.5

    def resampled(self, pixel: float) -> "Sheet":
        """The same ground in pixels of another side (m)."""
        height, width = (max(1, int(np.ceil(side * self.pixel / pixel))) for side in self.shape)
        return replace(self, pixel=pixel, shape=(height, width))

    def cut(self, x0: float, y0: float, x1: float, y1: float) -> "Sheet":
        """The part of it that covers a box (m), in whole pixels."""
        left, top = np.floor(self.pixels(np.array([[x0, y1]]))[0] + 0.5).astype(int)
        right, bottom = np.ceil(self.pixels(np.array([[x1, y0]]))[0] + 0.5).astype(int)
        left, top = max(int(left), 0), max(int(top), 0)
        right, bottom = min(int(right), self.shape[1]), min(int(bottom), self.shape[0])
        corner = self.corner + self.pixel * np.array([left, -top])
        return replace(self, corner=corner, shape=(max(bottom - top, 0), max(right - left, 0)))


@dataclass(frozen=True, eq=False)
class Sight:
    """What one camera sees of a level, in the cells of `sheet`: arrays (H, W).

    `seen` bool; `fine` and `coarse` m that a pixel of it covers across and along the view; `sigma` m that its
    calibration leaves (0 where it states no error).
    """

    camera: Camera
    sheet: Sheet
    seen: np.ndarray
    fine: np.ndarray
    coarse: np.ndarray
    sigma: np.ndarray

    @property
    def blur(self) -> np.ndarray:
        """How unsharply (m) it shows a place: what a pixel covers, and how well its place is known."""
        return np.where(self.seen, np.hypot(self.coarse, self.sigma), np.inf)

    def on(self, values: np.ndarray, sheet: Sheet) -> np.ndarray:
        """Values (H, W) of the cells between them, on another sheet."""
        across = sheet.pixel / self.sheet.pixel
        start = self.sheet.pixels(sheet.xy(np.zeros(1), np.zeros(1)))[0]
        affine = np.array([[across, 0.0, start[0]], [0.0, across, start[1]]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(values.astype(np.float32), affine, sheet.shape[::-1], flags=flags))


def level_sights(site: Site, cameras: tuple[str, ...], options: SightOptions | None = None) -> dict[str, list[Sight]]:
    """What each of the cameras sees of each level, by the level's name; nothing of one that sees nothing."""
    options = options or SightOptions()
    chosen = replace(site, cameras=tuple(site.camera(name) for name in cameras))
    found: dict[str, list[Sight]] = {level.name: [] for level in site.site_map.levels}
    if not chosen.cameras:
        return found
    seen = compute_visibility(chosen, options.cell, options.reach, options.coarsest, ABOVE)
    for index, level in enumerate(site.site_map.levels):
        nx, ny = seen.shape[index].astype(int).tolist()
        rows = seen.seen[int(seen.offset[index]) : int(seen.offset[index]) + nx * ny]
        bits = np.unpackbits(rows, axis=1, count=len(chosen.cameras)).astype(bool).reshape(ny, nx, -1)[::-1]
        corner = options.cell * (seen.first[index] + np.array([0.0, ny]))
        whole = Sheet(level.name, corner, options.cell, (ny, nx))
        for camera, mine in zip(chosen.cameras, np.moveaxis(bits, 2, 0), strict=True):
            if mine.any():
                found[level.name].append(_sight(camera, level, whole, mine))
    return found


def _sight(camera: Camera, level: Level, whole: Sheet, seen: np.ndarray) -> Sight:
    """Cut to what the camera sees, and one cell around it."""
    rows, columns = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    top, bottom = max(rows[0] - 1, 0), min(rows[-1] + 2, seen.shape[0])
    left, right = max(columns[0] - 1, 0), min(columns[-1] + 2, seen.shape[1])
    part = seen[top:bottom, left:right]
    corner = whole.corner + whole.pixel * np.array([left, -top])
    sheet = replace(whole, corner=corner, shape=(int(bottom - top), int(right - left)))
    at = np.nonzero(part)
    xy = sheet.xy(*at)
    fine, coarse = _footprint(camera, level, xy)
    sigma = np.nan_to_num(ground_sigma(camera, level, xy))
    arrays = [np.full(part.shape, fill, np.float32) for fill in (np.inf, np.inf, 0.0)]
    for array, values in zip(arrays, (fine, coarse, sigma), strict=True):
        array[at] = values
    return Sight(camera, sheet, part, *(_spread(array, part) for array in arrays))


def _spread(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (H, W) where they are known, and the nearest known one elsewhere."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    lookup = np.zeros(int(labels.max()) + 1, values.dtype)
    lookup[labels[known]] = values[known]
    return np.asarray(lookup[labels])


def _footprint(camera: Camera, level: Level, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """m (N,) that a pixel covers on the ground at xy (N, 2), in the narrowest direction and in the widest."""
    if camera.is_homography:
        by_ground = homography_jacobian(camera, xy)
    else:
        points = np.column_stack([xy, level.z_extended(xy)])
        by_ground, _ = ground_jacobians(camera, points, slope_at(level, xy))
    size = np.linalg.svd(inverse_2x2(by_ground), compute_uv=False)
    return size[:, 1], size[:, 0]
