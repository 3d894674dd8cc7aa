"""Shortest ways over a graph, from some nodes to some others, searched no farther than they are.

Dijkstra (1959). SciPy's gives every node's distance for every source, which on a large site is a hundred thousand
numbers for a way of ten metres.
"""

# mypy: allow-untyped-defs

import heapq

import numpy as np

from geoloc.compiled import compiled


@compiled
def way_lengths(indptr, indices, length, source, limit, first, goal, out):
    """Fill `out` (K,) with the length of the way to each `goal` (K,), infinite where it is beyond its source's limit.

    The goals from `first[i]` up to `first[i + 1]` are those of `source[i]`, searched up to `limit[i]`; steps are a CSR
    graph's, and none is shorter than zero.
    """
    n = len(indptr) - 1
    distance, wanted = np.full(n, np.inf), np.zeros(n, dtype=np.bool_)
    touched = np.empty(n, dtype=np.int64)
    for i in range(len(source)):
        left = 0
        for k in range(first[i], first[i + 1]):
            left += not wanted[goal[k]]
            wanted[goal[k]] = True
        distance[source[i]], touched[0], n_touched = 0.0, source[i], 1
        heap = [(0.0, np.int64(source[i]))]
        while len(heap) and left:
            here, node = heapq.heappop(heap)
            if here > distance[node]:
                continue
            if wanted[node]:
                wanted[node] = False
                left -= 1
            for step in range(indptr[node], indptr[node + 1]):
                other, there = np.int64(indices[step]), here + length[step]
                if there <= limit[i] and there < distance[other]:
                    if np.isinf(distance[other]):
                        touched[n_touched] = other
                        n_touched += 1
                    distance[other] = there
                    heapq.heappush(heap, (there, other))
        for k in range(first[i], first[i + 1]):
            out[k] = distance[goal[k]]
            wanted[goal[k]] = False
        for k in range(n_touched):
            distance[touched[k]] = np.inf
