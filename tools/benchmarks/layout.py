"""What learning a site's layout online adds to the engine: both timed window by window in the same run."""

import time

import numpy as np

from benchmarks.engine import grid_recording
from benchmarks.row import Row, quantile_ms
from geoloc.perception.tracks_layout import LayoutLearner
from geoloc.pipeline.localizer import Localizer, windows
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.synthetic import garage, observe, simulate

RUNS = 3
ASKED = "<= 5 %"


def bench_layout() -> list[Row]:
    """The garage's two minutes with parking, and ten seconds of a hundred cameras."""
    world, rng = garage(), np.random.default_rng(3)
    seen = observe(world, simulate(world, rng), rng)
    rows = _rows(f"synthetic garage, {len(seen.site.cameras)} cameras", seen.site, seen.detections)
    site, detections = grid_recording()
    return rows + _rows(f"synthetic, {len(site.cameras)} cameras at 10 Hz", site, detections)


def _rows(name: str, site: Site, detections: Detections) -> list[Row]:
    steps = list(windows(detections, 0.1))
    _timed(site, steps)  # what is compiled and looked up once
    runs = [_timed(site, steps) for _ in range(RUNS)]
    # the least of several runs of each window: other processes only ever add
    stepped, learned = np.min([run[0] for run in runs], axis=0), np.min([run[1] for run in runs], axis=0)
    share = 100.0 * learned.sum() / stepped.sum()
    said = f"{len(steps)} windows, {runs[0][2]:,} rows of tracks; the least of {RUNS} runs of each window"
    return [
        Row(name, "Localizer.step, mean", 1000.0 * float(stepped.mean()), "ms/window", 1.0, "", said),
        Row(name, "LayoutLearner.observe, mean", 1000.0 * float(learned.mean()), "ms/window", None, "", "with flushes"),
        Row(name, "of the engine's time", share, "%", None, ASKED),
        Row(name, "the slowest window of learning", quantile_ms(learned.tolist(), 1.0), "ms", None, "", "a flush"),
        Row(name, "the layout, when it is asked for", 1000.0 * min(run[3] for run in runs), "ms", None, "", "once"),
    ]


def _timed(site: Site, steps: list[Detections]) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Seconds of each step and of learning from it (S,), rows that were learned from, and seconds of the layout."""
    localizer, learner, n_rows = Localizer(site), LayoutLearner(site), 0
    stepped, learned = np.zeros(len(steps)), np.zeros(len(steps))
    for i, window in enumerate(steps):
        start = time.perf_counter()
        tracks = localizer.step(window)
        between = time.perf_counter()
        learner.observe(tracks)
        learned[i] = time.perf_counter() - between
        stepped[i] = between - start
        n_rows += len(tracks)
    start = time.perf_counter()
    learner.flush()
    learned[-1] += time.perf_counter() - start
    start = time.perf_counter()
    learner.layout()
    return stepped, learned, n_rows, time.perf_counter() - start
