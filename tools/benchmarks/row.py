"""One measured line of a benchmark, and how times are taken."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Row:
    """A figure of one subject. `ratio` is to the row that it stands beside; None where there is none.

    `value` is None where the subject is not installed; `note` then says what to install.
    """

    benchmark: str
    subject: str
    value: float | None
    unit: str
    ratio: float | None = None
    asked: str = ""
    note: str = ""


def absent(benchmark: str, subject: str, unit: str, install: str) -> Row:
    """The row of a peer that is not installed."""
    return Row(benchmark, subject, None, unit, note=f"not installed: pip install {install}")


def best_time(work: Callable[[], object], least: int = 5, budget_s: float = 2.0) -> float:
    """Shortest time (s) of several runs, after one that is not counted: other processes only ever add."""
    work()
    times: list[float] = []
    while len(times) < least or (sum(times) < budget_s and len(times) < 100):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def quantile_ms(seconds: list[float], share: float) -> float:
    """A quantile of durations, in ms."""
    return 1000.0 * float(np.quantile(seconds, share))
