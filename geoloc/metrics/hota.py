"""Higher order tracking accuracy: detection and association weighed alike, at every threshold."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.assignment import assign
from geoloc.metrics.detection import Formula, ratio
from geoloc.metrics.matching import EPS, Pairs
from geoloc.metrics.numbering import numbered

ALPHAS = np.arange(0.05, 0.99, 0.05)
N_SUMS = 7  # matches, truths, results, summed A, A recall, A precision, similarity of the matches


def hota_curves(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Each figure over the thresholds, (..., A), of summed `HotaScores.counts` (..., 7 A)."""
    table = sums.reshape(*sums.shape[:-1], N_SUMS, -1)
    matches, truths, results, a, a_re, a_pr, similarity = np.moveaxis(table, -2, 0)
    det_a, ass_a = ratio(matches, truths + results - matches), ratio(a, matches)
    return {
        "hota": np.sqrt(det_a * ass_a),
        "det_a": det_a,
        "ass_a": ass_a,
        "det_re": ratio(matches, truths),
        "det_pr": ratio(matches, results),
        "ass_re": ratio(a_re, matches),
        "ass_pr": ratio(a_pr, matches),
        "loc_a": np.where(matches > 0, ratio(similarity, matches), 1.0),  # nothing matched: 1, as TrackEval has it
    }


def _mean_of(name: str, sums: np.ndarray) -> np.ndarray:
    return hota_curves(sums)[name].mean(axis=-1)


# Of summed counts (..., 7 A): the published single numbers, which are means over the thresholds.
HOTA_FIGURES: dict[str, Formula] = {
    name: partial(_mean_of, name)
    for name in ("hota", "det_a", "ass_a", "det_re", "det_pr", "ass_re", "ass_pr", "loc_a")
}


@dataclass(frozen=True, eq=False)
class HotaScores:
    """HOTA (Luiten et al. 2021) at each localization threshold `alphas` (A,).

    `detections` (F, 2): truths and results of each of `frames` (F,). Of each match (T,), whatever its
    similarity: `frame`, an index into `frames`; `couple`, the truth's and the result's identities as one
    number; `similarity`. `couple_sizes` (C, 2): sightings of each couple's truth and of its result.
    """

    alphas: np.ndarray
    frames: np.ndarray
    detections: np.ndarray
    frame: np.ndarray
    couple: np.ndarray
    similarity: np.ndarray
    couple_sizes: np.ndarray

    @cached_property
    def sums(self) -> np.ndarray:
        """What `counts` sum up to over the recording (7 A,): sum these over recordings to pool them."""
        sums = np.zeros((N_SUMS, len(self.alphas)))
        sums[1:3] = self.detections.sum(axis=0)[:, None]
        value = np.bincount(self._level, weights=self.similarity, minlength=len(self.alphas) + 1)
        sums[6] = value[:0:-1].cumsum()[::-1]
        for i, together, association in self._associations():
            sums[0, i] = together.sum()
            sums[3:6, i] = association @ together
        return sums.ravel()

    @cached_property
    def counts(self) -> np.ndarray:
        """What each frame adds to the seven sums at each threshold (F, 7 A), for resampling over blocks of time.

        A(c), how well a match's identities agree, is that of the whole recording: an interval from these
        counts holds the association fixed, and is of the spread of the scenes, not of identities' luck.
        """
        counts = np.zeros((len(self.frames), N_SUMS, len(self.alphas)))
        counts[:, 1:3] = self.detections[:, :, None]
        for i, _, association in self._associations():
            match = np.flatnonzero(self._level > i)
            frame = self.frame[match]
            values = [None, *association[:, self.couple[match]], self.similarity[match]]
            for k, value in zip((0, 3, 4, 5, 6), values, strict=True):
                counts[:, k, i] = np.bincount(frame, weights=value, minlength=len(self.frames))
        return counts.reshape(len(self.frames), -1)

    @property
    def matches(self) -> np.ndarray:
        """Matches at each threshold (A,)."""
        return self.sums[: len(self.alphas)]

    def curve(self, name: str) -> np.ndarray:
        """One of HOTA_FIGURES at each threshold (A,): 0 to 1."""
        return hota_curves(self.sums)[name]

    def figure(self, name: str) -> float:
        """One of HOTA_FIGURES, the mean over the thresholds: 0 to 1."""
        return float(HOTA_FIGURES[name](self.sums))

    @cached_property
    def _level(self) -> np.ndarray:
        """How many of the thresholds each match (T,) passes."""
        return np.searchsorted(self.alphas - EPS, self.similarity, "right").astype(np.int32)

    def _associations(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Threshold (index), matches of each couple (C,), and its A, A recall and A precision (3, C)."""
        n_truth, n_result = self.couple_sizes.T
        together = np.zeros(len(n_truth))
        for i in reversed(range(len(self.alphas))):
            together += np.bincount(self.couple[self._level == i + 1], minlength=len(together))
            yield i, together, together / np.stack([n_truth + n_result - together, n_truth, n_result])


def score_hota(pairs: Pairs, alphas: np.ndarray = ALPHAS) -> HotaScores:
    """HOTA, DetA, AssA, LocA over `alphas` (A,), with one matching of each frame for all of them.

    The matching favours pairs of identities that agree over the whole recording, as TrackEval's does.
    """
    alphas = np.asarray(alphas, float)
    if alphas.ndim != 1 or not len(alphas) or not (np.diff(alphas, prepend=0.0, append=1.0) > 0).all():
        raise InputError(f"alphas are {alphas}; they must grow and lie between 0 and 1")
    couple, *members = pairs.couples
    sightings = np.bincount(pairs.truth_id), np.bincount(pairs.result_id, minlength=1)
    sizes = np.column_stack([n[member] for n, member in zip(sightings, members, strict=True)])
    shared = np.bincount(couple, weights=_frame_jaccard(pairs), minlength=len(sizes))
    alignment = shared / (sizes.sum(axis=1) - shared)
    chosen = np.flatnonzero(assign(pairs.truth, pairs.result, alignment[couple] * pairs.similarity))
    couples, matched = numbered(couple[chosen])
    return HotaScores(
        alphas=alphas,
        frames=pairs.frames,
        detections=np.column_stack([pairs.per_frame(pairs.truth_frame), pairs.per_frame(pairs.result_frame)]),
        frame=pairs.frame[chosen],
        couple=matched,
        similarity=pairs.similarity[chosen],
        couple_sizes=sizes[couples],
    )


def _frame_jaccard(pairs: Pairs) -> np.ndarray:
    """Similarity of each pair over all the similarity that its two rows have: (P,)."""
    of_truth = np.bincount(pairs.truth, weights=pairs.similarity, minlength=len(pairs.truth_id))
    of_result = np.bincount(pairs.result, weights=pairs.similarity, minlength=len(pairs.result_id))
    whole = of_truth[pairs.truth] + of_result[pairs.result] - pairs.similarity
    return np.divide(pairs.similarity, whole, out=np.zeros_like(whole), where=whole > EPS)
