"""Time of `Localizer.step`, window by window, beside Stone Soup on the same ground points."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.row import Row, absent, quantile_ms
from benchmarks.stages import stage_seconds
from benchmarks.stone_soup import stone_soup_steps
from geoloc.io.wildtrack import read_wildtrack
from geoloc.pipeline.localizer import Localizer, windows
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.synthetic import grid_site, observe, simulate

DATA = Path(os.environ.get("GEOLOC_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RUNS = 15  # of WILDTRACK's 20 windows
N_SITES = 10  # of 100 cameras and 200 objects each, all on one core


def bench_engine() -> list[Row]:
    """WILDTRACK's 7 cameras, then a synthetic site of 100 cameras at 10 frames a second each."""
    rows = []
    if (DATA / "wildtrack").is_dir():
        site, detections = read_wildtrack(DATA / "wildtrack")
        name = "WILDTRACK, 7 cameras"
        rows += _rows(name, site, detections, RUNS, ("p99 <= 2 ms", ">= 25,000"))
        rows += _stage_rows(name, site, detections)
    else:
        print(f"WILDTRACK is not in {DATA}: left out; set GEOLOC_DATA", file=sys.stderr)
    site, detections = grid_recording()
    name = f"synthetic, {len(site.cameras)} cameras at 10 Hz"
    rows += _rows(name, site, detections, 1, ("p99 <= 100 ms", ">= 1,000"))
    return rows + _sites_rows()


def grid_recording(objects_per_camera: float = 3.0) -> tuple[Site, Detections]:
    """Ten seconds of a synthetic site of 100 cameras, with cars and people, at ten frames a second."""
    world, rng = grid_site(100, objects_per_camera), np.random.default_rng(7)
    seen = observe(world, simulate(world, rng, replace(world.traffic, duration=10.0)), rng)
    return seen.site, seen.detections


def _sites_rows() -> list[Row]:
    """Several sites on one core: the time of a window of all of them, which must be less than the window."""
    site, detections = grid_recording(2.0)
    steps, n_cameras = list(windows(detections, 0.1)), N_SITES * len(site.cameras)
    localizer_steps(site, steps)
    engines = [Localizer(site) for _ in range(N_SITES)]
    seconds, start = [], time.process_time()
    for window in steps:
        began = time.perf_counter()
        for engine in engines:
            engine.step(window)
        seconds.append(time.perf_counter() - began)
    share = (time.process_time() - start) / (0.1 * len(steps))
    name = f"synthetic, {N_SITES} sites of {len(site.cameras)} cameras at 10 Hz, {N_SITES * 200:,} objects"
    said = f"{n_cameras:,} cameras, {N_SITES * len(detections) / len(steps):,.0f} boxes a window"
    return [
        Row(name, "a window of all sites, p50", quantile_ms(seconds, 0.5), "ms", None, "", said),
        Row(name, "a window of all sites, p99", quantile_ms(seconds, 0.99), "ms", None, "p99 <= 100 ms"),
        Row(name, "of one core's time", share, "s/s", None, "<= 1"),
    ]


def _stage_rows(name: str, site: Site, detections: Detections) -> list[Row]:
    """Where the time of a step goes."""
    steps = list(windows(detections, 0.1))
    stages = sorted(stage_seconds(site, steps, RUNS).items(), key=lambda stage: -stage[1])
    said = f"mean over windows of the least of {RUNS} runs"
    return [Row(name, f"of that: {stage}", 1e6 * seconds, "us/window", None, "", said) for stage, seconds in stages]


def _rows(name: str, site: Site, detections: Detections, runs: int, asked: tuple[str, str]) -> list[Row]:
    steps = list(windows(detections, 0.1))
    start = time.perf_counter()
    n_cells = len(site.visibility.seen)
    prepared = time.perf_counter() - start
    frames = [len(np.unique(window.camera)) for window in steps]
    boxes = len(detections) / len(steps)
    localizer_steps(site, steps)
    began = time.process_time()
    ours = [seconds for _ in range(runs) for seconds in localizer_steps(site, steps)]
    rate, cpu_rate = (runs * sum(frames) / spent for spent in (sum(ours), time.process_time() - began))
    said = f"{len(steps)} windows of {boxes:.0f} boxes, {runs} run(s) after a first"
    rows = [
        Row(name, "Localizer.step, p50", quantile_ms(ours, 0.5), "ms/window", 1.0, "", said),
        Row(name, "Localizer.step, p99", quantile_ms(ours, 0.99), "ms/window", None, asked[0]),
        Row(name, "geoloc", rate, "camera-frames/s", 1.0, asked[1]),
        Row(name, "geoloc, by the processor's time", cpu_rate, "camera-frames/s", None, asked[1]),
        Row(name, "what its cameras see, once a site", prepared, "s", None, "", f"{n_cells:,} cells"),
    ]
    theirs = stone_soup_steps(site, steps)
    if theirs is None:
        return [*rows, absent(name, "Stone Soup GNN + Kalman", "ms/window", "stonesoup")]
    ratio = float(np.median(theirs) / np.median(ours))
    note = f"{len(theirs)} windows; tracking alone, from geoloc's ground points, cameras one after another"
    return [
        *rows,
        Row(name, "Stone Soup GNN + Kalman, p50", quantile_ms(theirs, 0.5), "ms/window", ratio, "", note),
        Row(name, "Stone Soup GNN + Kalman, p99", quantile_ms(theirs, 0.99), "ms/window"),
    ]


def localizer_steps(site: Site, steps: list[Detections]) -> list[float]:
    """Seconds of each step of a fresh engine."""
    localizer, seconds = Localizer(site), []
    for window in steps:
        start = time.perf_counter()
        localizer.step(window)
        seconds.append(time.perf_counter() - start)
    return seconds
