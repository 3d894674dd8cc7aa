"""What an evaluation found: figures with interval and protocol, what could not be said and why, curves, moments."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from geoloc.errors import InputError

NO_INTERVAL = (math.nan, math.nan)


@dataclass(frozen=True)
class Figure:
    """One measured number of a part of a recording, and how it was measured.

    `low` and `high` bound its 95 % interval, NaN where there is none. A bare `figure` name is the asked
    figure; variants and peers carry a suffix (`moda_offline`, `moda_peer`).
    """

    recording: str
    part: str
    figure: str
    value: float
    low: float
    high: float
    unit: str
    protocol: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InputError(
                f"figure {self.figure!r} of {self.recording} {self.part}: {self.value} is no number; "
                "leave it out and say why"
            )


@dataclass(frozen=True)
class Absent:
    """A figure that the data cannot support, and why."""

    part: str
    figure: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """A figure of this run minus that of the `against` run on the same blocks, and whether chance explains it.

    `low` and `high` bound the difference's 95 % interval; `p_value` is two-sided.
    """

    part: str
    figure: str
    value: float
    against: float
    difference: float
    low: float
    high: float
    p_value: float
    unit: str
    protocol: str


@dataclass(frozen=True, eq=False)
class Line:
    """One line of a chart: `y` (N,) over `x` (N,), with a band `low` to `high` (N,), of zero length where none."""

    name: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray = field(default_factory=lambda: np.empty(0))
    high: np.ndarray = field(default_factory=lambda: np.empty(0))
    reference: bool = False  # what would be ideal or expected, drawn thin


@dataclass(frozen=True, eq=False)
class Chart:
    """Lines over one pair of axes; `note` says in a sentence how to read it."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    note: str = ""


@dataclass(frozen=True, eq=False)
class ErrorMap:
    """Where on one level of the map how large errors were made: positions `xy` (N, 2) m, `error` (N,) m."""

    level: str
    xy: np.ndarray
    error: np.ndarray
    missed: np.ndarray  # (M, 2) m, true positions that nothing was at
    false: np.ndarray  # (K, 2) m, positions that no truth was at


@dataclass(frozen=True)
class Moment:
    """A stretch of time that went badly: its start and end in s of the recording, its cost, and what happened."""

    part: str
    start: float
    end: float
    cost: float
    what: str


@dataclass(frozen=True, eq=False)
class Report:
    """One evaluation. `family` is tracking, localization, retrieval, uncertainty or robustness."""

    title: str
    family: str
    figures: tuple[Figure, ...]
    absent: tuple[Absent, ...] = ()
    warnings: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    charts: tuple[Chart, ...] = ()
    error_maps: tuple[ErrorMap, ...] = ()
    moments: tuple[Moment, ...] = ()

    def figure(self, name: str, part: str = "") -> Figure:
        """The figure of that name (of that part, where several have it); InputError with the reason if absent."""
        found = [f for f in self.figures if f.figure == name and part in ("", f.part)]
        if found:
            return found[0]
        reasons = [a.reason for a in self.absent if a.figure == name and part in ("", a.part)]
        raise InputError(f"{self.title}: no figure {name!r}: {reasons[0] if reasons else 'it was not evaluated'}")

    def warned(self, *texts: str) -> "Report":
        """The report with more warnings before its own."""
        return replace(self, warnings=(*texts, *self.warnings))
