"""Landmark maps that follow their site: what left is demoted, what stays gains, dark pictures say nothing."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_landmarks import SIZE, Court, cameras_of, draw_camera, draw_court, see

from geoloc.errors import InputError
from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.relocalize.upkeep import Seen, UpkeepOptions, update_landmarks


def parked(rng, n=150):
    """Points on cars that stand in the court."""
    at = rng.uniform([9.0, 3.0, 0.1], [14.0, 8.0, 1.6], (n, 3))
    return Court(at, rng.gamma(0.5, size=(n, 128)), np.exp(rng.normal(np.log(0.05), 0.7, n)))


def both(walls, cars):
    return Court(*(np.concatenate([getattr(walls, k), getattr(cars, k)]) for k in ("points", "looks", "size")))


@pytest.fixture(scope="module")
def drawn():
    """Walls, cars, cameras, and the map of the first day."""
    rng = np.random.default_rng(17)
    walls, cars, cameras = draw_court(rng, 350), parked(rng), cameras_of(rng, 6)
    return walls, cars, cameras, build_landmarks([see(both(walls, cars), each, rng) for each in cameras], cameras)


def visit(court, cameras, rng, **also):
    return [Seen(camera.name, Query(see(court, camera, rng, **also), SIZE, camera), camera) for camera in cameras]


def of_cars(landmarks, cars):
    """Which landmarks are on the cars: nearer to one of their points than anything else is."""
    apart = np.linalg.norm(landmarks.points[:, None] - cars.points, axis=2).min(axis=1)
    return apart < 0.05


def test_cars_that_leave_are_demoted_and_walls_gain(drawn, rng):
    walls, cars, cameras, landmarks = drawn
    on_cars = of_cars(landmarks, cars)
    for _ in range(3):
        found = update_landmarks(landmarks, visit(walls, cameras, rng), rng, UpkeepOptions(forget=0.0))
        assert not found.refused
        landmarks = found.landmarks
        assert list(found.found.values()) == pytest.approx([0.7] * 6, abs=0.2)  # four in five, less the unlike
    old = np.arange(len(on_cars))
    assert landmarks.presence[old][on_cars].mean() < 0.3  # measured 0.20 after three visits
    assert landmarks.presence[old][~on_cars].mean() > 0.9  # measured 0.93
    assert (landmarks.present[old] == ~on_cars).mean() > 0.95  # measured 0.99


def test_what_is_gone_long_is_forgotten_and_what_comes_is_born_and_confirmed(drawn, rng):
    walls, cars, cameras, landmarks = drawn
    on_cars, new = of_cars(landmarks, cars), parked(rng)
    sizes = []
    for _ in range(9):
        found = update_landmarks(landmarks, visit(both(walls, new), cameras, rng), rng, UpkeepOptions(looks=6))
        landmarks = found.landmarks
        sizes.append(landmarks.n_bytes)
    assert of_cars(landmarks, cars).sum() < 0.2 * on_cars.sum()
    born = of_cars(landmarks, new)
    assert born.sum() > 0.5 * on_cars.sum()
    assert np.median(landmarks.presence[born]) > 0.85
    assert np.bincount(landmarks.point).max() <= 6
    assert sizes[-1] < 1.3 * sizes[4]  # it does not grow for ever
    true = draw_camera(rng, "q")
    placed = relocalize(Query(see(both(walls, new), true, rng), SIZE, true), landmarks, rng)
    assert placed.answered, placed.refusal
    xi = (true.cam_from_world * placed.cam_from_world.inv()).as_exp_coords()
    assert xi @ np.linalg.solve(placed.cov, xi) < 22.5


def test_a_dark_picture_demotes_nothing(drawn, rng):
    walls, cars, cameras, landmarks = drawn
    dark = visit(both(walls, cars), cameras, rng, missed=0.92)
    found = update_landmarks(landmarks, dark, rng, UpkeepOptions(forget=0.0))
    assert max(found.found.values(), default=0.0) < 0.3
    before, after = landmarks.presence, found.landmarks.presence[: len(landmarks)]
    assert (before - after).max() < 0.1
    assert found.demoted == 0


def test_a_crowd_before_one_camera_is_outvoted_by_the_others(drawn, rng):
    walls, cars, cameras, landmarks = drawn
    pictures = visit(both(walls, cars), cameras, rng)
    half = pictures[0].query.features
    left = half.take(np.flatnonzero(half.pixels[:, 0] < SIZE[0] / 2))
    pictures[0] = replace(pictures[0], query=replace(pictures[0].query, features=left))
    found = update_landmarks(landmarks, pictures, rng, UpkeepOptions(forget=0.0))
    several = landmarks.n_views >= 3
    assert found.landmarks.present[: len(landmarks)][several].mean() > 0.99


def test_pictures_that_cannot_be_placed_say_nothing(drawn, rng):
    walls, cars, cameras, landmarks = drawn
    moved = replace(cameras[0], cam_from_world=cameras[1].cam_from_world)
    elsewhere = Seen("phone", Query(see(draw_court(rng), draw_camera(rng, "q"), rng), SIZE))
    wrong = Seen(cameras[0].name, Query(see(both(walls, cars), cameras[0], rng), SIZE, moved), moved)
    found = update_landmarks(landmarks, [elsewhere, wrong], rng)
    assert [name for name, _ in found.refused] == ["phone", "c0"]
    assert "has the camera moved?" in found.refused[1][1]
    np.testing.assert_array_equal(found.landmarks.presence, landmarks.presence)
    phone = draw_camera(rng, "q")
    here = update_landmarks(landmarks, [Seen("phone", Query(see(walls, phone, rng), SIZE, phone))], rng)
    assert not here.refused
    assert here.expected > 50
    with pytest.raises(InputError, match="no pictures"):
        update_landmarks(landmarks, [], rng)


def test_presence_is_kept_in_the_file(drawn, rng, tmp_path):
    walls, _, cameras, landmarks = drawn
    found = update_landmarks(landmarks, visit(walls, cameras, rng), rng).landmarks
    save_landmarks(found, tmp_path / "m.npz")
    again = load_landmarks(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.presence, found.presence)
    assert (again.presence < 0.5).sum() > 20  # once missed
