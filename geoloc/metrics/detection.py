"""How well positions on the ground agree with the truth, frame by frame, without identities."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from geoloc.metrics.assignment import assign_most
from geoloc.metrics.matching import Pairs, Sightings, pair_positions

Formula = Callable[[np.ndarray], np.ndarray]


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """part / max(whole, 1): a count over a count that may be nought, as TrackEval has it."""
    return part / np.maximum(whole, 1.0)


# Of pooled counts (..., 4): true positives, false positives, misses, summed similarity of the matches.
DETECTION_FIGURES: dict[str, Formula] = {
    "moda": lambda n: ratio(n[..., 0] - n[..., 1], n[..., 0] + n[..., 2]),
    "modp": lambda n: ratio(n[..., 3], n[..., 0]),
    "precision": lambda n: ratio(n[..., 0], n[..., 0] + n[..., 1]),
    "recall": lambda n: ratio(n[..., 0], n[..., 0] + n[..., 2]),
}


@dataclass(frozen=True, eq=False)
class DetectionScores:
    """MODA and its like, with the counts of each frame behind them.

    `counts` (F, 4): true positives, false positives, misses, summed similarity of each of `frames` (F,).
    `truth`, `result` (T,) are the matched rows as the caller gave them.
    """

    frames: np.ndarray
    counts: np.ndarray
    truth: np.ndarray
    result: np.ndarray

    def figure(self, name: str) -> float:
        """One of DETECTION_FIGURES, pooled over all frames: 0 to 1 (moda may be below 0)."""
        return float(DETECTION_FIGURES[name](self.counts.sum(axis=0)))

    @property
    def moda(self) -> float:
        """1 - (false positives + misses) / truths."""
        return self.figure("moda")

    @property
    def modp(self) -> float:
        """Mean similarity of the matches: 1 - distance / threshold."""
        return self.figure("modp")

    @property
    def precision(self) -> float:
        """Matches / results."""
        return self.figure("precision")

    @property
    def recall(self) -> float:
        """Matches / truths."""
        return self.figure("recall")


def score_positions(truth: Sightings, result: Sightings, threshold: float = 0.5) -> DetectionScores:
    """Ground-plane detection scores: one-to-one matching in each frame, at most `threshold` (m) apart.

    As many matches as possible, then the smallest sum of distances: the Hungarian protocol of the
    multi-view detection literature (Kasturi et al. 2009, MODA and MODP; WILDTRACK, Chavdarova et al. 2018).
    """
    return score_pairs(pair_positions(truth, result, threshold), 0.0)


def score_pairs(pairs: Pairs, threshold: float) -> DetectionScores:
    """Detection scores of `pairs` whose similarity is at least `threshold`."""
    near = np.flatnonzero(pairs.similarity >= threshold)
    chosen = near[assign_most(pairs.truth[near], pairs.result[near], pairs.similarity[near])]
    matches = pairs.per_frame(pairs.frame[chosen])
    counts = [
        matches,
        pairs.per_frame(pairs.result_frame) - matches,
        pairs.per_frame(pairs.truth_frame) - matches,
        pairs.per_frame(pairs.frame[chosen], pairs.similarity[chosen]),
    ]
    return DetectionScores(pairs.frames, np.stack(counts, axis=1), pairs.truth[chosen], pairs.result[chosen])
