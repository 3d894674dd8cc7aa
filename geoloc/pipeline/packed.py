"""A site and classes as the plain arrays that kernels take, packed once and kept."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import shapely

from geoloc.pipeline.lazily import surfaces
from geoloc.scene.columns import Coded
from geoloc.scene.joints import joints_of
from geoloc.scene.kinds import kind_of
from geoloc.scene.lenses import Fisheye, Homography
from geoloc.scene.rig import rig_of
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap
from geoloc.scene.visibility import Visibility

WIDER = 5.0  # m

class KindArrays(NamedTuple):
    """Constants (K,) of the kinds of K labels, see `scene.kinds`."""

    length: np.ndarray
    width: np.ndarray
    height: np.ndarray
    speed: np.ndarray
    acceleration: np.ndarray


@lru_cache(maxsize=256)
def kind_arrays(labels: tuple[str, ...]) -> KindArrays:
    """What is known of each of the labels."""
    kinds = [kind_of(label) for label in labels]
    return KindArrays(*(np.array([getattr(kind, name) for kind in kinds], float) for name in KindArrays._fields))


@lru_cache(maxsize=64)
def rows_of_cameras(site: Site, names: tuple[str, ...]) -> np.ndarray:
    """Index among the site's cameras of each name (K,); -1 where it has no such camera."""
    return np.array([site.camera_index.get(name, -1) for name in names], dtype=np.int64)


def camera_rows(site: Site, cameras: Coded) -> np.ndarray:
    """Index among the site's cameras of each row (N,); -1 where it has no such camera."""
    return rows_of_cameras(site, cameras.names).take(cameras.code)


@lru_cache(maxsize=64)
def rows_of_levels(site_map: SiteMap, names: tuple[str, ...]) -> np.ndarray:
    """Index among the map's levels of each name (K,); UnknownNameError if there is none."""
    return site_map.level_rows(np.array(names, dtype=np.str_)).astype(np.int64)


def level_rows(site_map: SiteMap, levels: Coded) -> np.ndarray:
    """Index among the map's levels of each row (N,); UnknownNameError if there is none."""
    return rows_of_levels(site_map, levels.names).take(levels.code)


@lru_cache(maxsize=64)
def level_names(site_map: SiteMap) -> tuple[str, ...]:
    """Names of the levels, in order."""
    return tuple(level.name for level in site_map.levels)


@lru_cache(maxsize=256)
def common_numbers(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (K,), (L,) of two lists of names that are equal where the names are."""
    number = {name: k for k, name in enumerate(dict.fromkeys((*first, *second)))}
    of_first, of_second = (np.array([number[name] for name in part], dtype=np.int64) for part in (first, second))
    return of_first, of_second


class SurfaceArrays(NamedTuple):
    """See `kernels.surfaces`."""

    plane: np.ndarray
    sigma_z: np.ndarray
    level: np.ndarray
    bounds: np.ndarray
    shape: np.ndarray
    edges: np.ndarray
    edge_start: np.ndarray


@lru_cache(maxsize=16)
def surface_arrays(site_map: SiteMap) -> SurfaceArrays:
    """All surfaces of a map, level by level."""
    owned = [(i, surface) for i, level in enumerate(site_map.levels) for surface in level.surfaces]
    bounds, shape, edges = np.zeros((len(owned), 4)), np.full(len(owned), surfaces.ENDLESS), [np.zeros((0, 4))]
    for s, (_, surface) in enumerate(owned):
        edges.append(np.zeros((0, 4)))
        if not surface.polygon.is_empty:
            bounds[s] = surface.outline.bounds
            shape[s] = surfaces.BOX if surface.is_box else surfaces.OUTLINE
            edges[-1] = _edges(surface.outline)
    return SurfaceArrays(
        plane=np.array([surface.plane for _, surface in owned], float),
        sigma_z=np.array([surface.sigma_z for _, surface in owned], float),
        level=np.array([i for i, _ in owned], dtype=np.int64),
        bounds=bounds,
        shape=shape.astype(np.int64),
        edges=np.concatenate(edges),
        edge_start=np.cumsum([len(part) for part in edges]),
    )


@lru_cache(maxsize=64)
def wide_surfaces(site_map: SiteMap, level: int) -> SurfaceArrays:
    """The surfaces of one level, wider by what a point near their edge may be off."""
    one = site_map.levels[level]
    pieces = [replace(s, polygon=s.polygon.buffer(WIDER, join_style="mitre")) for s in one.surfaces]
    arrays = surface_arrays(SiteMap(levels=(Level(one.name, tuple(pieces)),)))
    return arrays._replace(level=arrays.level + level)


def _edges(outline: shapely.Geometry) -> np.ndarray:
    """Edges (E, 4) of all rings."""
    rings = [shapely.get_coordinates(ring) for ring in shapely.get_rings(shapely.get_parts(outline))]
    return np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in rings])


class Areas(NamedTuple):
    """Areas as `kernels.levels` takes them."""

    edges: np.ndarray  # (E, 4) m
    start: np.ndarray  # (n + 1,) first edge of each
    endless: np.ndarray  # (n,) bool


def _areas(geometries: Sequence[shapely.Geometry], endless: Sequence[bool]) -> Areas:
    edges = [_edges(geometry) if not geometry.is_empty else np.zeros((0, 4)) for geometry in geometries]
    start = np.cumsum([0, *(len(part) for part in edges)])
    return Areas(np.concatenate([np.zeros((0, 4)), *edges]), start, np.array(endless, dtype=bool))


@lru_cache(maxsize=16)
def level_areas(site_map: SiteMap) -> Areas:
    """The outline of each level of a map, all its surfaces together."""
    outlines = [shapely.union_all([s.outline for s in level.surfaces]) for level in site_map.levels]
    return _areas(outlines, [any(s.polygon.is_empty for s in level.surfaces) for level in site_map.levels])


class JointArrays(NamedTuple):
    """Where levels are joined, see `kernels.levels`."""

    edges: np.ndarray
    start: np.ndarray
    endless: np.ndarray
    pair: np.ndarray  # (L, L) the joint of two levels, -1: none


@lru_cache(maxsize=64)
def joint_arrays(site_map: SiteMap, names: tuple[str, ...], climbs: bool) -> JointArrays:
    """The joints between levels of these names, in that order; with `climbs` those of stairs and lifts too."""
    place = {site_map.level_index[name]: k for k, name in enumerate(names)}
    found = [(j, j.ramp.union(j.climb) if climbs else j.ramp) for j in joints_of(site_map)]
    found = [(j, area) for j, area in found if j.first in place and j.second in place and not area.is_empty]
    pair = np.full((len(names), len(names)), -1)
    for k, (j, _) in enumerate(found):
        pair[place[j.first], place[j.second]] = pair[place[j.second], place[j.first]] = k
    return JointArrays(*_areas([area for _, area in found], [False] * len(found)), pair)


NO_JOINTS = JointArrays(*_areas([], []), np.zeros((0, 0), dtype=np.int64))  # of no map


class CameraArrays(NamedTuple):
    """`scene.rig.Rig` with cameras first, as a kernel reads it."""

    size: np.ndarray  # (2, C) px
    family: np.ndarray  # (C,)
    rotation: np.ndarray  # (C, 3, 3)
    centre: np.ndarray  # (C, 3) m
    calib_cov: tuple[np.ndarray, ...]  # per family (C, 6 + k, 6 + k)
    matrix: np.ndarray  # (C, 3, 3) of homographies
    inverse: np.ndarray  # (C, 3, 3) and back
    level: np.ndarray  # (C,) of homographies
    homography_var: np.ndarray  # (C,) px²


@lru_cache(maxsize=16)
def camera_arrays(site: Site) -> CameraArrays:
    """The cameras of a site."""
    rig = rig_of(site)
    matrix = np.zeros((len(site.cameras), 3, 3))
    for family, params in zip(rig.families, rig.params, strict=True):
        if family is Homography:
            matrix[...] = params.T.reshape(-1, 3, 3)
    return CameraArrays(
        size=np.ascontiguousarray(rig.size),
        family=rig.family.astype(np.int64),
        rotation=_cameras_first(rig.rotation),
        centre=np.ascontiguousarray(rig.centre),
        calib_cov=tuple(_cameras_first(cov) for cov in rig.calib_cov),
        matrix=matrix,
        inverse=_cameras_first(rig.ground_from_image),
        level=rig.level.astype(np.int64),
        homography_var=rig.homography_var,
    )


@lru_cache(maxsize=256)
def camera_numbers(names: tuple[str, ...]) -> np.ndarray:
    """A number (K,) for each camera, whose sum tells sets of cameras apart, the same in every window and run."""
    # FNV-1a over the name's code points: Python's own hash differs from run to run
    return np.array([_fnv(name) for name in names], dtype=np.uint64)


@lru_cache(maxsize=256)
def camera_sets(names: tuple[str, ...]) -> np.ndarray:
    """The camera set (K,) of an object that one camera sees; see `Objects`."""
    return (camera_numbers(names) >> np.uint64(1)).astype(np.int64)


def _fnv(text: str) -> int:
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return value


class BodyArrays(NamedTuple):
    """Cameras as `kernels.bodies` projects through them."""

    model: np.ndarray  # (C,) RADIAL, FISHEYE, or UNKNOWN of a homography
    params: np.ndarray  # (C, 18), zero where the lens has fewer
    limit: np.ndarray  # (C,)
    rotation: np.ndarray  # (C, 3, 3)
    centre: np.ndarray  # (C, 3) m
    size: np.ndarray  # (2, C) px


@lru_cache(maxsize=16)
def body_arrays(site: Site) -> BodyArrays:
    """The cameras of a site; the tilt of a tilted sensor is left out."""
    from geoloc.pipeline.kernels.bodies import FISHEYE, RADIAL, UNKNOWN

    numbers = {Homography: UNKNOWN, Fisheye: FISHEYE}
    rig, arrays = rig_of(site), camera_arrays(site)
    params = np.zeros((len(site.cameras), 18))
    for i, camera in enumerate(site.cameras):
        params[i, : len(camera.lens.params)] = camera.lens.params
    model = np.array([numbers.get(rig.families[family], RADIAL) for family in rig.family], dtype=np.int64)
    return BodyArrays(model, params, rig.limit.copy(), arrays.rotation, arrays.centre, arrays.size)


class StallArrays(NamedTuple):
    """The directions of stalls in cells of L levels."""

    first: np.ndarray  # (L, 2) lowest cell, in cells from the origin
    shape: np.ndarray  # (L, 2) cells along x and y
    start: np.ndarray  # (L,) row of each level's lowest cell
    axis: np.ndarray  # (R,) rad, of a stall's long side; NaN where there is none
    cell: float  # m


@lru_cache(maxsize=16)
def stall_arrays(site_map: SiteMap, cell: float = 0.5) -> StallArrays:
    """The stalls of a map."""
    first, shape, axes = [], [], []
    for level in site_map.levels:
        stalls = [stall for stall in site_map.stalls if stall.level == level.name]
        x0, y0, x1, y1 = shapely.total_bounds([stall.polygon for stall in stalls]) if stalls else (0, 0, 0, 0)
        low = np.floor(np.array([x0, y0]) / cell).astype(np.int64)
        size = (np.ceil(np.array([x1, y1]) / cell).astype(np.int64) - low) * bool(stalls)
        x, y = (cell * (low[i] + 0.5 + np.arange(size[i])) for i in (0, 1))
        grid_x, grid_y = np.meshgrid(x, y)
        axis = np.full(grid_x.shape, np.nan)
        for stall in stalls:
            axis[shapely.contains_xy(stall.polygon, grid_x, grid_y)] = _long_side(stall.polygon)
        first.append(low)
        shape.append(size)
        axes.append(axis.ravel())
    start = np.cumsum([0, *(len(axis) for axis in axes[:-1])])
    return StallArrays(np.array(first), np.array(shape), start, np.concatenate(axes), cell)


def _long_side(polygon: shapely.Polygon) -> float:
    """Direction (rad) of the long side of the smallest rectangle around a polygon."""
    corners = shapely.get_coordinates(polygon.minimum_rotated_rectangle)
    sides = np.diff(corners[:3], axis=0)
    side = sides[np.argmax(np.linalg.norm(sides, axis=1))]
    return float(np.arctan2(side[1], side[0]))


def _cameras_first(matrices: np.ndarray) -> np.ndarray:
    """(a, b, C) -> (C, a, b)."""
    return np.ascontiguousarray(np.moveaxis(matrices, 2, 0))


class ViewArrays(NamedTuple):
    """See `scene.visibility.Visibility` and `kernels.sight`."""

    cell: float
    first: np.ndarray
    shape: np.ndarray
    offset: np.ndarray
    seen: np.ndarray
    depth: np.ndarray


@lru_cache(maxsize=16)
def view_arrays(visibility: Visibility) -> ViewArrays:
    """What cameras see."""
    parts = (visibility.first, visibility.shape, visibility.offset, visibility.seen, visibility.depth)
    return ViewArrays(float(visibility.cell), *(np.ascontiguousarray(part) for part in parts))


class WallArrays(NamedTuple):
    """The walls of a map: their straight pieces, level by level."""

    start: np.ndarray  # (L + 1,) the first piece of each level
    piece: np.ndarray  # (W, 4) m, x, y to x, y


NO_WALLS = WallArrays(np.zeros(1, dtype=np.int64), np.zeros((0, 4)))
LEAST_WALL = 2.0  # m; what is shorter, such as a pillar, is walked round


@lru_cache(maxsize=64)
def wall_arrays(site_map: SiteMap, levels: tuple[str, ...]) -> WallArrays:
    """The walls of each of the levels."""
    pieces = []
    for level in levels:
        walls = [o.geometry for o in site_map.occluders if o.level == level and o.geometry.length >= LEAST_WALL]
        lines = [part for wall in walls for part in shapely.get_parts(_lines_of(wall))]
        corners = [shapely.get_coordinates(line) for line in lines]
        pieces.append(np.concatenate([np.zeros((0, 4)), *(np.hstack([c[:-1], c[1:]]) for c in corners)]))
    return WallArrays(np.cumsum([0, *(len(part) for part in pieces)]), np.concatenate([np.zeros((0, 4)), *pieces]))


def _lines_of(geometry: shapely.Geometry) -> shapely.Geometry:
    return geometry.boundary if geometry.geom_type.endswith("Polygon") else geometry
