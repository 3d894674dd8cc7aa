"""What a map page says of places: who stood in which stall and when, and heat maps of traffic and of sight."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from geoloc.calibrate.ground_cells import level_ground
from geoloc.draw.page_columns import deflated
from geoloc.draw.page_keys import STANDS, Keys
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap

Json = dict[str, object]
STAY_S = 10.0  # in a stall for so long, or parked in it: a stay
AGAIN_S = 5.0  # shorter absences of one object are none
LONGEST = 160  # cells along the longer side of a heat map
FINEST = 0.5  # m
NONE = 0  # in a heat map: nothing to tell here


@dataclass(frozen=True)
class Stay:
    """A track in a stall (index of the map's) from `start` to `end` (s)."""

    stall: int
    track: int
    start: float
    end: float


def stall_stays(tracks: Sequence[Keys], site_map: SiteMap) -> list[Stay]:
    """Who stood in which stall for STAY_S or was parked there, by time; by the keys, so to about their tolerance."""
    if not site_map.stalls or not tracks:
        return []
    tree = shapely.STRtree([stall.polygon for stall in site_map.stalls])
    levels = np.array([site_map.level_index[stall.level] for stall in site_map.stalls])
    found: list[Stay] = []
    for keys in tracks:
        row, stall = tree.query(shapely.points(keys.xy), predicate="within")
        good = levels[stall] == keys.level[row]
        row, stall = row[good], stall[good]
        for one in np.unique(stall).tolist():
            found += _stays_of(keys, np.unique(row[stall == one]), one)
    return sorted(found, key=lambda stay: (stay.start, stay.stall))


def _stays_of(keys: Keys, rows: np.ndarray, stall: int) -> list[Stay]:
    """Stays in one stall, inside which are the keys `rows`, in order."""
    away = (np.diff(rows) > 1) & (np.diff(keys.time[rows]) > AGAIN_S)
    found = []
    for part in np.split(rows, np.flatnonzero(away) + 1):
        start, end = float(keys.time[part[0]]), float(keys.time[part[-1]])
        if end - start >= STAY_S or np.isin(keys.life[part], STANDS).any():
            found.append(Stay(stall, keys.track, start, end))
    return found


def taken_spans(stays: Sequence[Stay]) -> list[tuple[float, float]]:
    """From when to when (s) a stall was taken, each stall for itself: of two in it at once it is taken once."""
    spans: list[tuple[float, float]] = []
    last: dict[int, int] = {}
    for stay in sorted(stays, key=lambda stay: stay.start):
        row = last.get(stay.stall)
        if row is not None and stay.start <= spans[row][1]:
            spans[row] = (spans[row][0], max(spans[row][1], stay.end))
        else:
            last[stay.stall] = len(spans)
            spans.append((stay.start, stay.end))
    return spans


def heat_maps(site: Site, tracks: Sequence[Keys], box: np.ndarray) -> list[list[Json]]:
    """Of each level its heat maps: dwell, flow, ground sigma, coverage; those that there is something to tell of."""
    found = []
    for index in range(len(site.site_map.levels)):
        maps = [*_traffic_maps(tracks, index, box), *_ground_maps(site, index)]
        found.append([one for one in maps if one])
    return found


def _traffic_maps(tracks: Sequence[Keys], level: int, box: np.ndarray) -> list[Json]:
    """Seconds that things were in each cell, and how many passed through it and which way most of them went."""
    cell = max(FINEST, float((box[2:] - box[:2]).max()) / LONGEST)
    nx, ny = np.maximum(np.ceil((box[2:] - box[:2]) / cell), 1).astype(int).tolist()
    dwell, flow, way = np.zeros(nx * ny), np.zeros(nx * ny), np.zeros((nx * ny, 2))
    for keys in tracks:
        spot, seconds, heading = _along(keys, level, cell)
        column, row = np.floor((spot - box[:2]) / cell).astype(int).T
        inside = (column >= 0) & (row >= 0) & (column < nx) & (row < ny)
        at = (row * nx + column)[inside]
        np.add.at(dwell, at, seconds[inside])
        moving = inside & (np.hypot(*heading.T) > 0)
        passed, first = np.unique((row * nx + column)[moving], return_index=True)
        flow[passed] += 1
        way[passed] += heading[moving][first]
    even = np.hypot(*way.T) / np.maximum(flow, 1)
    turn = np.where(even > 0.4, np.mod(np.round(np.arctan2(way[:, 1], way[:, 0]) / (2 * np.pi) * 254), 254) + 1, 0)
    grid = {"cell": cell, "corner": np.round(box[:2], 3).tolist(), "nx": nx, "ny": ny}
    arrows = deflated(turn.astype(np.uint8).tobytes())
    return [
        _scaled({"name": "dwell", "title": "Time spent", "unit": "s", **grid}, dwell),
        _scaled({"name": "flow", "title": "Passages", "unit": "", "way": arrows, **grid}, flow),
    ]


def _along(keys: Keys, level: int, cell: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (N, 2) m along a track on one level, half a cell apart at most, time (N,) s and heading (N, 2) of each.

    The heading is a unit vector; zero where it stands.
    """
    linked = ~keys.cut[:-1] & (keys.level[:-1] == level)
    a, step = keys.xy[:-1][linked], np.diff(keys.xy, axis=0)[linked]
    seconds, length = np.diff(keys.time)[linked], np.hypot(*np.diff(keys.xy, axis=0)[linked].T)
    n = np.maximum(np.ceil(length / (cell / 2)), 1).astype(int)
    part = np.repeat(np.arange(len(n)), n)
    share = (np.arange(len(part)) - np.repeat(np.cumsum(n) - n, n) + 0.5) / n[part]
    moves = (length > 0.3 * seconds) & (length > 0.05)
    heading = np.where(moves[:, None], step / np.maximum(length, 1e-9)[:, None], 0.0)
    return a[part] + share[:, None] * step[part], (seconds / n)[part], heading[part]


def _ground_maps(site: Site, index: int) -> list[Json]:
    """How many cameras see each cell, and how sharply the best of them puts it on the map."""
    if not site.cameras:
        return []
    ground = level_ground(site, index)
    ny, nx = ground.shape
    if not ground.views or not nx * ny:
        return []
    step = max(1, -(-max(nx, ny) // LONGEST))
    rows, columns = slice(step // 2, None, step), slice(step // 2, None, step)
    sigma, count = np.nan_to_num(ground.sigma)[rows, columns], ground.count[rows, columns]
    corner = np.round(ground.corner, 3).tolist()
    grid = {"cell": ground.cell * step, "corner": corner, "nx": sigma.shape[1], "ny": sigma.shape[0]}
    return [
        _scaled({"name": "sigma", "title": "Ground sigma", "unit": "m", **grid}, sigma.ravel()),
        _scaled({"name": "coverage", "title": "Cameras that see it", "unit": "", **grid}, count.ravel(), log=False),
    ]


def _scaled(heat: Json, values: np.ndarray, log: bool = True) -> Json:
    """`heat` with its values (N,) as bytes, 1 to 255 from `low` to `high`; empty where all are 0."""
    there = values > 0
    if not there.any():
        return {}
    low, high = (float(v) for v in np.quantile(values[there], [0.02, 0.995]))
    low, high = (low, max(high, low * 1.01)) if log else (1.0, max(float(values.max()), 2.0))
    share = (np.log(np.maximum(values, 1e-12) / low) / np.log(high / low)) if log else (values - low) / (high - low)
    coded = np.where(there, 1 + np.round(254 * np.clip(share, 0, 1)), NONE).astype(np.uint8)
    return {**heat, "low": low, "high": high, "log": log, "data": deflated(coded.tobytes())}
