"""Where vehicles usually are on a map: along their stalls and with their lanes."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely

from geoloc.scene.sitemap import SiteMap

IN_STALL, WITH_LANE, ANYHOW = 2.2, 1.5, 0.2  # how usual a vehicle is that stands or drives so
STALL_M, STALL_RAD = 0.75, 0.2  # from the middle of a stall and its axis
LANE_RAD = 0.35
PULL, MOST_PULL = 0.06, 0.4
ALONG_M, ASIDE_M = 0.35, 0.25  # how far from a stall's middle drivers stop


def usual_places(site_map: SiteMap, level: np.ndarray, xy: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """How usual (N,) a vehicle is at places (N, 2) m with headings (N,) rad; 1 where the map says nothing."""
    if not site_map.stalls and not any(zone.kind == "lane" for zone in site_map.zones):
        return np.ones(len(xy))
    usual = np.full(len(xy), ANYHOW)
    for zone in site_map.zones:
        if zone.kind != "lane" or not np.isfinite(zone.direction):
            continue
        rows = np.flatnonzero(level == site_map.level_index[zone.level])
        rows = rows[shapely.intersects_xy(zone.polygon, xy[rows, 0], xy[rows, 1])]
        along = np.abs(np.sin(heading[rows] - zone.direction)) < np.sin(LANE_RAD)
        usual[rows[along]] = np.maximum(usual[rows[along]], WITH_LANE)
    for stall in site_map.stalls:
        axis, middle, length = _axis(stall.polygon)
        rows = np.flatnonzero(level == site_map.level_index[stall.level])
        away = xy[rows] - middle
        aside = np.abs(away @ [-axis[1], axis[0]])
        inside = (aside < STALL_M) & (np.abs(away @ axis) < 0.2 * length)
        turned = np.abs(heading[rows] - np.arctan2(axis[1], axis[0]))
        inside &= np.abs(np.sin(turned)) < np.sin(STALL_RAD)
        usual[rows[inside]] = IN_STALL
    return usual


def stall_pull(site_map: SiteMap, level: int, xy: np.ndarray, heading: float) -> float:
    """What a vehicle in a stall costs that does not stand in its middle, as a share of its outline; 0 in no stall."""
    table = _stall_table(site_map)
    if not len(table.level):
        return 0.0
    away = xy - table.middle
    along, aside = (away * table.axis).sum(axis=1), table.axis[:, 0] * away[:, 1] - table.axis[:, 1] * away[:, 0]
    inside = (table.level == level) & (np.abs(along) < 1.4) & (np.abs(aside) < 1.0)
    turned = np.abs(np.cos(heading) * table.axis[:, 1] - np.sin(heading) * table.axis[:, 0])
    inside &= turned < np.sin(2 * STALL_RAD)
    if not inside.any():
        return 0.0
    cost = PULL * ((along[inside] / ALONG_M) ** 2 + (aside[inside] / ASIDE_M) ** 2)
    return float(min(cost.min(), MOST_PULL))


@dataclass(frozen=True, eq=False)
class _Stalls:
    level: np.ndarray
    middle: np.ndarray
    axis: np.ndarray


@lru_cache(maxsize=16)
def _stall_table(site_map: SiteMap) -> _Stalls:
    shapes = [_axis(stall.polygon) for stall in site_map.stalls]
    level = np.array([site_map.level_index[stall.level] for stall in site_map.stalls], int)
    middle = np.array([shape[1] for shape in shapes]).reshape(-1, 2)
    return _Stalls(level, middle, np.array([shape[0] for shape in shapes]).reshape(-1, 2))


def _axis(polygon: shapely.Polygon) -> tuple[np.ndarray, np.ndarray, float]:
    """Direction of a stall's longer side, its middle and length."""
    box = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))[:4]
    sides = np.diff(np.concatenate([box, box[:1]]), axis=0)[:2]
    lengths = np.linalg.norm(sides, axis=1)
    long = int(np.argmax(lengths))
    return sides[long] / lengths[long], box.mean(axis=0), float(lengths[long])
