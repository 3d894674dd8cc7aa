"""Where the lower edge of a box lies when a body of known size stands on the ground: not at its middle.

The body is an upright block. Its eight corners are projected through the camera, the box around them is cut at
the image's edge, and the middle of its lower edge is what a detector reports. The block is shifted until that
pixel is the one that was seen (Newton's method, with the ground's derivative at the foot).
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.hits import edge_reach

RADIAL, FISHEYE, UNKNOWN = 0, 1, 2  # an unknown camera's bodies are not looked for
STEP = 0.05  # m, of the numerical derivative by the ground
MAX_STEPS = 6
CLOSE_PX = 0.05
MIN_DEPTH = 1e-6  # m
TURNS = 6  # headings that stand for all
OTHERWISE = 0.05  # of the likeliest, that it heads in one of the others against all that its track tells
STRAIGHT = 0.12  # rad; a heading that is known better is the only one, while the box fits it
WIDTH_SIGMA, WIDTH_PX = 0.1, 4.0  # share of a box's width, and px, by which it differs from its body's
ODD = 2.0  # sigmas; a box that is so much wider or narrower than its body would be may show another heading


@inlined
def project(model, params, limit, x, y, z):
    """Pixel u, v of a point (m) in the camera's frame; NaN behind it or out of its field."""
    if model == FISHEYE:
        across = math.sqrt(x * x + y * y)
        angle = math.atan2(across, z)
        if not angle <= limit:
            return np.nan, np.nan
        a2 = angle * angle
        bent = angle * (1.0 + a2 * (params[4] + a2 * (params[5] + a2 * (params[6] + a2 * params[7]))))
        scale = bent / across if across > 0.0 else 0.0
        return params[0] * x * scale + params[2], params[1] * y * scale + params[3]
    if not z > MIN_DEPTH:
        return np.nan, np.nan
    a, b = x / z, y / z
    r2 = a * a + b * b
    if not r2 <= limit * limit:
        return np.nan, np.nan
    top = 1.0 + r2 * (params[4] + r2 * (params[5] + r2 * params[8]))
    bottom = 1.0 + r2 * (params[9] + r2 * (params[10] + r2 * params[11]))
    factor = top / bottom + 2.0 * (params[6] * b + params[7] * a)
    u = a * factor + params[7] * r2 + r2 * (params[12] + params[13] * r2)
    v = b * factor + params[6] * r2 + r2 * (params[14] + params[15] * r2)
    return params[0] * u + params[2], params[1] * v + params[3]


@inlined
def see(model, params, limit, rotation, centre, x, y, z):
    """Pixel u, v of a point (m) in the world."""
    dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
    cx = rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz
    cy = rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz
    cz = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
    return project(model, params, limit, cx, cy, cz)


@inlined
def sides_of_body(camera, x, y, z, cos, sin, half_l, half_w, tall):
    """Left, right, upper and lower edge (px) of the box around a body at x, y, z (m), beyond the image's edge too."""
    model, params, limit, rotation, centre, _, _ = camera
    left, right, high, low = np.inf, -np.inf, np.inf, -np.inf
    for a in (-1.0, 1.0):
        for b in (-1.0, 1.0):
            px = x + a * half_l * cos - b * half_w * sin
            py = y + a * half_l * sin + b * half_w * cos
            for top in range(2):
                u, v = see(model, params, limit, rotation, centre, px, py, z + top * tall)
                if np.isnan(u):
                    return np.nan, np.nan, np.nan, np.nan
                left, right, high, low = min(left, u), max(right, u), min(high, v), max(low, v)
    return left, right, high, low


@inlined
def _foot_of_body(camera, x, y, z, cos, sin, half_l, half_w, tall, by_top):
    """Pixel u, v of the middle of the lower, or else upper, edge of the box around a body, and its width (px)."""
    left, right, high, low = sides_of_body(camera, x, y, z, cos, sin, half_l, half_w, tall)
    width, height = camera[5], camera[6]
    left, right = min(max(left, -0.5), width - 0.5), min(max(right, -0.5), width - 0.5)
    return 0.5 * (left + right), high if by_top else min(max(low, -0.5), height - 0.5), right - left


@inlined
def middle_of(camera, u, v, x, y, z, cos, sin, half_l, half_w, tall, by_top):
    """Where a body's middle x, y (m) is whose foot is the pixel u, v, which meets the ground at x, y; NaN: nowhere.

    Or the middle of whose upper edge is that pixel; it then stands near x, y. And the width of its box (px).
    """
    model, params, limit, rotation, centre, _, _ = camera
    u0, v0 = see(model, params, limit, rotation, centre, x, y, z)
    ux, vx = see(model, params, limit, rotation, centre, x + STEP, y, z)
    uy, vy = see(model, params, limit, rotation, centre, x, y + STEP, z)
    a, b, c, d = (ux - u0) / STEP, (uy - u0) / STEP, (vx - v0) / STEP, (vy - v0) / STEP
    determinant = a * d - b * c
    if not abs(determinant) > 0.0:
        return np.nan, np.nan, np.nan
    mx, my, wide = x, y, np.nan
    for _ in range(MAX_STEPS):
        fu, fv, wide = _foot_of_body(camera, mx, my, z, cos, sin, half_l, half_w, tall, by_top)
        du, dv = u - fu, v - fv
        if np.isnan(du):
            return np.nan, np.nan, np.nan
        if abs(du) < CLOSE_PX and abs(dv) < CLOSE_PX:
            break
        mx += (d * du - b * dv) / determinant
        my += (a * dv - c * du) / determinant
    reach = (4.0 if by_top else 2.0) * (half_l + half_w)
    if (mx - x) * (mx - x) + (my - y) * (my - y) > reach * reach:
        return np.nan, np.nan, np.nan
    return mx, my, wide


@compiled
def headings(xy, away, level, size, track_xy, track_level, track_heading, track_turned, stalls, out, turned):
    """Heading (N,) rad of the body at each foot: of the nearest track that has one, else of the stall; else NaN.

    `turned` (N,) rad becomes by how much it may have turned since, as its track tells; 0: it stands.

    Both are looked for at about the body's middle; a track farther from it than half the body's length is another.
    """
    for i in range(len(xy)):
        out[i], turned[i] = np.nan, 0.0
        reach = 0.5 * size[i, 0]
        if not reach > 0.0:
            continue
        # mean of a rectangle's half extents over all directions
        inward = (size[i, 0] + size[i, 1]) / math.pi
        x, y = xy[i, 0] + inward * away[i, 0], xy[i, 1] + inward * away[i, 1]
        best2 = reach * reach
        for t in range(len(track_xy)):
            dx, dy = track_xy[t, 0] - x, track_xy[t, 1] - y
            distance2 = dx * dx + dy * dy
            if distance2 < best2 and track_level[t] == level[i] and np.isfinite(track_heading[t]):
                best2, out[i], turned[i] = distance2, track_heading[t], track_turned[t]
        if np.isnan(out[i]):
            out[i] = stall_axis(x, y, level[i], stalls)


@inlined
def stall_axis(x, y, level, stalls):
    """Direction (rad) of the long side of the stall at x, y (m); NaN where there is none."""
    first, shape, start, axis, cell = stalls
    a, b = math.floor(x / cell) - first[level, 0], math.floor(y / cell) - first[level, 1]
    if a < 0 or b < 0 or a >= shape[level, 0] or b >= shape[level, 1]:
        return np.nan
    return axis[start[level] + b * shape[level, 0] + a]


@compiled
def offsets(camera, foot, box, xy, z, heading, turned, size, cameras, offset, spread):
    """How far each foot (N,) lies from its body's middle: `offset` (N, 2) m, and what of it is unknown (N, 2, 2) m².

    `foot` (N, 2) px lies on the ground at xy (N, 2), z (N,) m; `heading` (N,) rad is NaN where unknown and then any,
    as its box's width allows; else as that and `turned` (N,) rad, its sigma, allow; 0: it is certain.
    `size` (N, 3) m, a length of 0 where no body is known. A body that fits nowhere gives zeros. Where the image's edge
    cuts a box (N, 4) px off below, its upper edge tells where the body is.
    """
    models, params, limit, rotation, centre, image = cameras
    for i in range(len(xy)):
        offset[i] = 0.0
        spread[i] = 0.0
        half_l, half_w, tall = 0.5 * size[i, 0], 0.5 * size[i, 1], size[i, 2]
        c = camera[i]
        if not half_l > 0.0 or np.isnan(foot[i, 0]) or models[c] == UNKNOWN:
            continue
        one = models[c], params[c], limit[c], rotation[c], centre[c], image[0, c], image[1, c]
        side = box[i, 3] - box[i, 1]
        by_top = box[i, 3] >= image[1, c] - 0.5 - edge_reach(side) and box[i, 1] > edge_reach(side) - 0.5
        v = box[i, 1] if by_top else foot[i, 1]
        known = np.isfinite(heading[i])
        total, sx, sy, sxx, sxy, syy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        for t in range(1 if known and turned[i] == 0.0 else TURNS):
            angle = t * math.pi / TURNS + (heading[i] if known else 0.0)
            mx, my, wide = middle_of(
                one, foot[i, 0], v, xy[i, 0], xy[i, 1], z[i], math.cos(angle), math.sin(angle), half_l, half_w,
                tall, by_top,
            )  # fmt: skip
            if np.isnan(mx):
                continue
            off = (box[i, 2] - box[i, 0] - wide) / (WIDTH_SIGMA * wide + WIDTH_PX)
            weight = math.exp(-0.5 * min(off * off, 50.0))
            if known and t > 0:
                aside = min(t, TURNS - t) * math.pi / (TURNS * turned[i])
                weight *= max(math.exp(-0.5 * aside * aside), OTHERWISE)
            dx, dy = xy[i, 0] - mx, xy[i, 1] - my
            total, sx, sy = total + weight, sx + weight * dx, sy + weight * dy
            sxx, sxy, syy = sxx + weight * dx * dx, sxy + weight * dx * dy, syy + weight * dy * dy
            if known and t == 0 and turned[i] < STRAIGHT and abs(off) < ODD:
                break
        if total > 0.0:
            offset[i, 0], offset[i, 1] = sx / total, sy / total
            spread[i, 0, 0] = max(sxx / total - offset[i, 0] * offset[i, 0], 0.0)
            spread[i, 1, 1] = max(syy / total - offset[i, 1] * offset[i, 1], 0.0)
            spread[i, 0, 1] = spread[i, 1, 0] = sxy / total - offset[i, 0] * offset[i, 1]
