"""Where objects were: every object's way as few keys between which it went straight, in memory that is bounded.

A key is what was known of an object at a time. A new one is kept where the way from the last one to now no longer
passes all positions between within a tolerance in each axis (the swinging door; Bristol, 1990), and where something
else changes: its life, its level, whether it is in sight. So a parked car is two keys, however long it stands. Keys lie
in chunks; each begins and ends with a key of every object that is there, so that one chunk answers for its time.
"""

import zlib
from collections import deque
from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.lazily import ways
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.packed import camera_rows, common_numbers, level_names, level_rows
from geoloc.scene.columns import Coded
from geoloc.scene.site import Site
from geoloc.scene.tables import GroundPoints, Tracks

OVER = ("out_of_sight", "gone", "became")  # lives at the end of a way: lost, left, goes on under another number
BIRTH_S = 60.0  # after which a new number that is not confirmed is none
STANDING = ("parked", "hidden")
SAID = ("time", "object", "xy", "z", "cov", "bias_cov", "score", "revision")  # columns of tracks, see `kernels.ways`


@dataclass(frozen=True)
class HistoryOptions:
    """How finely objects' ways are kept, and for how long."""

    every_s: float = 0.5  # windows closer than this to the last one noted are passed over
    tolerance: float = 0.2  # m, in each axis, by which a kept way may be off
    blur: float = 0.5  # or by as much of the position's own sigma, where that is more
    parked_blur: float = 2.0  # the same of an object that is parked or hidden: it stands, its position only trembles
    sight_s: float = 5.0  # an object without a point for longer is out of sight of all cameras
    score_step: float = 0.1  # of the score of an object that nobody sees: a change worth a key
    chunk: int = 4096  # keys of a chunk, or four times as many as there are objects
    keep_s: float = 86400.0  # older chunks are forgotten
    keep_keys: int = 500_000  # and so are the oldest of more keys than this, about 100 bytes each

    def __post_init__(self) -> None:
        check_range(self, every_s=(0, 3600), tolerance=(1e-3, 100), blur=(0, 3), parked_blur=(0, 3))
        check_range(self, sight_s=(0, 1e6), score_step=(1e-3, 1))
        check_range(self, chunk=(16, 1_000_000), keep_s=(1, 1e12), keep_keys=(1000, 1_000_000_000))


@dataclass(frozen=True, eq=False)
class Chunk:
    """Keys in order of time; `names` are those that its columns of names count through."""

    number: int  # of the chunk, from 0
    start: float  # s
    end: float  # s
    keys: np.ndarray  # see `key_dtype`
    names: tuple[str, ...]  # of lives and labels
    events: tuple[Event, ...]  # what became of objects meanwhile

    @cached_property
    def checksum(self) -> int:
        """Tells it from another chunk of the same number, as a replay with late packets may make."""
        return zlib.crc32(self.keys.tobytes(), zlib.crc32(repr(self.events).encode()))


def key_dtype(n_cameras: int) -> np.dtype:
    """What was known of an object at a time."""
    return np.dtype(
        [
            ("number", np.int64),
            ("time", np.float64),  # s
            ("xy", np.float64, (2,)),  # m
            ("z", np.float32),  # m
            ("cov", np.float32, (3,)),  # m²: xx, xy, yy, noise and bias together
            ("seen", np.float64),  # s, of its last point
            ("score", np.float32),  # probability that it is there
            ("revision", np.int32),
            ("level", np.int16),
            ("label", np.int16),  # among the names
            ("life", np.int16),  # among the names
            ("in_sight", np.bool_),
            ("cameras", np.uint8, ((n_cameras + 7) // 8,)),  # bits: those with a point of it since the last key
        ]
    )


class History:
    """The ways of a site's objects. `note` each window, ask through `queries.State`."""

    def __init__(self, site: Site, options: HistoryOptions | None = None) -> None:
        self.options = options or HistoryOptions()
        self.site = site
        self.chunks: deque[Chunk] = deque()  # closed, none of which ever changes
        self.earlier: tuple[tuple[float, str], ...] = ()  # calibrations before the site's, and until when (s) each held
        self.time = np.nan  # s, of the last window noted
        self.tracks = Tracks()  # of the last window
        self.points = GroundPoints()
        self.n_chunks = 0  # closed so far
        self._names: tuple[str, ...] = ()
        self._start = np.nan  # s, of the chunk that is open
        self._open: list[np.ndarray] = []  # its keys
        self._n_open = 0
        none: np.ndarray = np.zeros(0, key_dtype(len(site.cameras)))
        self._key, self._last = none, none  # of each object there is: its last key, and what was noted last
        self._low, self._high = np.zeros((0, 2)), np.zeros((0, 2))  # m/s, ways from the key that pass all since
        self._events: list[Event] = []  # of the chunk that is open
        self._births: dict[int, Event] = {}  # of numbers that have no key yet
        self._fresh: list[Event] = []  # since the last window that was noted
        self._n_events = 0  # of the lineage's

    def __deepcopy__(self, memo: dict[int, object]) -> "History":
        """Chunks are shared, arrays are replaced, never changed in place."""
        other = copy(self)
        other.chunks, other._open = self.chunks.copy(), self._open.copy()
        other._events, other._fresh, other._births = self._events.copy(), self._fresh.copy(), self._births.copy()
        return other

    def note(self, time: float, tracks: Tracks, points: GroundPoints, lineage: Lineage) -> None:
        """Take in the window at `time` (s), in order of time: its tracks, its points, and what became of whom."""
        self.tracks, self.points = tracks, points
        self.learn_of(lineage)
        if time - self.time < self.options.every_s - 1e-6:
            return
        self.time = time
        now, before = self.rows(tracks, points)
        self._end(before, time)
        self._go_on(now, before)
        self._close()

    def learn_of(self, lineage: Lineage) -> None:
        """Take in what became of whom; most births are false alarms, and wait until there is a key."""
        for event in lineage.since(self._n_events):
            if event.kind == "born":
                self._births[event.number] = event
            else:
                self._events.append(event)
                self._fresh.append(event)
            if event.kind == "exchanged":
                self._begin_anew(event.number, event.others[0])
            elif np.isfinite(event.since):
                self._rename(event.number, event.others[0])
        self._n_events = lineage.n_events

    def _begin_anew(self, *numbers: int) -> None:
        """The ways of objects that were taken for each other end where they were last, and others begin."""
        ends = np.isin(self._last["number"], numbers)
        self._emit(self._last[ends & (self._last["time"] > self._key["time"])])
        self._last, self._key = self._last[~ends], self._key[~ends]
        self._low, self._high = self._low[~ends], self._high[~ends]

    def _rename(self, number: int, other: int) -> None:
        """What went by `number` is another object and goes on as that; keys that were kept are read so, see `Keys`."""
        if number not in self._last["number"] or other in self._last["number"]:
            return
        last, key = self._last.copy(), self._key.copy()
        last["number"][last["number"] == number] = key["number"][key["number"] == number] = other
        order = np.argsort(last["number"])
        self._last, self._key = last[order], key[order]
        self._low, self._high = self._low[order], self._high[order]

    def forget(self, numbers: np.ndarray) -> None:
        """Do without the ways of some numbers in the chunk that is open; `chunks` are others' to change."""
        rows = np.isin(self.tracks.track, numbers)
        objects = self.tracks.object[rows]
        self.points = self.points.take(~np.isin(self.points.object, objects[objects >= 0]))
        self.tracks = self.tracks.take(~rows)
        stays = ~np.isin(self._last["number"], numbers)
        self._last, self._key, self._low, self._high = (
            array[stays] for array in (self._last, self._key, self._low, self._high)
        )
        self._open = [keys[~np.isin(keys["number"], numbers)] for keys in self._open]
        self._n_open = sum(map(len, self._open))
        mine = set(numbers.tolist())
        self._births = {number: event for number, event in self._births.items() if number not in mine}
        for events in (self._events, self._fresh):
            events[:] = [event for event in events if not mine & {event.number, *event.others}]

    def rows(self, tracks: Tracks, points: GroundPoints) -> tuple[np.ndarray, np.ndarray]:
        """What a window knows of its objects, by number, and the row (N,) of each among those noted before; -1: new."""
        n = len(tracks)
        now: np.ndarray = np.zeros(n, self._last.dtype)
        before, object_of = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)
        lives, states = tracks.coded("life"), tracks.coded("state")
        codes = self._name_rows(tracks.coded("label")), self._name_rows(lives)
        known = ways.say(
            tracks.track,
            _are_sure(lives.names, states.names)[lives.code, states.code],
            self._last,
            self.options.sight_s,
            *(getattr(tracks, name) for name in SAID),
            level_rows(self.site.site_map, tracks.coded("level")),
            *codes,
            now,
            before,
            object_of,
        )
        now, before = now[:known], before[:known]
        ways.mark_cameras(now, object_of[:known], camera_rows(self.site, points.coded("camera")), points.object)
        return now, before

    def _name_rows(self, names: Coded) -> np.ndarray:
        if not set(names.names) <= set(self._names):
            self._names = tuple(dict.fromkeys((*self._names, *OVER, *names.names)))
        return common_numbers(self._names, names.names)[1].take(names.code)

    def _end(self, before: np.ndarray, time: float) -> None:
        """Objects that are not there any more: a last key of where they were, and one of what is with them."""
        new, self._fresh = self._fresh, []
        if np.count_nonzero(before >= 0) == len(self._last):
            return
        over = np.ones(len(self._last), dtype=bool)
        over[before[before >= 0]] = False
        gone = {event.number for event in new if event.kind == "gone"}
        became = {other for event in new if event.kind in ("recognised", "merged") for other in event.others}
        self._emit(self._last[over & (self._last["time"] > self._key["time"])])
        ends = self._last[over]
        said = [2 if n in became else 1 if n in gone else 0 for n in ends["number"].tolist()]
        ends["time"], ends["in_sight"], ends["cameras"] = time, False, 0
        ends["life"] = np.array([self._names.index(name) for name in OVER], dtype=np.int16)[said]
        self._emit(ends)

    def _go_on(self, now: np.ndarray, before: np.ndarray) -> None:
        """Keys of new objects, and of those whose way bends or of which something else changes."""
        n, options = len(now), self.options
        key, low, high = np.empty_like(now), np.empty((n, 2)), np.empty((n, 2))
        bends, begins = np.empty(n, dtype=bool), np.empty(n, dtype=bool)
        step = np.float32(options.score_step)  # as exact as the scores that are kept
        how = options.tolerance, _blurs(self._names, options.blur, options.parked_blur), step
        given = now, before, self._last, self._key, self._low, self._high
        ways.go_on(*given, *how, key, low, high, bends, begins)
        if bends.any():
            self._emit(self._last[before[bends]])
        if begins.any():
            self._emit(now[begins])
        self._bear(now["number"][before < 0].tolist())
        self._key, self._last, self._low, self._high = key, now, low, high
        if np.isnan(self._start):
            self._start = self.time

    def _bear(self, numbers: list[int]) -> None:
        """The births of objects that have their first key are events, and old ones without any none."""
        if not self._births:
            return
        self._events += [self._births.pop(number) for number in numbers if number in self._births]
        waited = self.time - BIRTH_S
        if next(iter(self._births.values()), Event(np.inf, "born", 0)).time <= waited:  # they are in order of time
            self._births = {n: event for n, event in self._births.items() if event.time > waited}

    def _emit(self, keys: np.ndarray) -> None:
        if not len(keys):
            return
        self._open.append(keys)
        self._n_open += len(keys)
        if len(self._open) > 64:
            self._open = [np.concatenate(self._open)]

    def _close(self) -> None:
        """Close the chunk that is open once it is full, and forget the oldest ones."""
        options = self.options
        if self._n_open < max(options.chunk, 4 * len(self._last)):
            return
        self._emit(self._last[self._last["time"] > self._key["time"]])
        self.chunks.append(self._chunk(self.time, np.concatenate(self._open)))
        self.n_chunks += 1
        self._events = []
        self._start, self._open, self._n_open = self.time, [self._last], len(self._last)
        self._key = self._last
        self._low, self._high = np.full((len(self._last), 2), -np.inf), np.full((len(self._last), 2), np.inf)
        while self.chunks and (
            self.chunks[0].end < self.time - options.keep_s
            or sum(len(chunk.keys) for chunk in self.chunks) > options.keep_keys
        ):
            self.chunks.popleft()

    def _chunk(self, end: float, keys: np.ndarray) -> Chunk:
        return Chunk(self.n_chunks, self._start, end, keys, self._names, tuple(self._events))

    def open_chunk(self) -> Chunk:
        """The chunk that is open, up to the last window, whether it was noted or passed over."""
        other = copy(self)  # asking leaves no trace
        now, before = other.rows(self.tracks, self.points)
        if len(self._last):
            now["cameras"] |= np.where((before >= 0)[:, None], self._last["cameras"][before], 0)
        now = now[now["time"] > self.time]
        keys = np.concatenate([*self._open, self._last[self._last["time"] > self._key["time"]], now])
        end = max(self.time, float(now["time"].max(initial=-np.inf)))
        return other._chunk(end, keys)

    @property
    def start(self) -> float:
        """Time (s) from which on ways are kept; NaN: none are."""
        return self.chunks[0].start if self.chunks else self._start

    @property
    def level_names(self) -> tuple[str, ...]:
        """Names that keys' levels count through."""
        return level_names(self.site.site_map)


@lru_cache(maxsize=64)
def _are_sure(lives: tuple[str, ...], states: tuple[str, ...]) -> np.ndarray:
    """Which lives are those of objects for sure; where a life does not say, the state of the track does: (K, L)."""
    sure = [(life or state) != "tentative" for life in lives for state in states]
    return np.array(sure, dtype=bool).reshape(len(lives), len(states))


@lru_cache(maxsize=64)
def _blurs(names: tuple[str, ...], blur: float, parked: float) -> np.ndarray:
    """By how much of its sigma the kept way of an object may be off, for each of the `names` of lives."""
    return np.array([parked if name in STANDING else blur for name in names])
