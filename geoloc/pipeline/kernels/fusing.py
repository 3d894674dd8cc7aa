"""Points of one object fused, all objects of a window in one pass; see `pipeline.fusion`."""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.levels import SURE
from geoloc.pipeline.kernels.small import congruence, inverse_symmetric
from geoloc.pipeline.kernels.surfaces import surface_under


@compiled
def fuse_groups(time, xy, cov, bias_cov, score, label, level, sure, camera, group, camera_number, body, surface_level,
                surfaces, shared_bias, spread, out_time, xyz, out_cov, out_bias, out_label, out_level, out_sure,
                best_score, count, camera_set):  # fmt: skip
    """Fill the columns (G, ...) of a table of objects from points (N, ...) and the `group` (N,) of each.

    Time (s) is the mean of a group's points, the label that of its best scored one, the last of equal ones; the level
    is the likeliest, where each point's is right with the probability `sure` (N,). `body` (L,) m is added to `cov` by
    label; `camera_number` (C,) are summed up to the camera set. `surface_level` (V,) are the map's levels of the
    points' ones.
    """
    n_groups, n = len(count), len(group)
    start, mean, cameras = np.empty(n_groups), np.zeros(n_groups), np.zeros(n_groups, np.uint64)
    count[:] = 0
    for i in range(n):
        g = group[i]
        if count[g] == 0:
            start[g], out_level[g] = time[i], level[i]
        if count[g] == 0 or not score[i] < best_score[g]:
            best_score[g], out_label[g] = score[i], label[i]
        count[g] += 1
        mean[g] += time[i] - start[g]  # from the first: seconds since 1970 leave no digits for a sum
        cameras[g] += camera_number[camera[i]]
    agree_on_levels(level, sure, group, len(surface_level), out_level, out_sure)
    extent, on = np.empty(n_groups), np.empty(n_groups, np.int64)
    for g in range(n_groups):
        out_time[g], camera_set[g] = start[g] + mean[g] / count[g], np.int64(cameras[g] >> np.uint64(1))
        extent[g], on[g] = body[out_label[g]], surface_level[out_level[g]]
    place = np.empty((n_groups, 2))
    fuse_points(xy, cov, bias_cov, group, count, shared_bias, spread, extent, place, out_cov, out_bias)
    lift(place, on, surfaces, xyz, out_cov, out_bias)


@compiled
def agree_on_levels(level, sure, group, n_levels, out_level, out_sure):
    """The likeliest level (G,) of each group of points (N,), the first of equal ones, and its probability (G,)."""
    out_sure[:] = 1.0
    if n_levels == 1:
        return
    odds = np.zeros((len(out_level), n_levels))
    for i in range(len(group)):
        right = min(max(sure[i], 1.0 - SURE), SURE)
        for k in range(n_levels):
            odds[group[i], k] += math.log(right if k == level[i] else (1.0 - right) / (n_levels - 1))
    for g in range(len(out_level)):
        for k in range(n_levels):
            if odds[g, k] > odds[g, out_level[g]]:
                out_level[g] = k
        total = 0.0
        for k in range(n_levels):
            total += math.exp(odds[g, k] - odds[g, out_level[g]])
        out_sure[g] = 1.0 / total


@compiled
def fuse_points(xy, cov, bias_cov, group, count, shared_bias, spread, body, out_xy, out_cov, out_bias):
    """Fill xy (G, 2) m and the ground's part of cov and bias_cov (G, 3, 3) m² of n groups; `body` (G,) m is added.

    Weights W come from cov + bias_cov; then cov = Σ W cov Wᵀ and bias_cov = Σ W bias_cov Wᵀ.
    """
    n, n_groups = len(group), len(count)
    information, total = np.empty((n, 3)), np.zeros((n_groups, 3))
    chi2 = np.zeros(n_groups)
    for i in range(n):
        times = float(count[group[i]]) if shared_bias else 1.0
        information[i, 0], information[i, 1], information[i, 2] = inverse_symmetric(
            cov[i, 0, 0] + times * bias_cov[i, 0, 0],
            0.5 * (cov[i, 0, 1] + cov[i, 1, 0] + times * (bias_cov[i, 0, 1] + bias_cov[i, 1, 0])),
            cov[i, 1, 1] + times * bias_cov[i, 1, 1],
        )
        total[group[i]] += information[i]
    for g in range(n_groups):
        total[g, 0], total[g, 1], total[g, 2] = inverse_symmetric(total[g, 0], total[g, 1], total[g, 2])
        out_xy[g], out_cov[g], out_bias[g] = 0.0, 0.0, 0.0
    for i in range(n):
        g, e = group[i], information[i]
        t = total[g]
        a, b = t[0] * e[0] + t[1] * e[1], t[0] * e[1] + t[1] * e[2]
        c, d = t[1] * e[0] + t[2] * e[1], t[1] * e[1] + t[2] * e[2]
        out_xy[g, 0] += a * xy[i, 0] + b * xy[i, 1]
        out_xy[g, 1] += c * xy[i, 0] + d * xy[i, 1]
        times = float(count[g]) if shared_bias else 1.0
        _add(out_cov[g], a, b, c, d, cov[i], 1.0)
        _add(out_bias[g], a, b, c, d, bias_cov[i], times)
    for i in range(n):
        g, e = group[i], information[i]
        x, y = xy[i, 0] - out_xy[g, 0], xy[i, 1] - out_xy[g, 1]
        chi2[g] += e[0] * x * x + 2.0 * e[1] * x * y + e[2] * y * y
    for g in range(n_groups):
        # the Birge ratio squared: chi-square of the residuals per freedom
        wider = max(1.0, chi2[g] / max(2.0 * (count[g] - 1), 1.0)) if spread else 1.0
        out_cov[g, :2, :2] *= wider
        out_cov[g, 0, 0] += body[g] * body[g]
        out_cov[g, 1, 1] += body[g] * body[g]


@inlined
def _add(out, a, b, c, d, cov, times):
    """Add `times` W C W' of W = [[a, b], [c, d]] to the upper left of `out`."""
    xx, xy, yy = congruence(a, b, c, d, cov[0, 0], 0.5 * (cov[0, 1] + cov[1, 0]), cov[1, 1])
    out[0, 0] += times * xx
    out[0, 1] += times * xy
    out[1, 0] += times * xy
    out[1, 1] += times * yy


@compiled
def lift(xy, level, surfaces, out_xyz, cov, bias_cov):
    """Put objects (G,) on the surfaces of their levels: z, and what the slope and sigma_z add to (G, 3, 3) m².

    Off its level an object is on the plane of the level's first surface.
    """
    for g in range(len(level)):
        s, first = surface_under(surfaces, level[g], xy[g, 0], xy[g, 1])
        s = first if s < 0 else s
        a, b, c = surfaces[0][s, 0], surfaces[0][s, 1], surfaces[0][s, 2]
        out_xyz[g, 0], out_xyz[g, 1] = xy[g, 0], xy[g, 1]
        out_xyz[g, 2] = a * xy[g, 0] + b * xy[g, 1] + c
        _lift(cov[g], a, b)
        _lift(bias_cov[g], a, b)
        bias_cov[g, 2, 2] += surfaces[1][s] * surfaces[1][s]


@inlined
def _lift(cov, a, b):
    """Fill the third row and column of a covariance (3, 3) of z = a x + b y."""
    x, y = a * cov[0, 0] + b * cov[0, 1], a * cov[0, 1] + b * cov[1, 1]
    cov[0, 2] = cov[2, 0] = x
    cov[1, 2] = cov[2, 1] = y
    cov[2, 2] = a * x + b * y


@compiled
def mean_heights(height, var, group, n_groups):
    """Mean height (G,) m of each group's points by information, and its variance (G,) m²; NaN where none is known."""
    mean, total = np.zeros(n_groups), np.zeros(n_groups)
    for i in range(len(group)):
        if var[i] > 0.0:
            total[group[i]] += 1.0 / var[i]
            mean[group[i]] += height[i] / var[i]
    for g in range(n_groups):
        total[g] = 1.0 / total[g] if total[g] > 0.0 else np.nan
        mean[g] *= total[g]
    return mean, total


@compiled
def mean_looks(embedding, group, n_groups):
    """Sum (G, D) of each group's embeddings scaled to unit length; what is not finite counts as zero."""
    out = np.zeros((n_groups, embedding.shape[1]))
    for i in range(len(group)):
        for k in range(embedding.shape[1]):
            if np.isfinite(embedding[i, k]):
                out[group[i], k] += embedding[i, k]
    for g in range(n_groups):
        length = math.sqrt((out[g] * out[g]).sum())
        out[g] /= length if length > 1e-9 else np.inf
    return out
