"""The window's graph: nodes grow into clusters by contraction, then single nodes change places.

Nodes come sorted by source; a cluster holds at most one node of a source. It is numbered by one of its nodes,
and its nodes form a chain in ascending order: `head[cluster]`, then `following[node]`, -1 at the end.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.exact import improve_small
from geoloc.pipeline.kernels.odds import INFORMATION, odds_of, settle
from geoloc.pipeline.kernels.small import order_of

LEAST_GAIN = 1e-9  # log-odds that a move must bring


@compiled
def cluster_nodes(node_stats, source, edges, n_families, model, max_moves):
    """The cluster (n,) of each node, of stats (n, S) and source (n,), joined along edges (E, 2); see `odds`."""
    n = len(source)
    stats, cluster = node_stats.copy(), np.arange(n)
    head, following = np.arange(n), np.full(n, -1, np.int64)
    component = contract(stats, source, edges, n_families, model, cluster, head, following)
    move(node_stats, stats, source, edges, n_families, model, cluster, head, following, max_moves)
    improve_small(node_stats, source, component, n_families, model, cluster)
    return cluster


@compiled
def contract(stats, source, edges, n_families, model, cluster, head, following):
    """Join mutually best pairs of clusters, round by round, until no pair gains.

    Returns the component (n,) of each node, a node of its: those of one are tied by pairs that gain.
    """
    n, live, n_live = len(source), edges.copy(), len(edges)
    odds, fresh, best = np.zeros(n_live), np.ones(n, np.bool_), np.empty(n, np.int64)
    size = 16
    while size < 2 * n_live:
        size *= 2
    table, component = np.empty(size, np.int64), np.arange(n)
    while n_live:
        n_live = _weigh(live, n_live, odds, fresh, stats, source, n_families, model, head, following)
        if fresh.all():  # the first round
            _tie(live, n_live, component)
        best[:] = -1
        for e in range(n_live):  # of equal odds the first edge is the best
            for end in range(2):
                c = live[e, end]
                if best[c] < 0 or odds[e] > odds[best[c]]:
                    best[c] = e
        fresh[:] = False
        for e in range(n_live):
            kept, gone = live[e, 0], live[e, 1]
            if best[kept] == e and best[gone] == e:
                _join(kept, gone, stats, cluster, head, following)
                fresh[kept] = True
        n_live = _rename(live, n_live, odds, cluster, table)
    for i in range(n):
        component[i] = _root(component, i)
    return component


@inlined
def _tie(live, n_live, component):
    """Make one component of the ends of each edge."""
    for e in range(n_live):
        a, b = _root(component, live[e, 0]), _root(component, live[e, 1])
        component[max(a, b)] = min(a, b)


@inlined
def _root(component, i):
    while component[i] != i:
        component[i] = component[component[i]]
        i = component[i]
    return i


@inlined
def _weigh(live, n_live, odds, fresh, stats, source, n_families, model, head, following):
    """Keep the edges that gain and whose clusters share no source, in place; odds change at fresh ends only."""
    count = 0
    for e in range(n_live):
        a, b = live[e, 0], live[e, 1]
        gain = odds[e]
        if fresh[a] or fresh[b]:
            gain = odds_of(stats, a, stats, b, n_families, model)
            if not gain > 0.0 or _clash(head[a], head[b], source, following):
                continue
        live[count, 0], live[count, 1], odds[count] = a, b, gain
        count += 1
    return count


@inlined
def _clash(i, j, source, following):
    """Whether two chains of nodes share a source."""
    while i >= 0 and j >= 0 and source[i] != source[j]:
        if source[i] < source[j]:
            i = following[i]
        else:
            j = following[j]
    return i >= 0 and j >= 0


@inlined
def _join(kept, gone, stats, cluster, head, following):
    """Cluster `gone` becomes part of `kept`."""
    i, j, last = head[kept], head[gone], -1
    while j >= 0:
        cluster[j] = kept
        j = following[j]
    j = head[gone]
    while i >= 0 or j >= 0:
        if j < 0 or (0 <= i < j):
            node = i
            i = following[i]
        else:
            node = j
            j = following[j]
        if last < 0:
            head[kept] = node
        else:
            following[last] = node
        last = node
    head[gone] = -1
    for k in range(INFORMATION, stats.shape[1]):
        stats[kept, k] += stats[gone, k]
        stats[gone, k] = 0.0
    settle(stats, kept)


@inlined
def _rename(live, n_live, odds, cluster, table):
    """Make the edges those between the clusters that their ends are in by now, each once, in place; their number.

    `table` is room for a hash table of more places than there are edges, a power of two.
    """
    table[:] = -1
    n, mask, count = len(cluster), len(table) - 1, 0
    for e in range(n_live):
        a, b = cluster[live[e, 0]], cluster[live[e, 1]]
        if a == b:
            continue
        key = min(a, b) * n + max(a, b)
        place = (key * 40503) & mask
        while table[place] >= 0 and table[place] != key:
            place = (place + 1) & mask
        if table[place] < 0:
            table[place] = key
            live[count, 0], live[count, 1], odds[count] = a, b, odds[e]
            count += 1
    return count


@compiled
def move(node_stats, stats, source, edges, n_families, model, cluster, head, following, max_moves):
    """Let single nodes change clusters, or change places with a node of their source, while that gains."""
    n = len(source)
    start, partner = _neighbours(edges, n)
    gain, stale, tried = np.full(len(partner), -np.inf), np.ones(n, np.bool_), np.empty(n, np.int64)
    rest, own_odds = np.empty((1, node_stats.shape[1])), np.zeros(n)
    for _ in range(max_moves):
        tried[:] = -1
        for i in range(n):
            if stale[cluster[i]]:
                own_odds[i] = _odds_at(i, cluster[i], i, node_stats, stats, n_families, model, rest)
        for node in range(n):
            home = cluster[node]
            for e in range(start[node], start[node + 1]):
                target = cluster[partner[e]]
                if not (stale[home] or stale[target]):
                    continue
                gain[e] = -np.inf
                if home == target or tried[target] == node:
                    continue
                tried[target] = node
                # for the target's node of the same source, if any
                swapped = _of_source(source[node], head[target], source, following)
                there = _odds_at(node, target, swapped, node_stats, stats, n_families, model, rest)
                if there > -np.inf:
                    gain[e] = there - own_odds[node]
                    if swapped >= 0:
                        back = _odds_at(swapped, home, node, node_stats, stats, n_families, model, rest)
                        gain[e] += back - own_odds[swapped]
        stale[:] = False
        if not _apply(gain, start, partner, node_stats, stats, source, cluster, head, following, stale):
            return


@compiled
def _neighbours(edges, n):
    """The nodes (2 E,) that each node has an edge to, those of node i from start[i] to start[i + 1]."""
    start = np.zeros(n + 1, np.int64)
    for e in range(len(edges)):
        start[edges[e, 0] + 1] += 1
        start[edges[e, 1] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    partner, at = np.empty(2 * len(edges), np.int64), start[:-1].copy()
    for e in range(len(edges)):
        i, j = edges[e, 0], edges[e, 1]
        partner[at[i]], partner[at[j]] = j, i
        at[i] += 1
        at[j] += 1
    return start, partner


@inlined
def _of_source(wanted, node, source, following):
    """The node of a source in the chain that begins with `node`, or -1."""
    while node >= 0 and source[node] != wanted:
        node = following[node]
    return node


@inlined
def _odds_at(node, place, without, node_stats, stats, n_families, model, rest):
    """Odds of a node and the cluster `place` without a node that it holds now (-1: none)."""
    for k in range(INFORMATION, rest.shape[1]):
        rest[0, k] = stats[place, k]
    if without >= 0:
        for k in range(INFORMATION, rest.shape[1]):
            rest[0, k] -= node_stats[without, k]
    settle(rest, 0)
    return odds_of(node_stats, node, rest, 0, n_families, model)


@compiled
def _apply(gain, start, partner, node_stats, stats, source, cluster, head, following, touched):
    """Make the moves that gain, best first, each cluster touched once; whether there was any."""
    keys, done = _gaining(gain, start, partner, cluster), False
    for m in order_of(keys):
        node, target = np.int64(keys[m, 1]), np.int64(keys[m, 2])
        home = cluster[node]
        if not touched[home] and not touched[target]:
            touched[home] = touched[target] = done = True
            _exchange(node, home, target, node_stats, stats, source, cluster, head, following)
    return done


@compiled
def _gaining(gain, start, partner, cluster):
    """Moves (M, 3) that gain: less the gain, the node, its target."""
    count = 0
    for e in range(len(gain)):
        count += gain[e] > LEAST_GAIN
    keys = np.empty((count, 3))
    count = 0
    for node in range(len(start) - 1):
        for e in range(start[node], start[node + 1]):
            if gain[e] > LEAST_GAIN:
                keys[count, 0], keys[count, 1], keys[count, 2] = -gain[e], node, cluster[partner[e]]
                count += 1
    return keys


@inlined
def _exchange(node, home, target, node_stats, stats, source, cluster, head, following):
    swapped = _of_source(source[node], head[target], source, following)
    _put(node, home, target, node_stats, stats, cluster, head, following)
    if swapped >= 0:
        _put(swapped, target, home, node_stats, stats, cluster, head, following)


@inlined
def _put(node, home, target, node_stats, stats, cluster, head, following):
    for k in range(INFORMATION, stats.shape[1]):
        stats[home, k] -= node_stats[node, k]
        stats[target, k] += node_stats[node, k]
    cluster[node] = target
    before = head[home]
    if before == node:
        head[home] = following[node]
    else:
        while following[before] != node:
            before = following[before]
        following[before] = following[node]
    if head[target] < 0 or head[target] > node:
        following[node] = head[target]
        head[target] = node
        return
    before = head[target]
    while 0 <= following[before] < node:
        before = following[before]
    following[node] = following[before]
    following[before] = node
