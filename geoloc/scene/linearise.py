"""Rays of pixels together with the lens's Jacobian there, quickly: components first, rows last.

Every component is one contiguous array and `params` (P, N or 1) is read row by row, so that rows of many
cameras cost little more than rows of one. Newton's method runs on all rows at once; those that it does not
settle, near and beyond the edge of the field, go the careful way of `undistort_rows`.
"""

from collections.abc import Sequence

import numpy as np

from geoloc.scene.distortion import distort, radial_factor, radial_tangential_jacobians, undistort_rows

QUICK_ITERATIONS = 4  # most lenses need three
SMALL_STEP = 1e-5  # focal lengths; Newton's method leaves about its square, and slopes that are as near


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


def by_parameters(params: np.ndarray, rays: np.ndarray, which: Sequence[int]) -> np.ndarray:
    """d pixel / d some of the parameters (K, 2, N) at rays (3, N) that end on the plane z = 1.

    As the last of `radial_tangential_jacobians`, for the lenses of `linearise_radial_tangential`.
    """
    if len(params) > 9:
        return radial_tangential_jacobians(params.T, rays.T)[2].transpose(2, 1, 0)[list(which)]
    (x, y, _), (fx, fy) = rays, params[:2]
    r2 = x * x + y * y
    out = np.zeros((len(which), 2, len(x)))
    for row, index in zip(out, which, strict=True):
        if index < 2:
            row[index] = distort(x, y, params[4:].T)[index]
        elif index < 4:
            row[index - 2] = 1.0
        elif index in (6, 7):  # p1, p2
            row[7 - index] = params[7 - index] * (r2 + 2.0 * (y * y if index == 6 else x * x))
            row[index - 6] = params[index - 6] * 2.0 * x * y
        else:  # k1, k2, k3
            power = r2 ** {4: 1, 5: 2, 8: 3}[index]
            row[0], row[1] = fx * x * power, fy * y * power
    return out


def _undo(
    xd: np.ndarray, yd: np.ndarray, params: np.ndarray, limit: np.ndarray, pixels: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Undistorted x, y, and the four derivatives of the distortion there: six arrays (N,)."""
    k = params[4:].T
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        r2 = xd * xd + yd * yd
        grow = 1.0 / np.maximum(radial_factor(r2, k)[0], 0.5)
        grow = 1.0 / np.maximum(radial_factor(r2 * grow * grow, k)[0], 0.5)
        x, y = xd * grow, yd * grow
        for _ in range(QUICK_ITERATIONS):
            fx, fy, a, b, c, d = distort(x, y, k)
            fx -= xd
            fy -= yd
            determinant = a * d - b * c
            scale = 1.0 / determinant
            dx, dy = (d * fx - b * fy) * scale, (a * fy - c * fx) * scale
            moving = np.maximum(np.abs(dx), np.abs(dy)) > SMALL_STEP
            if not moving.any():
                break
            # a row that has come near enough waits, so that no row's answer depends on its neighbours
            x, y = x - dx * moving, y - dy * moving
        x, y = x - dx, y - dy
        settled = ~moving & (determinant > 0) & (x * x + y * y < limit * limit)
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
