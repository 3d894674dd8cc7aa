"""Shortest ways over a graph, from some nodes to some others, searched no farther than they are.

Dijkstra's search with its nodes in buckets of nearly equal distance (Dial, 1969). SciPy's gives every node's distance
for every source, which on a large site is a hundred thousand numbers for a way of ten metres.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled

NONE = -1


@compiled
def way_lengths(indptr, indices, length, source, limit, first, goal, width, out):
    """Fill `out` (K,) with the length of the way to each `goal` (K,), infinite where it is beyond its source's limit.

    The goals from `first[i]` up to `first[i + 1]` are those of `source[i]`, searched up to `limit[i]`; steps are a CSR
    graph's, none shorter than zero, and buckets `width` wide, best as a usual step is long.
    """
    n = len(indptr) - 1
    distance, wanted = np.full(n, np.inf), np.zeros(n, dtype=np.bool_)
    after, before = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)  # in a node's bucket
    waits = np.zeros(n, dtype=np.bool_)
    # whatever waits is at most a step farther than what is looked at: the buckets are used in turn
    heads = np.full(int(length.max() / width) + 3 if len(length) else 1, NONE)
    touched = np.empty(n, dtype=np.int32)
    for i in range(len(source)):
        left = 0
        for k in range(first[i], first[i + 1]):
            left += not wanted[goal[k]]
            wanted[goal[k]] = True
        distance[source[i]], touched[0], n_touched = 0.0, source[i], 1
        heads[:] = NONE
        heads[0], waits[source[i]], after[source[i]], before[source[i]] = source[i], True, NONE, NONE
        n_waiting, bucket = 1, 0
        # a node's distance is its last one once its bucket is empty
        while n_waiting and left:
            while heads[bucket] != NONE:
                node = heads[bucket]
                heads[bucket], waits[node] = after[node], False
                if after[node] != NONE:
                    before[after[node]] = NONE
                n_waiting -= 1
                left -= wanted[node]
                wanted[node] = False
                for step in range(indptr[node], indptr[node + 1]):
                    other, there = indices[step], distance[node] + length[step]
                    if not (there <= limit[i] and there < distance[other]):
                        continue
                    if distance[other] == np.inf:
                        touched[n_touched] = other
                        n_touched += 1
                    if waits[other]:
                        if before[other] == NONE:
                            heads[int(distance[other] / width) % len(heads)] = after[other]
                        else:
                            after[before[other]] = after[other]
                        if after[other] != NONE:
                            before[after[other]] = before[other]
                        n_waiting -= 1
                    distance[other], place = there, int(there / width) % len(heads)
                    after[other], before[other], waits[other] = heads[place], NONE, True
                    if heads[place] != NONE:
                        before[heads[place]] = other
                    heads[place] = other
                    n_waiting += 1
            bucket = (bucket + 1) % len(heads)
        for k in range(first[i], first[i + 1]):
            out[k] = distance[goal[k]]
            wanted[goal[k]] = False
        for k in range(n_touched):
            distance[touched[k]], waits[touched[k]] = np.inf, False
