"""Figures that several recordings have: detection scores and NEES on the ground, with block intervals."""

from dataclasses import dataclass

import numpy as np

from geoloc.evaluation.report import Figure
from geoloc.metrics.bootstrap import block_bootstrap, block_bootstrap_rows, pool, time_blocks
from geoloc.metrics.consistency import coverage, nees
from geoloc.metrics.detection import DETECTION_FIGURES, DetectionScores

NO_INTERVAL = (float("nan"), float("nan"))
SEED = 1


@dataclass(frozen=True)
class Part:
    """The part of a recording that figures are about, and how long the blocks of its bootstrap are."""

    recording: str
    name: str
    block_s: float

    def figure(
        self, name: str, value: float, interval: tuple[float, float], unit: str, protocol: str
    ) -> Figure:
        """One figure of this part; `interval` is its 95 % interval or NO_INTERVAL."""
        low, high = interval
        return Figure(self.recording, self.name, name, float(value), low, high, unit, protocol)

    @property
    def how_sure(self) -> str:
        """What the protocol says of the intervals."""
        return f"bootstrap over blocks of {self.block_s:g} s"


def detection_figures(
    part: Part, scores: DetectionScores, time: np.ndarray, suffix: str, protocol: str
) -> list[Figure]:
    """moda, modp, precision and recall in per cent; `time` (F,) s is that of `scores.frames`."""
    blocks = pool(scores.counts, time_blocks(time, part.block_s))
    figures = []
    for name, formula in DETECTION_FIGURES.items():
        low, high = block_bootstrap(blocks, formula, np.random.default_rng(SEED))
        value, interval = 100 * scores.figure(name), (100 * low, 100 * high)
        figures.append(part.figure(name + suffix, value, interval, "%", f"{protocol}; {part.how_sure}"))
    return figures


@dataclass(frozen=True, eq=False)
class GroundErrors:
    """Errors (N, 2) m of positions, their stated covariances (N, 2, 2) m² and times (N,) s."""

    error: np.ndarray
    cov: np.ndarray
    time: np.ndarray

    def take(self, rows: np.ndarray) -> "GroundErrors":
        """The rows that a mask or index selects."""
        return GroundErrors(self.error[rows], self.cov[rows], self.time[rows])


def nees_figure(part: Part, errors: GroundErrors, suffix: str, protocol: str) -> Figure:
    """Mean NEES with its block interval; 2 is expected."""
    values = nees(errors.error, errors.cov)
    block = time_blocks(errors.time, part.block_s)
    interval = block_bootstrap_rows(values, block, lambda x: float(x.mean()), np.random.default_rng(SEED))
    said = f"{protocol}; n {len(values)}, 2 expected; {part.how_sure}"
    return part.figure("nees" + suffix, values.mean(), interval, "", said)


def coverage_figures(part: Part, errors: GroundErrors, suffix: str, protocol: str) -> list[Figure]:
    """Share in per cent of the errors inside the ellipses that should hold 50 and 95 % of them."""
    values = nees(errors.error, errors.cov)
    block = time_blocks(errors.time, part.block_s)
    figures = []
    for level in (0.5, 0.95):

        def percent(rows: np.ndarray, level: float = level) -> float:
            return 100 * coverage(rows, 2, level)

        interval = block_bootstrap_rows(values, block, percent, np.random.default_rng(SEED))
        name = f"nees_coverage_{100 * level:.0f}{suffix}"
        figures.append(part.figure(name, percent(values), interval, "%", f"{protocol}; {part.how_sure}"))
    return figures


def median_figure(part: Part, name: str, values: np.ndarray, time: np.ndarray, protocol: str) -> Figure:
    """Median of `values` (N,) m with its block interval."""
    block = time_blocks(time, part.block_s)
    interval = block_bootstrap_rows(values, block, lambda x: float(np.median(x)), np.random.default_rng(SEED))
    said = f"{protocol}; n {len(values)}; {part.how_sure}"
    return part.figure(name, float(np.median(values)), interval, "m", said)


def mean_figure(
    part: Part, name: str, values: np.ndarray, time: np.ndarray, unit: str, protocol: str
) -> Figure:
    """Mean of `values` (N,) with its block interval."""
    block = time_blocks(time, part.block_s)
    interval = block_bootstrap_rows(values, block, lambda x: float(x.mean()), np.random.default_rng(SEED))
    return part.figure(name, float(values.mean()), interval, unit, f"{protocol}; {part.how_sure}")
