"""How long the first moment takes, in fresh processes."""

import subprocess
import sys
import time

import numpy as np

from benchmarks.row import Row

RUNS = 11
COMMANDS = (
    ("import geoloc", "< 0.6 s", ["-c", "import geoloc"]),
    (
        "import of the whole engine: from geoloc import Localizer, load_site",
        "< 0.6 s",
        ["-c", "from geoloc import Localizer, load_site"],
    ),
    ("geoloc --help", "", ["-m", "geoloc", "--help"]),
    ("geoloc localize --help", "", ["-m", "geoloc", "localize", "--help"]),
    ("python alone", "", ["-c", "pass"]),
)


def bench_startup() -> list[Row]:
    """Median of several fresh processes, caches warm."""
    return [
        Row("start-up", name, _median_s(words), "s", None, asked, f"median of {RUNS} processes")
        for name, asked, words in COMMANDS
    ]


def _median_s(words: list[str]) -> float:
    times = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))
