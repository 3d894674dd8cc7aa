"""Which boxes of a frame are one thing, and what follows from a window's times."""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.small import order_of


@compiled
def leaders_of(camera, label, box, score, ids, overlap):
    """The row that each box follows, -1 where it speaks for itself: (N,).

    Boxes (N, 4) px of one camera (N,) and label (N,) that overlap by so much are one thing; the one of the higher
    score, then lower id, then lower row leads. A box that follows leads none.
    """
    n = len(box)
    follows, by_edge = np.full(n, -1, np.int64), _by_edge(camera, label, box)
    if not _any_overlap(camera, label, box, by_edge, overlap):
        return follows
    place = np.empty(n, np.int64)
    for k in range(n):
        place[by_edge[k]] = k
    for box_row in _by_rank(score, ids):
        at, best = place[box_row], -1
        for step in (-1, 1):
            k = at + step
            while 0 <= k < n and _may_overlap(camera, label, box, box_row, by_edge[k], overlap):
                other = by_edge[k]
                k += step
                if follows[other] >= 0 or not _leads(score, ids, other, box_row):
                    continue
                if best >= 0 and not _leads(score, ids, other, best):
                    continue
                if intersection_over_union(box, other, box_row) >= overlap:
                    best = other
        follows[box_row] = best
    return follows


@compiled
def _any_overlap(camera, label, box, by_edge, overlap):
    """Whether any two boxes are one thing: mostly none are."""
    for at in range(len(by_edge)):
        k = at - 1
        while k >= 0 and _may_overlap(camera, label, box, by_edge[at], by_edge[k], overlap):
            if intersection_over_union(box, by_edge[k], by_edge[at]) >= overlap:
                return True
            k -= 1
    return False


@compiled
def _by_rank(score, ids):
    """Rows by who leads."""
    keys = np.empty((len(score), 2))
    for i in range(len(score)):
        keys[i, 0], keys[i, 1] = np.inf if np.isnan(score[i]) else -score[i], ids[i]
    return order_of(keys)


@compiled
def _by_edge(camera, label, box):
    """Rows by frame, class and lower edge."""
    keys = np.empty((len(box), 3))
    for i in range(len(box)):
        keys[i, 0], keys[i, 1] = camera[i], label[i]
        keys[i, 2] = np.inf if np.isnan(box[i, 3]) else box[i, 3]
    return order_of(keys)


@inlined
def _leads(score, ids, a, b):
    """Whether row a leads row b."""
    if score[a] != score[b]:
        return score[a] > score[b]
    if ids[a] != ids[b]:
        return ids[a] < ids[b]
    return a < b


@inlined
def _may_overlap(camera, label, box, a, b, overlap):
    """Whether boxes are of one frame and class, and their lower edges as near as those of boxes that overlap so much.

    Of boxes that share so much of what they cover together, heights and edges differ by no more than this.
    """
    if camera[a] != camera[b] or label[a] != label[b]:
        return False
    return abs(box[a, 3] - box[b, 3]) <= 1.000001 * (1.0 - overlap) / overlap * (box[a, 3] - box[a, 1])


@inlined
def intersection_over_union(box, i, j):
    """Of two rows of boxes (N, 4) px; 0 where one has no area or is not finite."""
    width = min(box[i, 2], box[j, 2]) - max(box[i, 0], box[j, 0])
    height = min(box[i, 3], box[j, 3]) - max(box[i, 1], box[j, 1])
    share = 0.0
    if width > 0.0 and height > 0.0:
        areas = (box[i, 2] - box[i, 0]) * (box[i, 3] - box[i, 1]) + (box[j, 2] - box[j, 0]) * (box[j, 3] - box[j, 1])
        union = areas - width * height
        share = width * height / union if union > 0.0 else 0.0
    return share


@compiled
def frame_ranks(number, camera, time, n_cameras):
    """Which frame of its camera within its window each row (sorted by time) belongs to, from 0: (N,)."""
    rank = np.zeros(len(number), np.int64)
    window, at, count = np.full(n_cameras, np.nan), np.zeros(n_cameras), np.zeros(n_cameras, np.int64)
    for i in range(len(number)):
        c = camera[i]
        if window[c] != number[i]:
            window[c], at[c], count[c] = number[i], time[i], 0
        elif at[c] != time[i] and time[i] == time[i]:
            at[c] = time[i]
            count[c] += 1
        rank[i] = count[c]
    return rank
