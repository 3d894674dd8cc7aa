"""SPED: fixed outdoor cameras recognized in another season (Chen et al. 2017), against a classical HOG descriptor.

What is learnt is learnt of the references alone. Settings were chosen on a third of the queries, drawn once: figures
of the other two thirds stand beside those of all.
"""

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from geoloc.evaluation.measures import of_mean, of_quantile
from geoloc.evaluation.queries import query_blocks
from geoloc.evaluation.report import NO_INTERVAL, Figure
from geoloc.evaluation.retrieval import RetrievalOptions, RetrievalRun, evaluate_retrieval, run_of_scores
from geoloc.evaluation.robustness.images import HOG_SIDE, RECALLS, ImageCase, describe_hog, image_case, place_run
from geoloc.files import read_numbers
from geoloc.metrics.judgements import Labelled
from geoloc.retrieval.places import PlaceOptions, Places, learn_places
from geoloc.retrieval.rows import Found

FIGURES = {"cmc@1": "recall_at_1", "cmc@5": "recall_at_5", "map": "map"}
DESCRIPTORS = ("places", "layout", "dense_vlad")
DRAW = 6  # the draw of the third that settings were chosen on
CUT = 0.12  # of the height, at the top and at the bottom: where cameras print their names and the time


def run(folder: Path) -> list[Figure]:
    """HOG and geoloc's own retrieval on the recording's pairs, beside the published answers of CoHOG."""
    case = image_case(folder / "SPED_Test")
    whole, part = _grey(case), f"all {len(case.queries)} queries"
    unseen = np.sort(np.random.default_rng(DRAW).permutation(len(case.queries))[len(case.queries) // 3 :])
    figures = peers(folder)
    for name in DESCRIPTORS:
        figures += _own(whole, name, unseen, part)
    return figures + _own((_cut(whole[0]), _cut(whole[1])), "places", unseen, f"{part}, without their edges")


def peers(folder: Path) -> list[Figure]:
    """HOG on the recording's pairs, and the published answers of CoHOG."""
    case = image_case(folder / "SPED_Test")
    part = f"all {len(case.queries)} queries"
    queries, references = (
        np.stack([describe_hog(image) for image in images]) for images in (case.queries, case.references)
    )
    figures = _figures(place_run("sped", queries, references, f"HOG {HOG_SIDE} px"), part, "")
    right = read_numbers(folder / "SPED_Test" / "cohog_correct.txt", 2)[:, 1]
    blocks, how_sure = query_blocks(len(right))
    said = "published CoHOG's answers, one right picture a query"
    return [*figures, of_mean("recall_at_1_peer", "%", said, right, blocks, 100).figure("sped", part, how_sure)]


def _own(images: tuple[list[np.ndarray], list[np.ndarray]], name: str, unseen: np.ndarray, part: str) -> list[Figure]:
    """Figures of a descriptor of GLOBALS; of the default also after re-ranking, its time and its memory."""
    queries, references = images
    places = learn_places(references, np.random.default_rng(0), options=PlaceOptions(name))
    searched, reranked, seconds = _answers(places, queries)
    others = f"{len(unseen)} queries that chose no setting" + part.partition("queries")[2]
    figures, steps = [], [(searched, ""), (reranked, "_reranked")]
    for scores, how in steps[: 2 if name == "places" else 1]:
        suffix = f"_{name}{how}"
        said = f"{name}{', the best 20 compared by patches' if how else ''}; learnt of the references"
        for rows, over in ((np.arange(len(queries)), part), (unseen, others)):
            figures += _figures(_run(scores, rows, said), over, suffix)
    return figures + (_costs(places, seconds, part) if name == "places" and "edges" not in part else [])


def _answers(places: Places, queries: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores (Q, N) of the search and after re-ranking, and seconds (Q, 2) of both."""
    n = len(places)
    searched, seconds = np.empty((len(queries), n)), np.empty((len(queries), 2))
    reranked = np.empty_like(searched)
    for row, image in enumerate(queries):
        start = time.perf_counter()
        every = places.search(image, n)
        middle = time.perf_counter()
        short = slice(PlaceOptions.shortlist)
        best = places.rerank(image, Found(every.ids[:, short], every.scores[:, short]))
        seconds[row] = middle - start, time.perf_counter() - middle
        searched[row, every.ids[0]] = every.scores[0]
        # what was not compared stays behind what was, in its order
        reranked[row] = searched[row] - searched[row].max() + best.scores[0].min() - 1.0
        reranked[row, best.ids[0]] = best.scores[0]
    return searched, reranked, seconds


def _run(scores: np.ndarray, rows: np.ndarray, said: str) -> RetrievalRun:
    number = np.arange(len(scores))
    places = Labelled(number, number, np.zeros(len(number), dtype=int))
    asked = Labelled(number[rows], number[rows], np.zeros(len(rows), dtype=int))
    return run_of_scores("sped", scores[rows], asked, places, "any_camera", said)


def _figures(run: RetrievalRun, part: str, suffix: str) -> list[Figure]:
    report = evaluate_retrieval(run, RetrievalOptions(cutoffs=RECALLS))
    return [replace(report.figure(key), figure=name + suffix, part=part) for key, name in FIGURES.items()]


def _costs(places: Places, seconds: np.ndarray, part: str) -> list[Figure]:
    blocks, how_sure = query_blocks(len(seconds))
    figures = [
        of_quantile(name, "ms", said, 1e3 * values, blocks).figure("sped", part, how_sure)
        for name, said, values in (
            ("search_ms", "describing and searching a query, median", seconds[:, 0]),
            ("rerank_ms", "comparing the best 20 by patches, median", seconds[:, 1]),
        )
    ]
    arrays = places.arrays()
    own = sum(arrays[name].nbytes for name in ("ids", "vectors", "layouts")) / len(places)
    learnt = sum(array.nbytes for array in arrays.values()) - own * len(places)
    for name, value, said in (
        ("memory_1000_images_mb", own / 1e3, "vectors in half precision and layouts, as stored"),
        ("memory_learnt_mb", learnt / 1e6, "vocabulary and whitening, whatever the number of images"),
    ):
        figures.append(Figure("sped", part, name, value, *NO_INTERVAL, "MB", said))
    return figures


def _grey(case: ImageCase) -> tuple[list[np.ndarray], list[np.ndarray]]:
    queries, references = (
        [np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) for image in images]
        for images in (case.queries, case.references)
    )
    return queries, references


def _cut(images: list[np.ndarray]) -> list[np.ndarray]:
    edges = [round(CUT * len(image)) for image in images]
    return [image[edge : len(image) - edge] for image, edge in zip(images, edges, strict=True)]
