"""geoloc beside Stone Soup's trackers on the same ground points: time of a step, GOSPA, T-GOSPA, switches."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.row import Row, absent
from benchmarks.seeded_scene import CLUTTER, DENSITY, DETECTS, RATE, Scene, draw_scene
from benchmarks.stone_soup_peers import PEERS, Scan, Setting, Tracked, run_peer
from geoloc.metrics.gospa import score_gospa
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import score_clear, score_identity
from geoloc.metrics.trajectory_gospa import score_trajectories
from geoloc.pipeline.existence import ExistenceOptions
from geoloc.pipeline.footprint import FootprintOptions
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, windows
from geoloc.scene.kinds import CAR, PERSON
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints, Tracks
from geoloc.synthetic import SensorOptions, long_garage, observe, simulate

SEED = 1
N_STEPS = {50: 100, 200: 40}
AISLE = ("p1-row-a-", "p1-row-b-")  # cameras of the garage's southern aisle
AISLE_STEPS, WINDOW_S = 60, 0.5
AROUND_S = 2.0  # a car counts while a camera of the aisle boxes it at most so long before or after
KNOWING = LocalizerOptions(existence=ExistenceOptions(detection_probability=DETECTS))  # as the peers are told
EXACT_FEET = FootprintOptions(offset_sigma=0.0, camera_offset_sigma=0.0, shift_sigma=0.0, point_sigma=1e-3)
CUTOFF_M, SWITCH_M = 1.0, 1.0
BUDGET_S = 240.0  # of a peer on a scene
CARS = Setting(CAR, DETECTS, 0.002, confirm=3, coast_s=2.0)
WALKERS = Setting(PERSON, DETECTS, CLUTTER * DENSITY, confirm=3, coast_s=0.5)


def bench_trackers() -> list[Row]:
    """Walkers on a square under one camera, then cars under the fourteen of an aisle of the garage."""
    rows = _aisle_rows()
    for n, n_steps in N_STEPS.items():
        scene = draw_scene(n, n_steps, SEED)
        name = f"{n} walkers under one camera, {n_steps} steps of {1 / RATE:g} s"
        rows += compare(name, scene, WALKERS, replace(KNOWING, footprint=EXACT_FEET))
    return rows


def _aisle_rows() -> list[Row]:
    """Half a minute of the garage whose whole day `tools/accuracy.py long_garage` measures."""
    scene = draw_aisle()
    name = f"garage, {len(scene.site.cameras)} cameras of an aisle, {len(scene.steps)} steps of {WINDOW_S:g} s"
    return compare(name, scene, CARS, replace(KNOWING, window_s=WINDOW_S))


def draw_aisle() -> Scene:
    """The aisle's cameras, their windows, and the cars that they see in each (its frame)."""
    world, rng = long_garage(), np.random.default_rng(SEED)
    options = replace(world.traffic, duration=AISLE_STEPS * WINDOW_S, n_cars=150, parked_share=0.8, leaving_share=0.3)
    seen = observe(world, simulate(world, rng, options), rng, SensorOptions(min_height_px=50.0, clock_sigma=0.0))
    cameras = tuple(camera for camera in world.site.cameras if camera.name.startswith(AISLE))
    mine = np.isin(seen.detections.camera, [camera.name for camera in cameras])
    detections, cars = seen.detections.take(mine), seen.object[mine]
    times, truth = np.unique(seen.truth.time), seen.truth
    near = np.abs(detections.time[:, None] - times) <= AROUND_S
    counts = np.zeros((options.n_cars, len(times)), dtype=bool)
    np.logical_or.at(counts, cars[cars >= 0], near[cars >= 0])
    frame = np.searchsorted(times, truth.time)
    rows = counts[truth.object, frame]
    sightings = Sightings(frame[rows], truth.object[rows], truth.xyz[rows, :2])
    return Scene(replace(world.site, cameras=cameras), list(windows(detections, WINDOW_S)), sightings)


def compare(name: str, scene: Scene, setting: Setting, options: LocalizerOptions) -> list[Row]:
    """Rows of every tracker; where a peer did not finish, its figures are of the steps that it did."""
    steps, truth = scene.steps, scene.truth
    ours, scans = run_geoloc(scene.site, steps, options)
    rows = _rows(name, "geoloc", ours, truth, len(steps), None)
    for peer in PEERS:
        found = run_peer(peer, setting, scans, BUDGET_S)
        if found is None:
            return [*rows, absent(name, "Stone Soup", "ms", "stonesoup")]
        rows += _rows(name, f"Stone Soup, {peer}", found, truth, len(steps), ours)
    return rows


def run_geoloc(
    site: Site, steps: Sequence[Detections], options: LocalizerOptions
) -> tuple[Tracked, list[tuple[float, list[Scan]]]]:
    """The whole engine, from boxes on, and the ground points of each step as its association had them."""
    Localizer(site, options).step(steps[0])
    localizer, seconds, said = Localizer(site, options), list[float](), list[Tracks]()
    scans = []
    for window in steps:
        start = time.process_time()
        said.append(localizer.step(window))
        seconds.append(time.process_time() - start)
        scans.append((float(window.time.mean()), scans_of(localizer.points)))
    step = np.repeat(np.arange(len(said)), [len(tracks) for tracks in said])
    tracks = Tracks.concat(said)
    sure = tracks.state != "tentative"
    return Tracked(Sightings(step[sure], tracks.track[sure], tracks.xy[sure]), seconds), scans


def scans_of(points: GroundPoints) -> list[Scan]:
    """Each camera's points."""
    cov = points.cov + points.bias_cov
    rows = [np.flatnonzero(points.camera == camera) for camera in np.unique(points.camera)]
    return [(points.xy[row], cov[row]) for row in rows]


def _rows(
    name: str, subject: str, found: Tracked, truth: Sightings, n_steps: int, ours: Tracked | None
) -> list[Row]:
    """Time and scores of a tracker, and how many times those of geoloc over the same steps."""
    n = len(found.cpu_s)
    said = "" if n == n_steps else f"{n} of {n_steps} steps within {BUDGET_S:g} s"
    scores = _scores(found, truth, n)
    beside = scores if ours is None else _scores(ours, truth, n)
    units = {"CPU time of a step": "ms", "GOSPA": "m", "T-GOSPA": "m", "switches of identity": "", "IDF1": ""}
    return [
        Row(name, f"{subject}: {what}", value, units[what], value / beside[what] if beside[what] else None, note=said)
        for what, value in scores.items()
    ]


def _scores(found: Tracked, truth: Sightings, n: int) -> dict[str, float]:
    """Figures over the first `n` steps."""
    true, tracks = (_first(sightings, n) for sightings in (truth, found.tracks))
    pairs = pair_positions(true, tracks, 2 * CUTOFF_M)
    return {
        "CPU time of a step": 1e3 * float(np.median(found.cpu_s[:n])),
        "GOSPA": score_gospa(true, tracks, CUTOFF_M).figure("gospa"),
        "T-GOSPA": score_trajectories(true, tracks, CUTOFF_M, SWITCH_M).figure("t_gospa"),
        "switches of identity": float(score_clear(pairs, 0.5).switches),
        "IDF1": score_identity(pairs, 0.5).idf1,
    }


def _first(sightings: Sightings, n: int) -> Sightings:
    rows = sightings.frame < n
    return Sightings(sightings.frame[rows], sightings.id[rows], sightings.where[rows])
