"""What hides what: walls, pillars and floors of the map, and objects in front of each other."""

import numpy as np
import shapely

from geoloc.scene.sitemap import SiteMap

SHRINK = np.array([0.12, 0.1, -0.12, 0.0])  # of width, height: silhouettes do not fill their boxes' corners
TOUCH = 1e-6  # of a sight line: what lies at its very end does not hide it


class Scenery:
    """The fixed things of a map that hide objects: upright faces and the pieces of its levels."""

    def __init__(self, site_map: SiteMap) -> None:
        self.surfaces = [surface for level in site_map.levels for surface in level.surfaces]
        faces = []
        for occluder in site_map.occluders:
            level = site_map.level(occluder.level)
            for line in _lines(occluder.geometry):
                xy = shapely.get_coordinates(line)
                z = level.z_at(xy)
                # where a wall stands beside its level its foot has the level's nearest height
                z = np.where(np.isfinite(z), z, np.nanmean(z) if np.isfinite(z).any() else 0.0)
                faces += [[*xy[i], *xy[i + 1], z[i], z[i + 1], occluder.height] for i in range(len(xy) - 1)]
        self.faces = np.array(faces, float).reshape(-1, 7)  # x, y of both ends, both feet's z, height; m

    def sees(self, centre: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Which points (N, 3) m are not hidden from `centre` (3,) m: (N,) bool."""
        clear = np.ones(len(points), dtype=bool)
        bearing = np.arctan2(points[:, 1] - centre[1], points[:, 0] - centre[0])
        order = np.argsort(bearing)
        bearing = bearing[order]
        for face in self.faces:
            for first, last in _bearings(centre, face):
                rows = order[np.searchsorted(bearing, first) : np.searchsorted(bearing, last, side="right")]
                clear[rows] &= ~_crosses_face(centre, points[rows], face)
        for surface in self.surfaces:
            a, b, c = surface.plane
            above = points[:, 2] - (points[:, :2] @ (a, b) + c)
            own = centre[2] - (centre[:2] @ (a, b) + c)
            rows = np.flatnonzero(clear & (above * own < 0))
            share = own / (own - above[rows])
            at = centre[:2] + share[:, None] * (points[rows, :2] - centre[:2])
            clear[rows] = ~surface.holds(at)
        return clear


def _lines(geometry: shapely.Geometry) -> list[shapely.Geometry]:
    parts = shapely.get_parts(geometry)
    return [part.exterior if part.geom_type == "Polygon" else part for part in parts]


def _bearings(centre: np.ndarray, face: np.ndarray) -> list[tuple[float, float]]:
    """The one or two ranges of bearings (rad, within ±pi) under which a face is seen."""
    first, last = sorted(np.arctan2(face[[1, 3]] - centre[1], face[[0, 2]] - centre[0]).tolist())
    return [(first, last)] if last - first <= np.pi else [(-np.pi, first), (last, np.pi)]


def _crosses_face(centre: np.ndarray, points: np.ndarray, face: np.ndarray) -> np.ndarray:
    """Which sight lines from `centre` (3,) to `points` (N, 3) pass through an upright face."""
    x0, y0, x1, y1, z0, z1, height = face
    sight_x, sight_y = points[:, 0] - centre[0], points[:, 1] - centre[1]
    wall_x, wall_y, gap_x, gap_y = x1 - x0, y1 - y0, x0 - centre[0], y0 - centre[1]
    across = sight_x * wall_y - sight_y * wall_x
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (gap_x * wall_y - gap_y * wall_x) / across  # along the sight line
        along = (gap_x * sight_y - gap_y * sight_x) / across  # along the wall
        over = centre[2] + share * (points[:, 2] - centre[2]) - (z0 + along * (z1 - z0))
        within = (along >= 0) & (along <= 1) & (over >= 0) & (over <= height)
        return within & (share > TOUCH) & (share < 1 - TOUCH)


def covered(frame: np.ndarray, box: np.ndarray, depth: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Which of the points (R, P, 2) px of each row lie behind a nearer row's box of its frame: (R, P) bool.

    `frame` (R,) is sorted; boxes (R, 4) px are shrunk, since bodies do not fill them; `depth` (R,) in m.
    """
    hidden = np.zeros(pixels.shape[:2], dtype=bool)
    size = np.tile(box[:, 2:] - box[:, :2], 2)
    solid = box + SHRINK * size
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    counts = np.diff(np.append(starts, len(frame)))
    n_others = np.repeat(counts, counts)
    far = np.repeat(np.arange(len(frame)), n_others)
    near = (
        np.arange(len(far))
        - np.repeat(np.cumsum(n_others) - n_others, n_others)
        + np.repeat(starts, counts)[far]
    )
    keep = (depth[near] < depth[far]) & (solid[near, 0] < box[far, 2]) & (solid[near, 2] > box[far, 0])
    keep &= (solid[near, 1] < box[far, 3]) & (solid[near, 3] > box[far, 1])
    near, far = near[keep], far[keep]
    behind = (pixels[far] >= solid[near, None, :2]).all(axis=2) & (pixels[far] <= solid[near, None, 2:]).all(
        axis=2
    )
    np.logical_or.at(hidden, far, behind)
    return hidden
