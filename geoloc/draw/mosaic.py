"""All stills of a site laid onto a level of its map: each place from the camera that knows it best, seams feathered."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.calibrate.ground_cells import CellView, LevelGround
from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level

LONGEST = 1400  # px along the longer side
FINEST = 0.03  # m a pixel
FEATHER = 0.6  # m over which one still fades into the next
LEAST = 1e-3  # weight below which a still adds nothing
FAINT = 0.01  # weight of all stills together below which a place stays transparent
SAME_SHAPE = 0.01  # by which the sides of a still and of its camera may differ in ratio
ROWS = 1024  # px; cv2.remap takes no image with a side of 32768 or more


@dataclass(frozen=True, eq=False)
class Mosaic:
    """`image` (H, W, 4) uint8, BGR and opacity, north up; its upper left corner is `corner` (2,) m, `pixel` m wide."""

    image: np.ndarray
    corner: np.ndarray
    pixel: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """x0, y0, x1, y1 m."""
        (x, y), (height, width) = self.corner.tolist(), self.image.shape[:2]
        return x, y - height * self.pixel, x + width * self.pixel, y


def mosaic(site: Site, ground: LevelGround, stills: Mapping[str, np.ndarray]) -> Mosaic:
    """The stills (H, W, 3) uint8 BGR by camera, warped through pose and lens onto a level.

    A still of another size than its camera is scaled to it. Where no camera with a still sees, it is transparent.
    """
    image, corner, pixel = _blank(ground)
    height, width = image.shape[:2]
    views = [view for view in ground.views if view.camera in stills]
    total, colour = np.zeros((height, width), np.float32), np.zeros((height, width, 3), np.float32)
    level = site.site_map.level(ground.name)
    for view, cells in zip(views, _weights(ground, views), strict=True):
        camera = site.camera(view.camera)
        still = check_still(stills[view.camera], view.camera, camera.size)
        weight = cv2.resize(cells[::-1], (width, height), interpolation=cv2.INTER_LINEAR)
        rows, columns = np.nonzero(weight > LEAST)
        pixels = _pixels(camera, level, corner + pixel * np.column_stack([columns + 0.5, -(rows + 0.5)]))
        inside = np.isfinite(pixels).all(axis=1)
        inside[inside] = camera.inside(pixels[inside])
        at = rows[inside], columns[inside]
        colour[at] += weight[at][:, None] * _sample(still, camera, pixels[inside])
        total[at] += weight[at]
    seen = total > FAINT
    image[seen, :3] = np.clip(colour[seen] / total[seen, None], 0, 255)
    image[seen, 3] = 255
    return Mosaic(image, corner, pixel)


def _blank(ground: LevelGround) -> tuple[np.ndarray, np.ndarray, float]:
    """A transparent picture (H, W, 4) of a level, its upper left corner (2,) m, and the side of a pixel (m)."""
    ny, nx = ground.shape
    pixel = max(FINEST, ground.cell * max(ny, nx, 1) / LONGEST)
    height, width = (max(1, round(n * ground.cell / pixel)) for n in (ny, nx))
    corner = ground.corner + np.array([0.0, ny * ground.cell])
    return np.zeros((height, width, 4), np.uint8), corner, ground.cell * max(nx, ny, 1) / max(width, height)


def check_still(still: np.ndarray, name: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """A still as it is drawn; InputError unless it is uint8 (H, W, 3), and of the shape of a camera of `size`."""
    if not (still.ndim == 3 and still.shape[2] == 3 and still.dtype == np.uint8 and still.size):
        raise InputError(f"still of {name!r}: {still.dtype} {still.shape}; it must be uint8 (H, W, 3), BGR")
    height, width = still.shape[:2]
    if size is not None and abs(width * size[1] - height * size[0]) > SAME_SHAPE * size[0] * height:
        found = f"{width} x {height}, its camera {size[0]} x {size[1]}"
        raise InputError(f"still of {name!r} is {found}: is it of this camera, and not cut?")
    return np.ascontiguousarray(still)


def _weights(ground: LevelGround, views: list[CellView]) -> list[np.ndarray]:
    """How much each view counts in each cell (ny, nx): all where it knows best, fading over FEATHER m into others."""
    best, lowest = np.full(ground.shape[0] * ground.shape[1], -1), np.full(ground.shape[0] * ground.shape[1], np.inf)
    for i, view in enumerate(views):
        sigma = np.where(np.isfinite(view.sigma), view.sigma, 1e6)
        rows = view.cells[sigma < lowest[view.cells]]
        best[rows], lowest[rows] = i, sigma[sigma < lowest[view.cells]]
    found = []
    for i, view in enumerate(views):
        mine = (best == i).astype(np.float32).reshape(ground.shape)
        soft = cv2.GaussianBlur(mine, (0, 0), FEATHER / ground.cell)
        allowed = np.zeros(best.shape, np.float32)
        allowed[view.cells] = 1.0
        found.append(np.maximum(soft, 0.02 * mine) * allowed.reshape(ground.shape))
    return found


def _pixels(camera: Camera, level: Level, xy: np.ndarray) -> np.ndarray:
    if camera.is_homography:
        ground = np.column_stack([xy, np.ones(len(xy))])
        u, v, w = np.linalg.inv(camera.ground_from_image) @ ground.T
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((w > 0)[:, None], np.column_stack([u / w, v / w]), np.nan)
    return camera.project(np.column_stack([xy, level.z_extended(xy)]))


def _sample(still: np.ndarray, camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of a still at pixels (N, 2) of its camera."""
    scale = np.array([still.shape[1] / camera.size[0], still.shape[0] / camera.size[1]])
    at = (pixels + 0.5) * scale - 0.5
    n = len(at)
    padded = np.zeros((-(-n // ROWS) * ROWS, 2), np.float32)
    padded[:n] = at
    maps = padded.reshape(-1, ROWS, 2)
    parts = [
        cv2.remap(still, block[..., 0], block[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(-1, 3)
        for block in (maps[i : i + ROWS] for i in range(0, len(maps), ROWS))
    ]
    return np.concatenate([np.zeros((0, 3), np.uint8), *parts])[:n]
