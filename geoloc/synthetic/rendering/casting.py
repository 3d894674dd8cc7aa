"""What each ray meets first. In a camera at c, a ray r meets corner + a right + b down where

    (a, b, 1) = k / k[2],   k = [right, down, corner - c]^-1 r,   and the ray is 1 / k[2] long:

three linear forms of the ray, so that faces are compared by k[2] without a division.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.synthetic.rendering.atlas import Atlas
from geoloc.synthetic.rendering.faces import Faces, take

TILES = 16  # across an image; faces are sought in tiles
SLENDER = 1.5  # px
MOST_SEEN = 6  # faces of those around a pixel that its rays are tried with
NEAR = 0.12  # m; what is nearer than this to the camera belongs to its mount


@dataclass(frozen=True, eq=False)
class View:
    """Faces as seen from one place: those that may be seen, their `rows` among all, and linear forms (F, 3, 3)."""

    faces: Faces
    rows: np.ndarray
    forms: np.ndarray
    centre: np.ndarray

    @classmethod
    def of(cls, faces: Faces, centre: np.ndarray) -> "View":
        """The faces whose front is turned to `centre` (3,) m, the nearest first."""
        towards = ((centre - faces.corner) * faces.normal).sum(axis=1)
        rows = np.flatnonzero(towards > 1e-6)
        distance = np.linalg.norm(faces.centre[rows] - centre, axis=1) - faces.radius[rows]
        rows = rows[np.argsort(distance, kind="stable")]
        chosen = take(faces, rows)
        matrix = np.stack([chosen.right, chosen.down, chosen.corner - centre], axis=2)
        return cls(chosen, rows, np.linalg.inv(matrix), centre)


def cast_image(view: View, atlas: Atlas, rays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The face that each ray (3, H, W) float32 of an image meets first: (H, W) int32, -1 for none.

    Also a thin face (H, W) that passes through the ray's pixel, though perhaps beside the ray, -1 for none.
    """
    first, thin = np.full((2, *rays.shape[1:]), -1, np.int32)
    nearest = np.zeros(rays.shape[1:], np.float32)  # one over the length of the ray
    boxes, slender = _screen_boxes(view, rays), _slender(view, rays)
    for row in np.flatnonzero(boxes[:, 2] > boxes[:, 0]).tolist():
        x0, y0, x1, y1 = boxes[row].tolist()
        part = slice(y0, y1), slice(x0, x1)
        if slender[row]:
            _touch(view, row, rays[:, y0:y1, x0:x1], thin[part], nearest[part])
        _meet(view, atlas, row, rays[:, y0:y1, x0:x1], first[part], nearest[part])
    return first, thin


def cast_near(view: View, atlas: Atlas, rays: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The face that each ray (3, N, S) meets first: (N, S) int32, of those `seen` (N, K) about it, -1 for none."""
    first = np.full(rays.shape[1:], -1, np.int32)
    nearest = np.zeros(rays.shape[1:], np.float32)
    ordered = np.sort(seen, axis=1)
    ordered[:, 1:][ordered[:, 1:] == ordered[:, :-1]] = -1
    ordered = -np.sort(-ordered, axis=1)[:, :MOST_SEEN]
    for column in ordered.T:
        rows = np.flatnonzero(column >= 0)
        face, part = column[rows], rays[:, rows]
        forms = view.forms.astype(np.float32)[face][..., None]
        across, along, length = (
            forms[:, i, 0] * part[0] + forms[:, i, 1] * part[1] + forms[:, i, 2] * part[2] for i in range(3)
        )
        met = (length > nearest[rows]) & (length < 1.0 / NEAR)
        met &= (across >= 0) & (across <= length) & (along >= 0) & (along <= length)
        cut = np.nonzero(met & (view.faces.mask[face] >= 0)[:, None])
        if len(cut[0]):
            which = face[cut[0]]
            a, b = across[cut] / length[cut], along[cut] / length[cut]
            met[cut] = atlas.there(view.faces.mask[which], view.faces.patch[which, 2] < 0, a, b)
        first[rows] = np.where(met, face[:, None], first[rows])
        nearest[rows] = np.where(met, length, nearest[rows])
    return first


def _slender(view: View, rays: np.ndarray) -> np.ndarray:
    """Which faces (F,) are so thin in the image that they may slip between the rays of neighbouring pixels."""
    middle = rays[:, rays.shape[1] // 2, rays.shape[2] // 2 : rays.shape[2] // 2 + 2].astype(float)
    pixel = float(np.linalg.norm(np.diff(middle, axis=1)) / np.linalg.norm(middle[:, 0]))
    faces, towards = view.faces, view.centre - view.faces.centre
    distance = np.maximum(np.linalg.norm(towards, axis=1), 1e-3)
    edges = np.linalg.norm(np.stack([faces.right, faces.down]), axis=2)
    area = np.abs((np.cross(faces.right, faces.down) * towards).sum(axis=1)) / distance
    return np.asarray(area / edges.max(axis=0) / distance < SLENDER * pixel)


def _touch(view: View, row: int, rays: np.ndarray, thin: np.ndarray, nearest: np.ndarray) -> None:
    """Note a slender face wherever it passes through a pixel before what is the nearest so far."""
    if min(rays.shape[1:]) < 2:
        return
    across, along, length = np.tensordot(view.forms[row].astype(np.float32), rays, 1)
    met = (length > nearest) & (length < 1.0 / NEAR)
    if not met.any():
        return
    for share in (across / length, along / length):
        reach = 0.6 * (np.abs(np.gradient(share, axis=0)) + np.abs(np.gradient(share, axis=1)))
        met &= (share > -reach) & (share < 1.0 + reach)
    np.copyto(thin, row, where=met)


def _meet(view: View, atlas: Atlas, row: int, rays: np.ndarray, first: np.ndarray, nearest: np.ndarray) -> None:
    """Note the face `row` wherever it is the nearest so far."""
    a, b, depth = view.forms[row].astype(np.float32)
    x, y, z = rays
    length = depth[0] * x + depth[1] * y + depth[2] * z
    met = length > nearest
    met &= length < 1.0 / NEAR
    if not met.any():
        return
    across = a[0] * x + a[1] * y + a[2] * z
    met &= across >= 0
    met &= across <= length
    along = b[0] * x + b[1] * y + b[2] * z
    met &= along >= 0
    met &= along <= length
    if view.faces.mask[row] >= 0:
        where = np.nonzero(met)
        a, b = across[where] / length[where], along[where] / length[where]
        met[where] = atlas.there(view.faces.mask[row], view.faces.patch[row, 2] < 0, a, b)
    np.copyto(first, row, where=met)
    np.copyto(nearest, length, where=met)


def _screen_boxes(view: View, rays: np.ndarray) -> np.ndarray:
    """Pixels x0, y0, x1, y1 (F, 4) outside which no ray meets the face; x1 <= x0: nowhere."""
    height, width = rays.shape[1:]
    side = max(4, -(-width // TILES))
    corners = _tile_corners(rays, side)
    rows, columns = corners.shape[1:3]
    mean, spread = _tiles(corners)
    towards = view.faces.centre - view.centre
    distance = np.linalg.norm(towards, axis=1)
    with np.errstate(invalid="ignore"):
        angle = np.where(distance > view.faces.radius, np.arcsin(np.minimum(view.faces.radius / distance, 1.0)), np.pi)
    cosine = (towards / distance[:, None]) @ mean.T
    reach = np.minimum(angle[:, None] + spread[None], np.pi)
    held = (cosine >= np.cos(reach)).reshape(-1, rows, columns)
    held &= _in_slabs(view, corners)
    by_row, by_column = held.any(axis=2), held.any(axis=1)
    box = np.stack(
        [
            np.maximum(by_column.argmax(axis=1) * side - 1, 0),  # a pixel's rays reach into the next tile
            np.maximum(by_row.argmax(axis=1) * side - 1, 0),
            np.minimum((columns - by_column[:, ::-1].argmax(axis=1)) * side + 1, width),
            np.minimum((rows - by_row[:, ::-1].argmax(axis=1)) * side + 1, height),
        ],
        axis=1,
    )
    box[~held.any(axis=(1, 2))] = 0
    return box


def _tile_corners(rays: np.ndarray, side: int) -> np.ndarray:
    """Rays (4, rows, columns, 3) at the corners of tiles of `side` px."""
    height, width = rays.shape[1:]
    y = np.minimum(np.arange(-(-height // side) + 1) * side, height - 1)
    x = np.minimum(np.arange(-(-width // side) + 1) * side, width - 1)
    net = np.moveaxis(rays[:, y][:, :, x], 0, -1).astype(float)
    net /= np.linalg.norm(net, axis=-1, keepdims=True)
    return np.stack([net[:-1, :-1], net[1:, :-1], net[:-1, 1:], net[1:, 1:]])


def _tiles(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Middle ray (T, 3) of each tile and the widest angle (T,) of its corners' rays to it."""
    mean = corners.mean(axis=0)
    mean /= np.linalg.norm(mean, axis=-1, keepdims=True)
    spread = np.arccos(np.clip((corners * mean).sum(axis=-1).min(axis=0), -1.0, 1.0))
    return mean.reshape(-1, 3), spread.reshape(-1) + 2e-3


def _in_slabs(view: View, corners: np.ndarray) -> np.ndarray:
    """Tiles (F, rows, columns) that are not wholly to one side of the face, by its linear forms at their corners."""
    rays = corners.reshape(-1, 3)
    across, along, depth = (rays @ view.forms[:, i].T for i in range(3))
    # a form that is negative at all corners of a tile is so within, but for the lens's bend
    slack = 0.02 * np.abs(depth)
    held = np.ones((len(rays) // 4, len(view.forms)), bool)
    for beyond in (-across, across - depth, -along, along - depth, -depth):
        held &= (beyond - slack).reshape(4, -1, len(view.forms)).min(axis=0) <= 0
    return np.moveaxis(held.reshape(*corners.shape[1:3], -1), -1, 0)
