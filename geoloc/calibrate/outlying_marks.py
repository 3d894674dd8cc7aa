"""What a wrong mark looks like: swapped with another, at another point, or a typo in one coordinate."""

import numpy as np

from geoloc.calibrate.usable_marks import Usable
from geoloc.scene.camera import Camera

NEAR = 4.0  # sigmas within which a mark is taken to belong to a point


def name_outliers(camera: Camera, usable: Usable, good: np.ndarray, spread: float) -> tuple[str, ...]:
    """A sentence on each mark (K,) that is not `good`; `spread` is that of the marks' errors over their sigmas."""
    predicted = camera.project(usable.marked.points)
    reach = NEAR * usable.marked.sigma * max(spread, 1.0)
    names = [point.name for point in usable.points]
    notes = []
    for row in np.flatnonzero(~good).tolist():
        off = float(np.linalg.norm(usable.marked.pixels[row] - predicted[row]))
        where = f"{off:.0f} px off" if np.isfinite(off) else "behind the camera"
        looks = _elsewhere(row, predicted, usable, reach, names) + _typo(camera, row, usable, reach)
        notes.append(f"mark of {names[row]!r} is wrong ({where}) and was left out{looks}")
    return tuple(notes)


def _elsewhere(row: int, predicted: np.ndarray, usable: Usable, reach: np.ndarray, names: list[str]) -> str:
    pixels = usable.marked.pixels
    away = np.linalg.norm(predicted - pixels[row], axis=1)
    away[row] = np.inf
    away = np.where(np.isnan(away), np.inf, away)
    other = int(np.argmin(away))
    if away[other] > reach[other]:
        return ""
    if np.linalg.norm(predicted[row] - pixels[other]) <= reach[row]:
        return f": it looks swapped with that of {names[other]!r}"
    return f": it lies where {names[other]!r} should be"


def _typo(camera: Camera, row: int, usable: Usable, reach: np.ndarray) -> str:
    """Says which one coordinate, changed by how much, would bring the point to its mark."""
    ray = camera.unproject(usable.marked.pixels[row][None])[0]
    point, centre = usable.marked.points[row], camera.centre_world
    if np.isnan(ray).any():
        return ""
    found = []
    for axis, name in enumerate("xyz"):
        # where the line along the axis through the point comes nearest to the ray
        along = np.eye(3)[axis]
        (step, depth), *_ = np.linalg.lstsq(np.stack([along, -ray], axis=1), centre - point, rcond=None)
        pixel = camera.project((point + step * along)[None])[0]
        if depth > 0 and np.linalg.norm(pixel - usable.marked.pixels[row]) <= reach[row]:
            found.append(f"{name} were {point[axis] + step:.2f} instead of {point[axis]:.2f} m")
    return f": it would fit if {' or '.join(found)}" if found else ""
