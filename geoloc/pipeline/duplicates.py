"""Several boxes of one thing in one camera frame: one of them speaks, the others follow it.

Detectors, and annotators of one activity after the other, box a thing more than once. A second box is no second
thing, nor second evidence of the first.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.scene.tables import Detections, GroundPoints, name_codes


@dataclass(frozen=True)
class DuplicateOptions:
    """Which boxes of a frame are one thing."""

    overlap: float = 0.95  # intersection over union from which two boxes of one class are one thing; 1: none are

    def __post_init__(self) -> None:
        check_range(self, overlap=(0.05, 1))


def set_duplicates_apart(detections: Detections, options: DuplicateOptions) -> tuple[Detections, np.ndarray]:
    """`detections` of one window without the duplicates, and (M, 2) ids: each duplicate and the box it follows.

    The box of the higher score speaks, of equal ones that of the lower id; duplicates of a duplicate are none.
    """
    first, second = _overlapping(detections, options.overlap)
    if not len(first):
        return detections, np.zeros((0, 2), dtype=int)
    rank = np.empty(len(detections), dtype=np.intp)
    rank[np.lexsort((detections.id, -detections.score))] = np.arange(len(detections))
    follows = np.full(len(detections), -1)
    behind = np.where(rank[first] < rank[second], second, first)
    ahead = first + second - behind
    for i in np.lexsort((rank[ahead], rank[behind])).tolist():
        if follows[ahead[i]] < 0 and follows[behind[i]] < 0:
            follows[behind[i]] = ahead[i]
    rows = np.flatnonzero(follows >= 0)
    return detections.take(follows < 0), np.stack([detections.id[rows], detections.id[follows[rows]]], axis=1)


def with_duplicates(points: GroundPoints, follows: np.ndarray) -> GroundPoints:
    """`points` and a row for each duplicate of `follows` (M, 2), which stands where its speaker stands."""
    if not len(follows) or not len(points):
        return points
    by_id = np.argsort(points.detection)
    place = np.minimum(np.searchsorted(points.detection, follows[:, 1], sorter=by_id), len(by_id) - 1)
    row = by_id[place]
    known = points.detection[row] == follows[:, 1]
    return GroundPoints.concat([points, points.take(row[known]).replace(detection=follows[known, 0])])


def _overlapping(detections: Detections, overlap: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of rows first < second of one camera and class whose boxes overlap by so much."""
    if len(detections) < 2:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    camera, labels = name_codes(detections.camera)[1], name_codes(detections.label)
    frame = camera * len(labels[0]) + labels[1]
    order = np.lexsort((detections.box[:, 3], frame))
    frame, box = frame[order], detections.box[order]
    # the lower edges of boxes that overlap by so much are nearly as one: partners are near in this order
    with np.errstate(invalid="ignore", over="ignore"):
        slack = (1.0 - overlap) * (box[:, 3] - box[:, 1])
    pairs = []
    for k in range(1, len(order)):
        near = frame[k:] == frame[:-k]
        with np.errstate(invalid="ignore", over="ignore"):
            near &= box[k:, 3] - box[:-k, 3] <= np.maximum(slack[k:], slack[:-k])
        rows = np.flatnonzero(near)
        if not len(rows):
            break
        pairs.append((order[rows], order[rows + k]))
    if not pairs:
        return np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp)
    first, second = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    near = box_overlap(detections.box[first], detections.box[second]) >= overlap
    return np.minimum(first, second)[near], np.maximum(first, second)[near]


def box_overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4) px and (N, 4) px; 0 where a box has no area or is not finite."""
    with np.errstate(invalid="ignore", over="ignore"):
        inner = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0.0, None).prod(axis=1)
        union = (a[:, 2:] - a[:, :2]).prod(axis=1) + (b[:, 2:] - b[:, :2]).prod(axis=1) - inner
        return np.where(union > 0, inner / np.where(union > 0, union, 1.0), 0.0)
