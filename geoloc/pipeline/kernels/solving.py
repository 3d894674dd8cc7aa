"""Least squares of many parameters of which each is tied to few others, and the covariances that matter of them.

Cholesky's factor keeps the envelope of a symmetric matrix: row i holds nothing before its first entry. Of the
inverse, only what lies in the envelope is worked out (Takahashi, Fagan and Chin, 1973; Erisman and Tinney, 1975):
with A = L Lᵀ and Z = A⁻¹, Z_ij = (δ_ij / l_jj - Σ_{k > j} l_kj Z_ki) / l_jj for i >= j.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.offsets import N_OF_CAMERA


@compiled
def prior_sigmas(left, length, offset_sigma, camera_offset_sigma, shift_sigma, constant_share):
    """Sigmas (P,) of the parameters before anything is learned; `left` (2, C) are sums of m² and their numbers.
    """
    n_labels, n_cameras = len(length), left.shape[1]
    sigma = np.ones(n_labels * (1 + n_cameras) + N_OF_CAMERA * n_cameras)
    for k in range(n_labels):
        sigma[k] = offset_sigma * length[k]
        for c in range(n_cameras):
            sigma[n_labels + k * n_cameras + c] = camera_offset_sigma * length[k]
    for c in range(n_cameras):
        mean, first = left[0, c] / max(left[1, c], 1.0), n_labels * (1 + n_cameras) + N_OF_CAMERA * c
        sigma[first] = sigma[first + 1] = math.sqrt(shift_sigma * shift_sigma + constant_share * mean)
    return sigma


@compiled
def solve_offsets(information, weighted, sigma, n_cameras, n_labels):
    """Mean (P,) and covariance (P, P) of the parameters of `offsets`, with priors of `sigma` (P,) about zero.

    Of the covariance only what a point needs is there: its parameters among themselves. A parameter of sigma 0
    stays 0.
    """
    n = len(sigma)
    order = _camera_by_camera(n_cameras, n_labels)
    factor = np.empty((n, n))
    for i in range(n):  # in units of the priors' sigmas
        for j in range(i + 1):
            factor[i, j] = sigma[order[i]] * information[order[i], order[j]] * sigma[order[j]]
        factor[i, i] += 1.0
    first = _first_entries(factor)
    for i in range(n):  # what a point needs lies within its camera's own rows, and within those that all share
        first[i] = 0 if i >= n - n_labels else min(first[i], i // (n_labels + N_OF_CAMERA) * (n_labels + N_OF_CAMERA))
    factorise(factor, first)
    inverse = envelope_inverse(factor, first)
    solution = np.empty(n)
    for i in range(n):
        solution[i] = sigma[order[i]] * weighted[order[i]]
    substitute(factor, first, solution)
    mean, cov = np.empty(n), np.zeros((n, n))
    for i in range(n):
        mean[order[i]] = sigma[order[i]] * solution[i]
        for j in range(first[i], i + 1):
            value = sigma[order[i]] * inverse[i, j] * sigma[order[j]]
            cov[order[i], order[j]] = cov[order[j], order[i]] = value
    return mean, cov


@compiled
def _camera_by_camera(n_cameras, n_labels):
    """The parameters in an order that keeps rows short: each camera's own together, what all share last."""
    order, at = np.empty(n_labels * (1 + n_cameras) + N_OF_CAMERA * n_cameras, np.int64), 0
    for c in range(n_cameras):
        for k in range(n_labels):
            order[at] = n_labels + k * n_cameras + c
            at += 1
        for k in range(N_OF_CAMERA):
            order[at] = n_labels * (1 + n_cameras) + N_OF_CAMERA * c + k
            at += 1
    for k in range(n_labels):
        order[at] = k
        at += 1
    return order


@compiled
def _first_entries(lower):
    """Column (n,) of the first entry of each row that is not zero."""
    first = np.empty(len(lower), np.int64)
    for i in range(len(lower)):
        j = 0
        while j < i and lower[i, j] == 0.0:
            j += 1
        first[i] = j
    return first


@compiled
def factorise(lower, first):
    """Cholesky's factor in place of the lower half of a matrix; the diagonal keeps 1 / l_ii."""
    n = len(lower)
    columns = np.zeros((n, n))  # of the factor, as rows
    for i in range(n):
        for k in range(first[i], i):
            lower[i, k] *= lower[k, k]
            _take_off(lower[i, k], columns[k], np.uint64(k + 1), np.uint64(i), lower[i])
            columns[k, i] = lower[i, k]
        total = lower[i, i]
        for k in range(first[i], i):
            total -= lower[i, k] * lower[i, k]
        lower[i, i] = 1.0 / math.sqrt(total)


@inlined
def _take_off(factor, row, low, high, out):
    """Less `factor` times a row, from `low` to before `high`: counted without a sign, for the processor's vectors."""
    for j in range(low, high):
        out[j] -= factor * row[j]


@compiled
def substitute(factor, first, values):
    """The solution in place of the right side."""
    n = len(values)
    for i in range(n):
        for k in range(first[i], i):
            values[i] -= factor[i, k] * values[k]
        values[i] *= factor[i, i]
    for i in range(n - 1, -1, -1):
        values[i] *= factor[i, i]
        for k in range(first[i], i):
            values[k] -= factor[i, k] * values[i]


@compiled
def envelope_inverse(factor, first):
    """The inverse, as far as it lies in the envelope or mirrors it."""
    n = len(factor)
    out, total = np.zeros((n, n)), np.empty(n)
    below, column, run = np.empty(n, np.int64), np.empty(n), np.empty((n, 2), np.uint64)
    for j in range(n - 1, -1, -1):
        count, n_runs = 0, 0
        for k in range(j + 1, n):
            if first[k] <= j:
                if count == 0 or below[count - 1] != k - 1:
                    run[n_runs, 0] = k
                    n_runs += 1
                run[n_runs - 1, 1] = k + 1
                below[count], column[count], total[k] = k, factor[k, j], 0.0
                count += 1
        for b in range(count):
            for r in range(n_runs):
                _take_off(column[b], out[below[b]], run[r, 0], run[r, 1], total)
        rest = factor[j, j]
        for b in range(count):
            i = below[b]
            out[i, j] = out[j, i] = total[i] * factor[j, j]
            rest -= column[b] * out[j, i]
        out[j, j] = rest * factor[j, j]
    return out
