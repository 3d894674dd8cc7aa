"""What several kernels need: two by two matrices as three or four numbers, and orders."""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined

RUN = 8  # rows that are sorted one by one


@inlined
def inverse_symmetric(xx, xy, yy):
    """Inverse of [[xx, xy], [xy, yy]] as the same three numbers; NaN of a matrix that is singular."""
    determinant = xx * yy - xy * xy
    if determinant == 0.0:
        return np.nan, np.nan, np.nan
    scale = 1.0 / determinant
    return yy * scale, -xy * scale, xx * scale


@inlined
def congruence(a, b, c, d, xx, xy, yy):
    """[[a, b], [c, d]] C [[a, b], [c, d]]' of a symmetric C, as xx, xy, yy."""
    left, right = a * xx + b * xy, a * xy + b * yy
    return left * a + right * b, left * c + right * d, (c * xx + d * xy) * c + (c * xy + d * yy) * d


@inlined
def is_covariance(xx, xy, yx, yy):
    """As `geometry.gaussian.is_covariance_2x2` of one matrix."""
    determinant = xx * yy - xy * yx
    return determinant > 0.0 and xx > 0.0 and determinant < np.inf and abs(xy - yx) <= 1e-6 * (xx + yy)


@compiled
def first_bad(cov, bias_cov):
    """Row of the first sum (N, 2, 2) m² that is no covariance, or -1."""
    for i in range(len(cov)):
        if not is_covariance(
            cov[i, 0, 0] + bias_cov[i, 0, 0],
            cov[i, 0, 1] + bias_cov[i, 0, 1],
            cov[i, 1, 0] + bias_cov[i, 1, 0],
            cov[i, 1, 1] + bias_cov[i, 1, 1],
        ):
            return i
    return -1


@inlined
def comes_before(keys, i, j):
    """Whether row i of `keys` (N, K) comes before row j: by the first column that differs, else by the row."""
    for k in range(keys.shape[1]):
        if keys[i, k] < keys[j, k]:
            return True
        if keys[i, k] > keys[j, k]:
            return False
    return i < j


@compiled
def order_of(keys):
    """Rows of `keys` (N, K) in ascending order, equal ones as they come: (N,). Merge sort, from sorted runs up."""
    n = len(keys)
    order, other = np.arange(n), np.empty(n, np.int64)
    for low in range(0, n, RUN):
        for k in range(low + 1, min(low + RUN, n)):
            row, at = order[k], k
            while at > low and comes_before(keys, row, order[at - 1]):
                order[at] = order[at - 1]
                at -= 1
            order[at] = row
    width = RUN
    while width < n:
        for low in range(0, n, 2 * width):
            _merge(keys, order, other, low, min(low + width, n), min(low + 2 * width, n))
        order, other = other, order
        width *= 2
    return order


@inlined
def _merge(keys, order, out, low, middle, high):
    i, j = low, middle
    for k in range(low, high):
        if i < middle and (j >= high or not comes_before(keys, order[j], order[i])):
            out[k] = order[i]
            i += 1
        else:
            out[k] = order[j]
            j += 1


@compiled
def members_of(group, n):
    """Rows of each of n groups, one group after the other: starts (n + 1,) and rows (N,)."""
    start = np.zeros(n + 1, np.int64)
    for g in group:
        start[g + 1] += 1
    for g in range(n):
        start[g + 1] += start[g]
    rows, at = np.empty(len(group), np.int64), start[:-1].copy()
    for i in range(len(group)):
        rows[at[group[i]]] = i
        at[group[i]] += 1
    return start, rows
