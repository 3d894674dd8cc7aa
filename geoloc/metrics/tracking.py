"""How well tracks keep what they follow: CLEAR MOT and the identity scores, over positions or boxes."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import unknown_name
from geoloc.metrics.assignment import assign
from geoloc.metrics.carry_over import carry_over
from geoloc.metrics.detection import DETECTION_FIGURES, Formula, ratio
from geoloc.metrics.matching import EPS, Pairs

# Of counts (..., 6), as in ClearScores.
CLEAR_FIGURES: dict[str, Formula] = {
    "mota": lambda n: ratio(n[..., 0] - n[..., 1] - n[..., 3], n[..., 0] + n[..., 2]),
    "motp": lambda n: ratio(n[..., 4], n[..., 0]),
    **{name: DETECTION_FIGURES[name] for name in ("moda", "precision", "recall")},  # the first three counts are alike
}

# Of counts (..., 3): identity true positives, identity false positives, identity misses.
IDENTITY_FIGURES: dict[str, Formula] = {
    "idf1": lambda n: ratio(n[..., 0], n[..., 0] + 0.5 * n[..., 1] + 0.5 * n[..., 2]),
    "idp": lambda n: ratio(n[..., 0], n[..., 0] + n[..., 1]),
    "idr": lambda n: ratio(n[..., 0], n[..., 0] + n[..., 2]),
}


@dataclass(frozen=True, eq=False)
class ClearScores:
    """CLEAR MOT (Bernardin and Stiefelhagen 2008) with the counts of each frame behind it.

    `counts` (F, 6): matches, false positives, misses, identity switches, summed similarity of the matches,
    fragments: how often a truth that was followed before is found again. `followed` (K,): the share of its
    sightings in which each truth is followed, 0 to 1. `convention`: see `score_clear`.
    """

    frames: np.ndarray
    counts: np.ndarray
    followed: np.ndarray
    convention: str

    def figure(self, name: str) -> float:
        """One of CLEAR_FIGURES, pooled over all frames: 0 to 1 (mota and moda may be below 0)."""
        return float(CLEAR_FIGURES[name](self.counts.sum(axis=0)))

    @property
    def mota(self) -> float:
        """1 - (false positives + misses + switches) / truths."""
        return self.figure("mota")

    @property
    def motp(self) -> float:
        """Mean similarity of the matches (py-motmetrics prints 1 - this)."""
        return self.figure("motp")

    @property
    def moda(self) -> float:
        """1 - (false positives + misses) / truths."""
        return self.figure("moda")

    @property
    def false_positives(self) -> int:
        """Results that match no truth."""
        return int(self.counts[:, 1].sum())

    @property
    def misses(self) -> int:
        """Truths that match no result."""
        return int(self.counts[:, 2].sum())

    @property
    def switches(self) -> int:
        """How often a truth is followed by another result than before."""
        return int(self.counts[:, 3].sum())

    @property
    def fragments(self) -> int:
        """How often a followed truth is lost and found again."""
        return int(self.counts[:, 5].sum())

    @property
    def is_mostly_tracked(self) -> np.ndarray:
        """Truths (K,) followed for more than 80 % of their sightings ("motmetrics": 80 % or more)."""
        return self.followed > 0.8 if self.convention == "trackeval" else self.followed >= 0.8

    @property
    def is_mostly_lost(self) -> np.ndarray:
        """Truths (K,) followed for less than 20 % of their sightings."""
        return self.followed < 0.2

    @property
    def mostly_tracked(self) -> int:
        """How many truths are mostly tracked."""
        return int(self.is_mostly_tracked.sum())

    @property
    def mostly_lost(self) -> int:
        """How many truths are mostly lost."""
        return int(self.is_mostly_lost.sum())

    @property
    def partly_tracked(self) -> int:
        """Truths neither mostly tracked nor mostly lost."""
        return self.n_truths - self.mostly_tracked - self.mostly_lost

    @property
    def n_truths(self) -> int:
        """Identities of the truth."""
        return len(self.followed)


@dataclass(frozen=True, eq=False)
class IdentityScores:
    """Identity scores (Ristani et al. 2016) under the one best global pairing of truths with results.

    `counts` (F, 3): identity true positives, false positives and misses of each frame.
    """

    frames: np.ndarray
    counts: np.ndarray

    def figure(self, name: str) -> float:
        """One of IDENTITY_FIGURES, pooled over all frames: 0 to 1."""
        return float(IDENTITY_FIGURES[name](self.counts.sum(axis=0)))

    @property
    def idf1(self) -> float:
        """Harmonic mean of idp and idr."""
        return self.figure("idf1")

    @property
    def idp(self) -> float:
        """Share of the results that bear the right identity."""
        return self.figure("idp")

    @property
    def idr(self) -> float:
        """Share of the truths that bear the right identity."""
        return self.figure("idr")


def score_identity(pairs: Pairs, threshold: float = 0.5) -> IdentityScores:
    """IDF1, IDP, IDR: each truth is paired with at most one result for good, so that most sightings agree.

    A pair agrees in a frame where its similarity is at least `threshold`.
    """
    near = np.flatnonzero(pairs.similarity >= threshold)
    couple, truth_id, result_id = pairs.couples
    together = np.bincount(couple[near], minlength=len(truth_id))
    chosen = assign(truth_id, result_id, together.astype(float))
    hits = pairs.per_frame(pairs.frame[near[chosen[couple[near]]]])
    counts = [hits, pairs.per_frame(pairs.result_frame) - hits, pairs.per_frame(pairs.truth_frame) - hits]
    return IdentityScores(pairs.frames, np.stack(counts, axis=1))


def score_clear(pairs: Pairs, threshold: float = 0.5, convention: str = "trackeval") -> ClearScores:
    """CLEAR MOT: a pair of the frame before is kept while its similarity is at least `threshold`.

    Conventions differ in what "before" is and in fragments. "trackeval": the previous frame, then the largest
    sum of similarity; a fragment wherever a truth is not matched in the previous frame. "motmetrics": the
    last match however long ago, then most matches; a fragment only where the truth was there and missed.
    """
    if convention not in ("trackeval", "motmetrics"):
        raise unknown_name("CLEAR convention", convention, ["trackeval", "motmetrics"])
    near = np.flatnonzero(pairs.similarity >= threshold - EPS)
    forget = convention == "trackeval"
    match = near[carry_over(pairs, near, forget)]
    match = match[np.argsort(pairs.truth_id[pairs.truth[match]] * len(pairs.frames) + pairs.frame[match])]
    matches = pairs.per_frame(pairs.frame[match])
    found_again = _gaps_between_frames if forget else _gaps_between_sightings
    counts = [
        matches,
        pairs.per_frame(pairs.result_frame) - matches,
        pairs.per_frame(pairs.truth_frame) - matches,
        pairs.per_frame(pairs.frame[match[_switched(pairs, match)]]),
        pairs.per_frame(pairs.frame[match], pairs.similarity[match]),
        pairs.per_frame(pairs.frame[match[found_again(pairs, match)]]),
    ]
    seen = np.bincount(pairs.truth_id)
    followed = np.bincount(pairs.truth_id[pairs.truth[match]], minlength=len(seen)) / seen
    return ClearScores(pairs.frames, np.stack(counts, axis=1), followed, convention)


def _switched(pairs: Pairs, match: np.ndarray) -> np.ndarray:
    """Which matches (T,), sorted by truth and frame, follow their truth by another result than the one before."""
    result = pairs.result_id[pairs.result[match]]
    return _same_truth(pairs, match) & (np.diff(result, prepend=-1) != 0)


def _gaps_between_frames(pairs: Pairs, match: np.ndarray) -> np.ndarray:
    """Which matches (T,) come after a gap, counted in frames that have a truth and a result."""
    step = np.searchsorted(pairs.both_seen, np.arange(len(pairs.frames)))[pairs.frame[match]]
    return _same_truth(pairs, match) & (np.diff(step, prepend=-1) > 1)


def _gaps_between_sightings(pairs: Pairs, match: np.ndarray) -> np.ndarray:
    """Which matches (T,) come after a gap, counted in their truth's own sightings."""
    order = np.argsort(pairs.truth_id * len(pairs.frames) + pairs.truth_frame)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return _same_truth(pairs, match) & (np.diff(place[pairs.truth[match]], prepend=-1) > 1)


def _same_truth(pairs: Pairs, match: np.ndarray) -> np.ndarray:
    """Which matches (T,), sorted by truth, are of the same truth as the one before."""
    return np.diff(pairs.truth_id[pairs.truth[match]], prepend=-1) == 0
