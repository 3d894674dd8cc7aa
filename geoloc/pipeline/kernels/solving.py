"""Least squares of many parameters of which each is tied to few others, and the covariances that matter of them.

Cholesky's factor keeps the envelope of a symmetric matrix: row i holds nothing before its first entry. Of the
inverse, only what lies in the envelope is worked out (Takahashi, Fagan and Chin, 1973; Erisman and Tinney, 1975):
with A = L Lᵀ and Z = A⁻¹, Z_ij = (δ_ij / l_jj - Σ_{k > j} l_kj Z_ki) / l_jj for i >= j.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.pipeline.kernels.compiled import compiled


@compiled
def solve_offsets(information, weighted, sigma, n_cameras, n_labels):
    """Mean (P,) and covariance (P, P) of the parameters of `offsets`, with priors of `sigma` (P,) about zero.

    Of the covariance only what a point needs is there: its four parameters among themselves. A parameter of sigma 0
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
        first[i] = 0 if i >= n - n_labels else min(first[i], i // (n_labels + 2) * (n_labels + 2))
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
    order, at = np.empty(n_labels * (1 + n_cameras) + 2 * n_cameras, np.int64), 0
    for c in range(n_cameras):
        for k in range(n_labels):
            order[at] = n_labels + k * n_cameras + c
            at += 1
        for k in range(2):
            order[at] = n_labels * (1 + n_cameras) + 2 * c + k
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
    for i in range(len(lower)):
        for j in range(first[i], i + 1):
            total = lower[i, j]
            for k in range(max(first[i], first[j]), j):
                total -= lower[i, k] * lower[j, k]
            lower[i, j] = total * lower[j, j] if j < i else 1.0 / math.sqrt(total)


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
    out, below, column = np.zeros((n, n)), np.empty(n, np.int64), np.empty(n)
    for j in range(n - 1, -1, -1):
        count = 0
        for k in range(j + 1, n):
            if first[k] <= j:
                below[count], column[count] = k, factor[k, j]
                count += 1
        for a in range(count):
            i, total = below[a], 0.0
            for b in range(count):
                total -= column[b] * out[i, below[b]]
            out[i, j] = out[j, i] = total * factor[j, j]
        total = factor[j, j]
        for b in range(count):
            total -= column[b] * out[j, below[b]]
        out[j, j] = total * factor[j, j]
    return out
