"""How fast the objects of a site move: their class's speed at first, then what their tracks have shown."""

import numpy as np

from geoloc.pipeline.packed import kind_arrays
from geoloc.scene.kinds import family_of

MOVES = 0.1  # of its class's speed: what is slower stands, or is about to
WILD = 3.0  # times it: what seems faster is an error
PRIOR = 300.0  # rows of moving tracks that what is known of a class counts as


class Paces:
    """Mean and standard deviation of the speed of what moves, by family (of `scene.kinds`)."""

    def __init__(self, pace: float, spread: float) -> None:
        self._pace, self._spread = pace, spread
        self._sums: dict[str, tuple[float, float, float]] = {}  # rows, m/s and m²/s² of them

    def learn(self, labels: tuple[str, ...], label: np.ndarray, velocity: np.ndarray) -> None:
        """Take in velocities (N, 2) m/s of tracks with a `label` (N,), a number among `labels`; some may stand."""
        speed = np.sqrt(np.einsum("ni,ni->n", velocity, velocity))
        usual = kind_arrays(labels).speed.take(label)
        moves = (speed >= MOVES * usual) & (speed <= WILD * usual)
        for row in np.unique(label[moves]).tolist():
            mine, family = speed[moves & (label == row)], family_of(labels[row])
            n, total, square = self._sums.get(family, (0.0, 0.0, 0.0))
            self._sums[family] = n + len(mine), total + float(mine.sum()), square + float((mine**2).sum())

    def of(self, labels: tuple[str, ...]) -> np.ndarray:
        """Mean and standard deviation (K, 2) m/s of the speed of what moves and has each of the labels."""
        usual = kind_arrays(labels).speed.tolist()
        known = [self._of(family_of(name), speed) for name, speed in zip(labels, usual, strict=True)]
        return np.array(known).reshape(-1, 2)

    def _of(self, family: str, usual: float) -> tuple[float, float]:
        n, total, square = self._sums.get(family, (0.0, 0.0, 0.0))
        before = self._pace * usual
        mean = (PRIOR * before + total) / (PRIOR + n)
        spread2 = PRIOR * ((self._spread * before) ** 2 + (before - mean) ** 2)
        spread2 += square - 2.0 * mean * total + n * mean**2
        return mean, float(np.sqrt(spread2 / (PRIOR + n)))
