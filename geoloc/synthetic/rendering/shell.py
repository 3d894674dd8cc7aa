"""The shell of a scene: floors, ceilings, walls, pillars and houses, as the map has them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np
import shapely
from shapely import Polygon

from geoloc.options import check_range
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface
from geoloc.synthetic.rendering import floors, surfaces
from geoloc.synthetic.rendering.atlas import AtlasMaker, Patch
from geoloc.synthetic.rendering.faces import FaceMaker

LARGEST = 6000  # texels along a floor
SLAB = 0.12  # m; thickness of the floors of upper levels
THICK = 0.2  # m; of walls
PIECE = 8.0  # m; longer walls are made of pieces, which are sought faster
THIN = 1.0  # m; what is narrower is a pillar, not a house


@dataclass(frozen=True)
class SceneOptions:
    """How finely a scene is made."""

    texel: float = 0.02  # m; of floors up to 120 m long; walls 1.25 times, ceilings 1.5 times as much, pillars half
    n_cars: int = 24  # different cars that may be parked
    n_people: int = 8  # different people
    n_notices: float = 0.06  # small things on walls, per m of wall
    houses: bool = True  # around the site

    def __post_init__(self) -> None:
        check_range(self, texel=(0.002, 0.2), n_cars=(1, 1000), n_people=(1, 1000), n_notices=(0, 10))


@dataclass(eq=False)
class Shell:
    """A scene that is being built: faces and textures so far, its lamps (3,) m, and which of its faces are floors."""

    site_map: SiteMap
    rng: np.random.Generator
    options: SceneOptions
    maker: AtlasMaker = field(default_factory=AtlasMaker)
    faces: FaceMaker = field(default_factory=FaceMaker)
    lamps: list[np.ndarray] = field(default_factory=list)
    floors: list[int] = field(default_factory=list)

    def ceiling(self, level: Level, xy: np.ndarray) -> np.ndarray:
        """Height (N,) m of what is above points (N, 2) of a level; infinite under the sky."""
        foot = level.z_extended(xy)
        height = np.full(len(xy), np.inf)
        for other in self.site_map.levels:
            for surface in other.surfaces:
                z = surface.z_at(xy) - SLAB
                height = np.where(surface.holds(xy) & (z > foot + 1.5), np.minimum(height, z), height)
        return height

    def add_floor(self, level: Level, surface: Surface) -> None:
        """A piece of floor; of an upper level also its underside and its edges."""
        x0, y0, x1, y1 = surface.polygon.bounds
        texel = max(self.options.texel, (x1 - x0) / LARGEST, (y1 - y0) / LARGEST)
        if self.site_map.stalls:
            image = floors.floor(self.site_map, level, surface, texel, self.rng)
        else:
            image = surfaces.paving(surface, texel, self.rng)
        mask = None if surface.is_box else _inside(surface.polygon, image.shape[:2])
        self.floors.append(len(self.faces))
        self._plane(surface, 0.0, self.maker.add(image, mask), 0.25)
        if surface.z_at(np.array([(x0 + x1) / 2, (y0 + y1) / 2])) > 1.2:
            image = surfaces.ceiling(x1 - x0, y1 - y0, 1.5 * texel, self.rng)
            mask = None if surface.is_box else _inside(surface.polygon, image.shape[:2])[::-1]
            self._plane(surface, SLAB, self.maker.add(image, mask), 0.6, below=True)
            self._slab_edges(surface)

    def _plane(self, surface: Surface, under: float, patch: Patch, cell: float, below: bool = False) -> None:
        x0, y0, x1, y1 = surface.polygon.bounds
        a, b, _ = surface.plane
        top = y0 if below else y1
        corner = [x0, top, float(surface.z_at(np.array([x0, top]))) - under]
        dy = (y1 - y0) if below else (y0 - y1)
        right, down = [x1 - x0, 0.0, a * (x1 - x0)], [0.0, dy, b * dy]
        self.faces.add(corner, right, down, patch, rough=1.0, cell=cell)

    def _slab_edges(self, surface: Surface) -> None:
        concrete = self.maker.add(surfaces.as_image(surfaces.concrete((16, 400), 0.02, 150.0, self.rng)))
        for ring in (surface.polygon.exterior, *surface.polygon.interiors):
            xy = shapely.get_coordinates(ring)[:: 1 if ring.is_ccw else -1]
            for p, q in pairwise(xy):
                z = surface.z_at(np.array([p, q]))
                self.faces.add([*p, z[0]], [*(q - p), z[1] - z[0]], [0, 0, -SLAB], concrete)

    def add_thing(self, thing: Occluder) -> None:
        """A wall, pillar, trunk or house of the map."""
        level = self.site_map.level(thing.level)
        if thing.geometry.geom_type.endswith("Polygon"):
            for polygon in shapely.get_parts(thing.geometry):
                self._solid(thing, polygon)
            return
        for line in shapely.get_parts(thing.geometry):
            xy = shapely.get_coordinates(line)
            for p, q in pairwise(xy):
                n = max(1, round(float(np.linalg.norm(q - p)) / PIECE))
                image, z0, z1 = self._wall_image(level, p, q, thing.height)
                sides = [self.maker.add(image), self.maker.add(image[:, ::-1].copy())]
                for k in range(n):
                    ends = [p + (q - p) * share for share in (k / n, (k + 1) / n)]
                    self._wall(ends, sides, (k / n, (k + 1) / n), z0, z1, (k == 0, k == n - 1))

    def _wall_image(self, level: Level, p: np.ndarray, q: np.ndarray, height: float) -> tuple[np.ndarray, float, float]:
        foot = float(level.z_extended(np.array([p, q])).min())
        middle = ((p + q) / 2)[None]
        top = min(foot + height, float(np.min(self.ceiling(level, middle))))
        length = float(np.linalg.norm(q - p))
        return surfaces.wall(length, top - foot, 1.25 * self.options.texel, self.rng), foot, top

    def _wall(
        self, ends: Sequence[np.ndarray], sides: Sequence[Patch], shares: tuple[float, float], z0: float, z1: float,
        closed: tuple[bool, bool],
    ) -> None:  # fmt: skip
        p, q = ends
        along = q - p
        out = np.array([along[1], -along[0]]) / np.linalg.norm(along) * THICK / 2
        down, s0, s1 = [0.0, 0.0, z0 - z1], *shares
        front, back = sides[0].part(s0, 0, s1, 1), sides[1].part(1 - s1, 0, 1 - s0, 1)
        self.faces.add([*(p + out), z1], [*along, 0.0], down, front, rough=0.6)
        self.faces.add([*(q - out), z1], [*-along, 0.0], down, back, rough=0.6)
        top = front.part(0, 0, 1, 0.05)
        self.faces.add([*(p - out), z1], [*along, 0.0], [*2 * out, 0.0], top)
        if closed[0]:
            self.faces.add([*(p - out), z1], [*2 * out, 0.0], down, front.part(0, 0, 0.05, 1))
        if closed[1]:
            self.faces.add([*(q + out), z1], [*-2 * out, 0.0], down, front.part(0, 0, 0.05, 1))

    def footprint(self, thing: Occluder, polygon: Polygon) -> tuple[np.ndarray, float, float]:
        """A solid thing's corners (N + 1, 2) m counter-clockwise, the height of its foot, and of its top."""
        level = self.site_map.level(thing.level)
        xy = shapely.get_coordinates(polygon.exterior)[:: 1 if polygon.exterior.is_ccw else -1]
        foot = float(level.z_extended(xy).min())
        return xy, foot, min(foot + thing.height, float(np.min(self.ceiling(level, xy))))

    def _solid(self, thing: Occluder, polygon: Polygon) -> None:
        xy, foot, top = self.footprint(thing, polygon)
        lengths = np.linalg.norm(np.diff(xy, axis=0), axis=1)
        box = len(lengths) == 4 and polygon.equals(polygon.envelope)
        texel = self.options.texel
        if box and lengths.max() < THIN:
            name = thing.name.split()[-1]
            patches = self._around(surfaces.pillar(float(lengths[0]), top - foot, name, 0.5 * texel, self.rng), 4)
        elif lengths.sum() < 4 * THIN:
            bark = surfaces.concrete((round((top - foot) / 0.02), 120), 0.02, 84.0, self.rng) * [0.72, 0.86, 1.0]
            patches = self._around(surfaces.as_image(bark), len(lengths))
        else:
            sides = [surfaces.wall(length, top - foot, 1.25 * texel, self.rng) for length in lengths.tolist()]
            patches = [self.maker.add(side) for side in sides]
        for p, q, patch in zip(xy[:-1], xy[1:], patches, strict=True):
            self.faces.add([*p, top], [*(q - p), 0.0], [0.0, 0.0, foot - top], patch, rough=0.6)
        if box:
            (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
            self.faces.add([x0, y1, top], [x1 - x0, 0, 0], [0, y0 - y1, 0], patches[0].part(0, 0, 1, 0.1))

    def _around(self, image: np.ndarray, n: int) -> list[Patch]:
        """A picture laid around a thing of `n` sides."""
        whole = self.maker.add(image)
        return [whole.part(i / n, 0, (i + 1) / n, 1) for i in range(n)]


def _inside(polygon: Polygon, shape: tuple[int, int]) -> np.ndarray:
    """Which texels (H, W) of a picture over the polygon's bounds lie in it, north up."""
    x0, y0, x1, y1 = polygon.bounds
    step = np.array([(x1 - x0) / shape[1], (y1 - y0) / shape[0]])
    mask = np.zeros(shape, np.uint8)
    for ring, value in ((polygon.exterior, 255), *((hole, 0) for hole in polygon.interiors)):
        spots = (shapely.get_coordinates(ring) - [x0, y1]) * [1, -1] / step - 0.5
        cv2.fillPoly(mask, [np.rint(spots * 16).astype(np.int32)], value, cv2.LINE_AA, 4)
    return mask
