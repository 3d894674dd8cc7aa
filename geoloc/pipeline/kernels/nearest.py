"""Points of slightly different times, each moved with the track that it lies on."""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.small import inverse_symmetric, order_of


@compiled
def align(xy, cov, bias_cov, dt, sigma, speed, track_xy, track_velocity, track_cov, gate2):
    """Points xy (N, 2) m at other times by `dt` (N,) s: positions (N, 2) and covariances (N, 2, 2) m² there.

    Within `gate2` squared sigmas of the track that was nearest then a point moves with it; else its cov grows by
    `speed` (N,).
    The third, `late` (N, 2, 2) m², is what clocks of `sigma` (N,) s mean.
    """
    moved, grown, late = xy.copy(), cov.copy(), np.zeros_like(cov)
    keys = track_xy.copy()  # their order along x
    order, fastest = order_of(keys), 0.0
    for t in range(len(track_xy)):
        fastest = max(fastest, abs(track_velocity[t, 0]))
    for i in range(len(xy)):
        t = nearest(xy[i, 0], xy[i, 1], dt[i], track_xy, track_velocity, order, fastest)
        variance = sigma[i] * sigma[i]
        if t >= 0:
            vx, vy = track_velocity[t, 0], track_velocity[t, 1]
            late_xx, late_xy, late_yy = vx * vx * variance, vx * vy * variance, vy * vy * variance
            dx, dy = xy[i, 0] - track_xy[t, 0] + vx * dt[i], xy[i, 1] - track_xy[t, 1] + vy * dt[i]
            xx, xy_, yy = inverse_symmetric(
                cov[i, 0, 0] + bias_cov[i, 0, 0] + track_cov[t, 0, 0] + late_xx,
                cov[i, 0, 1] + bias_cov[i, 0, 1] + track_cov[t, 0, 1] + late_xy,
                cov[i, 1, 1] + bias_cov[i, 1, 1] + track_cov[t, 1, 1] + late_yy,
            )
            if xx * dx * dx + 2.0 * xy_ * dx * dy + yy * dy * dy < gate2:
                moved[i, 0] += vx * dt[i]
                moved[i, 1] += vy * dt[i]
                late[i, 0, 0], late[i, 1, 1] = late_xx, late_yy
                late[i, 0, 1] = late[i, 1, 0] = late_xy
                continue
        unsure = speed[i] * dt[i] * speed[i] * dt[i]
        grown[i, 0, 0] += unsure
        grown[i, 1, 1] += unsure
        late[i, 0, 0] = late[i, 1, 1] = speed[i] * speed[i] * variance
    return moved, grown, late


@inlined
def nearest(x, y, dt, points, velocity, order, fastest):
    """Row of the `points` (T, 2) that was nearest to x, y `dt` s ago, the first of equal ones; -1 of none.

    They have a `velocity` (T, 2), along x at most as large as `fastest`; `order` sorts them along x as they lie now.
    """
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if points[order[middle], 0] < x:
            low = middle + 1
        else:
            high = middle
    best, best2, way = -1, np.inf, abs(fastest * dt)
    for step in (-1, 1):
        k = low - 1 if step < 0 else low
        while 0 <= k < len(order):
            t = order[k]
            k += step
            least = abs(points[t, 0] - x) - way
            if least > 0.0 and least * least > best2:
                break
            dx, dy = points[t, 0] - velocity[t, 0] * dt - x, points[t, 1] - velocity[t, 1] * dt - y
            distance2 = dx * dx + dy * dy
            if distance2 < best2 or (distance2 == best2 and t < best):
                best, best2 = t, distance2
    return best
