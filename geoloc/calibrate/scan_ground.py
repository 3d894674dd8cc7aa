"""Ground heights out of a registered scan: each level's surfaces as flat pieces, each with how well it is known."""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely import Polygon

from geoloc.calibrate.scan import ScanRegistration
from geoloc.errors import GeometryError
from geoloc.options import check_range
from geoloc.scene.sitemap import Level, SiteMap, Surface

SPOT = 0.5  # m; the ground is sampled by the medians of spots of this size
SPOT_LEAST = 3  # points of a spot
STOREY = 1.0  # m; levels nearer to each other than this meet, as on a ramp
ROUNDS = 12
SLAB = 0.1  # m; a floor over another is thicker than this: points deeper under it are its underside
ONE_PLANE = 0.95  # share of the spots that lie on the plane of a piece that is one


@dataclass(frozen=True)
class GroundOptions:
    """How fine the ground is cut."""

    reach: float = 0.5  # m; points farther from the map's own height than this are no ground of that level
    uneven: float = 0.02  # m; a piece that departs from its plane by more than this is cut in four
    least_side: float = 4.0  # m; a piece is not cut smaller
    least_spots: int = 12  # a piece with fewer keeps the map's height

    def __post_init__(self) -> None:
        check_range(self, reach=(0.02, 5), uneven=(1e-3, 1), least_side=(0.5, 1000), least_spots=(4, 10_000))


def ground_levels(
    points: np.ndarray, registration: ScanRegistration, site_map: SiteMap,
    options: GroundOptions = GroundOptions(),
) -> tuple[Level, ...]:  # fmt: skip
    """The map's levels with heights from a scan (N, 3) in its own frame, in the map's order.

    Where the scan has no ground (under a parked car, in a part that was missed) the map's own surface stays. `sigma_z`
    of a piece is what its ground departs from the plane, together with what the registration leaves. GeometryError if
    the scan has no ground at all.
    """
    world = registration.apply(points)
    levels = [
        replace(
            level,
            surfaces=tuple(
                piece
                for one in level.surfaces
                for piece in _pieces(world, registration, one, _is_suspended(one, level, site_map), options)
            ),
        )
        for level in site_map.levels
    ]
    if all(piece in site_map.levels[i].surfaces for i, level in enumerate(levels) for piece in level.surfaces):
        raise GeometryError(
            f"no ground within {options.reach} m of the map's levels in the scan; is it registered to this map?"
        )
    return tuple(levels)


def _is_suspended(surface: Surface, level: Level, site_map: SiteMap) -> bool:
    """Whether another level lies under a surface: a scan has its underside too."""
    for other in site_map.levels:
        for lower in other.surfaces if other.name != level.name else ():
            shared = surface.polygon.intersection(lower.polygon)
            if shared.area > 0:
                inside = np.array(shared.representative_point().coords)[:1, :2]
                if lower.z_at(inside)[0] < surface.z_at(inside)[0] - STOREY:
                    return True
    return False


def _pieces(
    world: np.ndarray, registration: ScanRegistration, surface: Surface, suspended: bool, options: GroundOptions
) -> list[Surface]:
    above = world[:, 2] - surface.z_at(world[:, :2])
    deepest = min(options.reach, SLAB + 2 * surface.sigma_z) if suspended else options.reach
    near = world[(above < options.reach) & (above > -deepest)]
    near = near[surface.holds(near[:, :2])]
    spots = _spots(near)
    if len(spots) < options.least_spots:
        return [surface]
    area = surface.polygon
    if area.is_empty:
        area = shapely.envelope(shapely.multipoints(spots[:, :2])).buffer(SPOT / 2, join_style="mitre")
    return _cut(spots, registration, replace(surface, polygon=area), options)


def _spots(points: np.ndarray) -> np.ndarray:
    """The median point (S, 3) of each spot that has some."""
    cell = np.floor(points[:, :2] / SPOT).astype(int)
    order = np.lexsort((points[:, 2], cell[:, 1], cell[:, 0]))
    points, cell = points[order], cell[order]
    starts = (
        np.flatnonzero(np.append(True, (np.diff(cell, axis=0) != 0).any(axis=1))) if len(points) else np.zeros(0, int)
    )
    ends = np.append(starts[1:], len(points))
    found = [np.median(points[i:j], axis=0) for i, j in zip(starts, ends, strict=True) if j - i >= SPOT_LEAST]
    return np.array(found).reshape(-1, 3)


def _cut(spots: np.ndarray, registration: ScanRegistration, surface: Surface, options: GroundOptions) -> list[Surface]:
    if len(spots) < options.least_spots:
        return [surface]
    plane, rms, kept = _plane(spots, surface)
    uneven = rms > options.uneven or kept < ONE_PLANE * len(spots)
    x0, y0, x1, y1 = surface.polygon.bounds
    if uneven and min(x1 - x0, y1 - y0) >= 2 * options.least_side:
        found = []
        for box in _quarters(surface.polygon):
            part = replace(surface, polygon=box)
            found += _cut(spots[part.holds(spots[:, :2])], registration, part, options)
        return found
    if kept < options.least_spots:
        return [surface]
    middle = np.append(spots[:, :2].mean(axis=0), spots[:, 2].mean())
    sigma = float(np.hypot(rms, np.sqrt(registration.point_cov(middle)[0, 2, 2])))
    return [Surface(plane, surface.polygon, sigma)]


def _quarters(polygon: Polygon) -> list[Polygon]:
    x0, y0, x1, y1 = polygon.bounds
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    boxes = [shapely.box(x0, y0, x, y), shapely.box(x, y0, x1, y), shapely.box(x0, y, x, y1), shapely.box(x, y, x1, y1)]
    parts = [part for box in boxes for part in shapely.get_parts(polygon.intersection(box))]
    return [part for part in parts if part.geom_type == "Polygon" and part.area > 1e-6]


def _plane(spots: np.ndarray, surface: Surface) -> tuple[tuple[float, float, float], float, int]:
    """Plane (a, b, c), rms (m) about it, and how many spots lie on it: what stands on the ground is shed first."""
    middle = spots[:, :2].mean(axis=0)
    rows = np.column_stack([spots[:, :2] - middle, np.ones(len(spots))])
    a, b, _ = surface.plane
    fit = np.array([a, b, float(np.median(spots[:, 2] - rows[:, :2] @ [a, b]))])
    for _ in range(ROUNDS):
        off = spots[:, 2] - rows @ fit
        spread = max(1.4826 * float(np.median(np.abs(off))), 0.005)
        # a car's underside is above the ground, nothing is below it
        keep = (off < 2.5 * spread) & (off > -4.0 * spread)
        fit = np.linalg.lstsq(rows[keep], spots[keep, 2], rcond=None)[0]
    off = (spots[:, 2] - rows @ fit)[keep]
    a, b, c = (float(value) for value in fit)
    return (a, b, c - a * float(middle[0]) - b * float(middle[1])), float(np.sqrt((off**2).mean())), int(keep.sum())
