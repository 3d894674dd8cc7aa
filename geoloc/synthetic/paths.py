"""Paths that cars drive: lanes with rounded corners, sampled on the lattice of the speed planner."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.world import Light

STEP = 0.5  # s, of the speed planner
DV = 0.75  # m/s, between two of its speeds: one step at 1.5 m/s²
DS = DV * STEP / 2  # m, between two of its places: exact for constant acceleration over a step
LATERAL_ACCELERATION = 1.6  # m/s² in curves
CREEP = 3.0  # m/s, the least speed at which a curve is asked to be driven


@dataclass(frozen=True, eq=False)
class Leg:
    """A stretch that a car drives in one direction and at whose end it stops, or leaves the world.

    Samples lie `spacing` m apart. `heading` is the car's own (rad, unwrapped), also where it reverses.
    """

    xyz: np.ndarray  # (n, 3) m
    heading: np.ndarray  # (n,) rad
    level: np.ndarray  # (n,) str
    cap: np.ndarray  # (n,) m/s
    tight: np.ndarray  # (n,) bool: in a stall, where neighbours are near
    spacing: float
    reverse: bool = False
    dwell: float = 0.0  # s that the car waits before it starts
    reds: tuple[tuple[int, Light], ...] = ()  # sample of each stop line, and its light

    def at(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Places (N, 2) m, headings (N,) rad and levels (N,) at fractional samples (N,)."""
        rows = np.arange(len(self.xyz))
        xy = np.stack([np.interp(index, rows, self.xyz[:, i]) for i in (0, 1)], axis=-1)
        return xy, np.interp(index, rows, self.heading), self.level[np.asarray(index, np.intp)]


def make_leg(
    site_map: SiteMap, vertices: np.ndarray, levels: Sequence[str], speeds: Sequence[float], radius: float
) -> Leg:
    """The leg along `vertices` (V, 2) m with corners rounded to `radius` m.

    `levels` and `speeds` (m/s) are those of the V - 1 segments.
    """
    points, heading, segment = fillet(vertices, radius)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    n = (
        2 * max(1, round(along[-1] / (2 * DS))) + 1
    )  # a car that stands reaches every other place of the lattice
    s = np.linspace(0.0, along[-1], n)
    xy = np.stack([np.interp(s, along, points[:, i]) for i in (0, 1)], axis=-1)
    turned = np.interp(s, along, heading)
    part = segment[np.clip(np.searchsorted(along, s, side="right") - 1, 0, len(segment) - 1)]
    curvature = np.abs(np.gradient(turned, s))
    in_curves = np.sqrt(LATERAL_ACCELERATION / np.maximum(curvature, 1e-6))
    cap = np.minimum(np.asarray(speeds, float)[part], np.maximum(in_curves, CREEP))
    level = np.asarray(levels)[part]
    z = np.empty(n)
    for name in np.unique(level):
        z[level == name] = site_map.level(str(name)).z_at(xy[level == name])
    return Leg(np.column_stack([xy, z]), turned, level, cap, np.zeros(n, bool), along[-1] / (n - 1))


def fillet(vertices: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (M, 2) m of a polyline with round corners, their headings (M,) rad, and their segments (M,).

    Where two corners are too near for `radius`, both arcs shrink to share the segment between them.
    """
    vertices = np.asarray(vertices, float)
    steps = np.diff(vertices, axis=0)
    length = np.linalg.norm(steps, axis=1)
    direction = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    turn = np.concatenate([[0.0], np.diff(direction), [0.0]])
    cut = radius * np.tan(np.abs(turn) / 2)
    share = np.minimum(1.0, length / np.maximum(cut[:-1] + cut[1:], 1e-9))
    cut *= np.minimum(np.append(share, 1.0), np.insert(share, 0, 1.0))
    points, heading, segment = [vertices[:1]], [direction[:1]], [np.zeros(1, int)]
    for i in range(1, len(vertices) - 1):
        arc, angle = _arc(vertices[i], direction[i - 1], turn[i], cut[i])
        points.append(arc)
        heading.append(angle)
        segment.append(np.where(np.arange(len(arc)) < len(arc) // 2, i - 1, i))
    points.append(vertices[-1:])
    heading.append(direction[-1:])
    segment.append(np.array([len(length) - 1]))
    return np.concatenate(points), np.concatenate(heading), np.concatenate(segment)


def _arc(corner: np.ndarray, direction: float, turn: float, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """The arc that replaces `corner`: points (M, 2) and headings (M,); the corner alone where none is needed."""
    if abs(turn) < 1e-6 or cut < 1e-6:
        return corner[None], np.array([direction + turn / 2])
    radius = cut / np.tan(abs(turn) / 2)
    angle = np.linspace(0.0, abs(turn), 2 * max(2, round(radius * abs(turn) / 0.2)))
    ahead = np.array([np.cos(direction), np.sin(direction)])
    aside = np.sign(turn) * np.array([-ahead[1], ahead[0]])
    start = corner - cut * ahead
    points = start + radius * (np.sin(angle)[:, None] * ahead + (1 - np.cos(angle))[:, None] * aside)
    return points, direction + np.sign(turn) * angle
