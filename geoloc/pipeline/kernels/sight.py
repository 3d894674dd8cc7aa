"""What each camera could have seen and has no box of: evidence against it being there; see `pipeline.existence`.

A site's visibility is a tuple of arrays, see `scene.visibility.Visibility`: cell (m), first (L, 2), shape (L, 2),
offset (L,), seen (R + 1, B), depth (R + 1,).
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined


@inlined
def cell_of(view, level, x, y):
    """Row of the visibility's tables for a place; the last one where nobody sees it."""
    cell, first, shape, offset, seen, _ = view
    at_x, at_y = np.floor(x * (1.0 / cell)) - first[level, 0], np.floor(y * (1.0 / cell)) - first[level, 1]
    if level < 0 or not (0 <= at_x < shape[level, 0] and 0 <= at_y < shape[level, 1]):
        return len(seen) - 1
    return int(offset[level] + at_y * shape[level, 0] + at_x)


@compiled
def weigh_groups(camera, score, group, level, expected, floor, reporting, centre, view, xyz, radius, height, log_miss,
                 limit, out):  # fmt: skip
    """Probability `out` (G,) that each group of points (N,) is there; see `weigh`, and `missed` if `log_miss` < 0."""
    n_groups = len(out)
    against = np.zeros(n_groups)
    if log_miss < 0.0:
        detected = np.zeros((n_groups, len(reporting)), np.bool_)
        for i in range(len(group)):
            detected[group[i], camera[i]] = True
        against = missed(xyz, level, detected, reporting, centre, view, xyz, radius, height, log_miss, limit)
    out[:] = weigh(score, group, against, expected, floor, limit)


@compiled
def weigh(score, group, against, expected, floor, limit):
    """Probability (G,) of each group: its boxes' scores, and log-odds `against` (G,) it, held within `limit`.

    Scores (N,) are read as probabilities within [floor, 1 - floor]; low ones are made up for by what `expect` says.
    """
    out = np.zeros(len(against))
    for i in range(len(score)):
        p = min(max(score[i], floor), 1.0 - floor)
        said = math.log(p / (1.0 - p))
        out[group[i]] += said if said >= 0.0 else min(said + expected[group[i]], 0.0)
    for g in range(len(out)):
        out[g] = 1.0 / (1.0 + math.exp(-min(max(out[g] + against[g], -limit), limit)))
    return out


@compiled
def expect(track, xyz, cov, bias_cov, known_xy, known_cov, known_bias, density, out):
    """Log of how much likelier each place is the group's own than any other object's: `out` (G,), 0 where it is not.

    Groups at xyz (G, 3) m with cov and bias_cov (G, 3, 3) m², in rows `track` (G,) of tracks at known_xy (T, 2) with
    known_cov (T, 4, 4) and known_bias (T, 2, 2), -1: of none; others stand with `density` (G,) 1/m².
    """
    for g in range(len(track)):
        t = track[g]
        if t < 0:
            continue
        xx = cov[g, 0, 0] + bias_cov[g, 0, 0] + known_cov[t, 0, 0] + known_bias[t, 0, 0]
        xy = cov[g, 0, 1] + bias_cov[g, 0, 1] + known_cov[t, 0, 1] + known_bias[t, 0, 1]
        yy = cov[g, 1, 1] + bias_cov[g, 1, 1] + known_cov[t, 1, 1] + known_bias[t, 1, 1]
        size = xx * yy - xy * xy
        if size <= 0.0:
            continue
        x, y = xyz[g, 0] - known_xy[t, 0], xyz[g, 1] - known_xy[t, 1]
        off2 = (yy * x * x - 2.0 * xy * x * y + xx * y * y) / size
        out[g] = max(0.0, -0.5 * off2 - math.log(2.0 * math.pi * math.sqrt(size) * density[g]))


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
