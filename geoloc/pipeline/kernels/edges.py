"""Which nodes of a window may be one object: near enough for their uncertainties, and of two sources.

Nodes lie in grids of square cells, one grid for each power of two of how vague a node is. A pair is found in the
grid of its vaguer node, whose cells are as wide as two such nodes may lie apart.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined

FEW = 4096  # nodes up to which all pairs are tried: quicker than a grid
LEAST_REACH = 1e-3  # m


@compiled
def candidate_edges(xy, reach, gate, source, level, z, level_gap, few):
    """Pairs first < second (E, 2) of different sources that may lie within the gate, in ascending order.

    Nodes (n,) at xy (n, 2) m, sorted by source, may be `gate` times `reach` (n,) m off. Those of two levels meet
    where their heights z (n,) m are no more than `level_gap` apart.
    """
    room = (gate * reach) * (gate * reach)
    if len(xy) <= few:
        return _all_pairs(xy, room, source, level, z, level_gap)
    return _in_order(_grid_pairs(xy, reach, gate, room, source, level, z, level_gap), len(xy))


@inlined
def _meet(i, j, xy, room, level, z, level_gap):
    """Whether two nodes are near enough for their `room` (n,) m² and of levels that meet."""
    dx, dy = xy[i, 0] - xy[j, 0], xy[i, 1] - xy[j, 1]
    near = dx * dx + dy * dy <= room[i] + room[j]
    return near and (level[i] == level[j] or abs(z[i] - z[j]) <= level_gap)


@compiled
def _all_pairs(xy, room, source, level, z, level_gap):
    n, count = len(xy), 0
    found = np.empty((4 * n + 16, 2), np.int64)
    x, y = xy[:, 0].copy(), xy[:, 1].copy()
    near = np.zeros((n // 8 + 1) * 8, np.uint8)
    words = near.view(np.uint64)  # eight nodes at once: most are far away
    other = 0  # the first node of the next source
    for i in range(n):
        while other < n and source[other] == source[i]:
            other += 1
        if count + n > len(found):
            found = longer(found, n)
        _mark_near(i, np.uint64(other), np.uint64(n), x, y, room, near)
        for word in range(other // 8, len(words)):
            if words[word] == 0:
                continue
            for j in range(max(8 * word, other), 8 * word + 8):
                if near[j] and (level[i] == level[j] or abs(z[i] - z[j]) <= level_gap):
                    found[count, 0], found[count, 1] = i, j
                    count += 1
    return found[:count]


@inlined
def _mark_near(i, first, end, x, y, room, near):
    """Which nodes from `first` on are near enough to node i.

    A loop without branches, counted without a sign, which is what the processor's vectors take.
    """
    at_x, at_y, own = x[i], y[i], room[i]
    for j in range(first, end):
        dx, dy = at_x - x[j], at_y - y[j]
        near[j] = dx * dx + dy * dy <= own + room[j]


@compiled
def longer(rows, more):
    """`rows` with room for twice as many, and `more`."""
    out = np.empty((2 * len(rows) + more, rows.shape[1]), rows.dtype)
    out[: len(rows)] = rows
    return out


@compiled
def _grid_pairs(xy, reach, gate, room, source, level, z, level_gap):
    """The pairs in no particular order."""
    n = len(xy)
    scale, lowest, highest = np.empty(n, np.int64), 1_000_000, -1_000_000
    for i in range(n):
        scale[i] = math.ceil(math.log2(max(reach[i], LEAST_REACH)))
        lowest, highest = min(lowest, scale[i]), max(highest, scale[i])
    cells, there = np.empty(highest - lowest + 1), np.zeros(highest - lowest + 1, np.bool_)
    for s in range(lowest, highest + 1):
        cells[s - lowest] = gate * (math.sqrt(2.0) * math.pow(2.0, s))
    for i in range(n):
        there[scale[i] - lowest] = True
    cell, head, following, n_buckets = _fill(xy, scale, lowest, cells)
    found, count = np.empty((8 * n + 16, 2), np.int64), 0
    for i in range(n):
        for s in range(scale[i], highest + 1):
            if not there[s - lowest]:
                continue
            x, y = math.floor(xy[i, 0] / cells[s - lowest]), math.floor(xy[i, 1] / cells[s - lowest])
            for cx in range(x - 1, x + 2):
                for cy in range(y - 1, y + 2):
                    j = head[_bucket(cx, cy, s, n_buckets)]
                    while j >= 0:
                        # a pair of one scale is found from both, one of two buckets' cells by chance
                        own = scale[j] == s and cell[j, 0] == cx and cell[j, 1] == cy and (s > scale[i] or j > i)
                        if own and source[i] != source[j] and _meet(i, j, xy, room, level, z, level_gap):
                            if count == len(found):
                                found = longer(found, 0)
                            found[count, 0], found[count, 1] = min(i, j), max(i, j)
                            count += 1
                        j = following[j]
    return found[:count]


@compiled
def _fill(xy, scale, lowest, cells):
    """Nodes in hashed cells of their scale's grid: cells (n, 2), first node of each bucket, next of each node, size."""
    n_buckets = 16
    while n_buckets < 2 * len(xy):
        n_buckets *= 2
    head, following = np.full(n_buckets, -1, np.int64), np.full(len(xy), -1, np.int64)
    cell = np.empty((len(xy), 2))
    for i in range(len(xy)):
        for k in range(2):
            cell[i, k] = math.floor(xy[i, k] / cells[scale[i] - lowest])
        b = _bucket(cell[i, 0], cell[i, 1], scale[i], n_buckets)
        following[i] = head[b]
        head[b] = i
    return cell, head, following, n_buckets


@inlined
def _bucket(x, y, scale, n_buckets):
    # primes as in Teschner et al. (2003), Optimized spatial hashing
    mixed = (int(x) * 73856093) ^ (int(y) * 19349663) ^ (int(scale) * 83492791)
    return mixed & (n_buckets - 1)


@compiled
def _starts(numbers, n):
    """Where each of n numbers begins among sorted ones (E,)."""
    start = np.zeros(n + 1, np.int64)
    for number in numbers:
        start[number + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    return start


@compiled
def _in_order(pairs, n):
    """Pairs sorted by their first node, then their second."""
    second, out = np.empty_like(pairs), np.empty_like(pairs)
    at = _starts(pairs[:, 1], n)
    for e in range(len(pairs)):
        j = pairs[e, 1]
        second[at[j]] = pairs[e]
        at[j] += 1
    at = _starts(pairs[:, 0], n)
    for e in range(len(pairs)):  # those of one first node stay in the order of their second
        i = second[e, 0]
        out[at[i]] = second[e]
        at[i] += 1
    return out
