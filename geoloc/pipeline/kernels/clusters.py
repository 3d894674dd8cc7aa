"""The window's graph: nodes grow into clusters by contraction, then single nodes change places.

Nodes come sorted by source; a cluster holds at most one node of a source. It is numbered by one of its nodes,
and its nodes form a chain in ascending order: `head[cluster]`, then `following[node]`, -1 at the end.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.pipeline.kernels.compiled import compiled
from geoloc.pipeline.kernels.odds import odds_of, state_of
from geoloc.pipeline.kernels.small import order_of

LEAST_GAIN = 1e-9  # log-odds that a move must bring


@compiled
def cluster_nodes(node_stats, source, edges, n_families, model, max_moves):
    """The cluster (n,) of each node, of stats (n, S) and source (n,), joined along edges (E, 2); see `odds`."""
    n = len(source)
    stats, cluster = node_stats.copy(), np.arange(n)
    head, following = np.arange(n), np.full(n, -1, np.int64)
    contract(stats, source, edges, n_families, model, cluster, head, following)
    # small components could be solved exactly here: all that is known of them lies in these arrays
    move(node_stats, stats, source, edges, n_families, model, cluster, head, following, max_moves)
    return cluster


@compiled
def contract(stats, source, edges, n_families, model, cluster, head, following):
    """Join mutually best pairs of clusters, round by round, until no pair gains."""
    n, live = len(source), edges.copy()
    odds, fresh = np.zeros(len(edges)), np.ones(n, np.bool_)
    state, best = np.empty((n, 5)), np.empty(n, np.int64)
    for i in range(n):
        state_of(stats[i], state[i])
    while len(live):
        live = _weigh(live, odds, fresh, stats, state, source, n_families, model, head, following)
        best[:] = -1
        for e in range(len(live)):  # of equal odds the first edge is the best
            for end in range(2):
                c = live[e, end]
                if best[c] < 0 or odds[e] > odds[best[c]]:
                    best[c] = e
        fresh[:] = False
        for e in range(len(live)):
            kept, gone = live[e, 0], live[e, 1]
            if best[kept] == e and best[gone] == e:
                _join(kept, gone, stats, cluster, head, following)
                state_of(stats[kept], state[kept])
                fresh[kept] = True
        live = _renamed(live, odds, cluster)


@compiled
def _weigh(live, odds, fresh, stats, state, source, n_families, model, head, following):
    """The edges that gain and whose clusters share no source, with their odds, in place; only fresh ends change."""
    count = 0
    for e in range(len(live)):
        a, b = live[e, 0], live[e, 1]
        gain = odds[e]
        if fresh[a] or fresh[b]:
            gain = odds_of(stats[a], stats[b], state[a], state[b], n_families, model)
            if not gain > 0.0 or _clash(head[a], head[b], source, following):
                continue
        live[count, 0], live[count, 1], odds[count] = a, b, gain
        count += 1
    return live[:count]


@compiled
def _clash(i, j, source, following):
    """Whether two chains of nodes share a source."""
    while i >= 0 and j >= 0:
        if source[i] == source[j]:
            return True
        if source[i] < source[j]:
            i = following[i]
        else:
            j = following[j]
    return False


@compiled
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
    stats[kept] += stats[gone]
    stats[gone] = 0.0


@compiled
def _renamed(live, odds, cluster):
    """Edges between the clusters that their ends are in by now; those within one are gone. In place."""
    count = 0
    for e in range(len(live)):
        a, b = cluster[live[e, 0]], cluster[live[e, 1]]
        if a != b:
            live[count, 0], live[count, 1], odds[count] = a, b, odds[e]
            count += 1
    return live[:count]


@compiled
def move(node_stats, stats, source, edges, n_families, model, cluster, head, following, max_moves):
    """Let single nodes change clusters, or change places with a node of their source, while that gains."""
    n, n_edges = len(source), len(edges)
    gain, stale = np.full(2 * n_edges, -np.inf), np.ones(n, np.bool_)
    work = np.empty((4, node_stats.shape[1]))
    own_state, own_odds = np.empty((n, 5)), np.zeros(n)
    for i in range(n):
        state_of(node_stats[i], own_state[i])
    for _ in range(max_moves):
        for i in range(n):
            if stale[cluster[i]]:
                own_odds[i] = _odds_at(i, cluster[i], i, node_stats, stats, own_state, n_families, model, work)
        for e in range(2 * n_edges):
            node, other = edges[e % n_edges, e // n_edges], edges[e % n_edges, 1 - e // n_edges]
            home, target = cluster[node], cluster[other]
            if stale[home] or stale[target]:
                gain[e] = -np.inf
                if home != target:
                    gain[e] = _gain(node, home, target, node_stats, stats, source, own_state, own_odds,
                                    n_families, model, head, following, work)  # fmt: skip
        stale[:] = False
        if not _apply(gain, edges, node_stats, stats, source, cluster, head, following, stale):
            return


@compiled
def _odds_at(node, place, without, node_stats, stats, own_state, n_families, model, work):
    """Odds of a node and the cluster `place` without a node that it holds now (-1: none)."""
    rest, state = work[0], work[1][:5]
    for k in range(len(rest)):
        rest[k] = stats[place, k] - (node_stats[without, k] if without >= 0 else 0.0)
    state_of(rest, state)
    return odds_of(node_stats[node], rest, own_state[node], state, n_families, model)


@compiled
def _gain(node, home, target, node_stats, stats, source, own_state, own_odds, n_families, model, head, following, work):
    """Change of the total if a node went to its target, in exchange for the target's node of its source, if any."""
    swapped = head[target]
    while swapped >= 0 and source[swapped] != source[node]:
        swapped = following[swapped]
    there = _odds_at(node, target, swapped, node_stats, stats, own_state, n_families, model, work)
    if there == -np.inf:
        return -np.inf
    if swapped < 0:
        return there - own_odds[node]
    back = _odds_at(swapped, home, node, node_stats, stats, own_state, n_families, model, work)
    return there + back - own_odds[node] - own_odds[swapped]


@compiled
def _apply(gain, edges, node_stats, stats, source, cluster, head, following, touched):
    """Make the moves that gain, best first, each cluster touched once; whether there was any."""
    keys, done = _gaining(gain, edges, cluster), False
    for m in order_of(keys):
        node, target = np.int64(keys[m, 1]), np.int64(keys[m, 2])
        home = cluster[node]
        if not touched[home] and not touched[target]:
            touched[home] = touched[target] = done = True
            _exchange(node, home, target, node_stats, stats, source, cluster, head, following)
    return done


@compiled
def _gaining(gain, edges, cluster):
    """Moves (M, 3) that gain: less the gain, the node, its target."""
    n_edges, count = len(edges), 0
    for e in range(len(gain)):
        count += gain[e] > LEAST_GAIN
    keys = np.empty((count, 3))
    count = 0
    for e in range(len(gain)):
        if gain[e] > LEAST_GAIN:
            keys[count, 0], keys[count, 1] = -gain[e], edges[e % n_edges, e // n_edges]
            keys[count, 2] = cluster[edges[e % n_edges, 1 - e // n_edges]]
            count += 1
    return keys


@compiled
def _exchange(node, home, target, node_stats, stats, source, cluster, head, following):
    swapped = head[target]
    while swapped >= 0 and source[swapped] != source[node]:
        swapped = following[swapped]
    _put(node, home, target, node_stats, stats, cluster, head, following)
    if swapped >= 0:
        _put(swapped, target, home, node_stats, stats, cluster, head, following)


@compiled
def _put(node, home, target, node_stats, stats, cluster, head, following):
    stats[home] -= node_stats[node]
    stats[target] += node_stats[node]
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
