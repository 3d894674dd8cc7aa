"""The clocks' parameters from the ties' evidence: exact where few cameras are tied together, else by neighbourhoods.

Of many cameras the means come from conjugate gradients over all ties, warm from the last ones; what is said of a
camera's uncertainty rests on the ties among its neighbours alone, as if there were no others, so it is never too small.
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled
from geoloc.pipeline.kernels.clock_evidence import OFFSET, SIZE
from geoloc.pipeline.kernels.solving import envelope_inverse, factorise, substitute

PRECISE = 1e-9  # of the right side's length, at which conjugate gradients end
MOST_ROUNDS = 500


@compiled
def solve_clocks(tie, information, weighted, count, sigma, wanted, most, mean, cov, variance):
    """Renew `mean` (C, 5), and of the `wanted` (C,) cameras `cov` (C, 5, 5) and `variance` (C,) s².

    The variance is that of a camera's offset against the best common one of its neighbours. Priors have `sigma`
    (C, 5) about zero. `tie` (E,) ascends; evidence is as `clock_evidence` keeps it.
    """
    n_cameras = len(mean)
    first, second = tie // n_cameras, tie % n_cameras
    start, other, by = _neighbours(first, second, n_cameras)
    place, done, whole = np.full(n_cameras, -1), np.zeros(n_cameras, np.bool_), True
    for c in range(n_cameras):
        if not wanted[c] or done[c]:
            continue
        members, closed = _neighbourhood(c, start, other, by, count, most)
        for k in range(len(members)):
            place[members[k]] = k
        own_mean, own_cov = _solve(members, place, start, other, by, information, weighted, sigma)
        said = _against_common(own_cov)
        for k in range(len(members)) if closed else range(1):
            m = members[k]
            done[m], variance[m] = True, said[k]
            cov[m] = own_cov[k * SIZE : (k + 1) * SIZE, k * SIZE : (k + 1) * SIZE]
            if closed:
                mean[m] = own_mean[k * SIZE : (k + 1) * SIZE]
        whole = whole and closed
        for m in members:
            place[m] = -1
    if not whole:
        _conjugate_gradients(first, second, information, weighted, sigma, mean)


@compiled
def _neighbours(first, second, n_cameras):
    """Of each camera: starts (C + 1,), and from there the other camera and the tie of each of its ties."""
    start = np.zeros(n_cameras + 1, np.int64)
    for e in range(len(first)):
        start[first[e] + 1] += 1
        start[second[e] + 1] += 1
    start = np.cumsum(start)
    at = start[:-1].copy()
    other, by = np.empty(2 * len(first), np.int64), np.empty(2 * len(first), np.int64)
    for e in range(len(first)):
        for a, b in ((first[e], second[e]), (second[e], first[e])):
            other[at[a]], by[at[a]] = b, e
            at[a] += 1
    return start, other, by


@compiled
def _neighbourhood(camera, start, other, by, count, most):
    """At most so many cameras, each tied to those before it as closely as any, and whether those are all."""
    members = np.empty(most, np.int64)
    members[0] = camera
    n = 1
    while True:
        best, most_counted = -1, 0.0
        for k in range(n):
            for a in range(start[members[k]], start[members[k] + 1]):
                new = count[by[a]] > most_counted
                for m in range(n):
                    new = new and members[m] != other[a]
                if new:
                    best, most_counted = other[a], count[by[a]]
        if best < 0 or n == most:
            return members[:n], best < 0
        members[n] = best
        n += 1


@compiled
def _solve(members, place, start, other, by, information, weighted, sigma):
    """Mean (5 M,) and covariance (5 M, 5 M) of the members' parameters by the ties among them alone."""
    n = SIZE * len(members)
    matrix, right, scale = np.zeros((n, n)), np.zeros(n), np.empty(n)
    for k in range(len(members)):
        scale[k * SIZE : (k + 1) * SIZE] = sigma[members[k]]
    for k in range(len(members)):
        for a in range(start[members[k]], start[members[k] + 1]):
            j, e = place[other[a]], by[a]
            if j < 0:
                continue
            mine, its = (0, SIZE) if members[k] < other[a] else (SIZE, 0)
            for p in range(SIZE):
                right[k * SIZE + p] += weighted[e, mine + p]
                for q in range(SIZE):
                    matrix[k * SIZE + p, k * SIZE + q] += information[e, mine + p, mine + q]
                    matrix[k * SIZE + p, j * SIZE + q] += information[e, mine + p, its + q]
    for p in range(n):  # in units of the priors' sigmas
        right[p] *= scale[p]
        for q in range(n):
            matrix[p, q] *= scale[p] * scale[q]
        matrix[p, p] += 1.0
    filled = np.zeros(n, np.int64)
    factorise(matrix, filled)
    substitute(matrix, filled, right)
    inverse = envelope_inverse(matrix, filled)
    for p in range(n):
        for q in range(p + 1):
            inverse[p, q] *= scale[p] * scale[q]
            inverse[q, p] = inverse[p, q]
    return right * scale, inverse


@compiled
def _against_common(cov):
    """Variances (M,) s² of offsets against their best common mean; of one alone, its own."""
    n = len(cov) // SIZE
    offsets, ones = np.empty((n, n)), np.ones(n)
    for i in range(n):
        for j in range(n):
            offsets[i, j] = cov[i * SIZE + OFFSET, j * SIZE + OFFSET]
    out = np.diag(offsets).copy()
    if n > 1:
        filled = np.zeros(n, np.int64)
        factorise(offsets, filled)
        substitute(offsets, filled, ones)
        out = np.maximum(out - 1.0 / ones.sum(), 0.0)
    return out


@compiled
def _conjugate_gradients(first, second, information, weighted, sigma, mean):
    """Renew `mean` (C, 5) by all ties together, in units of the priors' sigmas, camera by camera preconditioned."""
    n = len(mean)
    right, block = np.zeros((n, SIZE)), np.zeros((n, SIZE, SIZE))
    for e in range(len(first)):
        a, b = first[e], second[e]
        right[a] += weighted[e, :SIZE]
        right[b] += weighted[e, SIZE:]
        block[a] += information[e, :SIZE, :SIZE]
        block[b] += information[e, SIZE:, SIZE:]
    filled = np.zeros(SIZE, np.int64)
    for c in range(n):
        for p in range(SIZE):
            for q in range(SIZE):
                block[c, p, q] *= sigma[c, p] * sigma[c, q]
            block[c, p, p] += 1.0
        factorise(block[c], filled)
    right *= sigma
    state = np.where(sigma > 0.0, mean / sigma, 0.0)
    left = right - _times(first, second, information, sigma, state)
    ready = _by_blocks(block, left)
    way, size = ready.copy(), (left * ready).sum()
    enough = PRECISE**2 * max((right * _by_blocks(block, right)).sum(), 1e-300)
    for _ in range(MOST_ROUNDS):
        if size <= enough:
            break
        image = _times(first, second, information, sigma, way)
        step = size / (way * image).sum()
        state += step * way
        left -= step * image
        ready = _by_blocks(block, left)
        size, before = (left * ready).sum(), size
        way = ready + size / before * way
    mean[:] = state * sigma


@compiled
def _times(first, second, information, sigma, state):
    """(1 + S I S) times a state (C, 5)."""
    out, scaled = np.zeros_like(state), state * sigma
    for e in range(len(first)):
        a, b = first[e], second[e]
        for p in range(SIZE):
            for q in range(SIZE):
                out[a, p] += information[e, p, q] * scaled[a, q] + information[e, p, SIZE + q] * scaled[b, q]
                out[b, p] += (
                    information[e, SIZE + p, q] * scaled[a, q] + information[e, SIZE + p, SIZE + q] * scaled[b, q]
                )
    return state + sigma * out


@compiled
def _by_blocks(block, values):
    """Each camera's values (C, 5) solved by its own factorised block."""
    out, filled = values.copy(), np.zeros(SIZE, np.int64)
    for c in range(len(values)):
        substitute(block[c], filled, out[c])
    return out
