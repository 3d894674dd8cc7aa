"""What a map page carries of map, cameras and markers: plain lists, rounded to a centimetre."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from shapely import Geometry

from geoloc.draw.layers import Markers, camera_levels, control_level
from geoloc.draw.page_keys import Keys
from geoloc.draw.words import one_line
from geoloc.scene.camera import Camera
from geoloc.scene.footprint import Footprint
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap

SIMPLIFY = 0.02  # m by which outlines of footprints may be off

Json = dict[str, Any]


def map_data(site_map: SiteMap) -> Json:
    """Levels with all that lies on them, kinds of zones, datum (null if there is none)."""
    datum = site_map.datum
    return {
        "levels": [_level_data(site_map, level) for level in site_map.levels],
        "kinds": sorted({zone.kind for zone in site_map.zones}),
        "datum": [datum.lat_deg, datum.lon_deg, datum.height] if datum is not None else None,
    }


def camera_data(site: Site, seen: Sequence[Footprint]) -> list[Json]:
    """Name, place, direction of view (rad from east; null: none), levels shown on, footprint a level."""
    shown, index = camera_levels(site, seen), site.site_map.level_index
    data = []
    for camera in site.cameras:
        views = {index[f.level]: _rings(f.area.simplify(SIMPLIFY)) for f in seen if f.camera == camera.name}
        spot, ahead = camera.anchor_xy, _ahead(camera)
        data.append({
            "name": camera.name, "xy": _numbers(spot), "ahead": ahead, "views": views,
            "known": not camera.is_homography, "levels": [index[level] for level in shown[camera.name]],
        })  # fmt: skip
    return data


def track_table(tracks: Sequence[Keys], start: float) -> list[list[Any]]:
    """Of each track its number, label, and first and last time (s after `start`)."""
    return [
        [keys.track, one_line(keys.label), *np.round(keys.time[[0, -1]] - start, 2).tolist()] for keys in tracks
    ]


def marker_data(markers: Markers, site_map: SiteMap, start: float) -> list[Json]:
    """Columns of each series; level -1 is every level, a time that is missing is null: always shown."""
    data = []
    for name in np.unique(markers.name).tolist():
        rows = np.flatnonzero(markers.name == name)
        levels = [site_map.level_index.get(level, -1) for level in markers.level[rows].tolist()]
        data.append({
            "name": name, "x": _numbers(markers.xy[rows, 0]), "y": _numbers(markers.xy[rows, 1]),
            "t": _numbers(markers.time[rows] - start), "level": levels,
        })  # fmt: skip
    return data


def _level_data(site_map: SiteMap, level: Level) -> Json:
    outlines = [surface.polygon for surface in level.surfaces]
    standing = [thing.geometry for thing in site_map.occluders if thing.level == level.name]
    return {
        "name": level.name,
        "everywhere": any(outline.is_empty for outline in outlines),
        "surfaces": [_rings(outline) for outline in outlines if not outline.is_empty],
        "stalls": [[stall.name, _rings(stall.polygon)] for stall in site_map.stalls if stall.level == level.name],
        "zones": [[z.name, z.kind, _rings(z.polygon)] for z in site_map.zones if z.level == level.name],
        "walls": [line for thing in standing if shapely.get_dimensions(thing) == 1 for line in _lines(thing)],
        "pillars": [_rings(thing) for thing in standing if shapely.get_dimensions(thing) == 2],
        "control": [
            [point.name, *_numbers(np.asarray(point.xyz))]
            for point in site_map.control_points
            if control_level(site_map, point) == level.name
        ],
    }


def _ahead(camera: Camera) -> float | None:
    if camera.is_homography:
        return None
    forward = camera.cam_from_world.rotation.as_matrix()[2]
    return round(float(np.arctan2(forward[1], forward[0])), 3) if np.hypot(*forward[:2]) > 0.2 else None


def _rings(area: Geometry) -> list[list[float]]:
    """All rings of a (multi)polygon, each [x, y, x, y, ...]; to be filled by the even-odd rule."""
    parts = [part for part in shapely.get_parts(area) if part.geom_type == "Polygon"]
    return [_numbers(shapely.get_coordinates(ring).ravel()) for ring in shapely.get_rings(parts)]


def _lines(thing: Geometry) -> list[list[float]]:
    return [_numbers(shapely.get_coordinates(part).ravel()) for part in shapely.get_parts(thing)]


def _numbers(values: np.ndarray, digits: int = 2) -> list[Any]:
    rounded = np.round(np.asarray(values, float), digits) + 0.0  # no -0.0
    return [value if np.isfinite(value) else None for value in rounded.tolist()]
