"""The best clusters of few nodes, found for sure: all ways to part them are weighed (dynamic programming over subsets).

A cluster is worth the sum of the odds with which its nodes join it one after the other, in their order.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.odds import INFORMATION, odds_of, settle
from geoloc.pipeline.kernels.small import members_of

FEW = 8  # nodes of a component up to which all ways are weighed: 3^8 of them
LEAST_GAIN = 1e-9  # log-odds by which the best way must be better


@compiled
def improve_small(node_stats, source, component, n_families, model, cluster):
    """Put the nodes (n,) of small components into their best clusters, where these are several; how many improved.

    `component` (n,) is a node of each one's. Nodes come sorted by source, as in `clusters`.
    """
    start, rows = members_of(component, len(component))
    room, improved = 0, 0  # most windows need none
    size = np.zeros(len(cluster), np.int64)
    for c in cluster:
        size[c] += 1
    for c in range(len(component)):
        own = rows[start[c] : start[c + 1]]
        if 2 < len(own) <= FEW and _is_parted(own, cluster, size):
            if room == 0:
                room = 1 << FEW
                stats, value, top = np.zeros((room, node_stats.shape[1])), np.empty(room), np.empty(room, np.int64)
                best, part = np.empty(room), np.empty(room, np.int64)
            _weigh_subsets(own, node_stats, source, n_families, model, stats, value, top)
            _part(len(own), value, best, part)
            now = _value_now(own, cluster, value)
            if now > -np.inf and best[(1 << len(own)) - 1] > now + LEAST_GAIN:
                for i in own:
                    size[cluster[i]] -= 1
                _put(own, part, cluster)
                for i in own:
                    size[cluster[i]] += 1
                improved += 1
    return improved


@inlined
def _is_parted(own, cluster, size):
    """Whether these nodes are in several clusters, which have no others and are numbered by none of the others.

    `size` (n,) is how many nodes are in the cluster of each number.
    """
    several, inside = False, 0
    for j in range(len(own)):
        several = several or cluster[own[j]] != cluster[own[0]]
        known = False  # the nodes in this one's cluster were counted
        for k in range(j):
            known = known or cluster[own[k]] == cluster[own[j]]
        if not known:
            inside += size[cluster[own[j]]]
    if not several:
        return False
    for j in range(len(own)):
        known = False  # and so were those in the cluster of its number
        for k in range(len(own)):
            known = known or cluster[own[k]] == own[j]
        if not known:
            inside += size[own[j]]
    return inside == len(own)


@inlined
def _weigh_subsets(own, node_stats, source, n_families, model, stats, value, top):
    """What each subset (bits of its number) of the nodes is worth as one cluster, and its last node."""
    value[0], top[0] = 0.0, -1
    last = 0
    for subset in range(1, 1 << len(own)):
        if subset >= 2 << last:
            last += 1
        rest, node = subset ^ (1 << last), own[last]
        top[subset] = last
        for k in range(INFORMATION, stats.shape[1]):
            stats[subset, k] = stats[rest, k] + node_stats[node, k]
        settle(stats, subset)
        value[subset] = value[rest]
        if rest:
            if source[own[top[rest]]] == source[node]:
                value[subset] = -np.inf
            elif value[rest] > -np.inf:
                value[subset] += odds_of(node_stats, node, stats, rest, n_families, model)


@inlined
def _part(n, value, best, part):
    """What each subset of n nodes is worth parted in the best way, and the part (a subset) with its first node."""
    best[0] = 0.0
    for subset in range(1, 1 << n):
        first = subset & -subset
        best[subset], part[subset] = -np.inf, subset
        one = subset
        while one:
            if one & first and value[one] + best[subset ^ one] > best[subset]:
                best[subset], part[subset] = value[one] + best[subset ^ one], one
            one = (one - 1) & subset


@inlined
def _value_now(own, cluster, value):
    """What the clusters are worth that the nodes are in."""
    total, done = 0.0, 0
    for i in range(len(own)):
        if not done >> i & 1:
            same = 0
            for j in range(len(own)):
                same |= (1 << j) if cluster[own[j]] == cluster[own[i]] else 0
            total += value[same]
            done |= same
    return total


@inlined
def _put(own, part, cluster):
    """Number each part's nodes by its first."""
    left = (1 << len(own)) - 1
    while left:
        first = -1
        for j in range(len(own)):
            if part[left] >> j & 1:
                first = own[j] if first < 0 else first
                cluster[own[j]] = first
        left ^= part[left]
