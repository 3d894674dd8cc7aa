"""What boxes look like of bodies of known size, against what they are: cut off, hidden below, of which class.

A body is an upright block, as in `kernels.bodies`, whose `cameras` these are.
"""

# mypy: allow-untyped-defs

import math

import numpy as np

from geoloc.compiled import compiled, inlined
from geoloc.pipeline.kernels.bodies import RADIAL, TURNS, UNKNOWN, middle_of, see, sides_of_body
from geoloc.pipeline.kernels.hits import edge_reach
from geoloc.pipeline.kernels.sight import cell_of
from geoloc.pipeline.kernels.small import members_of

WHOLE, BELOW, BESIDE, ABOVE, BEHIND, WALLED = 0, 1, 2, 4, 8, 16  # bits of what is not seen of a box
LEAST_DROP = 0.1  # m; no camera is less above what it sees
TURNED = 0.33  # of the difference of a block's sides: standard deviation of its depth, turned anyhow
LOWEST, HIGHEST = 0.5, 6.0  # m; no vehicle is as low or as high as this
IN_FRONT = 0.1  # of a box's height, by which it reaches lower than what it hides


@compiled
def _flags(camera, time, image, box, foot, level, xy, view):
    """What is not seen of each box (N, 4) px: cut by the edge of the image (2, C), its foot BEHIND a nearer box, or
    WALLED off where it meets the ground, at xy (N, 2) m of a level (N,); `view` is of `kernels.sight`.

    A box whose foot was given (N, 2: NaN) is taken as WHOLE.
    """
    out = np.zeros(len(camera), np.int64)
    start, rows = members_of(camera, image.shape[1])
    for c in range(image.shape[1]):
        width, height = image[0, c] - 0.5, image[1, c] - 0.5
        for at in range(start[c], start[c + 1]):
            i = rows[at]
            left, top, right, bottom = box[i, 0], box[i, 1], box[i, 2], box[i, 3]
            if np.isnan(foot[i, 0]) or np.isnan(left + top + right + bottom):
                continue
            beside, below = edge_reach(right - left), edge_reach(bottom - top)
            if bottom >= height - below:
                out[i] |= BELOW
            if left <= beside - 0.5 or right >= width - beside:
                out[i] |= BESIDE
            if top <= below - 0.5:
                out[i] |= ABOVE
            for other in range(start[c], start[c + 1]):
                j = rows[other]
                nearer = box[j, 3] - bottom > IN_FRONT * (box[j, 3] - box[j, 1]) and time[j] == time[i]
                if nearer and box[j, 0] < foot[i, 0] < box[j, 2] and box[j, 1] < bottom:
                    out[i] |= BEHIND
                    break
            cell = cell_of(view, level[i], xy[i, 0], xy[i, 1])
            if cell < len(view[4]) - 1 and not (view[4][cell, c >> 3] >> (7 - (c & 7))) & 1:
                out[i] |= WALLED
    return out


@inlined
def _height(i, camera, box, xy, z, size, cameras):
    """Height of box i against that of a body of `size` (3,) m at xy (N, 2), z (N,); NaN: unknown.

    Of all headings the one of the lowest box: what is less hides something.
    """
    models, params, limit, rotation, centre, image = cameras
    c, least = camera[i], np.inf
    if models[c] != UNKNOWN:
        one = models[c], params[c], limit[c], rotation[c], centre[c], image[0, c], image[1, c]
        half_l, half_w = 0.5 * size[0], 0.5 * size[1]
        for t in range(TURNS if half_l != half_w else 1):
            cos, sin = math.cos(t * math.pi / TURNS), math.sin(t * math.pi / TURNS)
            _, _, top, foot = sides_of_body(one, xy[i, 0], xy[i, 1], z[i], cos, sin, half_l, half_w, size[2])
            if foot - top > 0.0:
                least = min(least, foot - top)
    return (box[i, 3] - box[i, 1]) / least if np.isfinite(least) else np.nan


@compiled
def look(camera, time, box, foot, level, xy, z, label, sizes, low, view, cameras):
    """What is not seen of each box (N, 4) px, see `_flags`, and the `rows` (n,) of those that do not show the foot.

    Those are lower than bodies of their `label` (N,) are high, of `sizes` (L, 3) m, or than the share `low` of it
    where the image's edge does not cut the box. Also their heights (n,) against those bodies'.
    """
    flags = _flags(camera, time, cameras[5], box, foot, level, xy, view)
    rows, share, count = np.empty(len(flags), np.int64), np.empty(len(flags)), 0
    for i in range(len(flags)):
        if flags[i] & (BELOW | BEHIND | WALLED):
            seen = _height(i, camera, box, xy, z, sizes[label[i]], cameras)
            if seen < (1.0 if flags[i] & BELOW else low):
                rows[count], share[count] = i, seen
                count += 1
    return flags, rows[:count], share[:count]


@compiled
def widen(cov, rows, sigma, camera, xy, z, away, centre):
    """Add what a height's `sigma` (n,) m does to points along the line of sight to cov (N, 2, 2) of `rows`, in place.

    They are at xy (N, 2), z (N,) m, seen by a camera (N,) at `centre` (C, 3), away from it (N, 2).
    """
    for n in range(len(rows)):
        i = rows[n]
        c = camera[i]
        drop = max(centre[c, 2] - z[i], LEAST_DROP)
        along = sigma[n] * math.hypot(centre[c, 0] - xy[i, 0], centre[c, 1] - xy[i, 1]) / drop
        for a in range(2):
            for b in range(2):
                cov[i, a, b] += along * along * away[i, a] * away[i, b]


@compiled
def classes(rows, camera, box, foot, xy, z, sizes, spread, cameras):
    """Likelihood (n, K), up to a factor, of the boxes of `rows` for bodies of K `sizes` (K, 3) m, whichever way round.

    Their feet are pixels (N, 2), which meet the ground at xy (N, 2), z (N,) m; logarithms of widths and heights
    differ by `spread` from box to box. 0 everywhere: it cannot be told.
    """
    models, params, limit, rotation, centre, image = cameras
    out = np.zeros((len(rows), len(sizes)))
    for n in range(len(rows)):
        i = rows[n]
        c = camera[i]
        wide, tall = box[i, 2] - box[i, 0], box[i, 3] - box[i, 1]
        if models[c] == UNKNOWN or not (wide > 0.0 and tall > 0.0):
            continue
        one = models[c], params[c], limit[c], rotation[c], centre[c], image[0, c], image[1, c]
        for k in range(len(sizes)):
            half_l, half_w, high = 0.5 * sizes[k, 0], 0.5 * sizes[k, 1], sizes[k, 2]
            for t in range(TURNS):
                cos, sin = math.cos(t * math.pi / TURNS), math.sin(t * math.pi / TURNS)
                x, y, _ = middle_of(one, foot[i, 0], foot[i, 1], xy[i, 0], xy[i, 1], z[i], cos, sin, half_l, half_w,
                                 high, False)  # fmt: skip
                if np.isnan(x):
                    continue
                left, right, top, low = sides_of_body(one, x, y, z[i], cos, sin, half_l, half_w, high)
                w, h = right - left, low - top
                if w > 0.0 and h > 0.0:
                    a, b = math.log(wide / w) / spread, math.log(tall / h) / spread
                    out[n, k] += math.exp(-0.5 * (a * a + b * b)) / TURNS
    return out


@compiled
def heights(camera, flags, box, foot, xy, z, away, label, length, width, least_length, spread, error_px, cameras):
    """How high (N,) m bodies are by their boxes, and the variances (N,) m²; NaN where it cannot be told.

    A box reaches from the near lower edge of a body to its near upper one, or its far one where the camera looks down
    on it: whichever is higher in the image. A block that is turned anyhow is 2 / pi of its length and width deep in
    the mean. Boxes differ by `spread` of their height and `error_px`. A fisheye, which bends upright edges, tells none.
    """
    models, params, limit, rotation, centre, _ = cameras
    out, var = np.full(len(camera), np.nan), np.full(len(camera), np.nan)
    for i in range(len(camera)):
        c, k = camera[i], label[i]
        high = box[i, 3] - box[i, 1]
        if length[k] < least_length or models[c] != RADIAL or np.isnan(foot[i, 0]) or not high > 0.0:
            continue
        if flags[i] & (BELOW | ABOVE | BEHIND | WALLED):
            continue
        one = models[c], params[c], limit[c], rotation[c], centre[c]
        deep = 2.0 / math.pi * (length[k] + width[k])
        near, row_m = _reaches(one, xy[i, 0], xy[i, 1], z[i], box[i, 1])
        far, _ = _reaches(one, xy[i, 0] + deep * away[i, 0], xy[i, 1] + deep * away[i, 1], z[i], box[i, 1])
        tall = min(near, far)
        if not LOWEST < tall < HIGHEST:
            continue
        noise = math.hypot(spread * high, error_px) / row_m
        varies = max(near - far, 0.0) / deep * TURNED * (length[k] - width[k])
        out[i], var[i] = tall, noise * noise + varies * varies
    return out, var


@inlined
def _reaches(camera, x, y, z, row):
    """How high (m) over a place the row of an image is, and the rows of a metre there; NaN where it is not in view."""
    model, params, limit, rotation, centre = camera
    _, low = see(model, params, limit, rotation, centre, x, y, z + 1.0)
    _, top = see(model, params, limit, rotation, centre, x, y, z + 2.0)
    return (1.0 + (low - row) / (low - top), low - top) if low - top > 0.0 else (np.nan, np.nan)
