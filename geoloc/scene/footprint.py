"""What each camera sees of each level: its image projected onto the ground, less what is hidden.

The image is scanned along the axis that is nearer to the world's vertical. On each scan line the part that
meets the ground within range is one interval; its ends are refined by bisection and carried to the map.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import Geometry, Polygon

from geoloc.scene.camera import Camera
from geoloc.scene.ground import MIN_DROP
from geoloc.scene.lenses import Homography
from geoloc.scene.shadow import shadows
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap, Surface

N_LINES, N_STEPS, N_HALVINGS = 72, 48, 14

GroundFromPixel = Callable[[np.ndarray], np.ndarray]  # (N, 2) px -> (N, 2) m, NaN where there is no ground


@dataclass(frozen=True, eq=False)
class Footprint:
    """The part of a level that a camera's image covers: a (multi)polygon in world xy, m."""

    camera: str
    level: str
    area: Geometry


def footprints(site: Site, range_m: float = 80.0) -> tuple[Footprint, ...]:
    """Footprints of all cameras, nearest `range_m` metres of ground only; levels not seen have none.

    Floors, walls and broad pillars hide what is behind them. A camera that is known by a homography has no
    place: nothing hides from it, and its range counts from the ground at the bottom of its image.
    """
    found = []
    for camera in site.cameras:
        for level, areas in _areas(camera, site.site_map, range_m).items():
            area = shapely.union_all(areas)
            if area.area > 0:
                found.append(Footprint(camera.name, level, area))
    return tuple(found)


def _areas(camera: Camera, site_map: SiteMap, range_m: float) -> dict[str, list[Geometry]]:
    if isinstance(camera.lens, Homography):
        level = site_map.level(camera.homography_level)
        a, b = np.linalg.inv(camera.lens.matrix)[2, :2]
        seen = _outline(_homography_ground(camera, range_m), camera.size, bool(abs(a) > abs(b)))
        return {level.name: [_on_surface(seen, surface) for surface in level.surfaces]}
    down = camera.cam_from_world.rotation.as_matrix()[:, 2]
    sideways = bool(abs(down[0]) > abs(down[1]))
    areas: dict[str, list[Geometry]] = {}
    for level in site_map.levels:
        for surface in level.surfaces:
            seen = _outline(_plane_ground(camera, surface, range_m), camera.size, sideways)
            seen = _on_surface(seen, surface)
            if not seen.is_empty:
                seen = seen.difference(shadows(site_map, level, surface, camera.centre_world, range_m))
            areas.setdefault(level.name, []).append(seen)
    return areas


def _plane_ground(camera: Camera, surface: Surface, range_m: float) -> GroundFromPixel:
    a, b, c = surface.plane
    centre = camera.centre_world
    above = centre[2] - (a * centre[0] + b * centre[1] + c)

    def ground(pixels: np.ndarray) -> np.ndarray:
        rays = camera.unproject(pixels)
        fall = a * rays[:, 0] + b * rays[:, 1] - rays[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            offset = (above / fall)[:, None] * rays[:, :2]
            hit = (fall > MIN_DROP) & (np.linalg.norm(offset, axis=1) <= range_m)
        return np.where(hit[:, None] & (above > 0), centre[:2] + offset, np.nan)

    return ground


def _homography_ground(camera: Camera, range_m: float) -> GroundFromPixel:
    def ground(pixels: np.ndarray) -> np.ndarray:
        xy = camera.level_xy(pixels)
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(xy - camera.anchor_xy, axis=1) <= range_m
        return np.where(near[:, None], xy, np.nan)

    return ground


def _outline(ground: GroundFromPixel, size: tuple[int, int], sideways: bool) -> Geometry:
    """Ground polygon of the image: along lines of constant u (or v, if `sideways`), first to last hit."""
    along, across = (size[0], size[1]) if sideways else (size[1], size[0])
    lines = np.linspace(-0.5, across - 0.5, N_LINES)
    steps = np.linspace(-0.5, along - 0.5, N_STEPS)

    def at(lines: np.ndarray, position: np.ndarray) -> np.ndarray:
        lines = np.broadcast_to(lines, position.shape)
        uv = (position, lines) if sideways else (lines, position)
        return ground(np.stack(uv, axis=-1).reshape(-1, 2)).reshape(*position.shape, 2)

    hits = np.isfinite(at(lines[:, None], np.tile(steps, (N_LINES, 1)))[..., 0])
    rows = np.flatnonzero(hits.any(axis=1))
    if len(rows) < 2:
        return Polygon()
    lines, hits = lines[rows], hits[rows]
    first = hits.argmax(axis=1)
    last = N_STEPS - 1 - hits[:, ::-1].argmax(axis=1)
    start = _refine(at, lines, steps[first], steps[np.maximum(first - 1, 0)])
    end = _refine(at, lines, steps[last], steps[np.minimum(last + 1, N_STEPS - 1)])
    ring = np.concatenate([at(lines, start), at(lines, end)[::-1]])
    return shapely.make_valid(Polygon(ring)).buffer(0)


def _refine(
    at: Callable[[np.ndarray, np.ndarray], np.ndarray], lines: np.ndarray, hit: np.ndarray, missed: np.ndarray
) -> np.ndarray:
    """Last position that hits, between one that does and one that does not (equal at the image's border)."""
    for _ in range(N_HALVINGS):
        middle = (hit + missed) / 2
        hits = np.isfinite(at(lines, middle)[..., 0])
        hit, missed = np.where(hits, middle, hit), np.where(hits, missed, middle)
    return hit


def _on_surface(area: Geometry, surface: Surface) -> Geometry:
    return area if surface.polygon.is_empty else area.intersection(surface.polygon)
