"""A still laid onto a sheet of a level: each of its pixels looked up in the still through lens and pose."""

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.perception.ground_sheet import Sheet, Sight
from geoloc.scene.camera import Camera
from geoloc.scene.ground_error import level_pixels
from geoloc.scene.sitemap import Level

SAME_SHAPE = 0.01  # by which the sides of a still and of its camera may differ in ratio
BLOCK = 1024  # px; cv2.remap takes no image with a side of 32768 or more
COARSER = 4  # times that a still is halved for what it shows far more finely than the sheet


def check_still(still: np.ndarray, name: str, size: tuple[int, int] | None = None) -> np.ndarray:
    """A still as it is used; InputError unless it is uint8 (H, W, 3), and of the shape of a camera of `size`."""
    if not (still.ndim == 3 and still.shape[2] == 3 and still.dtype == np.uint8 and still.size):
        raise InputError(f"still of {name!r}: {still.dtype} {still.shape}; it must be uint8 (H, W, 3), BGR")
    height, width = still.shape[:2]
    if size is not None and abs(width * size[1] - height * size[0]) > SAME_SHAPE * size[0] * height:
        found = f"{width} x {height}, its camera {size[0]} x {size[1]}"
        raise InputError(f"still of {name!r} is {found}: is it of this camera, and not cut?")
    return np.ascontiguousarray(still)


def rectify(image: np.ndarray, sight: Sight, level: Level, sheet: Sheet) -> tuple[np.ndarray, np.ndarray]:
    """An image (h, w) or (h, w, C) of a camera on a sheet: (H, W, C) float32, and where it is seen (H, W) bool.

    An image of another size than its camera is scaled to it; what it shows more finely than the sheet is averaged.
    """
    layers = image.reshape(*image.shape[:2], -1)
    out = np.zeros((*sheet.shape, layers.shape[2]), np.float32)
    seen = sight.on(sight.seen.astype(np.float32), sheet) > 0.5
    rows, columns = np.nonzero(seen)
    pixels = level_pixels(sight.camera, level, sheet.xy(rows, columns))
    good = np.isfinite(pixels).all(axis=1)
    good[good] = sight.camera.inside(pixels[good])
    seen[rows[~good], columns[~good]] = False
    rows, columns, pixels = rows[good], columns[good], pixels[good]
    fine = np.sqrt(sight.on(sight.fine, sheet) * sight.on(sight.coarse, sheet))[rows, columns]
    halvings = np.clip(np.rint(np.log2(np.maximum(sheet.pixel / np.maximum(fine, 1e-6), 1e-6))), 0, COARSER).astype(int)
    scaled = layers
    for halving in range(COARSER + 1):
        mine = np.flatnonzero(halvings == halving)
        if len(mine):
            out[rows[mine], columns[mine]] = sample(scaled, sight.camera, pixels[mine])
        if halving < COARSER:
            height, width = ((side + 1) // 2 for side in scaled.shape[:2])
            scaled = cv2.resize(scaled, (width, height), interpolation=cv2.INTER_AREA).reshape(height, width, -1)
    return out, seen


def sample(image: np.ndarray, camera: Camera, pixels: np.ndarray) -> np.ndarray:
    """Values (N, C) of an image of a camera, of whatever size, at pixels (N, 2) of the camera."""
    scale = np.array([image.shape[1] / camera.size[0], image.shape[0] / camera.size[1]])
    at = (pixels + 0.5) * scale - 0.5
    n, depth = len(at), image.shape[2]
    padded = np.zeros((-(-n // BLOCK) * BLOCK, 2), np.float32)
    padded[:n] = at
    maps = padded.reshape(-1, BLOCK, 2)
    parts = [
        cv2.remap(image, b[..., 0], b[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(-1, depth)
        for b in (maps[i : i + BLOCK] for i in range(0, len(maps), BLOCK))
    ]
    return np.concatenate([np.zeros((0, depth), image.dtype), *parts])[:n]
