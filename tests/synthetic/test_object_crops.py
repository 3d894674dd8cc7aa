"""Rendered objects cut out of their pictures: who they are, where, and how much of them is seen."""

import numpy as np
import pytest

from geoloc.features.crop_colours import colour_name
from geoloc.features.crops import cut_crops
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.moment import MomentOptions, draw_moment
from geoloc.synthetic.rendering.object_crops import FIRST_PERSON, CropSetOptions, garage_crops, seen_objects
from geoloc.synthetic.rendering.picture import take_picture
from geoloc.synthetic.rendering.scene import build_scene
from geoloc.synthetic.rendering.shell import SceneOptions
from geoloc.synthetic.rendering.viewpoints import fixed_viewpoints
from geoloc.synthetic.twin_garage import twin_garage

SIZE = (320, 180)
RED = 7  # the look whose paint is red
OPTIONS = CropSetOptions(
    n_moments=2, cars=(4, 12), parked=8, n_people=3, size=SIZE, min_height_px=12.0, min_visible=0.3
)


@pytest.fixture(scope="module")
def scene():
    return build_scene(twin_garage().site.site_map, np.random.default_rng(1), SceneOptions(0.06, n_cars=12, n_people=4))


@pytest.fixture(scope="module")
def cameras() -> list[Camera]:
    return [view.camera for view in fixed_viewpoints(twin_garage(), SIZE) if view.level == "P1"]


@pytest.fixture(scope="module")
def seen(scene, cameras):
    return list(garage_crops(scene, cameras[:4], np.random.default_rng(3), OPTIONS))


def alone(scene, stall: int, car: int = RED):
    """A moment at which one car stands in one stall, and nobody walks."""
    stall_car = np.full(len(scene.site_map.stalls), -1)
    stall_car[stall] = car
    rng = np.random.default_rng(2)
    return draw_moment(scene, rng, MomentOptions(hour=11.0, n_people=0), stall_car=stall_car)


def test_every_object_is_in_its_box_and_there_once_at_a_moment(seen, cameras) -> None:
    assert len(seen) == 8
    assert sum(len(each.object) for each in seen) > 15  # 31
    named = {camera.name: camera for camera in cameras}
    for each in seen:
        assert len(np.unique(each.object)) == len(each.object)
        assert ((each.visible >= OPTIONS.min_visible) & (each.visible <= 1)).all()
        low, high = each.box[:, :2], each.box[:, 2:]
        assert ((low >= -0.5) & (high <= np.array(SIZE) - 0.5) & (low < high)).all()
        assert set(each.label) <= {"car", "person"}
        # a foot that is seen whole lies at its box, or below what hides it
        whole = each.visible > 0.98
        foot = named[each.camera].project(each.xyz[whole] + [0, 0, 0.4])
        assert (np.abs(foot - (low + high)[whole] / 2) < 0.8 * (high - low)[whole]).all()


def test_a_track_is_one_look_in_all_cameras_and_ends_with_its_moment(seen) -> None:
    track = np.concatenate([each.track for each in seen])
    look = np.concatenate([each.object for each in seen])
    time = np.concatenate([np.full(len(each.track), each.time) for each in seen])
    camera = np.concatenate([np.full(len(each.track), each.camera) for each in seen])
    for one in np.unique(track):
        rows = track == one
        assert len(np.unique(look[rows])) == len(np.unique(time[rows])) == 1
    pairs = {(t, c) for t, c in zip(track.tolist(), camera.tolist(), strict=True)}
    assert len(pairs) == len(track)
    assert len(pairs) > len(np.unique(track))  # some are seen by several cameras
    assert (look[look < FIRST_PERSON] >= 4).all()
    assert (look[look < FIRST_PERSON] < 12).all()


def test_a_red_car_alone_is_seen_whole_and_red(scene, cameras) -> None:
    camera = next(each for each in cameras if each.name == "p1-row-b")  # it looks at these stalls
    stall = next(i for i, each in enumerate(scene.site_map.stalls) if each.name == "P1-B05")
    moment = alone(scene, stall)
    found = seen_objects(moment, camera)
    assert found.object.tolist() == [RED]
    assert found.visible[0] > 0.9
    picture = take_picture(moment, camera, np.random.default_rng(0))
    assert colour_name(cut_crops(picture, found.box)[0]) == "red"


def test_the_same_seed_draws_the_same_crops(scene, cameras, seen) -> None:
    again = next(garage_crops(scene, cameras[:4], np.random.default_rng(3), OPTIONS))
    np.testing.assert_array_equal(again.picture, seen[0].picture)
    np.testing.assert_array_equal(again.box, seen[0].box)


def test_an_empty_garage_has_no_crops(scene, cameras) -> None:
    moment = draw_moment(scene, np.random.default_rng(1), MomentOptions(parked=0.0, n_people=0))
    found = seen_objects(moment, cameras[0])
    assert found.box.shape == (0, 4)
    assert found.xyz.shape == (0, 3)
