"""A run as views of objects: which box of which picture shows which object, where that was, and how well it shows it.

    looks, rows = looks_of_run(detections, tracks, points, "garage")   # rows: of `detections`, to cut crops from
"""

from dataclasses import dataclass

import numpy as np

from geoloc.options import check_range
from geoloc.retrieval.looks import Looks
from geoloc.scene.tables import Detections, GroundPoints, Tracks


@dataclass(frozen=True)
class SightingOptions:
    """Which of an object's boxes are worth a look."""

    every_s: float = 1.0  # s; of each camera the largest box in each such stretch
    views: int = 24  # of an object in one camera at most, spread over the time that it was seen
    least_height_px: float = 24.0  # a smaller box shows too little

    def __post_init__(self) -> None:
        check_range(self, every_s=(0, 1e9), views=(1, 1_000_000), least_height_px=(0, 1e5))


def looks_of_run(
    detections: Detections, tracks: Tracks, points: GroundPoints, site: str, options: SightingOptions | None = None
) -> tuple[Looks, np.ndarray]:
    """Views of the objects of a run, with the embeddings that their boxes have, and the rows (N,) of `detections`.

    `points` are those behind the `tracks`, as `localize` gives both. Where the tracks are, how sharply and under
    which number is theirs; camera, time and quality (its score) are the box's. Points of tracks that are not among
    those given, and of detections that are not, are left out.
    """
    options = options or SightingOptions()
    track = _row_of(tracks.object, points.object)
    row = _row_of(detections.id, points.detection)
    seen = np.flatnonzero((track >= 0) & (row >= 0) & (points.object >= 0))
    track, row = track[seen], row[seen]
    height = detections.box[row, 3] - detections.box[row, 1]
    kept = np.flatnonzero(height >= options.least_height_px)
    kept = kept[_worth(tracks.track[track[kept]], detections.take(row[kept]), height[kept], options)]
    track, row = track[kept], row[kept]
    shown, boxes = tracks.take(track), detections.take(row)
    looks = Looks(
        id=np.full(len(row), -1),
        site=np.full(len(row), site),
        camera=boxes.camera,
        time=boxes.time,
        level=shown.level,
        xy=shown.xy,
        cov=shown.position_cov,
        label=np.where(shown.label == "", boxes.label, shown.label),
        track=shown.track,
        object=shown.track,  # numbers of tracks are identities
        quality=np.clip(boxes.score, 0.0, 1.0),
        vector=boxes.embedding,
    )
    return looks, row


def _row_of(names: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Row of each of `wanted` (M,) among unique `names` (N,); -1: it is not there. Names below 0 are none."""
    order = np.argsort(names, kind="stable")
    if not len(order):
        return np.full(len(wanted), -1)
    place = order[np.minimum(np.searchsorted(names[order], wanted), len(order) - 1)]
    return np.where((names[place] == wanted) & (wanted >= 0), place, -1)


def _worth(track: np.ndarray, boxes: Detections, height: np.ndarray, options: SightingOptions) -> np.ndarray:
    """Rows (n,) in order: the largest box of each object, camera and stretch of time, and of these not too many."""
    camera = boxes.coded("camera").code
    start = boxes.time.min() if len(boxes) else 0.0
    stretch = np.floor((boxes.time - start) / options.every_s) if options.every_s else boxes.time
    order = np.lexsort((boxes.id, -height, stretch, camera, track))
    keys = np.column_stack([track, camera, stretch])[order]
    order = order[np.r_[True, (np.diff(keys, axis=0) != 0).any(axis=1)]] if len(order) else order
    pairs = np.column_stack([track, camera])[order]
    starts = np.flatnonzero(np.r_[True, (np.diff(pairs, axis=0) != 0).any(axis=1)]) if len(order) else order
    kept = [_spread(part, options.views) for part in np.split(order, starts[1:])]
    return np.sort(np.concatenate(kept)) if kept else order


def _spread(rows: np.ndarray, n: int) -> np.ndarray:
    """At most `n` of rows, evenly."""
    if len(rows) <= n:
        return rows
    return rows[np.linspace(0, len(rows) - 1, n).round().astype(int)]
