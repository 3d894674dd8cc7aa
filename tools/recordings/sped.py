"""SPED: fixed outdoor cameras recognized in another season (Chen et al. 2017), by a classical HOG descriptor."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.measures import of_mean
from geoloc.evaluation.queries import query_blocks
from geoloc.evaluation.report import Figure, Report
from geoloc.evaluation.retrieval import RetrievalOptions, evaluate_retrieval, run_of_scores
from geoloc.files import find_files, read_numbers
from geoloc.metrics.judgements import Labelled

SIDE = 512  # px; as VPR-Bench (Zaffar et al. 2021) sets HOG up: 16 px cells, blocks of 2 x 2, 9 bins
CELL = 16
FIGURES = {"cmc@1": "recall_at_1", "cmc@5": "recall_at_5", "map": "map"}


def run(folder: Path) -> list[Figure]:
    """HOG against the recording's own pairs, beside the published answers of CoHOG."""
    folder = folder / "SPED_Test"
    query, reference = describe(folder / "query"), describe(folder / "ref")
    if len(query) != len(reference):
        raise InputError(f"{folder}: {len(query)} queries, {len(reference)} references; each query has its own")
    report, part = place_report(query, reference), f"all {len(query)} queries"
    figures = [replace(report.figure(key), figure=name, part=part) for key, name in FIGURES.items()]
    right = read_numbers(folder / "cohog_correct.txt", 2)[:, 1]
    blocks, how_sure = query_blocks(len(right))
    said = "published CoHOG's answers, one right picture a query"
    peer = of_mean("recall_at_1_peer", "%", said, right, blocks, 100)
    return [*figures, peer.figure("sped", part, how_sure)]


def describe(folder: Path) -> np.ndarray:
    """Unit HOG descriptors (N, D) of a folder's pictures, in the order of their names."""
    hog = cv2.HOGDescriptor((SIDE, SIDE), (2 * CELL, 2 * CELL), (CELL, CELL), (CELL, CELL), 9)
    rows = []
    for path in find_files(folder, "*.jpg", "pictures"):
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise InputError(f"{path}: not a picture that can be read; fetch it again")
        rows.append(np.ravel(hog.compute(cv2.resize(picture, (SIDE, SIDE)))))
    table = np.array(rows, np.float32)
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12))


def place_report(query: np.ndarray, reference: np.ndarray) -> Report:
    """Report on descriptors (N, D) whose rows belong together, by cosine."""
    number = np.arange(len(query))
    places = Labelled(number, number, np.zeros(len(number), dtype=int))
    run = run_of_scores("sped", query @ reference.T, places, places, "any_camera", f"HOG {SIDE} px, cosine")
    return evaluate_retrieval(run, RetrievalOptions(cutoffs=(1, 5)))
