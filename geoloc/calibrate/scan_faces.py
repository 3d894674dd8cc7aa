"""The map as a scanner would see it: flat faces of floors, walls and pillars, and points spread over them."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import shapely
from scipy.spatial import cKDTree

from geoloc.errors import GeometryError
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface

EDGE = 0.6  # of the spacing
MARGIN = 5.0  # m around all that the map holds, where a level has no edge
MOST_POINTS = 400_000


@dataclass(frozen=True, eq=False)
class Faces:
    """F planes `normal . x = offset`, each known to `sigma` m along its normal, and M points on them."""

    normal: np.ndarray  # (F, 3)
    offset: np.ndarray  # (F,) m
    sigma: np.ndarray  # (F,) m
    points: np.ndarray  # (M, 3) m
    face: np.ndarray  # (M,) int
    spacing: float  # m between neighbouring points

    @cached_property
    def near_edge(self) -> np.ndarray:
        """Which points (M,) lie so near to another face that what is measured there may belong to either."""
        pairs = cKDTree(self.points).query_pairs(EDGE * self.spacing, output_type="ndarray")
        mixed = pairs[self.face[pairs[:, 0]] != self.face[pairs[:, 1]]]
        near = np.zeros(len(self.points), dtype=bool)
        near[mixed.ravel()] = True
        return near

    @property
    def upright(self) -> np.ndarray:
        """Which points (M,) lie on a wall."""
        return np.abs(self.normal[self.face, 2]) < 0.5


def map_faces(site_map: SiteMap, spacing: float, wall_sigma: float) -> Faces:
    """Faces of the map's levels and occluders with points every `spacing` m; walls are known to `wall_sigma` m.

    GeometryError if the map has no extent: one endless level, and nothing on it.
    """
    extent = _extent(site_map)
    normals, offsets, sigmas, points = [], [], [], []
    for level in site_map.levels:
        for surface in level.surfaces:
            a, b, c = surface.plane
            length = np.sqrt(a * a + b * b + 1.0)
            normals.append(np.array([-a, -b, 1.0]) / length)
            offsets.append(c / length)
            sigmas.append(max(surface.sigma_z, 1e-3))
            points.append(_on_surface(surface, extent, spacing))
    for thing in site_map.occluders:
        for start, end in _edges(thing):
            along = (end - start) / np.linalg.norm(end - start)
            normals.append(np.array([along[1], -along[0], 0.0]))
            offsets.append(float(normals[-1][:2] @ start))
            sigmas.append(wall_sigma)
            points.append(_on_panel(site_map.level(thing.level), start, end, thing.height, spacing))
    face = np.repeat(np.arange(len(points)), [len(part) for part in points])
    return Faces(np.array(normals), np.array(offsets), np.array(sigmas), np.concatenate(points), face, spacing)


def _extent(site_map: SiteMap) -> shapely.Geometry:
    things = [*site_map.stalls, *site_map.zones]
    parts = [thing.polygon for thing in things] + [thing.geometry for thing in site_map.occluders]
    parts += [surface.polygon for level in site_map.levels for surface in level.surfaces]
    parts += [shapely.Point(point.xyz[:2]) for point in site_map.control_points]
    whole = shapely.union_all([part for part in parts if not part.is_empty])
    if whole.is_empty:
        raise GeometryError("the map holds no outline, wall or point; a scan cannot be laid on one endless plane")
    return shapely.envelope(whole).buffer(MARGIN, join_style="mitre")


def _on_surface(surface: Surface, extent: shapely.Geometry, spacing: float) -> np.ndarray:
    area = extent if surface.polygon.is_empty else surface.polygon
    x0, y0, x1, y1 = area.bounds
    spacing = max(spacing, np.sqrt((x1 - x0) * (y1 - y0) / MOST_POINTS))
    x, y = np.meshgrid(np.arange(x0, x1 + spacing, spacing), np.arange(y0, y1 + spacing, spacing))
    xy = np.column_stack([x.ravel(), y.ravel()])
    shapely.prepare(area)
    xy = xy[shapely.intersects_xy(area, xy[:, 0], xy[:, 1])]
    return np.column_stack([xy, surface.z_at(xy)])


def _edges(thing: Occluder) -> list[tuple[np.ndarray, np.ndarray]]:
    geometry = thing.geometry
    lines = geometry.boundary if geometry.geom_type.endswith("Polygon") else geometry
    found = []
    for line in shapely.get_parts(lines):
        xy = shapely.get_coordinates(line)
        found += [(a, b) for a, b in pairwise(xy) if np.linalg.norm(b - a) > 1e-3]
    return found


def _on_panel(level: Level, start: np.ndarray, end: np.ndarray, height: float, spacing: float) -> np.ndarray:
    along = np.linspace(0.0, 1.0, 2 + int(np.linalg.norm(end - start) / spacing))
    xy = start + along[:, None] * (end - start)
    up = np.linspace(0.0, height, 2 + int(height / spacing))
    foot = level.z_extended(xy)
    return np.column_stack([np.repeat(xy, len(up), axis=0), (foot[:, None] + up).ravel()])
