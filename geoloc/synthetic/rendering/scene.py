"""A scene: a site's map as faces with textures, its lamps and openings, and the cars and people that may be there."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from shapely import Polygon

from geoloc.errors import InputError
from geoloc.options import check_range
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface
from geoloc.synthetic.rendering import floors, furniture, surfaces
from geoloc.synthetic.rendering.atlas import Atlas, AtlasMaker, Patch
from geoloc.synthetic.rendering.car_looks import COLOURS, SHAPES, draw_car
from geoloc.synthetic.rendering.faces import FaceMaker, Faces
from geoloc.synthetic.rendering.figures import TREE, draw_person, draw_tree
from geoloc.synthetic.rendering.noise import periodic_noise

SLAB = 0.12  # m; thickness of the floors of upper levels
THICK = 0.2  # m; of walls
PIECE = 8.0  # m; longer walls are made of pieces, which are sought faster
BAY, YARD = (5.2, 8.0), (13.0, 12.0)  # m between lamps along x and y, under a ceiling and under the sky
HANG = 0.12  # m from ceiling to lamp
MAST = 4.5  # m; height of lamps where there is no ceiling
THIN = 1.0  # m; what is narrower is a pillar, not a house
OPENING_STEP = 2.5  # m between the points of an open side from which daylight comes
GRAIN = 512  # texels
GRAIN_TEXEL = 0.004  # m
OUTSIDE = 240.0  # m; side of the land around


@dataclass(frozen=True)
class SceneOptions:
    """How finely a scene is made."""

    texel: float = 0.02  # m; of floors; walls have 1.25 times, ceilings 1.5 times as large ones, pillars half
    n_cars: int = 24  # different cars that may be parked
    n_people: int = 8  # different people
    n_notices: float = 0.06  # small things on walls, per m of wall
    houses: bool = True  # around the site

    def __post_init__(self) -> None:
        check_range(self, texel=(0.002, 0.2), n_cars=(1, 1000), n_people=(1, 1000), n_notices=(0, 10))


@dataclass(frozen=True, eq=False)
class Openings:
    """Places through which the sky lights the storey between `low` and `high` (E,) m: middle and normal (E, 3), m²."""

    middle: np.ndarray
    normal: np.ndarray
    area: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that does not change with time, and the looks of what does.

    `lamps` (L, 3) m; `grain` is the pyramid of what concrete looks like from near; `cars` stand about the origin.
    """

    site_map: SiteMap
    faces: Faces
    atlas: Atlas
    grain: tuple[np.ndarray, ...]
    floors: np.ndarray  # rows of the faces that are floors
    lamps: np.ndarray
    openings: Openings
    cars: tuple[Faces, ...]
    people: tuple[Patch, ...]


def build_scene(site_map: SiteMap, rng: np.random.Generator, options: SceneOptions | None = None) -> Scene:
    """The scene of a map with outlines: the same `rng` seed gives the same stains at the same places.

    A level without an outline is refused: there is nothing to draw.
    """
    endless = [level.name for level in site_map.levels if any(s.polygon.is_empty for s in level.surfaces)]
    if endless:
        raise InputError(f"level {endless[0]!r} has no outline, so it cannot be drawn; give its surfaces polygons")
    return _Builder(site_map, rng, options or SceneOptions()).build()


class _Builder:
    """Gathers the faces and textures of one scene."""

    def __init__(self, site_map: SiteMap, rng: np.random.Generator, options: SceneOptions) -> None:
        self.site_map, self.rng, self.options = site_map, rng, options
        self.maker, self.faces = AtlasMaker(), FaceMaker()
        self.lamps: list[np.ndarray] = []
        self.floors: list[int] = []

    def build(self) -> Scene:
        for level in self.site_map.levels:
            for surface in level.surfaces:
                self._floor(level, surface)
        for thing in self.site_map.occluders:
            self._thing(thing)
        self._notices()
        for level in self.site_map.levels:
            self._ceiling_things(level)
        self._signs()
        if self.options.houses:
            self._outside()
        cars = tuple(
            draw_car(self.maker, SHAPES[k % len(SHAPES)], np.array(COLOURS[k % len(COLOURS)], float), self.rng)
            for k in range(self.options.n_cars)
        )
        people = tuple(draw_person(self.maker, self.rng) for _ in range(self.options.n_people))
        grain = _pyramid(periodic_noise(GRAIN, 2.0, 24.0, self.rng))
        lamps = np.array(self.lamps).reshape(-1, 3)
        floors_ = np.array(self.floors, int)
        return Scene(self.site_map, self.faces.finish(), self.maker.finish(), grain, floors_, lamps,
                     self._openings(), cars, people)  # fmt: skip

    def ceiling(self, level: Level, xy: np.ndarray) -> np.ndarray:
        """Height (N,) m of what is above points (N, 2) of a level; infinite under the sky."""
        foot = level.z_extended(xy)
        height = np.full(len(xy), np.inf)
        for other in self.site_map.levels:
            for surface in other.surfaces:
                z = surface.z_at(xy) - SLAB
                height = np.where(surface.holds(xy) & (z > foot + 1.5), np.minimum(height, z), height)
        return height

    def _floor(self, level: Level, surface: Surface) -> None:
        texel = self.options.texel
        x0, y0, x1, y1 = surface.polygon.bounds
        drawn = bool(self.site_map.stalls)
        image = (
            floors.floor(self.site_map, level, surface, texel, self.rng)
            if drawn
            else surfaces.paving(surface, texel, self.rng)
        )
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
            for p, q in zip(xy[:-1], xy[1:], strict=True):
                z = surface.z_at(np.array([p, q]))
                self.faces.add([*p, z[0]], [*(q - p), z[1] - z[0]], [0, 0, -SLAB], concrete)

    def _thing(self, thing: Occluder) -> None:
        level = self.site_map.level(thing.level)
        if thing.geometry.geom_type.endswith("Polygon"):
            for polygon in shapely.get_parts(thing.geometry):
                self._solid(thing, polygon, level)
            return
        for line in shapely.get_parts(thing.geometry):
            xy = shapely.get_coordinates(line)
            for p, q in zip(xy[:-1], xy[1:], strict=True):
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

    def _solid(self, thing: Occluder, polygon: Polygon, level: Level) -> None:
        xy = shapely.get_coordinates(polygon.exterior)[:: 1 if polygon.exterior.is_ccw else -1]
        foot = float(level.z_extended(xy).min())
        top = min(foot + thing.height, float(np.min(self.ceiling(level, xy))))
        lengths = np.linalg.norm(np.diff(xy, axis=0), axis=1)
        box = len(lengths) == 4 and polygon.equals(polygon.envelope)
        if box and lengths.max() < THIN:
            image = surfaces.pillar(
                float(lengths[0]), top - foot, thing.name.split()[-1], 0.5 * self.options.texel, self.rng
            )
            whole = self.maker.add(image)
            patches = [whole.part(i / 4, 0, (i + 1) / 4, 1) for i in range(4)]
        elif lengths.sum() < 4 * THIN:
            bark = surfaces.concrete((round((top - foot) / 0.02), 120), 0.02, 84.0, self.rng) * [0.72, 0.86, 1.0]
            whole = self.maker.add(surfaces.as_image(bark))
            patches = [whole.part(i / len(lengths), 0, (i + 1) / len(lengths), 1) for i in range(len(lengths))]
            if top - foot > 3.0:
                self._crown(xy.mean(axis=0), top)
        else:
            texel = 1.25 * self.options.texel
            patches = [
                self.maker.add(surfaces.wall(float(length), top - foot, texel, self.rng)) for length in lengths
            ]
        for i, patch in enumerate(patches):
            edge = xy[i + 1] - xy[i]
            self.faces.add([*xy[i], top], [*edge, 0.0], [0.0, 0.0, foot - top], patch, rough=0.6)
        if box:
            (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
            self.faces.add([x0, y1, top], [x1 - x0, 0, 0], [0, y0 - y1, 0], patches[0].part(0, 0, 1, 0.1))
        if lengths.sum() >= 4 * THIN and top - foot > 2.3:
            self._doors(thing, xy, foot)

    def _crown(self, xy: np.ndarray, top: float) -> None:
        patch = draw_tree(self.maker, self.rng, trunk=False)
        for turn in np.arange(3) * np.pi / 3 + self.rng.uniform(0, np.pi):
            side = 0.36 * TREE[0] * np.array([np.cos(turn), np.sin(turn), 0.0])
            corner = np.array([*xy, top + 0.3 * TREE[1]]) - side
            self.faces.add(corner, 2 * side, [0, 0, -0.72 * TREE[1]], patch)
            self.faces.add(corner + 2 * side, -2 * side, [0, 0, -0.72 * TREE[1]], patch)

    def _doors(self, thing: Occluder, xy: np.ndarray, foot: float) -> None:
        """A door with its sign on the side that is turned to the middle of the level."""
        middle = np.array(shapely.MultiPolygon(
            [s.polygon for s in self.site_map.level(thing.level).surfaces if s.polygon.geom_type == "Polygon"][:1]
        ).centroid.coords[0])  # fmt: skip
        steel, sign = furniture.door(self.maker, self.rng), furniture.board(self.maker, "EXIT", surfaces.GREEN, (0.9, 0.3))
        level = furniture.board(self.maker, thing.level.upper(), surfaces.BLUE, (0.7, 0.5))
        edges = np.diff(xy, axis=0)
        lengths = np.linalg.norm(edges, axis=1)
        inward = ((middle - (xy[:-1] + xy[1:]) / 2) * np.stack([edges[:, 1], -edges[:, 0]], axis=1)).sum(axis=1)
        i = int(np.argmax(np.where(lengths > 2.5, inward / lengths, -np.inf)))
        along = edges[i] / lengths[i]
        out = 0.015 * np.array([along[1], -along[0]])
        for at, width, z, height, patch in (
            (0.3, 1.0, foot + 2.1, 2.1, steel), (0.35, 0.9, foot + 2.5, 0.3, sign), (1.6, 0.7, foot + 2.0, 0.5, level),
        ):  # fmt: skip
            corner = xy[i] + along * at + out
            self.faces.add([*corner, z], [*along * width, 0.0], [0, 0, -height], patch)

    def _notices(self) -> None:
        """Small things on the walls, by chance: by them one tells a level or an aisle from the others."""
        for thing in self.site_map.occluders:
            if thing.geometry.geom_type.endswith("Polygon") or thing.height < 0.8:
                continue
            level = self.site_map.level(thing.level)
            count = int(self.rng.poisson(self.options.n_notices * thing.geometry.length * 2))
            for patch in furniture.notices(self.maker, self.rng, count):
                xy = shapely.get_coordinates(thing.geometry)
                i = int(self.rng.integers(len(xy) - 1))
                length = float(np.linalg.norm(xy[i + 1] - xy[i]))
                width, height = 0.0075 * patch.width, 0.0075 * patch.height
                if length < width + 0.5 or height > 0.8 * thing.height:
                    continue
                along = (xy[i + 1] - xy[i]) / length * self.rng.choice([-1, 1])
                start = xy[i] if along @ (xy[i + 1] - xy[i]) > 0 else xy[i + 1]
                corner = start + along * self.rng.uniform(0.2, length - 0.2 - width)
                corner = corner + np.array([along[1], -along[0]]) * (THICK / 2 + 0.012)
                z = float(level.z_extended(corner[None])[0])
                z += min(0.95 * thing.height, self.rng.uniform(1.3, 2.0) if thing.height > 2 else 0.95 * thing.height)
                self.faces.add([*corner, z], [*along * width, 0.0], [0.0, 0.0, -height], patch)

    def _ceiling_things(self, level: Level) -> None:
        """Lamps over every bay; pipes and a tray for cables where there is a ceiling."""
        surface = level.surfaces[0]
        x0, y0, x1, y1 = _main_box(surface.polygon)
        tube = furniture.plain(self.maker, (244, 250, 252), self.rng)
        housing = furniture.plain(self.maker, (190, 192, 194), self.rng)
        middle = np.array([[(x0 + x1) / 2, (y0 + y1) / 2]])
        above = float(self.ceiling(level, middle)[0])
        bay = BAY if np.isfinite(above) else YARD
        xs, ys = np.arange(x0 + bay[0] / 2, x1, bay[0]), np.arange(y0 + bay[1] / 2, y1, bay[1])
        for x, y in np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2).tolist():
            spot = np.array([[x, y]])
            over = float(self.ceiling(level, spot)[0])
            if not surface.holds(spot)[0] or np.isfinite(over) != np.isfinite(above):
                continue
            z = over - HANG if np.isfinite(over) else float(surface.z_at(spot)[0]) + MAST
            furniture.add_lamp(self.faces, np.array([x, y, z]), len(self.lamps), tube, housing)
            self.lamps.append(np.array([x, y, z - furniture.LAMP[2]]))
            if not np.isfinite(over):
                foot = float(surface.z_at(spot)[0])
                self.faces.box([x - 0.04, y - 0.04, foot], [x + 0.04, y + 0.04, z], [housing] * 4)
        if np.isfinite(above):
            self._pipes((x0, y0, x1, y1), above)

    def _pipes(self, box: tuple[float, float, float, float], above: float) -> None:
        x0, y0, x1, y1 = box
        span = y1 - y0
        runs = ((0.08, 0.07, (172, 176, 178)), (0.09, 0.03, (40, 40, 170)), (0.43, 0.1, (150, 152, 150)),
                (0.5, 0.035, (40, 40, 170)), (0.58, 0.05, (150, 130, 70)), (0.9, 0.07, (172, 176, 178)))  # fmt: skip
        for share, radius, colour in runs:
            y, z = y0 + share * span + 2 * radius, above - radius - 0.03
            texture = furniture.pipe_texture(self.maker, colour, self.rng)
            ends = np.array([x0 + 1.5, y, z]), np.array([x1 - 1.5, y, z])
            furniture.add_pipe(self.faces, *ends, radius, texture)
        tray = furniture.pipe_texture(self.maker, (138, 140, 142), self.rng)
        for x in np.arange(x0 + 0.5, x1 - 3.5, 3.0):
            y = y0 + 0.36 * span
            self.faces.box([x, y, above - 0.16], [x + 3.0, y + 0.3, above - 0.08], [tray] * 4, bottom=tray)

    def _signs(self) -> None:
        """Boards over lanes that lead one way, at both of their ends, read by who drives there."""
        for zone in self.site_map.zones:
            if zone.kind != "lane" or not np.isfinite(zone.direction):
                continue
            level = self.site_map.level(zone.level)
            x0, y0, x1, y1 = zone.polygon.bounds
            ahead = np.array([np.cos(zone.direction), np.sin(zone.direction)])
            right = np.array([ahead[1], -ahead[0]])
            middle, reach = np.array([x0 + x1, y0 + y1]) / 2, abs(ahead) @ [x1 - x0, y1 - y0] / 2
            for share, text, colour in ((-0.55, "EXIT ->", surfaces.GREEN), (0.6, zone.level.upper(), surfaces.BLUE)):
                spot = middle + share * reach * ahead
                above = float(self.ceiling(level, spot[None])[0])
                if not np.isfinite(above):
                    continue
                size = (1.6, 0.32) if len(text) > 3 else (0.7, 0.32)
                patch = furniture.board(self.maker, text, colour, size)
                corner = np.array([*(spot - right * size[0] / 2), above - 0.14])
                edge, down = np.array([*right * size[0], 0.0]), np.array([0, 0, -size[1]])
                self.faces.add(corner, edge, down, patch)
                back = furniture.plain(self.maker, (120, 120, 120), self.rng)
                self.faces.add(corner + edge + [*0.03 * ahead, 0], -edge, down, back)

    def _openings(self) -> Openings:
        """Along the edges of each storey, above its walls."""
        rows: list[tuple[float, ...]] = []
        for level in self.site_map.levels:
            ring = level.surfaces[0].polygon.exterior
            walls = [thing for thing in self.site_map.occluders if thing.level == level.name]
            for s in np.arange(OPENING_STEP / 2, ring.length, OPENING_STEP):
                spot, ahead = (np.array(ring.interpolate(at).coords[0])[:2] for at in (s, min(s + 0.05, ring.length)))
                inward = np.array([spot[1] - ahead[1], ahead[0] - spot[0]]) * (1 if ring.is_ccw else -1)
                inward /= max(float(np.linalg.norm(inward)), 1e-9)
                foot = float(level.surfaces[0].z_at(spot))
                above = float(self.ceiling(level, (spot + 0.2 * inward)[None])[0])
                wall = max((t.height for t in walls if t.geometry.distance(shapely.Point(spot)) < 0.4), default=0.0)
                high = above - foot - wall
                if np.isfinite(above) and high > 0.1:
                    middle = (*spot, foot + wall + high / 2)
                    rows.append((*middle, *inward, 0.0, high * OPENING_STEP, foot, above))
        table = np.array(rows).reshape(-1, 9)
        return Openings(table[:, :3], table[:, 3:6], table[:, 6], table[:, 7], table[:, 8])

    def _outside(self) -> None:
        """Land, houses and trees around."""
        x0, y0, x1, y1 = shapely.total_bounds([s.polygon for level in self.site_map.levels for s in level.surfaces])
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        low = min(float(s.z_at(shapely.get_coordinates(s.polygon)).min()) for v in self.site_map.levels for s in v.surfaces)
        corner = [*(middle + np.array([-1, 1]) * OUTSIDE / 2), low - 0.06]
        land = furniture.grounds(self.maker, OUTSIDE, self.rng)
        self.faces.add(corner, [OUTSIDE, 0, 0], [0, -OUTSIDE, 0], land, rough=1.0, cell=40.0)
        near = np.array([x1 - x0, y1 - y0]) / 2
        fronts = [furniture.facade(self.maker, self.rng) for _ in range(5)]
        for turn in np.arange(0, 2 * np.pi, 2 * np.pi / 13):
            ahead = np.array([np.cos(turn), np.sin(turn)])
            spot = middle + ahead * (near + 26.0 + self.rng.uniform(0, 14, 1))
            size = self.rng.uniform([14, 14, 8], [24, 24, 15])
            patches = [fronts[k] for k in self.rng.integers(0, 5, 4)]
            self.faces.box([*(spot - size[:2] / 2), low], [*(spot + size[:2] / 2), low + size[2]], patches)
        kinds = [draw_tree(self.maker, self.rng) for _ in range(3)]
        for turn in np.arange(0, 2 * np.pi, 2 * np.pi / 22):
            spot = middle + np.array([np.cos(turn), np.sin(turn)]) * (near * 1.05 + 9.0 + self.rng.uniform(0, 10))
            patch, lean = kinds[int(self.rng.integers(3))], self.rng.uniform(0, np.pi)
            high = TREE[1] * self.rng.uniform(0.7, 1.2)
            for angle in (lean, lean + np.pi / 2, lean + np.pi, lean - np.pi / 2):
                side = 0.5 * TREE[0] * np.array([np.cos(angle), np.sin(angle), 0])
                self.faces.add(np.array([*spot, low + high]) - side, 2 * side, [0, 0, -high], patch)


def _inside(polygon: Polygon, shape: tuple[int, int]) -> np.ndarray:
    """Which texels (H, W) of a picture over the polygon's bounds lie in it, north up."""
    x0, y0, x1, y1 = polygon.bounds
    step = np.array([(x1 - x0) / shape[1], (y1 - y0) / shape[0]])
    mask = np.zeros(shape, np.uint8)
    for ring, value in ((polygon.exterior, 255), *((hole, 0) for hole in polygon.interiors)):
        spots = (shapely.get_coordinates(ring) - [x0, y1]) * [1, -1] / step - 0.5
        cv2.fillPoly(mask, [np.rint(spots * 16).astype(np.int32)], value, cv2.LINE_AA, 4)
    return mask


def _main_box(polygon: Polygon) -> tuple[float, float, float, float]:
    """Bounds of the largest rectangle on the lines of a polygon's corners that lies in it."""
    xy = shapely.get_coordinates(polygon.exterior)
    xs, ys = np.unique(xy[:, 0].round(3)), np.unique(xy[:, 1].round(3))
    boxes = [shapely.box(a, c, b, d) for a in xs for b in xs if b > a for c in ys for d in ys if d > c]
    held = [box for box in boxes if polygon.buffer(1e-3).covers(box)] or [polygon.envelope]
    bounds = max(held, key=lambda box: box.area).bounds
    return float(bounds[0]), float(bounds[1]), float(bounds[2]), float(bounds[3])


def _pyramid(noise: np.ndarray) -> tuple[np.ndarray, ...]:
    levels = [noise]
    while levels[-1].shape[0] > 8:
        n = levels[-1].shape[0] // 2
        levels.append(cv2.resize(levels[-1], (n, n), interpolation=cv2.INTER_AREA))
    return tuple(levels)
