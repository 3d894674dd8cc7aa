"""WILDTRACK: boxes of up to 7 cameras on a plaza against true positions on its ground."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.evaluation.recording import reported
from geoloc.evaluation.report import Figure
from geoloc.io.wildtrack import FPS, read_wildtrack, read_wildtrack_positions, read_wildtrack_truth
from geoloc.metrics.detection import DetectionScores, score_positions
from geoloc.metrics.matching import Sightings
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Objects, Tracks
from recordings.engine import REAL, fuse_alone, run_online, smoothed
from recordings.figures import (
    GroundErrors,
    Part,
    coverage_figures,
    detection_figures,
    nees_figure,
)

logger = logging.getLogger(__name__)

THRESHOLD = 0.5  # m
TRUTH_SIGMA = 0.045  # m per axis, of the annotated positions
BLOCK_S = 1.0
PROTOCOL = f"ground plane, Hungarian within {THRESHOLD} m, annotated area, 2 frames/s"
NEES_PROTOCOL = f"{PROTOCOL}; cov + bias_cov + {TRUTH_SIGMA}^2 m2 of truth noise per axis, matched positions"


@dataclass(frozen=True, eq=False)
class Plaza:
    """The truth of the frames that are scored, and where and when positions count."""

    truth: Sightings
    frames: np.ndarray
    area: shapely.Polygon

    def score(self, time: np.ndarray, xy: np.ndarray) -> tuple[DetectionScores, np.ndarray]:
        """Scores of positions (N, 2) at times (N,), and the rows that lie in the area and frames scored."""
        frame = frame_of(time)
        counts = np.isin(frame, self.frames) & shapely.intersects_xy(self.area, xy[:, 0], xy[:, 1])
        rows = np.flatnonzero(counts)
        return score_positions(self.truth, Sightings.unnamed(frame[rows], xy[rows]), THRESHOLD), rows


def run(folder: Path) -> list[Figure]:
    """Fusion alone, online, smoothed, and the published detector's positions where they lie there."""
    site, detections = read_wildtrack(folder)
    plaza = _plaza(folder, site, detections.time)
    part = Part("wildtrack", f"frames {plaza.frames[0]}-{plaza.frames[-1]}", BLOCK_S)
    options = LocalizerOptions()
    online = run_online(detections, site, options)
    alone = _real(fuse_alone(detections, site, options))
    offline = smoothed(online, site, options)
    figures = _track_figures(part, plaza, reported(online.tracks), "", "_tracks")
    figures += _track_figures(part, plaza, offline, "_offline", "_offline")
    figures += _position_figures(part, plaza, alone.time, alone.xyz[:, :2], "_fusion", "fusion alone")
    figures += _nees_figures(part, plaza, _real(online.objects))
    figures.append(nees_figure(part, _errors(plaza, alone)[0], "_fusion", f"{NEES_PROTOCOL}, fusion alone"))
    return figures + _peer_figures(folder, part, plaza)


def frame_of(time: np.ndarray) -> np.ndarray:
    """The recording's frame number of times (N,) s."""
    return np.rint(np.asarray(time) * FPS).astype(int)


def _plaza(folder: Path, site: Site, box_time: np.ndarray) -> Plaza:
    truth = read_wildtrack_truth(folder)
    frames = np.intersect1d(frame_of(truth.time), frame_of(box_time))
    if not len(frames):
        raise InputError(f"{folder}: no frame has both boxes and true positions")
    kept = np.isin(frame_of(truth.time), frames)
    area = next(zone.polygon for zone in site.site_map.zones if zone.kind == "area_of_interest")
    return Plaza(Sightings.unnamed(frame_of(truth.time[kept]), truth.xy[kept]), frames, area)


def _peer_figures(folder: Path, part: Part, plaza: Plaza) -> list[Figure]:
    """The published detector's positions, where its file covers every frame that is scored."""
    file = folder / "mvdet_positions.txt"
    if not file.is_file():
        return []
    peer = read_wildtrack_positions(file)
    if not np.isin(plaza.frames, frame_of(peer.time)).all():
        logger.warning("wildtrack: %s does not cover the frames scored; peer figures are left out", file.name)
        return []
    return _position_figures(part, plaza, peer.time, peer.xy, "_peer", "published MVDet positions")


def _real(objects: Objects) -> Objects:
    return objects.take(objects.score >= REAL)


def _position_figures(
    part: Part, plaza: Plaza, time: np.ndarray, xy: np.ndarray, suffix: str, what: str
) -> list[Figure]:
    scores, _ = plaza.score(time, xy)
    return detection_figures(part, scores, scores.frames / FPS, suffix, f"{PROTOCOL}, {what}")


def _track_figures(part: Part, plaza: Plaza, tracks: Tracks, suffix: str, nees_suffix: str) -> list[Figure]:
    what = "tracks smoothed offline" if suffix else "tracks online, as confirmed and seen"
    figures = _position_figures(part, plaza, tracks.time, tracks.xy, suffix, what)
    scores, rows = plaza.score(tracks.time, tracks.xy)
    matched = rows[scores.result]
    errors = GroundErrors(
        error=tracks.xy[matched] - plaza.truth.where[scores.truth],
        cov=tracks.position_cov[matched] + TRUTH_SIGMA**2 * np.eye(2),
        time=tracks.time[matched],
    )
    return [*figures, nees_figure(part, errors, nees_suffix, f"{NEES_PROTOCOL}, {what}")]


def _errors(plaza: Plaza, objects: Objects) -> tuple[GroundErrors, np.ndarray, float]:
    """Errors of the matched fused positions, how many cameras each has, and the share left unmatched."""
    scores, rows = plaza.score(objects.time, objects.xyz[:, :2])
    matched = rows[scores.result]
    errors = GroundErrors(
        error=objects.xyz[matched, :2] - plaza.truth.where[scores.truth],
        cov=(objects.cov + objects.bias_cov)[matched, :2, :2] + TRUTH_SIGMA**2 * np.eye(2),
        time=objects.time[matched],
    )
    return errors, objects.n_cameras[matched], 1.0 - len(matched) / max(len(rows), 1)


def _nees_figures(part: Part, plaza: Plaza, objects: Objects) -> list[Figure]:
    """NEES of the engine's fused positions, coverage, what was left out, and NEES by number of cameras."""
    errors, n_cameras, left_out = _errors(plaza, objects)
    said = f"{NEES_PROTOCOL}, fused positions of the online engine"
    figures = [nees_figure(part, errors, "", said), *coverage_figures(part, errors, "", said)]
    beyond = f"{said}; share beyond {THRESHOLD} m"
    figures.append(part.figure("nees_left_out", 100 * left_out, "%", beyond))
    for n in np.unique(n_cameras).tolist():
        figures.append(nees_figure(part, errors.take(n_cameras == n), f"_cameras_{n}", said))
    return figures
