"""Time and place: transits learned without identities, nobody in two places, and assignment of lookalikes."""

from pathlib import Path

import numpy as np
import pytest
from shapely import LineString

from geoloc.errors import InputError
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.context import (
    IMPOSSIBLE,
    TravelOptions,
    lane_lengths,
    learn_transits,
    place_odds,
    told_transits,
    transit_odds,
)
from geoloc.retrieval.rerank.cues import CueOptions, length_odds, name_odds, shares_of
from geoloc.retrieval.rerank.passages import lookalikes, match_passages
from geoloc.retrieval.rerank.transits import LearnOptions, learn_transit, pairs_within
from geoloc.scene.learned import TransitTime
from geoloc.scene.storage import load_site
from geoloc.scene.ways import Ways
from geoloc.synthetic.fleet import FleetOptions, draw_fleet

LEARN = LearnOptions(longest_s=300.0)


def test_transit_times_are_learned_without_identities() -> None:
    fleets = [draw_fleet(np.random.default_rng(seed), 1, 1, FleetOptions(0.08)) for seed in range(20)]
    found = [learn_transit(fleet.leaves, np.sort(fleet.comes), options=LEARN) for fleet in fleets]
    mean, sigma = (np.array([getattr(t, name)[0] for t in found]) for name in ("mean_s", "sigma_s"))
    assert abs(mean.mean() - 60.0) < 0.5  # 0.1 s measured
    assert abs(sigma.mean() - 5.0) < 0.5  # 0.2 s measured
    assert np.abs(mean - 60.0).max() < 4.0
    rate = np.array([t.rate for t in found]) / FleetOptions(0.08).rate
    assert abs(rate.mean() - 1.0) < 0.1


def test_two_ways_between_two_cameras_are_both_learned(rng) -> None:
    leaves = rng.uniform(0, 20_000, 400)
    comes = leaves + np.where(rng.random(400) < 0.5, rng.normal(40, 3, 400), rng.normal(150, 6, 400))
    transit = learn_transit(leaves, rng.permutation(comes), options=LEARN)
    order = np.argsort(transit.mean_s)
    np.testing.assert_allclose(transit.mean_s[order], [40, 150], atol=2.0)
    np.testing.assert_allclose(transit.sigma_s[order], [3, 6], atol=1.5)


def test_chance_is_not_taken_for_a_transit() -> None:
    learned = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        learned += learn_transit(rng.uniform(0, 3600, 60), rng.uniform(0, 3600, 60), options=LEARN) is not None
    assert learned <= 1  # none measured


def test_lookalikes_are_told_apart_by_time_as_well_as_can_be(rng) -> None:
    right = n = 0
    for seed in range(15):
        fleet = draw_fleet(np.random.default_rng(seed), 1, 1, FleetOptions(0.08))
        order = rng.permutation(len(fleet))
        comes = fleet.comes[order]
        found = match_passages(learn_transit(fleet.leaves, comes, options=LEARN), fleet.leaves, comes)
        assert len(np.unique(found.row[found.row >= 0])) == (found.row >= 0).sum()  # nobody is two
        right, n = right + (found.row == order).sum(), n + len(order)
    # who knows the transit can do no better than match in the order of time: 0.917 over many hours
    assert right / n > 0.90  # 0.92 measured


def test_how_sure_a_passage_is_comes_true() -> None:
    sure, right = [], []
    for seed in range(10):
        fleet = draw_fleet(np.random.default_rng(seed), 1, 1, FleetOptions(0.17))
        order = np.random.default_rng(seed).permutation(len(fleet))
        found = match_passages(
            learn_transit(fleet.leaves, fleet.comes[order], options=LEARN), fleet.leaves, fleet.comes[order]
        )
        sure.append(found.sure)
        right.append(found.row == order)
    sure, right = np.concatenate(sure), np.concatenate(right)
    assert abs(sure.mean() - right.mean()) < 0.05
    for low, high in ((0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        part = (sure >= low) & (sure < high)
        assert abs(sure[part].mean() - right[part].mean()) < 0.1


def test_pairs_are_those_of_one_group_in_time(rng) -> None:
    a, b = rng.uniform(0, 50, 30), rng.uniform(-10, 60, 40)
    group_a, group_b = rng.integers(0, 3, 30).astype(str), rng.integers(0, 4, 40).astype(str)
    row, column = pairs_within(a, b, group_a, group_b, -3.0, 12.0)
    gap = b - a[:, None]
    expected = np.argwhere((group_a[:, None] == group_b) & (gap >= -3.0) & (gap <= 12.0))
    np.testing.assert_array_equal(np.array(sorted(zip(row.tolist(), column.tolist(), strict=True))), expected)


def test_looks_alike_are_one_group(rng) -> None:
    fleet = draw_fleet(rng, 1, 4, FleetOptions(0.05, kinds=4))
    groups = lookalikes(np.concatenate([fleet.looks_a, fleet.looks_b]), 0.5)
    kinds = np.concatenate([fleet.kind, fleet.kind])
    assert len(np.unique(groups)) == len(np.unique(kinds)) == len(np.unique(np.stack([groups, kinds]), axis=1).T)


def test_nobody_is_in_two_places() -> None:
    cov = np.broadcast_to(np.eye(2), (5, 2, 2))
    apart = np.array([[0.0, 0], [19, 0], [30, 0], [200, 0], [np.nan, 0]])
    odds = place_odds(np.array([0.0, 1, 1, 1, 1]), apart, cov, TravelOptions(top_speed=20))
    assert odds[0] == pytest.approx(0.0, abs=1e-9)
    assert odds[1] == pytest.approx(0.0, abs=1e-9)
    assert IMPOSSIBLE <= odds[2] < -40  # 10 m too far at a sigma of 1 m
    assert odds[3] == IMPOSSIBLE
    assert odds[4] == 0.0
    by_way = place_odds(np.ones(1), apart[1:2], cov[:1], TravelOptions(top_speed=20), np.array([30.0]))
    assert by_way[0] == pytest.approx(odds[2])  # round a wall it is as far
    with pytest.raises(InputError, match="no covariance"):
        place_odds(np.zeros(1), np.ones((1, 2)), np.zeros((1, 2, 2)))


def test_ways_go_round_by_the_lanes_and_end_with_the_map() -> None:
    site = load_site("garage", Path(__file__).resolve().parents[3])
    ways = Ways.of(site, cell=2.0)
    stalls = np.array([stall.polygon.centroid.coords[0] for stall in site.site_map.stalls])
    levels = site.site_map.level_rows(np.array([stall.level for stall in site.site_map.stalls]))
    rows = np.flatnonzero(levels == levels[0])[[0, -1, 0, 0]]
    start = levels[rows[:1]].repeat(4), stalls[rows[:1]].repeat(4, axis=0)
    ends = stalls[rows]
    ends[2] += 1e4
    gap = np.array([100.0, 100.0, 100.0, 100.0])
    length = lane_lengths(ways, start, (levels[rows], ends), gap)
    straight = np.linalg.norm(ends[1] - start[1][1])
    assert length[0] == 0.0
    assert 0.5 * straight < length[1] < 4.0 * straight
    assert np.isnan(length[2])
    other = np.flatnonzero(levels != levels[0])[[0, -1, 0, -1]]
    hurried, at_leisure = (lane_lengths(ways, start, (levels[other], stalls[other]), gap / by) for by in (1e4, 1.0))
    assert (hurried <= 25.2 + 1e-9).all()  # it could have gone 0.2 m, and no farther is looked
    assert (at_leisure > hurried).any()


def test_a_pair_of_cameras_without_experience_says_nothing(rng) -> None:
    leaves = rng.uniform(0, 3600, 100)
    transit = learn_transit(leaves, leaves + rng.normal(60, 5, 100), options=LEARN)
    cameras = np.array(["a", "a", "b", "a"]), np.array(["b", "b", "a", "b"])
    sites = np.array(["yard", "yard", "yard", "elsewhere"])
    odds = transit_odds({("yard", "a", "b"): transit}, sites, *cameras, np.array([60.0, 250.0, 60.0, 60.0]))
    assert odds[0] > 1
    assert IMPOSSIBLE < odds[1] < -5  # it did not go straight on
    assert odds[2] == odds[3] == 0.0


def test_transit_times_are_learned_of_those_who_were_known_again(rng) -> None:
    n = 20
    leaves = 1000.0 * np.arange(n)
    time = np.concatenate([leaves - 30, leaves, leaves + rng.normal(60, 2, n), leaves + 10])
    views = Looks(
        id=np.arange(4 * n),
        site=["yard"] * 4 * n,
        object=np.tile(np.arange(n), 4),
        camera=["a"] * 2 * n + ["b"] * n + ["a too"] * n,
        time=time,
    )
    found = learn_transits(views.take(views.camera != "a too"))
    assert list(found) == [("yard", "a", "b")]
    transit = found["yard", "a", "b"]
    assert transit.mean_s[0] == pytest.approx(60.0, abs=2.0)
    assert transit.n == n
    assert ("yard", "a", "b") not in learn_transits(views)  # another camera saw them on the way
    assert learn_transits(views.take(views.object < 7)) == {}


def test_times_that_a_map_tells_hold_for_views_taken_anywhere_in_a_stay(rng) -> None:
    """In sight for 12 s and 6 s, out of it for 40 s: what lies between two views is longer, and less sure."""
    n, told = 300, [TransitTime("t", "ground", LineString([(0, 0), (1, 0)]), "a", "b", 40.0, 3.0, 30.0)]
    leaves = 1000.0 * np.arange(n)
    in_a = leaves[:, None] - rng.uniform(0.0, 12.0, (n, 2))
    in_b = (leaves + rng.normal(40.0, 3.0, n))[:, None] + rng.uniform(0.0, 6.0, (n, 2))
    views = Looks(
        id=np.arange(4 * n), site=["yard"] * 4 * n, object=np.tile(np.arange(n), 4),
        camera=["a"] * 2 * n + ["b"] * 2 * n, time=np.concatenate([*in_a.T, *in_b.T]),
    )  # fmt: skip
    transit = told_transits(views, "yard", told)["yard", "a", "b"]
    off = (in_b[:, 0] - in_a[:, 0] - transit.mean_s[0]) / transit.sigma_s[0]
    assert abs(off.mean()) < 0.3  # 0.0 measured
    assert 0.7 < np.mean(off**2) < 1.3
    assert transit.share > 0.9  # all that were at a were at b
    assert told_transits(views, "elsewhere", told) == {}
    assert told_transits(views.take(views.id < n), "yard", told) == {}  # a view each: how long they stay, nobody knows


def test_agreement_on_what_is_rare_says_more() -> None:
    shares = shares_of(np.array(["white"] * 6 + ["red"] * 2 + ["", "gold"]))
    odds = name_odds(np.array(["white", "red", "red", ""]), np.array(["white", "red", "white", "red"]), shares)
    assert odds[1] > odds[0] > 0
    assert odds[2] < 0
    assert odds[3] == 0.0


def test_lengths_say_what_the_two_normal_densities_say(rng) -> None:
    a, b = rng.normal(size=20), rng.normal(size=20)
    options = CueOptions(length_sigma=0.4, length_spread=0.9)
    own, others = 2 * 0.4**2, 2 * (0.4**2 + 0.9**2)
    expected = -0.5 * (a - b) ** 2 / own - 0.5 * np.log(own) + 0.5 * (a - b) ** 2 / others + 0.5 * np.log(others)
    np.testing.assert_allclose(length_odds(a, b, options), expected)
    assert length_odds(np.array([np.nan]), np.array([4.0]))[0] == 0.0


def test_bad_times_are_refused() -> None:
    with pytest.raises(InputError, match="finite seconds"):
        learn_transit(np.array([np.nan]), np.array([1.0]))
    with pytest.raises(InputError, match="longer time last"):
        LearnOptions(earliest_s=5.0, longest_s=1.0)
