"""Where rays meet the levels of a map."""

from dataclasses import dataclass

import numpy as np

from geoloc.scene.sitemap import SiteMap, Surface

MIN_DROP = 1e-6  # a ray that falls less than this per metre never meets a level


@dataclass(frozen=True, eq=False)
class GroundHits:
    """First hits of N rays. Rays that meet no level have NaN coordinates and level -1."""

    xyz: np.ndarray  # (N, 3) m
    level: np.ndarray  # (N,) index into SiteMap.levels
    slope: np.ndarray  # (N, 2) dz/dx, dz/dy of the surface
    sigma_z: np.ndarray  # (N,) m
    distance: np.ndarray  # (N,) in lengths of the ray


def intersect_ground(site_map: SiteMap, origins: np.ndarray, rays: np.ndarray) -> GroundHits:
    """First surface whose polygon holds the hit, for rays (N, 3) from `origins` (N or 1, 3) m, world frame.

    A surface is met from above only: a camera does not see the floor over it from below as ground, but a
    ceiling does block: a ray that passes up through a level's surface is stopped there and has no hit.
    """
    surfaces = [(i, surface) for i, level in enumerate(site_map.levels) for surface in level.surfaces]
    if len(surfaces) == 1 and surfaces[0][1].polygon.is_empty:
        return _meet_endless(surfaces[0][1], origins, rays)
    n = len(rays)
    best, hit_by = np.full(n, np.inf), np.full(n, -1)
    for number, (_, surface) in enumerate(surfaces):
        above, fall = _approach(surface, origins, rays)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            distance = above / fall
            hit = (np.abs(fall) > MIN_DROP) & (distance > 0) & (distance < best)
        rows = np.flatnonzero(hit)
        at = np.broadcast_to(origins, rays.shape)[rows, :2] + distance[rows, None] * rays[rows, :2]
        rows = rows[surface.holds(at)]
        best[rows], hit_by[rows] = distance[rows], number
    planes = np.array([surface.plane for _, surface in surfaces])[hit_by]
    # going down against the plane's slope, or level with it, is meeting it from above
    from_above = planes[:, 0] * rays[:, 0] + planes[:, 1] * rays[:, 1] - rays[:, 2] > 0
    met = (hit_by >= 0) & from_above
    best[~met] = np.nan
    level = np.where(met, np.array([i for i, _ in surfaces])[hit_by], -1)
    sigma_z = np.array([surface.sigma_z for _, surface in surfaces])[hit_by]
    return GroundHits(_along(origins, rays, best), level, planes[:, :2], sigma_z, best)


def _meet_endless(surface: Surface, origins: np.ndarray, rays: np.ndarray) -> GroundHits:
    """As `intersect_ground`, where the whole map is one endless plane: the most common one by far."""
    above, fall = _approach(surface, origins, rays)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        distance = above / fall
        missed = ~((fall > MIN_DROP) & (distance > 0))
    distance[missed] = np.nan
    level = np.zeros(len(rays), dtype=np.intp)
    level[missed] = -1
    slope = np.broadcast_to(surface.plane[:2], (len(rays), 2))
    sigma_z = np.broadcast_to(surface.sigma_z, len(rays))
    return GroundHits(_along(origins, rays, distance), level, slope, sigma_z, distance)


def _approach(surface: Surface, origins: np.ndarray, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Height of the origins over the plane (N or 1,) m, and how much the rays fall towards it per metre."""
    a, b, c = surface.plane
    if a == 0.0 and b == 0.0:
        return origins[:, 2] - c, -rays[:, 2]
    fall = a * rays[:, 0] + b * rays[:, 1] - rays[:, 2]
    return origins[:, 2] - (a * origins[:, 0] + b * origins[:, 1] + c), fall


def _along(origins: np.ndarray, rays: np.ndarray, distance: np.ndarray) -> np.ndarray:
    xyz = rays * distance[:, None]
    xyz += origins
    return xyz
