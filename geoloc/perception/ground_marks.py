"""Painted shapes on the ground: arrows with their direction, and crossings of parallel stripes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from shapely import Polygon

from geoloc.options import check_range
from geoloc.perception.ground_mosaic import Mosaic
from geoloc.perception.ridges import filled
from geoloc.scene.sitemap import Place

BINS = 24  # along an arrow, at which its width is looked at
HEAD = 1.9  # times its shaft's width that an arrow's head is wide at least
LEAST_SCORE = 0.7  # of an arrow
SAME_WAY = 0.21  # rad by which stripes of one crossing may run otherwise
STRAIGHT = 0.7  # share of its box that a stripe fills


@dataclass(frozen=True)
class MarkOptions:
    """What counts as paint, an arrow, a crossing."""

    pixel: float = 0.04  # m of the picture in which shapes are looked for, at least
    widest: float = 1.0  # m; what is wider is ground of another brightness
    contrast: float = 0.12  # natural logarithm of paint over ground
    arrow_length: tuple[float, float] = (1.5, 7.0)  # m
    stripe_length: tuple[float, float] = (1.0, 8.0)  # m
    stripe_width: tuple[float, float] = (0.25, 0.9)  # m
    fewest: int = 4  # stripes of a crossing
    coarsest: float = 0.15  # m that a pixel of the still may cover

    def __post_init__(self) -> None:
        check_range(self, pixel=(0.005, 1), widest=(0.1, 10), contrast=(0.01, 3), fewest=(2, 1000), coarsest=(0.01, 5))


@dataclass(frozen=True, eq=False)
class Arrow:
    """A painted arrow: its middle (2,) m, the direction (rad, from east) it points in, its length m, and score 0 to 1.

    `sigma` m is what the calibration of the camera that shows it leaves.
    """

    level: str
    middle: np.ndarray
    tip: np.ndarray
    direction: float
    length: float
    score: float
    sigma: float


@dataclass(frozen=True, eq=False)
class Crossing:
    """Parallel stripes at one distance: their outline, how many, and the distance (m) from one to the next."""

    level: str
    outline: Polygon
    n_stripes: int
    pitch: float

    def place(self, name: str) -> Place:
        """As it would stand on the map."""
        return Place(name, self.level, self.outline, "crossing")


def find_marks(laid: Mosaic, options: MarkOptions | None = None) -> tuple[list[Arrow], list[Crossing]]:
    """Arrows and crossings in a mosaic of a level."""
    options = options or MarkOptions()
    scale = min(1.0, laid.pixel / options.pixel)
    pixel = laid.pixel / scale
    image = cv2.resize(laid.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    fine = np.nan_to_num(laid.footprint, nan=np.inf) <= options.coarsest
    fine = cv2.resize(fine.astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_NEAREST) > 0
    mask = _paint(image, fine & (image[..., 3] > 254), pixel, options)
    shapes = [shape for shape in _shapes(mask) if shape is not None]
    sheet = laid.sheet.resampled(pixel)
    arrows = [arrow for shape in shapes if (arrow := _arrow(shape, sheet.level, laid, pixel, options)) is not None]
    return arrows, _crossings(shapes, laid, pixel, options)


def _paint(image: np.ndarray, known: np.ndarray, pixel: float, options: MarkOptions) -> np.ndarray:
    """Where (H, W) bool the ground is brighter than what lies around it, in shapes that are not too wide."""
    brightness = filled(np.log(image[..., :3].astype(np.float32).max(axis=2) + 8.0), known)
    side = round(1.6 * options.widest / pixel) | 1
    around = cv2.morphologyEx(brightness, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, (side, side)))
    around = cv2.GaussianBlur(around, (0, 0), side / 3)
    off = brightness - cv2.blur(brightness, (3 * side, 3 * side))
    mask = known & (brightness - around > options.contrast) & (off > options.contrast)
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)))


@dataclass(frozen=True, eq=False)
class _Shape:
    """A painted shape in the picture: its pixels (N, 2), middle, axes (2, 2) and how far it reaches along them (2,)."""

    at: np.ndarray
    middle: np.ndarray
    axes: np.ndarray
    size: np.ndarray


def _shapes(mask: np.ndarray) -> list[_Shape | None]:
    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found: list[_Shape | None] = []
    for label in range(1, n):
        left, top, width, height, area = stats[label].tolist()
        if area < 40:
            continue
        rows, columns = np.nonzero(labels[top : top + height, left : left + width] == label)
        at = np.column_stack([columns + left, rows + top]).astype(float)
        box = cv2.boxPoints(cv2.minAreaRect(at.astype(np.float32))).astype(float)
        (u, v), side = box.mean(axis=0).tolist(), box[1] - box[0]
        if not side.any():
            continue
        x, y = (side / np.linalg.norm(side)).tolist()
        axes = np.array([[x, y], [-y, x]])
        size = np.ptp((at - [u, v]) @ axes.T, axis=0) + 1
        if size[1] > size[0]:
            axes, size = axes[::-1], size[::-1]
        found.append(_Shape(at, np.array([u, v]), axes, size))
    return found


def _arrow(shape: _Shape, level: str, laid: Mosaic, pixel: float, options: MarkOptions) -> Arrow | None:
    """A shape as an arrow; None where it has no shaft with a head that comes to a point."""
    low, high = options.arrow_length
    length = float(shape.size[0]) * pixel
    if not (low <= length <= high and shape.size[0] > 2.2 * shape.size[1]):
        return None
    middle, main = _axis(shape)
    along, off = (shape.at - middle) @ main, (shape.at - middle) @ np.array([-main[1], main[0]])
    place = np.clip(((along - along.min()) / np.ptp(along) * BINS).astype(int), 0, BINS - 1)
    width = np.array([np.ptp(off[place == k]) + 1 if (place == k).any() else 0.0 for k in range(BINS)])
    if width[: BINS // 2].max() > width[BINS // 2 :].max():
        width, along, main = width[::-1], -along, -main
    head = int(width.argmax())
    shaft = float(np.median(width[: max(head - 2, 1)]))
    pointed = width[-1] < 0.6 * width[head] and np.all(np.diff(width[head:]) < 0.25 * width[head])
    if head < 0.5 * BINS or head > BINS - 2 or width[head] < HEAD * shaft or not pointed or shaft * pixel < 0.08:
        return None
    steady = 1.0 - min(float(np.std(width[1 : head - 2])) / max(shaft, 1e-6), 1.0)
    ends = middle + np.array([along.min(), along.max()])[:, None] * main
    at = (ends + 0.5) * pixel / laid.pixel - 0.5
    world = laid.sheet.xy(at[:, 1], at[:, 0])
    step = world[1] - world[0]
    row, column = np.clip(np.rint(at.mean(axis=0)).astype(int)[::-1], 0, np.array(laid.source.shape) - 1)
    sigma = float(np.nan_to_num(laid.sigma[row, column]))
    score = float(np.clip(0.5 * steady + 0.5 * min(width[head] / (3 * shaft), 1.0), 0, 1))
    if score < LEAST_SCORE:
        return None
    return Arrow(level, world.mean(axis=0), world[1], float(np.arctan2(step[1], step[0])), length, score, sigma)


def _axis(shape: _Shape) -> tuple[np.ndarray, np.ndarray]:
    """Middle (2,) of a shape and the direction (2,) in which it is longest: an arrow is alike on both sides of it."""
    middle = shape.at.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov((shape.at - middle).T))
    return middle, axes[:, -1]


def _crossings(shapes: Sequence[_Shape], laid: Mosaic, pixel: float, options: MarkOptions) -> list[Crossing]:
    stripes = [
        shape for shape in shapes
        if options.stripe_length[0] <= shape.size[0] * pixel <= options.stripe_length[1]
        and options.stripe_width[0] <= shape.size[1] * pixel <= options.stripe_width[1]
        and len(shape.at) > STRAIGHT * shape.size.prod()
    ]  # fmt: skip
    left, found = list(range(len(stripes))), []
    while left:
        group = [left.pop(0)]
        for i in group:
            near = [j for j in left if _beside(stripes[i], stripes[j])]
            group += near
            left = [j for j in left if j not in near]
        if len(group) >= options.fewest:
            found.append(_crossing([stripes[i] for i in group], laid, pixel))
    return found


def _beside(one: _Shape, other: _Shape) -> bool:
    """Whether two stripes lie side by side, as wide a gap apart as they are wide, or so."""
    turned = abs(float(one.axes[0] @ np.array([-other.axes[0][1], other.axes[0][0]])))
    along, off = np.abs(one.axes @ (other.middle - one.middle))
    alike = 0.6 < one.size[0] / other.size[0] < 1.7
    gap = off - 0.5 * (one.size[1] + other.size[1])
    return bool(turned < np.sin(SAME_WAY) and alike and along < 0.3 * one.size[0] and 0 < gap < 2.2 * one.size[1])


def _crossing(stripes: Sequence[_Shape], laid: Mosaic, pixel: float) -> Crossing:
    at = np.concatenate([shape.at for shape in stripes])
    corners = cv2.boxPoints(cv2.minAreaRect(at.astype(np.float32)))
    place = (corners + 0.5) * pixel / laid.pixel - 0.5
    middles = np.array([shape.middle for shape in stripes]) @ stripes[0].axes[1]
    pitch = float(np.median(np.diff(np.sort(middles)))) * pixel
    outline = Polygon(laid.sheet.xy(place[:, 1], place[:, 0]))
    return Crossing(laid.sheet.level, outline, len(stripes), pitch)
