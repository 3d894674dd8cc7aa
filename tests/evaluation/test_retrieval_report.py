"""The report on rankings: figures of the published protocols, what was left out, and what makes numbers lie."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.page import write_report_page
from geoloc.evaluation.report_text import report_json, report_text
from geoloc.evaluation.retrieval import (
    RetrievalOptions,
    evaluate_retrieval,
    run_of_judgements,
    run_of_scores,
    run_of_search,
    run_of_trec,
)
from geoloc.io.trec import write_qrels, write_run
from geoloc.metrics.judgements import Judgements, Labelled, Run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def authority() -> dict:
    return json.loads((ROOT / "fixtures" / "authorities" / "ranking.json").read_text())


def labelled(part: dict, start: int = 0) -> Labelled:
    identity = np.array(part["id"])
    return Labelled(start + np.arange(len(identity)), identity, np.array(part["camera"]))


def persons(noise: float, seed: int = 0, n: int = 60) -> tuple[np.ndarray, Labelled, Labelled]:
    """Similarity of n queries of camera 0 to 3 n pictures of cameras 1 to 3, three a person."""
    rng = np.random.default_rng(seed)
    look = np.random.default_rng(1).normal(size=(n, 16))
    gallery = np.repeat(np.arange(n), 3)
    scores = (look + rng.normal(0, noise, look.shape)) @ (look[gallery] + rng.normal(0, noise, (3 * n, 16))).T
    queries = Labelled(np.arange(n), np.arange(n), np.zeros(n, dtype=int))
    return scores, queries, Labelled(1000 + np.arange(3 * n), gallery, np.tile([1, 2, 3], n))


def test_figures_are_those_of_market_1501(authority: dict) -> None:
    case = authority["market"]
    run = run_of_scores("market", -np.array(case["distance"]), labelled(case["query"]), labelled(case["gallery"], 100))
    report = evaluate_retrieval(run)
    counted = [row for row in case["published"] if row["n_right"]]
    for name, key in (("map", "map"), ("minp", "minp")):
        assert report.figure(name).value == pytest.approx(100 * np.mean([row[key] for row in counted]), abs=1e-9)
    for k in (1, 5, 10):
        expected = 100 * np.mean([row["first_rank"] <= k for row in counted])
        assert report.figure(f"cmc@{k}").value == pytest.approx(expected, abs=1e-9)
    assert report.figure("queries").value == len(counted)
    assert report.figure("queries_without_right").value == len(case["published"]) - len(counted) > 0
    assert "Market-1501" in report.figure("map").protocol
    assert report.figure("junk").value > 0


def test_every_figure_says_its_protocol_and_has_its_interval() -> None:
    report = evaluate_retrieval(run_of_scores("persons", *persons(2.0)))
    for name in ("map", "minp", "mrr", "cmc@1", "cmc@5", "cmc@10", "recall@1", "recall@5", "recall@10", "ndcg@10"):
        figure = report.figure(name)
        assert 0 < figure.low < figure.value < figure.high <= 100, name
        assert "bootstrap over queries" in figure.protocol
        assert "expected order of ties" in figure.protocol
    # both meanings of R@k, which differ where several items are right: one of three can be first
    assert report.figure("recall@1").value == pytest.approx(report.figure("cmc@1").value / 3)


def test_the_curves_agree_with_the_figures(tmp_path: Path) -> None:
    report = evaluate_retrieval(run_of_scores("persons", *persons(2.0)))
    cmc, precision = (chart.lines[0] for chart in report.charts)
    assert cmc.y[cmc.x.tolist().index(5.0)] == pytest.approx(report.figure("cmc@5").value)
    assert (np.diff(cmc.y) >= 0).all()
    assert (np.diff(precision.y) <= 1e-9).all()
    assert ((cmc.low <= cmc.y) & (cmc.y <= cmc.high)).all()
    json.dumps(report_json(report), allow_nan=False)
    assert "average_precision" in report_text(report)
    assert "Cumulative match" in write_report_page([report], tmp_path / "page.html").read_text()


def test_a_search_that_returns_its_best_loses_the_rest() -> None:
    scores, query, gallery = persons(2.0)
    best = np.argsort(-scores, axis=1)[:, :10]
    whole = evaluate_retrieval(run_of_scores("persons", scores, query, gallery))
    cut = evaluate_retrieval(
        run_of_search("persons", gallery.key[best], np.take_along_axis(scores, best, 1), query, gallery)
    )
    for name in ("cmc@1", "cmc@10", "recall@10", "ndcg@10"):
        assert cut.figure(name).value == pytest.approx(whole.figure(name).value)
    assert cut.figure("map").value < whole.figure("map").value
    assert "the best 10 of 180" in cut.figure("map").protocol


def test_trec_files_are_scored_as_trec_eval_does(authority: dict, tmp_path: Path) -> None:
    case = authority["listed"]
    write_qrels(tmp_path / "truth.qrels", Judgements.from_dict(case["qrels"]))
    write_run(tmp_path / "ours.run", Run.from_dict(case["run"]))
    options = RetrievalOptions(ties="listed", queries="trec_eval")
    report = evaluate_retrieval(run_of_trec(tmp_path / "truth.qrels", tmp_path / "ours.run"), options)
    expected = np.mean([values["map"] for values in case["trec_eval"]["1"].values()])
    assert report.title == "ours"
    assert report.figure("map").value == pytest.approx(100 * expected, abs=1e-9)
    assert report.figure("queries_unknown").value == 1
    assert report.figure("queries_tied").value > 5
    assert "listed order" in report.figure("queries_tied").protocol


def test_lines_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "truth.qrels").write_text("q1 0 a 1\nq1 0 b\n")
    (tmp_path / "ours.run").write_text("q1 Q0 a 1 0.5 x\nq1 Q0 b 2 0.25 x\n")
    report = evaluate_retrieval(run_of_trec(tmp_path / "truth.qrels", tmp_path / "ours.run"))
    assert "truth.qrels: 1 of 2 rows left out" in report.warnings[0]
    assert np.isnan(report.figure("map").low)  # one query tells nothing of the spread
    json.dumps(report_json(report), allow_nan=False)


def test_a_better_run_is_told_from_chance() -> None:
    good, same, worse = (
        run_of_scores(name, *persons(noise, seed))
        for name, noise, seed in (("good", 1.5, 0), ("same", 1.5, 7), ("worse", 2.5, 0))
    )
    found = {d.figure: d for d in evaluate_retrieval(good, against=worse).differences}
    assert found["map"].difference > 5
    assert found["map"].low > 0
    assert found["map"].p_value < 0.01
    chance = {d.figure: d for d in evaluate_retrieval(good, against=same).differences}["map"]
    assert chance.low < 0 < chance.high
    assert chance.p_value > 0.05


def test_runs_on_other_queries_or_another_truth_do_not_compare() -> None:
    scores, query, gallery = persons(2.0)
    run = run_of_scores("all", scores, query, gallery)
    half = Labelled(query.key[:30], query.identity[:30], query.camera[:30])
    with pytest.raises(InputError, match="same queries only: 30 is in one alone"):
        evaluate_retrieval(run, against=run_of_scores("half", scores[:30], half, gallery))
    other = Labelled(gallery.key, np.append(gallery.identity[:-1], 0), gallery.camera)
    with pytest.raises(InputError, match="another truth"):
        evaluate_retrieval(run, against=run_of_scores("other", scores, query, other))


def test_distances_taken_for_scores_are_refused() -> None:
    scores, query, gallery = persons(1.0)
    with pytest.raises(InputError, match="are these distances"):
        evaluate_retrieval(run_of_scores("persons", -scores, query, gallery))
    best = np.argsort(-scores, axis=1)[:, :10]
    distance = -np.take_along_axis(scores, best, 1)
    with pytest.raises(InputError, match="rise along the lists"):
        run_of_search("persons", gallery.key[best], distance, query, gallery)
    evaluate_retrieval(run_of_scores("chance", np.random.default_rng(0).random(scores.shape), query, gallery))


def test_scores_that_know_the_identities_are_suspected() -> None:
    scores, query, gallery = persons(2.0)
    known = (query.identity[:, None] == gallery.identity).astype(float)
    assert "know ids" in evaluate_retrieval(run_of_scores("oracle", known, query, gallery)).warnings[0]
    assert evaluate_retrieval(run_of_scores("honest", scores, query, gallery)).warnings == ()


def test_nothing_to_score_is_refused() -> None:
    scores, query, gallery = persons(2.0)
    strangers = Labelled(gallery.key, gallery.identity + 5000, gallery.camera)
    with pytest.raises(InputError, match="none of 60 queries has a right item"):
        evaluate_retrieval(run_of_scores("persons", scores, query, strangers))
    with pytest.raises(InputError, match="empty truth"):
        run_of_judgements("none", Judgements.from_dict({}), Run.from_dict({"q": {"a": 1.0}}))


def test_queries_without_any_answer_count_and_are_named() -> None:
    truth = Judgements.from_dict({f"q{i}": {"a": 1} for i in range(6)})
    ranked = {f"q{i}": {"a": 1.0, "b": 0.5} for i in range(5)}
    report = evaluate_retrieval(run_of_judgements("five", truth, Run.from_dict(ranked)))
    assert report.figure("map").value == pytest.approx(100 * 5 / 6)
    assert report.figure("queries_not_ranked").value == 1
    worst = report.figure("average_precision", "query q5")
    assert (worst.value, "no right item is ranked" in worst.protocol) == (0.0, True)
    nothing = evaluate_retrieval(run_of_judgements("none", truth, Run.from_dict({})))
    assert nothing.figure("map").value == 0.0


def test_many_queries_are_drawn_in_groups() -> None:
    truth = Judgements.from_dict({f"q{i}": {"a": 1} for i in range(2500)})
    rng = np.random.default_rng(0)
    ranked = Run.from_dict({f"q{i}": {"a": float(rng.random() < 0.6), "b": 0.5} for i in range(2500)})
    figure = evaluate_retrieval(run_of_judgements("many", truth, ranked)).figure("cmc@1")
    assert "1000 groups" in figure.protocol
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * 100 * np.sqrt(0.24 / 2500), rel=0.15)


def test_a_backwards_run_file_is_warned_of(tmp_path: Path) -> None:
    queries, items = range(8), range(12)
    (tmp_path / "q").write_text("".join(f"q{q} 0 d{q} 1\n" for q in queries))
    lines = [f"q{q} Q0 d{i} 1 {abs(i - q)} x\n" for q in queries for i in items]
    (tmp_path / "distances").write_text("".join(lines))
    (tmp_path / "scores").write_text("".join(line.replace(" 1 ", " 1 -") for line in lines))
    far, near = (evaluate_retrieval(run_of_trec(tmp_path / "q", tmp_path / name)) for name in ("distances", "scores"))
    assert any("are these distances?" in warning for warning in far.warnings)
    assert not any("distances" in warning for warning in near.warnings)
