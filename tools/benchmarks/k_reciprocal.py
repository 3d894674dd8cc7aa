"""k-reciprocal re-ranking at Market-1501's size beside the dense published algorithm, each in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.row import Row

CONTESTANT = Path(__file__).with_name("k_reciprocal_contestant.py")
DENSE_GB = 13.0  # that the dense algorithm takes at full size
SMALL = 0.45  # of the pictures, where there is less memory than that
TIMEOUT_S = 1800.0
NAMES = {
    "dense": "the published program's way, column by column as it lies there",
    "dense-by-rows": "the same with its matrices laid out by rows, equals in their order",
}


@dataclass(frozen=True)
class Run:
    """CPU seconds of the lists or all distances, and of what comes after; mAP 0 to 1, and peak memory in MB."""

    lists_s: float
    after_s: float
    map: float
    peak_mb: float


def bench_k_reciprocal() -> list[Row]:
    """What each takes given neighbours, and from vectors, on as many pictures as memory allows the dense way.

    Of rows that are equally near the published program takes any, which moves its mAP by 1e-6 now and then.
    """
    size = 1.0 if _free_gb() > DENSE_GB else SMALL
    whole = _run("geoloc", 1.0)
    rows = _own("k-reciprocal, 3,368 x 19,732 x 2048-d", whole)
    same = whole if size == 1.0 else _run("geoloc", size)
    name = f"k-reciprocal, {size:g} of those pictures"
    rows += [] if size == 1.0 else _own(name, same)
    for way, said in NAMES.items():
        dense = _run(way, size)
        note = f"{said}; peak {dense.peak_mb:.0f} MB; mAP differs by {abs(dense.map - same.map):.1g}"
        given, both = dense.after_s / same.after_s, (dense.lists_s + dense.after_s) / (same.lists_s + same.after_s)
        rows.append(Row(name, f"{way}: given distances", dense.after_s, "s CPU", given, ">= 25 x", note))
        rows.append(Row(name, f"{way}: from vectors", dense.lists_s + dense.after_s, "s CPU", both, ">= 6 x", note))
    return rows


def _own(name: str, run: Run) -> list[Row]:
    note = f"peak {run.peak_mb:.0f} MB; mAP {run.map:.6f}"
    return [
        Row(name, "geoloc: given neighbour lists", run.after_s, "s CPU", 1.0, "", note),
        Row(name, "geoloc: from vectors, exact", run.lists_s + run.after_s, "s CPU", 1.0, "<= 700 MB", note),
    ]


def _run(way: str, size: float) -> Run:
    command = [sys.executable, str(CONTESTANT), way, "--size", f"{size:g}"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def _free_gb() -> float:
    """Memory that is free now; 0 where the system does not tell."""
    if not hasattr(os, "sysconf") or "SC_AVPHYS_PAGES" not in os.sysconf_names:
        return 0.0
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
