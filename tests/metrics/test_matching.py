"""Pairing truth with result, and the one-to-one choice among the pairs."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoloc.errors import InputError, UnknownNameError
from geoloc.metrics import assignment, matching
from geoloc.metrics.assignment import assign, assign_most
from geoloc.metrics.detection import score_positions
from geoloc.metrics.hota import score_hota
from geoloc.metrics.matching import Sightings, camera_frames, pair_boxes, pair_positions, pair_similarities
from geoloc.metrics.tracking import score_clear, score_identity


def best_by_trying(table: np.ndarray) -> tuple[float, float]:
    """Largest sum of a one-to-one choice, and (most edges, then largest sum) as one number."""
    wide = np.hstack([table, np.zeros((len(table), len(table)))])
    sums = [
        (wide[np.arange(len(wide)), list(choice)].sum(), (wide[np.arange(len(wide)), list(choice)] > 0).sum())
        for choice in itertools.permutations(range(wide.shape[1]), len(wide))
    ]
    return max(s for s, _ in sums), max((100 * n + s) for s, n in sums)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 100]), st.booleans())
def test_no_choice_beats_the_assignment(seed: int, small: int, sparse: bool) -> None:
    rng = np.random.default_rng(seed)
    table = np.round(rng.uniform(0.05, 1, (3, 4)), rng.integers(1, 4)) * (rng.random((3, 4)) < 0.6)
    rows, cols = np.nonzero(table)
    weight = table[rows, cols]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assignment, "SMALL", small)  # 0: cut up by dominance and components first
        patch.setattr(assignment, "DENSE_LIMIT", 0 if sparse else 1000)
        by_sum, by_number = assign(rows, cols, weight), assign_most(rows, cols, weight)
    for chosen in (by_sum, by_number):
        assert len(set(rows[chosen])) == len(set(cols[chosen])) == chosen.sum()
    want_sum, want_number = best_by_trying(table)
    assert weight[by_sum].sum() == pytest.approx(want_sum)
    assert 100 * by_number.sum() + weight[by_number].sum() == pytest.approx(want_number)


def walkers(rng: np.random.Generator, n_frames: int = 30, n: int = 12) -> tuple[Sightings, Sightings]:
    xy = np.cumsum(rng.normal(0, 0.3, (n_frames, n, 2)), axis=0) + rng.uniform(0, 10, (n, 2))
    frame, ids = np.repeat(np.arange(n_frames), n), np.tile(np.arange(n), n_frames)
    kept = rng.random(len(frame)) < 0.8
    noisy = xy.reshape(-1, 2) + rng.normal(0, 0.3, (len(frame), 2))
    return Sightings(frame, ids, xy.reshape(-1, 2)), Sightings(frame[kept], ids[kept] + 50, noisy[kept])


def shuffled(sightings: Sightings, rng: np.random.Generator) -> Sightings:
    order = rng.permutation(len(sightings))
    return Sightings(sightings.frame[order], sightings.id[order], sightings.where[order])


def test_order_of_rows_changes_nothing(rng: np.random.Generator) -> None:
    truth, result = walkers(rng)
    pairs = pair_positions(truth, result, 2.0)
    again = pair_positions(shuffled(truth, rng), shuffled(result, rng), 2.0)
    np.testing.assert_allclose(score_hota(pairs).sums, score_hota(again).sums, atol=1e-12)
    for convention in ("trackeval", "motmetrics"):
        a, b = (score_clear(p, convention=convention) for p in (pairs, again))
        np.testing.assert_allclose(a.counts, b.counts, atol=1e-12)
        assert a.fragments == b.fragments
    assert score_identity(pairs).idf1 == score_identity(again).idf1


def test_pairs_are_those_of_the_full_table(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "CHUNK", 17)
    truth, result = walkers(rng)
    # far from the origin and late: frames are laid side by side on one line, which must not run over
    far = np.array([4e6, -3e6])
    moved = [Sightings(1.7e9 + 0.1 * s.frame, s.id, s.where + far) for s in (truth, result)]
    pairs = pair_positions(*moved, 1.0)
    distance = np.linalg.norm(moved[0].where[:, None] - moved[1].where[None], axis=2)
    near = (moved[0].frame[:, None] == moved[1].frame[None]) & (distance <= 1.0)
    found = np.zeros_like(near)
    found[pairs.truth, pairs.result] = True
    np.testing.assert_array_equal(found, near)
    np.testing.assert_allclose(pairs.similarity, 1 - distance[pairs.truth, pairs.result], atol=1e-12)


def test_a_match_at_the_very_threshold_counts() -> None:
    cells = np.arange(1000)  # of 2.5 cm, so that distances of exactly 20 of them are rounded up or down
    truth = Sightings.unnamed(cells, np.column_stack([-3.0 + 0.025 * cells, 0.0 * cells]))
    for further, recall in ((20, 1.0), (21, 0.0)):
        result = Sightings.unnamed(cells, np.column_stack([-3.0 + 0.025 * (cells + further), 0.0 * cells]))
        assert score_positions(truth, result, 0.5).recall == recall


def test_as_many_matches_as_possible_come_before_the_nearest() -> None:
    truth = Sightings.unnamed(np.zeros(2), np.array([[0.0, 0.0], [0.4, 0.0]]))
    result = Sightings.unnamed(np.zeros(2), np.array([[0.4, 0.0], [0.85, 0.0]]))
    scores = score_positions(truth, result, 0.5)
    assert (scores.moda, scores.recall) == (1.0, 1.0)  # the nearest pair leaves two over
    assert scores.modp == pytest.approx(1 - (0.4 + 0.45) / 2 / 0.5)


def test_levels_above_each_other_do_not_match() -> None:
    truth = Sightings.unnamed(np.array([0]), np.array([[3.0, 4.0, 0.0]]))
    result = Sightings.unnamed(np.array([0]), np.array([[3.0, 4.0, 3.2]]))
    assert score_positions(truth, result, 0.5).recall == 0


def test_an_id_that_jumps_between_cameras_costs_multi_camera_identity() -> None:
    camera, frame, ids = np.array(["a", "a", "b", "b"]), np.array([0, 1, 0, 1]), np.array([1, 1, 1, 1])
    box = np.tile([10.0, 10.0, 50.0, 90.0], (4, 1))
    frames, same = camera_frames((camera, frame), (camera, frame))
    np.testing.assert_array_equal(frames, same)
    truth = Sightings(frames, ids, box)
    assert score_identity(pair_boxes(truth, Sightings(same, ids, box))).idf1 == 1.0
    renamed = Sightings(same, np.array([7, 7, 8, 8]), box)
    assert score_identity(pair_boxes(truth, renamed)).idf1 == 0.5


def test_frames_with_results_only_are_false_positives() -> None:
    truth = Sightings.unnamed(np.array([0]), np.zeros((1, 2)))
    result = Sightings(np.array([0, 1, 1]), np.array([1, 1, 2]), np.zeros((3, 2)))
    scores = score_positions(truth, result)
    assert scores.counts[:, :3].tolist() == [[1, 0, 0], [0, 2, 0]]
    assert score_clear(pair_positions(truth, result, 1.0)).mota == -1.0


def test_no_results_score_nought() -> None:
    truth = Sightings(np.array([0, 1]), np.array([1, 1]), np.zeros((2, 2)))
    pairs = pair_positions(truth, Sightings.unnamed(np.empty(0), np.empty((0, 2))), 1.0)
    hota, clear = score_hota(pairs), score_clear(pairs)
    assert (hota.figure("hota"), hota.figure("loc_a"), clear.mota, clear.mostly_lost) == (0.0, 1.0, 0.0, 1)
    assert score_identity(pairs).idf1 == 0.0


def test_bad_input_is_refused_by_name() -> None:
    one = Sightings.unnamed(np.array([0]), np.zeros((1, 2)))
    none = Sightings.unnamed(np.empty(0), np.empty((0, 2)))
    with pytest.raises(InputError, match="truth is empty"):
        pair_positions(none, one, 1.0)
    with pytest.raises(InputError, match="id 4 comes more than once in frame 2"):
        Sightings(np.array([2, 2]), np.array([4, 4]), np.zeros((2, 2)))
    with pytest.raises(InputError, match="row 1 is"):
        Sightings.unnamed(np.array([0, 1]), np.array([[0.0, 0.0], [np.nan, 0.0]]))
    with pytest.raises(InputError, match=r"must be\s+\(N,\)"):
        Sightings.unnamed(np.array([0, 1]), np.zeros((3, 2)))
    with pytest.raises(InputError, match="zero_distance"):
        pair_positions(one, one, 0.0)
    with pytest.raises(InputError, match="2 and result of 3"):
        pair_positions(one, Sightings.unnamed(np.array([0]), np.zeros((1, 3))), 1.0)
    with pytest.raises(InputError, match="a box is"):
        pair_boxes(one, one)
    with pytest.raises(InputError, match="lie in"):
        pair_similarities([np.array([1])], [np.array([1])], [np.array([[1.5]])])
    with pytest.raises(InputError, match="frame 0: similarity"):
        pair_similarities([np.array([1])], [np.array([1])], [np.zeros((2, 1))])
    with pytest.raises(UnknownNameError, match="did you mean 'motmetrics'"):
        score_clear(pair_positions(one, one, 1.0), convention="motmetric")
