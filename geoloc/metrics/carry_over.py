"""Matching frame after frame, in which pairs that were matched before come first."""

import itertools

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
    matched = alone(pairs.truth[near], pairs.result[near])
    truth, event, width = _events(pairs, near)
    before = _match_before(truth, event, matched)
    contested = np.flatnonzero(~matched)
    truth, event, before = truth[contested], event[contested], before[contested]
    t, r = _places(pairs, near[contested])
    similarity, kept = pairs.similarity[near[contested]], np.zeros(len(contested), dtype=bool)
    last = np.full(int(pairs.truth_id.max()) + 1, -1)
    edges = np.flatnonzero(np.diff(pairs.frame[near[contested]], prepend=-1, append=-1)).tolist()
    for frame in itertools.starmap(slice, itertools.pairwise(edges)):
        previous, now = np.maximum(before[frame], last[truth[frame]]), event[frame]
        if forget:
            held = previous == now - width
        else:
            held = _first_of_each(t[frame], r[frame], previous % width == now % width)
        if not held.all():
            held |= _fill(t[frame], r[frame], similarity[frame], held, most=not forget)
        kept[frame] = held
        last[truth[frame][held]] = now[held]
    matched[contested] = kept
    return matched


def _events(pairs: Pairs, near: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Truth and event of each pair (K,), and the width w: event = step * w + result.

    Steps count the frames that have a truth and a result. An event of -1 is none: no result has that remainder.
    """
    width = int(pairs.result_id.max(initial=0)) + 2
    step = np.searchsorted(pairs.both_seen, np.arange(len(pairs.frames)))
    event = step[pairs.frame[near]] * width + pairs.result_id[pairs.result[near]]
    return pairs.truth_id[pairs.truth[near]], event, width


def _match_before(truth: np.ndarray, event: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """For each pair (K,) the event of the last one before it with the same truth that is `matched`, or -1: (K,)."""
    order = np.argsort(truth * len(truth) + np.arange(len(truth)))
    here = np.maximum.accumulate(np.where(matched[order], np.arange(len(order)), -1))
    previous = order[here]
    out = np.empty_like(order)
    out[order] = np.where((here >= 0) & (truth[previous] == truth[order]), event[previous], -1)
    return out


def _places(pairs: Pairs, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Truth and result of the pairs `edges` (K,), each counted from 0 in its frame, in the caller's order."""
    places = []
    for frames, rows in ((pairs.truth_frame, pairs.truth[edges]), (pairs.result_frame, pairs.result[edges])):
        size = pairs.per_frame(frames)
        rank = np.empty_like(frames)
        rank[np.argsort(frames, kind="stable")] = np.arange(len(frames))
        places.append(rank[rows] - (np.cumsum(size) - size)[frames[rows]])
    return places[0], places[1]


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
