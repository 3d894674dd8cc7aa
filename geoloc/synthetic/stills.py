"""Stills of a site's cameras, drawn from its map alone: floors with their lines, walls, pillars, sky.

Every pixel's ray is followed to what it meets first, so distortion and hiding are those of the camera.
"""

import cv2
import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.scene.sitemap import Level, Occluder, SiteMap

TEXEL = 0.025  # m; side of a texel of the ground
LARGEST = 6000  # texels along the longer side
MARGIN = 1.0  # m around a level's outline
MOUNT = 0.35  # m; what is nearer to a camera than this carries it
GREY, SKY, LINE, LANE, CROSS = 112.0, (214, 196, 170), (238, 240, 240), (96, 150, 168), (40, 60, 215)  # BGR
WALL, PILLAR = np.array([150.0, 165.0, 172.0]), np.array([120.0, 190.0, 215.0])
LIGHT = np.array([0.48, 0.36, 0.8])  # towards it


def render_still(camera: Camera, site_map: SiteMap, rng: np.random.Generator) -> np.ndarray:
    """What a camera sees of a map with outlines: an image (H, W, 3) uint8, BGR.

    `rng` gives the grain of floors and sensor. A level without an outline is refused: there is nothing to draw.
    """
    endless = [level.name for level in site_map.levels if any(s.polygon.is_empty for s in level.surfaces)]
    if endless:
        raise InputError(f"level {endless[0]!r} has no outline, so it cannot be drawn; give its surfaces polygons")
    width, height = camera.size
    pixels = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    rays = camera.unproject(pixels)
    image = np.tile(np.array(SKY, float), (len(rays), 1))
    known = np.isfinite(rays).all(axis=1)
    image[~known] = 0.0
    rays = np.where(known[:, None], rays, [0.0, 0.0, 1.0])
    hits = intersect_ground(site_map, camera.centre_world[None], rays)
    distance = np.where(hits.level >= 0, hits.distance, np.inf)
    for index, level in enumerate(site_map.levels):
        rows = np.flatnonzero(hits.level == index)
        if len(rows):
            image[rows] = _texture(site_map, level, rng, hits.xyz[rows, :2])
    ceiling = _under_a_floor(site_map, camera, rays, distance)
    image[ceiling & known] = (92.0, 94.0, 96.0)
    _raise_walls(image, distance, camera, rays, site_map)
    image += rng.normal(0.0, 2.0, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8).reshape(height, width, 3)


def _texture(site_map: SiteMap, level: Level, rng: np.random.Generator, xy: np.ndarray) -> np.ndarray:
    """Colours (N, 3) of points xy (N, 2) m of a level: lanes, the lines of its stalls, crosses on control points."""
    x0, y0, x1, y1 = shapely.total_bounds([surface.polygon for surface in level.surfaces])
    low, span = np.array([x0, y0]) - MARGIN, max(x1 - x0, y1 - y0) + 2 * MARGIN
    texel = max(TEXEL, span / LARGEST)
    size = np.ceil((np.array([x1, y1]) + MARGIN - low) / texel).astype(int)
    ground = np.full((size[1], size[0], 3), GREY, np.float32)

    def at(points: np.ndarray) -> np.ndarray:
        return np.rint((np.asarray(points)[..., :2] - low) / texel).astype(np.int32)

    for zone in (zone for zone in site_map.zones if zone.level == level.name):
        cv2.fillPoly(ground, [at(shapely.get_coordinates(zone.polygon.exterior))], [GREY - 16] * 3)
    for zone in (zone for zone in site_map.zones if zone.level == level.name):
        cv2.polylines(ground, [at(shapely.get_coordinates(zone.polygon.exterior))], True, LANE, _thick(0.08, texel))
    for stall in (stall for stall in site_map.stalls if stall.level == level.name):
        cv2.polylines(ground, [at(shapely.get_coordinates(stall.polygon.exterior))], True, LINE, _thick(0.1, texel))
    for point in site_map.control_points:
        if abs(float(level.z_extended(np.array([point.xyz[:2]]))[0]) - point.xyz[2]) < 0.3:
            spot = tuple(at(np.array(point.xyz)).tolist())
            cv2.drawMarker(ground, spot, CROSS, cv2.MARKER_CROSS, _thick(0.6, texel), _thick(0.08, texel))
    grain = cv2.GaussianBlur(rng.normal(0, 14, ground.shape[:2]).astype(np.float32), (0, 0), 1.5)
    ground += grain[..., None]
    column, row = np.clip(at(xy), 0, size - 1).T
    return ground[row, column]


def _thick(width_m: float, texel: float) -> int:
    return max(1, round(width_m / texel))


def _under_a_floor(site_map: SiteMap, camera: Camera, rays: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Rays (N,) that rise to a level above them before anything else."""
    found = np.zeros(len(rays), dtype=bool)
    centre = camera.centre_world
    for level in site_map.levels:
        for surface in level.surfaces:
            a, b, c = surface.plane
            above = a * centre[0] + b * centre[1] + c - centre[2]
            rise = rays[:, 2] - a * rays[:, 0] - b * rays[:, 1]
            rows = np.flatnonzero((rise > 1e-6) & (above > 0))
            along = above / rise[rows]
            held = surface.holds(centre[:2] + along[:, None] * rays[rows, :2]) & (along < distance[rows])
            found[rows[held]] = True
            distance[rows[held]] = along[held]
    return found


def _raise_walls(
    image: np.ndarray, distance: np.ndarray, camera: Camera, rays: np.ndarray, site_map: SiteMap
) -> None:
    """Upright faces of walls and pillars that are nearer than what was met so far."""
    centre = camera.centre_world
    azimuth = np.arctan2(rays[:, 1], rays[:, 0])
    order = np.argsort(azimuth)
    twice = np.concatenate([azimuth[order], azimuth[order] + 2 * np.pi])  # twice round: no seam
    order = np.concatenate([order, order])
    for thing in site_map.occluders:
        colour = PILLAR if thing.geometry.geom_type.endswith("Polygon") else WALL
        for start, end, foot, normal in _faces(thing, site_map.level(thing.level), centre):
            rows = order[_between(twice, start - centre[:2], end - centre[:2])]
            along, on_face = _meet(rays[rows], centre, start, end)
            z = centre[2] + along * rays[rows, 2]
            hit = on_face & (along < distance[rows]) & (z >= foot) & (z <= foot + thing.height)
            image[rows[hit]] = colour * (0.55 + 0.45 * abs(float(normal @ LIGHT[:2])))
            distance[rows[hit]] = along[hit]


def _between(azimuth: np.ndarray, start: np.ndarray, end: np.ndarray) -> slice:
    """The ascending azimuths that lie between the directions of two points (2,)."""
    first = np.arctan2(start[1], start[0])
    turn = (np.arctan2(end[1], end[0]) - first + np.pi) % (2 * np.pi) - np.pi
    low = min(first, first + turn)
    low += 2 * np.pi * (low < -np.pi)
    return slice(*np.searchsorted(azimuth, [low, low + abs(turn)]).tolist())


def _meet(
    rays: np.ndarray, centre: np.ndarray, start: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """How far along each ray (K, 3) the upright plane through an edge is, and whether that is over the edge."""
    edge = end - start
    slant = rays[:, 0] * edge[1] - rays[:, 1] * edge[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        along = ((start[0] - centre[0]) * edge[1] - (start[1] - centre[1]) * edge[0]) / slant
        spot = (centre[:2] + along[:, None] * rays[:, :2] - start) @ edge / (edge @ edge)
        return along, (along > MOUNT) & (spot >= 0) & (spot <= 1)


def _faces(
    thing: Occluder, level: Level, centre: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, float, np.ndarray]]:
    """Ends (2,) m of each upright face, its foot's height, and its normal (2,) in plan."""
    solid = thing.geometry.geom_type.endswith("Polygon")
    if solid and shapely.intersects_xy(thing.geometry, *centre[:2]):
        return []
    lines = thing.geometry.boundary if solid else thing.geometry
    found = []
    for line in shapely.get_parts(lines):
        xy = shapely.get_coordinates(line)
        foot = level.z_extended(xy)
        for i in range(len(xy) - 1):
            edge = xy[i + 1] - xy[i]
            normal = np.array([edge[1], -edge[0]]) / np.linalg.norm(edge)
            found.append((xy[i], xy[i + 1], float(min(foot[i], foot[i + 1])), normal))
    return found
