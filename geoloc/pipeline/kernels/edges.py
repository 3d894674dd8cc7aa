"""Which nodes of a window may be one object: near enough for their uncertainties, and of two sources.

Nodes lie in grids of square cells, one grid for each power of two of how vague a node is. A pair is found in the
grid of its vaguer node, whose cells are as wide as two such nodes may lie apart.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.pipeline.kernels.compiled import compiled, inlined

FEW = 256  # nodes up to which all pairs are tried: quicker than a grid
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
    other = 0  # the first node of the next source
    for i in range(n):
        while other < n and source[other] == source[i]:
            other += 1
        if count + n > len(found):
            found = longer(found, n)
        for j in range(other, n):
            if _meet(i, j, xy, room, level, z, level_gap):
                found[count, 0], found[count, 1] = i, j
                count += 1
    return found[:count].copy()


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
    cells = np.empty(highest - lowest + 1)  # of each scale, for a gate of one sigma
    for s in range(lowest, highest + 1):
        cells[s - lowest] = math.sqrt(2.0) * math.pow(2.0, s)
    head, following, n_buckets = _fill(xy, scale, lowest, cells, gate)
    found, count = np.empty((8 * n + 16, 2), np.int64), 0
    for i in range(n):
        for s in range(scale[i], highest + 1):
            cell = gate * cells[s - lowest]
            x, y = math.floor(xy[i, 0] / cell), math.floor(xy[i, 1] / cell)
            for cx in range(x - 1, x + 2):
                for cy in range(y - 1, y + 2):
                    j = head[_bucket(cx, cy, s, n_buckets)]
                    while j >= 0:
                        # a pair of one scale is found from both, one of two buckets' cells by chance
                        own = scale[j] == s and (s > scale[i] or j > i)
                        own = own and math.floor(xy[j, 0] / cell) == cx and math.floor(xy[j, 1] / cell) == cy
                        if own and source[i] != source[j] and _meet(i, j, xy, room, level, z, level_gap):
                            if count == len(found):
                                found = longer(found, 0)
                            found[count, 0], found[count, 1] = min(i, j), max(i, j)
                            count += 1
                        j = following[j]
    return found[:count].copy()


@compiled
def _fill(xy, scale, lowest, cells, gate):
    """Nodes in hashed cells of their scale's grid: first node of each bucket, the next one of each node, and size."""
    n_buckets = 16
    while n_buckets < 2 * len(xy):
        n_buckets *= 2
    head, following = np.full(n_buckets, -1, np.int64), np.full(len(xy), -1, np.int64)
    for i in range(len(xy)):
        cell = gate * cells[scale[i] - lowest]
        b = _bucket(math.floor(xy[i, 0] / cell), math.floor(xy[i, 1] / cell), scale[i], n_buckets)
        following[i] = head[b]
        head[b] = i
    return head, following, n_buckets


@inlined
def _bucket(x, y, scale, n_buckets):
    # primes as in Teschner et al. (2003), Optimized spatial hashing
    mixed = (int(x) * 73856093) ^ (int(y) * 19349663) ^ (int(scale) * 83492791)
    return mixed & (n_buckets - 1)


@compiled
def _in_order(pairs, n):
    """Pairs sorted by their first node, then their second."""
    start = np.zeros(n + 1, np.int64)
    for e in range(len(pairs)):
        start[pairs[e, 0] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    out, at = np.empty_like(pairs), start[:-1].copy()
    for e in range(len(pairs)):
        i = pairs[e, 0]
        out[at[i]] = pairs[e]
        at[i] += 1
    for i in range(n):
        out[start[i] : start[i + 1], 1] = np.sort(out[start[i] : start[i + 1], 1])
    return out
