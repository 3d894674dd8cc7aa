"""Cases by name or folder: synthetic worlds, recordings with their truth, pairs of images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError, unknown_name
from geoloc.evaluation.robustness.hazard import Case
from geoloc.evaluation.robustness.truth import EVERYWHERE, KnownTruth
from geoloc.files import read_text
from geoloc.io.detections import read_detections
from geoloc.io.track_tables import IGNORED, read_positions
from geoloc.io.wildtrack import AREA, read_wildtrack, read_wildtrack_truth
from geoloc.metrics.matching import Sightings
from geoloc.scene.site import Site
from geoloc.scene.storage import load_site
from geoloc.synthetic import Truth, World, garage, intersection, observe, plaza, simulate
from geoloc.synthetic.storage import DECIMALS, load_truth

WORLDS: dict[str, Callable[[], World]] = {"garage": garage, "plaza": plaza, "intersection": intersection}
SYNTHETIC_MATCH_M = 1.0
RECORDED_MATCH_M = 0.5
RECORDED_SIGMA_M = 0.045  # of annotated positions, per axis, as WILDTRACK's
BOX_FILES = ("boxes.csv", "boxes.jsonl", "detections.csv.gz", "detections.csv")
TRUTH_FILES = ("truth.csv.gz", "truth.csv")


@dataclass(frozen=True, eq=False)
class Target:
    """A recording to be perturbed, and apart from it the truth that the results are scored against."""

    case: Case
    truth: KnownTruth


def load_target(name_or_folder: str | Path, seconds: float = 12.0, seed: int = 1) -> Target:
    """A synthetic world of WORLDS, `seconds` long and drawn from `seed`, or a folder with boxes and truth.

    A folder holds a site, its boxes (BOX_FILES) and true positions (TRUTH_FILES), or WILDTRACK as published;
    its first `seconds` are taken. InputError says what is missing.
    """
    if not seconds > 0:
        raise InputError(f"a recording of {seconds} s; its length must be greater than 0")
    folder = Path(name_or_folder)
    if str(name_or_folder) in WORLDS:
        return world_target(str(name_or_folder), seconds, seed)
    if not folder.is_dir():
        raise unknown_name("world or folder", str(name_or_folder), WORLDS)
    if (folder / "positions.txt").is_file() and (folder / "calibrations").is_dir():
        return wildtrack_target(folder, seconds)
    return folder_target(folder, seconds)


def world_target(name: str, seconds: float, seed: int) -> Target:
    """A synthetic world, simulated and observed."""
    if name not in WORLDS:
        raise unknown_name("world", name, WORLDS)
    world = WORLDS[name]()
    rng = np.random.default_rng(seed)
    seen = observe(world, simulate(world, rng, replace(world.traffic, duration=seconds)), rng)
    truth = of_synthetic(seen.truth)
    return Target(Case(name, seen.site, seen.detections, truth.times), truth)


def folder_target(folder: Path, seconds: float) -> Target:
    """A site with boxes and truth on disk, as `geoloc demo` and `geoloc convert recording` write them."""
    boxes, truth_file = _one_of(folder, BOX_FILES, "boxes"), _one_of(folder, TRUTH_FILES, "the truth")
    site, detections = load_site(folder), read_detections(boxes).detections
    if read_text(truth_file).startswith(",".join(DECIMALS)):
        truth = load_truth(truth_file)
        known = of_synthetic(truth.take(truth.time < truth.time.min(initial=np.inf) + seconds))
    else:
        known = _of_positions(truth_file, site, seconds)
    half = 0.5 * np.diff(known.times).min(initial=1.0)
    rows = (detections.time >= known.times[0] - half) & (detections.time < known.times[-1] + half)
    return Target(Case(folder.name, site, detections.take(rows), known.times), known)


def _of_positions(path: Path, site: Site, seconds: float) -> KnownTruth:
    """True positions of a recording, on a site of one level; they count in its areas of interest, if it has any."""
    truth = read_positions(path)[0]
    truth = truth.take(truth.time < truth.time.min(initial=np.inf) + seconds)
    if len(site.site_map.levels) != 1:
        raise InputError(f"{path}: site {site.name!r} has several levels, and positions do not say on which they are")
    xyz = np.column_stack([truth.xy, site.site_map.levels[0].z_extended(truth.xy)])
    named = bool(len(truth) and (truth.track >= 0).all())
    sightings = Sightings(truth.time, truth.track, xyz) if named else Sightings.unnamed(truth.time, xyz)
    areas = [zone.polygon for zone in site.site_map.zones if zone.kind == "area_of_interest"]
    area = shapely.union_all(areas) if areas else EVERYWHERE
    return KnownTruth(sightings, truth.state != IGNORED, named, RECORDED_MATCH_M, RECORDED_SIGMA_M, area)


def wildtrack_target(folder: Path, seconds: float) -> Target:
    """WILDTRACK's boxes and annotated positions, at the frames that have both."""
    site, detections = read_wildtrack(folder)
    truth = read_wildtrack_truth(folder)
    times = np.intersect1d(detections.time, truth.time)
    times = times[times < times.min(initial=np.inf) + seconds]
    if not len(times):
        raise InputError(f"{folder}: no frame has both boxes and true positions")
    truth = truth.take(np.isin(truth.time, times))
    sightings = Sightings.unnamed(truth.time, np.column_stack([truth.xy, np.zeros(len(truth))]))
    shown = np.ones(len(truth), dtype=bool)
    known = KnownTruth(sightings, shown, False, RECORDED_MATCH_M, RECORDED_SIGMA_M, shapely.box(*AREA))
    detections = detections.take(np.isin(detections.time, times))
    return Target(Case(folder.name, site, detections, times), known)


def of_synthetic(truth: Truth) -> KnownTruth:
    """An observation's truth as one to score against."""
    sightings = Sightings(truth.time, truth.object, truth.xyz)
    return KnownTruth(sightings, truth.n_cameras > 0, True, SYNTHETIC_MATCH_M)


def _one_of(folder: Path, names: tuple[str, ...], what: str) -> Path:
    found = [folder / name for name in names if (folder / name).is_file()]
    if not found:
        raise InputError(f"{folder}: {what} of the recording must lie there as {' or '.join(names)}")
    return found[0]
