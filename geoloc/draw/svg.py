"""Words, numbers and scales for charts that are written as SVG and HTML."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.draw.words import one_line

LONGEST = 2000  # characters of one piece of text
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def text(words: str) -> str:
    """`words` as text or attribute value of a page: on one line, nothing in it is markup."""
    return html.escape(one_line(words, LONGEST))


def short(value: float) -> str:
    """A pixel coordinate to a tenth."""
    return f"{value:.1f}".removesuffix(".0")


def plain(value: float) -> str:
    """Four significant digits, thousands apart, never an exponent; nothing for what is no number."""
    if not math.isfinite(value):
        return ""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    written = f"{value:.{min(8, max(0, 3 - math.floor(math.log10(abs(value)))))}f}"
    return written.rstrip("0").rstrip(".") if "." in written else written


@dataclass(frozen=True)
class Scale:
    """Values `low` to `high` on pixels `start` to `end`, with `ticks` at round values."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...] = ()

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Pixels (N,) of values (N,)."""
        share = (np.asarray(values, float) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    @property
    def labels(self) -> tuple[str, ...]:
        """The ticks in words, all with as many digits as tell them apart."""
        step = min((b - a for a, b in zip(self.ticks, self.ticks[1:], strict=False)), default=1.0)
        digits = next((n for n in range(9) if abs(round(step, n) - step) < 1e-6 * step), 9)
        return tuple(f"{tick + 0.0:,.{digits}f}" for tick in self.ticks)


def scale(values: Sequence[np.ndarray], start: float, end: float, *, snap: bool, count: int = 5) -> Scale:
    """A scale over all finite `values`; with `snap` it ends at ticks, and begins at 0 if that is not far."""
    finite = np.concatenate([np.empty(0), *(np.asarray(part, float).ravel() for part in values)])
    finite = finite[np.isfinite(finite)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if snap and 0 < low < 0.5 * high:
        low = 0.0
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        margin = 0.5 * abs(high) or 0.5
        low, high = low - margin, high + margin
    step = tick_step((high - low) / count)
    first, last = (math.floor, math.ceil) if snap else (math.ceil, math.floor)
    ticks = step * np.arange(first(low / step - 1e-6 * (not snap)), last(high / step + 1e-6 * (not snap)) + 1)
    if snap:
        low, high = float(ticks[0]), float(ticks[-1])
    return Scale(low, high, start, end, tuple(ticks.tolist()))


def tick_step(least: float) -> float:
    """The smallest of 1, 2, 2.5, 5, 10 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return float(next((power * step for step in STEPS if step * power >= least * (1 - 1e-9)), 10 * power))


def runs(kept: np.ndarray) -> list[slice]:
    """The stretches of `kept` (N,) bool that are true throughout."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(int)))
    return [slice(a, b) for a, b in edges.reshape(-1, 2).tolist()]


def points(x: np.ndarray, y: np.ndarray) -> str:
    """Pixels x, y (N,) as the middle of a path or polygon."""
    return " ".join(f"{short(a)},{short(b)}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
