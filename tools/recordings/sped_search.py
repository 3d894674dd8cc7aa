"""SPED: each stage of re-ranking on the vectors of scenes in another season, and the chain that chooses its stages.

A view is a picture; there are no tracks, so what needs them changes nothing, and the chain has nothing to judge by but
labels: those of a third of the queries, drawn once, whose figures stand apart.
"""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from geoloc.evaluation.measures import Measure, difference, of_counts
from geoloc.evaluation.queries import query_blocks
from geoloc.evaluation.report import Figure
from geoloc.evaluation.robustness.images import image_case
from geoloc.features.parts import View
from geoloc.metrics.judging import judge_rows
from geoloc.metrics.ranking import mean_of_counts, score_rankings
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.places import learn_places
from geoloc.retrieval.rerank.chain import label_judge, learn_chain
from geoloc.retrieval.rerank.stages import STAGES, compare, rerank
from recordings.sped import DRAW

SAID = "R@1 of pictures by the descriptor learnt of the references, {}; queries that taught the chain nothing"


def run(folder: Path) -> list[Figure]:
    """R@1 of the vectors alone, after every stage, and after the chain."""
    case = image_case(folder / "SPED_Test")
    queries, references = (
        [np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) for image in images]
        for images in (case.queries, case.references)
    )
    places = learn_places(references, np.random.default_rng(0))
    asked = _looks(np.stack([places.descriptor.describe(View(image)) for image in queries]), "now", len(references))
    held = _looks(places.vectors, "then", 0)
    drawn = np.random.default_rng(DRAW).permutation(len(queries))
    teach, rest = (np.sort(part) for part in np.split(drawn, [len(queries) // 3]))
    chain = learn_chain(label_judge(asked.take(teach), held))
    ways = {"single": (), **{name: (name,) for name in STAGES}, "chain": chain.stages}
    measures = {name: _measure(name, asked.take(rest), held, stages) for name, stages in ways.items()}
    part, sure = f"{len(rest)} queries, search", query_blocks(len(rest))[1]
    figures = [measure.figure("sped", part, sure) for measure in measures.values()]
    for name in (*STAGES, "chain"):
        gained = difference(measures[name], measures["single"], part)
        said = f"{gained.protocol}; over the vectors alone, p {gained.p_value:.2g}"
        base = replace(figures[0], figure=f"search_gain_{name}", value=gained.difference, protocol=said)
        figures.append(replace(base, low=gained.low, high=gained.high))
    return figures


def _looks(vectors: np.ndarray, camera: str, first_id: int) -> Looks:
    n = len(vectors)
    return Looks(id=first_id + np.arange(n), camera=np.full(n, camera), object=np.arange(n), vector=vectors)


def _measure(name: str, asked: Looks, held: Looks, stages: tuple[str, ...]) -> Measure:
    scores = rerank(compare(asked, held), stages).scores
    grades = (asked.object[:, None] == held.object).astype(int)
    found = score_rankings(judge_rows(asked.id, scores, grades), (1,))
    how = SAID.format(", ".join(stages) or "no stage")
    counts, blocks = found.counts("hit_rate@1"), query_blocks(len(asked))[0]
    return of_counts(f"search_recall_at_1_{name}", "%", how, counts, blocks, mean_of_counts, 100)
