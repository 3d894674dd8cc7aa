"""Bodies of objects: the points that span them, seen through a camera, one in front of the other."""

import numpy as np

from geoloc.scene.camera import Camera
from geoloc.synthetic.truth import Truth

_SIDES = (-0.5, 0.0, 0.5)
# of a box one unit long, wide and high on the ground: corners, middles of edges and of faces
BOX = np.array([(x, y, z) for x in _SIDES for y in _SIDES for z in (0.0, 0.5, 1.0)])
_RING = np.column_stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)]) / 2
# of a person: feet, hips, shoulders and the top of the head
PERSON = np.concatenate(
    [
        np.column_stack([share * _RING, np.full(8, z)])
        for z, share in ((0.0, 0.6), (0.5, 0.8), (0.82, 1.0), (1.0, 0.3))
    ]
)
# inside a body, each standing for as much of it: what of it is hidden is counted on these
INNER = np.array(
    [(x, y, z) for x in (-0.36, -0.12, 0.12, 0.36) for y in (-0.25, 0.25) for z in (0.2, 0.5, 0.8)]
)

SHRINK = np.array([0.12, 0.1, -0.12, 0.0])  # of width, height: silhouettes do not fill their boxes' corners


def body_points(truth: Truth, unit: np.ndarray) -> np.ndarray:
    """Points (N, P, 3) m of each row's body from those of a unit body (P, 3); bodies stand upright."""
    scaled = unit * truth.size[:, None]
    cos, sin = np.cos(truth.heading)[:, None], np.sin(truth.heading)[:, None]
    x = cos * scaled[..., 0] - sin * scaled[..., 1]
    y = sin * scaled[..., 0] + cos * scaled[..., 1]
    return np.stack([x, y, scaled[..., 2]], axis=-1) + truth.xyz[:, None]


def project_bodies(camera: Camera, truth: Truth) -> np.ndarray:
    """Boxes (N, 4) px around the projected bodies, not cut at the border.

    NaN where part of a body lies behind the camera or outside the lens's field.
    """
    boxes = np.full((len(truth), 4), np.nan)
    person = truth.label == "person"
    for rows, unit in ((np.flatnonzero(person), PERSON), (np.flatnonzero(~person), BOX)):
        points = body_points(truth.take(rows), unit).swapaxes(0, 1)  # least and largest are found faster so
        pixels = camera.project(points.reshape(-1, 3)).reshape(len(unit), -1, 2)
        boxes[rows, :2], boxes[rows, 2:] = pixels.min(axis=0), pixels.max(axis=0)
    return boxes


def may_see(camera: Camera, truth: Truth, min_height_px: float) -> np.ndarray:
    """Rows (M,) that may be on the image and at least so high on it: a cheap test that keeps all that are."""
    middle = truth.xyz + 0.5 * truth.size[:, 2:] * np.array([0.0, 0.0, 1.0])
    points_cam = camera.cam_from_world.apply(middle)
    distance = np.linalg.norm(points_cam, axis=1)
    radius = 0.5 * np.linalg.norm(truth.size, axis=1)
    cos = points_cam[:, 2] / np.maximum(distance, 1e-9)
    stretch = 1.0 / np.clip(cos, 0.5, 1.0) ** 2  # of a pinhole's image away from its middle
    size = 2.0 * radius * max(camera.lens.params[:2]) * stretch / np.maximum(distance - radius, 0.1)
    width, height = camera.size
    corners = camera.lens.unproject(
        np.array([[u, v] for u in (-0.5, width - 0.5) for v in (-0.5, height - 0.5)])
    )
    widest = float(np.arccos(np.clip(np.nanmin(corners[:, 2]), -1, 1)))
    angle = np.arccos(np.clip(cos, -1, 1))
    near = np.arcsin(np.clip(radius / np.maximum(distance, 1e-9), 0, 1))
    return np.flatnonzero((size > min_height_px) & (angle < widest + near))


def covered(frame: np.ndarray, box: np.ndarray, depth: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Which of the points (R, P, 2) px of each row lie behind a nearer row's box of its frame: (R, P) bool.

    `frame` (R,) is sorted; boxes (R, 4) px are shrunk, since bodies do not fill them; `depth` (R,) in m.
    """
    hidden = np.zeros(pixels.shape[:2], dtype=bool)
    size = np.tile(box[:, 2:] - box[:, :2], 2)
    solid = box + SHRINK * size
    starts = np.flatnonzero(np.diff(frame, prepend=-1))
    counts = np.diff(np.append(starts, len(frame)))
    n_others = np.repeat(counts, counts)
    far = np.repeat(np.arange(len(frame)), n_others)
    near = (
        np.arange(len(far))
        - np.repeat(np.cumsum(n_others) - n_others, n_others)
        + np.repeat(starts, counts)[far]
    )
    keep = (depth[near] < depth[far]) & (solid[near, 0] < box[far, 2]) & (solid[near, 2] > box[far, 0])
    keep &= (solid[near, 1] < box[far, 3]) & (solid[near, 3] > box[far, 1])
    near, far = near[keep], far[keep]
    behind = (pixels[far] >= solid[near, None, :2]).all(axis=2) & (pixels[far] <= solid[near, None, 2:]).all(
        axis=2
    )
    np.logical_or.at(hidden, far, behind)
    return hidden
