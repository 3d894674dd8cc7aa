"""The benchmark of linking scores what it says: a short day of the garage with blind gaps, linked and scored."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from benchmarks.linking import Day, garage_day, link_scores

from geoloc.pipeline.linking import link
from geoloc.synthetic import long_garage


def test_cars_keep_their_numbers_through_blind_gaps_and_hours_in_a_stall(rng: np.random.Generator) -> None:
    world = long_garage()
    day = garage_day(world, rng, 40)
    linked = link(day.tracks, world.site, points=day.points)
    precision, recall, kept = link_scores(day, linked.tracks)
    assert min(precision, recall) >= 0.98, (precision, recall)  # 1.0, 1.0
    assert kept >= 0.95, kept  # 1.0


def test_a_link_that_is_wrong_and_one_that_is_missing_are_counted(rng: np.random.Generator) -> None:
    day = garage_day(long_garage(), rng, 2)
    perfect = day.tracks.replace(track=day.car[day.tracks.track])
    assert link_scores(day, perfect) == (1.0, 1.0, 1.0)
    assert link_scores(day, day.tracks)[1:] == (0.0, 0.0)
    both = link_scores(Day(day.tracks, day.points, day.car), perfect.replace(track=np.zeros(len(perfect), dtype=int)))
    assert both[0] < 1.0
