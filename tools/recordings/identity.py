"""Identity through the engine: which track each box went into, against boxes or objects that are known."""

import numpy as np

from geoloc.evaluation.measures import Blocks, of_counts, of_mean
from geoloc.evaluation.report import Figure
from geoloc.io.truth import BoxTracks
from geoloc.metrics.detection import ratio
from geoloc.metrics.identity_pairs import Sighted
from geoloc.metrics.matching import Sightings, camera_frames, pair_boxes
from geoloc.metrics.tracking import IDENTITY_FIGURES, IdentityScores, score_identity
from geoloc.scene.tables import Detections, GroundPoints, Tracks
from recordings.figures import Part

IOU = 0.5
MS = 1000  # times are compared in whole milliseconds


def track_of_detections(detections: Detections, points: GroundPoints, tracks: Tracks) -> np.ndarray:
    """The track (N,) that each of N detections went into, by way of its point and object; -1: none."""
    by_object = _looked_up(points.object, tracks.object, tracks.track)
    return _looked_up(detections.id, points.detection, by_object)


def multi_camera_identity(
    truth: BoxTracks, detections: Detections, track: np.ndarray
) -> tuple[IdentityScores, np.ndarray]:
    """IDF1 over all cameras, ids compared across them, at IoU 0.5, and the time (F,) s of each of its frames.

    `track` (N,) is that of each detection; detections without one (-1) are not part of the result.
    """
    result = detections.take(track >= 0)
    times = [np.rint(MS * table.time).astype(int) for table in (truth, result)]
    frames = camera_frames((truth.camera, times[0]), (result.camera, times[1]))
    pairs = pair_boxes(
        Sightings(frames[0], truth.id, truth.box), Sightings(frames[1], track[track >= 0], result.box)
    )
    scores = score_identity(pairs, IOU)
    _, first = np.unique(np.concatenate(frames), return_index=True)
    return scores, np.concatenate(times)[first] / MS


def multi_camera_figure(
    part: Part, name: str, truth: BoxTracks, detections: Detections, track: np.ndarray, protocol: str
) -> Figure:
    """Multi-camera IDF1, 0 to 1, with its block interval under the one global pairing of identities."""
    scores, time = multi_camera_identity(truth, detections, track)
    said = f"{protocol}; multi-camera identity, ids compared across cameras, IoU {IOU}"
    blocks = part.blocks(time)
    return part.measured(of_counts(name, "", said, scores.counts, blocks, IDENTITY_FIGURES["idf1"]))


def sighted_objects(
    detections: Detections, object_of_detection: np.ndarray, track: np.ndarray, window_s: float
) -> Sighted:
    """Sightings of known objects in windows of `window_s` for `pairs_of_tracks`.

    `object_of_detection` (N,) int is numbered within its camera, -1: none; `track` (N,) as above. Where an
    object has several boxes in a window the first stands for all.
    """
    rows = np.flatnonzero(object_of_detection >= 0)
    rows = rows[np.argsort(detections.time[rows], kind="stable")]
    window = np.floor(detections.time[rows] / window_s + 1e-6).astype(int)
    _, camera = np.unique(detections.camera[rows], return_inverse=True)
    key = np.stack([window, camera, object_of_detection[rows]], axis=1)
    _, first = np.unique(key, axis=0, return_index=True)
    rows, window = rows[first], window[first]
    return Sighted(window, detections.camera[rows], object_of_detection[rows], track[rows])


def recall_figure(part: Part, name: str, found: np.ndarray, protocol: str) -> Figure:
    """Share of known pairs that were `found` (Q,) bool, its interval by drawing pairs anew."""
    said = f"{protocol}; {int(found.sum())} of {len(found)} pairs"
    blocks = Blocks(np.arange(len(found)), len(found))
    return part.measured(of_mean(name, "", said, found.astype(float), blocks), "pairs")


def shift_ratio_figure(part: Part, n_shifted: np.ndarray, n_true: np.ndarray, protocol: str) -> Figure:
    """Pairs made under shifted clocks over those made at the true ones; a count (S,) each of every slot."""
    counts = np.stack([n_shifted, n_true], axis=1).astype(float)
    said = f"{protocol}; {int(n_shifted.sum())} pairs under shifted clocks, {int(n_true.sum())} at the true ones"
    blocks = Blocks(np.arange(len(counts)), len(counts))
    measure = of_counts("shift_control_ratio", "", said, counts, blocks, lambda n: ratio(n[..., 0], n[..., 1]))
    return part.measured(measure, "slots")


def _looked_up(asked: np.ndarray, key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """The `value` beside each `asked` number among the distinct non-negative `key`s; -1 where there is none."""
    rows = np.flatnonzero(key >= 0)
    rows = rows[np.argsort(key[rows], kind="stable")]
    if not len(rows):
        return np.full(len(asked), -1)
    place = np.minimum(np.searchsorted(key[rows], asked), len(rows) - 1)
    return np.where(key[rows][place] == asked, value[rows][place], -1)
