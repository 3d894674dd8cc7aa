"""Landmarks that have a name: a site's control points, the corners of its painted stalls, and of its pillars."""

from dataclasses import dataclass

import numpy as np
import shapely

from geoloc.options import check_range
from geoloc.scene.sitemap import ControlPoint, Occluder, SiteMap


@dataclass(frozen=True)
class NamedOptions:
    """How well what is drawn on a map is known."""

    paint_sigma: float = 0.05  # m; of a stall's corner on each axis of the ground
    solid_sigma: float = 0.05  # m; of a pillar's or wall's corner, and of its height

    def __post_init__(self) -> None:
        check_range(self, paint_sigma=(1e-6, 100.0), solid_sigma=(1e-6, 100.0))


def named_landmarks(site_map: SiteMap, options: NamedOptions | None = None) -> tuple[ControlPoint, ...]:
    """Everything on the map that a person can point at by name.

    Control points have their own name. The corners of stall "A7" are "A7/1", "A7/2", ... in the order of its outline;
    those of pillar or wall "P3" are "P3/1", ... on its level and "P3/1/top", ... at its height. Where two things would
    have one name, the control point has it, then the stall.
    """
    options = options or NamedOptions()
    found = {point.name: point for point in site_map.control_points}
    for stall in site_map.stalls:
        corners = _corners(stall.polygon)
        for name, xyz, sigma in _on_level(site_map, stall.level, stall.name, corners, options.paint_sigma):
            found.setdefault(name, ControlPoint(name, xyz, sigma))
    for solid in site_map.occluders:
        _add_solid(found, site_map, solid, options.solid_sigma)
    return tuple(found.values())


def _add_solid(found: dict[str, ControlPoint], site_map: SiteMap, solid: Occluder, sigma: float) -> None:
    for name, (x, y, z), (_, _, low) in _on_level(site_map, solid.level, solid.name, _corners(solid.geometry), sigma):
        found.setdefault(name, ControlPoint(name, (x, y, z), (sigma, sigma, low)))
        top, high = f"{name}/top", float(np.hypot(low, sigma))
        found.setdefault(top, ControlPoint(top, (x, y, z + solid.height), (sigma, sigma, high)))


Rows = list[tuple[str, tuple[float, float, float], tuple[float, float, float]]]


def _on_level(site_map: SiteMap, level: str, name: str, corners: np.ndarray, sigma: float) -> Rows:
    """Name, place and sigma of each corner (N, 2) m on a level."""
    ground = site_map.level(level)
    heights = ground.z_extended(corners)
    rows: Rows = []
    for number, (xy, z) in enumerate(zip(corners, heights.tolist(), strict=True), start=1):
        up = max(ground.under(xy).sigma_z, 1e-3)  # painted on the ground, whose height the map knows to this
        rows.append((f"{name}/{number}", (float(xy[0]), float(xy[1]), z), (sigma, sigma, up)))
    return rows


def _corners(geometry: shapely.Geometry) -> np.ndarray:
    """The corners (N, 2) m of a line's or polygon's parts, in their order; of a closed ring each once."""
    parts = []
    for part in shapely.get_parts(geometry):
        ring = part.exterior if part.geom_type == "Polygon" else part
        xy = np.asarray(shapely.get_coordinates(ring))
        parts.append(xy[:-1] if len(xy) > 1 and (xy[0] == xy[-1]).all() else xy)
    return np.concatenate(parts)
