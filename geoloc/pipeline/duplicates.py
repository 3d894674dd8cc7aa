"""Several boxes of one thing in one camera frame: one of them speaks, the others follow it.

Detectors, and annotators of one activity after the other, box a thing more than once. A second box is no second
thing, nor second evidence of the first.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.lazily import overlaps
from geoloc.pipeline.packed import kind_arrays
from geoloc.scene.tables import Detections, GroundPoints

VEHICLE = 1.0  # m; classes that are shorter are people, who may be in one another's arms


@dataclass(frozen=True)
class DuplicateOptions:
    """Which boxes of a frame are one thing."""

    overlap: float = 0.95  # intersection over union from which two boxes of one class are one thing; 1: none are
    doubtful_overlap: float = 0.8  # from here on they are if two vehicles have no room where they stand
    room: float = 0.35  # of the class's width: their middles are farther apart,
    told_sigma: float = 0.5  # by so many sigmas of what the camera sees, or it cannot tell

    def __post_init__(self) -> None:
        check_range(self, overlap=(0.05, 1), doubtful_overlap=(0.05, 1), room=(0, 1), told_sigma=(0, 10))


def set_duplicates_apart(
    detections: Detections, options: DuplicateOptions
) -> tuple[Detections, np.ndarray, np.ndarray]:
    """`detections` of one window without the duplicates, and two tables of ids.

    The first (M, 2) holds each duplicate and the box it follows; the second (D, 2) the same of those that remain and
    may be duplicates: see `without_room`. The box of the higher score speaks, of equal ones that of the lower id;
    duplicates of a duplicate are none.
    """
    least = min(options.doubtful_overlap, options.overlap)
    if not len(_leaders(detections, least)):
        return detections, NOBODY, NOBODY
    follows = _leaders(detections, options.overlap)
    speaks = np.ones(len(detections), dtype=bool)
    speaks[follows[:, 0]] = False
    speaking = detections.take(speaks)
    return speaking, detections.id[follows], speaking.id[_leaders(speaking, least)]


def _leaders(detections: Detections, overlap: float) -> np.ndarray:
    """Rows (M, 2) of boxes that overlap a better one by so much, and of that one."""
    follows = overlaps.leaders_of(
        detections.coded("camera").code,
        detections.coded("label").code,
        np.ascontiguousarray(detections.box),
        np.ascontiguousarray(detections.score),
        np.ascontiguousarray(detections.id),
        overlap,
    )
    if not len(follows) or follows.max() < 0:
        return NOBODY
    rows = np.flatnonzero(follows >= 0)
    return np.stack([rows, follows[rows]], axis=1)


NOBODY = np.zeros((0, 2), dtype=int)


def without_room(
    points: GroundPoints, doubtful: np.ndarray, options: DuplicateOptions
) -> tuple[GroundPoints, np.ndarray]:
    """`points` without those of `doubtful` (D, 2) boxes that stand where the box they may follow does, and those pairs.

    One camera errs alike in both, so that even a camera that is far off tells how far they are apart.
    """
    if not len(doubtful):
        return points, NOBODY
    first, second = (_rows_of(points, doubtful[:, k]) for k in range(2))
    known = (first >= 0) & (second >= 0)
    labels = points.coded("label")
    kinds = kind_arrays(labels.names)
    room = np.where(kinds.length >= VEHICLE, options.room * kinds.width, 0.0).take(labels.code)
    step = points.xy[first] - points.xy[second]
    apart = np.linalg.norm(step, axis=1)
    cov = points.cov[first] + points.cov[second]
    sigma = np.sqrt(np.einsum("mi,mij,mj->m", step, cov, step)) / np.maximum(apart, 1e-9)
    near = (room[second] > 0.0) & (apart < room[second] + options.told_sigma * sigma)
    one = known & near & (points.level[first] == points.level[second])
    return points.take(~np.isin(np.arange(len(points)), first[one])), doubtful[one]


def with_duplicates(points: GroundPoints, follows: np.ndarray) -> GroundPoints:
    """`points` and a row for each duplicate of `follows` (M, 2), which stands where its speaker stands."""
    if not len(follows) or not len(points):
        return points
    row = _rows_of(points, follows[:, 1])
    known = row >= 0
    return GroundPoints.concat([points, points.take(row[known]).replace(detection=follows[known, 0])])


def _rows_of(points: GroundPoints, detection: np.ndarray) -> np.ndarray:
    """The point (M,) of each detection, -1 where it has none."""
    if not len(points):
        return np.full(len(detection), -1)
    by_id = np.argsort(points.detection)
    place = np.minimum(np.searchsorted(points.detection, detection, sorter=by_id), len(by_id) - 1)
    return np.where(points.detection[by_id[place]] == detection, by_id[place], -1)
