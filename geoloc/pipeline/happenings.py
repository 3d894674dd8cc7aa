"""What happens on a site besides identities: who enters, leaves, parks, changes level; which camera or clock is off.

It is worked out with the tracks, window by window, from what is reported of them and its covariance alone, and it is
a part of the engine's state: a late packet that changes a window changes what happened there, a restart forgets
nothing. Zones have a hysteresis in probability, so that an object on a border neither enters nor leaves all the time.
"""

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import shapely
from scipy.special import ndtr

from geoloc.geometry.gaussian import worst_sigma
from geoloc.options import check_range
from geoloc.pipeline.clocks import Clocks
from geoloc.pipeline.footprint import Footprint
from geoloc.pipeline.identity import Identities
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.packed import level_rows
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Place
from geoloc.scene.tables import GroundPoints, Tracks

STANDS = ("parked", "hidden")
ENTRANCE = "entrance"  # kind of a zone through which objects come
REACH = 4.0  # sigmas from a zone's border beyond which nothing is asked
CLOCK_SIGMAS = 4.0  # that a clock must be off by
CALM = 0.5  # of the alarm's threshold, below which a clock is right again


@dataclass(frozen=True)
class HappeningOptions:
    """How sure an event is to be, and how often is looked."""

    sure: float = 0.9  # probability of being inside from which on an object has entered; of outside: has left
    every_s: float = 0.5  # windows closer than this to the last one looked at are passed over
    check_s: float = 30.0  # between two looks at clocks and cameras; 0: never
    clock_s: float = 0.25  # s by which a clock is off before it is told
    false_alarms: float = 1e-6  # chance at each look that a camera is said to have moved though none has

    def __post_init__(self) -> None:
        check_range(self, sure=(0.5, 0.9999), every_s=(0, 3600), check_s=(0, 1e9), clock_s=(1e-3, 3600))
        check_range(self, false_alarms=(1e-12, 0.5))


class _Known(NamedTuple):
    """What was told of an object last."""

    level: str
    zones: frozenset[str]
    stands: bool
    stall: str


class Happenings:
    """Adds events to a lineage. `note` each window, then `look_at_cameras`."""

    def __init__(self, site: Site, options: HappeningOptions | None = None) -> None:
        self.options = options or HappeningOptions()
        self._site = site
        self._known: dict[int, _Known] = {}
        self._off: tuple[str, ...] = ()  # cameras whose clocks were told to be off
        self._moved: tuple[str, ...] = ()
        self._time = self._checked = -np.inf  # s, of the last looks
        self._n_events = 0  # of the lineage's

    def __deepcopy__(self, memo: dict[int, object]) -> "Happenings":
        """What is known of an object is replaced, never changed in place."""
        other = copy(self)
        other._known = self._known.copy()
        return other

    # ---- objects

    def note(self, time: float, tracks: Tracks, points: GroundPoints, identities: Identities) -> None:
        """Take in the window at `time` (s): its tracks and points."""
        if time - self._time < self.options.every_s - 1e-6:
            return
        self._time = time
        lineage = identities.lineage
        self._rename(lineage.since(self._n_events))
        sure = tracks.take(_are_sure(tracks))
        told = self._changes(time, sure, identities)
        objects = dict(zip(sure.track.tolist(), sure.object.tolist(), strict=True)) if told else {}
        for number in sorted(self._known.keys() - set(sure.track.tolist())):
            told += self._end(time, number)
        names, camera = points.coded("camera")
        for event in told:
            seen = np.unique(camera[points.object == objects.get(event.number, -1)]).tolist()
            lineage.add(replace(event, cameras=tuple(sorted(names[k] for k in seen))))
        self._n_events = lineage.n_events

    def _rename(self, events: list[Event]) -> None:
        """Numbers that became others take along what was told of them."""
        for event in events:
            other = event.others[0] if event.others else 0
            if event.kind in ("recognised", "merged") and other in self._known:
                mine = self._known.pop(other)
                self._known.setdefault(event.number, mine)
            elif event.kind == "exchanged":
                pair = self._known.pop(event.number, None), self._known.pop(other, None)
                self._known |= {n: one for n, one in zip((other, event.number), pair, strict=True) if one is not None}

    def _inside(self, tracks: Tracks) -> np.ndarray:
        """Probability (N, Z) that each object is in each zone: by its depth in sigmas, one border at a time."""
        zones, n = self._site.site_map.zones, len(tracks)
        found = np.zeros((n, len(zones)))
        if not n:
            return found
        sigma, x, y = worst_sigma(tracks.position_cov), tracks.xy[:, 0], tracks.xy[:, 1]
        level = level_rows(self._site.site_map, tracks.coded("level"))
        for k, zone in enumerate(zones):
            left, low, right, high = zone.polygon.bounds
            far = np.maximum.reduce([left - x, x - right, low - y, y - high]) > REACH * sigma
            rows = np.flatnonzero(~far & (level == self._site.site_map.level_index[zone.level]))
            if len(rows):
                found[rows, k] = ndtr(_depth(zone, tracks.xy[rows]) / np.maximum(sigma[rows], 1e-6))
        return found

    def _changes(self, time: float, tracks: Tracks, identities: Identities) -> list[Event]:
        """What objects do otherwise than was told of them."""
        inside, told = self._inside(tracks), list[Event]()
        columns = (tracks.track.tolist(), tracks.level.tolist(), tracks.life.tolist(), inside)
        for row, (number, level, life, chances) in enumerate(zip(*columns, strict=True)):
            before = self._known.get(number)
            stands, stall = life in STANDS, before.stall if before is not None else ""
            if stands and (before is None or not before.stands):
                stall = self._stall_at(level, tracks.xy[row])
            now = _Known(level, self._zones_of(chances, before), stands, stall if stands else "")
            if before != now:
                self._known[number] = now
                told += self._told(time, tracks.take(slice(row, row + 1)), before, chances, identities)
        return told

    def _told(
        self, time: float, track: Tracks, before: _Known | None, inside: np.ndarray, identities: Identities
    ) -> list[Event]:
        """The events of one object, by its row and the probabilities (Z,) of zones."""
        number, level = int(track.track[0]), str(track.level[0])
        now, score = self._known[number], float(np.clip(track.score[0], 0.0, 1.0))
        said: list[tuple[str, str, float, str]] = []
        if before is None and self._came_in(track, identities):
            said.append(("arrived", self._entrance(now.zones), score, ""))
        if before is not None and before.level != level:
            said.append(("changed_level", level, score, f"from {before.level}"))
        said += self._borders(before, now.zones, inside)
        if before is not None and before.stands and not now.stands:
            said.append(("unparked", before.stall, score, ""))
        if now.stands and (before is None or not before.stands):
            said.append(("parked", now.stall, score, ""))
        xy, sigma = (float(track.xy[0, 0]), float(track.xy[0, 1])), float(worst_sigma(track.position_cov[0]))
        return [
            Event(time, kind, number, probability=sure, why=why, place=place, level=level, xy=xy, sigma=sigma)
            for kind, place, sure, why in said
        ]

    def _came_in(self, track: Tracks, identities: Identities) -> bool:
        level = self._site.site_map.level_rows(track.level)
        return bool(identities.recognition.costs.is_near(ENTRANCE, level, track.xy).any())

    def _zones_of(self, inside: np.ndarray, before: _Known | None) -> frozenset[str]:
        """The zones that an object is in, by the probabilities (Z,) and by where it was."""
        sure = self.options.sure
        if before is None and not (inside >= sure).any():
            return frozenset()
        held = before.zones if before is not None else frozenset()
        names = (zone.name for zone in self._site.site_map.zones)
        chances = zip(names, inside.tolist(), strict=True)
        return frozenset(name for name, p in chances if p >= sure or (name in held and p > 1.0 - sure))

    def _borders(
        self, before: _Known | None, zones: frozenset[str], inside: np.ndarray
    ) -> list[tuple[str, str, float, str]]:
        held = before.zones if before is not None else frozenset()
        chance = {zone.name: p for zone, p in zip(self._site.site_map.zones, inside.tolist(), strict=True)}
        left = [("left", name, 1.0 - chance[name], "") for name in sorted(held - zones)]
        why = "was first seen there" if before is None else ""
        return left + [("entered", name, chance[name], why) for name in sorted(zones - held)]

    def _end(self, time: float, number: int) -> list[Event]:
        """An object that is not there any more is in no place any more either."""
        before = self._known.pop(number)
        why = "it is out of sight, or has gone"
        stood = [Event(time, "unparked", number, place=before.stall, level=before.level, why=why)] * before.stands
        left = [Event(time, "left", number, place=name, level=before.level, why=why) for name in sorted(before.zones)]
        return stood + left

    def _stall_at(self, level: str, xy: np.ndarray) -> str:
        names, polygons = self._stalls.get(level, ([], []))
        here = np.flatnonzero(shapely.contains_xy(polygons, *xy)).tolist() if names else []
        return names[here[0]] if len(here) else ""

    @cached_property
    def _stalls(self) -> dict[str, tuple[list[str], list[shapely.Polygon]]]:
        """Names and outlines of the stalls of each level."""
        found: dict[str, tuple[list[str], list[shapely.Polygon]]] = {}
        for stall in self._site.site_map.stalls:
            names, polygons = found.setdefault(stall.level, ([], []))
            names.append(stall.name)
            polygons.append(stall.polygon)
        return found

    def _entrance(self, zones: frozenset[str]) -> str:
        return next((one.name for one in self._site.site_map.zones if one.kind == ENTRANCE and one.name in zones), "")

    # ---- cameras

    def look_at_cameras(self, time: float, clocks: Clocks, footprint: Footprint, lineage: Lineage) -> None:
        """Now and then: whether a clock is off by more than it should, or a camera no longer fits the others."""
        if not self.options.check_s or time - self._checked < self.options.check_s:
            return
        first, self._checked = np.isinf(self._checked), time
        if first:
            return
        for event in (*self._clocks(time, clocks), *self._cameras(time, footprint)):
            lineage.add(event)

    def _clocks(self, time: float, clocks: Clocks) -> list[Event]:
        told: list[Event] = []
        for one in clocks.report() if clocks.active else []:
            far, was = abs(one.offset), one.camera in self._off
            if not was and far > self.options.clock_s and far > CLOCK_SIGMAS * one.sigma:
                self._off = (*self._off, one.camera)
                why = f"{far:.2f} s {'ahead' if one.offset > 0 else 'late'}"
                told.append(_of_camera(time, "clock_off", one.camera, float(ndtr(far / one.sigma)), why, one.sigma))
            elif was and far < CALM * self.options.clock_s:
                self._off = tuple(name for name in self._off if name != one.camera)
                told.append(_of_camera(time, "clock_right", one.camera, 1.0, f"{one.offset:+.2f} s", one.sigma))
        return told

    def _cameras(self, time: float, footprint: Footprint) -> list[Event]:
        """Cameras that have moved since the last look: told once each, until they fit again."""
        from geoloc.pipeline.moved_cameras import MovedOptions, moved_cameras

        told: list[Event] = []
        rows = moved_cameras(self._site, footprint, MovedOptions(false_alarms=self.options.false_alarms))
        for one in rows:
            if one.moved and one.camera not in self._moved:
                away, sigma = float(np.hypot(*one.shift)), float(max(one.sigma))
                why = f"{away:.1f} m off what the others see"
                told.append(_of_camera(time, "camera_moved", one.camera, 1.0 - one.chance, why, sigma))
        self._moved = tuple(sorted(one.camera for one in rows if one.moved))
        return told


def _of_camera(time: float, kind: str, camera: str, sure: float, why: str, sigma: float = np.inf) -> Event:
    return Event(time, kind, 0, probability=sure, why=why, cameras=(camera,), sigma=float(sigma))


def _depth(zone: Place, xy: np.ndarray) -> np.ndarray:
    """How far (N,) m inside of a zone's border points (N, 2) lie; negative: outside."""
    away = shapely.distance(zone.polygon.boundary, shapely.points(xy))
    return np.where(shapely.contains_xy(zone.polygon, xy[:, 0], xy[:, 1]), away, -away)


def _are_sure(tracks: Tracks) -> np.ndarray:
    """Which rows (N,) are objects for sure; where a life does not say, the state of the track does."""
    return np.where(tracks.life != "", tracks.life, tracks.state) != "tentative"
