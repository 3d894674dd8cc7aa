"""Which level an object is on: what a point says of it, and what a track believes.

`outlines` are those of levels (L,): edges (E, 4) x, y, x, y m, those of level k from start[k] to start[k + 1], and
endless (L,) bool. `joints` are areas (J,) in the same form, and pair (L, L), the joint of two levels or -1.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.surfaces import ENDLESS, MIN_DROP

SURE = 0.99  # most that one window says for a level: a map is not that exact
LEAK = 1e-6  # probability that an object is on any other level, for whatever reason
AGAIN = 0.2  # of an observation: what the same cameras say once more
SIGMAS = 2.0  # an object that is as near to a joint may be on it
FARTHEST = 1e9  # m
LEAST = 0.02  # probability of another level from which on it is worth a thought
FAR = 4.0  # sigmas off a surface, where no point is
NOWHERE = 1e-4  # odds of a level whose surface does not hold the point at all


@inlined
def depth_in(edges, first, last, x, y):
    """How far (m) a point lies inside an outline of edges `first` to `last`, negative outside; and where to its edge.

    That is the unit vector to the nearest edge.
    """
    inside, best, to_x, to_y = False, np.inf, 0.0, 0.0
    for e in range(first, last):
        x0, y0, x1, y1 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
        ex, ey = x1 - x0, y1 - y0
        length2 = ex * ex + ey * ey
        share = ((x - x0) * ex + (y - y0) * ey) / length2 if length2 > 0.0 else 0.0
        share = min(max(share, 0.0), 1.0)
        dx, dy = x0 + share * ex - x, y0 + share * ey - y
        if dx * dx + dy * dy < best:
            best, to_x, to_y = dx * dx + dy * dy, dx, dy
    distance = math.sqrt(best) if best < np.inf else FARTHEST
    if distance > 0.0 and best < np.inf:
        to_x, to_y = to_x / distance, to_y / distance
    return (distance if inside else -distance), to_x, to_y


@inlined
def _below(sigmas):
    """Probability of a standard normal variable below so many sigmas."""
    return 0.5 * math.erfc(-sigmas / math.sqrt(2.0))


@compiled
def tell_levels(rows, why, level, xy, z, cov, bias_cov, camera, centre, surfaces, outlines, n_levels, sure, other):
    """How likely the `level` of each of `rows` is the right one, `sure` (N,), and the next likely one, `other` (N,).

    A ray meets the first level whose outline holds it; near an edge, within what cov + bias_cov (N, 2, 2) say, it may
    pass by or be stopped by one that it seems to pass. -1: no other is as likely as `LEAST`.
    """
    odds, depth, reach = np.empty(n_levels), np.empty(n_levels), np.empty(n_levels)
    for n in range(len(rows)):
        i = rows[n]
        sure[i], other[i] = 1.0, -1
        if why[i] != 0:
            continue
        c = camera[i]
        wx, wy, wz = xy[i, 0] - centre[c, 0], xy[i, 1] - centre[c, 1], z[i] - centre[c, 2]
        xx, yy = cov[i, 0, 0] + bias_cov[i, 0, 0], cov[i, 1, 1] + bias_cov[i, 1, 1]
        cross = cov[i, 0, 1] + bias_cov[i, 0, 1]
        if not _may_be_another(wx, wy, wz, centre[c], level[i], surfaces, FAR * math.sqrt(xx + yy)):
            continue
        _candidates(wx, wy, wz, centre[c], surfaces, depth, reach)
        _in_order(wx, wy, xx, cross, yy, centre[c], outlines, depth, reach, odds)
        total, best = 0.0, -1
        for k in range(n_levels):
            total += odds[k]
            if k != level[i] and (best < 0 or odds[k] > odds[best]):
                best = k
        if odds[best] > LEAST * total:
            other[i] = best
            sure[i] = odds[level[i]] / total


@inlined
def _may_be_another(wx, wy, wz, origin, own, surfaces, room):
    """Whether a ray w, whose end is known within `room` m, comes near a surface of another level than its `own`."""
    planes, _, level, bounds, shape, _, _ = surfaces
    for s in range(len(planes)):
        if level[s] == own:
            continue
        fall = planes[s, 0] * wx + planes[s, 1] * wy - wz
        above = origin[2] - (planes[s, 0] * origin[0] + planes[s, 1] * origin[1] + planes[s, 2])
        if not (fall > MIN_DROP and above > 0.0):
            continue
        distance = above / fall
        x, y, r = origin[0] + distance * wx, origin[1] + distance * wy, distance * room
        if shape[s] == ENDLESS:
            return True
        if bounds[s, 0] - r <= x <= bounds[s, 2] + r and bounds[s, 1] - r <= y <= bounds[s, 3] + r:
            return True
    return False


@inlined
def _candidates(wx, wy, wz, origin, surfaces, depth, reach):
    """Where a ray w that ends on level `own` meets each level (L,), in its lengths: `reach`, and how deep inside it.

    A level that it does not meet from above has none: infinite.
    """
    planes, _, level, _, _, surface_edges, surface_start = surfaces
    depth[:], reach[:] = -np.inf, np.inf
    for s in range(len(planes)):
        a, b = planes[s, 0], planes[s, 1]
        fall = a * wx + b * wy - wz
        above = origin[2] - (a * origin[0] + b * origin[1] + planes[s, 2])
        if not (fall > MIN_DROP and above > 0.0):
            continue
        distance = above / fall
        x, y = origin[0] + distance * wx, origin[1] + distance * wy
        inside = FARTHEST
        if surface_start[s + 1] > surface_start[s]:
            inside, _, _ = depth_in(surface_edges, surface_start[s], surface_start[s + 1], x, y)
        if inside > depth[level[s]]:
            depth[level[s]], reach[level[s]] = inside, distance


@inlined
def _in_order(wx, wy, xx, cross, yy, origin, outlines, depth, reach, odds):
    """How likely a ray meets each level (L,) first: `odds`. Spread xx, cross, yy (m²) is that at its end."""
    edges, start, endless = outlines
    passed = 1.0
    odds[:] = 0.0
    for _ in range(len(odds)):
        k, nearest = -1, np.inf
        for j in range(len(odds)):
            if odds[j] == 0.0 and reach[j] < nearest:
                k, nearest = j, reach[j]
        if k < 0:
            break
        inside = 1.0
        if not endless[k]:
            x, y = origin[0] + reach[k] * wx, origin[1] + reach[k] * wy
            deep, to_x, to_y = depth_in(edges, start[k], start[k + 1], x, y)
            sigma = reach[k] * math.sqrt(max(to_x * to_x * xx + 2.0 * to_x * to_y * cross + to_y * to_y * yy, 1e-12))
            # off its own piece of the level, whatever other piece lies under or over it
            inside = _below(min(deep, depth[k]) / sigma if depth[k] < 0.0 else deep / sigma)
        odds[k] = max(passed * inside, 1e-300)
        passed *= 1.0 - inside


@inlined
def may_change(x, y, reach, first, second, joints):
    """Whether a place, known within `reach` m, may be where two levels are joined."""
    edges, start, endless, pair = joints
    j = pair[first, second]
    if j < 0:
        return False
    if endless[j]:
        return True
    inside, _, _ = depth_in(edges, start[j], start[j + 1], x, y)
    return inside >= -reach


@compiled
def joined(pairs, xy, reach, level, joints):
    """Pairs (P, 2) of nodes at xy (N, 2) m, of standard deviations `reach` (N,) m, of one level or where two meet."""
    out, count = np.empty_like(pairs), 0
    for p in range(len(pairs)):
        i, j = pairs[p, 0], pairs[p, 1]
        meet = level[i] == level[j]
        if not meet:
            meet = may_change(xy[i, 0], xy[i, 1], SIGMAS * reach[i], level[i], level[j], joints)
            meet = meet or may_change(xy[j, 0], xy[j, 1], SIGMAS * reach[j], level[i], level[j], joints)
        if meet:
            out[count] = pairs[p]
            count += 1
    return out[:count]


@compiled
def believe(held, rows, time, rate, xyz, cov, camera_set, level, sure, joints):
    """What tracks in `rows` (K,) believe of their level after an object each, in place; -1: of none.

    A hidden Markov model: where two levels are joined an object changes to the other at `rate` 1/s, elsewhere never;
    then the likelihoods of the object's `level` (K,), which is right with probability `sure` (K,): cameras that saw the
    track before, too, err alike, and say little that is new.
    """
    n_levels = held["levels"].shape[1]
    for k in range(len(rows)):
        if rows[k] < 0:
            continue
        one = held[rows[k]]
        if n_levels == 1:
            one["level"] = level[k]
            continue
        belief, now, passed = one["levels"], one["level"], time - one["seen_time"]
        spread = math.sqrt(max(cov[k, 0, 0] + cov[k, 1, 1], 0.0))
        if level[k] != now or belief[now] < 1.0 - 1e-3:
            _change(belief, -math.expm1(-rate * max(passed, 0.0)), xyz[k, 0], xyz[k, 1], spread, joints)
        _weigh(belief, level[k], sure[k], AGAIN if camera_set[k] == one["camera_set"] else 1.0)
        best = now  # of equal ones the old one
        for j in range(n_levels):
            if belief[j] > belief[best]:
                best = j
        one["level"] = best


@inlined
def _change(belief, moves, x, y, spread, joints):
    """Half of the share `moves` of the difference goes over between levels that are joined there."""
    for i in range(len(belief)):
        for j in range(i):
            if may_change(x, y, SIGMAS * spread, i, j, joints):
                step = 0.5 * moves * (belief[i] - belief[j])
                belief[i] -= step
                belief[j] += step


@inlined
def _weigh(belief, level, sure, counts):
    """Bayes' rule by a level that is right with probability `sure`, and `counts` so much of an observation."""
    right = min(max(sure, NOWHERE), SURE)
    wrong, total = math.pow((1.0 - right) / (right * (len(belief) - 1)), counts), 0.0
    for j in range(len(belief)):
        belief[j] = max(belief[j], LEAK) * (1.0 if j == level else wrong)
        total += belief[j]
    for j in range(len(belief)):
        belief[j] /= total
