"""Hours of one small site with a journal: nothing may grow but with what is on the site."""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.row import Row
from geoloc.options import merge_options
from geoloc.pipeline.journal import JournaledLocalizer, JournalOptions
from geoloc.pipeline.localizer import LocalizerOptions, windows
from geoloc.scene.tables import Detections
from geoloc.synthetic import garage
from geoloc.synthetic.sensor import observe_parts
from geoloc.synthetic.simulate import simulate_in_parts

PERIOD_S = 900.0  # s, over which figures are taken
PERIODS = 8
KEPT_S = 900.0  # s, for which ways and log are kept here: the first periods fill it, the others show whether it stays
NAME = f"synthetic garage, 14 cameras at 2 Hz, {PERIODS * PERIOD_S / 3600:.0f} hours"


def bench_hours() -> list[Row]:
    """Time of a step, size of the state and memory, quarter of an hour by quarter of an hour; cars come and go."""
    keep = merge_options(LocalizerOptions(), {"history": {"keep_s": KEPT_S}})
    journal = JournalOptions(keep_log_s=KEPT_S, keep_history_s=KEPT_S)
    periods = []
    with tempfile.TemporaryDirectory() as root:
        live = JournaledLocalizer.open(garage().site, Path(root) / "state", keep, journal)
        for detections in _traffic():
            steps = []
            for window in windows(detections, keep.window_s):
                start = time.process_time()
                live.step(window)
                steps.append(time.process_time() - start)
            live.save()
            periods.append(_sizes(live, steps))
        live.close()
    return [_row(of, *row) for of, row in zip(zip(*periods, strict=True), UNITS, strict=True)]


UNITS = (
    ("step with journal, mean", "ms"),
    ("snapshot", "kB"),
    ("folder", "kB"),
    ("memory", "MB"),
    ("numbers given", ""),
)


def _traffic() -> Iterator[Detections]:
    """Cars that come, park for ten minutes and leave, period by period."""
    world = garage()
    often = replace(world.traffic, n_cars=25 * PERIODS, n_people=0, parked_share=0.1, leaving_share=1.0, stay=600.0)
    traffic = replace(often, duration=PERIODS * PERIOD_S, rate=2.0)
    truth = simulate_in_parts(world, np.random.default_rng(1), traffic, PERIOD_S)
    for seen in observe_parts(world, truth, np.random.default_rng(2)):
        yield seen.detections


def _sizes(live: JournaledLocalizer, steps: list[float]) -> tuple[float, ...]:
    folder = live.folder.path
    snapshot = max(folder.glob("snapshot-*"), key=lambda path: path.name).stat().st_size
    memory = _resident_mb()
    disk = sum(path.stat().st_size for path in folder.iterdir())
    numbers = live.localizer.identities.book.next_number
    figures = 1e3 * float(np.mean(steps)), snapshot / 1e3, disk / 1e3, memory, float(numbers)
    sys.stderr.write(" ".join(f"{value:.4g} {unit}" for value, (_, unit) in zip(figures, UNITS, strict=True)) + "\n")
    return figures


def _resident_mb() -> float:
    """Memory (MB) that the process holds now; where the system does not tell, the most that it held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _row(by_period: tuple[float, ...], subject: str, unit: str) -> Row:
    told = ", ".join(f"{value:,.4g}" for value in by_period)
    note = f"by quarter: {told}; ratio: last to third"
    return Row(NAME, subject, by_period[-1], unit, by_period[-1] / by_period[2], "", note)
