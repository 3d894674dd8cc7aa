"""Reading the keys of a history: where an object was between two of them, and from when to when it was inside."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely

from geoloc.pipeline.answers import Phase
from geoloc.pipeline.history import OVER, Chunk
from geoloc.pipeline.lineage import Event


@dataclass(frozen=True, eq=False)
class Inside:
    """A stretch of time (s) in which objects' ways led through a place; see `answers.Stay`."""

    start: float
    end: float
    depth: float
    sigma: float
    life: str
    label: str
    seen: float
    revision: int
    cameras: np.ndarray


@dataclass(frozen=True, eq=False)
class Keys:
    """Keys of some chunks by object and time; `names` are those that lives and labels count through."""

    rows: np.ndarray  # see `history.key_dtype`
    names: tuple[str, ...]

    @classmethod
    def of(
        cls, chunks: Iterable[Chunk], taken_back: Iterable[Event] = (), numbers: Iterable[int] | None = None
    ) -> "Keys":
        """The keys of chunks that follow each other, of some objects or all.

        Those of an object that was taken for another one go by its own number, see `Event.was_wrong`.
        """
        chunks = list(chunks)
        rows = np.concatenate([chunk.keys for chunk in chunks])
        for event in taken_back:
            wrong, other = event.was_wrong(rows["time"]), event.others[0]
            mine, theirs = wrong & (rows["number"] == event.number), wrong & (rows["number"] == other)
            rows["number"][mine] = other
            if event.kind == "exchanged":
                rows["number"][theirs] = event.number
        if numbers is not None:
            rows = rows[np.isin(rows["number"], list(numbers))]
        order = np.argsort(rows["time"], kind="stable")
        order = order[np.argsort(rows["number"][order], kind="stable")]
        return cls(rows[order], chunks[-1].names)

    @cached_property
    def numbers(self) -> list[int]:
        """The objects' numbers, ascending."""
        return np.unique(self.rows["number"]).tolist()

    @cached_property
    def over(self) -> np.ndarray:
        """Which keys (N,) are the end of a way."""
        lives = [self.names.index(name) for name in OVER if name in self.names]
        return np.isin(self.rows["life"], lives)

    def around(self, number: int, time: float) -> tuple[np.void | None, np.void | None]:
        """The object's last key at `time` or before, and its next one; None: there is none."""
        first, last = np.searchsorted(self.rows["number"], [number, number + 1])
        place = first + int(np.searchsorted(self.rows["time"][first:last], time, side="right"))
        return self.rows[place - 1] if place > first else None, self.rows[place] if place < last else None

    def between(self, before: np.void, after: np.void | None, time: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Position (2,) m, its covariance (3,) m² and the time (s) of the last point before `time`."""
        if after is None or self.life(before) in OVER:
            return before["xy"], before["cov"].astype(float), float(before["seen"])
        share = (time - before["time"]) / max(after["time"] - before["time"], 1e-9)
        xy = before["xy"] + share * (after["xy"] - before["xy"])
        cov = before["cov"] + share * (after["cov"].astype(float) - before["cov"])
        seen = max(before["seen"], min(time, after["seen"])) if before["in_sight"] else before["seen"]
        return xy, cov, float(seen)

    def life(self, key: np.void) -> str:
        """What the object was from a key on."""
        return self.names[int(key["life"])]

    def last_cameras(self, number: int, time: float) -> np.ndarray:
        """Bits of the cameras that saw the object last, up to `time`."""
        rows = self.rows[(self.rows["number"] == number) & (self.rows["time"] <= time)]
        with_any = np.flatnonzero(rows["cameras"].any(axis=1))
        return rows["cameras"][with_any[-1]] if len(with_any) else np.zeros(self.rows["cameras"].shape[1], np.uint8)

    def rest_on(self, camera: int, start: float, end: float) -> list[tuple[int, float, float]]:
        """Number, from and to (s), of the stretches that rest on a camera's points from `start` to `end` (s)."""
        bits = np.unpackbits(self.rows["cameras"], axis=1)
        number, time = self.rows["number"], self.rows["time"]
        begins = np.concatenate([[True], number[1:] != number[:-1]]) if len(number) else np.zeros(0, bool)
        since = np.where(begins, time, np.concatenate([time[:1], time[:-1]]))  # a key tells of what came before it
        by_it = np.asarray((bits[:, camera] > 0) & (time >= start) & (since <= end))
        unseen = np.asarray(~bits.any(axis=1))
        found: list[tuple[int, float, float]] = []
        on = False
        for k in range(len(number)):
            going = on and not begins[k]
            on = bool(by_it[k]) or (going and bool(unseen[k]))
            last = min(float(time[k]), end) if by_it[k] else float(time[k])
            if on and going:
                found[-1] = (*found[-1][:2], last)
            elif on:
                found.append((int(number[k]), max(float(since[k]), start), last))
        return found

    def steps_near(self, bounds: tuple[float, float, float, float], level: int, start: float, end: float) -> np.ndarray:
        """Keys (K,) from which an object's way on leads near a place, between two times (s)."""
        a, b = self.rows[:-1], self.rows[1:]
        near = (a["number"] == b["number"]) & ~self.over[:-1] & (a["level"] == level)
        near &= (a["time"] <= end) & (b["time"] >= start)
        low, high = np.minimum(a["xy"], b["xy"]), np.maximum(a["xy"], b["xy"])
        near &= (high >= bounds[:2]).all(axis=1) & (low <= bounds[2:]).all(axis=1)
        return np.flatnonzero(near)


def phases(keys: Keys, end: float) -> list[Phase]:
    """What each number was from when to when, in order of numbers and time; what is lost at the `end` (s) ended before.

    Keys of one life that follow each other are one phase.
    """
    number, life, time = (keys.rows[name] for name in ("number", "life", "time"))
    if not len(number):
        return []
    first = np.flatnonzero(np.append(True, (np.diff(number) != 0) | (np.diff(life) != 0)))
    found = []
    for row, after in zip(first.tolist(), [*first[1:].tolist(), len(number)], strict=True):
        goes_on = after < len(number) and number[after] == number[row]
        until = float(time[after] if goes_on else time[after - 1])
        name = keys.life(keys.rows[row])
        if name in OVER and goes_on:
            name = "out_of_sight"  # what had ended came back
        if name not in OVER or goes_on:
            label = keys.names[int(keys.rows["label"][after - 1])]
            found.append(Phase(int(number[row]), float(time[row]), min(until, end), name, label))
    return found


def stays_inside(
    keys: Keys, steps: np.ndarray, polygon: shapely.Polygon, span: tuple[float, float], gap: float
) -> list[Inside]:
    """The stretches within `span` (s) in which one object, whose ways `steps` (K,) are, was in a polygon.

    Stretches that are `gap` s or less apart are one.
    """
    parts = [part for step in steps.tolist() if (part := _part(keys, step, polygon, span)) is not None]
    parts.sort(key=lambda part: part[:2])
    merged: list[list[tuple[float, float, float, int]]] = []
    end = -np.inf
    for part in parts:
        if part[0] > end + gap:
            merged.append([])
            end = -np.inf
        merged[-1].append(part)
        end = max(end, part[1])
    return [_inside(keys, stretch) for stretch in merged]


def _part(
    keys: Keys, step: int, polygon: shapely.Polygon, span: tuple[float, float]
) -> tuple[float, float, float, int] | None:
    """From when to when (s) a way between two keys lies in the polygon, and how deep (m)."""
    before, after = keys.rows[step], keys.rows[step + 1]
    start, end = max(before["time"], span[0]), min(after["time"], span[1])
    points = np.array([keys.between(before, after, time)[0] for time in (start, end)])
    way = points[1] - points[0]
    length2 = float(way @ way)
    if length2 < 1e-12:
        inside = shapely.Point(points[0])
        share = np.array([0.0, 1.0])
    else:
        inside = shapely.LineString(points)
        inside = shapely.intersection(inside, polygon)
        share = np.clip((shapely.get_coordinates(inside) - points[0]) @ way / length2, 0.0, 1.0)
    if inside.is_empty or not polygon.intersects(inside):
        return None
    first, last = float(start + share.min() * (end - start)), float(start + share.max() * (end - start))
    tried = shapely.points([points[0] + s * way for s in (share.min(), share.mean(), share.max())])
    return first, last, float(shapely.distance(polygon.boundary, tried).max()), step


def _inside(keys: Keys, parts: list[tuple[float, float, float, int]]) -> Inside:
    steps = np.array([part[3] for part in parts])
    lasted = np.array([part[1] - part[0] for part in parts])
    deepest = max(parts, key=lambda part: part[2])
    before, after = keys.rows[steps], keys.rows[steps + 1]
    end = max(part[1] for part in parts)
    lives = before["life"]
    spent = {life: lasted[lives == life].sum() for life in np.unique(lives).tolist()}
    cov = keys.rows["cov"][deepest[3]].astype(float)
    cameras = np.bitwise_or.reduce(np.concatenate([before["cameras"], after["cameras"]]), axis=0)
    return Inside(
        start=min(part[0] for part in parts),
        end=end,
        depth=deepest[2],
        sigma=float(np.sqrt(np.linalg.eigvalsh([[cov[0], cov[1]], [cov[1], cov[2]]])[-1])),
        life=keys.names[max(spent, key=lambda life: (spent[life], -life))],
        label=keys.names[int(before["label"][-1])],
        seen=keys.between(before[-1], after[-1], end)[2],
        revision=int(before["revision"][-1]),
        cameras=cameras,
    )
