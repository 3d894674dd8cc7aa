"""Time of `Localizer.step`, window by window, beside Stone Soup on the same ground points."""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.row import Row, absent, quantile_ms
from benchmarks.stone_soup import stone_soup_steps
from geoloc.io.wildtrack import read_wildtrack
from geoloc.pipeline.localizer import Localizer, windows
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.synthetic import grid_site, observe, simulate

DATA = Path(os.environ.get("GEOLOC_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RUNS = 15  # of WILDTRACK's 20 windows


def bench_engine() -> list[Row]:
    """WILDTRACK's 7 cameras, then a synthetic site of 100 cameras at 10 frames a second each."""
    rows = []
    if (DATA / "wildtrack").is_dir():
        site, detections = read_wildtrack(DATA / "wildtrack")
        name = "WILDTRACK, 7 cameras"
        rows += _rows(name, site, detections, RUNS, ("p99 <= 15 ms", ">= 2,000"))
    else:
        print(f"WILDTRACK is not in {DATA}: left out; set GEOLOC_DATA", file=sys.stderr)
    site, detections = grid_recording()
    name = f"synthetic, {len(site.cameras)} cameras at 10 Hz"
    return rows + _rows(name, site, detections, 1, ("p99 <= 100 ms", ">= 1,000"))


def grid_recording() -> tuple[Site, Detections]:
    """Ten seconds of a synthetic site of 100 cameras and 300 cars and people, at ten frames a second."""
    world, rng = grid_site(100), np.random.default_rng(7)
    seen = observe(world, simulate(world, rng, replace(world.traffic, duration=10.0)), rng)
    return seen.site, seen.detections


def _rows(name: str, site: Site, detections: Detections, runs: int, asked: tuple[str, str]) -> list[Row]:
    steps = list(windows(detections, 0.1))
    start = time.perf_counter()
    n_cells = len(site.visibility.seen)
    prepared = time.perf_counter() - start
    frames = [len(np.unique(window.camera)) for window in steps]
    boxes = len(detections) / len(steps)
    ours = [seconds for _ in range(runs + 1) for seconds in localizer_steps(site, steps)][len(steps) :]
    rate = runs * sum(frames) / sum(ours)
    said = f"{len(steps)} windows of {boxes:.0f} boxes, {runs} run(s) after a first"
    rows = [
        Row(name, "Localizer.step, p50", quantile_ms(ours, 0.5), "ms/window", 1.0, "", said),
        Row(name, "Localizer.step, p99", quantile_ms(ours, 0.99), "ms/window", None, asked[0]),
        Row(name, "geoloc", rate, "camera-frames/s", 1.0, asked[1]),
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
