"""Where the lower edge of a box lies when a body of known size stands on the ground: not at its middle.

The body is an upright block. Its eight corners are projected through the camera, the box around them is cut at
the image's edge, and the middle of its lower edge is what a detector reports. The block is shifted until that
pixel is the one that was seen (Newton's method, with the ground's derivative at the foot).
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.pipeline.kernels.compiled import compiled, inlined
from geoloc.pipeline.kernels.hits import EDGE_PX

RADIAL, FISHEYE, UNKNOWN = 0, 1, 2  # an unknown camera's bodies are not looked for
STEP = 0.05  # m, of the numerical derivative by the ground
MAX_STEPS = 6
CLOSE_PX = 0.05
MIN_DEPTH = 1e-6  # m
TURNS = 6  # headings that stand for all, where none is known


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
def _foot_of_body(
    model, params, limit, rotation, centre, width, height, x, y, z, cos, sin, half_l, half_w, tall, by_top
):
    """Pixel u, v of the middle of the lower, or else upper, edge of the box around a body at x, y, z (m)."""
    left, right, low, high = np.inf, -np.inf, -np.inf, np.inf
    for a in (-1.0, 1.0):
        for b in (-1.0, 1.0):
            px = x + a * half_l * cos - b * half_w * sin
            py = y + a * half_l * sin + b * half_w * cos
            for top in range(2):
                u, v = see(model, params, limit, rotation, centre, px, py, z + top * tall)
                if np.isnan(u):
                    return np.nan, np.nan
                left, right, low, high = min(left, u), max(right, u), max(low, v), min(high, v)
    left, right = min(max(left, -0.5), width - 0.5), min(max(right, -0.5), width - 0.5)
    return 0.5 * (left + right), high if by_top else min(max(low, -0.5), height - 0.5)


@inlined
def middle_of(camera, u, v, x, y, z, cos, sin, half_l, half_w, tall, by_top):
    """Where a body's middle x, y (m) is whose foot is the pixel u, v, which meets the ground at x, y; NaN: nowhere.

    Or the middle of whose upper edge is that pixel; it then stands near x, y.
    """
    model, params, limit, rotation, centre, width, height = camera
    u0, v0 = see(model, params, limit, rotation, centre, x, y, z)
    ux, vx = see(model, params, limit, rotation, centre, x + STEP, y, z)
    uy, vy = see(model, params, limit, rotation, centre, x, y + STEP, z)
    a, b, c, d = (ux - u0) / STEP, (uy - u0) / STEP, (vx - v0) / STEP, (vy - v0) / STEP
    determinant = a * d - b * c
    if not abs(determinant) > 0.0:
        return np.nan, np.nan
    mx, my = x, y
    for _ in range(MAX_STEPS):
        fu, fv = _foot_of_body(
            model, params, limit, rotation, centre, width, height, mx, my, z, cos, sin, half_l, half_w, tall, by_top
        )
        du, dv = u - fu, v - fv
        if np.isnan(du):
            return np.nan, np.nan
        if abs(du) < CLOSE_PX and abs(dv) < CLOSE_PX:
            break
        mx += (d * du - b * dv) / determinant
        my += (a * dv - c * du) / determinant
    reach = (4.0 if by_top else 2.0) * (half_l + half_w)
    if (mx - x) * (mx - x) + (my - y) * (my - y) > reach * reach:
        return np.nan, np.nan
    return mx, my


@compiled
def headings(xy, away, level, size, track_xy, track_level, track_heading, stalls, out):
    """Heading (N,) rad of the body at each foot: of the nearest track that has one, else of the stall; else NaN.

    Both are looked for at about the body's middle; a track farther from it than half the body's length is another.
    """
    for i in range(len(xy)):
        out[i] = np.nan
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
                best2, out[i] = distance2, track_heading[t]
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
def offsets(camera, foot, box, xy, z, heading, size, cameras, offset, spread):
    """How far each foot (N,) lies from its body's middle: `offset` (N, 2) m, and what of it is unknown (N, 2, 2) m².

    `foot` (N, 2) px lies on the ground at xy (N, 2), z (N,) m; `heading` (N,) rad is NaN where unknown and then any;
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
        n_turns = 1 if np.isfinite(heading[i]) else TURNS
        first = heading[i] if n_turns == 1 else 0.0
        by_top = box[i, 3] >= image[1, c] - 0.5 - EDGE_PX and box[i, 1] > EDGE_PX - 0.5
        v = box[i, 1] if by_top else foot[i, 1]
        n, sx, sy, sxx, sxy, syy = 0, 0.0, 0.0, 0.0, 0.0, 0.0
        for t in range(n_turns):
            angle = first + t * math.pi / n_turns
            mx, my = middle_of(
                one, foot[i, 0], v, xy[i, 0], xy[i, 1], z[i], math.cos(angle), math.sin(angle), half_l, half_w,
                tall, by_top,
            )  # fmt: skip
            if np.isnan(mx):
                continue
            dx, dy = xy[i, 0] - mx, xy[i, 1] - my
            n, sx, sy, sxx, sxy, syy = n + 1, sx + dx, sy + dy, sxx + dx * dx, sxy + dx * dy, syy + dy * dy
        if n:
            offset[i, 0], offset[i, 1] = sx / n, sy / n
            spread[i, 0, 0] = sxx / n - offset[i, 0] * offset[i, 0]
            spread[i, 1, 1] = syy / n - offset[i, 1] * offset[i, 1]
            spread[i, 0, 1] = spread[i, 1, 0] = sxy / n - offset[i, 0] * offset[i, 1]
