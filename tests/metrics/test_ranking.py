"""What makes ranking figures lie: ties, junk, cut lists, lost queries, and input that does not fit together."""

import tracemalloc
from itertools import permutations

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.metrics.bootstrap import block_bootstrap
from geoloc.metrics.judgements import Judgements, Labelled, Run
from geoloc.metrics.judging import (
    JUNK,
    judge_identities,
    judge_lists,
    judge_rows,
    judge_run,
    judge_search,
)
from geoloc.metrics.ranking import mean_of_counts, score_rankings
from geoloc.metrics.tied_groups import first_place, harmonic_between

CUTOFFS = (1, 2, 3, 5)
ONE = np.arange(1)


def judged(score: list, grade: list):
    return judge_rows(ONE, np.array([score]), np.array([grade]))


def labels(rng: np.random.Generator, n: int, first: int = 0) -> Labelled:
    return Labelled(first + np.arange(n), rng.integers(-1, 8, n), rng.integers(0, 3, n))


@pytest.mark.parametrize("grade", [[0, 2, 1, 0, 0, 3], [1, 1, 0, 0, 0, 0], [0, 1, 1, 0, 0, 2]])
def test_expected_figures_are_means_over_every_order_of_the_tied(grade: list) -> None:
    score = np.array([0.9, 0.5, 0.5, 0.5, 0.2, 0.2])
    found: dict[str, list] = {}
    for order in permutations(range(6)):
        rows = list(order)
        listed = score_rankings(judged(score[rows], np.array(grade)[rows]), CUTOFFS, ties="listed")
        for name, value in listed.values.items():
            found.setdefault(name, []).append(value[0])
        found.setdefault("first_rank", []).append(listed.first_rank[0])
    scores = score_rankings(judged(score, grade), CUTOFFS)
    for name, value in {**scores.values, "first_rank": scores.first_rank}.items():
        assert value[0] == pytest.approx(np.mean(found[name]), abs=1e-12), name


def test_a_constant_score_does_not_look_perfect() -> None:
    # the right item happens to be listed first: 1.0 for who sorts stably, 1 of 50 in truth
    rankings = judged([0.5] * 50, [1] + [0] * 49)
    assert score_rankings(rankings, ties="listed").figure("hit_rate@1") == 1.0
    scores = score_rankings(rankings)
    assert scores.figure("hit_rate@1") == pytest.approx(1 / 50)
    assert scores.figure("map") == pytest.approx(np.mean(1 / np.arange(1, 51)))
    assert scores.tied == 1
    assert "ties" in " ".join(scores.notes)


def test_ties_among_equals_are_not_called_ties() -> None:
    assert score_rankings(judged([0.9, 0.9, 0.1, 0.1], [1, 1, 0, 0])).tied == 0
    assert score_rankings(judged([0.9, 0.9, 0.1, 0.1], [2, 1, 0, 0])).tied == 1  # nDCG depends on it


@pytest.mark.parametrize("before", [0, 3, 2_999, 3_000, 3_000_000])
@pytest.mark.parametrize("n", [1, 2, 50, 20_000])
def test_sums_far_down_a_list_keep_their_digits(before: int, n: int) -> None:
    exact = np.sum(1.0 / (before + np.arange(n, 0.0, -1.0)))
    found = harmonic_between(np.array([before]), np.array([n]))[0]
    assert before * found == pytest.approx(before * exact, abs=1e-10)  # 1.3e-11
    assert found == pytest.approx(exact, rel=1e-10)


def test_the_first_of_many_tied_is_somewhere() -> None:
    for n, right in ((2, 1), (7, 3), (20_000, 1), (20_000, 900), (5, 5)):
        chance = first_place(n, right)
        assert chance.sum() == pytest.approx(1, abs=1e-12)
        mean = np.sum(chance * np.arange(1, len(chance) + 1))
        assert mean == pytest.approx((n + 1) / (right + 1), rel=1e-11)


def test_random_scores_over_a_crowd_agree_with_listed_on_average(rng: np.random.Generator) -> None:
    # coarse scores, as of binary codes: the listed order is one draw of the expected one
    query, gallery = labels(rng, 400), labels(rng, 300)
    rows = rng.integers(0, 6, (400, 300)).astype(np.uint8)
    rankings = judge_identities(rows, query, gallery)
    expected, listed = (score_rankings(rankings, (1, 10), ties=ties) for ties in ("expected", "listed"))
    for name in expected.values:
        assert listed.figure(name) == pytest.approx(expected.figure(name), abs=0.05), name  # 0.013


def test_junk_is_as_if_it_were_not_there(rng: np.random.Generator) -> None:
    score, grade = np.round(rng.random((20, 60)), 1), rng.integers(-1, 3, (20, 60))
    queries = np.arange(20)
    with_junk = score_rankings(judge_rows(queries, score, grade), CUTOFFS)
    rows = [grade[q] != JUNK for q in queries]
    parts = [s[keep] for s, keep in zip(score, rows, strict=True)], [g[k] for g, k in zip(grade, rows, strict=True)]
    without = score_rankings(judge_rows(queries, *parts), CUTOFFS)
    for name in with_junk.values:
        np.testing.assert_array_equal(with_junk.values[name], without.values[name])


def test_the_order_of_the_gallery_changes_nothing(rng: np.random.Generator) -> None:
    query, gallery = labels(rng, 30), labels(rng, 80)
    rows = np.round(rng.random((30, 80)), 1)
    order = rng.permutation(80)
    turned = Labelled(gallery.key[order], gallery.identity[order], gallery.camera[order])
    one = score_rankings(judge_identities(rows, query, gallery), CUTOFFS)
    other = score_rankings(judge_identities(rows[:, order], query, turned), CUTOFFS)
    for name in one.values:
        np.testing.assert_allclose(one.values[name], other.values[name], rtol=0, atol=1e-14)


def test_protocols_differ_by_what_they_call_junk() -> None:
    me = Labelled(np.array([7]), np.array([1]), np.array([0]))
    gallery = Labelled(np.array([7, 8, 9, 10, 11]), np.array([1, 1, 1, 2, -1]), np.array([0, 0, 1, 1, 1]))
    rows = np.array([[0.9, 0.8, 0.5, 0.6, 0.95]])
    found = {p: judge_identities(rows, me, gallery, p) for p in ("cross_camera", "any_camera", "leave_one_out")}
    assert [r.length[0] for r in found.values()] == [2, 4, 3]
    assert [len(r.truth_grade) for r in found.values()] == [1, 3, 2]
    assert [score_rankings(r).figure("hit_rate@1") for r in found.values()] == [0, 1, 1]


def test_hit_rate_and_recall_are_two_things() -> None:
    scores = score_rankings(judged([5, 4, 3, 2, 1], [0, 1, 0, 1, 1]), (2, 4))
    assert scores.figure("hit_rate@2") == 1
    assert scores.figure("recall@2") == pytest.approx(1 / 3)
    assert scores.figure("precision@2") == 0.5
    np.testing.assert_allclose(scores.curve("recall"), [1 / 3, 2 / 3])


def test_cut_lists_pay_for_what_they_do_not_hold() -> None:
    whole = judge_lists(ONE, np.array([[3.0, 2, 1]]), np.array([[1, 0, 1]]), np.array([2]))
    cut = judge_lists(ONE, np.array([[3.0, 2, np.nan]]), np.array([[1, 0, JUNK]]), np.array([2]))
    full, short = score_rankings(whole), score_rankings(cut)
    assert full.figure("map") == pytest.approx((1 + 2 / 3) / 2)
    assert short.figure("map") == pytest.approx(1 / 2)
    assert full.figure("minp") == pytest.approx(2 / 3)
    assert short.figure("minp") == 0  # the last right item never comes


def test_a_search_cut_short_is_the_run_that_its_lists_make(rng: np.random.Generator) -> None:
    query, gallery = labels(rng, 25), labels(rng, 60, first=1000)
    score = rng.random((25, 60))
    best = np.argsort(-score, axis=1)[:, :12]
    candidate, scores = gallery.key[best], np.take_along_axis(score, best, axis=1)
    candidate[:, 9:] = -1  # the index found nine only
    search = score_rankings(judge_search(candidate, scores, query, gallery, "any_camera"), CUTOFFS)
    right = (query.identity[:, None] == gallery.identity) & (gallery.identity >= 0)
    q, g = np.nonzero(right)
    truth = Judgements(query.key[q], gallery.key[g], np.ones(len(q), dtype=int))
    kept = np.where(np.isin(candidate, gallery.key[gallery.identity >= 0]), candidate, -1)
    run = score_rankings(judge_run(truth, Run.from_lists(query.key, kept, scores)), CUTOFFS)
    assert search.query.tolist() == run.query.tolist()
    for name in search.values:
        np.testing.assert_allclose(search.values[name], run.values[name], rtol=0, atol=1e-14, err_msg=name)


def test_queries_that_do_not_count_are_told() -> None:
    truth = Judgements.from_dict({"a": {"x": 1}, "b": {"x": 0}, "c": {"y": 2}})
    run = Run.from_dict({"a": {"x": 1.0, "y": 2.0}, "b": {"x": 1.0}, "z": {"x": 1.0}})
    rankings = judge_run(truth, run)
    assert rankings.unknown == ("z",)
    scores = score_rankings(rankings)
    assert scores.query.tolist() == ["a", "c"]
    assert scores.values["map"].tolist() == [0.5, 0]
    assert scores.first_rank.tolist() == [2, np.inf]
    told = " ".join(scores.notes)
    for words in ("1 queries have no right item: left out", "1 queries are not ranked: 0", "not in the truth"):
        assert words in told


def test_the_mean_comes_with_an_interval_over_queries(rng: np.random.Generator) -> None:
    grade = (rng.random((200, 30)) < 0.1).astype(int)
    scores = score_rankings(judge_rows(np.arange(200), rng.random((200, 30)) + 0.3 * grade, grade))
    low, high = block_bootstrap(scores.counts("map"), mean_of_counts, rng)
    spread = scores.values["map"].std() / np.sqrt(len(scores.query))
    assert low < scores.figure("map") < high
    assert high - low == pytest.approx(2 * 1.96 * spread, rel=0.15)


def test_rows_are_judged_as_they_come_without_the_whole_matrix(rng: np.random.Generator) -> None:
    number = rng.integers(0, 2000, 20_000)
    gallery = Labelled(np.arange(20_000), number, np.zeros(20_000, dtype=int))
    query = Labelled(np.arange(300), number[:300], np.ones(300, dtype=int))
    rows = (rng.random(20_000, dtype=np.float32) for _ in range(300))
    tracemalloc.start()
    try:
        rankings = judge_identities(rows, query, gallery)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(rankings.grade) == len(rankings.truth_grade) > 2000
    assert peak < 2e6  # 1.1 MB; the matrix in float64: 48 MB


GALLERY = Labelled(np.array([4, 5, 6]), np.array([1, 2, 1]), np.array([0, 0, 1]))
NOTHING = Labelled(*np.empty((3, 0), dtype=int))
ME = Labelled(np.array([9]), np.array([1]), np.array([5]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judged([0.5, np.nan], [1, 0]), "query 0: 1 scores are NaN"),
        (lambda: judge_rows(np.arange(2), np.zeros((1, 3)), np.zeros((2, 3), int)), "2 queries; give as many rows"),
        (lambda: judge_rows(ONE, np.zeros((1, 3)), np.zeros((1, 4), int)), r"scores \(3,\), grades \(4,\)"),
        (lambda: judged(["high"], [1]), "scores <U4"),
        (lambda: judged([0.5], [1.0]), "grades float64"),
        (lambda: judge_rows(np.array([3, 3]), np.zeros((2, 1)), np.zeros((2, 1), int)), "query 3 comes 2 times"),
        (lambda: score_rankings(judged([0.5], [0])), "none of 1 queries has a right item"),
        (lambda: judge_lists(ONE, np.ones((1, 2)), np.ones((1, 2), int), np.array([1])), "2 right of 1"),
        (lambda: judge_lists(ONE, np.ones((1, 1)), np.array([[2]]), np.array([1])), "grades up to 2"),
        (lambda: judge_lists(ONE, np.ones((1, 1)), np.array([[1]]), np.array([1, 1])), "one whole number a query"),
        (lambda: judge_identities(np.zeros((1, 3)), ME, GALLERY, "market"), "unknown protocol 'market'"),
        (lambda: judge_identities(np.zeros((1, 2)), ME, GALLERY), r"scores \(2,\), grades \(3,\)"),
        (lambda: judge_search([[4, 8]], [[1.0, 0.5]], ME, GALLERY), "candidate 8 is not in the gallery"),
        (lambda: judge_search([[4, 5]], [["a", "b"]], ME, GALLERY), "scores are <U1"),
        (lambda: judge_search([[4, 5]], [[1.0, 0.5]], ME, NOTHING), "the gallery is empty"),
        (lambda: judge_search([["4", "8"]], [[1.0, 0.5]], ME, GALLERY), "candidates <U1"),
        (lambda: judge_search([[4, 4]], [[1.0, 0.5]], ME, GALLERY), "candidate of query 9 4 comes 2 times"),
        (lambda: judge_search([4, 5], [1.0, 0.5], ME, GALLERY), r"give \(Q,\), \(Q, K\) and \(Q, K\)"),
        (lambda: Labelled(np.array(["a"]), np.array(["p"]), np.array([0])), "number them"),
        (lambda: Labelled(np.array([1, 2]), np.array([1]), np.array([0])), "have shapes"),
        (lambda: Judgements.from_dict({"a": {"x": 0.5}}), "whole numbers"),
        (lambda: Run.from_dict({"a": {"x": float("nan")}}), "item 'x' of query 'a' has score NaN"),
        (lambda: Run(np.array(["a"]), np.array(["x"]), np.array(["1"])), "scores are <U1"),
        (lambda: Run(np.array(["a", "a"]), np.array(["x", "x"]), np.zeros(2)), "item 'x' of query 'a' comes 2 times"),
        (lambda: judge_run(Judgements.from_dict({}), Run.from_dict({"a": {"x": 1.0}})), "empty truth"),
        (
            lambda: judge_run(Judgements.from_dict({"a": {"x": 1}}), Run.from_dict({"b": {"x": 1.0}})),
            "the run has 'b', the truth 'a'",
        ),
        (lambda: score_rankings(judged([0.5], [1]), (0, 5)), "ranks from 1 on"),
    ],
)
def test_input_that_does_not_fit_is_refused_by_name(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("wrong", [{"ties": "stable"}, {"queries": "some"}])
def test_unknown_conventions_are_refused(wrong: dict) -> None:
    with pytest.raises(UnknownNameError):
        score_rankings(judged([0.5], [1]), **wrong)
    with pytest.raises(UnknownNameError, match="ranking figure 'hit_rate@2'"):
        score_rankings(judged([0.5], [1])).figure("hit_rate@2")


def test_a_run_of_nothing_scores_nought() -> None:
    nothing = Run.from_dict({})
    scores = score_rankings(judge_run(Judgements.from_dict({"a": {"x": 1}}), nothing))
    assert scores.figure("map") == scores.figure("ndcg") == 0
    assert scores.missing == 1
