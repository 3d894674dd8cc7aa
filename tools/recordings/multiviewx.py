"""MultiviewX: boxes of up to 6 cameras of a rendered square against true positions and identities."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import of_counts
from geoloc.evaluation.recording import reported
from geoloc.evaluation.report import Figure
from geoloc.io.multiviewx import FRAMES_PER_SECOND, read_multiviewx, read_multiviewx_truth
from geoloc.metrics.detection import score_positions
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import CLEAR_FIGURES, IDENTITY_FIGURES, score_clear, score_identity
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Objects, Tracks
from recordings.engine import REAL, fuse_alone, run_online, smoothed
from recordings.figures import GroundErrors, Part, detection_figures, median_figure, nees_figure

THRESHOLD = 0.5  # m
TRUTH_SIGMA = 0.025 / np.sqrt(12.0)  # m per axis: positions are cells of 2.5 cm
N_ORDERS, ORDER_SEED = 6, 3
BLOCK_S = 0.5  # a frame: so few lie here that longer blocks would leave none to draw from
PROTOCOL = f"ground plane, Hungarian within {THRESHOLD} m, 2 frames/s assumed"
TRACKING = f"{PROTOCOL}, CLEAR MOT and identity scores as TrackEval has them"


def run(folder: Path) -> list[Figure]:
    """Fused positions, tracks online and smoothed, and fusion alone."""
    site, detections = read_multiviewx(folder)
    people = read_multiviewx_truth(folder)
    truth = Sightings(frame_of(people.time), people.id, people.xy)
    part = Part("multiviewx", f"frames {truth.frame.min()}-{truth.frame.max()}", BLOCK_S)
    options = LocalizerOptions()
    online = run_online(detections, site, options)
    tracks = reported(online.tracks)
    fused = online.objects.take(online.objects.score >= REAL)
    alone = fuse_alone(detections, site, options)
    offline = smoothed(online, site, options)
    figures = _object_figures(part, truth, fused, "", "fused positions of the online engine")
    figures += _scores(part, truth, tracks.time, tracks.xy, "", "tracks online")
    figures += _identity_figures(part, truth, tracks, "")
    figures += _track_figures(part, truth, tracks, "_tracks", "tracks online")
    figures += _scores(part, truth, offline.time, offline.xy, "_offline", "tracks smoothed offline")
    figures += _track_figures(part, truth, offline, "_offline", "tracks smoothed offline")
    alone = alone.take(alone.score >= REAL)
    figures += _scores(part, truth, alone.time, alone.xyz[:, :2], "_fusion", "fusion alone")
    figures += _object_figures(part, truth, alone, "_fusion", "fusion alone")
    figures.append(_order_figure(part, site, detections, tracks))
    return figures + _one_camera_less(part, truth, site, detections)


def frame_of(time: np.ndarray) -> np.ndarray:
    """The recording's frame number of times (N,) s."""
    return np.rint(np.asarray(time) * FRAMES_PER_SECOND).astype(int)


def _order_figure(part: Part, site: Site, detections: Detections, tracks: Tracks) -> Figure:
    """How far tracks move when the site's cameras, their boxes, or both come in another order."""
    rng = np.random.default_rng(ORDER_SEED)
    worst = 0.0
    for _ in range(N_ORDERS):
        cameras = tuple(site.cameras[i] for i in rng.permutation(len(site.cameras)))
        shuffled = detections.take(rng.permutation(len(detections)))
        other = reported(run_online(shuffled, replace(site, cameras=cameras), LocalizerOptions()).tracks)
        worst = max(worst, _apart(tracks, other))
    said = f"tracks online, cameras and boxes in {N_ORDERS} other orders; largest distance of a position from"
    return part.figure("order_moves_m", worst, "m", f"{said} the one of the same number and time; infinite: another")


def _apart(a: Tracks, b: Tracks) -> float:
    """Largest distance (m) between positions of the same numbers at the same times; infinite where they differ."""
    a, b = (tracks.take(np.lexsort((tracks.track, tracks.time))) for tracks in (a, b))
    if len(a) != len(b) or not (np.array_equal(a.track, b.track) and np.allclose(a.time, b.time)):
        return float("inf")
    return float(np.linalg.norm(a.xy - b.xy, axis=1).max(initial=0.0))


def _one_camera_less(part: Part, truth: Sightings, site: Site, detections: Detections) -> list[Figure]:
    """Detection and identity scores with each camera removed in turn: the worst and the best of them."""
    scores: dict[str, dict[str, float]] = {"moda": {}, "idf1": {}}
    for camera in site.cameras:
        others = tuple(other for other in site.cameras if other.name != camera.name)
        kept = detections.take(detections.camera != camera.name)
        tracks = reported(run_online(kept, replace(site, cameras=others), LocalizerOptions()).tracks)
        result = Sightings(frame_of(tracks.time), tracks.track, tracks.xy)
        pairs = pair_positions(truth, result, 2 * THRESHOLD)
        scores["moda"][camera.name] = score_clear(pairs, 0.5).moda
        scores["idf1"][camera.name] = score_identity(pairs, 0.5).idf1
    figures = []
    for name, found in scores.items():
        each = ", ".join(f"without {camera} {100 * value:.1f}" for camera, value in found.items())
        said = f"{TRACKING}, tracks online, each of {len(found)} cameras removed in turn: {each}"
        for which, value in (("worst", min(found.values())), ("best", max(found.values()))):
            figures.append(part.figure(f"{name}_one_camera_less_{which}", 100 * value, "%", said))
    return figures


def _scores(
    part: Part, truth: Sightings, time: np.ndarray, xy: np.ndarray, suffix: str, what: str
) -> list[Figure]:
    scores = score_positions(truth, Sightings.unnamed(frame_of(time), xy), THRESHOLD)
    return detection_figures(part, scores, scores.frames / FRAMES_PER_SECOND, suffix, f"{PROTOCOL}, {what}")


def _object_figures(part: Part, truth: Sightings, objects: Objects, suffix: str, what: str) -> list[Figure]:
    cov = (objects.cov + objects.bias_cov)[:, :2, :2]
    errors = _errors(truth, objects.time, objects.xyz[:, :2], cov)
    return _error_figures(part, errors, suffix, what)


def _track_figures(part: Part, truth: Sightings, tracks: Tracks, suffix: str, what: str) -> list[Figure]:
    return _error_figures(part, _errors(truth, tracks.time, tracks.xy, tracks.position_cov), suffix, what)


def _errors(truth: Sightings, time: np.ndarray, xy: np.ndarray, cov: np.ndarray) -> GroundErrors:
    scores = score_positions(truth, Sightings.unnamed(frame_of(time), xy), THRESHOLD)
    rows = scores.result
    return GroundErrors(
        error=xy[rows] - truth.where[scores.truth],
        cov=cov[rows] + TRUTH_SIGMA**2 * np.eye(2),
        time=time[rows],
    )


def _error_figures(part: Part, errors: GroundErrors, suffix: str, what: str) -> list[Figure]:
    said = f"{PROTOCOL}, {what}, matched positions"
    distance = np.linalg.norm(errors.error, axis=1)
    return [
        median_figure(part, "position_error_median_m" + suffix, distance, errors.time, said),
        nees_figure(part, errors, suffix, f"{said}; cov + bias_cov + the truth's cells of 2.5 cm"),
    ]


def _identity_figures(part: Part, truth: Sightings, tracks: Tracks, suffix: str) -> list[Figure]:
    result = Sightings(frame_of(tracks.time), tracks.track, tracks.xy)
    pairs = pair_positions(truth, result, 2 * THRESHOLD)
    clear, identity = score_clear(pairs, 0.5), score_identity(pairs, 0.5)
    blocks, said = part.blocks(pairs.frames / FRAMES_PER_SECOND), f"{TRACKING}, tracks online"
    switches = of_counts("id_switches" + suffix, "", said, clear.counts, blocks, lambda n: n[..., 3])
    mota = of_counts("mota" + suffix, "%", said, clear.counts, blocks, CLEAR_FIGURES["mota"], 100)
    idf1 = of_counts("idf1" + suffix, "%", said, identity.counts, blocks, IDENTITY_FIGURES["idf1"], 100)
    return [part.measured(measure) for measure in (switches, mota, idf1)]
