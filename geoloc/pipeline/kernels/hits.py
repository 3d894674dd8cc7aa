"""Feet of boxes, and where they meet the map with both covariances: one row at a time.

With A = d pixel / d ground and J = d pixel / d (pose, freed lens parameters):
cov = A⁻¹ Σ_px A⁻ᵀ and bias_cov = A⁻¹ (J P Jᵀ + (d pixel / d z)(d pixel / d z)ᵀ sigma_z²) A⁻ᵀ.
With W = d pixel / d world and M = A⁻¹ W, the ground point of a pixel moves by -M (ω x d + v) where the camera
turns by ω and shifts by v (in world axes; d is the way from the camera to the point), and by -M (0, 0, z)
where the ground rises by z. So A⁻¹ J = [M [d]ₓ', M, A⁻¹ d pixel / d lens] needs no pixel of the solution.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.small import congruence, is_covariance
from geoloc.pipeline.kernels.surfaces import meet, surface_under

EDGE_PX = 2.0  # a box that comes this close to the image's edge is cut off by it,
EDGE_SHARE = 0.02  # and one that comes as close as this share of its side
# why a row has no point; of several reasons the last one counts
SCORE, SINGULAR, NO_COV, HALF, OUTSIDE, NEGATIVE, NOTHING, NO_TIME, LOST, VAGUE, UNKNOWN = range(1, 12)


@inlined
def edge_reach(side):
    """How close (px) to the image's edge a box with a side of so many px is cut off by it."""
    return max(EDGE_PX, EDGE_SHARE * side)


@compiled
def feet(camera, image, box, foot, foot_cov, score, time, floor, across, along, cut, pixel, cov, why, edge):
    """Each row's foot: `pixel` (2, N) px, `cov` (3, N) px² of uu, uv, vv, and `why` (N,) it has none, else 0.

    Those of a box's lower edge are in `edge` (N, 2) px too.

    As given by foot (N, 2) and foot_cov (N, 2, 2), or else the middle of the lower edge of box (N, 4), with
    standard deviations of `floor` px and shares of the box's sides, `cut` where the edge of the image (2, C) is.
    """
    for i in range(len(box)):
        c = camera[i]
        edge[i, 0] = edge[i, 1] = pixel[0, i] = pixel[1, i] = np.nan
        if c < 0:
            why[i] = UNKNOWN
            continue
        left, top, right, bottom = box[i, 0], box[i, 1], box[i, 2], box[i, 3]
        u, v, uu, uv, vu, vv = foot[i, 0], foot[i, 1], foot_cov[i, 0, 0], foot_cov[i, 0, 1], foot_cov[i, 1, 0], 0.0
        vv = foot_cov[i, 1, 1]
        no_u, no_cov = np.isnan(u), np.isnan(uu)
        half = no_u != np.isnan(v) or no_cov != np.isnan(uv) or no_cov != np.isnan(vu) or no_cov != np.isnan(vv)
        if no_u:
            u = 0.5 * (left + right)
        if np.isnan(v):
            v = bottom
        width, height = image[0, c] - 0.5, image[1, c] - 0.5
        if no_cov:
            beside, below = edge_reach(right - left), edge_reach(bottom - top)
            wide = right >= width - beside or left <= beside - 0.5
            across_px = (cut if wide else across) * (right - left)
            along_px = (cut if bottom >= height - below else along) * (bottom - top)
            uu, vv = across_px * across_px + floor * floor, along_px * along_px + floor * floor
            uv = vu = 0.0
        why[i] = _unusable(score[i], time[i], half, uu, uv, vu, vv, left, top, right, bottom, u, v, width, height)
        if why[i] == 0:
            pixel[0, i], pixel[1, i] = u, v
            edge[i, 0], edge[i, 1] = u if no_u else np.nan, v if np.isnan(foot[i, 1]) else np.nan
        cov[0, i], cov[1, i], cov[2, i] = uu, uv, vv


@compiled
def _unusable(score, time, half, uu, uv, vu, vv, left, top, right, bottom, u, v, width, height):
    """Why a foot cannot be used, or 0."""
    if not np.isfinite(time):
        return NO_TIME
    if not np.isfinite(u + v) or np.isinf(left) or np.isinf(top) or np.isinf(right) or np.isinf(bottom):
        return NOTHING
    if right < left or bottom < top:
        return NEGATIVE
    if np.isnan(left):
        if u < -0.5 or v < -0.5 or u > width or v > height:
            return OUTSIDE
    elif right < -0.5 or bottom < -0.5 or left > width or top > height:
        return OUTSIDE
    if half:
        return HALF
    if np.isnan(uu):
        return NO_COV
    if not is_covariance(uu, uv, vu, vv):
        return SINGULAR
    return 0 if 0.0 <= score <= 1.0 else SCORE


@compiled
def hit_rays(rows, camera, rays, by_cam, by_lens, foot_cov, rotation, centre, calib_cov, basis, surfaces, max_sigma,
             why, level, xy, z, cov, bias_cov, modes, away):  # fmt: skip
    """Ground points of `rows` (n,), whose rays (3, n) and d pixel / d point (2, 3, n) are those of their feet.

    `by_lens` (k, 2, n) is d pixel / d freed lens parameter, `calib_cov` (C, 6 + k, 6 + k) in world axes, of which
    `basis` (C, 6 + k, M) are a sigma's steps. Fills the rows of level (N,), xy (N, 2) and z (N,) m, cov and bias_cov
    (N, 2, 2) m², modes (N, 2, M) m: what those steps mean there, away (N, 2), and why (N,).
    """
    n_params = calib_cov.shape[1]
    by_calib, world = np.empty((n_params, 2)), np.empty((2, 3))
    for n in range(len(rows)):
        i = rows[n]
        c = camera[i]
        if why[i] != 0:
            continue
        rx, ry, rz = rays[0, n], rays[1, n], rays[2, n]
        ox, oy, oz = centre[c, 0], centre[c, 1], centre[c, 2]
        wx = rotation[c, 0, 0] * rx + rotation[c, 1, 0] * ry + rotation[c, 2, 0] * rz
        wy = rotation[c, 0, 1] * rx + rotation[c, 1, 1] * ry + rotation[c, 2, 1] * rz
        wz = rotation[c, 0, 2] * rx + rotation[c, 1, 2] * ry + rotation[c, 2, 2] * rz
        s, distance = meet(surfaces, ox, oy, oz, wx, wy, wz)
        if s < 0 or np.isnan(rx):
            why[i] = LOST
            continue
        dx, dy, dz = wx * distance, wy * distance, wz * distance
        level[i], xy[i, 0], xy[i, 1], z[i] = surfaces[2][s], dx + ox, dy + oy, dz + oz
        for a in range(2):
            for b in range(3):
                world[a, b] = (
                    by_cam[a, 0, n] * rotation[c, 0, b]
                    + by_cam[a, 1, n] * rotation[c, 1, b]
                    + by_cam[a, 2, n] * rotation[c, 2, b]
                ) / distance
        slope_x, slope_y = surfaces[0][s, 0], surfaces[0][s, 1]
        a00, a01 = world[0, 0] + world[0, 2] * slope_x, world[0, 1] + world[0, 2] * slope_y
        a10, a11 = world[1, 0] + world[1, 2] * slope_x, world[1, 1] + world[1, 2] * slope_y
        determinant = a00 * a11 - a01 * a10
        scale = 1.0 / determinant if determinant != 0.0 else np.nan
        g00, g01, g10, g11 = a11 * scale, -a01 * scale, -a10 * scale, a00 * scale
        for r in range(2):
            ga, gb = (g00, g01) if r == 0 else (g10, g11)
            mx = ga * world[0, 0] + gb * world[1, 0]
            my = ga * world[0, 1] + gb * world[1, 1]
            mz = ga * world[0, 2] + gb * world[1, 2]
            by_calib[0, r], by_calib[1, r], by_calib[2, r] = dy * mz - dz * my, dz * mx - dx * mz, dx * my - dy * mx
            by_calib[3, r], by_calib[4, r], by_calib[5, r] = mx, my, mz
            for k in range(n_params - 6):
                by_calib[6 + k, r] = ga * by_lens[k, 0, n] + gb * by_lens[k, 1, n]
        xx, across, yy = _spread(by_calib, calib_cov, c)
        for m in range(basis.shape[2]):
            modes[i, 0, m] = modes[i, 1, m] = 0.0
            for k in range(n_params):
                modes[i, 0, m] += by_calib[k, 0] * basis[c, k, m]
                modes[i, 1, m] += by_calib[k, 1] * basis[c, k, m]
        rise_x, rise_y = by_calib[5, 0] * surfaces[1][s], by_calib[5, 1] * surfaces[1][s]
        _put(bias_cov, i, xx + rise_x * rise_x, across + rise_x * rise_y, yy + rise_y * rise_y)
        xx, across, yy = congruence(g00, g01, g10, g11, foot_cov[0, i], foot_cov[1, i], foot_cov[2, i])
        _put(cov, i, xx, across, yy)
        length = math.sqrt(dx * dx + dy * dy)
        # right under the camera no direction is away from it: any will do
        away[i, 0], away[i, 1] = (dx / length, dy / length) if length > 0.0 else (1.0, 0.0)
        why[i] = _vague(cov, bias_cov, i, max_sigma)


@inlined
def _spread(by, cov, c):
    """xx, xy, yy of J P J' for J' (p, 2) and P of camera c (C, p, p)."""
    xx, xy, yy = 0.0, 0.0, 0.0
    for q in range(len(by)):
        x, y = 0.0, 0.0
        for p in range(len(by)):
            x += by[p, 0] * cov[c, p, q]
            y += by[p, 1] * cov[c, p, q]
        xx += x * by[q, 0]
        xy += x * by[q, 1]
        yy += y * by[q, 1]
    return xx, xy, yy


@inlined
def _put(cov, i, xx, xy, yy):
    cov[i, 0, 0], cov[i, 0, 1], cov[i, 1, 0], cov[i, 1, 1] = xx, xy, xy, yy


@inlined
def _vague(cov, bias_cov, i, max_sigma):
    """VAGUE where the largest standard deviation (m) of a row's sum is larger than wanted, or none; else 0."""
    xx, yy = cov[i, 0, 0] + bias_cov[i, 0, 0], cov[i, 1, 1] + bias_cov[i, 1, 1]
    xy = cov[i, 0, 1] + bias_cov[i, 0, 1]
    worst2 = 0.5 * (xx + yy) + math.sqrt(0.25 * (xx - yy) * (xx - yy) + xy * xy)
    return 0 if worst2 <= max_sigma * max_sigma else VAGUE


@compiled
def hit_homographies(rows, camera, pixel, foot_cov, matrix, inverse, levels, error, surfaces, max_sigma,
                     why, level, xy, z, cov, bias_cov, modes, away):  # fmt: skip
    """As `hit_rays`, of cameras (C,) known by matrix (C, 3, 3) and inverse (C, 3, 3) of one of `levels` (C,).

    Half of what its `error` (C,) px² means is taken as a shift of the whole image: two modes.
    """
    for i in rows:
        c = camera[i]
        if why[i] != 0:
            continue
        u, v = pixel[0, i], pixel[1, i]
        w = inverse[c, 2, 0] * u + inverse[c, 2, 1] * v + inverse[c, 2, 2]
        if not w > 0.0:
            why[i] = LOST
            continue
        x = (inverse[c, 0, 0] * u + inverse[c, 0, 1] * v + inverse[c, 0, 2]) / w
        y = (inverse[c, 1, 0] * u + inverse[c, 1, 1] * v + inverse[c, 1, 2]) / w
        s, _ = surface_under(surfaces, levels[c], x, y)
        if s < 0:
            why[i] = LOST
            continue
        scale = matrix[c, 2, 0] * x + matrix[c, 2, 1] * y + matrix[c, 2, 2]
        a00, a01 = (matrix[c, 0, 0] - u * matrix[c, 2, 0]) / scale, (matrix[c, 0, 1] - u * matrix[c, 2, 1]) / scale
        a10, a11 = (matrix[c, 1, 0] - v * matrix[c, 2, 0]) / scale, (matrix[c, 1, 1] - v * matrix[c, 2, 1]) / scale
        determinant = a00 * a11 - a01 * a10
        turn = 1.0 / determinant if determinant != 0.0 else np.nan
        g00, g01, g10, g11 = a11 * turn, -a01 * turn, -a10 * turn, a00 * turn
        plane = surfaces[0][s]
        level[i], xy[i, 0], xy[i, 1], z[i] = levels[c], x, y, plane[0] * x + plane[1] * y + plane[2]
        xx, across, yy = congruence(g00, g01, g10, g11, foot_cov[0, i], foot_cov[1, i], foot_cov[2, i])
        _put(cov, i, xx, across, yy)
        xx, across, yy = congruence(g00, g01, g10, g11, error[c], 0.0, error[c])
        _put(bias_cov, i, xx, across, yy)
        sigma = math.sqrt(0.5 * error[c])
        modes[i] = 0.0
        modes[i, 0, 0], modes[i, 1, 0] = sigma * g00, sigma * g10
        modes[i, 0, 1], modes[i, 1, 1] = sigma * g01, sigma * g11
        # a step up the image is a step away from an upright camera
        length = math.sqrt(g01 * g01 + g11 * g11)
        away[i, 0], away[i, 1] = -g01 / length, -g11 / length
        why[i] = _vague(cov, bias_cov, i, max_sigma)
