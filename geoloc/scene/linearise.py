"""Rays of pixels together with the lens's Jacobian there, quickly: components first, rows last.

Every component is one contiguous array and `params` (P, N or 1) is read row by row, so that rows of many
cameras cost little more than rows of one. Newton's method runs on all rows at once; those that it does not
settle, near and beyond the edge of the field, go the careful way of `undistort_rows`.
"""

import numpy as np

from geoloc.scene.distortion import CONVERGED, distort, undistort_rows

QUICK_ITERATIONS = 6


def linearise_radial_tangential(
    params: np.ndarray, limit: np.ndarray, pixels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rays (3, N) that end on the plane z = 1, and d pixel / d point at their tips (2, 3, N) px.

    For pinhole and radial-tangential lenses `params` (P, N or 1) of field `limit` (N or 1,) and `pixels`
    (2, N). A pixel that the lens cannot undo is NaN.
    """
    fx, fy = params[0], params[1]
    xd, yd = (pixels[0] - params[2]) / fx, (pixels[1] - params[3]) / fy
    rays, jacobian = np.empty((3, len(xd))), np.empty((2, 3, len(xd)))
    if len(params) == 4:
        x, y = xd, yd
        jacobian[0, 0], jacobian[0, 1], jacobian[1, 0], jacobian[1, 1] = fx, 0.0, 0.0, fy
    else:
        x, y, a, b, c, d = _undo(xd, yd, params, limit, pixels)
        np.multiply(fx, a, out=jacobian[0, 0])
        np.multiply(fx, b, out=jacobian[0, 1])
        np.multiply(fy, c, out=jacobian[1, 0])
        np.multiply(fy, d, out=jacobian[1, 1])
    rays[0], rays[1], rays[2] = x, y, 1.0
    for row in jacobian:
        np.multiply(row[0], x, out=row[2])
        row[2] += row[1] * y
        np.negative(row[2], out=row[2])
    return rays, jacobian


def _undo(
    xd: np.ndarray, yd: np.ndarray, params: np.ndarray, limit: np.ndarray, pixels: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Undistorted x, y, and the four derivatives of the distortion there: six arrays (N,)."""
    k = params[4:].T
    x, y = xd, yd
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for _ in range(QUICK_ITERATIONS):
            fx, fy, a, b, c, d = distort(x, y, k)
            fx -= xd
            fy -= yd
            off = np.maximum(np.abs(fx), np.abs(fy))
            if off.max(initial=0.0) <= CONVERGED:
                break
            inverse = 1.0 / (a * d - b * c)
            x, y = x - (d * fx - b * fy) * inverse, y - (a * fy - c * fx) * inverse
        settled = (off <= CONVERGED) & (a * d > b * c) & (x * x + y * y < limit * limit)
    if settled.all():
        return x, y, a, b, c, d
    return _carefully(np.flatnonzero(~settled), (x, y, a, b, c, d), params, limit, pixels)


def _carefully(
    rows: np.ndarray, quick: tuple[np.ndarray, ...], params: np.ndarray, limit: np.ndarray, pixels: np.ndarray
) -> tuple[np.ndarray, ...]:
    """`quick`'s six arrays with some rows replaced."""
    params = params if params.shape[1] == 1 else params[:, rows]
    limit = limit if len(limit) == 1 else limit[rows]
    rays = undistort_rows(params.T, limit, pixels[:, rows].T)
    out = np.array(quick)
    out[:2, rows] = (rays[:, :2] / rays[:, 2:]).T
    out[2:, rows] = distort(out[0, rows], out[1, rows], params[4:].T)[2:]
    return tuple(out)
