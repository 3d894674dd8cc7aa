"""Dragon Lake Parking: the real stall map, recovered from cars that park on it, through cameras and the engine."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely
from scipy.spatial import cKDTree

from geoloc.evaluation.report import Figure
from geoloc.perception.stalls_stood import LearnedStall
from geoloc.perception.tracks_layout import LayoutLearner
from geoloc.pipeline.localizer import LocalizerOptions, localize
from geoloc.scene.tables import Tracks
from geoloc.synthetic import observe, simulate
from geoloc.synthetic.world import World
from recordings.dlp_world import dlp_world
from recordings.figures import Part

DAYS = 14
CAMERAS_SEED = 2  # the same calibration errors on all days
ASKED_M = 0.3
APART = 100_000  # track numbers of one day from those of the next
PROTOCOL = (
    f"{DAYS} looks of 45 s at 2 Hz, each with about 200 cars in stalls drawn at random of all 364; 32 cameras with "
    "drawn calibration errors, boxes, the engine on a map without stalls, the layout from its tracks"
)


def run(folder: Path) -> list[Figure]:
    """How many stalls were found, how many that are none, and how far off their middles are."""
    world = dlp_world(folder)
    truth = np.array([shapely.get_coordinates(stall.polygon.centroid)[0] for stall in world.site.site_map.stalls])
    stalls = recovered(world)
    off, of = cKDTree(truth).query(np.array([stall.xy for stall in stalls]).reshape(-1, 2))
    right = off < 1.3
    part = Part("dlp_parking_map", f"{len(truth)} stalls", 0.0)
    values = {
        "stalls_found": (len(np.unique(of[right])), ""),
        "stalls_that_are_none": (len(stalls) - len(np.unique(of[right])), ""),
        "stall_error_median": (float(np.median(off)), "m"),
        "stall_error_p95": (float(np.quantile(off, 0.95)), "m"),
        "stall_error_max": (float(off.max()), "m"),
        "stalls_within_0.3": (100.0 * float((off <= ASKED_M).mean()), "%"),
    }
    return [part.figure(name, value, unit, PROTOCOL) for name, (value, unit) in values.items()]


def recovered(world: World) -> list[LearnedStall]:
    """The stalls that the tracks of all days tell."""
    bare = replace(world.site, site_map=replace(world.site.site_map, stalls=()))
    learner = LayoutLearner(bare)
    for day in range(DAYS):
        learner.observe(tracks_of_day(world, day))
    return learner.stalls()


def tracks_of_day(world: World, day: int) -> Tracks:
    """What the engine makes of one look, in order of time."""
    bare = replace(world.site, site_map=replace(world.site.site_map, stalls=()))
    traffic = replace(world.traffic, start_time=1.7e9 + 3600.0 * day)
    truth = simulate(world, np.random.default_rng(10 + day), traffic)
    seen = observe(world, truth, np.random.default_rng(CAMERAS_SEED))
    tracks = localize(seen.detections, bare, LocalizerOptions(window_s=0.5))
    tracks = tracks.take(np.argsort(tracks.time, kind="stable"))
    return tracks.replace(track=tracks.track + APART * day)
