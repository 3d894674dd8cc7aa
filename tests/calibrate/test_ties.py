"""Ties besides marks: they bring loose cameras together, say no more than they know, and never overrule marks."""

from dataclasses import replace

import numpy as np
import pytest
from ground_stills import off, pair, render, texture

from geoloc.calibrate.moving import Sightings, moving_ties
from geoloc.calibrate.site import calibrate_site
from geoloc.calibrate.tied import contradicted
from geoloc.calibrate.ties import TieOptions, Ties, overlap_ties
from geoloc.geometry.se3 import perturb
from geoloc.scene.camera import Camera
from geoloc.scene.known import Distances, ImageLines, Known
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint, Level, SiteMap, Surface

FLOOR = SiteMap(levels=(Level("ground", (Surface(sigma_z=0.01),)),))
NOTHING = Known(Distances(), ImageLines())
N_MARKS, MARK_SIGMA = 8, 5.0  # a camera; px


def marked(cameras: tuple[Camera, ...], rng: np.random.Generator) -> tuple[Marks, SiteMap]:
    """A few surveyed points marked in each camera, none in both."""
    points, tables = [], []
    for camera in cameras:
        xyz = np.column_stack([rng.uniform(-5, 5, (400, 2)), rng.uniform(0, 2, 400)])
        pixel = camera.project(xyz)
        seen = np.isfinite(pixel).all(axis=1)
        seen[seen] = camera.inside(pixel[seen])
        rows = np.flatnonzero(seen)[:N_MARKS]
        names = [f"{camera.name} {row}" for row in rows]
        points += [ControlPoint(name, tuple(at)) for name, at in zip(names, xyz[rows].tolist(), strict=True)]
        noisy = pixel[rows] + rng.normal(0, MARK_SIGMA, (len(rows), 2))
        sigma = np.full(len(rows), MARK_SIGMA)
        tables.append(Marks(camera=[camera.name] * len(rows), point=names, pixel=noisy, sigma=sigma))
    return Marks.concat(tables), replace(FLOOR, control_points=tuple(points))


def apart(cameras: tuple[Camera, ...], xyz: np.ndarray) -> float:
    """How far apart (m, rms) two cameras put ground points, each by the pixels that true cameras see them at."""
    places = []
    for camera, true in zip(sorted(cameras, key=lambda one: one.name), pair(), strict=True):
        rays = camera.unproject(true.project(xyz))
        places.append(camera.centre_world + rays * (-camera.centre_world[2] / rays[:, 2:]))
    return float(np.sqrt(((places[0] - places[1]) ** 2).sum(axis=1).mean()))


GRID = np.column_stack([*(axis.ravel() for axis in np.meshgrid(np.arange(-2, 3), np.arange(-2, 3))), np.zeros(25)])


@pytest.fixture(scope="module")
def stills():
    rng = np.random.default_rng(5)
    floor = texture(rng)
    return {camera.name: render(camera, floor, rng) for camera in pair()}


def test_overlap_brings_two_marked_cameras_together_and_is_no_part_of_the_marks(stills, rng) -> None:
    marks, site_map = marked(pair(), rng)
    sizes = {camera.name: camera.size for camera in pair()}
    alone = calibrate_site(sizes, marks, site_map, NOTHING)
    tied = calibrate_site(
        sizes, marks, site_map, NOTHING, find_ties=lambda cameras: overlap_ties(cameras, stills, site_map)
    )
    before, after = apart(alone.cameras, GRID), apart(tied.cameras, GRID)
    assert after < 0.5 * before
    assert np.array_equal(tied.marks.point, marks.point)
    assert np.allclose(tied.marks.sigma, marks.sigma)
    assert {point.name for point in tied.points} <= {point.name for point in site_map.control_points}
    assert any("tie points agree with the marks" in note for note in tied.notes)


def test_ties_that_contradict_the_marks_are_dropped_and_said(rng) -> None:
    marks, site_map = marked(pair(), rng)
    sizes = {camera.name: camera.size for camera in pair()}
    alone = calibrate_site(sizes, marks, site_map, NOTHING)

    def one_stall_off(cameras: tuple[Camera, ...]) -> Ties:
        """Ties as of lines that repeat: all of them 2.5 m off."""
        shifted = GRID + np.array([2.5, 0.0, 0.0])
        names = [f"line {i}" for i in range(len(GRID))]
        first, second = sorted(cameras, key=lambda one: one.name)
        tables = [
            Marks(camera=[camera.name] * len(GRID), point=names, pixel=camera.project(xyz), sigma=[0.3] * len(GRID))
            for camera, xyz in ((first, GRID), (second, shifted))
        ]
        known = tuple(
            ControlPoint(name, tuple(at), (100.0, 100.0, 0.01)) for name, at in zip(names, GRID.tolist(), strict=True)
        )
        return Ties(Marks.concat(tables), known, ())

    tied = calibrate_site(sizes, marks, site_map, NOTHING, find_ties=one_stall_off)
    for camera in alone.cameras:
        now = next(one for one in tied.cameras if one.name == camera.name)
        assert np.linalg.norm(now.centre_world - camera.centre_world) < 0.05
    assert any("are dropped" in note for note in tied.notes), tied.notes


def test_people_bring_cameras_together_and_their_boxes_errors_do_not_average_out(rng) -> None:
    marks, site_map = marked(pair(), rng)
    sizes = {camera.name: camera.size for camera in pair()}
    alone = calibrate_site(sizes, marks, site_map, NOTHING)
    people = np.column_stack([rng.uniform(-3, 3, (200, 2)), np.zeros(200)])
    parts = []
    for camera in pair():
        pixel = camera.project(people) + rng.normal(0, 2.0, (200, 2))
        seen = np.flatnonzero(camera.inside(np.nan_to_num(pixel, nan=-9.0)))
        parts.append((seen, np.full(len(seen), camera.name), pixel[seen], people[seen, :2]))
    columns = [np.concatenate([part[i] for part in parts]) for i in range(4)]
    n = len(columns[0])
    seen = Sightings(columns[0], columns[1], columns[2], np.full(n, 2.0), np.full(n, "ground"), columns[3])
    ties = moving_ties(seen, site_map)
    tied = calibrate_site(sizes, marks, site_map, NOTHING, find_ties=lambda _: ties)
    assert apart(tied.cameras, GRID) < 0.7 * apart(alone.cameras, GRID)
    for name in sizes:
        mine = ties.marks.camera == name
        together = 1 / np.sqrt((1 / ties.marks.sigma[mine] ** 2).sum())
        assert together >= 2.0 / np.sqrt(4) - 1e-9  # px; as four boxes know, however many there are
    pairs = np.unique(ties.marks.point)
    assert 10 < len(pairs) <= TieOptions().most_a_pair


def test_nobody_seen_twice_gives_no_ties_and_says_so() -> None:
    seen = Sightings(
        np.arange(3), np.array(["a", "b", "a"]), np.zeros((3, 2)), np.ones(3), np.full(3, "ground"), np.zeros((3, 2))
    )
    ties = moving_ties(seen, FLOOR)
    assert not len(ties.marks)
    assert "seen by two cameras" in ties.notes[0]


def test_many_ties_know_the_grounds_height_no_better_than_the_map(rng) -> None:
    """Ground that the map has 10 cm too low, which it says it may be: the cameras' covariances allow for it."""
    marks, site_map = marked(pair(), rng)
    sizes = {camera.name: camera.size for camera in pair()}
    first, second = pair()
    names = [f"tie {i}" for i in range(len(GRID))]
    pixels = np.concatenate([camera.project(GRID) for camera in (first, second)])
    cameras = np.repeat([first.name, second.name], len(GRID))
    sigma = np.full(len(pixels), 0.3)
    own = Marks(camera=cameras, point=np.tile(names, 2), pixel=pixels + rng.normal(0, 0.3, pixels.shape), sigma=sigma)
    low = GRID - [0.0, 0.0, 0.1]
    on_ground = zip(names, low.tolist(), strict=True)
    known = tuple(ControlPoint(name, tuple(at), (100.0, 100.0, 0.1)) for name, at in on_ground)
    tied = calibrate_site(sizes, marks, site_map, NOTHING, find_ties=lambda _: Ties(own, known))
    for camera, true in zip(sorted(tied.cameras, key=lambda one: one.name), pair(), strict=True):
        shift = camera.centre_world[2] - true.centre_world[2]
        turn = camera.cam_from_world.rotation.as_matrix()
        sigma_z = float(np.sqrt((turn.T @ camera.calib_cov[3:6, 3:6] @ turn)[2, 2]))
        assert abs(shift) < 3 * sigma_z


def test_a_camera_that_moves_within_its_covariance_is_no_contradiction(rng) -> None:
    camera = pair()[0]
    assert camera.calib_cov[:6, :6].any()
    assert not contradicted((camera,), (off(camera, rng),), TieOptions())
    far = replace(camera, cam_from_world=perturb(camera.cam_from_world, np.array([0.2, 0, 0, 0, 0, 0])))
    assert contradicted((camera,), (far,), TieOptions())[camera.name] > 6


def test_bare_ground_and_stills_apart_are_passed_over_in_words(stills) -> None:
    first, second = pair()
    bare = {first.name: np.full_like(stills[first.name], 90), second.name: stills[second.name]}
    ties = overlap_ties((first, second), bare, FLOOR)
    assert not len(ties.marks)
    assert "bare" in ties.notes[0]
    away = replace(second, cam_from_world=perturb(second.cam_from_world, np.array([0, 0, 0, 80.0, 0, 0])))
    assert overlap_ties((first, away), stills, FLOOR).notes == ()
