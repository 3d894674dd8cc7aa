"""What it costs that state survives: time of each step, bytes on disk, time of a restart and of questions."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.row import Row, best_time, quantile_ms
from geoloc.pipeline.history import History
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.localizer import Localizer
from geoloc.synthetic import garage, observe, simulate

SECONDS = 100.0
NAME = "synthetic garage, 14 cameras at 5 Hz"


def bench_journal() -> list[Row]:
    """The two-level garage with a journal: costs beside those of the engine's own steps."""
    world = garage()
    truth = simulate(world, np.random.default_rng(1), replace(world.traffic, duration=SECONDS))
    seen = observe(world, truth, np.random.default_rng(2))
    steps: list[float] = []
    appends: list[float] = []
    notes: list[float] = []
    saves: list[float] = []
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "state"
        with (
            _timed(Localizer, "step", steps),
            _timed(JournaledLocalizer, "_append", appends),
            _timed(JournaledLocalizer, "save", saves),
            _timed(History, "note", notes),
        ):
            journaled = JournaledLocalizer.open(seen.site, folder)
            n = sum(1 for _ in journaled.replay(seen.detections))
            journaled.folder.unlock()
        log = sum(path.stat().st_size for path in folder.glob("log-*"))
        snapshot = max(path.stat().st_size for path in folder.glob("snapshot-*"))
        start = time.perf_counter()
        again = JournaledLocalizer.open(seen.site, folder)
        restart = time.perf_counter() - start
        boxes = f"{n} windows of {len(seen.detections) / n:.0f} boxes"
        rows = [
            Row(NAME, "engine, p50", quantile_ms(steps, 0.5), "ms/window", 1.0, "", boxes),
            _beside("log, p50", quantile_ms(appends, 0.5), steps),
            _beside("history, mean", 1000.0 * float(np.mean(notes)), steps),
            Row(NAME, "log", log / n, "bytes/window", None, "", f"{3600e-6 * log / SECONDS:.0f} MB an hour"),
            Row(NAME, "snapshot", 1000.0 * max(saves), "ms", None, "", f"{snapshot:,} bytes, one a minute"),
            Row(NAME, "restart", restart, "s", None, "", f"{again.replayed} windows replayed"),
        ]
        state = again.state
        questions: dict[str, Callable[[], object]] = {
            "at()": lambda: state.at(),
            "where()": lambda: state.where(1),
            "who_was_in()": lambda: state.who_was_in("P1 aisle south"),
            "occupancy()": lambda: state.occupancy(),
        }
        rows += [Row(NAME, question, 1000.0 * best_time(ask), "ms") for question, ask in questions.items()]
        again.folder.unlock()
    return rows


def _beside(subject: str, ms: float, steps: list[float]) -> Row:
    return Row(NAME, subject, ms, "ms/window", ms / quantile_ms(steps, 0.5))


@contextmanager
def _timed(kind: type, name: str, seconds: list[float]) -> Iterator[None]:
    """Note how long each call of a method takes."""
    method = getattr(kind, name)

    def timed(*args: object, **named: object) -> object:
        start = time.perf_counter()
        result = method(*args, **named)
        seconds.append(time.perf_counter() - start)
        return result

    setattr(kind, name, timed)
    try:
        yield
    finally:
        setattr(kind, name, method)
