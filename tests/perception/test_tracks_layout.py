"""Layouts learned from tracks: what is found is there, its uncertainty holds, and a map takes it."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_roads import in_time, parked, passages

from geoloc.errors import InputError
from geoloc.perception.tracks_layout import LayoutLearner, LayoutOptions, learn_layout
from geoloc.pipeline.tracking import Tracker
from geoloc.scene.lanes import lane_axes
from geoloc.scene.map_storage import load_map, save_map
from geoloc.scene.site import Site

SITE = Site("road", ())
ROW = np.column_stack([2.6 * np.arange(10) + 3.0, np.full(10, 20.0)])


@pytest.fixture
def road(rng=None):
    rng = np.random.default_rng(1)
    return in_time(passages(rng, 30, 0.0), passages(rng, 20, 3.5, first=100), passages(rng, 20, 7.0, -8.0, first=200))


def test_lanes_beside_each_other_have_their_directions_and_share_the_ground_between(road):
    lanes = sorted(learn_layout(SITE, road).lanes, key=lambda lane: np.median(lane.xy[:, 1]))
    assert len(lanes) == 3
    for lane, y, way in zip(lanes, (0.0, 3.5, 7.0), (1, 1, -1), strict=True):
        assert abs(np.median(lane.xy[:, 1]) - y) < 0.2  # 0.06 measured
        assert np.sign(np.cos(np.median(lane.heading))) == way
        assert abs(lane.left + lane.right - 3.5) < 0.3
        assert lane.one_way
        assert abs(np.median(lane.speed) - 8.0) < 0.3


def test_a_lanes_sigma_holds_its_error():
    off = []
    for seed in range(12):
        lane = learn_layout(SITE, passages(np.random.default_rng(seed), 8, 1.0)).lanes[0]
        off.append((np.median(lane.xy[:, 1]) - 1.0) / np.median(lane.sigma))
    assert np.mean(np.square(off)) < 2.0  # 1 if honest; what is stated holds the bias too, so it is less


def test_a_swerving_lane_is_one_lane():
    rng = np.random.default_rng(2)
    tracks = in_time(passages(rng, 30, 0.0), passages(rng, 8, 1.1, first=100))
    assert len(learn_layout(SITE, tracks).lanes) == 1


def test_two_directions_on_one_line_are_no_one_way_lane():
    rng = np.random.default_rng(3)
    lanes = learn_layout(SITE, in_time(passages(rng, 20, 0.0), passages(rng, 15, 0.1, -8.0, first=100))).lanes
    assert [lane.one_way for lane in lanes] == [False]


def test_a_row_of_stalls_is_found_where_vehicles_stood():
    rng = np.random.default_rng(4)
    days = [parked(rng, ROW[rng.random(10) < 0.7], first=100 * k, start=1000.0 * k) for k in range(6)]
    stalls = learn_layout(SITE, in_time(*days)).stalls
    assert len(stalls) == 10
    xy = np.array(sorted(stall.xy.tolist() for stall in stalls))
    assert np.abs(xy - ROW).max() < 0.3  # 0.12 measured
    assert all(abs(abs(np.sin(stall.axis)) - 1.0) < 0.02 for stall in stalls)


def test_vehicles_that_wait_in_a_lane_make_no_stall():
    rng = np.random.default_rng(5)
    waits = [parked(rng, np.array([[30.0, 0.0]]), first=500 + k, start=2000.0 + 200 * k, axis=0.0) for k in range(3)]
    assert not learn_layout(SITE, in_time(passages(rng, 60, 0.0), *waits)).stalls


def test_what_is_saved_comes_back_and_learns_on(tmp_path, road):
    half = len(road) // 2
    whole = LayoutLearner(SITE, LayoutOptions(batch_rows=200))
    whole.observe(road)
    first = LayoutLearner(SITE, LayoutOptions(batch_rows=200))
    first.observe(road.take(slice(0, half)))
    first.save(tmp_path / "layout.npz")
    again = LayoutLearner.load(SITE, tmp_path / "layout.npz")
    again.observe(road.take(slice(half, len(road))))
    assert len(again.lanes()) == len(whole.lanes()) == 3


def test_another_sites_memory_and_no_memory_are_refused(tmp_path, road):
    LayoutLearner(SITE).save(tmp_path / "layout.npz")
    (tmp_path / "text.npz").write_text("no layout")
    with pytest.raises(InputError, match="no learned layout"):
        LayoutLearner.load(SITE, tmp_path / "text.npz")
    other = replace(SITE, site_map=replace(SITE.site_map, levels=(replace(SITE.site_map.levels[0], name="P1"),)))
    with pytest.raises(InputError, match="other levels"):
        LayoutLearner.load(other, tmp_path / "layout.npz")


def test_rows_that_come_too_late_are_refused(road):
    learner = LayoutLearner(SITE)
    learner.observe(road)
    learner.flush()
    learner.observe(road)
    with pytest.raises(InputError, match="too late"):
        learner.flush()


def test_what_was_seen_long_ago_fades():
    options = LayoutOptions()
    options = replace(options, flow=replace(options.flow, fade_s=1000.0))
    learner = LayoutLearner(SITE, options)
    rng = np.random.default_rng(6)
    learner.observe(passages(rng, 10, 0.0))
    learner.observe(passages(rng, 10, 20.0, first=100, start=20_000.0))
    assert [round(float(np.median(lane.xy[:, 1]))) for lane in learner.lanes()] == [20]


def test_an_accepted_layout_is_used_by_the_engine_without_more_ado(tmp_path, road):
    rng = np.random.default_rng(7)
    tracks = in_time(road, parked(rng, ROW, first=900, start=5000.0))
    learned = learn_layout(SITE, tracks)
    save_map(learned.proposal(SITE.site_map), tmp_path / "learned.geojson")
    read = load_map(tmp_path / "learned.geojson")
    assert {stall.source for stall in read.stalls} == {"learned"}
    assert all(0 < stall.sigma < 0.5 and 0.5 < stall.confidence <= 1 for stall in read.stalls)
    assert len(read.lanes) == 3
    accepted = learned.accepted(SITE.site_map, 0.5)
    level, there = np.zeros(2, int), np.array([[30.0, 0.0], [30.0, 7.0]])
    assert not lane_axes(SITE.site_map, level, there).any()
    axes = lane_axes(accepted, level, there)
    assert axes[0, 0] > 0.99
    assert axes[1, 0] < -0.99
    assert Tracker(replace(SITE, site_map=accepted)).site.site_map.stalls


def test_drawn_stalls_stay_and_learned_ones_on_them_are_left_out():
    rng = np.random.default_rng(8)
    learned = learn_layout(SITE, parked(rng, ROW))
    drawn = replace(learned.proposal(SITE.site_map).stalls[0], name="A1", source="")
    site_map = learned.accepted(replace(SITE.site_map, stalls=(drawn,)), 0.5)
    assert len(site_map.stalls) == 10
    again = learned.accepted(site_map, 0.5)
    assert len(again.stalls) == 10
    assert again.stalls[0].name == "A1"
