"""Higher order tracking accuracy: detection and association weighed alike, at every threshold."""

from dataclasses import dataclass

import numpy as np

from geoloc.metrics.assignment import assign
from geoloc.metrics.detection import ratio
from geoloc.metrics.matching import Pairs
from geoloc.metrics.tracking import EPS

ALPHAS = np.arange(0.05, 0.99, 0.05)


@dataclass(frozen=True, eq=False)
class HotaScores:
    """HOTA (Luiten et al. 2021) at each localization threshold `alphas` (A,); every other field is (A,) too.

    The published single numbers are the means over alpha: `mean("hota")`, `mean("det_a")`, ...
    """

    alphas: np.ndarray
    matches: np.ndarray
    hota: np.ndarray
    det_a: np.ndarray
    ass_a: np.ndarray
    det_re: np.ndarray
    det_pr: np.ndarray
    ass_re: np.ndarray
    ass_pr: np.ndarray
    loc_a: np.ndarray

    def mean(self, name: str) -> float:
        """Mean over the thresholds of one of the fields: 0 to 1."""
        return float(np.mean(getattr(self, name)))


def score_hota(pairs: Pairs, alphas: np.ndarray = ALPHAS) -> HotaScores:
    """HOTA, DetA, AssA, LocA over `alphas` (A,), with one matching of each frame for all of them.

    The matching favours pairs of identities that agree over the whole recording, as TrackEval's does.
    """
    couple, couple_truth, couple_result = _couples(pairs)
    n_truth, n_result = np.bincount(pairs.truth_id), np.bincount(pairs.result_id, minlength=1)
    shared = np.bincount(couple, weights=_frame_jaccard(pairs), minlength=len(couple_truth))
    alignment = shared / (n_truth[couple_truth] + n_result[couple_result] - shared)
    chosen = np.flatnonzero(assign(pairs.truth, pairs.result, alignment[couple] * pairs.similarity))
    sizes = n_truth[couple_truth], n_result[couple_result]
    columns = [_at_alpha(pairs, couple, sizes, chosen, alpha) for alpha in alphas]
    matches, ass_a, ass_re, ass_pr, loc_a = (np.array(column) for column in zip(*columns, strict=True))
    truths, results = len(pairs.truth_id), len(pairs.result_id)
    det_a = ratio(matches, truths + results - matches)
    return HotaScores(
        alphas=np.asarray(alphas, float),
        matches=matches,
        hota=np.sqrt(det_a * ass_a),
        det_a=det_a,
        ass_a=ass_a,
        det_re=ratio(matches, np.full_like(matches, truths)),
        det_pr=ratio(matches, np.full_like(matches, results)),
        ass_re=ass_re,
        ass_pr=ass_pr,
        loc_a=loc_a,
    )


def _couples(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The couple of identities that each pair belongs to (P,), and each couple's truth and result (C,)."""
    width = int(pairs.result_id.max(initial=0)) + 1
    key = pairs.truth_id[pairs.truth] * width + pairs.result_id[pairs.result]
    couples, couple = np.unique(key, return_inverse=True)
    return couple, couples // width, couples % width


def _frame_jaccard(pairs: Pairs) -> np.ndarray:
    """Similarity of each pair over all the similarity that its two rows have: (P,)."""
    of_truth = np.bincount(pairs.truth, weights=pairs.similarity, minlength=len(pairs.truth_id))
    of_result = np.bincount(pairs.result, weights=pairs.similarity, minlength=len(pairs.result_id))
    whole = of_truth[pairs.truth] + of_result[pairs.result] - pairs.similarity
    return np.divide(pairs.similarity, whole, out=np.zeros_like(whole), where=whole > EPS)


def _at_alpha(
    pairs: Pairs, couple: np.ndarray, sizes: tuple[np.ndarray, np.ndarray], chosen: np.ndarray, alpha: float
) -> tuple[float, float, float, float, float]:
    """Matches, AssA, AssRe, AssPr, LocA at one threshold; `sizes`: sightings of each couple's two."""
    n_truth, n_result = sizes
    matched = chosen[pairs.similarity[chosen] >= alpha - EPS]
    together = np.bincount(couple[matched], minlength=len(n_truth)).astype(float)
    n = max(len(matched), 1)
    ass_a = (together * ratio(together, n_truth + n_result - together)).sum() / n
    ass_re = (together * ratio(together, n_truth)).sum() / n
    ass_pr = (together * ratio(together, n_result)).sum() / n
    loc_a = float(pairs.similarity[matched].mean()) if len(matched) else 1.0
    return float(len(matched)), float(ass_a), float(ass_re), float(ass_pr), loc_a
