"""Questions about what a store holds, answered a part at a time: nothing is held that was not asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.io.store_rows import COLUMNS, THINNED
from geoloc.service.store.database import Row
from geoloc.service.store.store import EVENTS, Store, family_of, read_event

SAID = ", ".join(f"p.{name}" for name in (*COLUMNS, *THINNED))
SLACK = 1e-5  # of a box's size: the index of places is no finer than 32 bits
JOIN_S = 2.0  # s; the way between two rows that are farther apart, of which none was dropped, is not known
STEP = 0.5  # of a cell, in which a way is followed


@dataclass(frozen=True)
class Wanted:
    """Which rows: times (UTC Unix s), a box (m; west, south, east, north), a level, numbers of objects; all of it."""

    start: float = -np.inf
    end: float = np.inf
    box: tuple[float, float, float, float] | None = None
    level: str = ""
    objects: tuple[int, ...] = ()


def question(store: Store, wanted: Wanted, what: str = SAID, order: str = "p.fid") -> tuple[str, list[Any]]:
    """The SQL of the rows that are wanted, and its values."""
    parts: list[str] = []
    values: list[Any] = []
    if wanted.box is not None:
        sql, given = store.database.within(_on_earth(store, wanted.box))
        parts += [sql, "p.x >= ? AND p.y >= ? AND p.x <= ? AND p.y <= ?"]
        values += [*given, *wanted.box]
    # windows are numbered by time: their index is one of times, too
    for bound, sign, past in ((wanted.start, ">=", -1), (wanted.end, "<=", 1)):
        if np.isfinite(bound):
            parts.append(f"p.win {sign} ? AND p.time {sign} ?")
            values += [int(np.clip(np.floor(bound / store.window_s), -1e17, 1e17)) + past, bound]
    if wanted.level:
        parts.append("p.level = ?")
        values.append(wanted.level)
    if wanted.objects:
        parts.append(f"p.track IN ({', '.join('?' * len(wanted.objects))})")
        values += wanted.objects
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    return f"SELECT {what} FROM positions p{where} ORDER BY {order}", values


def find(store: Store, wanted: Wanted, n: int = 1000) -> Iterator[list[Row]]:
    """The rows that are wanted, as SAID, `n` at a time in the order in which they were said."""
    yield from store.database.stream(*question(store, wanted), n)


def find_ways(store: Store, wanted: Wanted, n: int = 5000) -> Iterator[list[Row]]:
    """The same by object and time."""
    yield from store.database.stream(*question(store, wanted, order="p.track, p.time"), n)


def within(rows: Iterator[list[Row]], polygon: shapely.Polygon) -> Iterator[list[Row]]:
    """Of rows as SAID those that lie in a polygon (m), its edge too."""
    x, y = COLUMNS.index("x"), COLUMNS.index("y")
    for part in rows:
        places = np.array([(row[x], row[y]) for row in part])
        there = shapely.intersects_xy(polygon, places[:, 0], places[:, 1])
        yield [row for row, inside in zip(part, there.tolist(), strict=True) if inside]


def family(store: Store, number: int) -> tuple[int, ...]:
    """All numbers that an object had, the one that it has now first."""
    kinds = "('recognised', 'merged', 'split', 'undone', 'exchanged')"
    rows = store.database.rows(f"SELECT {EVENTS} FROM events WHERE kind IN {kinds} ORDER BY id")
    return tuple(family_of([read_event(row) for row in rows], number))


@dataclass(frozen=True, eq=False)
class Heat:
    """Seconds that objects spent in each cell (rows from south to north, columns from west to east)."""

    west: float  # m
    south: float  # m
    cell: float  # m
    seconds: np.ndarray  # (rows, columns)
    objects: int  # numbers that were there


def heat(store: Store, wanted: Wanted, box: Sequence[float], cell: float) -> Heat:
    """How long objects were where in a box (m); ways that were thinned are followed straight between their keys."""
    west, south, east, north = box
    shape = max(int(np.ceil((north - south) / cell)), 1), max(int(np.ceil((east - west) / cell)), 1)
    seconds, seen, last = np.zeros(shape), set[int](), None
    asked = question(store, wanted, "p.track, p.time, p.x, p.y, p.dropped", "p.track, p.time")
    for part in store.database.stream(*asked, 5000):
        rows = np.array([*([last] if last is not None else []), *part], float)
        last = part[-1]
        one, other = rows[:-1], rows[1:]
        dt = other[:, 1] - one[:, 1]
        joined = (one[:, 0] == other[:, 0]) & ((dt <= JOIN_S) | (other[:, 4] > 0)) & (dt > 0)
        for a, b, took in zip(one[joined], other[joined], dt[joined], strict=True):
            n = max(int(np.ceil(np.hypot(*(b[2:4] - a[2:4])) / (STEP * cell))), 1)
            at = a[2:4] + (b[2:4] - a[2:4]) * ((np.arange(n) + 0.5) / n)[:, None]
            column, row = ((at - (west, south)) // cell).astype(int).T
            inside = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
            np.add.at(seconds, (row[inside], column[inside]), took / n)
        seen |= set(rows[:, 0].astype(int).tolist())
    return Heat(west, south, cell, seconds, len(seen))


def _on_earth(store: Store, box: Sequence[float]) -> tuple[float, float, float, float]:
    """A box of the map (m) in the units of geometries, a little larger: west, south, east, north."""
    west, south, east, north = box
    datum = store.site.site_map.datum
    corners = np.array([[x, y, z] for x in (west, east) for y in (south, north) for z in (-100.0, 100.0)])
    if datum is not None:
        lat, lon, _ = geodetic_from_enu(datum, corners)
        corners = np.stack([lon, lat], axis=1)
    low, high = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
    more = SLACK * (high - low) + 1e-9 * np.abs(high)
    return (*(low - more).tolist(), *(high + more).tolist())
