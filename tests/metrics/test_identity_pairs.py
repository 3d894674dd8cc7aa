"""Pairs of objects by their tracks: more than half of the time that both are seen."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.metrics.identity_pairs import Sighted, pairs_of_tracks, path_lengths


def sighted(*rows: tuple[int, str, int, int]) -> Sighted:
    window, camera, number, track = zip(*rows, strict=True)
    return Sighted(np.array(window), np.array(camera), np.array(number), np.array(track))


def test_one_track_for_half_of_the_common_time_is_no_pair() -> None:
    # seen together in windows 0 to 3; alone before, under the same track, which does not count
    alone = [(-1, "gate", 3, 7), (-2, "gate", 3, 7)]
    common = [row for w in range(4) for row in ((w, "gate", 3, 7), (w, "yard", 3, 7 if w < 2 else 8))]
    assert len(pairs_of_tracks(sighted(*alone, *common))) == 0
    more = [*common, (4, "gate", 3, 7), (4, "yard", 3, 7)]
    pairs = pairs_of_tracks(sighted(*alone, *more))
    assert (pairs.together.tolist(), pairs.same.tolist()) == ([5], [3])
    assert (pairs.camera_a[0], pairs.camera_b[0]) == ("gate", "yard")


def test_sightings_in_no_track_pair_with_nothing() -> None:
    assert len(pairs_of_tracks(sighted((0, "gate", 1, -1), (0, "yard", 1, -1)))) == 0


def test_two_objects_of_one_camera_are_never_a_pair_and_three_cameras_make_three() -> None:
    rows = [(0, camera, number, 5) for camera, number in (("a", 1), ("a", 2), ("b", 1), ("c", 9))]
    pairs = pairs_of_tracks(sighted(*rows))
    assert len(pairs) == 5
    asked = np.array(["a", "c", "c"]), np.array([1, 9, 9]), np.array(["a", "a", "b"]), np.array([2, 2, 2])
    assert pairs.contains(*asked).tolist() == [False, True, False]  # either way round


def test_pairs_do_not_depend_on_the_order_of_rows(rng: np.random.Generator) -> None:
    n = 400
    window, camera = rng.integers(0, 40, n), rng.choice(["a", "b", "c"], n)
    number, track = rng.integers(0, 4, n), rng.integers(-1, 3, n)
    _, first = np.unique(np.char.add(camera, [f" {w} {o}" for w, o in zip(window, number, strict=True)]), True)
    rows = Sighted(window, camera, number, track).take(first)
    pairs = pairs_of_tracks(rows, share=0.2)
    again = pairs_of_tracks(rows.take(rng.permutation(len(first))), share=0.2)
    assert len(pairs) > 5
    np.testing.assert_array_equal(pairs.same, again.same)
    for a, b, n_both, n_same in zip(
        zip(pairs.camera_a, pairs.object_a, strict=True),
        zip(pairs.camera_b, pairs.object_b, strict=True),
        pairs.together,
        pairs.same,
        strict=True,
    ):
        seen = [
            {int(w): int(t) for w, t in zip(rows.window[of], rows.track[of], strict=True)}
            for of in ((rows.camera == c) & (rows.object == o) for c, o in (a, b))
        ]
        both = seen[0].keys() & seen[1].keys()
        assert n_both == len(both)
        assert n_same == sum(seen[0][w] == seen[1][w] >= 0 for w in both)


def test_jitter_of_a_parked_car_is_no_path(rng: np.random.Generator) -> None:
    time = np.tile(np.arange(0, 60, 0.1), 2)
    group = np.repeat([4, 2], 600)
    xy = rng.normal(0, 0.4, (1200, 2))
    xy[:600, 0] += 0.5 * time[:600]  # 30 m in a minute
    found = path_lengths(time, group, xy)
    assert found[0] == pytest.approx(29.5, abs=1.5)
    assert found[-1] == 0.0


def test_an_object_seen_twice_in_a_window_is_refused() -> None:
    with pytest.raises(InputError, match="more than once in a window"):
        pairs_of_tracks(sighted((0, "a", 1, 2), (0, "a", 1, 3)))
    with pytest.raises(InputError, match="shapes"):
        Sighted(np.zeros(2), np.zeros(2), np.zeros(3), np.zeros(2))
    assert len(pairs_of_tracks(Sighted(*(np.empty(0, dtype=t) for t in (int, "U1", int, int))))) == 0
