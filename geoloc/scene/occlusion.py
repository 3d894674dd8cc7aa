"""What stands between a camera and points of the site: floors, walls, pillars, a mesh."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.scene.sitemap import SiteMap

MOUNT = 0.3  # m in plan; what is nearer to a camera than this carries it rather than blocks it
Blocker = Callable[[np.ndarray, np.ndarray], np.ndarray]  # centre (3,), targets (N, 3) m -> (N,) bool


@dataclass(frozen=True, eq=False)
class Occlusion:
    """The opaque things of a map, ready to be asked about many lines of sight."""

    site_map: SiteMap

    def __call__(self, centre: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Which lines from `centre` (3,) to `targets` (N, 3) m a floor, wall or pillar blocks: (N,) bool."""
        blocked = self._by_floors(centre, targets)
        rows = np.flatnonzero(~blocked)
        blocked[rows] = self._by_edges(centre, targets[rows])
        return blocked

    def _by_floors(self, centre: np.ndarray, targets: np.ndarray) -> np.ndarray:
        blocked = np.zeros(len(targets), dtype=bool)
        for level in self.site_map.levels:
            for surface in level.surfaces:
                over = float(centre[2] - surface.z_at(centre[:2]))
                target_over = targets[:, 2] - surface.z_at(targets[:, :2])
                rows = np.flatnonzero(((target_over < 0) if over > 0 else (target_over > 0)) & ~blocked)
                if len(rows):
                    along = over / (over - target_over[rows])
                    crossing = centre[:2] + along[:, None] * (targets[rows, :2] - centre[:2])
                    blocked[rows] = surface.holds(crossing)
        return blocked

    def _by_edges(self, centre: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Walls and outlines of pillars: only the lines within an edge's azimuths are tried against it."""
        blocked = np.zeros(len(targets), dtype=bool)
        edges = self._edges_for(centre, targets)
        if not len(edges):
            return blocked
        offset = targets - centre
        azimuth = np.arctan2(offset[:, 1], offset[:, 0])
        order = np.argsort(azimuth)
        azimuth = np.concatenate([azimuth[order], azimuth[order] + 2 * np.pi])  # twice round: no seam
        order = np.concatenate([order, order])
        start = np.arctan2(edges[:, 1], edges[:, 0])
        turn = (np.arctan2(edges[:, 4], edges[:, 3]) - start + np.pi) % (2 * np.pi) - np.pi
        low = np.minimum(start, start + turn)
        low = np.where(low < -np.pi, low + 2 * np.pi, low)
        first = np.searchsorted(azimuth, low)
        last = np.searchsorted(azimuth, low + np.abs(turn), side="right")
        for edge, i, j in zip(edges, first.tolist(), last.tolist(), strict=True):
            rows = order[i:j]
            blocked[rows] |= _crosses(edge, offset[rows])
        return blocked

    def _edges_for(self, centre: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Edges seen from `centre`: (E, 7) of both ends (x, y, z of its foot) relative to it, and height."""
        edges, owner = self._edges
        if not len(edges) or not len(targets):
            return np.zeros((0, 7))
        within = shapely.intersects_xy(self._solids, centre[0], centre[1])  # a camera in its own pillar
        edges = edges[~within[owner]]
        edges = edges - np.concatenate([centre, centre, [0.0]])
        reach = np.linalg.norm(targets[:, :2] - centre[:2], axis=1).max()
        near = _distance_to_origin(edges[:, 0:2], edges[:, 3:5]) < reach
        heights = (0.0, float((targets[:, 2] - centre[2]).min()), float((targets[:, 2] - centre[2]).max()))
        overlap = (np.minimum(edges[:, 2], edges[:, 5]) < max(heights)) & (
            np.maximum(edges[:, 2], edges[:, 5]) + edges[:, 6] > min(heights)
        )
        return edges[near & overlap]

    @cached_property
    def _solids(self) -> np.ndarray:
        return np.array([occluder.geometry for occluder in self.site_map.occluders], dtype=object)

    @cached_property
    def _edges(self) -> tuple[np.ndarray, np.ndarray]:
        """All edges (E, 7): x, y, z of both ends on their level and the height; and their occluder (E,)."""
        found, owner = [np.zeros((0, 7))], []
        for i, occluder in enumerate(self.site_map.occluders):
            level = self.site_map.level(occluder.level)
            for line in shapely.get_parts(_outlines(occluder.geometry)):
                xy = shapely.get_coordinates(line)
                ends = np.column_stack([xy, level.z_extended(xy)])
                found.append(np.column_stack([ends[:-1], ends[1:], np.full(len(xy) - 1, occluder.height)]))
                owner.extend([i] * (len(xy) - 1))
        return np.concatenate(found), np.array(owner, dtype=np.intp)


def mesh_blocker(path: str | Path) -> Blocker:
    """A triangle mesh in the site's world frame (m) that blocks the view, through open3d's ray casting."""
    try:
        open3d = import_module("open3d")
    except (ImportError, OSError) as error:
        raise InputError(
            f"a mesh that blocks the view needs open3d ({error}); pip install 'geoloc[mesh]' and, on Debian, "
            "apt install libegl1 libusb-1.0-0"
        ) from error
    if not Path(path).is_file():
        raise InputError(f"mesh {path}: there is no such file")
    mesh = open3d.t.io.read_triangle_mesh(str(path))
    if mesh.is_empty():  # without vertices or without triangles
        raise InputError(f"mesh {path}: no triangles in it; give a PLY, OBJ, STL, OFF or glTF file in metres")
    scene = open3d.t.geometry.RaycastingScene()
    scene.add_triangles(mesh)

    def blocked(centre: np.ndarray, targets: np.ndarray) -> np.ndarray:
        offset = targets - centre
        distance = np.maximum(np.linalg.norm(offset, axis=1, keepdims=True), 1e-9)
        # from the mount's edge to just before the target, as one unit of each ray
        start = np.minimum(MOUNT / distance, 1.0)
        rays = np.hstack([centre + start * offset, (1.0 - start) * offset]).astype(np.float32)
        return scene.test_occlusions(open3d.core.Tensor(rays), tnear=0.0, tfar=0.999).numpy().astype(bool)

    return blocked


def _outlines(geometry: shapely.Geometry) -> shapely.Geometry:
    return geometry.boundary if geometry.geom_type.endswith("Polygon") else geometry


def _crosses(edge: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Which lines from the origin to `offset` (N, 3) pass through the upright panel over `edge` (7,)."""
    along_edge = edge[3:5] - edge[0:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        slant = offset[:, 0] * along_edge[1] - offset[:, 1] * along_edge[0]
        t = (edge[0] * along_edge[1] - edge[1] * along_edge[0]) / slant
        at = t[:, None] * offset
        u = (at[:, :2] - edge[0:2]) @ along_edge / (along_edge @ along_edge)
        foot = edge[2] + u * (edge[5] - edge[2])
        far = t * np.hypot(offset[:, 0], offset[:, 1]) > MOUNT
        return far & (t < 1.0) & (at[:, 2] >= foot) & (at[:, 2] <= foot + edge[6])


def _distance_to_origin(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    length2 = np.maximum((along**2).sum(axis=1), 1e-18)
    u = np.clip(-(start * along).sum(axis=1) / length2, 0.0, 1.0)
    return np.linalg.norm(start + u[:, None] * along, axis=1)
