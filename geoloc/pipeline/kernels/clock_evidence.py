"""What cameras' disagreement along moving objects says about their clocks, kept tie by tie.

A point of an object is z = x + D p + noise with the parameters p of its camera (offset s, drift s/s, distance along the
line of sight in lengths, shift east and north in m). With weights W_i of a group's points, x eliminated, what is
left is a sum over pairs: (D_i p_i - D_j p_j) is measured as z_i - z_j with weight W_i (Σ W)⁻¹ W_j, made symmetric
(exact for two cameras, and where noises are alike in shape). So each tie of two cameras has evidence of its own:
an information matrix over both cameras' parameters, and any part of the ties is honest evidence by itself.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled
from geoloc.pipeline.kernels.clock_windows import (
    AWAY_X,
    CAMERA,
    LENGTH,
    SINCE,
    TIMES,
    UNSURE,
)
from geoloc.pipeline.kernels.small import inverse_symmetric

OFFSET, DRIFT, AWAY, EAST, NORTH, SIZE = range(6)


@compiled
def groups_that_speak(track, motion, memory, time, says, again_s):
    """First and last + 1 row (G, 2) of each group of two cameras and more whose track has not said its share.

    Rows come in order of track. An object's own error repeats in all that is learned from it, so a track is heard
    `says` times in `again_s`; its `memory` counts.
    """
    out, n, start = np.empty((len(track), 2), np.int64), 0, 0
    for stop in range(1, len(track) + 1):
        if stop < len(track) and track[stop] == track[start]:
            continue
        t = track[start]
        if stop - start >= 2 and t >= 0 and motion[t] != UNSURE:
            if time - memory[t, SINCE] >= again_s:
                memory[t, SINCE], memory[t, TIMES] = time, 0.0
            if memory[t, TIMES] < says:
                memory[t, TIMES] += 1.0
                out[n, 0], out[n, 1] = start, stop
                n += 1
        start = stop
    return out[:n]


@compiled
def ties_of(rows, groups, n_cameras):
    """Number (P,) of the tie of each pair of each group: first camera times `n_cameras` plus the second, larger one."""
    total = 0
    for g in range(len(groups)):
        n = groups[g, 1] - groups[g, 0]
        total += n * (n - 1) // 2
    out, at = np.empty(total, np.int64), 0
    for g in range(len(groups)):
        for i in range(groups[g, 0], groups[g, 1]):
            for j in range(i + 1, groups[g, 1]):
                out[at] = int(rows[i, CAMERA]) * n_cameras + int(rows[j, CAMERA])
                at += 1
    return out


@compiled
def learn_pairs(rows, groups, tie, z, noise, velocity, since, own, robust2, mean, cov, information, weighted, count):
    """Add what groups say to their pairs' ties: `information` (E, 10, 10), `weighted` (E, 10), `count` (E,).

    `tie` (P,) are the pairs' ties as from `ties_of`; `z` (N, 2) m is where the points would lie by their own stamps,
    `since` (s) the time since offsets were those of the parameters, `own` the variance in squared lengths of an
    object's own error. A point off its group by `robust2` squared sigmas counts for a quarter (Geman and McClure),
    by what is known: parameters `mean` (C, 5) and their `cov` (C, 5, 5).
    """
    at = 0
    for g in range(len(groups)):
        start, stop = groups[g, 0], groups[g, 1]
        n = stop - start
        design, weight = np.empty((n, 2, SIZE)), np.empty((n, 3))
        for k in range(n):
            _design(rows[start + k], velocity[start + k], since, design[k])
        _weigh(rows[start:stop], z[start:stop], noise[start:stop], design, own, robust2, mean, cov, weight)
        xx, xy, yy = inverse_symmetric(weight[:, 0].sum(), weight[:, 1].sum(), weight[:, 2].sum())
        for i in range(n):
            for j in range(i + 1, n):
                e = tie[at]
                at += 1
                first, both, second = _joint(weight[i], weight[j], xx, xy, yy)
                if first >= 0.0 and first * second >= both * both:  # symmetric parts may be indefinite: rare, left out
                    count[e] += 1.0
                    apart_x, apart_y = z[start + i, 0] - z[start + j, 0], z[start + i, 1] - z[start + j, 1]
                    _add(design[i], design[j], first, both, second, apart_x, apart_y, information[e], weighted[e])


@compiled
def _design(row, velocity, since, out):
    """By how much (2, 5) the camera's parameters move a point."""
    for axis in range(2):
        out[axis, OFFSET], out[axis, DRIFT] = -velocity[axis], -velocity[axis] * since
        out[axis, AWAY] = row[LENGTH] * row[AWAY_X + axis]
        out[axis, EAST], out[axis, NORTH] = 1.0 - axis, 1.0 * axis


@compiled
def _weigh(rows, z, noise, design, own, robust2, mean, cov, weight):
    """Weights (n, 3) of a group's points, less for those that lie off it."""
    left, sums, pull = np.empty((len(rows), 2)), np.zeros(3), np.zeros(2)
    for k in range(len(rows)):
        c, more = int(rows[k, CAMERA]), own * rows[k, LENGTH] ** 2
        xx, xy, yy = inverse_symmetric(noise[k, 0] + more, noise[k, 1], noise[k, 2] + more)
        weight[k, 0], weight[k, 1], weight[k, 2] = xx, xy, yy
        for axis in range(2):
            left[k, axis] = z[k, axis]
            for p in range(SIZE):
                left[k, axis] -= design[k, axis, p] * mean[c, p]
        sums += weight[k]
        pull[0] += xx * left[k, 0] + xy * left[k, 1]
        pull[1] += xy * left[k, 0] + yy * left[k, 1]
    xx, xy, yy = inverse_symmetric(sums[0], sums[1], sums[2])
    middle_x, middle_y = xx * pull[0] + xy * pull[1], xy * pull[0] + yy * pull[1]
    for k in range(len(rows)):
        c, more = int(rows[k, CAMERA]), own * rows[k, LENGTH] ** 2
        doubt = _spread(design[k], cov[c])
        xx, xy, yy = inverse_symmetric(
            noise[k, 0] + more + doubt[0], noise[k, 1] + doubt[1], noise[k, 2] + more + doubt[2]
        )
        x, y = left[k, 0] - middle_x, left[k, 1] - middle_y
        root = 1.0 / (1.0 + (xx * x * x + 2.0 * xy * x * y + yy * y * y) / robust2)
        weight[k] *= root * root


@compiled
def _spread(design, cov):
    """D C D' (2, 2) as xx, xy, yy."""
    xx, xy, yy = 0.0, 0.0, 0.0
    for p in range(SIZE):
        for q in range(SIZE):
            xx += design[0, p] * cov[p, q] * design[0, q]
            xy += design[0, p] * cov[p, q] * design[1, q]
            yy += design[1, p] * cov[p, q] * design[1, q]
    return xx, xy, yy


@compiled
def _joint(a, b, xx, xy, yy):
    """The symmetric part of A S B, each given as xx, xy, yy, as the same three numbers."""
    p, q = a[0] * xx + a[1] * xy, a[0] * xy + a[1] * yy
    r, s = a[1] * xx + a[2] * xy, a[1] * xy + a[2] * yy
    return p * b[0] + q * b[1], 0.5 * (p * b[1] + q * b[2] + r * b[0] + s * b[1]), r * b[1] + s * b[2]


@compiled
def _add(first, second, xx, xy, yy, apart_x, apart_y, information, weighted):
    """Evidence of one pair: what (first, -second) times the parameters is, measured with weight xx, xy, yy."""
    design = np.empty((2, 2 * SIZE))
    for axis in range(2):
        for p in range(SIZE):
            design[axis, p], design[axis, SIZE + p] = first[axis, p], -second[axis, p]
    for p in range(2 * SIZE):
        x, y = design[0, p] * xx + design[1, p] * xy, design[0, p] * xy + design[1, p] * yy
        weighted[p] += x * apart_x + y * apart_y
        for q in range(2 * SIZE):
            information[p, q] += x * design[0, q] + y * design[1, q]


@compiled
def age(information, weighted, count, dt, keep):
    """Evidence as of offsets later by `dt` (s), of which the share `keep` is left."""
    for e in range(len(information)):
        for drift in (DRIFT, SIZE + DRIFT):
            offset = drift - DRIFT
            for p in range(2 * SIZE):
                information[e, p, drift] -= dt * information[e, p, offset]
            for p in range(2 * SIZE):
                information[e, drift, p] -= dt * information[e, offset, p]
            weighted[e, drift] -= dt * weighted[e, offset]
    information *= keep
    weighted *= keep
    count *= keep
