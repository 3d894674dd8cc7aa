"""Too much of everything: bounded time, counted, and the others are seen as before."""

import time

import numpy as np
import pytest
from sites import square, walk

from geoloc.options import merge_options
from geoloc.pipeline.arrivals import EXCESS
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, localize, replay
from geoloc.scene.tables import Detections, Tracks

START = 1000.0


@pytest.fixture
def crowd(rng: np.random.Generator) -> Detections:
    """Five walkers, 3 s at 10 Hz."""
    start, velocity = rng.uniform(-5, 5, (5, 2)), rng.normal(0, 0.8, (5, 2))
    return walk(square(), start, velocity, START + np.arange(0.0, 3.0, 0.1), rng)


def boxes(rng: np.random.Generator, n: int, spread_px: float, at: float) -> Detections:
    """Boxes of camera A around the middle of its picture."""
    middle = np.array([960.0, 600.0]) + rng.uniform(-spread_px, spread_px, (n, 2))
    box = np.concatenate([middle, middle + np.array([20.0, 50.0])], axis=1)
    score = rng.uniform(0.0, 0.9, n)
    return Detections(
        id=100_000 + np.arange(n), time=np.full(n, at), camera=np.full(n, "A"), box=box, label=np.full(n, "person"),
        score=score,
    )  # fmt: skip


@pytest.mark.parametrize("spread_px", [900.0, 20.0], ids=["anywhere", "in one place"])
def test_ten_thousand_boxes_in_a_frame_take_bounded_time_and_are_counted(
    crowd: Detections, rng: np.random.Generator, spread_px: float
) -> None:
    localizer, seconds = Localizer(square()), []
    localize(crowd, square())  # kernels are compiled before time is taken
    for k in range(4):
        window = boxes(rng, 10_000, spread_px, START + 0.1 * k)
        begin = time.process_time()
        localizer.step(window)
        seconds.append(time.process_time() - begin)
    assert localizer.dropped[EXCESS] == 4 * 9500
    assert max(seconds[1:]) < 3.0  # 0.03 s anywhere, 0.25 s in one place; without the bound 2 s and minutes
    assert len(localizer.tracker._filters) <= 500


def test_a_flood_leaves_what_other_cameras_see_as_it_was(crowd: Detections, rng: np.random.Generator) -> None:
    flood = boxes(rng, 10_000, 900.0, float(crowd.time[len(crowd) // 2]))
    calm, flooded = localize(crowd, square()), localize(Detections.concat([crowd, flood]), square())
    ends = [tracks.take((tracks.time > START + 2.8) & (tracks.state == "confirmed")) for tracks in (calm, flooded)]
    known = set(ends[0].track.tolist())
    assert known <= set(ends[1].track.tolist())
    same = ends[1].take(np.isin(ends[1].track, list(known)))
    assert np.linalg.norm(same.xy - ends[0].xy, axis=1).max() < 0.5  # 0.02 m


def test_the_boxes_of_the_highest_scores_are_kept_whatever_the_order(
    crowd: Detections, rng: np.random.Generator
) -> None:
    options = merge_options(LocalizerOptions(), {"max_boxes": 5})
    extra = boxes(rng, 300, 900.0, START)
    both = Detections.concat([crowd, extra.replace(score=np.full(300, 0.1))])
    assert same(localize(both, square(), options), localize(crowd, square(), options))
    shuffled = both.take(rng.permutation(len(both)))
    assert same(localize(shuffled, square(), options), localize(crowd, square(), options))


def test_a_detector_that_says_everything_twice_is_heard_once(crowd: Detections) -> None:
    again = crowd.replace(id=crowd.id + 50_000, score=crowd.score - 0.01)
    localizer = Localizer(square())
    tracks = Tracks.concat(list(replay(localizer, Detections.concat([crowd, again]))))
    assert same(tracks, localize(crowd, square()))
    assert len(localizer.points) == 2 * len(np.unique(localizer.points.detection % 50_000))  # both are traced


def test_values_that_are_no_numbers_are_counted_and_change_nothing(crowd: Detections) -> None:
    bad = crowd.take(np.arange(60)).replace(id=70_000 + np.arange(60))
    box, score = bad.box.copy(), bad.score.copy()
    box[::3, 0], box[1::3, 3], score[::5] = np.nan, np.inf, np.nan
    bad = bad.replace(box=box, score=score, foot=np.full((60, 2), np.nan), foot_cov=np.full((60, 2, 2), np.nan))
    bad = bad.take(~np.isfinite(box).all(axis=1))
    localizer = Localizer(square())
    tracks = Tracks.concat(list(replay(localizer, Detections.concat([crowd, bad]))))
    assert same(tracks, localize(crowd, square()))
    assert localizer.dropped.total() == len(bad) == 40


def same(a: Tracks, b: Tracks) -> bool:
    """Whether two tables say the same, but for the last digits of a window's mean time."""
    pairs = [(x, y) for (_, x), (_, y) in zip(a, b, strict=True)]
    return len(a) == len(b) and all(
        np.allclose(x, y, rtol=1e-6, atol=1e-6, equal_nan=True) if x.dtype.kind == "f" else (x == y).all()
        for x, y in pairs
    )
