"""MEVA: stalls learned from where vehicles stood, and vehicles that stop and drive off, against what is annotated."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.evaluation.measures import Blocks, of_mean, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.files import read_columns
from geoloc.geometry.gaussian import worst_sigma
from geoloc.io.meva import meva_slots, read_meva
from geoloc.perception.rules import Rule
from geoloc.perception.rules_run import RuleEvent, run_rules
from geoloc.perception.tracks_layout import LayoutLearner, LayoutOptions
from geoloc.perception.tracks_trails import TrailOptions
from geoloc.scene.kinds import family_of
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Place
from geoloc.scene.tables import Tracks
from recordings.engine import run_online
from recordings.figures import Part
from recordings.meva import EVERY_S, OPTIONS, PROTOCOL

# boxes exist only while an activity lasts, and one camera knows a vehicle's place to 2 or 3 m
ANYWAY = LayoutOptions(trails=TrailOptions(stands_s=5.0, vague=10.0))
STOPS, STARTS = "vehicle_stops", "vehicle_starts"
WITHIN_S = 5.0  # of an annotated event
WITHIN_M = 8.0  # and of its place: three sigmas of a track's
AT_STALL = 4.0  # m from an annotated place to a stall's middle
SHIFT_S = 30.0  # of the control
APART_S, APART_TRACKS = 1e5, 100_000  # one slot from the next
# what annotators call a stop may last a second
STOPPED = Rule("stands", "stopped", use="anywhere", speed=1.0, on=0.7, for_s=0.4, clears_s=0.6)
OF_STALLS = (Rule("taken", "stall_taken"), Rule("left", "stall_left"))
SAID = f"{PROTOCOL}; rule `stopped` over the whole site, 1 m/s, on at 0.7; within {WITHIN_S:g} s and {WITHIN_M:g} m"


@dataclass(frozen=True, eq=False)
class Annotated:
    """Stops and departures that annotators drew, as each camera saw them: T events with times (s) and places (m)."""

    stops: np.ndarray  # (T,) bool; else it starts
    time: np.ndarray
    xy: np.ndarray


@dataclass(frozen=True, eq=False)
class Slot:
    """One slot's site, tracks and truth."""

    site: Site
    tracks: Tracks
    truth: Annotated


def run(folder: Path) -> list[Figure]:
    """Stalls that were learned, how many annotated events were found, how many at stalls, and the control."""
    names = meva_slots(folder)
    if not names:
        raise InputError(f"{folder}: no slot in its folder tracks; there is nothing to run")
    slots = [_slot(folder, name) for name in names]
    part = Part("meva_parking", f"{len(names)} slots from {names[0]} to {names[-1]}", float("nan"))
    return [*_learned(part, slots), *_events(part, slots), *_at_stalls(part, slots)]


def _slot(folder: Path, name: str) -> Slot:
    site, detections = read_meva(folder, name, every_s=EVERY_S)
    return Slot(site, run_online(detections, site, OPTIONS).tracks, read_annotated(folder, name))


def read_annotated(folder: Path, slot: str) -> Annotated:
    """A slot's stops and departures whose place is known."""
    read = read_columns(folder / "tracks" / "parking_events.csv")
    columns = {name: np.array(values) for name, values in read.items()}
    mine = (columns["slot"] == slot) & np.isin(columns["event"], [STOPS, STARTS])
    mine &= (columns["x"] != "") & (columns["y"] != "")
    xy = np.column_stack([columns["x"][mine], columns["y"][mine]]).astype(float)
    return Annotated(columns["event"][mine] == STOPS, columns["time_s"][mine].astype(float), xy)


def learn(slots: list[Slot], options: LayoutOptions) -> LayoutLearner:
    """What the tracks of slots tell together, one slot after the other."""
    learner = LayoutLearner(slots[0].site, options)
    for i, slot in enumerate(slots):
        tracks = slot.tracks
        learner.observe(tracks.replace(time=tracks.time + i * APART_S, track=tracks.track + i * APART_TRACKS))
    return learner


def _learned(part: Part, slots: list[Slot]) -> list[Figure]:
    tracks = Tracks.concat([slot.tracks for slot in slots])
    vehicles = tracks.take(np.array([family_of(label) == "vehicle" for label in tracks.label.tolist()], bool))
    sigma = float(np.median(worst_sigma(vehicles.position_cov)))
    found, anyway = (learn(slots, options).stalls() for options in (LayoutOptions(), ANYWAY))
    said, sure = f"{PROTOCOL}; places within 10 m, stays of 5 s", f"{PROTOCOL}; default: places within 0.8 m, 30 s"
    figures = [
        part.figure("vehicle_sigma_median", sigma, "m", f"{PROTOCOL}; as tracks state it, in its worst direction"),
        part.figure("stalls_learned", len(found), "", sure),
    ]
    figures.append(part.figure("stalls_learned_anyway", len(anyway), "", said))
    if anyway:
        figures.append(part.figure("stall_sigma_median", float(np.median([s.sigma for s in anyway])), "m", said))
    return figures


def _events(part: Part, slots: list[Slot]) -> list[Figure]:
    """Of annotated stops and departures those that the engine told, of its own those that are annotated."""
    figures, told = [], [stands(slot.site, slot.tracks) for slot in slots]
    for name, stops in (("stops", True), ("starts", False)):
        late, right, by_chance = [], [], []
        for slot, events in zip(slots, told, strict=True):
            mine = slot.truth.stops == stops
            time, xy = slot.truth.time[mine], slot.truth.xy[mine]
            when = np.array([event.start if stops else event.end for event in events])
            where = np.array([event.xy for event in events]).reshape(-1, 2)
            known = np.isfinite(when)  # what stands to the end has not left
            late.append(_nearest(time, xy, when[known], where[known]))
            right.append(_nearest(when[known], where[known], time, xy))
            by_chance.append(_nearest(time + SHIFT_S, xy, when[known], where[known]))
        off, n_told = np.concatenate(late), np.concatenate(right)
        found, n = np.isfinite(off), f"{SAID}; annotated, as each camera saw them"
        figures += _share(part, f"{name}_found", found, n)
        figures += _share(part, f"{name}_by_chance", np.isfinite(np.concatenate(by_chance)), f"{n}; {SHIFT_S:g} s late")
        figures += _share(part, f"{name}_right", np.isfinite(n_told), f"{SAID}; of those that were told")
        if found.any():
            blocks = Blocks(np.arange(found.sum()), int(found.sum()))
            median = of_quantile(f"{name}_off_median", "s", SAID, np.abs(off[found]), blocks)
            figures.append(part.measured(median, "events"))
    return figures


def _at_stalls(part: Part, slots: list[Slot]) -> list[Figure]:
    """Annotated events of each slot at stalls learned from the others, and what rules told of those stalls."""
    at, told, right = [], 0, 0
    for i, slot in enumerate(slots):
        learner = learn([*slots[:i], *slots[i + 1 :]], ANYWAY)
        site_map = learner.layout().accepted(slot.site.site_map, 0.5)
        middle = shapely.get_coordinates([stall.polygon.centroid for stall in site_map.stalls]).reshape(-1, 2)
        apart = np.linalg.norm(slot.truth.xy[:, None] - middle, axis=2)
        at.append(apart.min(axis=1, initial=np.inf) <= AT_STALL)
        if not len(middle):
            continue
        for event in run_rules(replace(slot.site, site_map=site_map), slot.tracks, OF_STALLS):
            mine = slot.truth.stops == (event.kind == "stall_taken")
            near = _nearest(np.array([event.start]), np.array([event.xy]), slot.truth.time[mine], slot.truth.xy[mine])
            told, right = told + 1, right + int(np.isfinite(near[0]))
    known = f"{PROTOCOL}; stalls learned anyway, from the five other slots"
    within = f"{known}; annotated stops and departures within {AT_STALL:g} m of one's middle"
    annotated = f"{known}; of those, annotated within {WITHIN_S:g} s and {WITHIN_M:g} m"
    return [
        *_share(part, "events_at_stalls", np.concatenate(at), within),
        part.figure("stall_events_told", told, "", f"{known}; rules stall_taken and stall_left"),
        part.figure("stall_events_right", right, "", annotated),
    ]


def stands(site: Site, tracks: Tracks) -> list[RuleEvent]:
    """Every vehicle that stood, from when to when."""
    bounds = shapely.box(*(tracks.xy.min(axis=0) - 10.0), *(tracks.xy.max(axis=0) + 10.0))
    anywhere = Place("anywhere", site.site_map.levels[0].name, bounds, "anywhere")
    return run_rules(replace(site, site_map=replace(site.site_map, zones=(anywhere,))), tracks, (STOPPED,))


def _nearest(time: np.ndarray, xy: np.ndarray, others: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Time (T,) s to the nearest of other events within `WITHIN_S` and `WITHIN_M`; NaN: there is none."""
    if not len(time) or not len(others):
        return np.full(len(time), np.nan)
    late = others - time[:, None]
    near = (np.abs(late) <= WITHIN_S) & (np.linalg.norm(places - xy[:, None], axis=2) <= WITHIN_M)
    best = np.where(near, np.abs(late), np.inf).argmin(axis=1)
    rows = np.arange(len(time))
    return np.where(near[rows, best], late[rows, best], np.nan)


def _share(part: Part, name: str, hit: np.ndarray, said: str) -> list[Figure]:
    """A share of events with its interval; nothing where there are none."""
    if not len(hit):
        return []
    said, blocks = f"{said}; {int(hit.sum())} of {len(hit)}", Blocks(np.arange(len(hit)), len(hit))
    return [part.measured(of_mean(name, "%", said, hit.astype(float), blocks, 100), "events")]
