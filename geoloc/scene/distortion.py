"""OpenCV's radial-tangential distortion on rows of points: forward, Jacobians, and the way back.

The equations are those of OpenCV's `calib3d` page: radial k1, k2, k3 over k4, k5, k6, tangential p1, p2, thin
prism s1 to s4, tilted sensor taux, tauy. `k` is (N or 1, 0, 4, 5, 8, 12 or 14): one lens, or one a row.
The way back is Newton's method held to the field in which the model is one-to-one.
"""

import numpy as np

MAX_ITERATIONS = 20
BLOCK = 8192  # rows that are worked on at once, so that their arrays stay in the processor's cache
SLOW = 6  # iterations; most lenses need four
CONVERGED = 1e-12  # focal lengths
RETURN_TOLERANCE = 1e-9  # focal lengths; an undistortion that projects farther from its pixel is refused
MIN_DEPTH = 1e-9  # m; points nearer to the plane of the camera's centre have no pixel


def undistort_rows(params: np.ndarray, limit: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Unit rays (N, 3) of pixels (N, 2) px through pinhole and radial-tangential lenses.

    `params` (N or 1, P) and `limit` (N or 1,) are one lens for all rows or one a row. NaN where refused.
    """
    pixels = np.asarray(pixels, float)
    xd = (pixels[:, 0] - params[:, 2]) / params[:, 0]
    yd = (pixels[:, 1] - params[:, 3]) / params[:, 1]
    x, y = xd, yd
    if params.shape[1] > 4:
        x, y = np.empty_like(xd), np.empty_like(yd)
        for start in range(0, len(xd), BLOCK):
            rows = slice(start, start + BLOCK)
            k, edge = (part if len(part) == 1 else part[rows] for part in (params[:, 4:], limit))
            x[rows], y[rows] = _undistort(xd[rows], yd[rows], k, edge)
    with np.errstate(over="ignore", invalid="ignore"):
        scale = 1.0 / np.sqrt(x * x + y * y + 1.0)
        scale[scale == 0.0] = np.nan  # so far off that its square is infinite
        return np.stack([x * scale, y * scale, scale], axis=-1)


def radial_tangential_jacobians(
    params: np.ndarray, points_cam: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, 2), derivative by point (N, 2, 3) px/m and by parameter (N, 2, P); params (N or 1, P)."""
    x, y = normalised(points_cam)
    inverse_z = 1.0 / np.asarray(points_cam, float)[:, 2]
    coefficients = params[:, 4:]
    xd, yd, a, b, c, d = distort(x, y, coefficients)
    fx, fy = params[:, 0], params[:, 1]
    by_point = np.empty((len(x), 2, 3))
    for row, (f, jx, jy) in enumerate(((fx, a, b), (fy, c, d))):
        by_point[:, row, 0] = f * jx * inverse_z
        by_point[:, row, 1] = f * jy * inverse_z
        by_point[:, row, 2] = -f * (jx * x + jy * y) * inverse_z
    by_param = np.zeros((len(x), 2, params.shape[1]))
    by_param[:, 0, 0], by_param[:, 1, 1] = xd, yd
    by_param[:, 0, 2] = by_param[:, 1, 3] = 1.0
    if params.shape[1] > 4:
        by_coefficient = _by_coefficients(x, y, coefficients)
        by_param[:, 0, 4:] = fx[:, None] * by_coefficient[0]
        by_param[:, 1, 4:] = fy[:, None] * by_coefficient[1]
    return to_pixels(params, xd, yd), by_point, by_param


def normalised(points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """x / z and y / z of points (N, 3) m; NaN at and behind the plane of the camera's centre."""
    points = np.asarray(points_cam, float)
    z = np.where(points[:, 2] > MIN_DEPTH, points[:, 2], np.nan)
    return points[:, 0] / z, points[:, 1] / z


def to_pixels(params: np.ndarray, xd: np.ndarray, yd: np.ndarray) -> np.ndarray:
    """Pixels (N, 2) of distorted coordinates, for params (N or 1, P) that begin with fx, fy, cx, cy."""
    pixels = np.empty((len(xd), 2))
    pixels[:, 0] = params[:, 0] * xd + params[:, 2]
    pixels[:, 1] = params[:, 1] * yd + params[:, 3]
    return pixels


def distort(x: np.ndarray, y: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, ...]:
    """Distorted xd, yd and the derivatives xd by x, xd by y, yd by x, yd by y: six arrays (N,)."""
    if k.shape[1] == 0:
        one, zero = np.ones_like(x), np.zeros_like(x)
        return x, y, one, zero, zero, one
    out = _distort_untilted(x, y, k)
    if k.shape[1] <= 12:
        return out
    xd, yd, a, b, c, d = out
    xt, yt, ta, tb, tc, td = _tilt(xd, yd, k)
    return xt, yt, ta * a + tb * c, ta * b + tb * d, tc * a + td * c, tc * b + td * d


def field_limit(k: np.ndarray) -> float:
    """Radius (tangent of the angle from the axis) up to which the lens (D,) is one-to-one, or infinity.

    The radial part alone gives it in closed form; with the other terms it is where the Jacobian's
    determinant first reaches zero in any direction, found by bisection.
    """
    limit = _radial_limit(k)
    if not k[2:4].any() and not k[8:].any():
        return limit

    def unfolded(radii: np.ndarray, n_directions: int) -> np.ndarray:
        turn = np.linspace(0.0, 2.0 * np.pi, n_directions, endpoint=False)
        x, y = radii[:, None] * np.cos(turn), radii[:, None] * np.sin(turn)
        *_, a, b, c, d = distort(x.ravel(), y.ravel(), k[None])
        return ((a * d - b * c) > 0).reshape(x.shape).all(axis=1)

    radii = np.tan(np.linspace(0.0, np.arctan(min(limit, 1e3)), 513)[:-1])
    folded = np.flatnonzero(~unfolded(radii, 64))
    low, high = (radii[max(folded[0] - 2, 0)], radii[folded[0]]) if len(folded) else (radii[-2], limit)
    for _ in range(50 if np.isfinite(high) else 0):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if unfolded(np.array([middle]), 2048)[0] else (low, middle)
    return float(low if np.isfinite(high) else np.inf)


def first_positive_root(polynomial: np.ndarray | list[float]) -> float:
    """Smallest positive real root, up to 1e12, of a polynomial whose last coefficient is 1; else infinity."""
    # the reciprocals of the roots: this way round the first coefficient is 1, however small the others are
    inverse = np.roots(np.asarray(polynomial, float)[::-1])
    real = inverse[np.abs(inverse.imag) < 1e-9 * (1.0 + np.abs(inverse.real))].real
    largest = real.max(initial=0.0)
    return float(1.0 / largest) if largest > 1e-12 else np.inf


def _radial_limit(k: np.ndarray) -> float:
    """Radius up to which r -> r * factor(r²) grows and stays finite."""
    if not k.any():
        return np.inf
    k = np.concatenate([k, np.zeros(14 - len(k))])
    top = np.array([k[4], k[1], k[0], 1.0])  # in s = r², highest power first
    bottom = np.array([k[7], k[6], k[5], 1.0])
    # d/dr (r top/bottom) = (top bottom + 2 s (top' bottom - top bottom')) / bottom²
    change: np.ndarray = np.polysub(np.polymul(np.polyder(top), bottom), np.polymul(top, np.polyder(bottom)))
    growth = np.polyadd(np.polymul(top, bottom), np.polymul([2.0, 0.0], change))
    return float(np.sqrt(min(first_positive_root(growth), first_positive_root(bottom))))


def radial_factor(r2: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radial factor, its derivative by r², and its denominator."""
    k3 = k[:, 4] if k.shape[1] > 4 else 0.0
    factor = 1.0 + r2 * (k[:, 0] + r2 * (k[:, 1] + r2 * k3))
    slope = k[:, 0] + r2 * (2.0 * k[:, 1] + 3.0 * r2 * k3)
    if k.shape[1] <= 5:
        return factor, slope, np.ones_like(r2)
    bottom = 1.0 + r2 * (k[:, 5] + r2 * (k[:, 6] + r2 * k[:, 7]))
    bottom_slope = k[:, 5] + r2 * (2.0 * k[:, 6] + 3.0 * r2 * k[:, 7])
    factor = factor / bottom
    return factor, (slope - factor * bottom_slope) / bottom, bottom


def _distort_untilted(x: np.ndarray, y: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, ...]:
    p1, p2 = k[:, 2], k[:, 3]
    r2 = x * x + y * y
    factor, slope, _ = radial_factor(r2, k)
    factor = factor + 2.0 * (p1 * y + p2 * x)
    slope = slope + slope
    xd, yd = x * factor + p2 * r2, y * factor + p1 * r2
    x_slope = x * slope
    mixed = y * x_slope + 2.0 * (p1 * x + p2 * y)
    a = factor + x * (x_slope + 4.0 * p2)
    d = factor + y * (y * slope + 4.0 * p1)
    if k.shape[1] <= 8:
        return xd, yd, a, mixed, mixed, d
    xd = xd + r2 * (k[:, 8] + k[:, 9] * r2)
    yd = yd + r2 * (k[:, 10] + k[:, 11] * r2)
    prism_x = 2.0 * (k[:, 8] + 2.0 * k[:, 9] * r2)
    prism_y = 2.0 * (k[:, 10] + 2.0 * k[:, 11] * r2)
    return xd, yd, a + prism_x * x, mixed + prism_x * y, mixed + prism_y * x, d + prism_y * y


def _tilt(xd: np.ndarray, yd: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, ...]:
    """OpenCV's tilted sensor (taux, tauy): the tilted point and the four derivatives of it by (xd, yd)."""
    cx, sx, cy, sy = np.cos(k[:, 12]), np.sin(k[:, 12]), np.cos(k[:, 13]), np.sin(k[:, 13])
    # rotation = Ry(tauy) Rx(taux); the point is then brought back along z onto the plane of the sensor
    r11, r12, r13 = cy, sy * sx, -sy * cx
    r22, r23 = cx, sx
    r31, r32, r33 = sy, -cy * sx, cy * cx
    m11, m12 = r33 * r11 - r13 * r31, r33 * r12 - r13 * r32
    m21, m22 = -r23 * r31, r33 * r22 - r23 * r32
    w = r31 * xd + r32 * yd + r33
    xt, yt = (m11 * xd + m12 * yd) / w, (m21 * xd + m22 * yd) / w
    return xt, yt, (m11 - xt * r31) / w, (m12 - xt * r32) / w, (m21 - yt * r31) / w, (m22 - yt * r32) / w


def _by_coefficients(x: np.ndarray, y: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of xd and yd by the distortion coefficients: two of (N, len(k))."""
    r2 = x * x + y * y
    factor, _, bottom = radial_factor(r2, k)
    n = k.shape[1]
    by_x, by_y = np.zeros((len(x), n)), np.zeros((len(x), n))
    radial = {0: r2, 1: r2**2, 4: r2**3, 5: -factor * r2, 6: -factor * r2**2, 7: -factor * r2**3}
    for i, value in radial.items():
        if i < n:
            by_x[:, i], by_y[:, i] = x * value / bottom, y * value / bottom
    by_x[:, 2], by_y[:, 2] = 2.0 * x * y, r2 + 2.0 * y * y
    by_x[:, 3], by_y[:, 3] = r2 + 2.0 * x * x, 2.0 * x * y
    if n > 8:
        by_x[:, 8], by_x[:, 9], by_y[:, 10], by_y[:, 11] = r2, r2**2, r2, r2**2
    if n > 12:
        xd, yd, *_ = _distort_untilted(x, y, k)
        a, b, c, d = (value[:, None] for value in _tilt(xd, yd, k)[2:])
        by_x, by_y = a * by_x + b * by_y, c * by_x + d * by_y
        step = 1e-6
        for i in (12, 13):
            more, less = k.copy(), k.copy()
            more[:, i] += step
            less[:, i] -= step
            plus, minus = _tilt(xd, yd, more), _tilt(xd, yd, less)
            by_x[:, i], by_y[:, i] = (plus[0] - minus[0]) / (2 * step), (plus[1] - minus[1]) / (2 * step)
    return by_x, by_y


def _undistort(xd: np.ndarray, yd: np.ndarray, k: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Undistorted coordinates of distorted ones; NaN for rows that do not return to themselves."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        radius = np.hypot(xd, yd)
        grow = 1.0 / np.maximum(radial_factor(radius * radius, k)[0], 0.5)
        # at the limit itself the slope is zero: start, and stay, inside it
        grow = np.minimum(grow, 0.9 * limit / radius)
        x, y = _newton(xd, yd, k, limit, xd * grow, yd * grow)
        lost = np.flatnonzero(np.isnan(x) & np.isfinite(xd + yd))
        if len(lost):  # Newton began too far off, or there is no solution
            k = k if len(k) == 1 else k[lost]
            limit = limit if len(limit) == 1 else limit[lost]
            xd, yd = xd[lost], yd[lost]
            x[lost], y[lost] = _newton(xd, yd, k, limit, *_radial_start(xd, yd, k, limit))
    return x, y


def _newton(
    xd: np.ndarray, yd: np.ndarray, k: np.ndarray, limit: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method from x, y inside the one-to-one field; slow rows go on alone."""
    solution = np.full((2, len(xd)), np.nan)
    rows, pending = np.arange(len(xd)), np.ones(len(xd), dtype=bool)
    for i in range(MAX_ITERATIONS + 1):
        fx, fy, a, b, c, d = distort(x, y, k)
        ex, ey = fx - xd, fy - yd
        inverse = 1.0 / (a * d - b * c)
        tolerance = CONVERGED if i < MAX_ITERATIONS else RETURN_TOLERANCE
        done = pending & (np.abs(ex) <= tolerance) & (np.abs(ey) <= tolerance) & (inverse > 0)
        # each row stops at its own first solution, so that no row's answer depends on its neighbours
        solution[0, rows[done]], solution[1, rows[done]] = x[done], y[done]
        pending &= ~done & np.isfinite(ex)
        if not pending.any():
            break
        if i >= SLOW:
            left, pending = pending, pending[pending]
            k = k if len(k) == 1 else k[left]
            limit = limit if len(limit) == 1 else limit[left]
            rows, x, y, xd, yd, ex, ey, a, b, c, d, inverse = (
                value[left] for value in (rows, x, y, xd, yd, ex, ey, a, b, c, d, inverse)
            )
        radius = np.hypot(x, y)
        x, y = x - (d * ex - b * ey) * inverse, y - (a * ey - c * ex) * inverse
        x, y = _shrink(x, y, 0.5 * (radius + limit) / np.hypot(x, y))
    return solution[0], solution[1]


def _radial_start(xd: np.ndarray, yd: np.ndarray, k: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Undistorted coordinates by the radial terms alone, which grow over the whole field: by bisection."""
    target = np.hypot(xd, yd)
    low, high = np.zeros_like(target), np.minimum(np.broadcast_to(limit, target.shape), 1e3)
    for _ in range(50):
        middle = 0.5 * (low + high)
        short = middle * radial_factor(middle * middle, k)[0] < target
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return xd * (low / target), yd * (low / target)


def _shrink(x: np.ndarray, y: np.ndarray, factor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    factor = np.where(factor < 1.0, factor, 1.0)
    return x * factor, y * factor
