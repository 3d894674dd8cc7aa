"""What each camera could have seen and has no box of: evidence against it being there; see `pipeline.existence`.

A site's visibility is a tuple of arrays, see `scene.visibility.Visibility`: cell (m), first (L, 2), shape (L, 2),
offset (L,), seen (R + 1, B), depth (R + 1,).
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.pipeline.kernels.compiled import compiled, inlined


@inlined
def cell_of(view, level, x, y):
    """Row of the visibility's tables for a place; the last one where nobody sees it."""
    cell, first, shape, offset, seen, _ = view
    at_x, at_y = np.floor(x * (1.0 / cell)) - first[level, 0], np.floor(y * (1.0 / cell)) - first[level, 1]
    if level < 0 or not (0 <= at_x < shape[level, 0] and 0 <= at_y < shape[level, 1]):
        return len(seen) - 1
    return int(offset[level] + at_y * shape[level, 0] + at_x)


@compiled
def weigh_groups(camera, score, group, level, floor, reporting, centre, view, xyz, radius, height, log_miss, limit,
                 out):  # fmt: skip
    """Probability `out` (G,) that each group of points (N,) is there; see `weigh`, and `missed` if `log_miss` < 0."""
    n_groups = len(out)
    against = np.zeros(n_groups)
    if log_miss < 0.0:
        detected = np.zeros((n_groups, len(reporting)), np.bool_)
        for i in range(len(group)):
            detected[group[i], camera[i]] = True
        against = missed(xyz, level, detected, reporting, centre, view, xyz, radius, height, log_miss, limit)
    out[:] = weigh(score, group, against, floor, limit)


@compiled
def weigh(score, group, against, floor, limit):
    """Probability (G,) of each group: its boxes' scores, and log-odds `against` (G,) it, held within `limit`.

    Scores (N,) are read as probabilities within [floor, 1 - floor].
    """
    out = np.zeros(len(against))
    for i in range(len(score)):
        p = min(max(score[i], floor), 1.0 - floor)
        out[group[i]] += math.log(p / (1.0 - p))
    for g in range(len(out)):
        out[g] = 1.0 / (1.0 + math.exp(-min(max(out[g] + against[g], -limit), limit)))
    return out


@compiled
def missed(xyz, level, detected, reporting, centre, view, others, radius, height, log_miss, limit):
    """Log-odds (K,) <= 0 for objects at xyz (K, 3) m that reporting cameras (C,) could see and have no box of.

    `detected` (K, C) tells who has one, or is (0, C): nobody. Cameras are at `centre` (C, 3) m. Any of `others`
    (M, 3) m, of `radius` (M,) and `height` (M,) m, may stand in front. A camera takes `log_miss`.
    """
    out, seen = np.zeros(len(xyz)), view[4]
    order = np.argsort(others[:, 0])
    sorted_x, widest = others[:, 0][order], 0.0
    for m in range(len(others)):
        widest = max(widest, radius[m])
    for k in range(len(xyz)):
        row = cell_of(view, level[k], xyz[k, 0], xyz[k, 1])
        for c in range(len(reporting)):
            if not reporting[c] or not (seen[row, c >> 3] >> (7 - (c & 7))) & 1:
                continue
            if len(detected) and detected[k, c]:
                continue
            low = np.searchsorted(sorted_x, min(xyz[k, 0], centre[c, 0]) - widest)
            high = np.searchsorted(sorted_x, max(xyz[k, 0], centre[c, 0]) + widest, side="right")
            if not is_hidden(centre[c], xyz[k], others, radius, height, order, low, high):
                out[k] += log_miss
        out[k] = max(out[k], -limit)
    return out


@inlined
def is_hidden(centre, foot, others, radius, height, order, low, high):
    """Whether one of `others` stands between a camera's centre (3,) and a foot (3,) m; a camera without one: no.

    Those from `low` to before `high` of their `order` are tried.
    """
    x, y = foot[0] - centre[0], foot[1] - centre[1]
    distance = max(math.sqrt(x * x + y * y), 1e-9)
    x, y = x / distance, y / distance
    for at in range(low, high):
        m = order[at]
        dx, dy = others[m, 0] - centre[0], others[m, 1] - centre[1]
        along = dx * x + dy * y
        if 0.0 < along < distance - radius[m] and abs(dx * y - dy * x) < radius[m]:
            # where the line of sight to the foot passes the other, and how high
            above = centre[2] + (foot[2] - centre[2]) * along / distance - others[m, 2]
            if 0.0 < above < height[m]:
                return True
    return False
