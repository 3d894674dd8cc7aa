"""Several boxes of one thing in one camera frame: one of them speaks, the others follow it.

Detectors, and annotators of one activity after the other, box a thing more than once. A second box is no second
thing, nor second evidence of the first.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.lazily import overlaps
from geoloc.scene.tables import Detections, GroundPoints


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
    follows = overlaps.leaders_of(
        detections.coded("camera").code,
        detections.coded("label").code,
        np.ascontiguousarray(detections.box),
        np.ascontiguousarray(detections.score),
        np.ascontiguousarray(detections.id),
        options.overlap,
    )
    if not len(follows) or follows.max() < 0:
        return detections, NOBODY
    rows = np.flatnonzero(follows >= 0)
    return detections.take(follows < 0), np.stack([detections.id[rows], detections.id[follows[rows]]], axis=1)


NOBODY = np.zeros((0, 2), dtype=int)


def with_duplicates(points: GroundPoints, follows: np.ndarray) -> GroundPoints:
    """`points` and a row for each duplicate of `follows` (M, 2), which stands where its speaker stands."""
    if not len(follows) or not len(points):
        return points
    by_id = np.argsort(points.detection)
    place = np.minimum(np.searchsorted(points.detection, follows[:, 1], sorter=by_id), len(by_id) - 1)
    row = by_id[place]
    known = points.detection[row] == follows[:, 1]
    return GroundPoints.concat([points, points.take(row[known]).replace(detection=follows[known, 0])])
