"""What floors, walls and broad pillars hide from a camera: their shadows on a surface, as from a lamp."""

from collections.abc import Iterator

import numpy as np
import shapely
from shapely import Geometry, Polygon

from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface

CLEARANCE = 1e-3  # m; surfaces nearer to each other than this do not hide each other
MOUNTED = 0.4  # m; a camera this near to a wall hangs on it, so the wall hides nothing from it
BROAD = 1.0  # m; thinner pillars hide too little to be worth a sliver


def shadows(site_map: SiteMap, level: Level, surface: Surface, centre: np.ndarray, range_m: float) -> Geometry:
    """Parts of a level's `surface` that are hidden from `centre` (3,) m, where they lie within `range_m`."""
    others = [one for other in site_map.levels for one in other.surfaces if one is not surface]
    hidden = [_floor_shadow(centre, other, surface, range_m) for other in others]
    for thing in site_map.occluders:
        if thing.level == level.name:
            hidden += _standing_shadows(centre, thing, level, surface, range_m)
    return shapely.union_all([shadow for shadow in hidden if not shadow.is_empty])


def _floor_shadow(centre: np.ndarray, other: Surface, surface: Surface, range_m: float) -> Geometry:
    """Part of `surface`'s plane that `other` hides: the piece of it between them, projected.

    How far a point of `other` lies above the plane, and how fast the ray through it falls towards the plane,
    are both linear in its xy, so the piece is cut by two lines.
    """
    x, y = centre[:2]
    reach = shapely.box(x - range_m, y - range_m, x + range_m, y + range_m)
    piece = reach if other.polygon.is_empty else other.polygon.intersection(reach)
    tilt = np.subtract(surface.plane, other.plane)
    camera_above = centre[2] - surface.plane[0] * x - surface.plane[1] * y
    piece = _where_positive(piece, (-tilt[0], -tilt[1], -tilt[2] - CLEARANCE))
    piece = _where_positive(piece, (tilt[0], tilt[1], camera_above - other.plane[2] - CLEARANCE))

    def project(xy: np.ndarray) -> np.ndarray:
        fall = tilt[0] * xy[:, 0] + tilt[1] * xy[:, 1] + camera_above - other.plane[2]
        return centre[:2] + ((camera_above - surface.plane[2]) / fall)[:, None] * (xy - centre[:2])

    return shapely.make_valid(shapely.transform(piece, project))


def _standing_shadows(
    centre: np.ndarray, thing: Occluder, level: Level, surface: Surface, range_m: float
) -> Iterator[Geometry]:
    """Shadows of the upright faces of a wall or pillar that stands on `level`."""
    x0, y0, x1, y1 = thing.geometry.bounds
    if _is_area(thing) and max(x1 - x0, y1 - y0) < BROAD:
        return
    camera_above = centre[2] - surface.z_at(centre[:2])
    lines = shapely.boundary(thing.geometry) if _is_area(thing) else thing.geometry
    for line in shapely.get_parts(lines):
        points = shapely.get_coordinates(line)
        foot = level.z_at(points)
        ground = surface.z_at(points)
        top_above = np.where(np.isnan(foot), ground, foot) + thing.height - ground
        with np.errstate(divide="ignore", invalid="ignore"):
            stretch = np.where(top_above < camera_above, camera_above / (camera_above - top_above), np.inf)
        away = points - centre[:2]
        # tops at the camera's height and above cast a shadow without end
        longest = 3 * range_m / np.maximum(np.linalg.norm(away, axis=1), 1e-6)
        tops = centre[:2] + np.minimum(stretch, np.maximum(longest, 1.0))[:, None] * away
        for i in range(len(points) - 1):
            face = shapely.linestrings(points[i : i + 2])
            if shapely.distance(face, shapely.points(centre[:2])) > MOUNTED:
                yield shapely.convex_hull(shapely.multipoints([*points[i : i + 2], *tops[i : i + 2]]))


def _is_area(thing: Occluder) -> bool:
    return bool(shapely.get_dimensions(thing.geometry) == 2)


def _where_positive(area: Geometry, plane: tuple[float, float, float]) -> Geometry:
    """The part of `area` in which a x + b y + c >= 0."""
    a, b, c = plane
    steep = np.hypot(a, b)
    if area.is_empty or steep < 1e-12:
        return area if c >= 0 else Polygon()
    normal = np.array([a, b]) / steep
    x0, y0, x1, y1 = area.bounds
    middle = np.array([x0 + x1, y0 + y1]) / 2
    foot = middle - (normal @ middle + c / steep) * normal  # the point of the line nearest to the middle
    reach = 2 * np.hypot(x1 - x0, y1 - y0) + np.linalg.norm(foot - middle)
    side, ahead = reach * np.array([-normal[1], normal[0]]), 2 * reach * normal
    return area.intersection(Polygon([foot + side, foot - side, foot - side + ahead, foot + side + ahead]))
