"""CMC: people in a room, without truth: how many there are, and agreement with a published tracker."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import shapely

from geoloc.evaluation.measures import of_counts
from geoloc.evaluation.recording import reported
from geoloc.evaluation.report import Figure
from geoloc.io.cmc import FPS, TRACKED, read_cmc, read_cmc_tracks
from geoloc.io.truth import GroundTruth
from geoloc.metrics.detection import DETECTION_FIGURES, score_positions
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import IDENTITY_FIGURES, score_identity
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, Tracks
from recordings.engine import linked, run_online
from recordings.figures import Part, mean_figure, median_figure

THRESHOLD = 0.5  # m
BLOCK_S = 5.0
PEOPLE = {"CMC1": 3, "CMC4": 3}  # who walk through the room; in no image of CMC4 are more boxes of a score of 0.5
ROOM = "part of the room that the published tracker covers, 4 frames/s"
LINKED = f"the whole recording linked, {ROOM}"
AGREEMENT = f"the published tracker's output in place of truth, Hungarian within {THRESHOLD} m, {ROOM}"


def run(folder: Path) -> list[Figure]:
    """Every sequence under `fairmot`, with and without the appearance vectors."""
    figures: list[Figure] = []
    for sequence in sorted(path.name for path in (folder / "fairmot").glob("*") if path.is_dir()):
        site, detections = read_cmc(folder, sequence)
        file = folder / f"EST_{sequence}_WORLD_CENTROID.txt"
        peer = read_cmc_tracks(folder, sequence) if file.is_file() else GroundTruth()
        figures += _sequence_figures(sequence, site, detections, peer, "")
        plain = detections.replace(embedding=np.zeros((len(detections), 0)))
        figures += _sequence_figures(sequence, site, plain, peer, "_without_appearance")
    return figures


def frame_of(time: np.ndarray) -> np.ndarray:
    """The recording's frame number, from 0, of times (N,) s."""
    return np.rint(np.asarray(time) * FPS).astype(int)


def _sequence_figures(
    sequence: str, site: Site, detections: Detections, peer: GroundTruth, suffix: str
) -> list[Figure]:
    frames = np.unique(frame_of(detections.time))
    part = Part("cmc", f"{sequence} frames {frames[0]}-{frames[-1]}", BLOCK_S)
    online = run_online(detections, site, LocalizerOptions())
    tracks = _in_room(reported(online.tracks))
    whole = _in_room(reported(linked(online, site, LocalizerOptions()).tracks))
    people = _per_frame(frames, tracks.time)
    what = f"confirmed tracks online, {ROOM}"
    figures = [
        mean_figure(part, "people_mean" + suffix, people, frames / FPS, "", what),
        part.figure("ids" + suffix, len(np.unique(tracks.track)), "", what + _people(sequence)),
        part.figure("ids_linked" + suffix, len(np.unique(whole.track)), "", f"{LINKED}{_people(sequence)}"),
    ]
    if not len(peer):
        return figures
    known = _per_frame(frames, peer.time)
    difference = np.abs(people - known)
    name = "people_difference_mean" + suffix
    figures.append(mean_figure(part, name, difference, frames / FPS, "", AGREEMENT))
    result = Sightings(frame_of(tracks.time), tracks.track, tracks.xy)
    figures += _agreement_figures(part, Sightings(frame_of(peer.time), peer.id, peer.xy), result, suffix)
    if not suffix:
        said = f"published tracker, {ROOM}"
        figures.append(mean_figure(part, "people_mean_peer", known, frames / FPS, "", said))
        figures.append(part.figure("ids_peer", len(np.unique(peer.id)), "", said))
    return figures


def _in_room(tracks: Tracks) -> Tracks:
    return tracks.take(shapely.intersects_xy(shapely.box(*TRACKED), tracks.xy[:, 0], tracks.xy[:, 1]))


def _people(sequence: str) -> str:
    """How many people there were, where that is known."""
    return f"; {PEOPLE[sequence]} people" if sequence in PEOPLE else ""


def _per_frame(frames: np.ndarray, time: np.ndarray) -> np.ndarray:
    """How many rows with times (N,) fall on each of the frames (F,)."""
    seen, count = np.unique(frame_of(time), return_counts=True)
    number = dict(zip(seen.tolist(), count.tolist(), strict=True))
    return np.array([number.get(frame, 0) for frame in frames.tolist()], float)


def _agreement_figures(part: Part, peer: Sightings, result: Sightings, suffix: str) -> list[Figure]:
    scores = score_positions(peer, result, THRESHOLD)
    identity = score_identity(pair_positions(peer, result, 2 * THRESHOLD), 0.5)
    distance = np.linalg.norm(peer.where[scores.truth] - result.where[scores.result], axis=1)
    blocks = part.blocks(scores.frames / FPS)
    shares = [
        of_counts("agreement_precision", "%", AGREEMENT, scores.counts, blocks, DETECTION_FIGURES["precision"], 100),
        of_counts("agreement_recall", "%", AGREEMENT, scores.counts, blocks, DETECTION_FIGURES["recall"], 100),
        of_counts("agreement_idf1", "%", AGREEMENT, identity.counts, blocks, IDENTITY_FIGURES["idf1"], 100),
    ]
    time = peer.frame[scores.truth] / FPS
    figures = [part.measured(replace(measure, name=measure.name + suffix)) for measure in shares]
    return [*figures, median_figure(part, "agreement_median_m" + suffix, distance, time, AGREEMENT)]
