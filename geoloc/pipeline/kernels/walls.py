"""Which pairs of nodes a wall keeps apart, and what it stops."""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined

TOUCH = 1e-6  # m, by which roundings may move where a way crosses a wall
SIGMAS = 2.0  # a node that is as far from a wall is on its own side of it


@compiled
def not_parted(pairs, xy, reach, level, start, piece):
    """Pairs (P, 2) of nodes at xy (N, 2) m, of standard deviations `reach` (N,) m, that no wall parts for sure.

    A wall parts two nodes of one level where the way between them crosses a piece of it (W, 4) m, those of a level
    from start (L + 1,) on, and neither may lie on the other's side.
    """
    out, count = np.empty_like(pairs), 0
    room = np.empty((len(piece), 4))  # low x, high x, low y, high y
    for w in range(len(piece)):
        room[w, 0], room[w, 1] = min(piece[w, 0], piece[w, 2]), max(piece[w, 0], piece[w, 2])
        room[w, 2], room[w, 3] = min(piece[w, 1], piece[w, 3]), max(piece[w, 1], piece[w, 3])
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        apart = False
        if level[i] == level[j]:
            low_x, high_x = min(xy[i, 0], xy[j, 0]) - TOUCH, max(xy[i, 0], xy[j, 0]) + TOUCH
            low_y, high_y = min(xy[i, 1], xy[j, 1]) - TOUCH, max(xy[i, 1], xy[j, 1]) + TOUCH
            for w in range(start[level[i]], start[level[i] + 1]):
                # most pieces lie elsewhere
                if room[w, 0] > high_x or room[w, 1] < low_x or room[w, 2] > high_y or room[w, 3] < low_y:
                    continue
                if _parts(piece[w], xy[i], xy[j], SIGMAS * reach[i], SIGMAS * reach[j]):
                    apart = True
                    break
        if not apart:
            out[count, 0], out[count, 1] = i, j
            count += 1
    return out[:count]


@compiled
def stop(held, before, time, start, piece):
    """Keep tracks that were not seen at `time` (s), the last window's, at xy `before` (T, 2) m of the wall they meet.

    They stand there, in place; of those that were seen a wall is no news.
    """
    for i in range(len(held)):
        if held[i]["seen_time"] >= time:
            continue
        state, level = held[i]["state"], held[i]["level"]
        for w in range(start[level], start[level + 1]):
            if _parts(piece[w], before[i], state[:2], 0.0, 0.0):
                state[:2] = before[i]
                state[2:4] = 0.0
                break


@inlined
def _parts(piece, a, b, of_a, of_b):
    """Whether a piece (4,) lies between points a and b, and farther from them (m) than `of_a` and `of_b`."""
    x, y = piece[2] - piece[0], piece[3] - piece[1]
    length = math.sqrt(x * x + y * y)
    if not length > 0.0:
        return False
    side_a = (x * (a[1] - piece[1]) - y * (a[0] - piece[0])) / length
    side_b = (x * (b[1] - piece[1]) - y * (b[0] - piece[0])) / length
    if side_a * side_b >= 0.0 or abs(side_a) <= of_a or abs(side_b) <= of_b:
        return False
    share = side_a / (side_a - side_b)
    along = ((a[0] + share * (b[0] - a[0]) - piece[0]) * x + (a[1] + share * (b[1] - a[1]) - piece[1]) * y) / length
    return 0.0 <= along <= length
