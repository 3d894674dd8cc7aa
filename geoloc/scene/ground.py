"""Where rays meet the levels of a map."""

from dataclasses import dataclass

import numpy as np

from geoloc.scene.sitemap import SiteMap

MIN_DROP = 1e-6  # a ray that falls less than this per metre never meets a level


@dataclass(frozen=True, eq=False)
class GroundHits:
    """First hits of N rays. Rays that meet no level have NaN coordinates and level -1."""

    xyz: np.ndarray  # (N, 3) m
    level: np.ndarray  # (N,) index into SiteMap.levels
    slope: np.ndarray  # (N, 2) dz/dx, dz/dy of the surface
    sigma_z: np.ndarray  # (N,) m


def intersect_ground(site_map: SiteMap, origins: np.ndarray, rays: np.ndarray) -> GroundHits:
    """First surface whose polygon holds the hit, for rays (N, 3) from `origins` (N or 1, 3) m, world frame.

    A surface is met from above only: a camera does not see the floor over it from below as ground, but a
    ceiling does block: a ray that passes up through a level's surface is stopped there and has no hit.
    """
    n = len(rays)
    best = np.full(n, np.inf)
    level = np.full(n, -1)
    slope, sigma_z = np.zeros((n, 2)), np.zeros(n)
    blocked = np.zeros(n, dtype=bool)
    for index, site_level in enumerate(site_map.levels):
        for surface in site_level.surfaces:
            a, b, c = surface.plane
            fall = a * rays[:, 0] + b * rays[:, 1] - rays[:, 2]
            above = origins[:, 2] - (a * origins[:, 0] + b * origins[:, 1] + c)
            with np.errstate(divide="ignore", invalid="ignore"):
                distance = above / fall
                hit = (np.abs(fall) > MIN_DROP) & (distance > 0) & (distance < best)
            if not surface.polygon.is_empty:
                rows = np.flatnonzero(hit)
                at = (np.broadcast_to(origins, rays.shape)[rows] + distance[rows, None] * rays[rows])[:, :2]
                hit[rows] = surface.holds(at)
            best = np.where(hit, distance, best)
            level = np.where(hit, index, level)
            slope = np.where(hit[:, None], (a, b), slope)
            sigma_z = np.where(hit, surface.sigma_z, sigma_z)
            blocked = np.where(hit, fall < 0, blocked)
    missed = ~np.isfinite(best) | blocked
    with np.errstate(invalid="ignore"):
        xyz = np.where(missed[:, None], np.nan, origins + np.where(missed, 0.0, best)[:, None] * rays)
    return GroundHits(xyz, np.where(missed, -1, level), slope, sigma_z)
