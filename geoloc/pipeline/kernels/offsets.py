"""Offsets and noise of cameras and classes: applied to points, and learned from what cameras disagree on.

Parameters are, for L labels and C cameras: an offset a label (m), one a label and camera (m), and of each camera a
shift east and north (m) and how far its calibration is off in each of its modes (sigmas). Each point moves with its
label's, its camera's for that label, and its camera's own.
Normal equations of the noise have, for each camera, label and axis (along and across the line of sight), two
unknowns: the factor on the projected pixels' variance, and that on the label's own in m².
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.scene.tables import N_MODES

N_OF_CAMERA = 2 + N_MODES  # parameters of a camera, whatever the label
N_MOVING = 2 + N_OF_CAMERA  # parameters that move a point
LEAST_FACTOR = 0.01  # of the stated variance that learning leaves


@inlined
def column_of(k, camera, label, n_cameras, n_labels):
    """Which parameter is the k-th of those that move a point."""
    if k == 0:
        return label
    if k == 1:
        return n_labels + label * n_cameras + camera
    return n_labels * (1 + n_cameras) + N_OF_CAMERA * camera + k - 2


@compiled
def add_leftovers(camera, bias_cov, modes, sums):
    """Add each point's bias (m²) that no mode explains and one to its camera's `sums` (2, C); whether one was new."""
    new = False
    for i in range(len(camera)):
        new = new or sums[1, camera[i]] == 0.0
    for i in range(len(camera)):
        left = bias_cov[i, 0, 0] + bias_cov[i, 1, 1]
        for m in range(modes.shape[2]):
            left -= modes[i, 0, m] * modes[i, 0, m] + modes[i, 1, m] * modes[i, 1, m]
        sums[0, camera[i]] += max(0.5 * left, 0.0)
        sums[1, camera[i]] += 1.0
    return new


@compiled
def correct(xy, cov, bias_cov, away, modes, camera, label, floor, mean, mean_cov, noise_normal, noise_right, strength,
            varies):  # fmt: skip
    """Points (N,) less their offsets: xy (N, 2), cov as learned and bias_cov with the doubt (N, 2, 2) m².

    `floor` (L,) m² is a label's own variance, `varies` the share of bias_cov that no error of the camera explains.
    """
    moved, noise, bias = np.empty_like(xy), np.empty_like(cov), np.empty_like(bias_cov)
    at, design = np.empty(N_MOVING, np.int64), np.empty((2, N_MOVING))
    factors = np.empty((2, 2))
    points, known = (xy, cov, bias_cov, away, modes, camera, label), (floor, mean, mean_cov, noise_normal, noise_right)
    _correct_rows(*points, *known, strength, varies, at, design, factors, moved, noise, bias)
    return moved, noise, bias


@inlined
def _correct_rows(xy, cov, bias_cov, away, modes, camera, label, floor, mean, mean_cov, noise_normal, noise_right,
                  strength, varies, at, design, factors, moved, noise, bias):  # fmt: skip
    """`at`, `design` and `factors` are room to work in."""
    n_cameras, n_labels = noise_normal.shape[0], noise_normal.shape[1]
    for i in range(len(xy)):
        c, k = camera[i], label[i]
        for axis in range(2):
            solve_factors(noise_normal[c, k, axis], noise_right[c, k, axis], strength, factors[axis])
        _scale_noise(cov[i], away[i], factors, floor[k], noise[i])
        for p in range(N_MOVING):
            at[p] = column_of(p, c, k, n_cameras, n_labels)
        design_of(away[i], modes[i], design)
        for a in range(2):
            shift = 0.0
            for p in range(N_MOVING):
                shift += design[a, p] * mean[at[p]]
            moved[i, a] = xy[i, a] - shift
            for b in range(2):
                doubt = 0.0
                for p in range(N_MOVING):
                    for q in range(N_MOVING):
                        doubt += design[a, p] * mean_cov[at[p], at[q]] * design[b, q]
                bias[i, a, b] = varies * bias_cov[i, a, b] + doubt
        bias[i, 0, 1] = bias[i, 1, 0] = 0.5 * (bias[i, 0, 1] + bias[i, 1, 0])


@inlined
def design_of(away, modes, out):
    """How far (2, N_MOVING) m a point moves with one unit of each of its parameters."""
    out[0, 0] = out[0, 1] = away[0]
    out[1, 0] = out[1, 1] = away[1]
    out[0, 2] = out[1, 3] = 1.0
    out[0, 3] = out[1, 2] = 0.0
    for m in range(modes.shape[1]):
        out[0, 4 + m], out[1, 4 + m] = modes[0, m], modes[1, m]


@inlined
def _scale_noise(cov, away, factors, floor, out):
    """`cov` (2, 2) stretched along and across the line of sight, and the floor's share added."""
    x, y = away[0], away[1]
    along, across = np.sqrt(factors[0, 0]), np.sqrt(factors[1, 0])
    xx, xy, yy = along * x * x + across * y * y, (along - across) * x * y, along * y * y + across * x * x
    a, b = xx * cov[0, 0] + xy * cov[1, 0], xx * cov[0, 1] + xy * cov[1, 1]
    c, d = xy * cov[0, 0] + yy * cov[1, 0], xy * cov[0, 1] + yy * cov[1, 1]
    first, second = factors[0, 1] * floor, factors[1, 1] * floor
    out[0, 0] = a * xx + b * xy + first * x * x + second * y * y
    out[1, 1] = c * xy + d * yy + first * y * y + second * x * x
    out[0, 1] = out[1, 0] = 0.5 * (a * xy + b * yy + c * xx + d * xy) + (first - second) * x * y


@inlined
def solve_factors(normal, right, strength, out):
    """Least squares for both factors (2,), drawn to 1 by `strength`, each held above LEAST_FACTOR."""
    a, b, d = normal[0, 0] + strength, normal[0, 1], normal[1, 1] + strength
    x, y = right[0] + strength, right[1] + strength
    determinant = a * d - b * b
    first, second = (d * x - b * y) / determinant, (a * y - b * x) / determinant
    low_first, low_second = first < LEAST_FACTOR, second < LEAST_FACTOR
    if low_first or low_second:
        alone_first, alone_second = (x - b * LEAST_FACTOR) / a, (y - b * LEAST_FACTOR) / d
        first = LEAST_FACTOR if low_first else alone_first
        second = LEAST_FACTOR if low_second else alone_second
    out[0], out[1] = max(first, LEAST_FACTOR), max(second, LEAST_FACTOR)
