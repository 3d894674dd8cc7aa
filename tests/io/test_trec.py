"""TREC's files: what is written comes back, broken lines are counted, what would change figures is refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.trec import read_qrels, read_run, write_qrels, write_run
from geoloc.metrics.judgements import Judgements, Run
from geoloc.metrics.judging import judge_run
from geoloc.metrics.ranking import score_rankings

TRUTH = Judgements.from_dict({"q1": {"a": 2, "b": 0, "c": -1}, "q10": {"a": 1}})
RUN = Run.from_dict({"q10": {"b": 0.1, "a": 0.1}, "q1": {"c": 1 / 3, "a": 1e-17, "b": -2.5e300}})


def rows(table: Judgements | Run) -> list[tuple]:
    number = table.grade if isinstance(table, Judgements) else table.score
    return sorted(zip(table.query.tolist(), table.item.tolist(), number.tolist(), strict=True))


@pytest.mark.parametrize("ending", [".txt", ".txt.gz"])
def test_what_is_written_comes_back(tmp_path: Path, ending: str) -> None:
    write_qrels(tmp_path / f"qrels{ending}", TRUTH)
    write_run(tmp_path / f"run{ending}", RUN)
    truth, run = read_qrels(tmp_path / f"qrels{ending}"), read_run(tmp_path / f"run{ending}")
    assert rows(truth.judgements) == rows(TRUTH)
    assert rows(run.run) == rows(RUN)
    assert (truth.report.n_rows, truth.report.n_skipped) == (4, 0)
    assert ((tmp_path / f"run{ending}").read_bytes()[:2] == b"\x1f\x8b") == ending.endswith(".gz")


def test_a_run_is_written_in_the_order_that_trec_eval_sees(tmp_path: Path) -> None:
    write_run(tmp_path / "run", RUN, tag="mine")
    assert (tmp_path / "run").read_text().splitlines() == [
        "q1 Q0 c 1 0.3333333333333333 mine",
        "q1 Q0 a 2 1e-17 mine",
        "q1 Q0 b 3 -2.5e+300 mine",
        "q10 Q0 b 1 0.1 mine",  # a tie: by item, descending
        "q10 Q0 a 2 0.1 mine",
    ]


def test_the_score_makes_the_order_whatever_the_rank_says(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("q1 Q0 b 1 0.5 x\nq1 Q0 a 2 0.9 x\n")
    run = read_run(tmp_path / "run").run
    assert score_rankings(judge_run(TRUTH, run)).figure("hit_rate@1") == 0.5  # q1 right, q10 not ranked


def test_broken_lines_are_left_out_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "run.gz"
    text = "q1 Q0 a 1 0.9 x\n\nq1 Q0 b 2\nq1 Q0 c 3 high x\r\nq1\tQ0\td\t4\t0.5\tx\nq1 Q0 e f 5 0.1 x\n"
    path.write_bytes(gzip.compress(text.encode()))
    result = read_run(path)
    assert result.run.item.tolist() == ["a", "d"]
    assert result.report.n_skipped == 3
    first = {reason: item.first for reason, item in result.report.skipped.items()}
    assert first == {"not the 6 cells query Q0 item rank score tag": (3, 6), "the score is no number": (4,)}
    assert "2 ranked items, 3 rows skipped" in str(result.report)


def test_grades_that_are_no_whole_numbers_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("q1 0 a 1\nq1 0 b 0.5\nq1 0 c nan\n")
    result = read_qrels(tmp_path / "qrels")
    assert result.judgements.item.tolist() == ["a"]
    assert result.report.skipped["the grade is no whole number"].first == (2, 3)


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_run, "q1 Q0 a 1 0.9 x\nq1 Q0 b 2 NaN x\n", "line 2: the score is NaN"),
        (read_run, "q1 Q0 a 1 0.9 x\nq1 Q0 a 2 0.8 x\n", "run: item 'a' of query 'q1' comes 2 times"),
        (read_qrels, "q1 0 a 1\nq1 0 a 0\n", "qrels: judgements: item 'a' of query 'q1' comes 2 times"),
        (read_run, "q1 0 a 1\nq1 0 b 0\n", "none of its lines can be read"),
        (read_qrels, "q1 Q0 a 1 0.9 x\n", "none of its lines can be read"),
    ],
)
def test_what_would_change_figures_is_refused(tmp_path: Path, reader, text: str, message: str) -> None:
    path = tmp_path / ("run" if reader is read_run else "qrels")
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        reader(path)


def test_an_empty_file_is_an_empty_table(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    assert len(read_run(tmp_path / "run").run.query) == 0


@pytest.mark.parametrize("name", ["two words", "", "tab\tbed"])
def test_names_that_would_not_come_back_are_refused(tmp_path: Path, name: str) -> None:
    run = Run(np.array(["q"]), np.array([name]), np.array([1.0]))
    with pytest.raises(InputError, match="empty or holds blanks"):
        write_run(tmp_path / "run", run)
    assert not (tmp_path / "run").exists()
