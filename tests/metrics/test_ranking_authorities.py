"""Ranking figures are held against trec_eval, ranx and the published definitions of re-identification."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoloc.metrics.judgements import Judgements, Labelled, Run
from geoloc.metrics.judging import judge_identities, judge_run, judge_search
from geoloc.metrics.ranking import RankingScores, score_rankings

ROOT = Path(__file__).resolve().parents[2]
EXACT = 1e-9
TREC_NAMES = {
    "map": "map",
    "recip_rank": "mrr",
    "ndcg": "ndcg",
    "P": "precision",
    "recall": "recall",
    "success": "hit_rate",
    "ndcg_cut": "ndcg",
}
RANX_NAMES = {"ndcg_burges": "ndcg_exp"}


@pytest.fixture(scope="module")
def authority() -> dict:
    return json.loads((ROOT / "fixtures" / "authorities" / "ranking.json").read_text())


def scores_of(case: dict, cutoffs: list, **how) -> RankingScores:
    rankings = judge_run(Judgements.from_dict(case["qrels"]), Run.from_dict(case["run"]))
    return score_rankings(rankings, cutoffs, **how)


def assert_same(scores: RankingScores, expected: dict, ours_of) -> None:
    """Every figure of every query is the expected one, and the queries are the same."""
    assert scores.query.tolist() == sorted(expected)
    for name in next(iter(expected.values())):
        theirs = [expected[query][name] for query in sorted(expected)]
        ours = scores.values[ours_of(name)]
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=EXACT, err_msg=name)


def of_trec(name: str) -> str:
    stem, _, cut = name.rpartition("_")
    return f"{TREC_NAMES[stem]}@{cut}" if cut.isdigit() else TREC_NAMES[name]


def of_ranx(name: str) -> str:
    stem, at, cut = name.partition("@")
    return RANX_NAMES.get(stem, stem) + at + cut


@pytest.mark.parametrize("level", [1, 2])
def test_figures_are_trec_evals_where_queries_lack_answers_and_ties_abound(authority: dict, level: int) -> None:
    scores = scores_of(authority["listed"], authority["cutoffs"], ties="listed", queries="trec_eval", least_grade=level)
    assert_same(scores, authority["listed"]["trec_eval"][str(level)], of_trec)
    assert scores.tied > 5
    assert scores.missing > 0
    assert scores.without_positive > 0
    assert scores.unknown == 1


@pytest.mark.parametrize("ties", ["expected", "optimistic", "pessimistic"])
def test_ties_are_trec_evals_over_all_orders_of_the_tied(authority: dict, ties: str) -> None:
    scores = scores_of(authority["orders"], authority["cutoffs"], ties=ties, queries="trec_eval")
    assert_same(scores, authority["orders"]["trec_eval"][ties], of_trec)


def test_the_ways_with_ties_differ_on_this_input(authority: dict) -> None:
    # otherwise the tests above could not tell them apart
    best, mean, worst = (
        scores_of(authority["orders"], [1], ties=ties).figure("map")
        for ties in ("optimistic", "expected", "pessimistic")
    )
    assert best - mean > 0.02  # 0.032
    assert mean - worst > 0.02  # see above


def test_figures_are_ranxs_where_there_are_no_ties(authority: dict) -> None:
    scores = scores_of(authority["untied"], authority["cutoffs"], queries="trec_eval")
    assert scores.tied == 0
    assert_same(scores, authority["untied"]["ranx"], of_ranx)


def test_trec_evals_two_averages_and_ours_differ_only_in_the_queries(authority: dict) -> None:
    expected = authority["listed"]["trec_eval"]["1"]
    values = [row["map"] for row in expected.values()]
    qrels = authority["listed"]["qrels"]
    answerable = [query for query, grades in qrels.items() if max(grades.values()) > 0]

    def mean_ap(queries: str) -> float:
        return scores_of(authority["listed"], [1], ties="listed", queries=queries).figure("map")

    assert mean_ap("trec_eval") == pytest.approx(np.mean(values), abs=EXACT)
    assert mean_ap("trec_eval_complete") == pytest.approx(np.sum(values) / len(qrels), abs=EXACT)
    assert mean_ap("with_positives") == pytest.approx(np.sum(values) / len(answerable), abs=EXACT)


def labelled(table: dict) -> Labelled:
    return Labelled(np.arange(len(table["id"])), np.array(table["id"]), np.array(table["camera"]))


def assert_published(scores: RankingScores, published: list, max_rank: int) -> None:
    answered = [i for i, row in enumerate(published) if row["n_right"]]
    assert scores.query.tolist() == answered
    assert scores.without_positive == len(published) - len(answered) > 0
    for name in ("map", "map_trapezoid", "minp"):
        theirs = [published[i][name] for i in answered]
        np.testing.assert_allclose(scores.values[name], theirs, rtol=0, atol=EXACT, err_msg=name)
    first = np.array([published[i]["first_rank"] for i in answered])
    cmc = [(first <= k).mean() for k in range(1, max_rank + 1)]
    np.testing.assert_allclose(scores.curve("hit_rate"), cmc, rtol=0, atol=EXACT)
    np.testing.assert_array_equal(scores.first_rank, first)


def test_cross_camera_figures_are_market1501s(authority: dict) -> None:
    case = authority["market"]
    distance = np.array(case["distance"])
    rankings = judge_identities((-row for row in distance), labelled(case["query"]), labelled(case["gallery"]))
    assert rankings.length.tolist() == [row["ranked"] for row in case["published"]]
    assert rankings.n_junk.min() > 0
    assert_published(score_rankings(rankings, range(1, 21)), case["published"], 20)


def test_a_search_of_the_whole_gallery_is_judged_as_its_distances(authority: dict) -> None:
    case = authority["market"]
    distance = np.array(case["distance"])
    found = np.argsort(distance, axis=1)
    scores = -np.take_along_axis(distance, found, axis=1)
    rankings = judge_search(found, scores, labelled(case["query"]), labelled(case["gallery"]))
    assert_published(score_rankings(rankings, range(1, 21)), case["published"], 20)
