"""Points picked in a scan by clicking: the surface under the click, with what the local scatter leaves open."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from geoloc.calibrate.scan import ScanRegistration
from geoloc.errors import GeometryError, InputError
from geoloc.scene.sitemap import ControlPoint

LEAST_NEAR = 6  # points that make a surface
THIN = 1e-6  # m², of the variance along which neighbours are no surface


@dataclass(frozen=True, eq=False)
class Pick:
    """A picked point (3,) of the scan in its own frame, with covariance (3, 3) m²."""

    xyz: np.ndarray
    cov: np.ndarray


def pick_along_ray(points: np.ndarray, origin: np.ndarray, ray: np.ndarray, radius: float = 0.1) -> Pick:
    """The first surface of a scan (N, 3) that a ray from `origin` meets: a click into a view of the scan.

    Points within `radius` (m) of the ray count; where they lie along it, the first group of 6 is the surface.
    GeometryError if there is none.
    """
    points, origin = np.asarray(points, float), np.asarray(origin, float)
    length = float(np.linalg.norm(ray))
    if not (np.isfinite(length) and length > 0 and radius > 0):
        raise InputError(f"pick: ray {ray}, radius {radius}; give a direction and a positive radius")
    ray = np.asarray(ray, float) / length
    along = (points - origin) @ ray
    aside = np.linalg.norm(points - origin - along[:, None] * ray, axis=1)
    rows = np.flatnonzero((along > 0) & (aside < radius))
    rows = rows[np.argsort(along[rows])]
    depth = along[rows]
    ends = np.searchsorted(depth, depth + 4 * radius)
    enough = np.flatnonzero(ends - np.arange(len(rows)) >= LEAST_NEAR)
    if not len(enough):
        raise GeometryError(f"no surface within {radius} m of the ray ({len(rows)} points); click on a denser place")
    near = points[rows[enough[0] : ends[enough[0]]]]
    middle, normal, sigma = _surface(near)
    fall = float(ray @ normal)
    steep = abs(fall) > 0.1
    # along a grazing ray the surface does not say where: the middle of the points near it does
    xyz = origin + ray * float((middle - origin) @ normal / fall) if steep else middle
    return Pick(xyz, _cov(near, normal, sigma, radius if not steep else 0.0))


def pick_at(points: np.ndarray, xy: tuple[float, float], near_z: float, radius: float = 0.15) -> Pick:
    """The scan's surface at a place clicked in plan, of all heights that nearest to `near_z` m (z up)."""
    points = np.asarray(points, float)
    column = points[np.linalg.norm(points[:, :2] - xy, axis=1) < radius]
    if len(column) < LEAST_NEAR:
        raise GeometryError(f"{len(column)} points of the scan within {radius} m of {xy}; click on a denser place")
    z = float(column[np.argmin(np.abs(column[:, 2] - near_z)), 2])
    near = column[np.abs(column[:, 2] - z) < radius]
    if len(near) < LEAST_NEAR:
        raise GeometryError(f"{len(near)} points of the scan near {xy} at z = {z:.2f}; click on a denser place")
    middle, normal, sigma = _surface(near)
    if abs(normal[2]) < 0.3:
        raise GeometryError(f"the scan is a wall at {xy}: its height is open; pick along a ray instead")
    height = float(middle[2] - normal[:2] @ (np.asarray(xy) - middle[:2]) / normal[2])
    return Pick(np.array([*xy, height]), _cov(near, normal, sigma, 0.0))


def pick_near(points: np.ndarray, xyz: np.ndarray, radius: float = 0.15) -> Pick:
    """The scan's surface at a point (3,) that was clicked in it, in the scan's frame; `radius` in its unit."""
    points, xyz = np.asarray(points, float), np.asarray(xyz, float)
    near = points[np.linalg.norm(points - xyz, axis=1) < radius]
    if len(near) < LEAST_NEAR:
        at = ", ".join(f"{value:.2f}" for value in xyz)
        raise GeometryError(f"{len(near)} points of the scan within {radius:.2g} of ({at}); click on a denser place")
    middle, normal, sigma = _surface(near)
    return Pick(xyz - normal * float(normal @ (xyz - middle)), _cov(near, normal, sigma, 0.0))


def control_point(name: str, pick: Pick, registration: ScanRegistration) -> ControlPoint:
    """A pick as a control point of the map, its sigma that of the pick and of the registration together."""
    world = registration.apply(pick.xyz)[0]
    turn = registration.scale * registration.world_from_scan.rotation.as_matrix()
    cov = turn @ pick.cov @ turn.T + registration.point_cov(world)[0]
    sx, sy, sz = (float(value) for value in np.sqrt(np.diag(cov)))
    return ControlPoint(name, (float(world[0]), float(world[1]), float(world[2])), (sx, sy, sz))


def _surface(near: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle (3,), normal (3,) and scatter (m) along it of points on one surface."""
    middle = near.mean(axis=0)
    values, vectors = np.linalg.eigh((near - middle).T @ (near - middle) / (len(near) - 3))
    return middle, vectors[:, 0], float(np.sqrt(max(values[0], THIN)))


def _cov(near: np.ndarray, normal: np.ndarray, sigma: float, along: float) -> np.ndarray:
    """Along the normal the surface's own uncertainty; in the surface a click hits as well as points are apart."""
    spacing = float(np.median(cKDTree(near).query(near, k=2)[0][:, 1]))
    across = np.eye(3) - np.outer(normal, normal)
    # three parameters of a plane, known worst at the edge of its points: about 3 / n of the variance
    return np.outer(normal, normal) * sigma**2 * 3.0 / len(near) + across * (spacing**2 + along**2)
