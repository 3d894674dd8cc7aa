"""Where the time of a step goes, stage by stage."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from geoloc.pipeline import localizer as main_path
from geoloc.pipeline.clocks import Clocks
from geoloc.pipeline.footprint import Footprint
from geoloc.pipeline.history import History
from geoloc.pipeline.identity import Identities
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.tracking import Tracker
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

STAGES: tuple[tuple[object, str], ...] = (
    (main_path, "set_duplicates_apart"),
    (main_path, "project_to_levels"),
    (main_path, "weigh_boxes"),
    (main_path, "find_bodies"),
    (main_path, "align_times"),
    (main_path, "without_room"),
    (main_path, "associate"),
    (main_path, "one_explanation"),
    (main_path, "fuse"),
    (main_path, "weigh_existence"),
    (Tracker, "predict"),
    (Tracker, "update"),
    (Clocks, "correct"),
    (Clocks, "learn"),
    (Footprint, "correct"),
    (Footprint, "learn"),
    (Identities, "update"),
    (History, "note"),
)


def stage_seconds(site: Site, steps: list[Detections], runs: int) -> dict[str, float]:
    """Mean over windows of the least time (s) that each stage took in any of several runs: others only ever add."""
    times = []
    for _ in range(runs):
        with _timed() as taken:
            localizer = Localizer(site)
            for window in steps:
                localizer.step(window)
        times.append({name: np.array(seconds) for name, seconds in taken.items()})
    return {name: float(np.min([one[name] for one in times], axis=0).mean()) for name in times[0]}


@contextmanager
def _timed() -> Iterator[dict[str, list[float]]]:
    taken: dict[str, list[float]] = defaultdict(list)
    before = [(owner, name, getattr(owner, name)) for owner, name in STAGES]
    for owner, name, work in before:
        setattr(owner, name, _clocked(work, taken[_said(owner, name)]))
    try:
        yield taken
    finally:
        for owner, name, work in before:
            setattr(owner, name, work)


def _said(owner: object, name: str) -> str:
    return f"{owner.__name__}.{name}" if isinstance(owner, type) else name


def _clocked(work: Callable[..., Any], taken: list[float]) -> Callable[..., Any]:
    def clocked(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = work(*arguments, **named)
        taken.append(time.perf_counter() - start)
        return result

    return clocked
