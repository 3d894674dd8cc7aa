"""What the disagreement between cameras says about their offsets and their noise; see `offsets`.

Points of one object share its position x, which is eliminated: with weights W_i = (noise + varying bias)⁻¹ and
m = (Σ W)⁻¹ Σ W D, what is left of a point's design D_i is F_i = D_i - m, and Σ t_i F_i' W_i F_i is the group's
information with trust t_i. Its block of points i, j is δ_ij D_i' B_i - B_i' m_j - m_i' B_j + m_i' S m_j, with
B_i = t_i W_i D_i, m_i = (Σ W)⁻¹ W_i D_i and S = Σ t_i W_i.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.offsets import N_MOVING, column_of, design_of
from geoloc.pipeline.kernels.small import inverse_symmetric, members_of


@compiled
def latest_shared(time, group, n_groups):
    """The latest time (s) of a point (N,) that has others in its group; -inf: none has."""
    count, latest = np.zeros(n_groups, np.int64), -np.inf
    for g in group:
        count[g] += 1
    for i in range(len(time)):
        if count[group[i]] >= 2:
            latest = max(latest, time[i])
    return latest


@compiled
def weights_of(noise, lasting, often, group, n_groups):
    """Weights W (N, 3) of points, and the inverse (G, 3) of their groups' sums, as xx, xy, yy.

    `lasting` (N, 2, 2) m² is the part of a point's covariance that repeats while its object stands, `often` (G,) in how
    many windows it does: so many times its own size, each of them counts for what all of them say.
    """
    weight, total = np.empty((len(group), 3)), np.zeros((n_groups, 3))
    for i in range(len(group)):
        times = often[group[i]]
        weight[i, 0], weight[i, 1], weight[i, 2] = inverse_symmetric(
            noise[i, 0, 0] + times * lasting[i, 0, 0],
            noise[i, 0, 1] + times * lasting[i, 0, 1],
            noise[i, 1, 1] + times * lasting[i, 1, 1],
        )
        total[group[i]] += weight[i]
    for g in range(n_groups):
        total[g, 0], total[g, 1], total[g, 2] = inverse_symmetric(total[g, 0], total[g, 1], total[g, 2])
    return weight, total


@compiled
def centred(values, weight, total, group):
    """`values` (N, 2) less their group's mean under the weights: what does not depend on x."""
    pull = np.zeros((len(total), 2))
    for i in range(len(group)):
        pull[group[i], 0] += weight[i, 0] * values[i, 0] + weight[i, 1] * values[i, 1]
        pull[group[i], 1] += weight[i, 1] * values[i, 0] + weight[i, 2] * values[i, 1]
    out = np.empty_like(values)
    for i in range(len(group)):
        t, p = total[group[i]], pull[group[i]]
        out[i, 0] = values[i, 0] - (t[0] * p[0] + t[1] * p[1])
        out[i, 1] = values[i, 1] - (t[1] * p[0] + t[2] * p[1])
    return out


@compiled
def learn_offsets(xy, weight, total, away, modes, camera, label, group, n_labels, n_cameras, robust2, information,
                  weighted):  # fmt: skip
    """Add what groups of two points and more say to `information` (P, P) and `weighted` (P,).

    A point whose residual is `robust2` squared sigmas off its group counts for a quarter (Geman and McClure).
    """
    n = len(group)
    residual = centred(xy, weight, total, group)
    start, rows = members_of(group, len(total))
    pull, mean, columns = np.empty((n, 2, N_MOVING)), np.empty((n, 2, N_MOVING)), np.empty((n, N_MOVING), np.int64)
    design = np.empty((n, 2, N_MOVING))
    for i in range(n):
        design_of(away[i], modes[i], design[i])
    own, room = (camera, label, n_labels, n_cameras), (pull, mean, columns)
    _learn_groups(*own, start, rows, weight, total, design, residual, robust2, *room, information, weighted)


@inlined
def _learn_groups(camera, label, n_labels, n_cameras, start, rows, weight, total, design, residual, robust2,
                  pull, mean, columns, information, weighted):  # fmt: skip
    """The groups' points are `rows` (N,) from `start` (G + 1,) on; `pull`, `mean` and `columns` are room to work in."""
    for g in range(len(total)):
        own = rows[start[g] : start[g + 1]]
        if len(own) < 2:
            continue
        sum_xx, sum_xy, sum_yy, right_x, right_y = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in own:
            trust = _trust(weight[i], residual[i], robust2)
            _spread_design(weight[i], total[g], design[i], trust, pull[i], mean[i])
            for p in range(N_MOVING):
                columns[i, p] = column_of(p, camera[i], label[i], n_cameras, n_labels)
            sum_xx += trust * weight[i, 0]
            sum_xy += trust * weight[i, 1]
            sum_yy += trust * weight[i, 2]
            right_x += trust * (weight[i, 0] * residual[i, 0] + weight[i, 1] * residual[i, 1])
            right_y += trust * (weight[i, 1] * residual[i, 0] + weight[i, 2] * residual[i, 1])
        for i in own:
            _add_right(columns[i], pull[i], mean[i], residual[i], right_x, right_y, weighted)
            _add_own(columns[i], pull[i], design[i], information)
            for j in own:
                _add_pair(columns[i], columns[j], pull[i], pull[j], mean[i], mean[j], sum_xx, sum_xy, sum_yy,
                          information)  # fmt: skip


@inlined
def _trust(weight, residual, robust2):
    x, y = residual[0], residual[1]
    size = weight[0] * x * x + 2.0 * weight[1] * x * y + weight[2] * y * y
    root = 1.0 / (1.0 + size / robust2)
    return root * root


@inlined
def _spread_design(weight, total, design, trust, pull, mean):
    """B = t W D and m = (Σ W)⁻¹ W D, both (2, N_MOVING), of the design D."""
    for p in range(N_MOVING):
        x, y = design[0, p], design[1, p]
        wx, wy = weight[0] * x + weight[1] * y, weight[1] * x + weight[2] * y
        pull[0, p], pull[1, p] = trust * wx, trust * wy
        mean[0, p], mean[1, p] = total[0] * wx + total[1] * wy, total[1] * wx + total[2] * wy


@inlined
def _add_right(columns, pull, mean, residual, right_x, right_y, weighted):
    for p in range(N_MOVING):
        own = pull[0, p] * residual[0] + pull[1, p] * residual[1]
        weighted[columns[p]] += own - (mean[0, p] * right_x + mean[1, p] * right_y)


@inlined
def _add_own(columns, pull, design, information):
    for p in range(N_MOVING):
        for q in range(N_MOVING):
            information[columns[p], columns[q]] += design[0, p] * pull[0, q] + design[1, p] * pull[1, q]


@inlined
def _add_pair(columns_i, columns_j, pull_i, pull_j, mean_i, mean_j, xx, xy, yy, information):
    for q in range(N_MOVING):
        sx, sy = xx * mean_j[0, q] + xy * mean_j[1, q], xy * mean_j[0, q] + yy * mean_j[1, q]
        x, y = sx - pull_j[0, q], sy - pull_j[1, q]
        for p in range(N_MOVING):
            crossed = pull_i[0, p] * mean_j[0, q] + pull_i[1, p] * mean_j[1, q]
            information[columns_i[p], columns_j[q]] += mean_i[0, p] * x + mean_i[1, p] * y - crossed


@compiled
def learn_noise(xy, cov, weight, total, away, modes, camera, label, group, mean, floor, robust2, noise_normal,
                noise_right):  # fmt: skip
    """Residuals after the offsets `mean` (P,), along and across the line of sight, against what they should be."""
    n_cameras, n_labels = noise_normal.shape[0], noise_normal.shape[1]
    count, left_over, design = np.zeros(len(total), np.int64), xy.copy(), np.empty((2, N_MOVING))
    for i in range(len(group)):
        count[group[i]] += 1
        design_of(away[i], modes[i], design)
        for p in range(N_MOVING):
            known = mean[column_of(p, camera[i], label[i], n_cameras, n_labels)]
            left_over[i, 0] -= design[0, p] * known
            left_over[i, 1] -= design[1, p] * known
    residual = centred(left_over, weight, total, group)
    for i in range(len(group)):
        if count[group[i]] < 2:
            continue
        noise = inverse_symmetric(weight[i, 0], weight[i, 1], weight[i, 2])
        t = total[group[i]]
        for axis in range(2):
            x, y = (away[i, 0], away[i, 1]) if axis == 0 else (-away[i, 1], away[i, 0])
            stated = _along(x, y, cov[i, 0, 0], cov[i, 0, 1], cov[i, 1, 1])
            believed = _along(x, y, noise[0], noise[1], noise[2])
            # a mean takes from its residuals
            left = min(max(1.0 - _along(x, y, t[0], t[1], t[2]) / believed, 1e-3), 1.0)
            off = x * residual[i, 0] + y * residual[i, 1]
            square = min(off * off / left, robust2 * believed)
            unit = stated + floor[label[i]]
            first, second, value = stated / unit, floor[label[i]] / unit, square / unit
            normal, right = noise_normal[camera[i], label[i], axis], noise_right[camera[i], label[i], axis]
            normal[0, 0] += left * first * first
            normal[0, 1] += left * first * second
            normal[1, 0] += left * first * second
            normal[1, 1] += left * second * second
            right[0] += left * value * first
            right[1] += left * value * second


@inlined
def _along(x, y, xx, xy, yy):
    """Variance in the unit direction x, y."""
    return xx * x * x + 2.0 * xy * x * y + yy * y * y
