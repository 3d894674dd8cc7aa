"""All textures of a scene on one page, with its pyramid: filtered samples at any distance, without aliasing.

A sample is the mean over the footprint of its pixel: up to MOST_TAPS places along the footprint's longer axis, each
from the two levels of the pyramid that its shorter axis lies between (Heckbert 1989, "Fundamentals of texture
mapping and image warping"; McCormack et al. 1999, "Feline").
"""

from dataclasses import dataclass

import cv2
import numpy as np

from geoloc.errors import InputError

PAGE = 6144  # texels wide
GUTTER = 16  # texels around each texture, so that the pyramid's coarse levels hold no neighbour
LEVELS = 6
MOST_TAPS = 8
STRIP = 1024  # samples a row of what OpenCV remaps


@dataclass(frozen=True)
class Patch:
    """Where a texture lies on the page (texels), and which of the masks says what of it is there (-1: all)."""

    x: float
    y: float
    width: float
    height: float
    mask: int = -1

    def part(self, x0: float, y0: float, x1: float, y1: float) -> "Patch":
        """A part of it, by shares of its sides, 0 to 1. It is whole: masks are of whole textures."""
        width, height = self.width * (x1 - x0), self.height * (y1 - y0)
        return Patch(self.x + x0 * self.width, self.y + y0 * self.height, width, height)


@dataclass(frozen=True, eq=False)
class Atlas:
    """The page and its pyramid, (H, W, 3) uint8 BGR each half of the one before, and the masks.

    `masks` (B,) uint8 are those of all textures one after another, each row by row: a texture is there where its mask
    is over one half, 0 to 255. `mask_shape` (M, 3) is where each starts, its height and width.
    """

    pyramid: tuple[np.ndarray, ...]
    masks: np.ndarray
    mask_shape: np.ndarray

    def there(self, mask: np.ndarray | int, mirrored: np.ndarray | bool, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Whether there is anything at shares a, b (N,), 0 to 1, of textures cut out by `mask` (N,)."""
        start, height, width = np.moveaxis(self.mask_shape[mask], -1, 0)
        x = np.clip(np.where(mirrored, 1.0 - a, a) * width - 0.5, 0, width - 1.001)
        y = np.clip(b * height - 0.5, 0, height - 1.001)
        column, row = x.astype(np.int64), y.astype(np.int64)
        x, y = x - column, y - row
        at = start + row * width + column
        upper = self.masks[at] * (1 - x) + self.masks[at + 1] * x
        lower = self.masks[at + width] * (1 - x) + self.masks[at + width + 1] * x
        return np.asarray(upper * (1 - y) + lower * y > 127.5)

    def sample(self, x: np.ndarray, y: np.ndarray, by_pixel: np.ndarray) -> np.ndarray:
        """Colours (N, 3) float32, 0 to 255, at x, y (N,) texels of the page's full size.

        `by_pixel` (N, 4) is how x changes by a pixel to the right and down, then y.
        """
        minor, major, along = _footprint(by_pixel)
        taps = np.clip(2 ** np.ceil(np.log2(np.maximum(major / minor, 1.0))), 1, MOST_TAPS)
        level = np.clip(np.log2(np.maximum(minor, major / taps)), 0.0, LEVELS - 1.001).astype(np.float32)
        found = np.empty((len(x), 3), np.float32)
        for n in (1, 2, 4, 8):
            rows = np.flatnonzero(taps == n)
            if len(rows):
                total = np.zeros((len(rows), 3), np.float32)
                for step in (np.arange(n) + 0.5) / n - 0.5:
                    at_x, at_y = x[rows] + step * along[rows, 0], y[rows] + step * along[rows, 1]
                    total += self._between_levels(at_x, at_y, level[rows])
                found[rows] = total / n
        return found

    def _between_levels(self, x: np.ndarray, y: np.ndarray, level: np.ndarray) -> np.ndarray:
        lower = level.astype(np.int32)
        share = (level - lower)[:, None]
        found = np.zeros((len(x), 3), np.float32)
        for number, page in enumerate(self.pyramid):
            rows = np.flatnonzero((lower == number) | (lower == number - 1))
            if not len(rows):
                continue
            scale = 0.5**number
            colour = remap(page, x[rows] * scale - 0.5, y[rows] * scale - 0.5)
            weight = np.where((lower[rows] == number)[:, None], 1.0 - share[rows], share[rows])
            found[rows] += weight * colour
        return found


def remap(page: np.ndarray, x: np.ndarray, y: np.ndarray, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
    """Values (N, C) of a picture (H, W, C) at pixels x, y (N,), between four of them linearly."""
    n = len(x)
    height = -(-n // STRIP)
    at = np.zeros((2, height * STRIP), np.float32)
    at[0, :n], at[1, :n] = x, y
    found = cv2.remap(
        page, at[0].reshape(height, STRIP), at[1].reshape(height, STRIP), cv2.INTER_LINEAR, borderMode=border
    )
    return np.asarray(found).reshape(height * STRIP, -1)[:n]


def _footprint(by_pixel: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shorter and longer axis (N,) of the ellipse that a pixel covers, and the longer one as a vector (N, 2)."""
    a, b, c, d = by_pixel.T  # [a b; c d]
    p, q, r = a * a + b * b, c * c + d * d, a * c + b * d
    mean, half = 0.5 * (p + q), np.hypot(0.5 * (p - q), r)
    major, minor = np.sqrt(mean + half), np.sqrt(np.maximum(mean - half, 1e-12))
    angle = 0.5 * np.arctan2(2 * r, p - q)
    along = np.stack([np.cos(angle), np.sin(angle)], axis=1) * major[:, None]
    return np.maximum(minor, 1e-6), np.maximum(major, 1e-6), along


def _with_gutter(side: int) -> int:
    step = 2 ** (LEVELS - 1)  # so that no texel of the coarsest level holds two textures
    return -(-(side + 2 * GUTTER) // step) * step


class AtlasMaker:
    """Gathers textures and lays them on a page."""

    def __init__(self) -> None:
        self._images: list[np.ndarray] = []
        self._patches: list[Patch] = []
        self._masks: list[np.ndarray] = []
        self._x = self._y = self._shelf = 0

    def add(self, image: np.ndarray, mask: np.ndarray | None = None) -> Patch:
        """Lay a texture (H, W, 3) uint8 BGR on the page; it is there where `mask` (H, W) uint8 is over one half."""
        height, width = image.shape[:2]
        full_width, full_height = _with_gutter(width), _with_gutter(height)
        if full_width > PAGE:
            raise InputError(f"texture: {width} texels wide; at most {PAGE - 2 * GUTTER}, so take larger texels")
        if self._x + full_width > PAGE:
            self._x, self._y, self._shelf = 0, self._y + self._shelf, 0
        patch = Patch(self._x + GUTTER, self._y + GUTTER, width, height, len(self._masks) if mask is not None else -1)
        self._x, self._shelf = self._x + full_width, max(self._shelf, full_height)
        self._images.append(image)
        self._patches.append(patch)
        if mask is not None:
            self._masks.append(mask)
        return patch

    def finish(self) -> Atlas:
        """The page of all textures added so far, and its pyramid."""
        page = np.zeros((self._y + self._shelf, PAGE, 3), np.uint8)
        for image, patch in zip(self._images, self._patches, strict=True):
            x, y = int(patch.x) - GUTTER, int(patch.y) - GUTTER
            width, height = (_with_gutter(side) for side in image.shape[1::-1])
            right, bottom = width - image.shape[1] - GUTTER, height - image.shape[0] - GUTTER
            whole = cv2.copyMakeBorder(image, GUTTER, bottom, GUTTER, right, cv2.BORDER_REPLICATE)
            page[y : y + height, x : x + width] = whole
        pyramid = [page]
        for _ in range(LEVELS - 1):
            last = pyramid[-1]
            half = cv2.resize(last, (last.shape[1] // 2, last.shape[0] // 2), interpolation=cv2.INTER_AREA)
            pyramid.append(np.asarray(half, np.uint8))
        sizes = np.array([mask.shape for mask in self._masks], int).reshape(-1, 2)
        start = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))])[: len(sizes)]
        masks = np.concatenate([mask.ravel() for mask in self._masks]) if len(sizes) else np.empty(0, np.uint8)
        return Atlas(tuple(pyramid), masks, np.column_stack([start, sizes]))
