"""Walls and one-way lanes tell what is one object, and which one it may be."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from parking import lot
from sites import points_at, square

from geoloc.pipeline.association import associate
from geoloc.pipeline.identity_book import OUT_OF_SIGHT, Book
from geoloc.pipeline.recognition import Recognition
from geoloc.pipeline.tracking import Tracker
from geoloc.scene.map_storage import geojson_from_map, map_from_geojson
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, Place, SiteMap, Surface
from geoloc.scene.tables import Objects, Tracks
from geoloc.scene.ways import AGAINST, Ways

GROUND = (Level("ground", (Surface(),)),)
WALL = Occluder("wall", "ground", shapely.LineString([(0.0, -10.0), (0.0, 10.0)]))


def groups(xy: list[tuple[float, float]], site_map: SiteMap | None, sigma: float = 0.4) -> list[int]:
    points = points_at(np.array(xy), [f"c{k}" for k in range(len(xy))], sigma, "car")
    return np.unique(associate(points, site_map=site_map).group, return_inverse=True)[1].tolist()


def test_cars_nose_to_nose_on_both_sides_of_a_wall_are_two() -> None:
    """Two cameras, each of which sees the car on its own side, 2 m apart: as near as one car's two ends."""
    site_map = SiteMap(GROUND, occluders=(WALL,))
    noses = [(-1.0, 0.0), (1.0, 0.0)]
    assert groups(noses, None) == [0, 0]
    assert groups(noses, site_map) == [0, 1]
    beyond = [(-1.0, 12.0), (1.0, 12.0)]  # the wall ends before
    assert groups(beyond, site_map) == [0, 0]


def test_a_car_beside_a_wall_is_one_though_a_point_of_it_lies_behind() -> None:
    site_map = SiteMap(GROUND, occluders=(WALL,))
    assert groups([(0.9, 0.0), (-0.2, 0.0), (0.5, 0.1)], site_map) == [0, 0, 0]


def test_a_pillar_parts_nothing_and_other_levels_have_no_wall() -> None:
    pillar = Occluder("pillar", "ground", shapely.box(-0.2, -0.2, 0.2, 0.2))
    assert groups([(-1.0, 0.0), (1.0, 0.0)], SiteMap(GROUND, occluders=(pillar,))) == [0, 0]
    above = (*GROUND, Level("roof", (Surface((0.0, 0.0, 3.0)),)))
    assert groups([(-1.0, 0.0), (1.0, 0.0)], SiteMap(above, occluders=(replace(WALL, level="roof"),))) == [0, 0]


def street(direction: float) -> Site:
    plain = lot()
    lane = Place("lane", "ground", shapely.box(-60.0, -60.0, 60.0, 60.0), "lane", direction)
    return Site("street", plain.cameras, SiteMap((Level("ground", (Surface(),)),), zones=(lane,)))


@pytest.mark.parametrize(("direction", "label"), [(0.0, "car"), (np.pi, "car"), (0.0, "person"), (np.nan, "car")])
def test_a_car_is_recognised_downstream_of_a_one_way_lane(direction: float, label: str) -> None:
    """It was lost while it stood; two new cars begin 6 m ahead and 6 m behind, as far and as soon."""
    site = street(direction)
    book = Book(site)
    tracks = Tracks(time=[0.0, 4.0, 4.0], track=[1, 2, 3], level=["ground"] * 3, xy=[[0, 0], [6, 0], [-6, 0]],
                    z=np.zeros(3), velocity=np.zeros((3, 2)), cov=np.tile(0.1 * np.eye(4), (3, 1, 1)),
                    bias_cov=np.tile(0.01 * np.eye(2), (3, 1, 1)), label=[label] * 3, still_since=np.zeros(3),
                    state=["confirmed"] * 3, object=[0, 1, 2])  # fmt: skip
    for k in range(3):
        one = tracks.take([k])
        book.follow(book.enter(one, np.zeros(1, dtype=int)), one, float(tracks.time[k]), 10.0)
    book["life"][0], book["track"][0] = OUT_OF_SIGHT, -1
    ahead, behind = Recognition(site).odds(book, np.array([1, 2]), np.array([0]))[:, 0]
    if label == "person" or np.isnan(direction):
        assert ahead == pytest.approx(behind, abs=0.2)
    else:
        assert (ahead - behind) * np.cos(direction) > 1.0  # log-odds, 2.05


def test_a_way_against_a_one_way_lane_is_long_for_vehicles_only() -> None:
    site = street(0.0)
    ways = Ways.of(site)
    rows = ways.rows(np.zeros(2, dtype=int), np.array([[5.5, 0.5], [-4.5, 0.5]]))
    here = np.array([0.5, 0.5])
    assert ways.distances(0, here)[rows].tolist() == pytest.approx([5.0, 5.0])
    ahead, behind = ways.distances(0, here, drives=True)[rows].tolist()
    assert ahead == pytest.approx(5.0)
    assert behind == pytest.approx(5.0 * AGAINST)


def test_the_direction_of_a_lane_is_kept_in_the_file() -> None:
    site_map = street(2.5).site_map
    again = map_from_geojson(geojson_from_map(site_map))
    assert again.zones[0].direction == pytest.approx(2.5)
    assert np.isnan(map_from_geojson(geojson_from_map(lot().site_map)).zones[0].direction)
    assert square().site_map.zones == ()


def test_a_car_that_is_lost_does_not_drive_on_through_a_wall() -> None:
    """It comes towards the wall at 5 m/s and is seen no more 3 m before it: straight on it would pass in 0.6 s."""
    tracker = Tracker(Site("walled", square().cameras, SiteMap(GROUND, occluders=(WALL,))))
    nobody = np.zeros(4, dtype=bool)
    for k in range(20):
        tracker.predict(k * 0.2)
        seen = Objects(object=[k], time=[k * 0.2], level=["ground"], xyz=[[-22.0 + k, 0.0, 0.0]],
                       cov=[0.01 * np.eye(3)], bias_cov=[np.zeros((3, 3))], label=["car"], score=[0.95],
                       best_score=[0.95], n_cameras=[1], camera_set=[1], track=[1 if k else -1])  # fmt: skip
        tracks = tracker.update(seen, nobody)
    assert tracks.velocity[0, 0] > 4.5
    for k in range(20, 26):
        tracker.predict(k * 0.2)
        tracks = tracker.update(Objects(), nobody)
    assert -3.0 < tracks.xy[0, 0] < 0.0
    assert np.abs(tracks.velocity).max() < 1e-9
