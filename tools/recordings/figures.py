"""Figures that several recordings have, as `geoloc.evaluation` measures them: a part, its blocks, its protocol."""

from dataclasses import dataclass

import numpy as np

from geoloc.evaluation.measures import Blocks, Measure, of_counts, of_mean, of_quantile
from geoloc.evaluation.report import NO_INTERVAL, Figure
from geoloc.metrics.bootstrap import time_blocks
from geoloc.metrics.calibration_curves import coverage_curve
from geoloc.metrics.consistency import nees
from geoloc.metrics.detection import DETECTION_FIGURES, DetectionScores

LEVELS = (0.5, 0.95)


@dataclass(frozen=True)
class Part:
    """The part of a recording that figures are about, and how long the blocks of its bootstrap are."""

    recording: str
    name: str
    block_s: float

    def blocks(self, time: np.ndarray) -> Blocks:
        """The blocks that rows at times (N,) s lie in."""
        block = time_blocks(time, self.block_s)
        return Blocks(block, int(block.max(initial=-1)) + 1)

    def measured(self, measure: Measure, over: str = "") -> Figure:
        """A measure as a figure of this part; `over` is what its blocks are where they are not of time."""
        return measure.figure(self.recording, self.name, f"bootstrap over {over or f'blocks of {self.block_s:g} s'}")

    def figure(self, name: str, value: float, unit: str, protocol: str) -> Figure:
        """A figure without an interval."""
        return Figure(self.recording, self.name, name, float(value), *NO_INTERVAL, unit, protocol)


def detection_figures(
    part: Part, scores: DetectionScores, time: np.ndarray, suffix: str, protocol: str
) -> list[Figure]:
    """moda, modp, precision and recall in per cent; `time` (F,) s is that of `scores.frames`."""
    blocks = part.blocks(time)
    return [
        part.measured(of_counts(name + suffix, "%", protocol, scores.counts, blocks, formula, 100))
        for name, formula in DETECTION_FIGURES.items()
    ]


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
    said = f"{protocol}; n {len(values)}, 2 expected"
    return part.measured(of_mean("nees" + suffix, "", said, values, part.blocks(errors.time)))


def coverage_figures(part: Part, errors: GroundErrors, suffix: str, protocol: str) -> list[Figure]:
    """Share in per cent of the errors inside the ellipses that should hold 50 and 95 % of them."""
    curve = coverage_curve(nees(errors.error, errors.cov), 2, LEVELS)
    blocks = part.blocks(errors.time)
    return [
        part.measured(of_mean(f"nees_coverage_{100 * level:.0f}{suffix}", "%", protocol, inside, blocks, 100))
        for level, inside in zip(LEVELS, curve.inside.T, strict=True)
    ]


def median_figure(part: Part, name: str, values: np.ndarray, time: np.ndarray, protocol: str) -> Figure:
    """Median of `values` (N,) m with its block interval."""
    said = f"{protocol}; n {len(values)}"
    return part.measured(of_quantile(name, "m", said, values, part.blocks(time)))


def mean_figure(
    part: Part, name: str, values: np.ndarray, time: np.ndarray, unit: str, protocol: str
) -> Figure:
    """Mean of `values` (N,) with its block interval."""
    return part.measured(of_mean(name, unit, protocol, values, part.blocks(time)))
