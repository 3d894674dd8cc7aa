"""The map's lines as a camera sees them: projected point by point, so that distortion shows; hidden parts left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import shapely
from shapely import Geometry

from geoloc.scene.camera import Camera
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.sitemap import Level, SiteMap

STEP = 0.25  # m between the points of a line
FAR = 120.0  # m; lines farther from the camera than this are not drawn
CLEAR = 0.02  # m by which a line is drawn over its floor, and under the next one
BEFORE = 0.06  # m by which a point is drawn nearer to the camera than the wall that it lies on
ROUND = 0.4  # px by which a line may be made simpler
GRID = 10.0  # m between the lines that are drawn where the map has none
MOST_POSTS = 12  # corners of a wall that are drawn upright; of more only its ends
MARGIN = 0.05  # of the image's size, beyond which lines are cut


@dataclass(frozen=True, eq=False)
class StillLine:
    """A line (K, 2) px of a kind: level, zone, stall, wall, or grid."""

    kind: str
    pixels: np.ndarray


def still_lines(camera: Camera, site_map: SiteMap) -> tuple[StillLine, ...]:
    """Edges of levels, zones, stalls, walls and pillars in a camera's image; a grid of GRID m where it sees none."""
    found = _seen(camera, site_map, list(_map_lines(camera, site_map)))
    return found or _seen(camera, site_map, list(_grid_lines(camera, site_map)))


def _map_lines(camera: Camera, site_map: SiteMap) -> Iterator[tuple[str, np.ndarray]]:
    """Kinds and polylines (K, 3) m near the camera."""
    for level in site_map.levels:
        outline = shapely.union_all([surface.polygon for surface in level.surfaces]).boundary
        yield from (("level", line) for line in _on_level(camera, level, outline))
    for place in (*site_map.zones, *site_map.stalls):
        kind = "stall" if place.kind == "stall" else "zone"
        for line in _on_level(camera, site_map.level(place.level), place.polygon.boundary):
            yield kind, line
    for thing in site_map.occluders:
        solid = thing.geometry.geom_type.endswith("Polygon")
        outline = thing.geometry.boundary if solid else thing.geometry
        level = site_map.level(thing.level)
        up = np.array([0.0, 0.0, thing.height - 2 * CLEAR])
        for foot in _on_level(camera, level, outline):
            yield "wall", foot
            yield "wall", foot + up
        corners = shapely.get_coordinates(outline)
        corners = corners if len(corners) <= MOST_POSTS else corners[[0, -1]]
        rise = np.linspace(0, 1, max(2, int(thing.height / STEP)))[:, None] * up
        for post in np.column_stack([corners, level.z_extended(corners) + CLEAR]):
            if np.linalg.norm(post[:2] - camera.anchor_xy) <= FAR:
                yield "wall", post + rise


def _grid_lines(camera: Camera, site_map: SiteMap) -> Iterator[tuple[str, np.ndarray]]:
    middle = GRID * np.round(camera.anchor_xy / GRID)
    at = np.arange(-FAR, FAR + GRID / 2, GRID)
    north = np.array([[(a, -FAR), (a, FAR)] for a in at])
    lines = middle + np.concatenate([north, north[:, :, ::-1]])
    for level in site_map.levels:
        yield from (("grid", line) for line in _on_level(camera, level, shapely.multilinestrings(lines)))


def _on_level(camera: Camera, level: Level, geometry: Geometry) -> Iterator[np.ndarray]:
    """Parts of lines near a camera, in short steps, on the level's surface: (K, 3) m each."""
    near = shapely.Point(camera.anchor_xy).buffer(FAR)
    for part in shapely.get_parts(shapely.line_merge(shapely.intersection(geometry, near))):
        if part.geom_type in ("LineString", "LinearRing") and part.length > 0:
            xy = shapely.get_coordinates(shapely.segmentize(part, STEP))
            yield np.column_stack([xy, level.z_extended(xy) + CLEAR])


def _seen(camera: Camera, site_map: SiteMap, lines: list[tuple[str, np.ndarray]]) -> tuple[StillLine, ...]:
    """The parts of lines that a camera sees, on its image."""
    if not lines:
        return ()
    xyz = np.concatenate([line for _, line in lines])
    owner = np.repeat(np.arange(len(lines)), [len(line) for _, line in lines])
    pixels = _project(camera, xyz)
    margin = MARGIN * max(camera.size)
    with np.errstate(invalid="ignore"):
        seen = np.asarray(((pixels >= -margin) & (pixels <= np.array(camera.size) + margin)).all(axis=1))
    rows = np.flatnonzero(seen)
    if not camera.is_homography and len(rows):
        centre = camera.centre_world
        away = np.linalg.norm(xyz[rows] - centre, axis=1, keepdims=True)
        nearer = centre + (1 - BEFORE / np.maximum(away, 2 * BEFORE)) * (xyz[rows] - centre)
        seen[rows] = ~Occlusion(site_map)(centre, nearer)
    breaks = np.flatnonzero(np.diff(owner) != 0) + 1
    ends = np.unique(np.concatenate([[0], np.flatnonzero(np.diff(seen)) + 1, breaks, [len(seen)]]))
    pieces = [slice(a, b) for a, b in pairwise(ends.tolist()) if seen[a] and b - a > 1]
    return tuple(StillLine(lines[owner[piece.start]][0], _simple(pixels[piece])) for piece in pieces)


def _project(camera: Camera, xyz: np.ndarray) -> np.ndarray:
    """Pixels (N, 2), by the homography where that is all there is; NaN where there are none."""
    if not camera.is_homography:
        return camera.project(xyz)
    ground = np.column_stack([xyz[:, :2], np.ones(len(xyz))])
    u, v, w = np.linalg.inv(camera.ground_from_image) @ ground.T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((w > 0)[:, None], np.column_stack([u / w, v / w]), np.nan)


def _simple(pixels: np.ndarray) -> np.ndarray:
    return shapely.get_coordinates(shapely.simplify(shapely.linestrings(pixels), ROUND))
