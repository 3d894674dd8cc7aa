"""SPED: fixed outdoor cameras recognized in another season (Chen et al. 2017), by a classical HOG descriptor."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from geoloc.evaluation.measures import of_mean
from geoloc.evaluation.queries import query_blocks
from geoloc.evaluation.report import Figure
from geoloc.evaluation.retrieval import RetrievalOptions, evaluate_retrieval
from geoloc.evaluation.robustness.images import HOG_SIDE, RECALLS, describe_hog, image_case, place_run
from geoloc.files import read_numbers

FIGURES = {"cmc@1": "recall_at_1", "cmc@5": "recall_at_5", "map": "map"}


def run(folder: Path) -> list[Figure]:
    """HOG against the recording's own pairs, beside the published answers of CoHOG."""
    folder = folder / "SPED_Test"
    case = image_case(folder)
    queries, references = (
        np.stack([describe_hog(image) for image in images]) for images in (case.queries, case.references)
    )
    hog = place_run("sped", queries, references, f"HOG {HOG_SIDE} px")
    report, part = evaluate_retrieval(hog, RetrievalOptions(cutoffs=RECALLS)), f"all {len(queries)} queries"
    figures = [replace(report.figure(key), figure=name, part=part) for key, name in FIGURES.items()]
    right = read_numbers(folder / "cohog_correct.txt", 2)[:, 1]
    blocks, how_sure = query_blocks(len(right))
    said = "published CoHOG's answers, one right picture a query"
    peer = of_mean("recall_at_1_peer", "%", said, right, blocks, 100)
    return [*figures, peer.figure("sped", part, how_sure)]
