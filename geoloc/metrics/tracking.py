"""How well tracks keep what they follow: CLEAR MOT and the identity scores, over positions or boxes."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import unknown_name
from geoloc.metrics.assignment import assign
from geoloc.metrics.carry_over import carry_over
from geoloc.metrics.detection import Formula, ratio
from geoloc.metrics.matching import Pairs

EPS = float(np.finfo(float).eps)  # TrackEval's tolerance at a threshold

# Of counts (..., 5): matches, false positives, misses, identity switches, summed similarity of the matches.
CLEAR_FIGURES: dict[str, Formula] = {
    "mota": lambda n: ratio(n[..., 0] - n[..., 1] - n[..., 3], n[..., 0] + n[..., 2]),
    "motp": lambda n: ratio(n[..., 4], n[..., 0]),
    "moda": lambda n: ratio(n[..., 0] - n[..., 1], n[..., 0] + n[..., 2]),
    "precision": lambda n: ratio(n[..., 0], n[..., 0] + n[..., 1]),
    "recall": lambda n: ratio(n[..., 0], n[..., 0] + n[..., 2]),
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

    `counts` (F, 5): matches, false positives, misses, identity switches, summed similarity of the matches.
    `fragments`: how often a followed truth is lost and found again. `mostly_tracked` and `mostly_lost`:
    truths followed for more than 80 % and for less than 20 % of their frames; `n_truths` of all.
    """

    frames: np.ndarray
    counts: np.ndarray
    fragments: int
    mostly_tracked: int
    mostly_lost: int
    n_truths: int

    def figure(self, name: str) -> float:
        """One of CLEAR_FIGURES, pooled over all frames: 0 to 1."""
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
    def switches(self) -> int:
        """How often a truth is followed by another result than before."""
        return int(self.counts[:, 3].sum())


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
    near = pairs.similarity >= threshold
    truth_id, result_id = pairs.truth_id[pairs.truth[near]], pairs.result_id[pairs.result[near]]
    width = int(pairs.result_id.max(initial=0)) + 1
    key = truth_id * width + result_id
    couples, couple, together = np.unique(key, return_inverse=True, return_counts=True)
    chosen = assign(couples // width, couples % width, together.astype(float))
    hits = pairs.per_frame(pairs.frame[near][chosen[couple]])
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
    match = near[carry_over(pairs, near, forget=convention == "trackeval")]
    switched = _switches(pairs, match)
    matches = pairs.per_frame(pairs.frame[match])
    counts = [
        matches,
        pairs.per_frame(pairs.result_frame) - matches,
        pairs.per_frame(pairs.truth_frame) - matches,
        pairs.per_frame(pairs.frame[match[switched]]),
        pairs.per_frame(pairs.frame[match], pairs.similarity[match]),
    ]
    seen = np.bincount(pairs.truth_id)
    followed = np.bincount(pairs.truth_id[pairs.truth[match]], minlength=len(seen)) / seen
    fragments = _fragments_between_frames if convention == "trackeval" else _fragments_between_sightings
    return ClearScores(
        frames=pairs.frames,
        counts=np.stack(counts, axis=1),
        fragments=fragments(pairs, match),
        mostly_tracked=int((followed > 0.8).sum()),
        mostly_lost=int((followed < 0.2).sum()),
        n_truths=len(seen),
    )


def _switches(pairs: Pairs, match: np.ndarray) -> np.ndarray:
    """Which matches follow their truth by another result than its match before: (len(match),) bool."""
    truth, result = pairs.truth_id[pairs.truth[match]], pairs.result_id[pairs.result[match]]
    order = np.lexsort([pairs.frame[match], truth])
    out = np.zeros(len(match), dtype=bool)
    out[order[1:]] = (truth[order][1:] == truth[order][:-1]) & (result[order][1:] != result[order][:-1])
    return out


def _fragments_between_frames(pairs: Pairs, match: np.ndarray) -> int:
    """Gaps in the matches of a truth, counted in frames that have a truth and a result."""
    step = np.searchsorted(pairs.both_seen, pairs.frame[match])
    truth = pairs.truth_id[pairs.truth[match]]
    order = np.lexsort([step, truth])
    same = truth[order][1:] == truth[order][:-1]
    return int((same & (np.diff(step[order]) > 1)).sum())


def _fragments_between_sightings(pairs: Pairs, match: np.ndarray) -> int:
    """Gaps in the matches of a truth, counted in its own sightings."""
    order = np.lexsort([pairs.truth_frame, pairs.truth_id])
    matched = np.zeros(len(order), dtype=bool)
    matched[pairs.truth[match]] = True
    position = np.flatnonzero(matched[order])
    truth = pairs.truth_id[order][position]
    return int(((truth[1:] == truth[:-1]) & (np.diff(position) > 1)).sum())
