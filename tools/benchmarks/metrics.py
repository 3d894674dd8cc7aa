"""HOTA, CLEAR and identity of a recording beside TrackEval and py-motmetrics, each in a process of its own."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.row import Row, absent

CONTESTANT = Path(__file__).with_name("metrics_contestant.py")
# trackeval asks for another OpenCV distribution, which must not lie beside geoloc's
INSTALL = {"trackeval": "--no-deps trackeval; pip install pycocotools tabulate", "motmetrics": "motmetrics"}
SAID = {
    "geoloc": "geoloc: HOTA + CLEAR + identity",
    "trackeval": "TrackEval: HOTA + CLEAR + identity",
    "geoloc-clear": "geoloc: CLEAR + identity",
    "motmetrics": "py-motmetrics: CLEAR + identity",
}
DUELS = (("geoloc", "trackeval", ">= 8 x"), ("geoloc-clear", "motmetrics", ">= 12 x"))
TIMEOUT_S = 150.0
SAME = 1e-9


@dataclass(frozen=True)
class Run:
    """CPU time (s) and peak memory (MB) of one contestant, and its figures."""

    seconds: float
    peak_mb: float
    figures: dict[str, float]


def bench_metrics() -> list[Row]:
    """A thousand frames of 100 objects and 800 result ids; then ten times the frames."""
    rows = []
    for what, *options in (
        ("walkers on 60 x 60 m",),
        ("walkers on 60 x 60 m, similarity given", "--given"),
        ("a crowd on 20 x 20 m", "--side", "20"),
    ):
        for ours, theirs, asked in DUELS:
            rows += _duel(f"1,000 frames x 100, {what}", ours, theirs, asked, [*options, "--repeat", "5"])
    for ours, theirs, _ in DUELS:
        rows += _duel("10,000 frames x 100, 60 x 60 m", ours, theirs, "", ["--frames", "10000", "--repeat", "1"])
    return rows


def _duel(name: str, ours: str, theirs: str, asked: str, options: Sequence[str]) -> list[Row]:
    first = _run(ours, options)
    if first is None:
        raise RuntimeError(f"{name}: geoloc was not done within {TIMEOUT_S:.0f} s")
    rows = [Row(name, SAID[ours], 1000.0 * first.seconds, "ms CPU", 1.0, "", f"peak {first.peak_mb:.0f} MB")]
    if _python(theirs) is None:
        return [*rows, absent(name, SAID[theirs], "ms CPU", INSTALL[theirs])]
    second = _run(theirs, options)
    if second is None:
        return [*rows, Row(name, SAID[theirs], None, "ms CPU", note=f"nothing within {TIMEOUT_S:.0f} s")]
    wrong = [k for k, v in first.figures.items() if not math.isclose(v, second.figures[k], rel_tol=0, abs_tol=SAME)]
    same = f"figures differ: {', '.join(wrong)}" if wrong else f"same figures to {SAME:g}"
    ratio = second.seconds / first.seconds
    note = f"peak {second.peak_mb:.0f} MB; {same}"
    return [*rows, Row(name, SAID[theirs], 1000.0 * second.seconds, "ms CPU", ratio, asked, note)]


def _run(contestant: str, options: Sequence[str]) -> Run | None:
    """One contestant's shortest run in a fresh process; None if it was not done in time."""
    command = [_python(contestant) or sys.executable, str(CONTESTANT), contestant, *options]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def _python(contestant: str) -> str | None:
    """The interpreter that has this contestant: this one, or that of GEOLOC_BENCH_PYTHON; None if neither has it."""
    if contestant.startswith("geoloc") or importlib.util.find_spec(contestant):
        return sys.executable
    other = os.environ.get("GEOLOC_BENCH_PYTHON")
    if not other or subprocess.run([other, "-c", f"import {contestant}"], capture_output=True).returncode:
        return None
    return other
