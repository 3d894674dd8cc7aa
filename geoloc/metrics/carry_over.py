"""Matching frame after frame, in which pairs that were matched before come first."""

import numpy as np

from geoloc.metrics.assignment import alone, among, assign, assign_most
from geoloc.metrics.matching import Pairs


def carry_over(pairs: Pairs, near: np.ndarray, forget: bool) -> np.ndarray:
    """Which of the pairs `near` (K,) (indices, sorted by frame) are matched: (K,) bool.

    A pair that was matched before is matched again, then comes the best choice among the rows that are left:
    the largest sum of similarity with `forget`, where a match counts for the next frame only; else as many
    pairs as possible, where a match counts until another one replaces it.

    Pairs whose rows have no other pair are matched in any case, so that only the others are gone through.
    """
    truth, result = _rank(pairs.truth_frame)[pairs.truth[near]], _rank(pairs.result_frame)[pairs.result[near]]
    truth_id, result_id = pairs.truth_id[pairs.truth[near]], pairs.result_id[pairs.result[near]]
    step = np.searchsorted(pairs.both_seen, np.arange(len(pairs.frames)))[pairs.frame[near]]
    matched = alone(truth, result)
    before = _match_before(truth_id, matched)
    last = np.full(int(pairs.truth_id.max()) + 1, -1)
    for edges in _frame_by_frame(np.flatnonzero(~matched), step):
        previous = np.maximum(before[edges], last[truth_id[edges]])
        kept = (previous >= 0) & (result_id[previous] == result_id[edges])
        t, r = truth[edges], result[edges]
        if forget:
            kept &= step[previous] == step[edges[0]] - 1
        else:
            kept = _first_of_each(t, r, kept)
        if not kept.all():
            kept |= _fill(t - t.min(), r - r.min(), pairs.similarity[near[edges]], kept, most=not forget)
        edges = edges[kept]
        matched[edges] = True
        last[truth_id[edges]] = edges
    return matched


def _rank(frame: np.ndarray) -> np.ndarray:
    """Place of each row (N,) when they are sorted by `frame`: rows of a frame are then next to each other."""
    rank = np.empty(len(frame), dtype=int)
    rank[np.argsort(frame, kind="stable")] = np.arange(len(frame))
    return rank


def _frame_by_frame(edges: np.ndarray, step: np.ndarray) -> list[np.ndarray]:
    """The `edges` (K,), sorted by frame, of each frame that has any."""
    return np.split(edges, np.flatnonzero(np.diff(step[edges])) + 1) if len(edges) else []


def _match_before(truth: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """For each pair (K,) the last one before it with the same truth that is `matched`, or -1: (K,)."""
    order = np.argsort(truth * len(truth) + np.arange(len(truth)))
    here = np.maximum.accumulate(np.where(matched[order], np.arange(len(order)), -1))
    previous = np.where(here >= 0, order[here], -1)
    out = np.empty_like(order)
    out[order] = np.where(truth[previous] == truth[order], previous, -1)
    return out


def _first_of_each(t: np.ndarray, r: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """`kept` with only the first truth row of each result: two truths may both have been followed by it before."""
    rows = np.flatnonzero(kept)
    if len(set(r[rows].tolist())) == len(rows):
        return kept
    rows = rows[np.argsort(t[rows])]
    out = np.zeros_like(kept)
    out[rows[np.unique(r[rows], return_index=True)[1]]] = True
    return out


def _fill(t: np.ndarray, r: np.ndarray, similarity: np.ndarray, kept: np.ndarray, most: bool) -> np.ndarray:
    """Matches of one frame among the pairs that the `kept` ones leave free."""
    free = np.flatnonzero(~(among(t, t[kept]) | among(r, r[kept])))
    out = np.zeros_like(kept)
    if len(free) == len(set(t[free].tolist())) == len(set(r[free].tolist())):
        out[free] = True  # nothing to choose
    else:
        out[free] = (assign_most if most else assign)(t[free], r[free], similarity[free])
    return out
