"""Rendered pictures: everything where the lens puts it, the same place alike in all of them, light that behaves."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation
from shapely import contains_xy

from geoloc.errors import GeometryError, InputError
from geoloc.geometry.se3 import look_at
from geoloc.io.poses import read_poses
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography, Pinhole
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.rendering.garage_sets import DaySetOptions, day_pictures
from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
from geoloc.synthetic.rendering.picture import radiance, ranges, take_picture
from geoloc.synthetic.rendering.picture_sets import load_pictures, save_pictures
from geoloc.synthetic.rendering.scene import build_scene
from geoloc.synthetic.rendering.sensor import PictureOptions, expose
from geoloc.synthetic.rendering.shell import SceneOptions
from geoloc.synthetic.rendering.viewpoints import (
    WalkOptions,
    fixed_viewpoints,
    moved,
    phone_viewpoints,
    resized,
    walk_viewpoints,
)
from geoloc.synthetic.twin_garage import CAMERAS, STOREY, twin_garage

SMALL = (320, 180)
CLEAN = PictureOptions(noise=0.0)
EMPTY = MomentOptions(hour=11.0, clouds=0.6, parked=0.0, n_people=0)


@pytest.fixture(scope="module")
def world():
    return twin_garage()


@pytest.fixture(scope="module")
def scene(world):
    return build_scene(world.site.site_map, np.random.default_rng(1), SceneOptions(texel=0.04, n_cars=5, n_people=2))


@pytest.fixture(scope="module")
def empty(scene):
    return draw_moment(scene, np.random.default_rng(2), EMPTY)


def grey(image):
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)


def named(world, name, size=SMALL):
    return next(view.camera for view in fixed_viewpoints(world, size) if view.camera.name == name)


def clean(moment, camera):
    return grey(take_picture(moment, camera, np.random.default_rng(0), CLEAN))


def shift_px(before, after):
    """How far (2,) px a picture moved by less than a pixel, whatever changed in a few places."""
    slopes = np.stack([cv2.Sobel(before, cv2.CV_32F, *axis).ravel() / 8 for axis in ((1, 0), (0, 1))])
    left = (after - before).ravel()
    weighted = slopes / (1.0 + (left / 3.0) ** 2)
    return -np.linalg.solve(weighted @ slopes.T, weighted @ left)


def sample(image, pixels):
    x, y = np.asarray(pixels, np.float32).T
    return cv2.remap(image, x[None], y[None], cv2.INTER_LINEAR)[0]


def test_a_picture_shows_each_thing_where_the_lens_puts_it(world, empty):
    """The lines of stalls are white exactly where the map has them, through the lens's distortion."""
    camera = named(world, "p1-row-b", (640, 360))
    image = clean(empty, camera)
    rings = [s.polygon.bounds for s in world.site.site_map.stalls if s.name.startswith("P1-B")]
    on = np.array([(x0, y, 0.0) for x0, y0, _, y1 in rings for y in np.linspace(y0 + 0.3, y1 - 0.5, 30)])
    far = ranges(empty, camera)
    lit = []
    for aside in (0.0, -0.35, 0.35):
        points = on + np.array([aside, 0.0, 0.0])
        pixels = camera.project(points)
        seen = np.isfinite(pixels).all(axis=1) & camera.inside(pixels)
        row, column = np.rint(pixels[seen]).astype(int).T[::-1]
        hidden = far[row, column] < np.linalg.norm(points[seen] - camera.centre_world, axis=1) - 0.1
        lit.append(np.median(sample(image, pixels[seen][~hidden])))
    assert lit[0] > lit[1] + 25  # 147 against 100 and 100 of 255
    assert lit[0] > lit[2] + 25


def test_a_turn_is_a_homography_to_a_hundredth_of_a_pixel(world, empty):
    camera = resized(world.site.camera("p2-southeast"), (640, 360))
    camera = replace(camera, lens=type(camera.lens)(np.append(camera.lens.params[:4], np.zeros(4))))
    xi = np.array([0.0021, -0.0034, 0.0012, 0, 0, 0])
    turned = clean(empty, moved(camera, xi))
    f, _, cx, cy = camera.lens.params[:4]
    matrix = np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]])
    there = matrix @ Rotation.from_rotvec(xi[:3]).as_matrix() @ np.linalg.inv(matrix)
    x, y, w = np.linalg.inv(there) @ np.stack([*np.mgrid[0:360, 0:640].reshape(2, -1)[::-1], np.ones(640 * 360)])
    laid = map_coordinates(clean(empty, camera), [y / w, x / w], order=3, mode="nearest").reshape(360, 640)
    part = slice(30, 330), slice(30, 610)
    assert np.abs(shift_px(laid[part], turned[part])).max() < 0.01  # 0.003 px, of a turn of 1.3 px
    assert np.abs(turned - laid)[part].mean() < 2.0  # 1.0 of 255


def test_a_translation_moves_near_things_farther_than_far_ones(world, empty):
    camera = named(world, "p1-aisle-s-west")
    far = ranges(empty, camera)
    shifted = moved(camera, np.array([0, 0, 0, 0.05, 0, 0]))
    row, column = np.mgrid[20:170:10, 20:300:10].reshape(2, -1)
    here = np.isfinite(far[row, column])
    row, column = row[here], column[here]
    points = camera.centre_world + far[row, column, None] * camera.unproject(np.column_stack([column, row]))
    again = shifted.project(points)
    seen = np.isfinite(again).all(axis=1) & shifted.inside(again)
    other = ranges(empty, shifted)
    found = other[np.rint(again[seen]).astype(int)[:, 1], np.rint(again[seen]).astype(int)[:, 0]]
    expected = np.linalg.norm(points[seen] - shifted.centre_world, axis=1)
    assert np.median(np.abs(found / expected - 1)) < 0.01  # 0.0006: both see the same things


def test_the_same_floor_looks_the_same_from_everywhere(world, empty):
    """Stains are fixed to the world: from two sides of an aisle a patch of floor has one texture, also farther away."""
    x, y = np.meshgrid(np.arange(11.6, 14.6, 0.05), np.arange(8.2, 10.8, 0.05))
    places = np.column_stack([x.ravel(), y.ravel(), np.zeros(x.size)])
    seen = []
    for at in ((7.5, 8.0, 2.4), (19.0, 8.0, 2.4)):
        camera = phone(at, (13.0, 9.0, 0.0))
        laid = sample(clean(empty, camera), camera.project(places)).reshape(x.shape)
        seen.append(laid - cv2.GaussianBlur(laid, (0, 0), 16))
    assert np.corrcoef(seen[0].ravel(), seen[1].ravel())[0, 1] > 0.9  # 0.995
    other = phone((7.5, 8.0, 2.4 + STOREY), (13.0, 9.0, STOREY))
    above = sample(clean(empty, other), other.project(places + np.array([0, 0, STOREY]))).reshape(x.shape)
    above -= cv2.GaussianBlur(above, (0, 0), 16)
    assert abs(np.corrcoef(seen[0].ravel(), above.ravel())[0, 1]) < 0.6  # 0.29: stains of its own


def test_distant_texture_does_not_alias(world, empty):
    """A small picture is what a large one is when its pixels are averaged."""
    camera = named(world, "p1-aisle-s-west")
    large = radiance(empty, resized(camera, (960, 540)))
    mean = cv2.resize(np.minimum(large, 1.5), SMALL, interpolation=cv2.INTER_AREA)
    small = np.minimum(radiance(empty, camera), 1.5)
    floor = slice(110, 175), slice(40, 280)
    high = [part[floor] - cv2.GaussianBlur(part[floor], (0, 0), 2) for part in (small, mean)]
    assert np.std(high[0]) < 1.35 * np.std(high[1])  # 0.99 times: no pattern of its own
    assert np.abs(small - mean)[floor].mean() < 0.06 * mean[floor].mean()  # 0.007


def test_both_levels_look_alike_and_are_told_by_small_things(world, empty):
    below, above = (clean(empty, named(world, f"{level}-row-c")) for level in ("p1", "p2"))
    assert np.corrcoef(below.ravel(), above.ravel())[0, 1] > 0.7  # 0.81
    assert np.abs(below - above).mean() > 3.0  # 12.3 of 255


def test_one_seed_draws_one_picture(world, scene, empty):
    camera = named(world, "p2-row-d")
    again = draw_moment(scene, np.random.default_rng(2), EMPTY)
    np.testing.assert_array_equal(*(take_picture(m, camera, np.random.default_rng(5)) for m in (empty, again)))
    other = take_picture(empty, camera, np.random.default_rng(6)).astype(int)
    assert 0 < np.abs(other - take_picture(empty, camera, np.random.default_rng(5))).mean() < 6  # 1.6: its noise alone


def test_cars_stay_where_they_are_unless_they_are_exchanged(scene):
    dull = MomentOptions(clouds=1.0, parked=0.6)
    before = draw_moment(scene, np.random.default_rng(3), dull)
    same = draw_moment(scene, np.random.default_rng(4), replace(dull, exchanged=0.0), before)
    some = draw_moment(scene, np.random.default_rng(4), replace(dull, exchanged=0.5), before)
    np.testing.assert_array_equal(same.stall_car, before.stall_car)
    n = len(scene.faces)
    np.testing.assert_array_equal(same.faces.corner[n : n + 50], before.faces.corner[n : n + 50])
    assert 0.2 < np.mean(some.stall_car != before.stall_car) < 0.6


def test_light_follows_the_hour_the_clouds_and_the_lamps(world, scene):
    camera = named(world, "p2-southeast")

    def light(**options):
        options = {"parked": 0.0, "n_people": 0, "lamps_off": 0.0} | options
        return radiance(draw_moment(scene, np.random.default_rng(2), MomentOptions(**options)), camera)

    morning, evening = light(hour=7.0, clouds=0.0), light(hour=18.0, clouds=0.0)
    floor = slice(100, 180), slice(0, 320)
    assert (np.abs(morning - evening)[floor].max(axis=2) > 0.1).mean() > 0.1  # 0.37: the sun's patch has moved
    night = light(hour=23.0)
    assert np.median(night) < 0.8 * np.median(light(hour=12.0, clouds=1.0))
    assert np.median(light(hour=23.0, lamps_off=1.0)) < 0.25 * np.median(night)


def test_lens_and_sensor_do_what_they_are_told(world, empty):
    camera = named(world, "p1-row-d")
    plain = clean(empty, camera)
    options = {
        "exposure": PictureOptions(exposure=-2), "vibration": PictureOptions(vibration_px=8),
        "noise": PictureOptions(noise=8), "drops": PictureOptions(drops=60),
        "covered": PictureOptions(covered=0.5),
    }  # fmt: skip
    seen = {name: grey(take_picture(empty, camera, np.random.default_rng(7), o)) for name, o in options.items()}
    slopes = {name: np.abs(cv2.Laplacian(image, cv2.CV_32F)).mean() for name, image in seen.items()}
    assert seen["exposure"].mean() < 0.7 * plain.mean()
    assert slopes["noise"] > 1.5 * np.abs(cv2.Laplacian(plain, cv2.CV_32F)).mean() > 2 * slopes["vibration"]
    assert 0.4 < np.mean(np.abs(seen["covered"] - plain) > 8) < 0.65
    assert 0.02 < np.mean(np.abs(seen["drops"] - plain) > 8) < 0.5


def test_vibration_and_blur_leave_a_point_where_it_is():
    light = np.full((101, 121, 3), 0.1, np.float32)
    light[50, 60] = 0.4
    options = PictureOptions(vibration_px=9.3, blur_px=1.2, noise=0.0, vignette=0.0)
    for seed in range(5):
        shown = grey(expose(light, np.random.default_rng(seed), options))
        shown -= np.median(shown)
        y, x = (np.sum(shown * axis) / shown.sum() for axis in np.mgrid[0:101, 0:121])
        assert np.hypot(x - 60, y - 50) < 0.05  # 0.000 px


def test_phones_stand_in_the_lanes_of_their_level(world):
    site_map = world.site.site_map
    views = phone_viewpoints(site_map, np.random.default_rng(3), 60, ("P1", "P2"))
    zones = [zone for zone in site_map.zones if zone.kind in ("lane", "walkway", "ramp")]
    for view in views:
        x, y, z = view.camera.centre_world
        floor = float(site_map.level(view.level).z_at(np.array([[x, y]]))[0])
        assert 1.2 <= z - floor <= 1.75
        assert any(zone.level == view.level and contains_xy(zone.polygon, x, y) for zone in zones)
    assert {view.level for view in views} == {"P1", "P2"}


def test_a_walk_goes_around_each_level(world):
    views = walk_viewpoints(world, np.random.default_rng(3), ("P1", "P2"), WalkOptions(spacing=5.0))
    for level, z in (("P1", 0.0), ("P2", STOREY)):
        centres = np.array([view.camera.centre_world for view in views if view.level == level])
        assert np.ptp(centres[:, 0]) > 30
        assert np.ptp(centres[:, 1]) > 14
        np.testing.assert_allclose(centres[:, 2], z + 1.4, atol=1e-6)
    assert len({view.camera.name for view in views}) == len(views)
    with pytest.raises(InputError, match="level 'R' has no loop"):
        walk_viewpoints(world, np.random.default_rng(3), ("R",))


def test_a_set_comes_back_with_its_truth_exactly(world, scene, tmp_path):
    options = DaySetOptions(size=SMALL, n_trials=1, hours=(22.0, 23.0))
    names = [f"p1-{name}" for name in list(CAMERAS)[:4]]
    drawn = list(day_pictures(world, scene, np.random.default_rng(8), names, options))
    assert save_pictures(drawn, tmp_path, ".png") == 8
    again = list(load_pictures(tmp_path))
    kinds = [picture.kind for picture in again]
    assert sorted(kinds[:4]) == ["reference"] * 4
    assert sorted(kinds[4:]) == ["none", "rotation", "translation", "zoom"]
    pinned = {picture.camera.name.removesuffix(".png"): picture.camera for picture in again[:4]}
    for before, after in zip(drawn, again, strict=True):
        reference = pinned[after.camera.name.removesuffix(".png").split("--")[0]]
        np.testing.assert_array_equal(before.image, after.image)
        np.testing.assert_array_equal(before.camera.lens.params, after.camera.lens.params)
        xi = (after.camera.cam_from_world * reference.cam_from_world.inv()).as_exp_coords()
        assert (np.linalg.norm(xi[:3]) > 1e-5) == (after.kind == "rotation")
        assert (np.linalg.norm(xi[3:]) > 1e-5) == (after.kind == "translation")
        assert (after.camera.lens.params[0] != reference.lens.params[0]) == (after.kind == "zoom")
    poses = read_poses(tmp_path / "poses.csv").poses
    assert poses.image.tolist() == [picture.name for picture in again]
    with pytest.raises(InputError, match="no pictures to write"):
        save_pictures([], tmp_path / "none")


def test_what_cannot_be_drawn_is_refused(empty):
    camera = Camera("flat", Homography(np.eye(3).ravel()), SMALL)
    with pytest.raises(GeometryError, match="flat"):
        take_picture(empty, camera, np.random.default_rng(0))
    with pytest.raises(InputError, match="has no outline"):
        build_scene(SiteMap(), np.random.default_rng(0))
    with pytest.raises(InputError, match=r"MomentOptions\.hour"):
        MomentOptions(hour=25.0)


def phone(at, to):
    lens = Pinhole(np.array([420.0, 420.0, 239.5, 179.5]))
    return Camera("phone", lens, (480, 360), look_at(np.array(at), np.array(to)))
