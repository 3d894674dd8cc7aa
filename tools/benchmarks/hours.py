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
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.synthetic import garage, observe, simulate

HOURS = 4
LOOP_S = 120.0  # s of traffic that comes again and again: cars of one round are gone in the next
NAME = f"synthetic garage, 14 cameras at 5 Hz, {HOURS} hours"


def bench_hours() -> list[Row]:
    """Time of a step, size of the state and memory, in the second hour and in the last one.

    Ways are kept for half an hour here, so that the first hour fills what is kept and the others show whether it stays.
    """
    site, loop = _traffic()
    keep = merge_options(LocalizerOptions(), {"history": {"keep_s": 1800.0}})
    journal = JournalOptions(keep_log_s=600.0, keep_history_s=1800.0)
    hours = []
    with tempfile.TemporaryDirectory() as root:
        live = JournaledLocalizer.open(site, Path(root) / "state", keep, journal)
        for hour in range(HOURS):
            steps = []
            for window in _hour(loop, hour):
                start = time.process_time()
                live.step(window)
                steps.append(time.process_time() - start)
            live.save()
            hours.append(_sizes(live, steps))
        live.close()
    return [_row(of, *row) for of, row in zip(zip(*hours, strict=True), UNITS, strict=True)]


UNITS = (
    ("step with journal, mean", "ms"),
    ("snapshot", "kB"),
    ("folder", "kB"),
    ("memory", "MB"),
    ("numbers given", ""),
)


def _traffic() -> tuple[Site, list[Detections]]:
    world = garage()
    truth = simulate(world, np.random.default_rng(1), replace(world.traffic, duration=LOOP_S))
    seen = observe(world, truth, np.random.default_rng(2))
    return seen.site, list(windows(seen.detections, LocalizerOptions().window_s))


def _hour(loop: list[Detections], hour: int) -> Iterator[Detections]:
    rounds = int(3600 / LOOP_S)
    for number in range(hour * rounds, (hour + 1) * rounds):
        for window in loop:
            yield window.revised(time=window.time + number * LOOP_S)


def _sizes(live: JournaledLocalizer, steps: list[float]) -> tuple[float, ...]:
    folder = live.folder.path
    snapshot = max(folder.glob("snapshot-*"), key=lambda path: path.name).stat().st_size
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    disk = sum(path.stat().st_size for path in folder.iterdir())
    sys.stderr.write(f"{1e3 * np.mean(steps):.2f} ms a step, {snapshot / 1e3:.0f} kB, {memory:.0f} MB\n")
    return 1e3 * float(np.mean(steps)), snapshot / 1e3, disk / 1e3, memory, live.localizer.identities.book.next_number


def _row(by_hour: tuple[float, ...], subject: str, unit: str) -> Row:
    told = ", ".join(f"{value:,.4g}" for value in by_hour)
    note = f"by hour: {told}; ratio: last to second"
    return Row(NAME, subject, by_hour[-1], unit, by_hour[-1] / by_hour[1], "", note)
