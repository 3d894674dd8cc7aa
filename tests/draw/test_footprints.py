"""Footprints: held against single rays, a camera that looks straight down, the horizon, other decks."""

import numpy as np
import pytest
import shapely
from draw_samples import SIZE, camera, garage, homography_camera, plaza
from shapely import LineString, Point, box

from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.footprint import footprints
from geoloc.scene.ground import intersect_ground
from geoloc.scene.lenses import Fisheye
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface

RANGE_M = 40.0


def area_of(site, name, level, range_m=RANGE_M):
    found = [f.area for f in footprints(site, range_m) if (f.camera, f.level) == (name, level)]
    return found[0] if found else shapely.Polygon()


def test_camera_that_looks_straight_down_sees_the_rectangle_of_its_image():
    site = Site("mast", (camera("down", (5, 7, 10), (5, 7, 0), 1000.0),))
    area = area_of(site, "down", "ground")
    expected = box(5 - 9.6, 7 - 5.4, 5 + 9.6, 7 + 5.4)  # 1920 × 1080 px at 1 cm a pixel
    difference = area.symmetric_difference(expected).area
    assert difference < 0.02 * expected.area, f"{difference:.2f} m² of {expected.area:.0f} differ"


@pytest.mark.parametrize("site", [plaza(), garage()], ids=["plaza", "garage"])
def test_every_pixel_that_meets_a_level_lies_in_that_level_s_footprint_and_no_other(site):
    u, v = np.meshgrid(np.linspace(5, SIZE[0] - 6, 40), np.linspace(5, SIZE[1] - 6, 30))
    pixels = np.column_stack([u.ravel(), v.ravel()])
    checked = 0
    for one in (one for one in site.cameras if not one.is_homography):
        origins = np.broadcast_to(one.centre_world, (len(pixels), 3))
        hits = intersect_ground(site.site_map, origins, one.unproject(pixels))
        near = np.linalg.norm(hits.xyz[:, :2] - one.centre_world[:2], axis=1) < RANGE_M - 0.5
        for index, level in enumerate(site.site_map.levels):
            area = area_of(site, one.name, level.name)
            inside, outside = area.buffer(0.05), area.buffer(-0.05)
            on = hits.xyz[near & (hits.level == index)][:, :2]
            off = hits.xyz[near & (hits.level != index) & (hits.level >= 0)][:, :2]
            assert shapely.intersects_xy(inside, on[:, 0], on[:, 1]).all(), (one.name, level.name)
            # a point of another level may lie under this footprint, but not where its ray is stopped
            rays = np.column_stack([off, level.z_at(off)]) - one.centre_world
            seen = intersect_ground(site.site_map, np.broadcast_to(one.centre_world, rays.shape), rays)
            hidden = (seen.level != index) & np.isfinite(rays).all(axis=1)
            assert not shapely.intersects_xy(outside, off[hidden, 0], off[hidden, 1]).any(), (
                one.name,
                level.name,
            )
            checked += len(on)
    assert checked > 1000, checked


def test_horizon_ends_at_the_range():
    site = Site("street", (camera("far", (0, 0, 4), (100, 0, 3.5)),))
    area = area_of(site, "far", "ground")
    distance = np.linalg.norm(shapely.get_coordinates(area), axis=1)
    assert distance.max() <= RANGE_M + 1e-6
    assert distance.max() > RANGE_M - 0.1, distance.max()
    assert shapely.get_coordinates(area)[:, 0].min() > 0, "ground behind the camera is not seen"


def test_portrait_camera_is_scanned_along_its_vertical():
    upright = camera("a", (0, 0, 4), (20, 0, 0))
    quarter = np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1.0]])
    turned = look_at(np.array([0, 0, 4.0]), np.array([20.0, 0, 0]))
    pose = type(turned).from_components(quarter @ turned.translation, type(turned.rotation).from_matrix(
        quarter @ turned.rotation.as_matrix()))  # fmt: skip
    lens = type(upright.lens)(np.array([1100, 1100, 539.5, 959.5]))
    site = Site("s", (upright, Camera("b", lens, SIZE[::-1], pose)))
    a, b = area_of(site, "a", "ground"), area_of(site, "b", "ground")
    assert a.symmetric_difference(b).area < 0.01 * a.area


def test_fisheye_under_a_ceiling_sees_its_disc():
    lens = Fisheye(np.array([300.0, 300.0, 959.5, 539.5, 0, 0, 0, 0]))
    pose = look_at(np.array([0, 0, 3.0]), np.array([0, 0, 0.0]))
    site = Site("hall", (Camera("eye", lens, SIZE, pose),))
    area = area_of(site, "eye", "ground", 12.0)
    angle = 540 / 300  # of the upper edge, past the horizon: the whole disc is seen
    assert angle > np.pi / 2
    assert area.area == pytest.approx(np.pi * 12**2, rel=0.02)


def test_homography_gives_the_footprint_of_the_same_camera_with_a_pose():
    known = camera("known", (10, -4, 3.5), (10, 6, 0))
    floor = SiteMap((Level("floor", (Surface((0, 0, 0), box(0, 0, 20, 16)),)),))
    site = Site("s", (known, homography_camera("plane", (10, -4, 3.5), (10, 6, 0), "floor")), floor)
    a, b = area_of(site, "known", "floor"), area_of(site, "plane", "floor")
    assert a.area > 100
    assert a.symmetric_difference(b).area < 0.01 * a.area
    x, y = site.camera("plane").anchor_xy
    assert abs(x - 10) < 0.05
    assert -4 < y < 6


def test_homography_above_its_horizon_sees_no_ground():
    # the horizon lies inside the image: no part of the footprint may be mirrored behind the camera
    site = Site("s", (homography_camera("plane", (0, 0, 3), (30, 0, 2.5), "ground"),))
    x = shapely.get_coordinates(area_of(site, "plane", "ground"))[:, 0]
    assert len(x) > 10
    assert x.min() > 0


def test_deck_above_hides_the_deck_below():
    low = Level("low", (Surface((0, 0, 0), box(0, 0, 30, 30)),))
    high = Level("high", (Surface((0, 0, 3), box(0, 0, 30, 30)),))
    over, under = camera("over", (15, 15, 6), (25, 15, 3)), camera("under", (15, 15, 2.5), (25, 15, 0))
    site = Site("decks", (over, under), SiteMap((low, high)))
    assert {(f.camera, f.level) for f in footprints(site)} == {("over", "high"), ("under", "low")}


def test_camera_under_the_ground_sees_nothing():
    site = Site("s", (camera("buried", (0, 0, -2), (10, 0, -1)),))
    assert footprints(site) == ()


def one_wall(thing, height, centre=(0, 0, 3)):
    street = SiteMap(occluders=(Occluder("thing", "ground", thing, height),))
    site = Site("s", (camera("eye", centre, (20, 0, 0), 500.0),), street)
    return area_of(site, "eye", "ground")


def test_wall_hides_as_much_as_its_height_and_no_more():
    low = one_wall(LineString([(10, -5), (10, 5)]), 2.0)
    # similar triangles: the line of sight over 2 m at 10 m, from 3 m, meets the ground at 30 m
    assert [low.intersects(Point(x, 0)) for x in (9.9, 10.1, 29.9, 30.1)] == [True, False, False, True]
    assert low.intersects(Point(20, 10.2))
    assert not low.intersects(Point(20, 9.8))
    tall = one_wall(LineString([(10, -5), (10, 5)]), 3.5)
    assert not tall.intersects(Point(39, 0))


def test_camera_that_hangs_on_a_wall_looks_past_it():
    free = one_wall(LineString([(-100, 50), (-100, 60)]), 3.0)
    assert one_wall(LineString([(-0.1, -30), (-0.1, 30)]), 5.0).area == pytest.approx(free.area)


def test_broad_pillars_hide_and_thin_ones_do_not():
    assert not one_wall(box(10, -1, 12, 1), 5.0).intersects(Point(20, 0))
    assert one_wall(box(10, -0.2, 10.4, 0.2), 5.0).intersects(Point(20, 0))
