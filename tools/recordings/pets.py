"""PETS 2009 S2.L1: one view of people on a campus, against the world tracks of 3DMOT 2015."""

from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import of_counts
from geoloc.evaluation.recording import reported
from geoloc.evaluation.report import Figure
from geoloc.files import find_files, read_numbers
from geoloc.io.calibrations import read_cameras
from geoloc.io.camera_parts import CameraOptions
from geoloc.io.detections import ReadOptions, read_detections
from geoloc.metrics.detection import score_positions
from geoloc.metrics.hota import HOTA_FIGURES, score_hota
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.metrics.tracking import CLEAR_FIGURES, IDENTITY_FIGURES, score_clear, score_identity
from geoloc.pipeline.localizer import LocalizerOptions
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections
from recordings.engine import run_online
from recordings.figures import Part, median_figure

FPS = 7.0
THRESHOLD = 1.0  # m, as 3DMOT 2015 has it
BLOCK_S = 10.0
ASSUMED_SIGMA = (0.002, 0.05)  # rad, m: the calibration states none
SEQUENCE = "3DMOT2015Labels/train/PETS09-S2L1"
PROTOCOL = f"view 1 alone, ground plane, Hungarian within {THRESHOLD:g} m, {FPS:g} frames/s, tracks online"
SOURCES = {"": ("det", "the benchmark's published detections"), "_true_boxes": ("gt", "true boxes without identities")}


def run(folder: Path) -> list[Figure]:
    """Tracks from the published detections, and from the true boxes, beside the world tracks."""
    site = read_site(folder)
    table = read_numbers(find_files(folder / SEQUENCE, "gt/gt.txt", "world tracks")[0], 9, ",")
    truth = Sightings(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 7:9])
    part = Part("pets2009", f"S2.L1, frames {truth.frame.min()}-{truth.frame.max()}", BLOCK_S)
    figures = []
    for suffix, (name, said) in SOURCES.items():
        figures += _figures(part, truth, site, read_boxes(folder, name), suffix, f"{PROTOCOL}, {said}")
    return figures


def read_site(folder: Path) -> Site:
    """View 1 above a level ground, z = 0, no datum."""
    options = CameraOptions(name="View_001", pose_sigma=ASSUMED_SIGMA)
    cameras = read_cameras(folder / SEQUENCE / "maps" / "View_001.xml", options=options)
    return Site("pets2009", cameras, SiteMap((Level("ground", (Surface(),)),)))


def read_boxes(folder: Path, name: str) -> Detections:
    """The boxes of `det` or `gt`, without identities; frame 1 is at 1 / FPS s."""
    file = folder / SEQUENCE / name / f"{name}.txt"
    return read_detections(file, "mot", ReadOptions(camera="View_001", fps=FPS, start=1 / FPS)).detections


def _figures(
    part: Part, truth: Sightings, site: Site, detections: Detections, suffix: str, said: str
) -> list[Figure]:
    tracks = reported(run_online(detections, site, LocalizerOptions()).tracks)
    result = Sightings(np.rint(tracks.time * FPS).astype(int), tracks.track, tracks.xy)
    pairs = pair_positions(truth, result, 2 * THRESHOLD)
    clear, identity, hota = score_clear(pairs, 0.5), score_identity(pairs, 0.5), score_hota(pairs)
    blocks = part.blocks(pairs.frames / FPS)
    wide = f"{said}; similarity 0 at {2 * THRESHOLD:g} m"
    figures = [
        of_counts("idf1" + suffix, "%", said, identity.counts, blocks, IDENTITY_FIGURES["idf1"], 100),
        of_counts("mota" + suffix, "%", said, clear.counts, blocks, CLEAR_FIGURES["mota"], 100),
        of_counts("hota" + suffix, "%", wide, hota.counts, blocks, HOTA_FIGURES["hota"], 100),
        of_counts("id_switches" + suffix, "", said, clear.counts, blocks, lambda n: n[..., 3]),
        of_counts("precision" + suffix, "%", said, clear.counts, blocks, CLEAR_FIGURES["precision"], 100),
        of_counts("recall" + suffix, "%", said, clear.counts, blocks, CLEAR_FIGURES["recall"], 100),
    ]
    n_people = len(np.unique(truth.id))
    ids = part.figure("ids" + suffix, len(np.unique(result.id)), "", f"{said}; {n_people} people")
    matches = score_positions(truth, result, THRESHOLD)
    distance = np.linalg.norm(truth.where[matches.truth] - result.where[matches.result], axis=1)
    error = median_figure(part, "position_error_median_m" + suffix, distance, truth.frame[matches.truth] / FPS, said)
    return [*(part.measured(measure) for measure in figures), ids, error]
