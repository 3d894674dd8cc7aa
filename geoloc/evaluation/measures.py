"""A number and how it would have come out on other blocks of time: what intervals and paired tests need."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.report import NO_INTERVAL, Difference, Figure
from geoloc.metrics.bootstrap import block_bootstrap, pool
from geoloc.metrics.paired import paired_bootstrap, paired_permutation

SEED = 1
FEWEST_BLOCKS = 5  # an interval drawn over fewer says nothing

Formula = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Blocks:
    """The block (N,) int of each of N rows, of `n` blocks in all; some may be without a row."""

    block: np.ndarray
    n: int

    def take(self, rows: np.ndarray) -> "Blocks":
        """The same blocks for other rows, given as indices into these."""
        return Blocks(self.block[rows], self.n)

    def pool(self, counts: np.ndarray) -> np.ndarray:
        """Sums (n, ...) of the `counts` (N, ...) over each block."""
        return pool(counts, self.block, self.n)


@dataclass(frozen=True, eq=False)
class Quantile:
    """A quantile of ascending `values` (N,) that lie in blocks `owner` (N,); as a formula of draws (..., B)."""

    values: np.ndarray
    owner: np.ndarray
    share: float

    def __call__(self, drawn: np.ndarray) -> np.ndarray:
        """The quantile once each block is there as often as `drawn` (..., B) says."""
        flat = np.reshape(drawn, (-1, np.shape(drawn)[-1]))
        return np.array([self._of(times[self.owner]) for times in flat]).reshape(np.shape(drawn)[:-1])

    def beside(self, other: "Quantile", n_blocks: int) -> "Quantile":
        """The quantile over the rows of both, the other's blocks after the first's."""
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")
        return Quantile(values[order], np.concatenate([self.owner, other.owner + n_blocks])[order], self.share)

    def _of(self, times: np.ndarray) -> float:
        upto = np.cumsum(times)
        if upto[-1] < 1:
            return float(np.quantile(self.values, self.share))
        place = self.share * (upto[-1] - 1)
        below, above = np.searchsorted(upto, [np.floor(place), np.ceil(place)], "right")
        return float(self.values[below] + (place % 1.0) * (self.values[above] - self.values[below]))


@dataclass(frozen=True, eq=False)
class Measure:
    """A figure with what it is made of: `counts` (B, K) of each block, and the formula of their sum.

    `over` says what its blocks are where they are not those of the other figures.
    """

    name: str
    unit: str
    protocol: str
    counts: np.ndarray
    formula: Formula
    over: str = ""

    @property
    def value(self) -> float:
        """The figure over all blocks."""
        return float(self.formula(self.counts.sum(axis=0)))

    @property
    def n_telling(self) -> int:
        """Blocks that have a say: of a bare count all, else those with rows, as of the few with a rare event."""
        if isinstance(self.formula, Quantile):
            return len(np.unique(self.formula.owner))
        return len(self.counts) if self.counts.shape[1] == 1 else int(self.counts.any(axis=1).sum())

    def figure(self, recording: str, part: str, how_sure: str) -> Figure:
        """The figure with its 95 % interval, if there are blocks to draw from; `how_sure` says what they are."""
        (low, high), how = NO_INTERVAL, self.over or how_sure
        if self.n_telling >= FEWEST_BLOCKS:
            low, high = block_bootstrap(self.counts, self.formula, np.random.default_rng(SEED))
        else:
            how = f"no interval: {how} needs {FEWEST_BLOCKS} with data, here {self.n_telling}"
        return Figure(recording, part, self.name, self.value, low, high, self.unit, f"{self.protocol}; {how}")


def of_counts(
    name: str, unit: str, protocol: str, counts: np.ndarray, blocks: Blocks, formula: Formula, scale: float = 1.0
) -> Measure:
    """A formula, (..., K) -> (...), of summed `counts` (N, K) of rows that lie in `blocks`."""
    return Measure(name, unit, protocol, blocks.pool(counts), lambda n: scale * formula(n))


def of_mean(name: str, unit: str, protocol: str, values: np.ndarray, blocks: Blocks, scale: float = 1.0) -> Measure:
    """The mean of `values` (N,) of rows that lie in `blocks`."""
    _refuse_none(name, values)
    counts = np.stack([np.asarray(values, float), np.ones(len(values))], axis=1)
    return of_counts(name, unit, protocol, counts, blocks, lambda n: n[..., 0] / np.maximum(n[..., 1], 1.0), scale)


def of_quantile(
    name: str, unit: str, protocol: str, values: np.ndarray, blocks: Blocks, share: float = 0.5
) -> Measure:
    """A quantile of `values` (N,) of rows that lie in `blocks`; the median by default."""
    _refuse_none(name, values)
    order = np.argsort(values, kind="stable")
    quantile = Quantile(np.asarray(values, float)[order], blocks.block[order], share)
    return Measure(name, unit, protocol, np.eye(blocks.n), quantile)


def difference(ours: Measure, other: Measure, part: str) -> Difference:
    """`ours` minus `other`, both measured on the same blocks: paired bootstrap interval, permutation p-value."""
    if len(ours.counts) != len(other.counts):
        raise InputError(f"{ours.name}: runs with {len(ours.counts)} and {len(other.counts)} blocks do not pair up")
    first, second, formula = ours.counts, other.counts, ours.formula
    if isinstance(ours.formula, Quantile) and isinstance(other.formula, Quantile):
        formula = ours.formula.beside(other.formula, len(first))
        first, second = np.hstack([first, 0 * first]), np.hstack([0 * second, second])
    (low, high), p_value = NO_INTERVAL, float("nan")
    if min(ours.n_telling, other.n_telling) >= FEWEST_BLOCKS:
        found = paired_bootstrap(first, second, formula, np.random.default_rng(SEED))
        low, high = found.low, found.high
        p_value = paired_permutation(first, second, formula, np.random.default_rng(SEED), n=2000)
    change = ours.value - other.value
    return Difference(part, ours.name, ours.value, other.value, change, low, high, p_value, ours.unit, ours.protocol)


def _refuse_none(name: str, values: np.ndarray) -> None:
    if not len(values):
        raise InputError(f"{name}: nothing was matched with the truth, so there is nothing to measure")
