"""Which boxes of a frame are one thing, and what follows from a window's times."""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.pipeline.kernels.compiled import compiled, inlined
from geoloc.pipeline.kernels.small import order_of


@compiled
def leaders_of(camera, label, box, score, ids, overlap):
    """The row that each box follows, -1 where it speaks for itself: (N,).

    Boxes (N, 4) px of one camera (N,) and label (N,) that overlap by so much are one thing; the one of the higher
    score, then lower id, then lower row leads. A box that follows leads none.
    """
    n = len(box)
    follows = np.full(n, -1, np.int64)
    rank, by_edge, place = _orders(camera, label, box, score, ids)
    for box_row in rank:
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
                if intersection_over_union(box[other], box[box_row]) >= overlap:
                    best = other
        follows[box_row] = best
    return follows


@compiled
def _orders(camera, label, box, score, ids):
    """Rows by who leads; rows by frame, class and lower edge; and the place of each row in the latter."""
    n = len(box)
    keys = np.empty((n, 3))
    for i in range(n):
        keys[i, 0], keys[i, 1] = -score[i], ids[i]
        if np.isnan(score[i]):
            keys[i, 0] = np.inf
        keys[i, 2] = i
    rank = order_of(keys)
    for i in range(n):
        keys[i, 0], keys[i, 1], keys[i, 2] = camera[i], label[i], box[i, 3]
        if np.isnan(box[i, 3]):
            keys[i, 2] = np.inf
    by_edge = order_of(keys)
    place = np.empty(n, np.int64)
    for k in range(n):
        place[by_edge[k]] = k
    return rank, by_edge, place


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


@compiled
def intersection_over_union(a, b):
    """Of two boxes (4,) px; 0 where one has no area or is not finite."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if not (width > 0.0 and height > 0.0):
        return 0.0
    inner = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inner
    return inner / union if union > 0.0 else 0.0


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
