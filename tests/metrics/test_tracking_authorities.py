"""Tracking scores are held against TrackEval and py-motmetrics on the same input."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoloc.metrics.detection import score_pairs
from geoloc.metrics.hota import score_hota
from geoloc.metrics.matching import Pairs, Sightings, pair_boxes, pair_positions, pair_similarities
from geoloc.metrics.tracking import score_clear, score_identity

ROOT = Path(__file__).resolve().parents[2]
EXACT = 1e-9
HOTA_NAMES = {
    "hota": "HOTA",
    "det_a": "DetA",
    "ass_a": "AssA",
    "det_re": "DetRe",
    "det_pr": "DetPr",
    "ass_re": "AssRe",
    "ass_pr": "AssPr",
    "loc_a": "LocA",
}


@pytest.fixture(scope="module")
def authority() -> dict:
    return json.loads((ROOT / "fixtures" / "authorities" / "tracking.json").read_text())


def sightings(rows: list) -> Sightings:
    table = np.array(rows, float)
    return Sightings(table[:, 0].astype(int), table[:, 1].astype(int), table[:, 2:])


def paired(authority: dict, kind: str) -> Pairs:
    truth, result = (sightings(authority[kind][name]) for name in ("truth", "result"))
    if kind == "boxes":
        return pair_boxes(truth, result)
    return pair_positions(truth, result, authority["zero_distance"])


@pytest.fixture(params=["positions", "boxes"])
def case(request: pytest.FixtureRequest, authority: dict) -> tuple[Pairs, dict, dict]:
    expected = authority[request.param]
    return paired(authority, request.param), expected["trackeval"], expected["motmetrics"]


def test_hota_is_trackevals_at_every_alpha(case: tuple[Pairs, dict, dict]) -> None:
    pairs, expected, _ = case
    scores = score_hota(pairs)
    for ours, theirs in HOTA_NAMES.items():
        np.testing.assert_allclose(scores.curve(ours), expected[theirs], rtol=0, atol=EXACT, err_msg=ours)
    assert scores.figure("hota") == pytest.approx(np.mean(expected["HOTA"]), abs=EXACT)


def test_clear_is_trackevals(case: tuple[Pairs, dict, dict]) -> None:
    pairs, expected, _ = case
    scores = score_clear(pairs)
    assert scores.counts[:, :4].sum(axis=0).tolist() == [
        expected[name] for name in ("CLR_TP", "CLR_FP", "CLR_FN", "IDSW")
    ]
    assert (scores.fragments, scores.mostly_tracked, scores.mostly_lost) == (
        expected["Frag"],
        expected["MT"],
        expected["ML"],
    )
    assert scores.mota == pytest.approx(expected["MOTA"], abs=EXACT)
    assert scores.motp == pytest.approx(expected["MOTP"], abs=EXACT)


def test_identity_is_trackevals(case: tuple[Pairs, dict, dict]) -> None:
    pairs, expected, _ = case
    scores = score_identity(pairs)
    assert scores.counts.sum(axis=0).tolist() == [expected[name] for name in ("IDTP", "IDFP", "IDFN")]
    assert scores.idf1 == pytest.approx(expected["IDF1"], abs=EXACT)


def test_clear_is_motmetrics_under_its_convention(case: tuple[Pairs, dict, dict]) -> None:
    pairs, _, expected = case
    scores = score_clear(pairs, convention="motmetrics")
    assert scores.counts[:, 1:4].sum(axis=0).tolist() == [
        expected[name] for name in ("num_false_positives", "num_misses", "num_switches")
    ]
    assert scores.fragments == expected["num_fragmentations"]
    assert scores.mota == pytest.approx(expected["mota"], abs=EXACT)
    assert 1 - scores.motp == pytest.approx(expected["motp"], abs=EXACT)
    assert score_identity(pairs).idf1 == pytest.approx(expected["idf1"], abs=EXACT)


def test_the_two_conventions_differ_on_this_input(authority: dict) -> None:
    # otherwise the tests above could not tell them apart
    ours = [score_clear(paired(authority, "positions"), convention=c) for c in ("trackeval", "motmetrics")]
    assert ours[0].fragments != ours[1].fragments


def test_similarity_matrices_give_what_positions_give(authority: dict) -> None:
    pairs = paired(authority, "positions")
    n_frames = len(pairs.frames)
    truth = [np.flatnonzero(pairs.truth_frame == f) for f in range(n_frames)]
    result = [np.flatnonzero(pairs.result_frame == f) for f in range(n_frames)]
    matrices = [np.zeros((len(t), len(r))) for t, r in zip(truth, result, strict=True)]
    for t, r, f, s in zip(pairs.truth, pairs.result, pairs.frame, pairs.similarity, strict=True):
        matrices[f][np.searchsorted(truth[f], t), np.searchsorted(result[f], r)] = s
    ids = [pairs.truth_id[t] for t in truth], [pairs.result_id[r] for r in result]
    again = pair_similarities(*ids, matrices)
    np.testing.assert_allclose(score_hota(again).sums, score_hota(pairs).sums, atol=1e-12)
    np.testing.assert_allclose(score_clear(again).counts, score_clear(pairs).counts, atol=1e-12)


TUD = {
    "TUD-Campus": (55.8, 73.0, 45.1, 58.2, 94.1, 13, 150, 7, 7, 52.6, 0.277),
    "TUD-Stadtmitte": (64.5, 82.0, 53.1, 60.9, 94.0, 45, 452, 7, 6, 56.4, 0.346),
}


def read_mot(file: Path, least_confidence: float) -> Sightings:
    rows = np.loadtxt(file, delimiter=",", usecols=range(7))
    rows = rows[rows[:, 6] >= least_confidence]
    boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])
    return Sightings(rows[:, 0].astype(int), rows[:, 1].astype(int), boxes)


@pytest.mark.parametrize("name", TUD)
def test_all_printed_figures_of_motmetrics_on_tud(name: str, recording) -> None:
    folder = recording("motmetrics_tud") / name
    pairs = pair_boxes(read_mot(folder / "gt.txt", 1), read_mot(folder / "test.txt", -1))
    clear, identity = score_clear(pairs, convention="motmetrics"), score_identity(pairs)
    percent = [identity.idf1, identity.idp, identity.idr, clear.figure("recall"), clear.figure("precision")]
    counts = clear.counts.sum(axis=0)
    found = [round(100 * value, 1) for value in percent]
    found += [*counts[1:4].tolist(), clear.fragments, round(100 * clear.mota, 1), round(1 - clear.motp, 3)]
    assert tuple(found) == TUD[name]


def test_detection_scores_have_no_switches_to_pay_for(authority: dict) -> None:
    pairs = paired(authority, "positions")
    detection, clear = score_pairs(pairs, 0.5), score_clear(pairs)
    assert detection.moda >= clear.figure("moda")  # free to match anew in each frame, as many as possible
