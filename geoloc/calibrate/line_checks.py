"""How far lines that were drawn into a still are from what they are said to be, by a calibrated camera."""

import numpy as np

from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines

FEWEST_PARALLEL = 3  # two lines have a direction in common whatever they are


def line_turns(camera: Camera, lines: ImageLines) -> np.ndarray:
    """The angle (N,) rad by which each line of this camera fails: plumb, level, or parallel to its group.

    A line in the still and the camera span a plane; the line can be plumb only where that plane holds the vertical,
    on the horizon only where both ends look level, parallel to others where all their planes hold one direction.
    NaN where that cannot be told: outside the lens's field, or fewer than three lines of a group.
    """
    starts, ends = camera.unproject(lines.start), camera.unproject(lines.end)
    normal = np.cross(starts, ends)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    turned = np.full(len(lines), np.nan)
    plumb, horizon = lines.kind == "plumb", lines.kind == "horizon"
    turned[plumb] = _off(normal[plumb], np.array([0.0, 0.0, 1.0]))
    turned[horizon] = np.arcsin(np.abs([starts[:, 2], ends[:, 2]]).max(axis=0))[horizon]
    for group in np.unique(lines.group[lines.kind == "parallel"]).tolist():
        rows = np.flatnonzero((lines.kind == "parallel") & (lines.group == group) & np.isfinite(normal).all(axis=1))
        if len(rows) >= FEWEST_PARALLEL:
            turned[rows] = _off(normal[rows], np.linalg.svd(normal[rows])[2][-1])
    return turned


def _off(normal: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Angle between planes of unit normals (N, 3) and a direction."""
    return np.arcsin(np.clip(np.abs(normal @ way), 0.0, 1.0))
