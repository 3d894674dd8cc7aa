"""Systems of two and three unknowns, M at once. Components come first and rows last: a matrix is (3, 3, M).

Every component is then one contiguous array, and a product is a few passes over arrays that fit the cache.
"""

import numpy as np


def gram(rows: np.ndarray) -> np.ndarray:
    """Sum of the outer products of K pairs of rows: (2, 3, K, M) -> (3, 3, M)."""
    return np.einsum("iakm,ibkm->abm", rows, rows)


def inverse_symmetric_3(matrix: np.ndarray) -> np.ndarray:
    """Inverse by the adjugate: (3, 3, M) symmetric -> (3, 3, M); a singular matrix gives infinities or NaN."""
    a, b, c, d, e, f = matrix[0, 0], matrix[0, 1], matrix[0, 2], matrix[1, 1], matrix[1, 2], matrix[2, 2]
    out = np.empty_like(matrix)
    out[0, 0], out[0, 1], out[0, 2] = d * f - e * e, c * e - b * f, b * e - c * d
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = 1.0 / (a * out[0, 0] + b * out[0, 1] + c * out[0, 2])
        out[1, 1], out[1, 2], out[2, 2] = a * f - c * c, b * c - a * e, a * d - b * b
        out[1, 0], out[2, 0], out[2, 1] = out[0, 1], out[0, 2], out[1, 2]
        out *= scale
    return out


def times(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Products (3, 3, M) by (3, M) -> (3, M)."""
    return np.einsum("abm,bm->am", matrix, vector)


def sandwich(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """`outer @ inner @ outer` of symmetric (3, 3, M) -> (3, 3, M)."""
    half = np.einsum("abm,bcm->acm", outer, inner)
    return np.einsum("acm,cdm->adm", half, outer)


def largest_eigenvalue_3(matrix: np.ndarray) -> np.ndarray:
    """Of symmetric (3, 3, M) -> (M,), in closed form (Smith 1961)."""
    mean = (matrix[0, 0] + matrix[1, 1] + matrix[2, 2]) / 3.0
    a, d, f = matrix[0, 0] - mean, matrix[1, 1] - mean, matrix[2, 2] - mean
    b, c, e = matrix[0, 1], matrix[0, 2], matrix[1, 2]
    spread = np.sqrt((a * a + d * d + f * f + 2.0 * (b * b + c * c + e * e)) / 6.0)
    determinant = a * (d * f - e * e) - b * (b * f - c * e) + c * (b * e - c * d)
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.clip(determinant / (2.0 * spread**3), -1.0, 1.0)
    # equal eigenvalues leave no spread, and no angle to turn
    return mean + 2.0 * spread * np.cos(np.arccos(np.where(spread > 0, cosine, 1.0)) / 3.0)


def whitening(cov: np.ndarray) -> np.ndarray:
    """Inverse Cholesky factors of 2x2 covariances: (3, ..., M) of xx, xy, yy -> (3, ..., M) of xx, yx, yy."""
    out = np.empty_like(cov)
    np.sqrt(cov[0], out=out[0])
    np.divide(1.0, out[0], out=out[0])
    slant = cov[1] * out[0]
    np.sqrt(cov[2] - slant * slant, out=out[2])
    np.divide(1.0, out[2], out=out[2])
    np.multiply(slant, out[0], out=out[1])
    out[1] *= -out[2]
    return out


def inverse_2(matrix: np.ndarray) -> np.ndarray:
    """Inverse of (2, 2, M); a singular matrix gives infinities or NaN."""
    out = np.empty_like(matrix)
    (a, b), (c, d) = matrix
    scale = 1.0 / (a * d - b * c)
    np.multiply(d, scale, out=out[0, 0])
    np.multiply(a, scale, out=out[1, 1])
    np.negative(scale, out=scale)
    np.multiply(b, scale, out=out[0, 1])
    np.multiply(c, scale, out=out[1, 0])
    return out


def congruence_2(matrix: np.ndarray, cov: np.ndarray) -> np.ndarray:
    """`A cov A'` of A (2, 2, M) and covariances (3, M) of xx, xy, yy -> (3, M) of the same."""
    (a, b), (c, d) = matrix
    xx, xy, yy = cov
    left, right = a * xx + b * xy, a * xy + b * yy
    out = np.empty_like(matrix[0], shape=(3, matrix.shape[2]))
    out[0] = left * a + right * b
    out[1] = left * c + right * d
    out[2] = (c * xx + d * xy) * c + (c * xy + d * yy) * d
    return out
