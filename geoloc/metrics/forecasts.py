"""Whether stated probabilities come true: reliability diagram, Brier score and its parts, log loss.

For match probabilities: of the pairs that were said to match with 0.8, about eight in ten should.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError

LEAST = float(np.finfo(float).eps)  # a forecast of 0 or 1 that fails costs 36 nats, as scikit-learn has it

Pooled = Callable[[np.ndarray], np.ndarray]


def _bins(n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Counts, mean forecast and observed frequency of each bin (..., K), and the share of each (..., K)."""
    count, forecast, happened = np.moveaxis(n[..., :-2].reshape(*n.shape[:-1], 3, -1), -2, 0)
    size = np.maximum(count, 1.0)
    share = count / np.maximum(count.sum(axis=-1, keepdims=True), 1.0)
    return count, forecast / size, happened / size, share


def _rate(n: np.ndarray) -> np.ndarray:
    _, _, observed, share = _bins(n)
    return (share * observed).sum(axis=-1)


def _mean_over_rows(n: np.ndarray, column: int) -> np.ndarray:
    return n[..., column] / np.maximum(_bins(n)[0].sum(axis=-1), 1.0)


def _reliability(n: np.ndarray) -> np.ndarray:
    _, forecast, observed, share = _bins(n)
    return (share * (forecast - observed) ** 2).sum(axis=-1)


def _resolution(n: np.ndarray) -> np.ndarray:
    _, _, observed, share = _bins(n)
    return (share * (observed - _rate(n)[..., None]) ** 2).sum(axis=-1)


def _uncertainty(n: np.ndarray) -> np.ndarray:
    return _rate(n) * (1.0 - _rate(n))


def _calibration_error(n: np.ndarray) -> np.ndarray:
    _, forecast, observed, share = _bins(n)
    return (share * np.abs(forecast - observed)).sum(axis=-1)


def _worst_calibration_error(n: np.ndarray) -> np.ndarray:
    count, forecast, observed, _ = _bins(n)
    return np.where(count > 0, np.abs(forecast - observed), 0.0).max(axis=-1)


# Of pooled counts (..., 3 K + 2): rows, summed forecasts and events of each of K bins, then the summed squared
# error and the summed log loss of all rows. brier = reliability - resolution + uncertainty + within_bins.
FORECAST_FIGURES: dict[str, Pooled] = {
    "brier": lambda n: _mean_over_rows(n, -2),
    "reliability": _reliability,
    "resolution": _resolution,
    "uncertainty": _uncertainty,
    "within_bins": lambda n: _mean_over_rows(n, -2) - _reliability(n) + _resolution(n) - _uncertainty(n),
    "calibration_error": _calibration_error,
    "worst_calibration_error": _worst_calibration_error,
    "log_loss": lambda n: _mean_over_rows(n, -1),
}


@dataclass(frozen=True, eq=False)
class ForecastScores:
    """N forecasts of events, in K bins between the `edges` (K + 1,).

    `probability` (N,) stated, `event` (N,) bool: it happened; `bin` (N,) int. Figures: the Brier score (1950) and
    its parts by Murphy (1973): reliability (0 is best), resolution (large is best), uncertainty (of the events
    alone); `within_bins` is what forecasts that differ inside a bin add (Stephenson, Coelho and Jolliffe 2008).
    calibration_error is the expected calibration error (Naeini, Cooper and Hauskrecht 2015).
    """

    edges: np.ndarray
    probability: np.ndarray
    event: np.ndarray
    bin: np.ndarray

    def pooled(self, block: np.ndarray) -> np.ndarray:
        """Counts (B, 3 K + 2) of each `block` (N,) int from 0, as FORECAST_FIGURES take them."""
        block = np.asarray(block)
        if block.shape != self.bin.shape:
            raise InputError(f"forecasts: blocks {block.shape} of {len(self.bin)} forecasts; give one each")
        n_bins, n_blocks = len(self.edges) - 1, int(block.max()) + 1
        cell = block * n_bins + self.bin

        def summed(weights: np.ndarray) -> np.ndarray:
            return np.bincount(cell, weights=weights, minlength=n_blocks * n_bins).reshape(n_blocks, n_bins)

        losses = [np.bincount(block, weights=loss) for loss in (self.squared_error, self.log_loss)]
        parts = [summed(np.ones(len(cell))), summed(self.probability), summed(self.event.astype(float))]
        return np.concatenate([*parts, np.stack(losses, axis=1)], axis=1)

    @property
    def squared_error(self) -> np.ndarray:
        """(probability - event)² of each forecast: (N,)."""
        return (self.probability - self.event) ** 2

    @property
    def log_loss(self) -> np.ndarray:
        """-log of the probability given to what happened: (N,) nats."""
        right = np.where(self.event, self.probability, 1.0 - self.probability)
        return -np.log(np.clip(right, LEAST, 1.0 - LEAST))

    def figure(self, name: str) -> float:
        """One of FORECAST_FIGURES over all forecasts."""
        return float(FORECAST_FIGURES[name](self.pooled(np.zeros(len(self.bin), dtype=int)))[0])

    def diagram(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows (K,), mean forecast (K,) and observed frequency (K,) of each bin; NaN where a bin is empty."""
        count, forecast, observed, _ = _bins(self.pooled(np.zeros(len(self.bin), dtype=int))[0])
        empty = count == 0
        return count.astype(int), np.where(empty, np.nan, forecast), np.where(empty, np.nan, observed)


def score_forecasts(probability: np.ndarray, event: np.ndarray, edges: np.ndarray | int = 10) -> ForecastScores:
    """Scores of stated probabilities (N,) of events (N,) bool: whether it happened.

    `edges` (K + 1,) of the bins from 0 to 1, or the number of equal ones. A forecast on an edge belongs to the bin
    below it, as in scikit-learn's `calibration_curve`.
    """
    probability, event = np.asarray(probability, float), np.asarray(event)
    if probability.ndim != 1 or event.shape != probability.shape:
        raise InputError(f"forecasts: probabilities {probability.shape}, events {event.shape}; give (N,) each")
    if not len(probability):
        raise InputError("forecasts: none were given, so nothing can be scored")
    bad = np.flatnonzero(~((probability >= 0) & (probability <= 1)))
    if len(bad):
        raise InputError(f"forecasts: row {bad[0]} is {probability[bad[0]]}, no probability ({len(bad)} such rows)")
    if not np.isin(event, (0, 1)).all():
        raise InputError("forecasts: events must be true or false (1 or 0), one a forecast")
    cuts = np.linspace(0.0, 1.0, edges + 1) if isinstance(edges, int) else np.asarray(edges, float)
    if cuts.ndim != 1 or len(cuts) < 2 or cuts[0] != 0 or cuts[-1] != 1 or (np.diff(cuts) <= 0).any():
        raise InputError(f"forecasts: edges {cuts.tolist()}; they must rise from 0 to 1")
    return ForecastScores(cuts, probability, event.astype(bool), np.searchsorted(cuts[1:-1], probability))
