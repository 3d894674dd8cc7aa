"""Interpolated precision is trec_eval's."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.judgements import Judgements, Run
from geoloc.metrics.judging import judge_run
from geoloc.metrics.precision_recall import interpolated_precision

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "authorities"


def test_interpolated_precision_is_trec_evals() -> None:
    case = json.loads((FOLDER / "ranking.json").read_text())["listed"]
    expected = json.loads((FOLDER / "precision_recall.json").read_text())["iprec_at_recall"]
    rankings = judge_run(Judgements.from_dict(case["qrels"]), Run.from_dict(case["run"]))
    found = dict(zip(rankings.query.tolist(), interpolated_precision(rankings), strict=True))
    for query, row in expected.items():
        np.testing.assert_allclose(found[query], row, rtol=0, atol=1e-9, err_msg=query)
    assert len(np.unique(np.concatenate(list(expected.values())))) > 20  # 29: the input tells places apart


def test_the_order_of_ties_bounds_precision() -> None:
    case = json.loads((FOLDER / "ranking.json").read_text())["listed"]
    rankings = judge_run(Judgements.from_dict(case["qrels"]), Run.from_dict(case["run"]))
    worst, listed, best = (
        interpolated_precision(rankings, ties=ties) for ties in ("pessimistic", "listed", "optimistic")
    )
    assert (worst <= listed + 1e-12).all()
    assert (listed <= best + 1e-12).all()
    assert (best - worst).max() > 0.1


def test_a_recall_beyond_one_is_refused() -> None:
    rankings = judge_run(Judgements.from_dict({"q": {"a": 1}}), Run.from_dict({"q": {"a": 1.0}}))
    with pytest.raises(InputError, match="from 0 to 1"):
        interpolated_precision(rankings, [1.5])
