"""One-way lanes are likelihoods: they tell cars in a queue apart, and a wrong-way driver keeps his id."""

import numpy as np
import pytest
import shapely
from sites import feet_seen, square

from geoloc.options import merge_options
from geoloc.pipeline.link_costs import LinkCosts, Sights
from geoloc.pipeline.localizer import LocalizerOptions, localize
from geoloc.pipeline.tracking import Tracker
from geoloc.scene.lanes import lane_axes
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, Place, SiteMap, Surface
from geoloc.scene.tables import Detections, Objects
from geoloc.scene.ways import Ways, way_lengths

LANE = shapely.box(-15.0, -2.0, 15.0, 2.0)


def street(direction: float, occluders: tuple[Occluder, ...] = ()) -> Site:
    lane = Place("lane", "ground", LANE, "lane", direction)
    return Site("street", square().cameras, SiteMap((Level("ground", (Surface(),)),), None, (), (lane,), occluders))


def drives(site: Site, x: np.ndarray, times: np.ndarray, seed: int = 1, hidden: tuple[float, float] = (0.0, 0.0),
           label: str = "car") -> Detections:
    """Cars at x (T, N) m in the lane; nobody sees them while they are between the two `hidden` (m)."""
    rng, seen = np.random.default_rng(seed), []
    for time, places in zip(times, x, strict=True):
        places = places[~((places > hidden[0]) & (places < hidden[1])) & (np.abs(places) < 14.0)]
        feet = np.column_stack([places, np.zeros(len(places)), np.zeros(len(places))])
        seen.append(feet_seen(site, feet, float(time), rng, 2.0, label))
    table = Detections.concat(seen)
    return table.replace(id=np.arange(len(table)))


def ids(site: Site, seen: Detections) -> list[set[int]]:
    """The ids of confirmed tracks that were seen, in windows of time."""
    options = merge_options(LocalizerOptions(), {"window_s": 0.05})
    tracks = localize(seen, site, options)
    sure = tracks.take((tracks.state == "confirmed") & (tracks.object >= 0))
    return [set(sure.track[sure.time == time].tolist()) for time in np.unique(sure.time)]


@pytest.mark.parametrize("direction", [0.0, np.pi])
@pytest.mark.parametrize("rate", [2.0, 10.0])
def test_a_wrong_way_driver_keeps_his_id(direction: float, rate: float) -> None:
    site, times = street(direction), np.arange(0.0, 4.0, 1.0 / rate)
    told = ids(site, drives(site, -10.0 + 5.0 * times[:, None], times))
    assert len(set().union(*told)) == 1
    assert len(told) >= len(times) - 2


@pytest.mark.parametrize("direction", [0.0, np.pi])
def test_a_wrong_way_driver_keeps_his_id_over_a_blind_gap(direction: float) -> None:
    site, times = street(direction), np.arange(0.0, 5.0, 0.1)
    told = ids(site, drives(site, -10.0 + 5.0 * times[:, None], times, hidden=(-3.0, 6.0)))
    assert len(set().union(*told)) == 1


def test_of_two_sights_a_new_vehicle_is_the_one_down_the_lane() -> None:
    """Seen once, half a second ago: one candidate is 3 m ahead, one 3 m behind."""
    for direction in (0.0, 0.5 * np.pi, np.nan):
        tracker = Tracker(street(direction))
        tracker.predict(0.0)
        tracker.update(_one(0.0), np.ones(4, dtype=bool))
        there = tracker.predict(0.5)
        step = there.xy[0]
        cov = there.cov[0, :2, :2]
        odds = {s: -0.5 * (s * np.array([3.0, 0]) - step) @ np.linalg.solve(cov, s * np.array([3.0, 0]) - step)
                for s in (1.0, -1.0)}
        if direction == 0.0:
            assert odds[1.0] - odds[-1.0] > 1.5  # log-likelihood
            assert odds[-1.0] > -3.0  # it is not out of the question
        else:
            assert odds[1.0] == pytest.approx(odds[-1.0], abs=1e-6)


def _one(time: float) -> Objects:
    return Objects(object=[0], time=[time], level=["ground"], xyz=np.zeros((1, 3)), cov=[0.04 * np.eye(3)],
                   bias_cov=[0.01 * np.eye(3)], label=["car"], camera_set=[1], score=[0.9], n_cameras=[1])  # fmt: skip


def _sight(time: float, x: float, speed: float) -> Sights:
    return Sights(np.array([time]), np.array([0]), np.array([[x, 0.0]]), np.array([[speed, 0.0]]),
                  0.1 * np.eye(4)[None], 0.01 * np.eye(2)[None], np.zeros(1), np.array(["vehicle"]), np.array([4.5]),
                  np.array([8.0]), np.array([[4.0, 2.4]]), np.array([2.0]), np.array([np.nan]), np.array([np.nan]),
                  np.zeros((1, 0)))  # fmt: skip


def test_who_drove_against_a_lane_is_looked_for_up_the_lane() -> None:
    wall = Occluder("far wall", "ground", shapely.LineString([(-40, 30), (40, 30)]))  # ways are measured round walls
    costs = LinkCosts(street(np.pi, (wall,)))
    lost, found, other = _sight(0.0, -6.0, 5.0), _sight(2.0, 4.0, 5.0), _sight(2.0, 4.0, -5.0)
    same, turned = costs.density(lost, found)[0], costs.density(lost, other)[0]
    lawful = LinkCosts(street(0.0, (wall,))).density(lost, found)[0]
    assert same > turned + 5.0
    assert same > lawful  # few drive against a lane: who does is who did
    standing = costs.density(_sight(0.0, -6.0, 0.0), _sight(2.0, 4.0, 0.0))[0]
    assert np.isfinite(standing)  # rare, not impossible


def test_crossing_lanes_have_no_direction() -> None:
    site_map = SiteMap(zones=(Place("a", "ground", LANE, "lane", 0.0),
                              Place("b", "ground", shapely.box(-2, -15, 2, 15), "lane", np.pi / 2)))  # fmt: skip
    xy = np.array([[-10.0, 0.0], [0.0, 0.0], [0.0, 10.0], [9.0, 9.0]])
    axes = lane_axes(site_map, np.zeros(4, dtype=int), xy)
    np.testing.assert_allclose(axes, [[1, 0], [0, 0], [0, 1], [0, 0]], atol=1e-12)


def test_a_way_is_as_long_searched_from_either_end() -> None:
    ways, x = Ways.of(street(0.0)), np.linspace(-12.0, 8.0, 21)
    start = ways.rows(np.zeros(21, int), np.column_stack([x, np.zeros(21)]))
    goal = ways.rows(np.zeros(1, int), np.array([[12.0, 0.0]])).repeat(21)
    most, drives = np.full(21, 1e3), np.arange(21) % 4 > 0
    together = way_lengths(ways, start, goal, most, drives)
    alone = [way_lengths(ways, start[[k]], goal[[k]], most[[k]], drives[[k]])[0] for k in range(21)]
    np.testing.assert_allclose(together, alone)
    against = way_lengths(ways, goal, start, most, drives) - together
    assert (against[drives] > 1.0).all()  # out of the lane and back in: 1.7 m
    np.testing.assert_allclose(against[~drives], 0.0, atol=1e-9)
