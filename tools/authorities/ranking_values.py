"""Writes fixtures/authorities/ranking.json: small rankings and what trec_eval, ranx and the published definitions say.

Needs an environment of its own:
    python -m venv authorities && . authorities/bin/activate
    pip install numpy pytrec_eval-terrier==0.5.11 ranx==0.3.21
    python tools/authorities/ranking_values.py

trec_eval breaks ties by document; its figures over all orders of the tied documents are made by running it once
for each order. Re-identification has no library of one definition: `market` and `oxford_area` are written here
from the published ones, one query and one rank at a time.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from itertools import groupby, permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytrec_eval
import ranx

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "authorities" / "ranking.json"
COMMAND = "python tools/authorities/ranking_values.py"
CUTOFFS = (1, 3, 5, 10)
CUTS = ",".join(map(str, CUTOFFS))
TREC = {"map", "recip_rank", "ndcg"} | {f"{name}.{CUTS}" for name in ("P", "recall", "success", "ndcg_cut")}
RANX = ["map", "mrr", "ndcg", "ndcg_burges"]
RANX += [f"{name}@{k}" for name in ("hit_rate", "precision", "recall", "ndcg", "ndcg_burges") for k in CUTOFFS]

Values = dict[str, Any]
Grades = dict[str, dict[str, int]]
Scores = dict[str, dict[str, float]]


def judged_run(rng: np.random.Generator, levels: int, n_queries: int, pool: int) -> tuple[Grades, Scores]:
    """Graded judgements, and a run that is cut short, lacks queries, ranks unknown ones and has `levels` scores."""
    qrels: Grades = {}
    run: Scores = {}
    for q in range(n_queries):
        grades = np.minimum(rng.geometric(0.6, pool) - 1, 3)
        grades = np.where(rng.random(pool) < 0.1, -1, grades)
        if q % 5 == 3:
            grades = np.minimum(grades, 0)  # nothing is right
        judged = np.flatnonzero(rng.random(pool) < 0.7)
        qrels[f"q{q}"] = {f"d{i}": int(grades[i]) for i in judged}
        if q % 6 != 5:  # every sixth query is missing from the run
            listed = np.flatnonzero(rng.random(pool) < 0.6)
            run[f"q{q}"] = {f"d{i}": float(rng.integers(levels)) / levels for i in listed}
    run["stranger"] = {"d1": 0.5, "d2": 0.25}
    return qrels, run


def trec_values(qrels: Grades, run: Scores, level: int) -> Values:
    """trec_eval's figures by query."""
    return dict(sorted(pytrec_eval.RelevanceEvaluator(qrels, TREC, relevance_level=level).evaluate(run).items()))


def orders(items: dict[str, float]) -> Iterator[dict[str, float]]:
    """Every ranking of `items` that keeps to their scores, with scores that leave no ties."""
    ranked = sorted(items, key=lambda item: -items[item])
    ties = [list(permutations(tied)) for _, tied in groupby(ranked, key=lambda item: items[item])]
    for parts in product(*ties):
        order = [item for part in parts for item in part]
        yield {item: float(len(order) - place) for place, item in enumerate(order)}


def over_all_orders(qrels: Grades, run: Scores) -> Values:
    """Mean, largest and smallest of trec_eval's figures over all orders of the tied documents, by query."""
    out: Values = {"expected": {}, "optimistic": {}, "pessimistic": {}}
    for query in sorted(qrels.keys() & run.keys()):
        found = [trec_values(qrels, {query: order}, 1)[query] for order in orders(run[query])]
        table = np.array([[values[name] for name in sorted(values)] for values in found])
        for name, row in zip(out, (table.mean(axis=0), table.max(axis=0), table.min(axis=0)), strict=True):
            out[name][query] = dict(zip(sorted(found[0]), row.tolist(), strict=True))
    return out


def ranx_values(qrels: Grades, run: Scores) -> Values:
    """ranx' figures by query, over the queries that the run ranks."""
    shared = sorted(qrels.keys() & run.keys())
    truth = ranx.Qrels({q: {d: max(g, 0) for d, g in qrels[q].items()} for q in shared})
    ranked = ranx.Run({q: run[q] for q in shared})
    values = ranx.evaluate(truth, ranked, RANX, return_mean=False)
    return {q: {name: float(values[name][i]) for name in RANX} for i, q in enumerate(shared)}


def crowd(rng: np.random.Generator) -> Values:
    """Queries and gallery of ids, cameras and distances, with junk (-1), distractors (0) and lonely queries."""
    query = {"id": [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 11], "camera": rng.integers(0, 4, 12).tolist()}
    gallery = {"id": rng.integers(-1, 10, 90).tolist(), "camera": rng.integers(0, 4, 90).tolist()}
    far = np.not_equal.outer(query["id"], gallery["id"])
    distance = np.round(rng.random(far.shape) + 0.4 * far, 6)
    return {"query": query, "gallery": gallery, "distance": distance.tolist()}


def oxford_area(right: list[bool], n_right: int) -> float:
    """Average precision of Oxford buildings' compute_ap (Philbin et al. 2007), which Market-1501's first tool took."""
    recall_before, precision_before, found, area = 0.0, 1.0, 0, 0.0
    for rank, is_right in enumerate(right, 1):
        found += is_right
        recall, precision = found / n_right, found / rank
        area += (recall - recall_before) * (precision_before + precision) / 2
        recall_before, precision_before = recall, precision
    return area


def market(case: Values) -> list[Values]:
    """Market-1501's protocol for each query: junk goes, then CMC, AP and INP by going down the list."""
    out: list[Values] = []
    gallery = list(zip(case["gallery"]["id"], case["gallery"]["camera"], strict=True))
    for name, camera, distance in zip(*case["query"].values(), case["distance"], strict=True):
        right = []
        for row in sorted(range(len(gallery)), key=lambda i: distance[i]):
            if gallery[row][0] != -1 and gallery[row] != (name, camera):
                right.append(gallery[row][0] == name)
        ranks = [rank for rank, is_right in enumerate(right, 1) if is_right]
        out.append({"n_right": len(ranks), "ranked": len(right)})
        if ranks:
            out[-1]["map"] = sum(i / rank for i, rank in enumerate(ranks, 1)) / len(ranks)
            out[-1]["map_trapezoid"] = oxford_area(right, len(ranks))
            out[-1]["minp"] = len(ranks) / ranks[-1]
            out[-1]["first_rank"] = ranks[0]
    return out


def main() -> None:
    """Write the file whole."""
    qrels, run = judged_run(np.random.default_rng(1), levels=8, n_queries=24, pool=40)
    untied = judged_run(np.random.default_rng(2), levels=10**6, n_queries=24, pool=40)
    small = judged_run(np.random.default_rng(3), levels=4, n_queries=16, pool=11)
    reid = crowd(np.random.default_rng(4))
    content: Values = {
        "command": COMMAND,
        "versions": {name: version(name) for name in ("pytrec_eval-terrier", "ranx", "numpy")},
        "cutoffs": CUTOFFS,
        "listed": {"qrels": qrels, "run": run, "trec_eval": {n: trec_values(qrels, run, n) for n in (1, 2)}},
        "orders": {"qrels": small[0], "run": small[1], "trec_eval": over_all_orders(*small)},
        "untied": {"qrels": untied[0], "run": untied[1], "ranx": ranx_values(*untied)},
        "market": {**reid, "published": market(reid)},
    }
    part = OUT.with_suffix(".part")
    part.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(OUT)


if __name__ == "__main__":
    main()
