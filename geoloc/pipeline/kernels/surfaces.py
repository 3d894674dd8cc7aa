"""Levels of a map as arrays: which surface lies under a point, and where a ray meets one.

A map of S surfaces is `plane` (S, 3) a, b, c of z = a x + b y + c, `sigma_z` (S,) m, `level` (S,) its index,
`bounds` (S, 4) x0, y0, x1, y1 m, `shape` (S,) ENDLESS, BOX or OUTLINE, and the edges of all outlines (E, 4)
x, y, x, y m, those of surface s from edge_start[s] to edge_start[s + 1].
"""

# mypy: allow-untyped-defs

import numpy as np

from geoloc.compiled import inlined

ENDLESS, BOX, OUTLINE = 0, 1, 2
MIN_DROP = 1e-6  # as in `scene.ground`: a ray that falls less than this per metre never meets a level


@inlined
def holds(surfaces, s, x, y):
    """Whether surface s lies over or under x, y (m); an edge of an outline belongs to it to rounding."""
    _, _, _, bounds, shape, edges, edge_start = surfaces
    if shape[s] == ENDLESS:
        return np.isfinite(x) and np.isfinite(y)
    if not (bounds[s, 0] <= x <= bounds[s, 2] and bounds[s, 1] <= y <= bounds[s, 3]):
        return False
    if shape[s] == BOX:
        return True
    inside = False
    for e in range(edge_start[s], edge_start[s + 1]):
        x0, y0, x1, y1 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


@inlined
def surface_under(surfaces, level, x, y):
    """The first surface of a level that holds x, y (m), or -1; and its first surface of all, or -1."""
    levels = surfaces[2]
    first = -1
    for s in range(len(levels)):
        if levels[s] == level:
            if holds(surfaces, s, x, y):
                return s, s if first < 0 else first
            if first < 0:
                first = s
    return -1, first


@inlined
def meet(surfaces, ox, oy, oz, rx, ry, rz):
    """Where the ray r (m) from o (m) first meets a surface from above: the surface or -1, and how many lengths on.

    As `scene.ground.intersect_ground`: a surface that the ray passes up through stops it.
    """
    planes = surfaces[0]
    best, found, found_fall = np.inf, -1, 0.0
    for s in range(len(planes)):
        a, b, c = planes[s, 0], planes[s, 1], planes[s, 2]
        above, fall = oz - (a * ox + b * oy + c), a * rx + b * ry - rz
        if not abs(fall) > MIN_DROP:
            continue
        distance = above / fall
        if 0.0 < distance < best and holds(surfaces, s, ox + distance * rx, oy + distance * ry):
            best, found, found_fall = distance, s, fall
    if found >= 0 and not found_fall > 0.0:
        found = -1
    return found, best
