"""SPED: fixed outdoor cameras recognized in another season (Chen et al. 2017), by a classical HOG descriptor."""

from pathlib import Path

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.measures import Blocks, of_counts
from geoloc.evaluation.report import Figure
from geoloc.files import find_files, read_numbers
from geoloc.metrics.judgements import Labelled
from geoloc.metrics.judging import judge_identities
from geoloc.metrics.ranking import RankingScores, mean_of_counts, score_rankings
from recordings.figures import Part

SIDE = 512  # px; as VPR-Bench (Zaffar et al. 2021) sets HOG up: 16 px cells, blocks of 2 x 2, 9 bins
CELL = 16
FIGURES = {"recall_at_1": "hit_rate@1", "recall_at_5": "hit_rate@5", "map": "map"}
RIGHT = "one right picture a query, found if among the first k"


def run(folder: Path) -> list[Figure]:
    """HOG against the recording's own pairs, beside the published answers of CoHOG."""
    folder = folder / "SPED_Test"
    query, reference = describe(folder / "query"), describe(folder / "ref")
    if len(query) != len(reference):
        raise InputError(f"{folder}: {len(query)} queries, {len(reference)} references; each query has its own")
    scores = place_scores(query, reference)
    part = Part("sped", f"all {len(query)} queries", 0.0)
    said = f"HOG {SIDE} px, cosine; {RIGHT}; {scores.ties} order of ties"
    figures = [_figure(part, name, scores.counts(key), said) for name, key in FIGURES.items()]
    right = read_numbers(folder / "cohog_correct.txt", 2)[:, 1]
    counts = np.stack([right, np.ones(len(right))], axis=1)
    return [*figures, _figure(part, "recall_at_1_peer", counts, f"published CoHOG's answers; {RIGHT}")]


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


def place_scores(query: np.ndarray, reference: np.ndarray) -> RankingScores:
    """Scores of descriptors (N, D) whose rows belong together, by cosine."""
    number = np.arange(len(query))
    places = Labelled(number, number, np.zeros(len(number), dtype=int))
    return score_rankings(judge_identities(query @ reference.T, places, places, "any_camera"), (1, 5))


def _figure(part: Part, name: str, counts: np.ndarray, protocol: str) -> Figure:
    """Mean over queries in per cent, of values and ones (Q, 2)."""
    measure = of_counts(name, "%", protocol, counts, Blocks(np.arange(len(counts)), len(counts)), mean_of_counts, 100)
    return part.measured(measure, "queries")
