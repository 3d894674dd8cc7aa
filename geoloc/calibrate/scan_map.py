"""The map that a registered scan gives: its ground, what stands on it that the map lacked, and what changed."""

from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from scipy.spatial import cKDTree

from geoloc.calibrate.scan import ScanOptions, ScanRegistration
from geoloc.calibrate.scan_ground import GroundOptions, ground_levels
from geoloc.calibrate.scan_solids import SolidOptions, find_occluders
from geoloc.scene.sitemap import Level, Occluder, SiteMap

SPOTS = 1.0  # m between the places at which two grounds are compared
NEAR = 0.2  # m; points this near to a level's new height are its ground
KNOWN = 0.5  # m; what stands this near to an occluder of the map is that occluder


@dataclass(frozen=True)
class ScanMapOptions:
    """How a scan becomes a map."""

    registration: ScanOptions = field(default_factory=ScanOptions)
    ground: GroundOptions = field(default_factory=GroundOptions)
    solids: SolidOptions = field(default_factory=SolidOptions)


@dataclass(frozen=True, eq=False)
class GroundUpdate:
    """What a scan says of one level: at `xy` (M, 2) m its ground lies `rise` (M,) m over the map's; NaN: not scanned.

    `sigma` (m) is the median of the new pieces' sigma_z, NaN without any.
    """

    level: str
    n_pieces: int
    xy: np.ndarray
    rise: np.ndarray
    sigma: float

    @property
    def scanned(self) -> float:
        """Share of the level that the scan has ground of."""
        return float(np.isfinite(self.rise).mean()) if len(self.rise) else 0.0

    @property
    def words(self) -> str:
        """One line in centimetres."""
        rise = 100 * self.rise[np.isfinite(self.rise)]
        if not len(rise):
            return f"level {self.level}: the scan has no ground of it; the map's heights stay"
        worst = rise[np.argmax(np.abs(rise))]
        return (
            f"level {self.level}: {self.scanned:.0%} of its ground scanned, {self.n_pieces} flat pieces; it lies "
            f"{np.median(rise):+.1f} cm from the map's (median), {worst:+.1f} cm at most; "
            f"sigma {100 * self.sigma:.1f} cm"
        )


@dataclass(frozen=True, eq=False)
class ScannedMap:
    """`site_map` with the scan's ground and occluders; `new` are the occluders that it lacked."""

    site_map: SiteMap
    ground: tuple[GroundUpdate, ...]
    new: tuple[Occluder, ...]


def map_from_scan(
    points: np.ndarray,
    registration: ScanRegistration,
    site_map: SiteMap,
    options: ScanMapOptions = ScanMapOptions(),
) -> ScannedMap:
    """The map with ground heights from a scan (N, 3) in its own frame, and occluders where it had none.

    Stalls, zones, control points and the map's own occluders stay. GeometryError if the scan has no ground.
    """
    levels = ground_levels(points, registration, site_map, options.ground)
    grounded = replace(site_map, levels=levels)
    world = registration.apply(points)
    found = find_occluders(world, grounded, options.solids)
    new = beyond_map(found, site_map, options.solids.cell)
    ground = tuple(_update(old, now, world) for old, now in zip(site_map.levels, levels, strict=True))
    return ScannedMap(replace(grounded, occluders=(*site_map.occluders, *new)), ground, new)


def beyond_map(found: tuple[Occluder, ...], site_map: SiteMap, cell: float) -> tuple[Occluder, ...]:
    """The parts of occluders that stand farther than 0.5 m from all of the map's own on their level.

    Parts of less than two cells (`cell` m) are the edges of what the map has.
    """
    kept: list[Occluder] = []
    for level in site_map.levels:
        own = [thing.geometry for thing in site_map.occluders if thing.level == level.name]
        known = shapely.union_all(own).buffer(KNOWN)
        for thing in found:
            if thing.level != level.name:
                continue
            rest = thing.geometry.difference(known)
            parts = [part for part in shapely.get_parts(rest) if part.geom_type == "Polygon"]
            large = [part for part in parts if part.area >= 2 * cell**2]
            kept += [
                Occluder(f"scan {level.name} {len(kept) + i}", level.name, p, thing.height)
                for i, p in enumerate(large, 1)
            ]
    return tuple(kept)


def _update(old: Level, new: Level, world: np.ndarray) -> GroundUpdate:
    fresh = [piece for piece in new.surfaces if piece not in old.surfaces]
    scanned = Level(new.name, tuple(fresh)) if fresh else None
    outline = shapely.union_all([surface.polygon for surface in (*old.surfaces, *fresh)])
    if outline.is_empty:
        return GroundUpdate(old.name, 0, np.zeros((0, 2)), np.zeros(0), np.nan)
    x0, y0, x1, y1 = outline.bounds
    x, y = np.meshgrid(np.arange(x0, x1, SPOTS) + SPOTS / 2, np.arange(y0, y1, SPOTS) + SPOTS / 2)
    xy = np.column_stack([x.ravel(), y.ravel()])
    before = old.z_at(xy)
    xy, before = xy[np.isfinite(before)], before[np.isfinite(before)]
    rise = scanned.z_at(xy) - before if scanned else np.full(len(xy), np.nan)
    near = world[np.abs(world[:, 2] - new.z_at(world[:, :2])) < NEAR]
    apart = cKDTree(near[:, :2]).query(xy)[0] if len(near) else np.full(len(xy), np.inf)
    rise[apart > SPOTS] = np.nan
    sigma = float(np.median([piece.sigma_z for piece in fresh])) if fresh else np.nan
    return GroundUpdate(old.name, len(fresh), xy, rise, sigma)
