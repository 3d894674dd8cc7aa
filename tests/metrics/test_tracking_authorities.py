"""Tracking scores are held against TrackEval and py-motmetrics on the same input."""

import json
from pathlib import Path

import numpy as np
import pytest

from geoloc.io.cityflow import read_cityflow_tracks, read_cityflow_truth
from geoloc.metrics.bootstrap import block_bootstrap, pool
from geoloc.metrics.detection import score_pairs
from geoloc.metrics.hota import HOTA_FIGURES, HotaScores, score_hota
from geoloc.metrics.matching import (
    Pairs,
    Sightings,
    camera_frames,
    pair_boxes,
    pair_positions,
    pair_similarities,
)
from geoloc.metrics.tracking import ClearScores, IdentityScores, score_clear, score_identity

ROOT = Path(__file__).resolve().parents[2]
EXACT = 1e-9
CASES = ["positions", "boxes", "crowd", "ties"]
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


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, authority: dict) -> tuple[Pairs, dict, dict]:
    expected = authority[request.param]
    return paired(authority, request.param), expected["trackeval"], expected["motmetrics"]


def assert_hota(scores: HotaScores, expected: dict) -> None:
    np.testing.assert_allclose(scores.matches, expected["HOTA_TP"], rtol=0, atol=EXACT)
    for ours, theirs in HOTA_NAMES.items():
        np.testing.assert_allclose(scores.curve(ours), expected[theirs], rtol=0, atol=EXACT, err_msg=ours)
        assert scores.figure(ours) == pytest.approx(np.mean(expected[theirs]), abs=EXACT)


def assert_clear(scores: ClearScores, expected: dict) -> None:
    counts = scores.counts[:, 0].sum(), scores.false_positives, scores.misses, scores.switches, scores.fragments
    assert counts == tuple(expected[name] for name in ("CLR_TP", "CLR_FP", "CLR_FN", "IDSW", "Frag"))
    kinds = scores.mostly_tracked, scores.partly_tracked, scores.mostly_lost
    assert kinds == tuple(expected[name] for name in ("MT", "PT", "ML"))
    found = [scores.mota, scores.moda, scores.motp, scores.figure("recall"), scores.figure("precision")]
    wanted = [expected[name] for name in ("MOTA", "MODA", "MOTP", "CLR_Re", "CLR_Pr")]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=EXACT)


def assert_identity(scores: IdentityScores, expected: dict) -> None:
    assert scores.counts.sum(axis=0).tolist() == [expected[name] for name in ("IDTP", "IDFP", "IDFN")]
    found, wanted = [scores.idf1, scores.idp, scores.idr], [expected[name] for name in ("IDF1", "IDP", "IDR")]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=EXACT)


def assert_motmetrics(clear: ClearScores, identity: IdentityScores, expected: dict) -> None:
    counts = clear.false_positives, clear.misses, clear.switches, clear.fragments
    names = ("num_false_positives", "num_misses", "num_switches", "num_fragmentations")
    assert counts == tuple(expected[name] for name in names)
    kinds = clear.mostly_tracked, clear.partly_tracked, clear.mostly_lost
    assert kinds == tuple(expected[name] for name in ("mostly_tracked", "partially_tracked", "mostly_lost"))
    found = [clear.mota, 1 - clear.motp, identity.idf1, identity.idp, identity.idr]
    wanted = [expected[name] for name in ("mota", "motp", "idf1", "idp", "idr")]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=EXACT)


def test_every_figure_is_trackevals(case: tuple[Pairs, dict, dict]) -> None:
    pairs, expected, _ = case
    assert_hota(score_hota(pairs), expected)
    assert_clear(score_clear(pairs), expected)
    assert_identity(score_identity(pairs), expected)


def test_every_figure_is_motmetrics_under_its_convention(case: tuple[Pairs, dict, dict]) -> None:
    pairs, _, expected = case
    assert_motmetrics(score_clear(pairs, convention="motmetrics"), score_identity(pairs), expected)


def in_frames(pairs: Pairs) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
    """Ids of truth and result and their similarities in each frame, as `pair_similarities` takes them."""
    n_frames = len(pairs.frames)
    truth = [np.flatnonzero(pairs.truth_frame == f) for f in range(n_frames)]
    result = [np.flatnonzero(pairs.result_frame == f) for f in range(n_frames)]
    matrices = [np.zeros((len(t), len(r))) for t, r in zip(truth, result, strict=True)]
    for t, r, f, s in zip(pairs.truth, pairs.result, pairs.frame, pairs.similarity, strict=True):
        matrices[f][np.searchsorted(truth[f], t), np.searchsorted(result[f], r)] = s
    return [pairs.truth_id[t] for t in truth], [pairs.result_id[r] for r in result], matrices


def in_a_row(all_pairs: list[Pairs]) -> Pairs:
    """Recordings one after another, with identities of their own: of positions and of boxes alike."""
    truths, results, matrices = [], [], []
    for number, pairs in enumerate(all_pairs):
        truth, result, matrix = in_frames(pairs)
        truths += [ids + 10_000 * number for ids in truth]
        results += [ids + 10_000 * number for ids in result]
        matrices += matrix
    return pair_similarities(truths, results, matrices)


def test_recordings_in_a_row_score_as_both_combine_them(authority: dict) -> None:
    pairs, expected = in_a_row([paired(authority, name) for name in CASES]), authority["combined"]
    assert_hota(score_hota(pairs), expected["trackeval"])
    assert_clear(score_clear(pairs), expected["trackeval"])
    assert_identity(score_identity(pairs), expected["trackeval"])
    assert_motmetrics(score_clear(pairs, convention="motmetrics"), score_identity(pairs), expected["motmetrics"])


def test_frames_of_hota_sum_up_to_the_recording(authority: dict) -> None:
    parts = [paired(authority, name) for name in ("positions", "crowd")]
    scores, both = [score_hota(pairs) for pairs in parts], score_hota(in_a_row(parts))
    np.testing.assert_allclose(both.counts.sum(axis=0), both.sums, rtol=0, atol=EXACT)
    np.testing.assert_allclose(scores[0].sums + scores[1].sums, both.sums, rtol=0, atol=EXACT)
    blocks = pool(both.counts, np.arange(len(both.frames)) // 5)
    low, high = block_bootstrap(blocks, HOTA_FIGURES["hota"], np.random.default_rng(0))
    assert low < both.figure("hota") < high  # measured: 0.457 < 0.496 < 0.517


def test_the_two_conventions_differ_on_this_input(authority: dict) -> None:
    # otherwise the tests above could not tell them apart
    ours = [score_clear(paired(authority, "positions"), convention=c) for c in ("trackeval", "motmetrics")]
    assert ours[0].fragments != ours[1].fragments


def test_similarity_matrices_give_what_positions_give(authority: dict) -> None:
    pairs = paired(authority, "positions")
    again = pair_similarities(*in_frames(pairs))
    np.testing.assert_allclose(score_hota(again).sums, score_hota(pairs).sums, atol=1e-12)
    np.testing.assert_allclose(score_clear(again).counts, score_clear(pairs).counts, atol=1e-12)


# IDF1, IDP, IDR, Rcll, Prcn, GT, MT, PT, ML, FP, FN, IDs, FM, MOTA, MOTP, as py-motmetrics 1.4.0 prints them
TUD = {
    "TUD-Campus": (55.8, 73.0, 45.1, 58.2, 94.1, 8, 1, 6, 1, 13, 150, 7, 7, 52.6, 0.277),
    "TUD-Stadtmitte": (64.5, 82.0, 53.1, 60.9, 94.0, 10, 5, 4, 1, 45, 452, 7, 6, 56.4, 0.346),
    "OVERALL": (62.4, 79.9, 51.2, 60.3, 94.0, 18, 6, 10, 2, 58, 602, 14, 13, 55.5, 0.330),
}


def read_mot(file: Path, least_confidence: float) -> Sightings:
    rows = np.loadtxt(file, delimiter=",", usecols=range(7))
    rows = rows[rows[:, 6] >= least_confidence]
    boxes = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]])
    return Sightings(rows[:, 0].astype(int), rows[:, 1].astype(int), boxes)


def printed(clear: ClearScores, identity: IdentityScores) -> tuple[float, ...]:
    percent = [identity.idf1, identity.idp, identity.idr, clear.figure("recall"), clear.figure("precision")]
    counts = [clear.n_truths, clear.mostly_tracked, clear.partly_tracked, clear.mostly_lost]
    counts += [clear.false_positives, clear.misses, clear.switches, clear.fragments]
    last = round(100 * clear.mota, 1), round(1 - clear.motp, 3)
    return *(round(100 * value, 1) for value in percent), *counts, *last


def test_all_printed_figures_of_motmetrics_on_tud(recording) -> None:
    everything = []
    for name in ("TUD-Campus", "TUD-Stadtmitte"):
        folder = recording("motmetrics_tud") / name
        pairs = pair_boxes(read_mot(folder / "gt.txt", 1), read_mot(folder / "test.txt", -1))
        assert printed(score_clear(pairs, convention="motmetrics"), score_identity(pairs)) == TUD[name]
        everything.append(pairs)
    both = in_a_row(everything)
    assert printed(score_clear(both, convention="motmetrics"), score_identity(both)) == TUD["OVERALL"]


def test_published_tracks_of_cityflow_have_their_known_idf1(recording) -> None:
    folder = recording("cityflow")
    truth, result = read_cityflow_truth(folder), read_cityflow_tracks(folder)
    found = {}
    for camera in np.unique(result.camera).tolist():
        t, r = (table.take(table.camera == camera) for table in (truth, result))
        frames = camera_frames((t.camera, t.frame), (r.camera, r.frame))
        pairs = pair_boxes(Sightings(frames[0], t.id, t.box), Sightings(frames[1], r.id, r.box))
        found[camera] = round(100 * score_identity(pairs, 0.5).idf1, 1)
    assert found == {"c002": 46.8, "c003": 51.3, "c004": 50.0}


def test_detection_scores_have_no_switches_to_pay_for(authority: dict) -> None:
    pairs = paired(authority, "positions")
    detection, clear = score_pairs(pairs, 0.5), score_clear(pairs)
    assert detection.moda >= clear.figure("moda")  # free to match anew in each frame, as many as possible
