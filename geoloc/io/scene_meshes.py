"""A site's shape in metres: levels and stalls as triangles, cameras as frusta, landmarks and tracks."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely import Polygon

from geoloc.io.track_geojson import heights
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level

DEPTH = 1.5  # m; how long the frustum of a camera is drawn
MARGIN = 10.0  # m around what is known, for a level without an outline
OVER = 0.01  # m that a stall is drawn over its level, so that both are seen
COLOURS = {"level": (190, 190, 190), "stall": (90, 140, 200), "camera": (220, 60, 40), "landmark": (40, 40, 40)}
COLOURS["track"] = (30, 150, 60)


@dataclass(frozen=True, eq=False)
class Part:
    """One thing: `xyz` (N, 3) m in the site's frame, and `cells` (M, k) of them: k = 3 triangles, 2 lines, 1 points."""

    name: str
    kind: str
    xyz: np.ndarray
    cells: np.ndarray


def scene_parts(recording: Recording) -> list[Part]:
    """Levels, stalls, cameras, landmarks and tracks of a recording, in that order; empty ones are left out."""
    site = recording.site
    around = _around(recording)
    parts = [_level(level, around) for level in site.site_map.levels]
    for stall in site.site_map.stalls:
        part = _flat(stall.name, "stall", stall.polygon, site.site_map.level(stall.level).z_extended)
        parts.append(replace(part, xyz=part.xyz + np.array([0.0, 0.0, OVER])))
    parts += [_frustum(camera) for camera in site.cameras if not camera.is_homography]
    n = len(recording.landmarks)
    parts.append(Part("landmarks", "landmark", recording.landmarks, np.arange(n)[:, None]))
    for tracks in recording.pieces:
        z = heights(tracks, site.site_map)
        for rows in each_track(tracks):
            steps = np.arange(len(rows))
            xyz = np.column_stack([tracks.xy[rows], z[rows]])
            parts.append(
                Part(f"track {tracks.track[rows[0]]}", "track", xyz, np.column_stack([steps[:-1], steps[1:]]))
            )
    return [part for part in parts if len(part.cells)]


def _level(level: Level, around: Polygon) -> Part:
    pieces = [
        _flat(level.name, "level", around if s.polygon.is_empty else s.polygon, s.z_at) for s in level.surfaces
    ]
    starts = np.cumsum([0, *(len(piece.xyz) for piece in pieces)])
    cells = [piece.cells + start for piece, start in zip(pieces, starts[:-1], strict=True)]
    return Part(level.name, "level", np.concatenate([piece.xyz for piece in pieces]), np.concatenate(cells))


def _flat(name: str, kind: str, area: Polygon, z_at: Callable[[np.ndarray], np.ndarray]) -> Part:
    """An outline filled with triangles, its holes left open."""
    triangles = shapely.get_parts(shapely.constrained_delaunay_triangles(area))
    corners = np.array([shapely.get_coordinates(triangle)[:3] for triangle in triangles]).reshape(-1, 2)
    x, y = corners.reshape(-1, 3, 2).transpose(2, 0, 1)
    left = (x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0]) > 0
    cells = np.arange(len(corners)).reshape(-1, 3)
    cells = np.where(left[:, None], cells, cells[:, ::-1])  # seen from above
    return Part(name, kind, np.column_stack([corners, z_at(corners)]), cells)


def _frustum(camera: Camera) -> Part:
    """Lines from the camera's centre through the corners of its image, `DEPTH` m long, and around them."""
    width, height = camera.size
    corners = np.array([[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]])
    rays = camera.lens.unproject(corners)
    rays = DEPTH * rays / np.linalg.norm(rays, axis=1, keepdims=True)
    xyz = camera.cam_from_world.inv().apply(np.concatenate([np.zeros((1, 3)), rays]))
    return Part(
        camera.name, "camera", xyz, np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])
    )


def _around(recording: Recording) -> Polygon:
    """A rectangle around all that has a place, for levels that go on everywhere."""
    site: Site = recording.site
    places = [camera.anchor_xy for camera in site.cameras]
    places += [np.array(point.xyz[:2]) for point in site.site_map.control_points]
    places += [corner for stall in site.site_map.stalls for corner in shapely.get_coordinates(stall.polygon)]
    places += [xy for tracks in recording.pieces for xy in (tracks.xy.min(axis=0), tracks.xy.max(axis=0))]
    xy = np.concatenate([np.array(places).reshape(-1, 2), recording.landmarks[:, :2]])
    xy = xy[np.isfinite(xy).all(axis=1)]
    low, high = (xy.min(axis=0), xy.max(axis=0)) if len(xy) else (np.zeros(2), np.zeros(2))
    return shapely.box(*(low - MARGIN), *(high + MARGIN))
