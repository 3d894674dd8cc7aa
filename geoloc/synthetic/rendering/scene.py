"""A scene: a site's map as faces with textures, its lamps and openings, and the cars and people that may be there."""

from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.rendering import fittings
from geoloc.synthetic.rendering.atlas import Atlas, Patch
from geoloc.synthetic.rendering.car_looks import COLOURS, SHAPES, draw_car
from geoloc.synthetic.rendering.faces import Faces
from geoloc.synthetic.rendering.figures import draw_person
from geoloc.synthetic.rendering.noise import periodic_noise
from geoloc.synthetic.rendering.shell import SceneOptions, Shell
from geoloc.synthetic.rendering.surroundings import add_crown, surround

OPENING_STEP = 2.5  # m between the points of an open side from which daylight comes
GRAIN = 512  # texels
GRAIN_TEXEL = 0.004  # m


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
    options = options or SceneOptions()
    shell = Shell(site_map, rng, options)
    _furnish(shell)
    cars = tuple(
        draw_car(shell.maker, SHAPES[k % len(SHAPES)], np.array(COLOURS[k % len(COLOURS)], float), rng)
        for k in range(options.n_cars)
    )
    people = tuple(draw_person(shell.maker, rng) for _ in range(options.n_people))
    return Scene(
        site_map=site_map,
        faces=shell.faces.finish(),
        atlas=shell.maker.finish(),
        grain=_pyramid(periodic_noise(GRAIN, 2.0, 24.0, rng)),
        floors=np.array(shell.floors, int),
        lamps=np.array(shell.lamps).reshape(-1, 3),
        openings=_openings(shell),
        cars=cars,
        people=people,
    )


def _furnish(shell: Shell) -> None:
    """All that stays: the order is part of what a seed means."""
    for level in shell.site_map.levels:
        for surface in level.surfaces:
            shell.add_floor(level, surface)
    for thing in shell.site_map.occluders:
        shell.add_thing(thing)
        fittings.add_doors(shell, thing)
        add_crown(shell, thing)
    fittings.add_notices(shell)
    for level in shell.site_map.levels:
        fittings.add_lamps(shell, level)
    fittings.add_signs(shell)
    if shell.options.houses:
        surround(shell)


def _openings(shell: Shell) -> Openings:
    """Along the edges of each storey, above its walls."""
    rows: list[tuple[float, ...]] = []
    for level in shell.site_map.levels:
        ring = level.surfaces[0].polygon.exterior
        walls = [thing for thing in shell.site_map.occluders if thing.level == level.name]
        for s in np.arange(OPENING_STEP / 2, ring.length, OPENING_STEP):
            spot, ahead = (np.array(ring.interpolate(at).coords[0])[:2] for at in (s, min(s + 0.05, ring.length)))
            inward = np.array([spot[1] - ahead[1], ahead[0] - spot[0]]) * (1 if ring.is_ccw else -1)
            inward /= max(float(np.linalg.norm(inward)), 1e-9)
            foot = float(level.surfaces[0].z_at(spot))
            above = float(shell.ceiling(level, (spot + 0.2 * inward)[None])[0])
            wall = max((t.height for t in walls if t.geometry.distance(shapely.Point(spot)) < 0.4), default=0.0)
            high = above - foot - wall
            if np.isfinite(above) and high > 0.1:
                middle = (*spot, foot + wall + high / 2)
                rows.append((*middle, *inward, 0.0, high * OPENING_STEP, foot, above))
    table = np.array(rows).reshape(-1, 9)
    return Openings(table[:, :3], table[:, 3:6], table[:, 6], table[:, 7], table[:, 8])


def _pyramid(noise: np.ndarray) -> tuple[np.ndarray, ...]:
    levels = [noise]
    while levels[-1].shape[0] > 8:
        n = levels[-1].shape[0] // 2
        levels.append(cv2.resize(levels[-1], (n, n), interpolation=cv2.INTER_AREA))
    return tuple(levels)
