"""Who sees what: against a slow check of each line of sight with shapely, and what each hazard hides."""

import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import shapely
from outside import open3d
from shapely import LineString, box

from geoloc.errors import InputError
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface
from geoloc.scene.visibility import compute_visibility

HEIGHT = 0.9


def slowly_seen(site, camera, level, xy):
    """One line of sight, checked with shapely's geometry alone."""
    z = level.z_at(xy[None])[0]
    foot = np.array([*xy, z])
    if not np.isfinite(z) or not camera.inside(camera.project(foot[None]))[0]:
        return False
    centre, target = camera.centre_world, foot + np.array([0, 0, HEIGHT])
    line = LineString([centre[:2], target[:2]])
    for occluder in site.site_map.occluders:
        if occluder.geometry.geom_type == "Polygon" and occluder.geometry.contains(shapely.Point(centre[:2])):
            continue
        solid = occluder.level == level.name and occluder.height >= HEIGHT
        if solid and occluder.geometry.geom_type == "Polygon" and occluder.geometry.contains(shapely.Point(xy)):
            return False
        for point in shapely.get_coordinates(occluder.geometry.intersection(line)):
            t = np.linalg.norm(point - centre[:2]) / line.length
            at = centre[2] + t * (target[2] - centre[2])
            base = site.site_map.level(occluder.level).z_extended(point[None])[0]
            if base <= at <= base + occluder.height:
                return False
    t = np.linspace(0, 1, 4001)[:, None]
    points = centre + t * (target - centre)
    for other in site.site_map.levels:
        for surface in other.surfaces:
            over = points[:, 2] - surface.z_at(points[:, :2])
            crossing = np.flatnonzero(np.diff(np.sign(over)))
            if len(crossing) and surface.holds(points[crossing, :2]).any():
                return False
    above = [s.z_at(centre[:2]) < centre[2] for s in level.surfaces if s.holds(xy[None])[0]]
    return bool(above[0])


@pytest.mark.parametrize("camera_name", ["east", "round", "upper", "pillar"])
def test_table_agrees_with_every_line_of_sight(garage, camera_name, rng):
    visibility = compute_visibility(garage, max_m_per_px=1e6)
    index, camera = garage.camera_index[camera_name], garage.camera(camera_name)
    disagree, seen = 0, 0
    for level_index, level in enumerate(garage.site_map.levels):
        cells = np.floor(rng.uniform((0, 0), (40, 30), (250, 2)) / 0.5) * 0.5 + 0.25
        fast = visibility.seen_by(np.full(250, level_index), cells)[:, index]
        slow = np.array([slowly_seen(garage, camera, level, xy) for xy in cells])
        disagree += int((fast != slow).sum())
        seen += int(slow.sum())
    assert seen > 60  # measured: 85 to 219 of 750
    assert disagree <= 1  # measured: 0 of 750; the slow check samples lines every 7 mm, so a tie may differ


def one_camera(occluders=(), levels=None, centre=(0.0, 0.0, 5.0), target=(20.0, 0.0, 0.0)):
    camera = Camera("c", Pinhole(np.array([900.0, 900, 960, 540])), (1920, 1080), look_at(centre, target))
    levels = levels or (Level("ground", (Surface(),)),)
    return Site("s", (camera,), SiteMap(levels=levels, occluders=tuple(occluders)))


def sees(site, *xy, level=0, **options):
    visibility = compute_visibility(site, **options)
    return visibility.seen_by(np.full(len(xy), level), np.array(xy, float))[:, 0].tolist()


def test_a_wall_hides_what_is_behind_it_but_a_low_one_does_not():
    wall = LineString([(10, -3), (10, 3)])
    places = [(8, 0), (12, 0), (30, 0), (12, 6)]
    assert sees(one_camera([Occluder("wall", "ground", wall, 4.0)]), *places) == [True, False, False, True]
    # the line from 5 m to 0.9 m at x = 12 passes the wall at 1.6 m, that to x = 30 at 3.6 m
    assert sees(one_camera([Occluder("wall", "ground", wall, 2.0)]), *places) == [True, False, True, True]
    assert sees(one_camera([Occluder("wall", "ground", wall, 0.5)]), *places) == [True] * 4


def test_nobody_stands_inside_a_pillar():
    pillar = Occluder("pillar", "ground", box(9, -1, 11, 1), 2.0)
    assert sees(one_camera([pillar]), (10, 0), (8, 0)) == [False, True]


def test_a_camera_on_its_own_pillar_is_not_blind():
    pillar = Occluder("pillar", "ground", box(-0.4, -0.4, 0.4, 0.4), 6.0)
    assert sees(one_camera([pillar]), (10, 0), (20, 3)) == [True, True]


def test_a_slab_above_blocks_and_is_not_ground_from_below():
    slab = Level("roof", (Surface((0.0, 0.0, 3.0), box(5, -10, 15, 10)),))
    site = one_camera(levels=(Level("ground", (Surface(),)), slab))
    assert sees(site, (8, 0), (25, 0), (40, 0)) == [True, False, True]
    assert sees(site, (8, 0), level=1) == [True]
    below = one_camera(levels=(Level("ground", (Surface(),)), slab), centre=(0, 0, 2.0))
    assert sees(below, (8, 0), (12, 0)) == [True, True]
    assert sees(below, (8, 0), (12, 0), level=1) == [False, False]


def test_range_and_grazing_angles_end_the_view():
    site = one_camera()
    assert sees(site, (40, 0), (60, 0)) == [True, True]
    assert sees(site, (40, 0), (60, 0), max_range=50.0) == [True, False]
    # one pixel covers (d² + h²) / (f h) = 0.36 m of ground at 40 m and 0.81 m at 60 m
    assert sees(site, (40, 0), (60, 0), max_m_per_px=0.5) == [True, False]


def test_places_off_the_tables_are_seen_by_nobody():
    visibility = compute_visibility(one_camera())
    xy = np.array([[1e9, 0.0], [np.nan, 0.0], [-500.0, 3.0], [np.inf, 1.0], [20.0, 0.0]])
    assert visibility.seen_by(np.zeros(5, int), xy)[:, 0].tolist() == [False] * 4 + [True]
    assert visibility.seen_by(np.full(5, -1), xy).any() == False  # noqa: E712
    assert visibility.seen_by(np.zeros(0, int), np.zeros((0, 2))).shape == (0, 1)


def test_sees_is_seen_by_row_by_row(garage, rng):
    visibility = garage.visibility
    xy, level = rng.uniform(-5, 45, (400, 2)), rng.integers(0, 3, 400)
    matrix = visibility.seen_by(level, xy)
    camera = rng.integers(0, 5, 400)
    assert matrix.any()
    np.testing.assert_array_equal(visibility.sees(camera, level, xy), matrix[np.arange(400), camera])


def test_more_than_eight_cameras_keep_their_own_bits(garage):
    east = garage.camera("east")
    many = replace(garage, cameras=tuple(replace(east, name=f"{i:02d}") for i in range(19)))
    seen = many.visibility.seen_by(np.zeros(2, int), np.array([[20.0, 15.0], [0.3, 29.7]]))
    assert seen.shape == (2, 19)
    assert seen[0].all()
    assert not seen[1].any()


def test_a_homography_sees_its_image_of_its_level_only(garage):
    plain, camera = garage.camera_index["plain"], garage.camera("plain")
    visibility = garage.visibility
    xy = np.array([[20.25, 8.25], [20.25, -200.25], [60.25, 8.25]])
    pixels = np.column_stack([xy, np.ones(3)]) @ camera.lens.matrix.T
    inside = camera.inside(pixels[:, :2] / pixels[:, 2:])
    on_map = [True, False, False]
    np.testing.assert_array_equal(visibility.seen_by(np.zeros(3, int), xy)[:, plain], inside & on_map)
    assert not visibility.seen_by(np.ones(3, int), xy)[:, plain].any()
    assert not visibility.seen_by(np.full(3, 2), xy)[:, plain].any()


def test_distance_to_unseen_counts_from_the_edge_of_view():
    site = one_camera(levels=(Level("g", (Surface((0, 0, 0), box(5, -3, 60, 3)),)),))
    visibility = compute_visibility(site)
    xy = np.array([[30.0, 0.0], [30.0, 2.0], [30.0, 10.0], [1e4, 0.0]])
    # lane 6 m wide and wholly seen: 3 m and 1 m from its edge, to half a cell
    np.testing.assert_allclose(visibility.distance_to_unseen(np.zeros(4, int), xy), [3, 1, 0, 0], atol=0.26)


def test_a_camera_tower_on_an_endless_plain_is_clipped_to_its_range():
    visibility = compute_visibility(one_camera(), cell=1.0, max_range=80.0)
    assert visibility.shape.max() <= 161
    with pytest.raises(InputError, match=r"cells of 0\.001 m .*larger cell"):
        compute_visibility(one_camera(), cell=0.001)


@pytest.mark.parametrize("option", [{"cell": 0.0}, {"max_range": np.nan}, {"height": -1.0}, {"max_m_per_px": -2}])
def test_impossible_options_are_refused(option):
    with pytest.raises(InputError, match=f"visibility: {next(iter(option))}"):
        compute_visibility(one_camera(), **option)


def test_a_site_without_cameras_sees_nothing():
    visibility = Site("empty", (), SiteMap()).visibility
    assert visibility.seen_by(np.zeros(2, int), np.zeros((2, 2))).shape == (2, 0)
    assert visibility.distance_to_unseen(np.zeros(2, int), np.zeros((2, 2))).tolist() == [0, 0]


def test_looking_up_50_places_of_7_cameras_takes_microseconds(recording):
    from geoloc.io.wildtrack import read_wildtrack_site

    site = read_wildtrack_site(recording("wildtrack"))
    start = time.process_time()
    visibility = compute_visibility(site)
    built = time.process_time() - start
    level, xy = np.zeros(50, int), np.random.default_rng(0).uniform(-5, 15, (50, 2))
    best = min(_timed(lambda: visibility.seen_by(level, xy)) for _ in range(200))
    assert built < 2.0  # measured 0.2 s
    assert best < 100e-6  # measured 13 us; 50 us asked on an idle core


def test_a_mesh_blocks_where_the_map_has_nothing(tmp_path):
    open3d()
    mesh = tmp_path / "wall.obj"
    mesh.write_text("v 10 -3 0\nv 10 3 0\nv 10 3 4\nv 10 -3 4\nf 1 2 3\nf 1 3 4\n")
    places = [(8, 0), (12, 0), (30, 0), (12, 6)]
    assert sees(one_camera(), *places, mesh=mesh) == [True, False, False, True]


def test_a_site_takes_a_visibility_of_its_own_and_refuses_another_sites(garage):
    site = one_camera()
    near = site.with_visibility(compute_visibility(site, max_range=5.0))
    level, xy = np.zeros(1, int), np.array([[12.0, 0.0]])
    assert site.visibility.seen_by(level, xy).any()
    assert not near.visibility.seen_by(level, xy).any()
    assert not near.with_visibility(near.visibility).visibility.seen_by(level, xy).any()
    with pytest.raises(InputError, match="the visibility is of 1 cameras and 1 levels"):
        garage.with_visibility(near.visibility)


def test_a_mesh_without_open3d_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(InputError, match=r"geoloc\[mesh\].*libegl1 libusb-1\.0-0"):
        compute_visibility(one_camera(), mesh="hall.ply")


def _timed(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
