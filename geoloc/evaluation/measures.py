"""One measured number and how it would have come out on other blocks of time: what intervals and tests need."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.report import NO_INTERVAL, Difference, Figure

SEED = 1
DRAWS = 1000
FEWEST_BLOCKS = 2

Resampled = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Blocks:
    """The block (N,) int of each of N rows, of `n` blocks in all; some may be without a row."""

    block: np.ndarray
    n: int

    def take(self, rows: np.ndarray) -> "Blocks":
        """The same blocks for other rows, given as indices into these."""
        return Blocks(self.block[rows], self.n)


@dataclass(frozen=True, eq=False)
class Measure:
    """A figure's value, its block bootstrap, and its protocol.

    `resampled` turns how often each of `n_blocks` blocks was drawn, (n, n_blocks) int, into n figures; without
    blocks there is no interval.
    """

    name: str
    value: float
    unit: str
    protocol: str
    n_blocks: int
    resampled: Resampled

    def figure(self, recording: str, part: str, how_sure: str) -> Figure:
        """The figure with its 95 % percentile interval (Efron 1979); `how_sure` says what the blocks are."""
        low, high = NO_INTERVAL
        protocol = self.protocol
        if self.n_blocks >= FEWEST_BLOCKS:
            low, high = np.percentile(self.resampled(_draws(self.n_blocks)), [2.5, 97.5]).tolist()
            protocol = f"{protocol}; {how_sure}"
        return Figure(recording, part, self.name, self.value, low, high, self.unit, protocol)


def of_counts(
    name: str,
    unit: str,
    protocol: str,
    counts: np.ndarray,
    blocks: Blocks,
    formula: Callable[[np.ndarray], np.ndarray],
    scale: float = 1.0,
) -> Measure:
    """A formula of summed counts: `counts` (N, K) of rows that lie in `blocks`; formula (..., K) -> (...)."""
    pooled = np.zeros((blocks.n, counts.shape[1]))
    np.add.at(pooled, blocks.block, counts)
    value = scale * float(formula(pooled.sum(axis=0)))
    return Measure(name, value, unit, protocol, len(pooled), lambda drawn: scale * formula(drawn @ pooled))


def of_mean(name: str, unit: str, protocol: str, values: np.ndarray, blocks: Blocks) -> Measure:
    """The mean of `values` (N,) of rows that lie in `blocks`."""
    _refuse_none(name, values)
    counts = np.stack([values, np.ones(len(values))], axis=1)
    return of_counts(name, unit, protocol, counts, blocks, lambda n: n[..., 0] / np.maximum(n[..., 1], 1e-300))


def of_quantile(
    name: str, unit: str, protocol: str, values: np.ndarray, blocks: Blocks, share: float = 0.5
) -> Measure:
    """A quantile of `values` (N,) of rows that lie in `blocks`; the median by default."""
    _refuse_none(name, values)
    order = np.argsort(values, kind="stable")
    ordered, owner = np.asarray(values)[order], blocks.block[order]

    def resampled(drawn: np.ndarray) -> np.ndarray:
        return np.array([_weighted_quantile(ordered, times[owner], share) for times in drawn])

    return Measure(name, float(np.quantile(values, share)), unit, protocol, blocks.n, resampled)


def difference(ours: Measure, other: Measure, part: str) -> Difference:
    """`ours` minus `other`, both measured on the same blocks, drawn together (paired block bootstrap).

    The p-value is two-sided: twice the smaller share of draws on either side of no difference.
    """
    if ours.n_blocks != other.n_blocks:
        raise InputError(f"{ours.name}: {ours.n_blocks} blocks against {other.n_blocks}; score both on the same frames")
    low, high = NO_INTERVAL
    p_value = float("nan")
    if ours.n_blocks >= FEWEST_BLOCKS:
        drawn = _draws(ours.n_blocks)
        found = ours.resampled(drawn) - other.resampled(drawn)
        low, high = np.percentile(found, [2.5, 97.5]).tolist()
        # one is added to both: a bootstrap of so many draws cannot tell a p-value below 2 / draws
        tails = ((found <= 0).sum() + 1, (found >= 0).sum() + 1)
        p_value = min(1.0, 2.0 * min(tails) / (DRAWS + 1))
    change = ours.value - other.value
    return Difference(part, ours.name, ours.value, other.value, change, low, high, p_value, ours.unit, ours.protocol)


def _draws(n_blocks: int) -> np.ndarray:
    """How often each block is drawn, (DRAWS, n_blocks): the same for every figure, so that runs compare in pairs."""
    rng = np.random.default_rng(SEED)
    return rng.multinomial(n_blocks, np.full(n_blocks, 1.0 / n_blocks), size=DRAWS)


def _weighted_quantile(ordered: np.ndarray, times: np.ndarray, share: float) -> float:
    """The quantile of ascending values (N,), each there `times` (N,) over."""
    upto = np.cumsum(times)
    if upto[-1] == 0:
        return float(np.quantile(ordered, share))
    place = share * (upto[-1] - 1)
    below, above = np.searchsorted(upto, [np.floor(place), np.ceil(place)], "right")
    return float(ordered[below] + (place - np.floor(place)) * (ordered[above] - ordered[below]))


def _refuse_none(name: str, values: np.ndarray) -> None:
    if not len(values):
        raise InputError(f"{name}: nothing was matched with the truth, so there is nothing to measure")
