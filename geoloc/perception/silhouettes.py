"""Bodies of a class on the ground, and the outlines that they have in a camera.

Every class is a solid on its footprint: what of it a mask shows tells where it stands, how it is turned and what it is.
"""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from geoloc.scene.camera import Camera
from geoloc.scene.site import Site

STOREY = 1.8  # m; a floor that is less above another is a piece of the same
SLAB = 0.15  # m, thickness of floors


@dataclass(frozen=True)
class Body:
    """A class's usual size in m, its shape, and how many headings are tried within half a turn.

    `shape` are slices of the body from below: height and share of the length and of the width there.
    """

    label: str
    length: float
    width: float
    height: float
    shape: tuple[tuple[float, float, float], ...]
    headings: int
    usual: float  # how likely such a body is, beside a person
    alone: float = 0.45  # share of its outline that must be seen by itself: small bodies hide in parts of large ones

    @cached_property
    def points(self) -> np.ndarray:
        """Points (P, 3) m about the middle of the footprint, x forward."""
        corners = np.array([(x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
        parts = [
            np.column_stack([corners * [long * self.length, wide * self.width], np.full(4, high * self.height)])
            for high, long, wide in self.shape
        ]
        return np.concatenate(parts)


PERSON_SHAPE = ((0.0, 0.7, 0.5), (0.5, 1.0, 1.0), (0.8, 1.0, 1.0), (1.0, 0.5, 0.4))
CAR_SHAPE = ((0.06, 0.94, 0.96), (0.3, 1.0, 1.0), (0.62, 0.97, 0.98), (0.98, 0.62, 0.84))
BODIES: dict[str, Body] = {
    "person": Body("person", 0.34, 0.5, 1.74, PERSON_SHAPE, 1, 1, 0.6),
    "bicycle": Body("bicycle", 1.75, 0.5, 1.75, ((0.0, 1.0, 0.3), (0.35, 1.0, 0.5), (1.0, 0.25, 0.7)), 4, 0.08, 0.7),
    "car": Body("car", 4.4, 1.8, 1.5, CAR_SHAPE, 8, 1),
    "van": Body("van", 5.3, 2.0, 2.3, ((0.05, 1, 1), (0.45, 1.0, 1.0), (1.0, 0.86, 0.95)), 8, 0.12),
    "truck": Body("truck", 8.0, 2.5, 3.2, ((0.05, 1, 1), (0.5, 1.0, 1.0), (1.0, 0.97, 1.0)), 8, 0.05),
}


@dataclass(frozen=True, eq=False)
class Ground:
    """The places of a site's ground that a camera sees: xyz (N, 3) m and the row of each one's level."""

    xyz: np.ndarray
    level: np.ndarray


def ground_seen(site: Site, camera: Camera, step: float, reach: float) -> Ground:
    """Places on a grid of `step` m, at most `reach` m from the camera, that no wall of the map hides."""
    centre = camera.centre_world
    row = site.camera_index[camera.name]
    parts, rows = [], []
    for number, level in enumerate(site.site_map.levels):
        x0, y0, x1, y1 = _bounds(level, centre, reach)
        x, y = np.arange(x0 + step / 2, x1, step), np.arange(y0 + step / 2, y1, step)
        xy = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        xy = xy[np.linalg.norm(xy - centre[:2], axis=1) <= reach]
        z = level.z_at(xy)
        there = np.isfinite(z) & (z < centre[2] - 0.3)
        xy, z = xy[there], z[there]
        if not len(xy):
            continue
        seen = site.visibility.seen_by(np.full(len(xy), number), xy)[:, row]
        parts.append(np.column_stack([xy, z])[seen])
        rows.append(np.full(int(seen.sum()), number))
    if not parts:
        return Ground(np.zeros((0, 3)), np.zeros(0, int))
    return Ground(np.concatenate(parts), np.concatenate(rows))


def clearance(site: Site, xyz: np.ndarray) -> np.ndarray:
    """Height (N,) m that is free over places (N, 3) m on a site's levels; infinite under the sky."""
    free = np.full(len(xyz), np.inf)
    for level in site.site_map.levels:
        for surface in level.surfaces:
            above = surface.z_at(xyz[:, :2]) - xyz[:, 2]
            over = surface.holds(xyz[:, :2]) & (above > STOREY)
            free[over] = np.minimum(free[over], above[over] - SLAB)
    return free


def _bounds(level, centre: np.ndarray, reach: float) -> tuple[float, float, float, float]:  # type: ignore[no-untyped-def]
    import shapely

    near = (centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach)
    outlines = [surface.polygon for surface in level.surfaces]
    if any(outline.is_empty for outline in outlines):
        return near
    own = shapely.total_bounds(outlines)
    return max(near[0], own[0]), max(near[1], own[1]), min(near[2], own[2]), min(near[3], own[3])


def place_points(body: Body, xyz: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Points (N, P, 3) m of bodies at places (N, 3) m with headings (N,) rad."""
    own = body.points[None]
    cos, sin = np.cos(heading)[:, None], np.sin(heading)[:, None]
    x = cos * own[..., 0] - sin * own[..., 1]
    y = sin * own[..., 0] + cos * own[..., 1]
    return np.stack([x, y, np.broadcast_to(own[..., 2], x.shape)], axis=-1) + xyz[:, None]


def outlines(camera: Camera, points: np.ndarray) -> np.ndarray:
    """Pixels (N, P, 2) of bodies' points (N, P, 3) m; NaN rows where a part is out of the lens's sight."""
    pixels = camera.project(points.reshape(-1, 3)).reshape(*points.shape[:2], 2)
    pixels[~np.isfinite(pixels).all(axis=(1, 2))] = np.nan
    return pixels


def draw_outline(pixels: np.ndarray, low: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The outline of pixels (P, 2) filled, in a window of (width, height) px from `low`: uint8 0 or 1."""
    mask = np.zeros(size[::-1], np.uint8)
    hull = cv2.convexHull(np.asarray(pixels - low, np.float32)).reshape(-1, 2)
    cv2.fillConvexPoly(mask, np.rint(hull * 16).astype(np.int32), 1, cv2.LINE_8, 4)
    return mask


def image_box(pixels: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Window x0, y0, x1, y1 of pixels (P, 2) in a picture of (width, height) px."""
    low = np.clip(np.floor(pixels.min(axis=0)), 0, size).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=0)) + 1, 0, size).astype(int)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])
