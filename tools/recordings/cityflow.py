"""CityFlow: traffic cameras of one intersection, known by homographies; identities are scored over all of them."""

import logging
from itertools import combinations
from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import of_quantile
from geoloc.evaluation.report import Figure
from geoloc.io.cityflow import read_cityflow, read_cityflow_tracks, read_cityflow_truth
from geoloc.io.truth import BoxTracks
from geoloc.metrics.fixes import distance_to_fixes
from geoloc.metrics.matching import Sightings, camera_frames, pair_boxes
from geoloc.metrics.tracking import score_identity
from geoloc.pipeline.clock_start import estimate_clocks
from geoloc.pipeline.existence import ExistenceOptions
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints
from recordings.engine import linked, run_online
from recordings.figures import Part
from recordings.identity import IOU, multi_camera_figure, track_of_detections

logger = logging.getLogger(__name__)

BLOCK_S = 10.0
TRUE_BOXES = "true boxes without identities as detections, online engine, absence no evidence"
LINKED = "true boxes without identities as detections, the whole recording linked, absence no evidence"
PUBLISHED = "boxes of a published system without identities as detections, online engine, absence no evidence"
MAX_GAP_S = 0.25
CROSS = f"ground points of one true car in two cameras, as corrected online, interpolated within {MAX_GAP_S} s"

CLOCKS = (
    "each camera's stamps moved to begin at its own zero, offsets found from true boxes without identities; "
    "against the recording's stamps"
)


def run(folder: Path) -> list[Figure]:
    """Multi-camera identity from true boxes and from a published system's, and how far cameras disagree."""
    site, detections = read_cityflow(folder)
    truth = read_cityflow_truth(folder)
    cameras = ", ".join(np.unique(truth.camera).tolist())
    part = Part("cityflow", f"cameras {cameras}", BLOCK_S)
    # only cars that pass two cameras and more are annotated, and not from afar: absence is no evidence
    options = LocalizerOptions(existence=ExistenceOptions(detection_probability=0.0))
    online = run_online(detections, site, options)
    track = track_of_detections(detections, online.points, online.tracks)
    figures = [multi_camera_figure(part, "mc_idf1_true_boxes", truth, detections, track, TRUE_BOXES)]
    whole = linked(online, site, options)
    track = track_of_detections(detections, whole.points, whole.tracks)
    figures.append(multi_camera_figure(part, "mc_idf1_true_boxes_linked", truth, detections, track, LINKED))
    figures += _cross_camera_figures(part, truth, detections, online.points)
    figures += _clock_figures(part, site, detections)
    if any((folder / "tracks").glob("c*_*")):
        figures += _published_figures(part, folder, site, truth, options)
    return figures


def _clock_figures(part: Part, site: Site, detections: Detections) -> list[Figure]:
    """How far the clocks, unknown to the engine, are found from the stamps; a common offset cannot be known."""
    rows = site.camera_rows(detections.camera)
    start = np.array([detections.time[rows == row].min() for row in range(len(site.cameras))])
    found = estimate_clocks(detections.replace(time=detections.time - start[rows]), site)
    if found.refused:
        logger.warning("cityflow: clocks not found: %s; clock figures are left out", found.refused)
        return []
    error = found.offset + start
    said = f"{CLOCKS}; stated sigma at most {found.sigma.max():.3f} s"
    return [
        part.figure("clock_error_s", 0.5 * np.ptp(error), "s", f"{said}; largest error after the best common shift"),
        part.figure("clock_error_rms_s", error.std(), "s", f"{said}; root mean square about the mean"),
        part.figure("clock_error_pair_s", np.ptp(error), "s", f"{said}; largest error of a difference of two clocks"),
    ]


def _published_figures(
    part: Part, folder: Path, site: Site, truth: BoxTracks, options: LocalizerOptions
) -> list[Figure]:
    _, boxes = read_cityflow(folder, "tracks")
    online = run_online(boxes, site, options)
    track = track_of_detections(boxes, online.points, online.tracks)
    figures = [multi_camera_figure(part, "mc_idf1_tracks", truth, boxes, track, PUBLISHED)]
    peer = read_cityflow_tracks(folder)
    for camera in np.unique(peer.camera).tolist():
        ours, theirs = (table.take(table.camera == camera) for table in (truth, peer))
        said = f"published system's own identities, this camera alone, IoU {IOU}"
        idf1 = single_camera_idf1(ours, theirs)
        figures.append(part.figure(f"idf1_camera_{camera}_peer", idf1, "", said))
    return figures


def single_camera_idf1(truth: BoxTracks, result: BoxTracks) -> float:
    """IDF1 at IoU 0.5 of boxes with identities, 0 to 1."""
    frames = camera_frames((truth.camera, truth.frame), (result.camera, result.frame))
    pairs = pair_boxes(Sightings(frames[0], truth.id, truth.box), Sightings(frames[1], result.id, result.box))
    return score_identity(pairs, IOU).idf1


def _cross_camera_figures(part: Part, truth: BoxTracks, detections: Detections, points: GroundPoints) -> list[Figure]:
    """Median and 90th percentile of the distance between two cameras' points of one car."""
    time, distance = cross_camera_distances(truth.id[np.searchsorted(detections.id, points.detection)], points)
    if not len(distance):
        logger.warning("cityflow: no car is seen by two cameras at once; cross_camera figures are left out")
        return []
    blocks, said = part.blocks(time), f"{CROSS}; n {len(distance)}"
    shares = {"cross_camera_median_m": 0.5, "cross_camera_p90_m": 0.9}
    return [part.measured(of_quantile(name, "m", said, distance, blocks, share)) for name, share in shares.items()]


def cross_camera_distances(identity: np.ndarray, points: GroundPoints) -> tuple[np.ndarray, np.ndarray]:
    """Times (K,) s and distances (K,) m between two cameras' points of one `identity` (N,), at each time of one.

    The other camera's points are interpolated to that time, since cameras do not expose at once.
    """
    found = [(np.empty(0), np.empty(0))]
    for car in np.unique(identity):
        mine = points.take(identity == car)
        tracks = [mine.take(mine.camera == name) for name in np.unique(mine.camera)]
        for a, b in combinations(tracks, 2):
            distance = distance_to_fixes(a.time, a.xy, b.time, b.xy, MAX_GAP_S)
            near = np.isfinite(distance)
            found.append((a.time[near], distance[near]))
    time, distance = (np.concatenate(column) for column in zip(*found, strict=True))
    return time, distance
