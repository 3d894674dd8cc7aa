"""What stands on the ground in a registered scan: occluders for the map, and a mesh of all that blocks the view."""

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.ndimage import find_objects, label

from geoloc.errors import GeometryError
from geoloc.options import check_range
from geoloc.scene.sitemap import Occluder, SiteMap

EDGE = 0.5  # m
MOST_CELLS = 60_000_000


@dataclass(frozen=True)
class SolidOptions:
    """What of a scan counts as standing."""

    cell: float = 0.2  # m; solids are as coarse as this
    clear: float = 0.4  # m above a level, below which nothing is looked at: kerbs, tyres, noise
    least_height: float = 2.0  # m; what ends lower may drive away
    least_filled: float = 0.6  # share of the height between `clear` and `least_height` that must hold points

    def __post_init__(self) -> None:
        check_range(self, cell=(0.02, 2), clear=(0.05, 5), least_height=(0.2, 50), least_filled=(0.1, 1))


def find_occluders(
    points_world: np.ndarray, site_map: SiteMap, options: SolidOptions = SolidOptions()
) -> tuple[Occluder, ...]:
    """Walls and pillars of a registered scan (N, 3) m: outlines in plan, as coarse as `cell`, and heights.

    Only what is filled from the ground to `least_height` counts, so parked cars do not.
    """
    found: list[Occluder] = []
    for level in site_map.levels:
        height = points_world[:, 2] - level.z_at(points_world[:, :2])
        ceiling = _ceiling(site_map, level.name, points_world[:, :2]) - level.z_at(points_world[:, :2])
        with np.errstate(invalid="ignore"):
            rows = (height > options.clear) & ~(height > ceiling - 0.15)
        found += _standing(level.name, points_world[rows, :2], height[rows], options)
    return tuple(found)


def _ceiling(site_map: SiteMap, level: str, xy: np.ndarray) -> np.ndarray:
    """Height (N,) m of the next level over this one; infinite where there is none."""
    own = site_map.level(level).z_at(xy)
    best = np.full(len(xy), np.inf)
    for other in site_map.levels:
        for surface in other.surfaces if other.name != level else ():
            z = surface.z_at(xy)
            # a wall at a floor's edge stands a little outside of it
            grown = surface.polygon.buffer(EDGE, join_style="mitre")
            shapely.prepare(grown)
            over = surface.polygon.is_empty | shapely.intersects_xy(grown, xy[:, 0], xy[:, 1])
            with np.errstate(invalid="ignore"):
                best = np.where(over & (z > own + 1.0), np.minimum(best, z), best)
    return best


def _standing(level: str, xy: np.ndarray, height: np.ndarray, options: SolidOptions) -> list[Occluder]:
    if not len(xy):
        return []
    at = np.floor(xy / options.cell).astype(int)
    low = at.min(axis=0) - 1
    at -= low
    n_bins = max(int(np.ceil((options.least_height - options.clear) / options.cell)), 1)
    layer = np.minimum(((height - options.clear) / options.cell).astype(int), n_bins + 1)
    width, depth = at.max(axis=0) + 2
    filled = np.zeros((width, depth, n_bins + 2), dtype=bool)
    filled[at[:, 0], at[:, 1], layer] = True
    tops = np.zeros(filled.shape[:2])
    np.maximum.at(tops, (at[:, 0], at[:, 1]), height)
    # a car under a beam or ceiling fills its column too, but for what is just above `least_height`
    stands = (filled[..., :n_bins].mean(axis=2) >= options.least_filled) & filled[..., n_bins]
    groups, _ = label(stands, np.ones((3, 3)))
    found: list[Occluder] = []
    for number, window in enumerate(find_objects(groups), 1):
        cells = np.argwhere(groups[window] == number) + np.array([window[0].start, window[1].start])
        if len(cells) < 2:
            continue  # a single cell is a stray: a cable, a bird
        corner = (cells + low) * options.cell
        squares = shapely.box(corner[:, 0], corner[:, 1], *(corner + options.cell).T)
        # cells that touch at a corner only would make an outline that touches itself
        outline = shapely.union_all(squares).buffer(options.cell / 20, join_style="mitre").simplify(options.cell / 2)
        top = float(np.percentile(tops[tuple(cells.T)], 90))
        found.append(Occluder(f"scan {level} {len(found) + 1}", level, outline, top))
    return found


def solid_mesh(
    points_world: np.ndarray, site_map: SiteMap, options: SolidOptions = SolidOptions()
) -> tuple[np.ndarray, np.ndarray]:
    """All that blocks the view in a registered scan (N, 3) m as a mesh: vertices (V, 3) m, triangles (T, 3).

    The outer faces of the cubes that hold points, the ground and whatever ends below `least_height` over it left out.
    Unlike occluders it holds what hangs free: beams, signs, crowns of trees.
    """
    solid = _solid(points_world, site_map, options)
    low = np.floor(solid.min(axis=0) / options.cell).astype(int) - 1
    at = np.floor(solid / options.cell).astype(int) - low
    shape = at.max(axis=0) + 2
    if np.prod(shape.astype(float)) > MOST_CELLS:
        raise GeometryError(
            f"the scan needs {shape.tolist()} cubes of {options.cell} m; give larger ones or a part of it"
        )
    filled = np.zeros(shape, dtype=bool)
    filled[tuple(at.T)] = True
    corners = [_faces(filled, axis, side) for axis in range(3) for side in (0, 1)]
    quads = np.concatenate(corners)
    vertices, index = np.unique(quads.reshape(-1, 3), axis=0, return_inverse=True)
    index = index.reshape(-1, 4)
    return (vertices + low) * options.cell, np.concatenate([index[:, [0, 1, 2]], index[:, [0, 2, 3]]])


def _solid(points: np.ndarray, site_map: SiteMap, options: SolidOptions) -> np.ndarray:
    """The points (M, 3) that belong to no ground and to nothing low; GeometryError if there are none."""
    above = np.full(len(points), np.inf)
    for level in site_map.levels:
        height = points[:, 2] - level.z_at(points[:, :2])
        with np.errstate(invalid="ignore"):
            above = np.where((height > -options.clear) & (height < above), height, above)
    points, above = points[above > options.clear], above[above > options.clear]
    if not len(points):
        raise GeometryError("nothing in the scan stands above the map's ground; is it registered to this map?")
    at = np.floor(points / options.cell).astype(int)
    at -= at.min(axis=0)
    filled = np.zeros(at.max(axis=0) + 1, dtype=bool)
    filled[tuple(at.T)] = True
    group = label(filled, np.ones((3, 3, 3)))[0][tuple(at.T)]
    tops = np.zeros(group.max() + 1)
    np.maximum.at(tops, group, above)
    kept = points[tops[group] >= options.least_height]
    if not len(kept):
        raise GeometryError(
            f"nothing in the scan reaches {options.least_height} m above the ground; lower least_height"
        )
    return kept


def _faces(filled: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Corners (F, 4, 3) of the cubes' faces that look into the open along one axis."""
    beyond = np.roll(filled, -1 if side else 1, axis=axis)
    cells = np.argwhere(filled & ~beyond)
    a, b = [k for k in range(3) if k != axis]
    corner = np.zeros((4, 3), dtype=int)
    corner[:, axis] = side
    corner[[1, 2], a] = 1
    corner[[2, 3], b] = 1
    return cells[:, None, :] + corner
