"""Rules over tracks as they come: events with their probability, and what they rest on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from scipy.special import ndtr

from geoloc.perception.context_chance import (
    at_least,
    faster_along_probability,
    inside_probability,
    slower_probability,
    spread_points,
)
from geoloc.perception.context_occupancy import Change, OccupancyOptions, StallOccupancy
from geoloc.perception.rules import Rule
from geoloc.scene.kinds import family_of
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Place
from geoloc.scene.tables import Tracks

FORGET_S = 60.0  # s after which what is not seen any more is forgotten


@dataclass(frozen=True)
class RuleEvent:
    """What happened by a rule, from when to when (NaN: it goes on), where, and how sure that is.

    `tracks` are those that it rests on, `cameras` those that see the place, `sigma` (m) the worst position's.
    """

    rule: str
    kind: str
    start: float
    end: float
    place: str
    level: str
    xy: tuple[float, float]
    probability: float
    tracks: tuple[int, ...]
    cameras: tuple[str, ...]
    sigma: float


@dataclass(frozen=True, eq=False)
class Moment:
    """The tracks of one time, their sums of covariances and families; what rules ask is worked out once."""

    time: float
    tracks: Tracks
    cov: np.ndarray
    family: np.ndarray
    known: dict[tuple[str, object], np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, tracks: Tracks, time: float) -> "Moment":
        """Without what is only tentative."""
        tracks = tracks.take(np.flatnonzero((tracks.state != "tentative") & np.isfinite(tracks.xy).all(axis=1)))
        family = np.array([family_of(label) for label in tracks.label.tolist()], dtype="U32")
        return cls(time, tracks, tracks.position_cov, family)

    def inside(self, zone: Place) -> np.ndarray:
        """Probability (N,) that each is in a zone."""
        key = ("inside", id(zone))
        if key not in self.known:
            p = inside_probability(zone.polygon, self.tracks.xy, self.cov)
            self.known[key] = p * (self.tracks.level == zone.level) * self.tracks.level_probability
        return self.known[key]

    def slower(self, speed: float) -> np.ndarray:
        """Probability (N,) that each is slower than so many m/s."""
        key = ("slower", speed)
        if key not in self.known:
            self.known[key] = slower_probability(self.tracks.velocity, self.tracks.cov[:, 2:, 2:], speed)
        return self.known[key]


@dataclass
class _Case:
    """One rule about one thing: since when its probability is high, whether an event is on, and of what."""

    high_since: float = np.nan
    low_since: float = np.nan
    last: float = -np.inf
    event: RuleEvent | None = None


@dataclass(frozen=True, eq=False)
class Claim:
    """That a rule holds of something now: its key, probability, place, and the rows of the tracks it rests on."""

    key: tuple[object, ...]
    probability: float
    place: str
    rows: np.ndarray


class RuleRunner:
    """Rules of one site with a life: feed it the tracks of each time, get what begins and ends."""

    def __init__(self, site: Site, rules: tuple[Rule, ...], occupancy: OccupancyOptions | None = None) -> None:
        self.site, self.rules = site, rules
        self.zones = {rule.name: rule.zones(site.site_map) for rule in rules if rule.zone or rule.use}
        of_stalls = [rule for rule in rules if rule.kind in ("stall_taken", "stall_left", "overstay")]
        self.stalls = {rule.name: set(rule.stalls(site.site_map)) for rule in of_stalls}
        self.occupancy = StallOccupancy(site, occupancy)
        self._taken_since: dict[int, float] = {}
        self._cases: dict[tuple[str, tuple[object, ...]], _Case] = {}
        self._passed: dict[tuple[str, str], tuple[float, float, int]] = {}  # of a gate: when, sigma s, whose
        self._side: dict[tuple[str, str, int], tuple[float, float]] = {}  # of a track at a gate: time, m past it

    def update(self, tracks: Tracks, time: float) -> list[RuleEvent]:
        """Events that begin (their end is NaN) or end now."""
        now = Moment.of(tracks, time)
        changes = self.occupancy.update(now.tracks, time) if self.stalls else []
        events: list[RuleEvent] = []
        for rule in self.rules:
            if rule.kind in ("stall_taken", "stall_left"):
                events += self._stall_events(rule, changes)
            elif rule.kind == "tailgating":
                events += self._tailgating(rule, now)
            else:
                claims = list(CLAIMS[rule.kind](self, rule, now))
                events += self._settle(rule, claims, now)
        for change in changes:
            if change.taken:
                self._taken_since[change.stall] = change.time
            else:
                self._taken_since.pop(change.stall, None)
        return events

    def going_on(self) -> list[RuleEvent]:
        """Events that have begun and not ended."""
        return [case.event for case in self._cases.values() if case.event is not None]

    def taken_since(self, stall: int) -> float:
        """Since when a stall is taken; NaN: it is not, or was before anything was seen."""
        return self._taken_since.get(stall, np.nan)

    def _settle(self, rule: Rule, claims: list[Claim], now: Moment) -> Iterator[RuleEvent]:
        """Hysteresis: an event begins and ends only when its probability has been clear for long enough."""
        told = {claim.key: claim for claim in claims}
        for key in {key for name, key in self._cases if name == rule.name} | set(told):
            case = self._cases.setdefault((rule.name, key), _Case())
            claim = told.get(key)
            p = claim.probability if claim else 0.0
            case.high_since = (now.time if np.isnan(case.high_since) else case.high_since) if p >= rule.on else np.nan
            case.low_since = (now.time if np.isnan(case.low_since) else case.low_since) if p <= rule.off else np.nan
            if claim and case.event is None and now.time - case.high_since >= rule.for_s:
                case.event = self._event(rule, claim, now, case.high_since)
                yield case.event
            elif case.event is not None and now.time - case.low_since >= rule.clears_s:
                ended, case.event = case.event, None
                yield _ended(ended, case.low_since)
            if p > rule.off:
                case.last = now.time
            elif case.event is None and now.time - case.last > FORGET_S:
                del self._cases[rule.name, key]

    def _event(self, rule: Rule, claim: Claim, now: Moment, start: float) -> RuleEvent:
        rows = claim.rows
        xy = now.tracks.xy[rows].mean(axis=0)
        level = str(now.tracks.level[rows[0]])
        sigma = float(np.sqrt(np.linalg.eigvalsh(now.cov[rows])[:, -1]).max())
        tracks = tuple(sorted(now.tracks.track[rows].tolist()))
        return self._said(rule, start, claim.place, level, xy, claim.probability, tracks, sigma)

    def _said(
        self, rule: Rule, start: float, place: str, level: str, xy: np.ndarray, probability: float,
        tracks: tuple[int, ...], sigma: float,
    ) -> RuleEvent:  # fmt: skip
        cameras: tuple[str, ...] = ()
        if self.site.cameras:
            sees = self.site.visibility.seen_by(self.site.site_map.level_rows(np.array([level])), xy[None])[0]
            cameras = tuple(camera.name for camera, seen in zip(self.site.cameras, sees.tolist(), strict=True) if seen)
        what, at = (rule.name, rule.kind, start, np.nan), (float(xy[0]), float(xy[1]))
        return RuleEvent(*what, place, level, at, probability, tracks, cameras, sigma)

    def _stall_events(self, rule: Rule, changes: list[Change]) -> Iterator[RuleEvent]:
        for change in changes:
            if change.stall in self.stalls[rule.name] and change.taken == (rule.kind == "stall_taken"):
                stall = self.site.site_map.stalls[change.stall]
                tracks = (change.track,) if change.track >= 0 else ()
                if change.probability >= rule.on:
                    xy = shapely.get_coordinates(stall.polygon.centroid)[0]
                    said = self._said(
                        rule, change.time, stall.name, stall.level, xy, change.probability, tracks, change.sigma
                    )
                    yield _ended(said, change.time)

    def _tailgating(self, rule: Rule, now: Moment) -> Iterator[RuleEvent]:
        """Passages of a gate's middle, each at a time with its sigma; two of them nearer than `within_s`."""
        for zone in self.zones[rule.name]:
            middle = shapely.get_coordinates(zone.polygon.centroid)[0]
            ahead = np.array([np.cos(zone.direction), np.sin(zone.direction)]) if np.isfinite(zone.direction) else None
            near = np.flatnonzero((now.family == "vehicle") & (now.inside(zone) > 0.2))
            for row in near.tolist():
                velocity = now.tracks.velocity[row]
                speed = float(np.hypot(*velocity))
                if speed < 0.3:
                    continue
                axis = ahead if ahead is not None else velocity / speed
                past = float((now.tracks.xy[row] - middle) @ axis)
                key = (rule.name, zone.name, int(now.tracks.track[row]))
                before = self._side.get(key)
                self._side[key] = (now.time, past)
                if before is None or not before[1] < 0 <= past or now.time - before[0] > 2.0:
                    continue
                when = now.time - past / max(float(velocity @ axis), 0.3)
                sigma_s = float(np.sqrt(axis @ now.cov[row] @ axis)) / speed
                yield from self._after_another(rule, zone, now, row, when, sigma_s)

    def _after_another(
        self, rule: Rule, zone: Place, now: Moment, row: int, when: float, sigma_s: float
    ) -> Iterator[RuleEvent]:
        gate, number = (rule.name, zone.name), int(now.tracks.track[row])
        last = self._passed.get(gate)
        self._passed[gate] = (when, sigma_s, number)
        if last is None or last[2] == number:
            return
        spread = float(np.hypot(sigma_s, last[1]))
        p = float(ndtr((rule.within_s - (when - last[0])) / max(spread, 1e-6)))
        if p >= rule.on:
            sigma = float(np.sqrt(np.linalg.eigvalsh(now.cov[row])[-1]))
            tracks = tuple(sorted((last[2], number)))
            yield _ended(self._said(rule, last[0], zone.name, zone.level, now.tracks.xy[row], p, tracks, sigma), when)


def run_rules(site: Site, tracks: Tracks, rules: tuple[Rule, ...]) -> list[RuleEvent]:
    """All events of a recording, in order of their start; those that had not ended have no end."""
    runner, events = RuleRunner(site, rules), []
    tracks = tracks.take(np.argsort(tracks.time, kind="stable"))
    starts = np.flatnonzero(np.diff(tracks.time, prepend=-np.inf) > 0)
    for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(tracks)], strict=True):
        found = runner.update(tracks.take(slice(a, b)), float(tracks.time[a]))
        events += [event for event in found if not np.isnan(event.end)]
    return sorted([*events, *runner.going_on()], key=lambda event: (event.start, event.rule, event.tracks))


def _ended(event: RuleEvent, end: float) -> RuleEvent:
    return replace(event, end=end)


def _queue(runner: RuleRunner, rule: Rule, now: Moment) -> Iterator[Claim]:
    for zone in runner.zones[rule.name]:
        p = np.where(now.family == "vehicle", now.inside(zone) * now.slower(rule.speed), 0.0)
        rows = np.flatnonzero(p > 0.1)
        if len(rows) >= rule.at_least:
            yield Claim((zone.name,), at_least(rule.at_least, p[rows]), zone.name, rows)


def _wrong_way(runner: RuleRunner, rule: Rule, now: Moment) -> Iterator[Claim]:
    for zone in runner.zones[rule.name]:
        if np.isnan(zone.direction):
            continue
        inside = np.where(now.family == "vehicle", now.inside(zone), 0.0)
        rows = np.flatnonzero(inside > 0.1)
        against = np.tile([-np.cos(zone.direction), -np.sin(zone.direction)], (len(rows), 1))
        cov = now.tracks.cov[rows, 2:, 2:]
        p = inside[rows] * faster_along_probability(now.tracks.velocity[rows], cov, against, rule.speed)
        for row, probability in zip(rows.tolist(), p.tolist(), strict=True):
            yield Claim((int(now.tracks.track[row]), zone.name), probability, zone.name, np.array([row]))


def _stopped(runner: RuleRunner, rule: Rule, now: Moment) -> Iterator[Claim]:
    for zone in runner.zones[rule.name]:
        p = np.where(now.family == "vehicle", now.inside(zone) * now.slower(rule.speed), 0.0)
        for row in np.flatnonzero(p > 0.1).tolist():
            yield Claim((int(now.tracks.track[row]), zone.name), float(p[row]), zone.name, np.array([row]))


def _present(runner: RuleRunner, rule: Rule, now: Moment) -> Iterator[Claim]:
    mine = (now.family == rule.label) | (now.tracks.label == rule.label)
    for zone in runner.zones[rule.name]:
        p = np.where(mine, now.inside(zone), 0.0)
        for row in np.flatnonzero(p > 0.1).tolist():
            yield Claim((int(now.tracks.track[row]), zone.name), float(p[row]), zone.name, np.array([row]))


def _person_between(runner: RuleRunner, rule: Rule, now: Moment) -> Iterator[Claim]:
    people = np.flatnonzero(now.family == "person")
    vehicles = np.flatnonzero(now.family == "vehicle")
    xy = now.tracks.xy
    for person in people.tolist():
        near = vehicles[(np.hypot(*(xy[vehicles] - xy[person]).T) < rule.gap + 1.0)]
        near = near[now.tracks.level[near] == now.tracks.level[person]]
        for i, a in enumerate(near.tolist()):
            for b in near[i + 1 :].tolist():
                p = _between(now, person, a, b, rule.gap)
                if p > 0.1:
                    names = (int(now.tracks.track[person]), *sorted(now.tracks.track[[a, b]].tolist()))
                    yield Claim(names, p, f"between {names[1]} and {names[2]}", np.array([person, a, b]))


def _between(now: Moment, person: int, a: int, b: int, gap: float) -> float:
    """Probability that a person is between two vehicles that stand no farther apart than `gap` m."""
    xy, cov = now.tracks.xy, now.cov
    apart = xy[b] - xy[a]
    distance = float(np.hypot(*apart))
    if distance < 0.5:
        return 0.0
    axis = apart / distance
    close = float(ndtr((gap - distance) / np.sqrt(max(axis @ (cov[a] + cov[b]) @ axis, 1e-9))))
    # the gap's own place is the mean of theirs: half of each one's error
    points = spread_points(xy[person][None], (cov[person] + 0.25 * (cov[a] + cov[b]))[None])[0] - xy[a]
    along, across = points @ axis, points @ np.array([-axis[1], axis[0]])
    return close * float(((along > 0.2 * distance) & (along < 0.8 * distance) & (np.abs(across) < 2.3)).mean())


def _overstay(runner: RuleRunner, rule: Rule, now: Moment) -> Iterator[Claim]:
    for stall in sorted(runner.stalls[rule.name]):
        since = runner.taken_since(stall)
        if now.time - since >= rule.longer_s and runner.occupancy.taken[stall]:
            place = runner.site.site_map.stalls[stall]
            rows = np.flatnonzero(now.tracks.track == runner.occupancy.by[stall])
            if len(rows):
                yield Claim((stall,), float(runner.occupancy.probability[stall]), place.name, rows)


CLAIMS: dict[str, Callable[[RuleRunner, Rule, Moment], Iterator[Claim]]] = {
    "queue": _queue,
    "wrong_way": _wrong_way,
    "stopped": _stopped,
    "present": _present,
    "person_between": _person_between,
    "overstay": _overstay,
}
