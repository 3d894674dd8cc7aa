"""Questions about a site, now and before: where an object is, who was in a zone, which stalls are taken.

An object that got another number, because it was recognised or two turned out to be one, answers under the one that
it has now, and says so.
"""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoloc.errors import InputError, unknown_name
from geoloc.geometry.gaussian import worst_sigma
from geoloc.pipeline.answers import Occupancy, Phase, Place, PlaceCount, Provenance, StallState, Stay
from geoloc.pipeline.history import OVER, Chunk, History
from geoloc.pipeline.lineage import SAID, Event, lineage_graph
from geoloc.pipeline.stays import Keys, phases, stays_inside
from geoloc.scene.fingerprint import calibration_fingerprint
from geoloc.scene.sitemap import Place as MapPlace

if TYPE_CHECKING:
    import networkx as nx

STANDS = ("parked", "hidden")  # lives of an object that takes a stall
STALL_S = 10.0  # s; and so does one that is in it for longer


class State:
    """Answers from what a `Localizer` keeps, or kept: see `localizer.state` and `load_state`.

    They are as of the window after which the state was asked for; it does not move on with the engine.
    """

    def __init__(self, history: History) -> None:
        self._history = deepcopy(history)  # shares all but what is being written
        self._site = history.site

    @property
    def time(self) -> float:
        """Time (s) of the last window; NaN before the first."""
        return self._open.end

    @property
    def start(self) -> float:
        """Time (s) from which on there are answers; NaN: there are none yet."""
        return self._history.start

    # ---- questions

    def at(self, time: float | None = None) -> tuple[Place, ...]:
        """All objects that were there at `time` (UTC Unix s; default: now), by number."""
        time = self._when(time)
        keys = self._keys(time, time)
        finals = [self._became(number)[0] for number in keys.numbers]
        found = {}
        for final in sorted(set(finals)):
            place = self._place(keys, [n for n, f in zip(keys.numbers, finals, strict=True) if f == final], final, time)
            if place is not None and place.life not in OVER:
                found[final] = place
        return tuple(found.values())

    def where(self, object: int, time: float | None = None) -> Place:
        """Where an object was at `time` (UTC Unix s; default: now), or where it was seen last.

        InputError where there is no such object, or it had not come yet.
        """
        time = self._when(time)
        final, _ = self._became(object)
        mine = self._family(final)
        for chunk in self._chunks_back(time):
            keys = Keys.of([chunk], self._taken_back, mine)
            place = self._place(keys, mine, final, time, object)
            if place is not None:
                return place
        raise self._not_there(object, final, mine, time)

    def who_was_in(self, place: str, start: float | None = None, end: float | None = None) -> tuple[Stay, ...]:
        """Who was in a zone, stall or level between two times (UTC Unix s; default: all that is kept), by entry."""
        start = self._history.start if start is None else float(start)
        end = self._when(end)
        if not start <= end:
            raise InputError(f"from {clock(start)} to {clock(end)}: give two times in order")
        keys = self._keys(start, end)
        found = [stay for where in self._places(place) for stay in self._stays(keys, where, start, end)]
        return tuple(sorted(found, key=lambda stay: (stay.start, stay.object)))

    def stall(self, name: str) -> StallState:
        """Who is in a stall now, and who was, as far back as is kept."""
        stalls = {stall.name: stall for stall in self._site.site_map.stalls}
        if name not in stalls:
            raise unknown_name("stall", name, stalls, f"site {self._site.name!r}")
        end, stall = self.time, stalls[name]
        stays = self._stays(self._keys(self.start, end), stall, self.start, end)
        now = [stay.object for stay in stays if stay.goes_on]
        stays = [stay for stay in stays if stay.life in STANDS or stay.end - stay.start >= STALL_S]
        return StallState(name, stall.level, end, now[-1] if now else 0, self._watching(stall), tuple(stays))

    def occupancy(self, time: float | None = None) -> Occupancy:
        """Who was in which stall and zone at `time` (UTC Unix s; default: now)."""
        time = self._when(time)
        there = self.at(time)
        site_map = self._site.site_map
        counts = self._counts((*site_map.stalls, *site_map.zones), there)
        stalls = counts[: len(site_map.stalls)]
        levels = tuple((level.name, sum(one.level == level.name for one in there)) for level in site_map.levels)
        taken, unsure = sum(bool(one.objects) for one in stalls), sum(not one.watched for one in stalls)
        return Occupancy(time, tuple(counts), len(stalls), taken, unsure, levels)

    def phases(self) -> tuple[Phase, ...]:
        """What each number was from when to when, as far back as is kept, by number and time."""
        return tuple(phases(Keys.of([*self._history.chunks, self._open], self._taken_back), self.time))

    def rests_on(self, camera: str, start: float, end: float) -> tuple[tuple[int, float, float], ...]:
        """Number, from and to (s), of the objects' stretches that rest on a camera's points from `start` to `end` (s).

        They go on while no camera at all sees the object. UnknownNameError for a camera that is not of the site.
        """
        index = self._site.camera_index
        if camera not in index:
            raise unknown_name("camera", camera, index)
        keys = Keys.of([*self._history.chunks, self._open], self._taken_back)
        return tuple(
            (self._became(number)[0], first, last) for number, first, last in keys.rest_on(index[camera], start, end)
        )

    def events(self, object: int | None = None) -> tuple[Event, ...]:
        """What became of an object, or of all: born, recognised, merged, split, gone, undone, in order of time."""
        if object is None:
            return tuple(self._events)
        mine = set(self._family(self._became(object)[0])) | {object}
        return tuple(event for event in self._events if event.number in mine or mine & set(event.others))

    def happenings(self) -> tuple[Event, ...]:
        """All events by their ids: what became of objects, who entered, left and parked, what befell the cameras."""
        return tuple(sorted(self._told, key=lambda event: event.id))

    def lineage(self, object: int) -> "nx.MultiDiGraph":
        """An object's numbers as nodes, and an edge with its `event` from each to the one that it became or left.

        InputError where nothing is known of the object.
        """
        events = self.events(object)
        if not events:
            self.where(object)  # says why there is none
        graph = lineage_graph(events)
        graph.add_node(object)
        return graph

    # ---- keys

    @cached_property
    def _open(self) -> Chunk:
        return self._history.open_chunk()

    def _when(self, time: float | None) -> float:
        if np.isnan(self.time):
            raise InputError("nothing is known yet: no window came so far")
        time = self.time if time is None else float(time)
        if not self.start <= time <= self.time + self._history.options.sight_s:
            kept = f"kept from {clock(self.start)} to {clock(self.time)}"
            raise InputError(f"time {clock(time)}: ways are {kept}; older ones may lie in a folder, see load_state")
        return time

    def _keys(self, start: float, end: float) -> Keys:
        chunks = [chunk for chunk in (*self._history.chunks, self._open) if chunk.start <= end and chunk.end >= start]
        return Keys.of(chunks or [self._open], self._taken_back)

    def _chunks_back(self, time: float) -> Iterator[Chunk]:
        """The chunk of a time, and those before it."""
        yield from (chunk for chunk in (self._open, *reversed(self._history.chunks)) if chunk.start <= time)

    # ---- numbers

    @cached_property
    def _told(self) -> list[Event]:
        return [event for chunk in (*self._history.chunks, self._open) for event in chunk.events]

    @cached_property
    def _events(self) -> list[Event]:
        return sorted((event for event in self._told if event.kind in SAID), key=lambda event: event.time)

    @cached_property
    def _taken_back(self) -> list[Event]:
        return [event for event in self._events if np.isfinite(event.since)]

    @cached_property
    def _renamed(self) -> dict[int, tuple[int, Event]]:
        """What each number that is no more became."""
        renamed: dict[int, tuple[int, Event]] = {}
        for event in self._events:
            for other in event.others:
                if event.kind in ("recognised", "merged"):
                    renamed[other] = (event.number, event)
                else:
                    renamed.pop(other, None)
        return renamed

    def _became(self, number: int) -> tuple[int, tuple[str, ...]]:
        """The number that an object has now, and how it came to it."""
        told: list[str] = []
        while number in self._renamed and len(told) <= len(self._renamed):
            after, event = self._renamed[number]
            how = "was recognised as" if event.kind == "recognised" else "turned out to be one with"
            why = f": {event.why}" if event.why else ""
            told.append(f"{number} {how} {after} at {clock(event.time)} (probability {event.probability:.2f}{why})")
            number = after
        return number, tuple(told)

    def _family(self, final: int) -> list[int]:
        """A number and all that became it."""
        return [final, *(number for number in self._renamed if self._became(number)[0] == final)]

    def _not_there(self, asked: int, final: int, mine: list[int], time: float) -> InputError:
        for chunk in (*self._history.chunks, self._open):
            times = Keys.of([chunk], self._taken_back, mine).rows["time"]
            if len(times):
                came = f"it came at {clock(times.min())}"
                return InputError(f"object {asked} was not there yet at {clock(time)}; {came}")
        also = f" (now {final})" if final != asked else ""
        kept = f"ways are kept from {clock(self.start)} on"
        return InputError(f"no object {asked}{also} was there; {kept}, and of objects that were confirmed")

    # ---- answers

    def _place(self, keys: Keys, mine: list[int], final: int, time: float, asked: int = 0) -> Place | None:
        """Where the object of the numbers `mine` was; None where no key tells."""
        found = _best(keys, mine, final, time)
        if found is None:
            return None
        number, before, after = found
        xy, cov, seen = keys.between(before, after, time)
        # a number that ended and is its own again was lost meanwhile
        life = "out_of_sight" if keys.life(before) == "became" and number == final else keys.life(before)
        matrix = np.array([[cov[0], cov[1]], [cov[1], cov[2]]])
        near = after if after is not None and life not in OVER else before
        cameras = near["cameras"] if near["cameras"].any() else keys.last_cameras(number, time)
        return Place(
            object=final,
            asked=asked or final,
            time=time,
            level=self._history.level_names[int(before["level"])],
            xy=(float(xy[0]), float(xy[1])),
            z=float(before["z"]),
            cov=(float(cov[0]), float(cov[1]), float(cov[2])),
            sigma=float(worst_sigma(matrix)),
            label=keys.names[int(before["label"])],
            life=life,
            score=float(before["score"]),
            told=tuple(dict.fromkeys((*self._became(asked or final)[1], *self._became(number)[1]))),
            provenance=self._provenance(cameras, seen, time, int(before["revision"])),
        )

    def _provenance(self, cameras: np.ndarray, seen: float, time: float, revision: int) -> Provenance:
        bits = np.unpackbits(cameras)[: len(self._site.cameras)]
        names = tuple(self._site.cameras[i].name for i in np.flatnonzero(bits))
        return Provenance(names, self._calibration(seen), float(seen), max(float(time - seen), 0.0), revision)

    def _calibration(self, time: float) -> str:
        """The calibration of a position that was made at a time (s)."""
        return next((name for until, name in self._history.earlier if time <= until), self._own_calibration)

    @cached_property
    def _own_calibration(self) -> str:
        return calibration_fingerprint(self._site)

    def _stays(self, keys: Keys, place: MapPlace, start: float, end: float) -> list[Stay]:
        level, every_s = self._site.site_map.level_index[place.level], self._history.options.every_s
        steps = keys.steps_near(place.polygon.bounds, level, start, end)
        finals = np.array([self._became(number)[0] for number in keys.rows["number"][steps].tolist()], dtype=int)
        found = []
        for final in np.unique(finals).tolist():
            mine = steps[finals == final]
            also = sorted(set(keys.rows["number"][mine].tolist()) - {final})
            for one in stays_inside(keys, mine, place.polygon, (start, end), every_s):
                stay = Stay(
                    object=final,
                    place=place.name,
                    start=one.start,
                    end=one.end,
                    from_before=one.start <= start,
                    goes_on=one.end >= end - every_s,
                    depth=one.depth,
                    sigma=one.sigma,
                    life=one.life,
                    label=one.label,
                    also=tuple(also),
                    provenance=self._provenance(one.cameras, one.seen, one.end, one.revision),
                )
                found.append(stay)
        return found

    def _places(self, name: str) -> list[MapPlace]:
        """The stall, the zones or the level of a name."""
        site_map = self._site.site_map
        found = [place for place in (*site_map.stalls, *site_map.zones) if place.name == name]
        if found:
            return found
        if name in site_map.level_index:
            surfaces = [surface.polygon for surface in site_map.level(name).surfaces]
            endless = any(polygon.is_empty for polygon in surfaces)
            whole = shapely.box(-1e5, -1e5, 1e5, 1e5) if endless else shapely.union_all(surfaces)
            return [MapPlace(name, name, whole, "level")]
        known = [place.name for place in (*site_map.stalls, *site_map.zones)] + list(site_map.level_index)
        raise unknown_name("zone, stall or level", name, known, f"site {self._site.name!r}")

    def _counts(self, places: tuple[MapPlace, ...], there: tuple[Place, ...]) -> list[PlaceCount]:
        """Who of those that are `there` is in which place."""
        level_index = self._site.site_map.level_index
        numbers = np.array([one.object for one in there], dtype=int)
        level = np.array([level_index[one.level] for one in there], dtype=int)
        points = shapely.points(np.array([one.xy for one in there], float).reshape(-1, 2))
        middles = np.array([place.polygon.centroid.coords[0] for place in places], float).reshape(-1, 2)
        levels = np.array([level_index[place.level] for place in places], dtype=int)
        watched = self._site.visibility.seen_by(levels, middles).any(axis=1)
        found = []
        for place, seen in zip(places, np.atleast_1d(watched), strict=True):
            inside = shapely.covers(place.polygon, points) & (level == level_index[place.level])
            found.append(PlaceCount(place.name, place.kind, place.level, tuple(numbers[inside].tolist()), bool(seen)))
        return found

    def _watching(self, place: MapPlace) -> tuple[str, ...]:
        """The cameras that see the middle of a place."""
        level = np.array([self._site.site_map.level_index[place.level]])
        seen = self._site.visibility.seen_by(level, shapely.get_coordinates(place.polygon.centroid))[0]
        return tuple(self._site.cameras[i].name for i in np.flatnonzero(seen))


def _best(keys: Keys, mine: list[int], final: int, time: float) -> tuple[int, np.void, np.void | None] | None:
    """Of the numbers that one object had: the one that it went by at a time, and its keys around that."""
    best, chosen = None, (-1, -np.inf, False)
    for number in mine:
        before, after = keys.around(number, time)
        if before is None:
            continue
        over = keys.life(before) in OVER
        # what is there goes before what is over, of those what was over last
        rank = (0, float(before["time"]), number == final) if over else (1, 0.0, number == final)
        if rank > chosen:
            best, chosen = (number, before, after), rank
    return best


def clock(time: float) -> str:
    """A time for people: 2024-06-07 10:02:11.5 UTC."""
    if not np.isfinite(time) or abs(time) > 1e11:
        return f"{time} s"
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-5] + " UTC"
