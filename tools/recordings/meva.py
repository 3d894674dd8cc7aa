"""MEVA: boxes of 7 to 13 fixed cameras of one facility, against pairs of objects known to be one, and GPS."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.controls import shift_clocks
from geoloc.evaluation.measures import Blocks, of_quantile
from geoloc.evaluation.report import Figure
from geoloc.io.meva import meva_slots, read_meva
from geoloc.io.meva_truth import read_meva_gps, read_meva_gps_matches, read_meva_pairs, read_meva_truth
from geoloc.metrics.fixes import distance_to_fixes
from geoloc.metrics.identity_pairs import ObjectPairs, pairs_of_tracks, path_lengths
from geoloc.pipeline.existence import ExistenceOptions
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Tracks
from recordings.engine import Online, linked, run_online
from recordings.figures import Part
from recordings.identity import recall_figure, shift_ratio_figure, sighted_objects, track_of_detections
from recordings.meva_identity import ONE_THING, id_conflicts, kept_by_parked

EVERY_S = 0.2  # boxes are 30 a second
SHIFT_S = 30.0  # camera i of a slot is shifted by i times this in the control
LEAST_PATH = 4.0  # m; objects that moved less do not count in the control
KEPT = 0.99  # share of its windows in which a vehicle that keeps its id has it
GPS_ERROR = 5.0  # m, what the fixes are good to
MAX_GAP_S = 15.0  # between two GPS fixes, which come every 10 s
# boxes exist only while an activity lasts: absence is no evidence
OPTIONS = LocalizerOptions(window_s=EVERY_S, existence=ExistenceOptions(detection_probability=0.0))
PROTOCOL = f"online engine, every {EVERY_S:g} s, absence no evidence, clocks as stated, none searched for"
UNDER_ONE = "a pair is under one id for more than half of the windows that see both"
PAIRS = {"": f"{PROTOCOL}; {UNDER_ONE}", "_linked": f"{PROTOCOL}, then the whole slot linked; {UNDER_ONE}"}


@dataclass(frozen=True, eq=False)
class Slot:
    """What one slot gave: which known pairs were found, how many pairs were made, distances to GPS."""

    found: dict[str, np.ndarray]  # (P,) bool, online and linked, as in PAIRS
    level: np.ndarray  # (P,) of the known pairs
    n_pairs: dict[str, int]  # of moving objects, at the true clocks
    n_shifted: dict[str, int]  # and under shifted ones
    gps_m: np.ndarray  # (M,) median distance of each isolated match; NaN where it has no point near a fix
    conflicts: tuple[int, int]  # ids of a camera and time that are on two objects there, and of how many
    kept: np.ndarray  # (K,) share of its windows in which each parked vehicle had its commonest id


def run(folder: Path) -> list[Figure]:
    """Recall of the known pairs, pairs made by chance, and distance to GPS, over all slots that lie there."""
    names = meva_slots(folder)
    if not names:
        raise InputError(f"{folder}: no slot in its folder tracks; there is nothing to run")
    slots = [_slot(folder, name) for name in names]
    part = Part("meva", f"{len(names)} slots from {names[0]} to {names[-1]}", float("nan"))
    figures = [figure for suffix in PAIRS for figure in _pair_figures(part, slots, suffix)]
    figures += _gps_figures(part, np.concatenate([slot.gps_m for slot in slots]))
    return figures + _lasting_figures(part, slots)


def _pair_figures(part: Part, slots: list[Slot], suffix: str) -> list[Figure]:
    """Recall of the known pairs, and pairs made by chance, online or linked."""
    said, figures = PAIRS[suffix], []
    level = np.concatenate([slot.level for slot in slots])
    found = np.concatenate([slot.found[suffix] for slot in slots])
    for name, kinds in (("identity_recall_ab", ("A", "B")), ("identity_recall_g", ("G",))):
        known = np.isin(level, kinds)
        if known.any():
            figures.append(recall_figure(part, name + suffix, found[known], said))
    shifted, true = (np.array([getattr(slot, name)[suffix] for slot in slots]) for name in ("n_shifted", "n_pairs"))
    control = f"{said}; objects of a path of {LEAST_PATH:g} m and more; camera i shifted by i x {SHIFT_S:g} s"
    figure = shift_ratio_figure(part, shifted, true, control)
    return [*figures, replace(figure, figure=figure.figure + suffix)]


def _lasting_figures(part: Part, slots: list[Slot]) -> list[Figure]:
    """Ids that are on two objects at one time, and parked vehicles that keep theirs."""
    shared, all_ids = np.array([slot.conflicts for slot in slots]).sum(axis=0).tolist()
    kept = np.concatenate([slot.kept for slot in slots])
    twice = f"{PROTOCOL}; ids of a camera and window that are on two annotated objects there, of {all_ids}; objects"
    twice += f" whose boxes overlap by {ONE_THING:g} count as one"
    each = ", ".join(f"{100 * one:.0f}" for one in kept)
    said = f"{PROTOCOL}; of {len(kept)} vehicles that stand for 24 s and more, those with one id in {100 * KEPT:g} %"
    figures = [part.figure("id_on_two_objects", shared, "", twice)]
    if len(kept):
        share = 100 * float(np.mean(kept >= KEPT))
        figures.append(part.figure("parked_keep_id", share, "%", f"{said} of the windows that show them; each: {each}"))
    return figures


def _slot(folder: Path, name: str) -> Slot:
    site, detections = read_meva(folder, name, every_s=EVERY_S)
    known_object = read_meva_truth(folder, name).object[detections.id]
    steps = {camera.name: SHIFT_S * i for i, camera in enumerate(site.cameras) if camera.name in detections.camera}
    shifted = shift_clocks(detections, steps)
    online, late = run_online(detections, site, OPTIONS), run_online(shifted, site, OPTIONS)
    runs = {"": online, "_linked": linked(online, site, OPTIONS)}
    made = {suffix: _pairs(run, site, detections, known_object) for suffix, run in runs.items()}
    by_chance = {"": late, "_linked": linked(late, site, OPTIONS)}
    track = track_of_detections(detections, online.points, online.tracks)
    known = read_meva_pairs(folder, name)
    asked = known.camera_a, known.object_a, known.camera_b, known.object_b
    return Slot(
        found={suffix: pairs.contains(*asked) for suffix, (pairs, _) in made.items()},
        level=known.level,
        n_pairs={suffix: count for suffix, (_, count) in made.items()},
        n_shifted={suffix: _pairs(run, site, shifted, known_object)[1] for suffix, run in by_chance.items()},
        gps_m=_gps(folder, name, detections, known_object, online),
        conflicts=id_conflicts(detections, known_object, track, EVERY_S),
        kept=kept_by_parked(folder, name, detections, known_object, track),
    )


def _pairs(online: Online, site: Site, detections: Detections, known_object: np.ndarray) -> tuple[ObjectPairs, int]:
    """The pairs that a run's tracks make of the known objects, and how many are of moving ones."""
    track = track_of_detections(detections, online.points, online.tracks)
    pairs = pairs_of_tracks(sighted_objects(detections, known_object, track, EVERY_S))
    rows = _rows(detections, online.points.detection)
    things = np.stack([site.camera_rows(detections.camera)[rows], known_object[rows]], axis=1)
    thing = np.unique(things, axis=0, return_inverse=True)[1]
    path = np.zeros(len(detections))
    path[rows] = path_lengths(online.points.time, thing, online.points.xy)
    moving = (path >= LEAST_PATH) & (known_object >= 0)
    of_moving = sighted_objects(detections.take(moving), known_object[moving], track[moving], EVERY_S)
    return pairs, len(pairs_of_tracks(of_moving))


def _gps(folder: Path, name: str, detections: Detections, known_object: np.ndarray, online: Online) -> np.ndarray:
    """Median distance (M,) m from the tracks of each isolated match's object to its logger's fixes."""
    matches, fixes = read_meva_gps_matches(folder, name), read_meva_gps(folder, name)
    rows = _rows(detections, online.points.detection)
    xy = _track_positions(online)
    median = []
    for i in np.flatnonzero(matches.confidence == "isolated"):
        own = (online.points.camera == matches.camera[i]) & (known_object[rows] == matches.object[i])
        logger = fixes.logger == matches.logger[i]
        time = online.points.time[own] + matches.gps_minus_video[i]
        apart = distance_to_fixes(time, xy[own], fixes.time[logger], fixes.xy[logger], MAX_GAP_S)
        median.append(np.median(apart[np.isfinite(apart)]) if np.isfinite(apart).any() else np.nan)
    return np.array(median, dtype=float)


def _track_positions(online: Online) -> np.ndarray:
    """Position (N, 2) m of the track that each point went into; NaN where it went into none."""
    tracks: Tracks = online.tracks.take(online.tracks.object >= 0)
    order = np.argsort(tracks.object, kind="stable")
    place = np.minimum(np.searchsorted(tracks.object[order], online.points.object), max(len(order) - 1, 0))
    known = tracks.object[order][place] == online.points.object
    return np.where(known[:, None], tracks.xy[order][place], np.nan)


def _gps_figures(part: Part, median: np.ndarray) -> list[Figure]:
    near = median[np.isfinite(median)]
    if not len(near):
        return []
    said = f"{PROTOCOL}; median over isolated matches of an object's median distance, clocks of the match"
    said += f"; {len(near)} of {len(median)} matches have a point between two fixes"
    blocks, share = Blocks(np.arange(len(near)), len(near)), np.mean(near <= GPS_ERROR)
    worst = said.replace("median over", "90th percentile over")
    return [
        part.measured(of_quantile("gps_median_m", "m", said, near, blocks), "matches"),
        part.measured(of_quantile("gps_p90_m", "m", worst, near, blocks, 0.9), "matches"),
        part.figure("gps_within_5_m", 100 * share, "%", f"{said}; share within what the fixes are good to"),
    ]


def _rows(detections: Detections, ids: np.ndarray) -> np.ndarray:
    order = np.argsort(detections.id)
    return order[np.searchsorted(detections.id[order], ids)]
