"""What a map page carries: map, cameras, tracks and markers as plain lists, rounded to a centimetre."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from shapely import Geometry

from geoloc.draw.layers import Markers, TrackPath, camera_levels, control_level
from geoloc.draw.words import one_line
from geoloc.geometry.gaussian import ellipse
from geoloc.scene.camera import Camera
from geoloc.scene.footprint import Footprint
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap
from geoloc.scene.tables import Tracks

STEPS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # s between the rows of a track that are kept
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


def track_data(
    tracks: Tracks,
    paths: Iterable[TrackPath],
    site_map: SiteMap,
    start: float,
    step: float,
    probability: float,
) -> list[Json]:
    """Columns of each track: t (s after `start`), x, y, velocity, half axes and angle of the ellipse.

    Level and state come as [first row, value] where they change. Missing numbers are null.
    """
    cov = tracks.position_cov
    good = np.isfinite(cov).all(axis=(1, 2))
    axes = np.column_stack(ellipse(np.where(good[:, None, None], cov, 0.0), probability))
    axes[~good] = np.nan
    levels = np.array([site_map.level_index[level] for level in tracks.level.tolist()], int)
    data = []
    for path in paths:
        rows = kept_rows(tracks, path, step)
        data.append({
            "id": path.track, "label": one_line(path.label), "t": _numbers(tracks.time[rows] - start),
            "x": _numbers(tracks.xy[rows, 0]), "y": _numbers(tracks.xy[rows, 1]),
            "vx": _numbers(tracks.velocity[rows, 0]), "vy": _numbers(tracks.velocity[rows, 1]),
            "a": _numbers(axes[rows, 0], 3), "b": _numbers(axes[rows, 1], 3),
            "angle": _numbers(axes[rows, 2]),
            "level": _changes(levels[rows]), "state": _changes(tracks.state[rows]), "life": _changes(tracks.life[rows]),
        })  # fmt: skip
    return data


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


def choose_step(tracks: Tracks, paths: Sequence[TrackPath], max_rows: int) -> float:
    """The shortest of STEPS (s) that leaves at most `max_rows` rows; the longest if none does."""
    for step in STEPS:
        if sum(len(kept_rows(tracks, path, step)) for path in paths) <= max_rows:
            return step
    return STEPS[-1]


def kept_rows(tracks: Tracks, path: TrackPath, step: float) -> np.ndarray:
    """Rows of a track about `step` s apart, and those where a run starts or ends or the state changes."""
    rows = np.arange(path.rows.start, path.rows.stop)
    if step <= 0:
        return rows
    whole = np.floor((tracks.time[rows] - tracks.time[rows[0]]) / step)
    state = tracks.state[rows]
    keep = np.concatenate([[True], (np.diff(whole) > 0) | (state[1:] != state[:-1])])
    for piece in path.pieces:
        keep[[piece.start - rows[0], piece.stop - 1 - rows[0]]] = True
    return rows[keep]


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


def _changes(values: np.ndarray) -> list[list[Any]]:
    first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return [[int(i), value] for i, value in zip(first, values[first].tolist(), strict=True)]
