"""geoloc beside Stone Soup's trackers on the same ground points: time of a step, GOSPA, T-GOSPA, switches of identity."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.row import Row, absent
from benchmarks.seeded_scene import CLUTTER, DENSITY, DETECTS, RATE, Scene, draw_scene
from benchmarks.stone_soup_peers import PEERS, Scan, Setting, Tracked, run_peer
from geoloc.metrics.gospa import score_gospa
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import score_clear, score_identity
from geoloc.metrics.trajectory_gospa import score_trajectories
from geoloc.pipeline.existence import ExistenceOptions
from geoloc.pipeline.localizer import Localizer, LocalizerOptions
from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.kinds import PERSON
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Tracks

SEED = 1
N_STEPS = {50: 100, 200: 40}
CUTOFF_M, SWITCH_M = 1.0, 1.0
BUDGET_S = 240.0  # of a peer on a scene
WALKERS = Setting(PERSON, DETECTS, CLUTTER * DENSITY, confirm=3, coast_s=0.5)
ASKED = "peers >= 50 x, GOSPA and switches worse"


def bench_trackers() -> list[Row]:
    """Walkers on a square under one camera."""
    rows = []
    for n, n_steps in N_STEPS.items():
        scene = draw_scene(n, n_steps, SEED)
        name = f"{n} walkers under one camera, {n_steps} steps of {1 / RATE:g} s"
        rows += compare(name, scene.site, scene.steps, scene.truth, WALKERS)
    return rows


def compare(
    name: str, site: Site, steps: Sequence[Detections], truth: Sightings, setting: Setting
) -> list[Row]:
    """Rows of every tracker; where a peer did not finish, its figures are of the steps that it did."""
    engine = LocalizerOptions(existence=ExistenceOptions(detection_probability=setting.detects))
    ours = run_geoloc(site, steps, engine)
    rows = _rows(name, "geoloc", ours, truth, len(steps), None)
    scans = [scans_of(site, window) for window in steps]
    for peer in PEERS:
        found = run_peer(peer, setting, scans, BUDGET_S)
        if found is None:
            return [*rows, absent(name, "Stone Soup", "ms/step", "stonesoup")]
        rows += _rows(name, f"Stone Soup, {peer}", found, truth, len(steps), ours)
    return rows


def run_geoloc(site: Site, steps: Sequence[Detections], options: LocalizerOptions) -> Tracked:
    """The whole engine, from boxes on; what is counted is what lives and is confirmed."""
    Localizer(site, options).step(steps[0])
    localizer, seconds, said = Localizer(site, options), list[float](), list[Tracks]()
    for window in steps:
        start = time.process_time()
        said.append(localizer.step(window))
        seconds.append(time.process_time() - start)
    step = np.repeat(np.arange(len(said)), [len(tracks) for tracks in said])
    tracks = Tracks.concat(said)
    sure = tracks.state != "tentative"
    return Tracked(Sightings(step[sure], tracks.track[sure], tracks.xy[sure]), seconds)


def scans_of(site: Site, window: Detections) -> tuple[float, list[Scan]]:
    """A window's time and its cameras' ground points, as geoloc's projection gives them."""
    points, _ = project_to_ground(window, site)
    rows = [np.flatnonzero(points.camera == camera) for camera in np.unique(points.camera)]
    cov = points.cov + points.bias_cov
    return float(window.time.mean()), [(points.xy[row], cov[row]) for row in rows]


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
    true, tracks = (_first(sightings, n) for sightings in (truth, found.alive))
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
