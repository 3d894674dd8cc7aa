"""Textures of a garage's floors: joints, cracks, traces of tyres, oil, and the lines, arrows and numbers of a map."""

from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.synthetic.rendering.noise import fractal_noise
from geoloc.synthetic.rendering.surfaces import WHITE, YELLOW, as_image, blot, concrete, write

JOINT = 7.5  # m between the joints of a slab
SHIFT = 4  # bits of a pixel's fraction in what OpenCV draws
LINE = 0.1  # m; width of the lines of stalls
ARROW = np.array([(-1.5, -0.12), (0.4, -0.12), (0.4, -0.45), (1.5, 0), (0.4, 0.45), (0.4, 0.12), (-1.5, 0.12)])  # m


def floor(site_map: SiteMap, level: Level, surface: Surface, texel: float, rng: np.random.Generator) -> np.ndarray:
    """Floor (H, W, 3) uint8 BGR over a surface's bounds, north up, with texels of `texel` m."""
    x0, y0, x1, y1 = surface.polygon.bounds
    shape = round((y1 - y0) / texel), round((x1 - x0) / texel)
    ground = _Ground(concrete(shape, texel, 128.0, rng), (x0, y0, x1, y1), texel, rng)
    stalls = [place for place in site_map.stalls if place.level == level.name]
    zones = [place for place in site_map.zones if place.level == level.name]
    lanes = [zone for zone in zones if zone.kind == "lane"]
    ground.joints()
    for zone in lanes:
        ground.tyres(*zone.polygon.bounds)
    for stall in stalls:
        ground.oil(np.array(stall.polygon.centroid.coords[0]))
    cover = np.zeros(shape, np.uint8)
    for stall in stalls:
        ring = shapely.get_coordinates(stall.polygon.exterior)
        cv2.polylines(cover, [ground.at(ring)], False, 255, max(1, round(LINE / texel)), cv2.LINE_AA, SHIFT)
        ground.number(cover, stall.name.split("-")[-1], np.array(stall.polygon.centroid.coords[0]))
    for zone in lanes:
        if np.isfinite(zone.direction):
            ground.arrows(cover, zone.polygon.bounds, zone.direction)
    ground.paint(cover, WHITE)
    cover[:] = 0
    for zone in zones:
        if zone.kind == "walkway":
            ground.hatch(cover, *zone.polygon.bounds)
    ground.paint(cover, YELLOW)
    ground.cracks()
    return as_image(ground.image)


@dataclass(frozen=True, eq=False)
class _Ground:
    """The picture of a floor (H, W, 3) float32 over bounds x0, y0, x1, y1 (m)."""

    image: np.ndarray
    bounds: tuple[float, float, float, float]
    texel: float
    rng: np.random.Generator

    def at(self, xy: np.ndarray) -> np.ndarray:
        """Points (N, 2) m as OpenCV draws them: pixels in fixed point."""
        spot = (xy[..., :2] - [self.bounds[0], self.bounds[3]]) * [1.0, -1.0] / self.texel - 0.5
        return np.asarray(np.rint(spot * 2**SHIFT).astype(np.int32))

    def joints(self) -> None:
        """Cut joints, as those of every level."""
        x0, y0, x1, y1 = self.bounds
        for x in np.arange(np.ceil(x0 / JOINT) * JOINT, x1, JOINT):
            column = round((x - x0) / self.texel)
            self.image[:, max(column - 1, 0) : column + 1] -= 30.0
        for y in np.arange(np.ceil(y0 / JOINT) * JOINT, y1, JOINT):
            row = round((y1 - y) / self.texel)
            self.image[max(row - 1, 0) : row + 1] -= 30.0

    def tyres(self, x0: float, y0: float, x1: float, y1: float) -> None:
        """Traces of tyres along a lane."""
        along_x, rng = x1 - x0 > y1 - y0, self.rng
        middle = 0.5 * (y0 + y1 if along_x else x0 + x1)
        for _ in range(6):
            s = np.linspace(-2.0, 2.0 + max(x1 - x0, y1 - y0), 40)
            sway = middle + rng.normal(0, 0.6) + 0.25 * np.cumsum(rng.normal(0, 0.25, len(s)))
            trace = np.zeros(self.image.shape[:2], np.uint8)
            for wheel in (-0.75, 0.75):
                line = np.stack([x0 + s, sway + wheel] if along_x else [sway + wheel, y0 + s], axis=1)
                cv2.polylines(trace, [self.at(line)], False, 255, round(0.2 / self.texel), cv2.LINE_AA, SHIFT)
            self._lay(trace, rng.uniform(0.04, 0.11), np.array((60.0, 60.0, 60.0)))

    def oil(self, place: np.ndarray) -> None:
        """Drops of oil about a place (2,) m."""
        for _ in range(self.rng.poisson(1.3)):
            spot = self.at(place + self.rng.normal(0, 0.7, 2)) / 2**SHIFT
            radius = self.rng.uniform(0.05, 0.3) / self.texel
            blot(self.image, spot, radius, -self.rng.uniform(20, 60), self.rng)

    def number(self, cover: np.ndarray, text: str, middle: np.ndarray) -> None:
        """A stall's number."""
        plate = np.zeros((round(0.55 / self.texel), round(1.5 / self.texel), 3), np.uint8)
        write(plate, text, (255, 255, 255))
        column, row = np.rint(self.at(middle) / 2**SHIFT - np.array(plate.shape[1::-1]) / 2).astype(int).tolist()
        part = cover[max(row, 0) : row + plate.shape[0], max(column, 0) : column + plate.shape[1]]
        part[:] = np.maximum(part, plate[: part.shape[0], : part.shape[1], 0])

    def arrows(self, cover: np.ndarray, bounds: tuple[float, ...], direction: float) -> None:
        """Arrows along a lane."""
        x0, y0, x1, y1 = bounds
        middle, length = np.array([x0 + x1, y0 + y1]) / 2, max(x1 - x0, y1 - y0)
        ahead = np.array([np.cos(direction), np.sin(direction)])
        aside = np.array([-ahead[1], ahead[0]])
        for step in np.arange(-length / 2 + 4.0, length / 2 - 2.0, 8.0):
            outline = middle + step * ahead + ARROW[:, :1] * ahead + ARROW[:, 1:] * aside
            cv2.fillPoly(cover, [self.at(outline)], 255, cv2.LINE_AA, SHIFT)

    def hatch(self, cover: np.ndarray, x0: float, y0: float, x1: float, y1: float) -> None:
        """Stripes across a walkway."""
        for x in np.arange(x0, x1 - 0.6, 1.2):
            stripe = np.array([(x, y0), (x + 0.6, y0), (x + 0.6, y1), (x, y1)])
            cv2.fillPoly(cover, [self.at(stripe)], 255, cv2.LINE_AA, SHIFT)

    def paint(self, cover: np.ndarray, colour: tuple[int, int, int]) -> None:
        """Paint where `cover` (H, W) uint8 says, worn off in places."""
        cells = [0.5 / self.texel, 0.09 / self.texel, 1.0]
        wear = fractal_noise(cover.shape[:2], cells, [0.6, 0.6, 0.3], self.rng)
        there = np.clip(0.85 - 0.9 * np.clip(wear - 0.9, 0.0, 1.0), 0.0, 1.0)
        self._lay((cover * there).astype(np.uint8), 1.0, np.array(colour, float))

    def cracks(self) -> None:
        """Fine cracks that wander."""
        x0, y0, x1, y1 = self.bounds
        cover, rng = np.zeros(self.image.shape[:2], np.uint8), self.rng
        for _ in range(round((x1 - x0) * (y1 - y0) / 14)):
            n = int(rng.integers(10, 60))
            turn = np.cumsum(rng.normal(0, 0.35, n)) * 0.5 + rng.uniform(0, 2 * np.pi) + rng.normal(0, 0.35, n)
            steps = rng.uniform(0.04, 0.14, (n, 1)) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
            line = np.array([rng.uniform(x0, x1), rng.uniform(y0, y1)]) + np.cumsum(steps, axis=0)
            cv2.polylines(cover, [self.at(line)], False, int(rng.integers(90, 220)), 1, cv2.LINE_AA, SHIFT)
        self._lay(cover, 0.55, np.array((62.0, 62.0, 62.0)))

    def _lay(self, cover: np.ndarray, strength: float, colour: np.ndarray) -> None:
        y, x = np.nonzero(cover.any(axis=1))[0], np.nonzero(cover.any(axis=0))[0]
        if len(y):
            part = self.image[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
            share = cover[y[0] : y[-1] + 1, x[0] : x[-1] + 1].astype(np.float32) * (strength / 255.0)
            part += share[..., None] * (colour.astype(np.float32) - part)
