"""CityFlow: traffic cameras of one intersection, known by homographies; identities are scored over all of them."""

import logging
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from geoloc.errors import GeometryError
from geoloc.evaluation.measures import of_quantile
from geoloc.evaluation.report import Figure
from geoloc.io.cityflow import read_cityflow, read_cityflow_tracks, read_cityflow_truth
from geoloc.io.truth import BoxTracks
from geoloc.metrics.fixes import distance_to_fixes
from geoloc.metrics.matching import Sightings, camera_frames, pair_boxes
from geoloc.metrics.tracking import score_identity
from geoloc.pipeline.clock_start import ClockEstimate, estimate_clocks
from geoloc.pipeline.existence import ExistenceOptions
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints
from recordings.engine import Online, linked, run_online
from recordings.figures import Part
from recordings.identity import IOU, multi_camera_figure, track_of_detections

logger = logging.getLogger(__name__)

BLOCK_S = 10.0
STAMPED = "clocks as stamped"
FOUND = "clocks and their jumps found first, from boxes whose stamps begin at each camera's own zero"
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
    figures = _identity_figures(part, "mc_idf1_true_boxes", truth, detections, (site, options), online, STAMPED)
    figures += _cross_camera_figures(part, truth, detections, online.points, "")
    found = _clocks(site, detections)
    figures += _clock_figures(part, site, detections, found)
    if found is not None:
        on_one = run_online(found.correct(detections), site, options)
        name = "mc_idf1_true_boxes_clocks_found"
        figures += _identity_figures(part, name, truth, detections, (site, options), on_one, FOUND)
        figures += _cross_camera_figures(part, truth, detections, on_one.points, "_clocks_found")
    if any((folder / "tracks").glob("c*_*")):
        figures += _published_figures(part, folder, site, truth, options)
    return figures


def _identity_figures(
    part: Part,
    name: str,
    truth: BoxTracks,
    detections: Detections,
    engine: tuple[Site, LocalizerOptions],
    online: Online,
    clocks: str,
) -> list[Figure]:
    """Multi-camera IDF1 of a run, online and linked as a whole."""
    runs = {name: (online, TRUE_BOXES), f"{name}_linked": (linked(online, *engine), LINKED)}
    tracks = {key: track_of_detections(detections, run.points, run.tracks) for key, (run, _) in runs.items()}
    return [
        multi_camera_figure(part, key, truth, detections, tracks[key], f"{said}, {clocks}")
        for key, (_, said) in runs.items()
    ]


def _clocks(site: Site, detections: Detections) -> ClockEstimate | None:
    """The clocks as found from boxes whose stamps begin at each camera's own zero, against the stamps given."""
    rows = site.camera_rows(detections.camera)
    start = np.full(len(site.cameras), np.inf)
    np.minimum.at(start, rows, detections.time)
    try:
        found = estimate_clocks(detections.replace(time=detections.time - start[rows]), site)
    except GeometryError as error:
        logger.warning("cityflow: %s; clock figures are left out", error)
        return None
    if found.refused:
        logger.warning("cityflow: clocks not found: %s; clock figures are left out", found.refused)
        return None
    begin = start[site.camera_rows(np.array(found.cameras))]
    return replace(found, since=found.since + begin, offset=found.offset + begin)


def _clock_figures(part: Part, site: Site, detections: Detections, found: ClockEstimate | None) -> list[Figure]:
    """How far the clocks, unknown to the engine, are found from the stamps; a common offset cannot be known.

    Stamps are a start and a count of frames: of a camera whose stream lost frames only those before are right.
    """
    if found is None:
        return []
    first = np.isinf(found.since)
    error = found.offset[first]
    said = f"{CLOCKS}; stated sigma at most {found.sigma[first].max():.3f} s"
    figures = [
        part.figure("clock_error_s", 0.5 * np.ptp(error), "s", f"{said}; largest error after the best common shift"),
        part.figure("clock_error_rms_s", error.std(), "s", f"{said}; root mean square about the mean"),
        part.figure("clock_error_pair_s", np.ptp(error), "s", f"{said}; largest error of a difference of two clocks"),
    ]
    cameras = np.array(found.cameras)
    for name in np.unique(cameras[~first]).tolist():
        lost, said = float(np.ptp(found.offset[cameras == name])), "by the paths that it shares with the others"
        n, most = (np.ptp(detections.time[detections.camera == one]) for one in (name, cameras[first][0]))
        what = f"seconds that the stream of {name} lost, {said}; its true boxes end {most - n:.1f} s before another's"
        figures.append(part.figure(f"clock_lost_{name}_s", lost, "s", what))
    return figures


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


def _cross_camera_figures(
    part: Part, truth: BoxTracks, detections: Detections, points: GroundPoints, suffix: str
) -> list[Figure]:
    """Median and 90th percentile of the distance between two cameras' points of one car."""
    time, distance = cross_camera_distances(truth.id[np.searchsorted(detections.id, points.detection)], points)
    if not len(distance):
        logger.warning("cityflow: no car is seen by two cameras at once; cross_camera figures are left out")
        return []
    blocks, said = part.blocks(time), f"{CROSS}; {FOUND if suffix else STAMPED}; n {len(distance)}"
    shares = {f"cross_camera_median_m{suffix}": 0.5, f"cross_camera_p90_m{suffix}": 0.9}
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
