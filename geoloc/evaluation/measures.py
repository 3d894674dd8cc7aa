"""A number and how it would have come out on other blocks of time: what intervals and paired tests need."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.report import NO_INTERVAL, Difference, Figure
from geoloc.metrics.bootstrap import block_bootstrap, block_draws, pool
from geoloc.metrics.paired import paired_bootstrap, paired_permutation

SEED = 1
ALPHA = 0.05
RANKS = 2000  # of a quantile's rows that draws tell apart
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
    """A quantile of ascending `values` (N,) that lie in blocks `owner` (N,); as a formula of draws (..., B).

    Of more than RANKS rows, draws are answered to one of RANKS ranks; the quantile of all rows itself is exact.
    """

    values: np.ndarray
    owner: np.ndarray
    share: float
    n_blocks: int

    def __call__(self, drawn: np.ndarray) -> np.ndarray:
        """The quantile once each block is there as often as `drawn` (..., B) says."""
        flat = np.reshape(drawn, (-1, self.n_blocks))
        if (flat == 1).all():
            out = np.full(len(flat), np.quantile(self.values, self.share))
        else:
            out = self._of_draws(flat)
        return out.reshape(np.shape(drawn)[:-1])

    def beside(self, other: "Quantile") -> "Quantile":
        """The quantile over the rows of both, the other's blocks after the first's."""
        values = np.concatenate([self.values, other.values])
        order = np.argsort(values, kind="stable")
        owner = np.concatenate([self.owner, other.owner + self.n_blocks])
        return Quantile(values[order], owner[order], self.share, self.n_blocks + other.n_blocks)

    @cached_property
    def _upto(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows at which ranks end (R,), and how many rows of each block lie up to there (R, B)."""
        ends = np.unique(np.linspace(0, len(self.values) - 1, min(RANKS, len(self.values))).astype(int))
        rank = np.searchsorted(ends, np.arange(len(self.values)))
        table = np.zeros((len(ends), self.n_blocks))
        np.add.at(table, (rank, self.owner), 1.0)
        return ends, np.cumsum(table, axis=0)

    def _of_draws(self, drawn: np.ndarray) -> np.ndarray:
        ends, table = self._upto
        upto = drawn @ table.T
        place = self.share * (upto[:, -1:] - 1.0)
        below, above = ((upto <= part).sum(axis=1) for part in (np.floor(place), np.ceil(place)))
        low, high = (self.values[ends[np.minimum(rows, len(ends) - 1)]] for rows in (below, above))
        found = low + (place[:, 0] % 1.0) * (high - low)
        return np.where(upto[:, -1] >= 1, found, np.quantile(self.values, self.share))


@dataclass(frozen=True, eq=False)
class Measure:
    """A figure with what it is made of: `counts` (B, K) of each block, and the formula of their sum.

    `over` says what its blocks are where they are not those of the other figures. `skewed`: resampling raises the
    figure, as it does distances from zero; its interval is moved by as much.
    """

    name: str
    unit: str
    protocol: str
    counts: np.ndarray
    formula: Formula
    over: str = ""
    skewed: bool = False

    @property
    def value(self) -> float:
        """The figure over all blocks."""
        whole = np.ones(len(self.counts)) if isinstance(self.formula, Quantile) else self.counts.sum(axis=0)
        return float(self.formula(whole))

    @property
    def n_telling(self) -> int:
        """Blocks that have a say: of a bare count all, else those with rows, as of the few with a rare event."""
        if isinstance(self.formula, Quantile):
            return len(np.unique(self.formula.owner))
        return len(self.counts) if self._is_count else int(self.counts.any(axis=1).sum())

    @property
    def _is_count(self) -> bool:
        return self.counts.shape[1] == 1

    def figure(self, recording: str, part: str, how_sure: str) -> Figure:
        """The figure with its 95 % interval, if there are blocks to draw from; `how_sure` says what they are."""
        (low, high), how = NO_INTERVAL, self.over or how_sure
        if self.n_telling >= FEWEST_BLOCKS:
            low, high = self._interval()
        else:
            how = f"no interval: {how} needs {FEWEST_BLOCKS} with data, here {self.n_telling}"
        return Figure(recording, part, self.name, self.value, low, high, self.unit, f"{self.protocol}; {how}")

    def _interval(self) -> tuple[float, float]:
        """Percentile interval (Efron 1979); of what never or always happened, the rule of three (Hanley 1983)."""
        value, unseen = self.value, 3.0 / self.n_telling
        if value == 0 and self._is_count:
            return 0.0, 3.0
        if self.unit == "%" and value in (0.0, 100.0):
            return (0.0, 100.0 * min(unseen, 1.0)) if value == 0 else (100.0 * max(1.0 - unseen, 0.0), 100.0)
        rng = np.random.default_rng(SEED)
        if not self.skewed:
            return block_bootstrap(self.counts, self.formula, rng)
        draws = block_draws(self.counts, self.formula, rng)
        low, high = np.percentile(draws, [2.5, 97.5]) - (draws.mean() - value)
        return min(max(float(low), 0.0), value), max(float(high), value)


def of_counts(
    name: str,
    unit: str,
    protocol: str,
    counts: np.ndarray,
    blocks: Blocks,
    formula: Formula,
    scale: float = 1.0,
    skewed: bool = False,
) -> Measure:
    """A formula, (..., K) -> (...), of summed `counts` (N, K) of rows that lie in `blocks`."""
    return Measure(name, unit, protocol, blocks.pool(counts), lambda n: scale * formula(n), skewed=skewed)


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
    quantile = Quantile(np.asarray(values, float)[order], blocks.block[order], share, blocks.n)
    return Measure(name, unit, protocol, np.eye(blocks.n), quantile)


def difference(ours: Measure, other: Measure, part: str) -> Difference:
    """`ours` minus `other`, both measured on the same blocks: paired bootstrap interval, permutation p-value."""
    if len(ours.counts) != len(other.counts):
        raise InputError(f"{ours.name}: runs with {len(ours.counts)} and {len(other.counts)} blocks do not pair up")
    first, second, formula = ours.counts, other.counts, ours.formula
    if isinstance(ours.formula, Quantile) and isinstance(other.formula, Quantile):
        formula = ours.formula.beside(other.formula)
        first, second = np.hstack([first, 0 * first]), np.hstack([0 * second, second])
    (low, high), p_value = NO_INTERVAL, float("nan")
    if min(ours.n_telling, other.n_telling) >= FEWEST_BLOCKS:
        found = paired_bootstrap(first, second, formula, np.random.default_rng(SEED))
        p_value = paired_permutation(first, second, formula, np.random.default_rng(SEED), n=2000)
        # few blocks that differ make the bootstrap too sure: what the exact test cannot exclude is in the interval
        unsure = p_value > ALPHA
        low, high = (min(found.low, 0.0), max(found.high, 0.0)) if unsure else (found.low, found.high)
    change = ours.value - other.value
    return Difference(part, ours.name, ours.value, other.value, change, low, high, p_value, ours.unit, ours.protocol)


def _refuse_none(name: str, values: np.ndarray) -> None:
    if not len(values):
        raise InputError(f"{name}: nothing was matched with the truth, so there is nothing to measure")
