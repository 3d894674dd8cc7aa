"""Where rays meet the ground: floors over floors, ramps, ceilings, edges, and rays that meet nothing."""

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import Polygon, box

from geoloc.errors import InputError, UnknownNameError
from geoloc.scene.ground import intersect_ground
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface


def rays_to(origin, *targets):
    rays = np.array(targets, float) - np.array(origin, float)
    return np.tile(np.array(origin, float), (len(rays), 1)), rays / np.linalg.norm(rays, axis=1, keepdims=True)


def hit_levels(site_map, origin, *targets):
    hits = intersect_ground(site_map, *rays_to(origin, *targets))
    return [site_map.levels[i].name if i >= 0 else "" for i in hits.level], hits


def test_a_camera_on_the_upper_floor_sees_floor_ramp_and_what_lies_under_the_opening(garage_map):
    names, hits = hit_levels(garage_map, (22, 26, 7), (25, 15, 3), (35, 15, 1.5), (39.9, 5, 0))
    assert names == ["L1", "ramp", "L0"]
    np.testing.assert_allclose(hits.xyz[0], (25, 15, 3), atol=1e-9)
    np.testing.assert_allclose(hits.xyz[1], (35, 15, 1.5), atol=1e-9)
    np.testing.assert_allclose(hits.slope, [(0, 0), (-0.3, 0), (0, 0)])
    np.testing.assert_allclose(hits.sigma_z, [0.02, 0.03, 0.01])


def test_a_camera_on_the_lower_floor_does_not_take_the_ceiling_for_ground(garage_map):
    names, hits = hit_levels(garage_map, (10, 15, 2.6), (20, 15, 0), (20, 15, 4), (35, 15, 1.5), (36, 28, 2.9))
    # the ceiling stops the second ray, the ramp's underside the third; the fourth leaves between the floors
    assert names == ["L0", "", "", ""]
    assert np.isnan(hits.xyz[1:]).all()


def test_the_underside_of_a_ramp_blocks(garage_map):
    # from under the ramp's high end (x = 30, 3 m) towards its low end: up through its surface
    names, hits = hit_levels(garage_map, (30.5, 15, 0.5), (39, 15, 0.45), (30.6, 15, 0.0))
    assert names == ["", "L0"]
    assert np.isnan(hits.xyz[0]).all()


def test_the_nearest_surface_wins_whatever_the_order_of_the_levels(garage_map, rng):
    origins = rng.uniform((0, 0, 0.5), (40, 30, 8), (3000, 3))
    rays = rng.normal(size=(3000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    forward = intersect_ground(garage_map, origins, rays)
    turned = replace(garage_map, levels=garage_map.levels[::-1])
    backward = intersect_ground(turned, origins, rays)
    np.testing.assert_array_equal(forward.level, np.where(backward.level < 0, -1, 2 - backward.level))
    np.testing.assert_array_equal(forward.xyz, backward.xyz)
    assert 500 < (forward.level >= 0).sum() < 2500


def test_hits_agree_with_one_ray_at_a_time_by_hand(garage_map, rng):
    """A slow check that walks along each ray and looks for the first surface crossed."""
    origins = rng.uniform((2, 2, 0.5), (38, 28, 8), (60, 3))
    rays = rng.normal(size=(60, 3)) - (0, 0, 0.6)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    hits = intersect_ground(garage_map, origins, rays)
    t = np.linspace(0, 60, 60001)
    for i in range(60):
        path = origins[i] + t[:, None] * rays[i]
        first, name = np.inf, ""
        for level in garage_map.levels:
            for surface in level.surfaces:
                over = path[:, 2] - surface.z_at(path[:, :2])
                cross = np.flatnonzero(over[:-1] * over[1:] < 0)
                cross = cross[surface.holds(path[cross, :2])]
                if len(cross) and t[cross[0]] < first:
                    first, name = t[cross[0]], level.name if over[cross[0]] > 0 else ""
        got = garage_map.levels[hits.level[i]].name if hits.level[i] >= 0 else ""
        assert got == name
        if name:
            assert np.linalg.norm(hits.xyz[i] - origins[i]) == pytest.approx(first, abs=2e-3)


def test_a_ray_to_the_seam_of_two_pieces_does_not_fall_through():
    """A lot that bends at y = 0: the pieces share an edge, and a ray that ends on it has a hit."""
    bend = Level("lot", (Surface((0, 0.02, 0), box(-50, -50, 50, 0)), Surface((0, -0.03, 0), box(-50, 0, 50, 50))))
    x = np.linspace(-40, 40, 401)
    targets = np.column_stack([x, np.zeros(401), np.zeros(401)])
    names, hits = hit_levels(SiteMap(levels=(bend,)), (3.3, -21.7, 6.1), *targets)
    assert names == ["lot"] * 401
    np.testing.assert_allclose(hits.xyz, targets, atol=1e-9)


def test_rays_that_meet_nothing_have_no_hit_and_no_warning():
    endless = SiteMap()
    rays = np.array([[1, 0, 0], [0, 0, 1], [0.6, 0, 0.8], [1, 0, -1e-7], [np.nan] * 3, [0, 0.6, -0.8]], float)
    hits = intersect_ground(endless, np.array([[0.0, 0.0, 5.0]]), rays)
    assert hits.level.tolist() == [-1, -1, -1, -1, -1, 0]
    assert np.isnan(hits.xyz[:5]).all()
    np.testing.assert_allclose(hits.xyz[5], (0, 3.75, 0))
    under = intersect_ground(endless, np.array([[0.0, 0.0, -2.0]]), rays)
    assert (under.level == -1).all()
    assert intersect_ground(endless, np.zeros((0, 3)), np.zeros((0, 3))).xyz.shape == (0, 3)


def test_one_endless_plane_is_met_as_by_the_general_way(rng):
    """The fast way for the most common map gives what the general one gives."""
    origins, rays = rng.uniform(1, 9, (500, 3)), rng.normal(size=(500, 3))
    plane = Surface((0.05, -0.02, 0.4), sigma_z=0.03)
    fast = intersect_ground(SiteMap(levels=(Level("g", (plane,)),)), origins, rays)
    wide = Surface(plane.plane, box(-1e9, -1e9, 1e9, 1e9), plane.sigma_z)
    slow = intersect_ground(SiteMap(levels=(Level("g", (wide,)),)), origins, rays)
    np.testing.assert_array_equal(fast.level, slow.level)
    hit = fast.level == 0
    assert 150 < hit.sum() < 350
    np.testing.assert_allclose(fast.xyz[hit], slow.xyz[hit], rtol=1e-12)
    np.testing.assert_array_equal(fast.slope[hit], slow.slope[hit])
    np.testing.assert_array_equal(fast.sigma_z[hit], slow.sigma_z[hit])


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3), st.floats(-5, 5)),
    st.tuples(st.floats(-50, 50), st.floats(-50, 50), st.floats(0.1, 30)),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)),
)
def test_every_hit_lies_on_its_surface_and_on_its_ray(plane, origin, direction):
    site_map = SiteMap(levels=(Level("g", (Surface(plane, box(-200, -200, 200, 200)),)),))
    start, ray = np.array([origin]) + np.array([0, 0, plane[2] + 30]), np.array([direction])
    if np.linalg.norm(ray) < 1e-3:
        return
    ray /= np.linalg.norm(ray)
    hits = intersect_ground(site_map, start, ray)
    if hits.level[0] < 0:
        return
    surface = site_map.levels[0].surfaces[0]
    distance = np.linalg.norm(hits.xyz[0] - start[0])
    assert abs(hits.xyz[0, 2] - surface.z_at(hits.xyz[0, :2])) < 1e-9 * (1 + distance)
    assert surface.holds(hits.xyz[:, :2])[0]
    np.testing.assert_allclose(hits.xyz[0], start[0] + distance * ray[0], atol=1e-9 * (1 + distance))


@pytest.mark.parametrize("polygon", [box(0, 0, 4, 3), Polygon([(0, 0), (4, 0), (2, 3)]), box(0, 0, 4, 3).buffer(1)])
def test_a_surface_holds_its_inside_and_a_millimetre_of_edge(polygon, rng):
    surface = Surface(polygon=polygon)
    xy = np.concatenate([rng.uniform(-2, 6, (500, 2)), shapely.get_coordinates(polygon), [[np.nan, 1], [np.inf, 1]]])
    distance = shapely.distance(polygon, shapely.points(np.nan_to_num(xy, nan=1e9, posinf=1e9)))
    np.testing.assert_array_equal(surface.holds(xy), distance <= 1e-3)
    corner = polygon.exterior.coords[0]
    assert surface.holds(np.array([corner]) + 0.5e-3 * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])).all()
    assert not surface.holds(np.array([[polygon.bounds[2] + 2e-3, 1.5]]))[0]


def test_levels_give_heights_and_their_first_piece_wins(garage_map):
    both = Level("l", (Surface((0, 0, 1.0), box(0, 0, 2, 2)), Surface((0.5, 0, 0), box(1, 0, 4, 2))))
    xy = np.array([[0.5, 1], [1.5, 1], [3.0, 1], [9.0, 1]])
    np.testing.assert_array_equal(both.z_at(xy), [1, 1, 1.5, np.nan])
    np.testing.assert_array_equal(both.z_extended(xy), [1, 1, 1.5, 1])
    assert garage_map.level_rows(np.array(["ramp", "L0"])).tolist() == [2, 0]
    with pytest.raises(UnknownNameError, match="'L00'; did you mean 'L0'"):
        garage_map.level("L00")


CROSSED = Polygon([(0, 0), (2, 2), (2, 0), (0, 2)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Surface((0, np.inf, 0)), "must be finite"),
        (lambda: Surface(polygon=CROSSED), "Self-intersection"),
        (lambda: Level("l", ()), "at least one surface"),
        (lambda: SiteMap(levels=()), "the map has no level"),
        (lambda: Place("p", "ground", CROSSED), "zone 'p': Self-intersection"),
        (lambda: Place("p", "ground", Polygon()), "needs a name and an outline"),
        (lambda: Occluder("o", "ground", box(0, 0, 1, 1), 0.0), "Polygon of height 0.0 m"),
        (lambda: Occluder("o", "ground", shapely.Point(1, 2)), "Point of height 3.0 m"),
        (lambda: ControlPoint("g", (0, 0, np.nan)), "control point 'g'.*finite values"),
        (lambda: ControlPoint("g", (0, 0, 0), (0.1, -0.1, 0.1)), "sigma >= 0"),
        (lambda: SiteMap(levels=(Level("a", (Surface(),)), Level("a", (Surface(),)))), "two levels named 'a'"),
        (
            lambda: SiteMap(stalls=(Place("s", "grond", box(0, 0, 1, 1)),)),
            "level 'grond' of 's'; did you mean 'ground'",
        ),
        (lambda: SiteMap().require_datum("GeoJSON of tracks"), "GeoJSON of tracks needs the site's datum"),
    ],
)
def test_impossible_maps_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
