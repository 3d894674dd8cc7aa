"""What pictures and pages show, made ready once: paths, points of other sources, where things lie."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import shapely
from shapely import Geometry, Polygon

from geoloc.errors import unknown_name
from geoloc.scene.columns import Column, Table
from geoloc.scene.footprint import Footprint
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, SiteMap
from geoloc.scene.tables import Tracks

JUMP_M = 3.0  # farther than a track could drive between two of its rows, from which on it jumped
MAIN_SHARE = 0.25  # a camera is shown on levels of which it sees this share of what it sees of any


class Markers(Table):
    """Points to show beside the tracks, such as GPS fixes or true positions; rows of one name are one series.

    >>> Markers(name=["GPS"], xy=[[3.0, 4.0]]).level[0]
    ''
    """

    name: np.ndarray
    time: np.ndarray
    level: np.ndarray
    xy: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "name": Column(str),
        "time": Column(float, unit="s"),  # NaN: always
        "level": Column(str),  # "": on every level
        "xy": Column(float, (2,), "m"),
    }


@dataclass(frozen=True, eq=False)
class TrackPath:
    """One track: its rows (in a `drawable` table) in order of time, and the runs of them to join by lines."""

    track: int
    label: str
    rows: slice
    pieces: tuple[slice, ...]


def drawable(tracks: Tracks, site_map: SiteMap) -> Tracks:
    """Rows with a finite time and position, by track and time; a level that the map lacks is refused."""
    for level in np.unique(tracks.level).tolist():
        if level not in site_map.level_index:
            raise unknown_name("level", level, site_map.level_index, "a track")
    rows = np.flatnonzero(np.isfinite(tracks.time) & np.isfinite(tracks.xy).all(axis=1))
    return tracks.take(rows[np.lexsort((tracks.time[rows], tracks.track[rows]))])


def as_far_as_seen(tracks: Tracks) -> Tracks:
    """A `drawable` table without what follows the last sight of each track: nobody came to confirm it."""
    seen = tracks.state != "coasting"
    later = np.cumsum(seen[::-1])[::-1]  # rows seen from here on, over all tracks
    last = np.flatnonzero(np.diff(tracks.track, append=tracks.track[-1:] + 1) != 0)
    after = np.append(later, 0)[np.repeat(last + 1, np.diff(last, prepend=-1))]
    return tracks.take(later > after)


def drawable_markers(markers: Markers, site_map: SiteMap) -> Markers:
    """Rows with a finite position; a level that the map lacks is refused."""
    for level in np.unique(markers.level).tolist():
        if level and level not in site_map.level_index:
            raise unknown_name("level", level, site_map.level_index, "a marker")
    return markers.take(np.isfinite(markers.xy).all(axis=1))


def track_paths(tracks: Tracks, gap_s: float) -> tuple[TrackPath, ...]:
    """The tracks of a `drawable` table; lines break where the level changes, `gap_s` s are missing, or one jumps."""
    if not len(tracks):
        return ()
    other = np.diff(tracks.track) != 0
    broken = other | (tracks.level[1:] != tracks.level[:-1]) | (np.diff(tracks.time) > gap_s) | _jumps(tracks)
    pieces = _runs(broken)
    found = []
    for rows in _runs(other):
        inside = tuple(piece for piece in pieces if rows.start <= piece.start < rows.stop)
        labels = [label for label in tracks.label[rows].tolist() if label]
        label = labels[-1] if labels else ""
        found.append(TrackPath(int(tracks.track[rows.start]), label, rows, inside))
    return tuple(found)


def _jumps(tracks: Tracks) -> np.ndarray:
    """Where a track (N - 1,) goes on elsewhere than it drove to: it was lost, and found again there."""
    speed = np.hypot(*tracks.velocity.T)
    could = JUMP_M + 2.0 * np.maximum(speed[1:], speed[:-1]) * np.diff(tracks.time)
    return np.hypot(*np.diff(tracks.xy, axis=0).T) > could  # False where no velocity is known


def camera_levels(site: Site, seen: Iterable[Footprint]) -> dict[str, tuple[str, ...]]:
    """Levels on which each camera is shown: those that it mainly sees; the nearest below if it sees none."""
    levels: dict[str, list[str]] = {camera.name: [] for camera in site.cameras}
    seen = tuple(seen)
    most = {name: max((f.area.area for f in seen if f.camera == name), default=0.0) for name in levels}
    for footprint in seen:
        if footprint.area.area >= MAIN_SHARE * most[footprint.camera]:
            levels[footprint.camera].append(footprint.level)
    for camera in site.cameras:
        if not levels[camera.name]:
            known = camera.is_homography
            levels[camera.name] = [
                camera.homography_level if known else _level_under(site.site_map, camera.centre_world)
            ]
    return {name: tuple(names) for name, names in levels.items()}


def control_level(site_map: SiteMap, point: ControlPoint) -> str:
    """The level whose surface, continued beyond its outline, is nearest in height to a control point."""
    xyz = np.asarray(point.xyz)
    away = [abs(float(level.z_extended(xyz[None, :2])[0]) - xyz[2]) for level in site_map.levels]
    return site_map.levels[int(np.argmin(away))].name


def bounds(geometries: Iterable[Geometry]) -> np.ndarray:
    """x0, y0, x1, y1 (4,) m around all of them; NaN if there are none."""
    boxes = shapely.bounds(np.array([*geometries, Polygon()], dtype=object))
    return np.concatenate([np.fmin.reduce(boxes[:, :2]), np.fmax.reduce(boxes[:, 2:])])


def _runs(broken: np.ndarray) -> list[slice]:
    cuts = [0, *(np.flatnonzero(broken) + 1).tolist(), len(broken) + 1]
    return [slice(a, b) for a, b in pairwise(cuts)]


def _level_under(site_map: SiteMap, xyz: np.ndarray) -> str:
    drop = np.array([xyz[2] - float(level.z_at(xyz[:2])[0]) for level in site_map.levels])
    drop = np.where(drop >= 0, drop, np.inf)
    return site_map.levels[int(np.argmin(drop))].name
