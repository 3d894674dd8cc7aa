"""Where to put names so that they do not cover each other."""

from dataclasses import dataclass

import numpy as np

WIDTH_EM, HEIGHT_EM = 0.70, 1.15  # of a bold digit, and of a line
DIRECTIONS = np.array([[0.8, 0.8], [0.8, -0.8], [-0.8, 0.8], [-0.8, -0.8], [1, 0], [-1, 0], [0, 1], [0, -1]])
DISTANCES_PT = (4.0, 8.0, 15.0)
CROWDED = 0.2  # a name that others would cover by more than this share is left out


@dataclass(frozen=True, eq=False)
class Placed:
    """Centres of names (N, 2) pt, and which have room (N,) bool."""

    centre: np.ndarray
    shown: np.ndarray


def place_labels(anchors: np.ndarray, texts: list[str], font_pt: np.ndarray, size: np.ndarray) -> Placed:
    """Greedy places beside `anchors` (N, 2) pt, first come first served, within a picture of `size` (2,) pt.

    The cost of a place: what would be covered, the points themselves too, then the distance.
    """
    ems = np.array([(WIDTH_EM * max(len(text), 1), HEIGHT_EM) for text in texts]).reshape(-1, 2)
    half = 0.5 * ems * np.reshape(font_pt, (-1, 1))
    boxes = np.concatenate([anchors - 2.5, anchors + 2.5], axis=1)
    centre, shown = np.array(anchors, float), np.zeros(len(texts), bool)
    for i in range(len(texts)):
        offsets = np.concatenate([DIRECTIONS * (half[i] * 0.95 + d) for d in DISTANCES_PT])
        centres = anchors[i] + offsets
        covered = _covered(centres - half[i], centres + half[i], boxes, size) / (4 * half[i].prod())
        cost = covered + 0.01 * np.linalg.norm(offsets, axis=1) / np.linalg.norm(half[i])
        best = int(cost.argmin())
        if covered[best] <= CROWDED:
            centre[i], shown[i] = centres[best], True
            boxes = np.vstack([boxes, [*(centres[best] - half[i]), *(centres[best] + half[i])]])
    return Placed(centre, shown)


def _covered(low: np.ndarray, high: np.ndarray, boxes: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Area (K,) pt² of K candidates that other boxes cover or that lies outside the picture."""
    width = np.minimum(high[:, None], boxes[None, :, 2:]) - np.maximum(low[:, None], boxes[None, :, :2])
    inside = np.clip(np.minimum(high, size) - np.maximum(low, 0.0), 0.0, None).prod(axis=1)
    return np.clip(width, 0.0, None).prod(axis=2).sum(axis=1) + (high - low).prod(axis=1) - inside
