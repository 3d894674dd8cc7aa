"""Rays of pixels and the lens's Jacobian there, row by row: `scene.linearise` says how, and serves the rows left."""

# mypy: allow-untyped-defs


from geoloc.compiled import compiled, inlined

COEFFICIENTS = 12  # without those of a tilted sensor
QUICK_ITERATIONS = 4
SMALL_STEP = 1e-5  # focal lengths


@compiled
def undo(camera, pixel, params, limit, rays, by_cam, left):
    """Fill rays (3, N) that end on the plane z = 1, and d pixel / d point at their tips (2, 3, N); how many are left.

    `params` (C, 4 + COEFFICIENTS) of lenses of field `limit` (C,); those pixels (2, N) that Newton's method does not
    settle at once are `left` (N,) bool.
    """
    count = 0
    for i in range(len(camera)):
        c = params[camera[i]]
        fx, fy = c[0], c[1]
        xd, yd = (pixel[0, i] - c[2]) / fx, (pixel[1, i] - c[3]) / fy
        x, y, a, b, d, e, settled = xd, yd, 1.0, 0.0, 0.0, 1.0, True
        for k in range(4, 4 + COEFFICIENTS):
            if c[k] != 0.0:
                x, y, a, b, d, e, settled = _newton(xd, yd, c[4:], limit[camera[i]])
                break
        left[i] = not settled
        count += left[i]
        rays[0, i], rays[1, i], rays[2, i] = x, y, 1.0
        by_cam[0, 0, i], by_cam[0, 1, i], by_cam[1, 0, i], by_cam[1, 1, i] = fx * a, fx * b, fy * d, fy * e
        for r in range(2):
            by_cam[r, 2, i] = -(by_cam[r, 0, i] * x + by_cam[r, 1, i] * y)
    return count


@inlined
def _newton(xd, yd, k, limit):
    """Undistorted x, y, the four derivatives of the distortion there, and whether that is settled."""
    r2 = xd * xd + yd * yd
    grow = 1.0 / max(_factor(r2, k)[0], 0.5)
    grow = 1.0 / max(_factor(r2 * grow * grow, k)[0], 0.5)
    x, y, settled = xd * grow, yd * grow, False
    for _ in range(QUICK_ITERATIONS):
        fx, fy, a, b, c, d = _distort(x, y, k)
        determinant = a * d - b * c
        scale = 1.0 / determinant
        dx, dy = (d * (fx - xd) - b * (fy - yd)) * scale, (a * (fy - yd) - c * (fx - xd)) * scale
        x, y = x - dx, y - dy
        settled = determinant > 0.0 and x * x + y * y < limit * limit
        if abs(dx) <= SMALL_STEP and abs(dy) <= SMALL_STEP:
            return x, y, a, b, c, d, settled
    return x, y, a, b, c, d, False


@inlined
def _factor(r2, k):
    """Radial factor, and its derivative by r²."""
    bottom = 1.0 + r2 * (k[5] + r2 * (k[6] + r2 * k[7]))
    factor = (1.0 + r2 * (k[0] + r2 * (k[1] + r2 * k[4]))) / bottom
    slope = k[0] + r2 * (2.0 * k[1] + 3.0 * r2 * k[4])
    bottom_slope = k[5] + r2 * (2.0 * k[6] + 3.0 * r2 * k[7])
    return factor, (slope - factor * bottom_slope) / bottom


@inlined
def _distort(x, y, k):
    """Distorted xd, yd and the derivatives xd by x, xd by y, yd by x, yd by y; see `scene.distortion.distort`."""
    p1, p2, r2 = k[2], k[3], x * x + y * y
    factor, slope = _factor(r2, k)
    factor, slope = factor + 2.0 * (p1 * y + p2 * x), 2.0 * slope
    mixed = y * x * slope + 2.0 * (p1 * x + p2 * y)
    a, d = factor + x * (x * slope + 4.0 * p2), factor + y * (y * slope + 4.0 * p1)
    prism_x, prism_y = 2.0 * (k[8] + 2.0 * k[9] * r2), 2.0 * (k[10] + 2.0 * k[11] * r2)
    xd = x * factor + p2 * r2 + r2 * (k[8] + k[9] * r2)
    yd = y * factor + p1 * r2 + r2 * (k[10] + k[11] * r2)
    return xd, yd, a + prism_x * x, mixed + prism_x * y, mixed + prism_y * x, d + prism_y * y
