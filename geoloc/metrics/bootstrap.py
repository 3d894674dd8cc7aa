"""Intervals of pooled figures by resampling blocks: errors of neighbouring frames depend on each other.

Blocks are stretches of time or whole sequences (Künsch 1989: resample stretches, not the dependent rows in them).
"""

from collections.abc import Callable

import numpy as np

from geoloc.errors import InputError

SHORTEST_S, LONGEST_S = 1.0, 10.0  # blocks that are chosen: what people do in one second hangs together


def block_length(time: np.ndarray, asked_s: float = 0.0) -> float:
    """Length (s) of the blocks for rows at times (N,) s: as asked, or a tenth of the recording, 1 to 10 s, for 0."""
    whole = float(np.ptp(time)) if len(time) else 0.0
    return asked_s if asked_s > 0 else float(np.clip(whole / 10.0, SHORTEST_S, LONGEST_S))


def time_blocks(time: np.ndarray, length_s: float) -> np.ndarray:
    """The block that each time (N,) s falls into: (N,) int from 0, each `length_s` long."""
    if not length_s > 0:
        raise InputError(f"blocks of {length_s} s; their length must be greater than 0")
    time = np.asarray(time, float)
    if not len(time):
        return np.empty(0, dtype=int)
    # a hair of slack: 0.1 s steps of a clock in seconds must not fall out of their block by rounding
    number = np.floor((time - time.min()) / length_s + 1e-6).astype(int)
    return np.unique(number, return_inverse=True)[1]


def sequence_blocks(sequence: np.ndarray, time: np.ndarray, length_s: float) -> np.ndarray:
    """As `time_blocks`, in each `sequence` (N,) by itself: no block holds rows of two sequences."""
    names, which = np.unique(np.asarray(sequence), return_inverse=True)
    time = np.asarray(time, float)
    if which.shape != time.shape:
        raise InputError(f"sequence_blocks: sequences {which.shape} and times {time.shape}; give (N,) each")
    block, n_blocks = np.zeros(len(time), dtype=int), 0
    for k in range(len(names)):
        rows = which == k
        block[rows] = n_blocks + time_blocks(time[rows], length_s)
        n_blocks = int(block[rows].max()) + 1
    return block


def pool(counts: np.ndarray, block: np.ndarray, n_blocks: int = 0) -> np.ndarray:
    """Sums (B, ...) of the `counts` (N, ...) of each block (N,) int; at least `n_blocks`, the last may be empty."""
    out = np.zeros((max(n_blocks, int(block.max(initial=-1)) + 1), *np.shape(counts)[1:]))
    np.add.at(out, block, counts)
    return out


def block_bootstrap(
    blocks: np.ndarray,
    statistic: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
    n: int = 1000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval (Efron 1979) of a figure of counts that are pooled over blocks.

    `blocks` (B, K) are a block's counts, as `pool` gives them; `statistic` makes (...) figures of summed
    counts (..., K), as the formulas of `metrics.detection` and `metrics.tracking` do. Blocks are drawn with
    replacement. A single block tells nothing of the spread: (NaN, NaN).
    """
    if len(blocks) < 2:
        return float("nan"), float("nan")
    return _percentiles(block_draws(blocks, statistic, rng, n), level)


def block_draws(
    blocks: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator, n: int = 1000
) -> np.ndarray:
    """The figures (n,) of `n` drawings of B blocks, as `block_bootstrap` takes its percentiles of them."""
    blocks = np.asarray(blocks, float)
    times_drawn = rng.multinomial(len(blocks), np.full(len(blocks), 1.0 / len(blocks)), size=n)
    return statistic(times_drawn @ blocks)


def _percentiles(figures: np.ndarray, level: float) -> tuple[float, float]:
    low, high = np.percentile(figures, [50.0 * (1.0 - level), 50.0 * (1.0 + level)])
    return float(low), float(high)
