"""One-way lanes of a map: in which direction what drives may go at a place."""

from functools import lru_cache

import numpy as np
import shapely

from geoloc.scene.sitemap import Place, SiteMap

DRIVES = 1.0  # m; classes that are shorter go against one-way lanes as they like


@lru_cache(maxsize=64)
def one_way_lanes(site_map: SiteMap) -> tuple[Place, ...]:
    """The places of a map that have a direction, ready to be asked often."""
    lanes = tuple(zone for zone in site_map.zones if np.isfinite(zone.direction))
    for lane in lanes:
        shapely.prepare(lane.polygon)
    return lanes


def lane_axes(site_map: SiteMap, level: np.ndarray, xy: np.ndarray) -> np.ndarray:
    """Unit vectors (N, 2) along the one-way lanes at points xy (N, 2) m on levels (N,); zero where there is none.

    Where lanes of several directions cross, any of them is allowed: there is none.
    """
    lanes = one_way_lanes(site_map)
    axes, count = np.zeros((len(xy), 2)), np.zeros(len(xy), dtype=int)
    for lane in lanes:
        own = np.array([np.cos(lane.direction), np.sin(lane.direction)])
        inside = level == site_map.level_index[lane.level]
        inside &= shapely.contains_xy(lane.polygon, xy[:, 0], xy[:, 1])
        inside &= ~((count > 0) & (np.abs(axes - own).max(axis=1) < 1e-6))  # one lane in two pieces
        axes[inside] = own
        count += inside
    axes[count > 1] = 0.0
    return axes
