"""Images placed by landmarks that a person named: honest poses, and refusals where the marks cannot carry one."""

import numpy as np
import pytest
from shapely import LineString, box

from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.se3 import look_at
from geoloc.metrics.consistency import consistency
from geoloc.relocalize.named import pose_from_named
from geoloc.relocalize.named_fit import NamedPoseOptions
from geoloc.relocalize.pose_knowledge import Knowledge
from geoloc.scene.camera import Camera
from geoloc.scene.known import ImageLines
from geoloc.scene.lenses import Pinhole, RadialTangential
from geoloc.scene.marks import Marks
from geoloc.scene.named import named_landmarks
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface

SIZE = (1920, 1080)
LENS = Pinhole(np.array([1100.0, 1100.0, 959.5, 539.5]))
BENT = RadialTangential(np.array([1100.0, 1100.0, 959.5, 539.5, -0.2, 0.04, 0.0, 0.0]))
EXACT = NamedPoseOptions(sigma_known=True)


def draw_camera(rng, lens=LENS):
    centre = rng.uniform([-6, -12, 2.5], [6, -4, 6])
    return Camera("q", lens, SIZE, look_at(centre, np.array([0, 12, 1.0]) + rng.normal(size=3)))


def draw_points(rng, n=60, high=4.0):
    return rng.uniform([-10, 0, 0], [10, 25, high], (n, 3))


def mark(camera, points, n, rng, sigma=1.0):
    """The first n points that it sees, named, and its marks of them."""
    named = tuple(ControlPoint(f"p{i}", tuple(p), (0.01,) * 3) for i, p in enumerate(points.tolist()))
    pixels = camera.project(points + 0.01 * rng.normal(size=points.shape))
    well = np.nan_to_num(pixels, nan=-1e9)
    rows = np.flatnonzero((well > 10).all(axis=1) & (well < np.array(SIZE) - 10).all(axis=1))[:n]
    assert len(rows) == n
    pixel = pixels[rows] + sigma * rng.normal(size=(n, 2))
    return named, Marks(camera=np.full(n, "q"), point=np.array([f"p{i}" for i in rows]), pixel=pixel)


def error_of(found, true):
    xi = (true.cam_from_world * found.cam_from_world.inv()).as_exp_coords()
    return float(xi @ np.linalg.solve(found.cov, xi))


def test_poses_from_few_names_are_where_their_covariances_say(rng):
    values = []
    for _ in range(16):
        true = draw_camera(rng)
        named, marks = mark(true, draw_points(rng), 7, rng)
        found = pose_from_named(marks, named, SIZE, rng, LENS, options=EXACT)
        assert found.answered, found.refusal
        values.append(error_of(found, true))
    told = consistency(np.array(values), 6)  # measured 5.7; 6 expected
    assert told.low < told.mean < told.high


def test_an_unknown_focal_length_is_found_and_carried(rng):
    values = []
    for _ in range(3):
        true = draw_camera(rng, BENT)
        named, marks = mark(true, draw_points(rng), 14, rng)
        found = pose_from_named(marks, named, SIZE, rng)
        assert found.answered, found.refusal
        assert found.camera.freed[:2] == ("fx", "fy")
        assert found.camera.lens.params[0] == pytest.approx(1100, rel=0.1)
        assert np.linalg.norm(found.camera.centre_world - true.centre_world) < 1.5
        values.append(error_of(found, true))
    assert max(values) < 22.5  # 99.9 % of chi-square of 6


def test_two_poses_of_one_plane_are_both_told_until_something_chooses(rng):
    # a far plane through a long lens: tilted to one side or to the other, it looks the same
    lens = Pinhole(np.array([9000.0, 9000.0, 959.5, 539.5]))
    points = np.array([(x, y, 0.0) for x in (-2.0, 0.0, 2.0) for y in (-1.0, 1.0)])
    centre = np.array([7.5, -12.0, 42.0])
    true = Camera("q", lens, SIZE, look_at(centre, np.zeros(3)))
    named, marks = mark(true, points, 6, rng, 2.0)
    found = pose_from_named(marks, named, SIZE, rng, lens)
    assert "lie on one plane, which looks alike from two sides: they fit 2 poses" in found.refusal
    shares = [each.probability for each in found.hypotheses[:2]]
    assert min(shares) > 0.01
    assert sum(shares) == pytest.approx(1, abs=0.01)
    down = tuple(true.cam_from_world.rotation.apply([0.0, 0.0, -1.0]).tolist())
    chosen = pose_from_named(marks, named, SIZE, rng, lens, Knowledge(down=down, down_sigma=0.02))
    assert chosen.answered, chosen.refusal
    assert error_of(chosen, true) < 22.5
    plumb = np.array([[(x, 0.0, 0.0), (x, 0.0, 3.0)] for x in (-2.0, 2.0)])
    ends = np.array([true.project(line) for line in plumb])
    lines = ImageLines(
        camera=np.full(2, "q"), kind=np.full(2, "plumb"), group=np.full(2, ""), start=ends[:, 0], end=ends[:, 1],
        bearing=np.full(2, np.nan),
    )  # fmt: skip
    drawn = pose_from_named(marks, named, SIZE, rng, lens, lines=lines)
    assert drawn.answered, drawn.refusal
    assert error_of(drawn, true) < 22.5


def test_a_known_height_carries_what_three_marks_and_a_height_can(rng):
    true = draw_camera(rng)
    named, marks = mark(true, draw_points(rng, high=0.0), 4, rng)
    height = Knowledge(plane=(0.0, 0.0, float(true.centre_world[2])), plane_sigma=0.02)
    plain, tall = (pose_from_named(marks, named, SIZE, rng, LENS, known) for known in (Knowledge(), height))
    assert tall.answered, tall.refusal
    turn = true.cam_from_world.rotation.as_matrix()
    up = [(turn.T @ each.hypotheses[0].camera.calib_cov[3:6, 3:6] @ turn)[2, 2] for each in (plain, tall)]
    assert up[1] < 0.03**2 < up[0]
    assert error_of(tall, true) < 22.5


def test_a_mark_at_the_wrong_thing_is_left_out(rng):
    true = draw_camera(rng)
    named, marks = mark(true, draw_points(rng), 10, rng)
    pixel = marks.pixel.copy()
    pixel[3] = [1919, 1079] - pixel[3]
    found = pose_from_named(marks.replace(pixel=pixel), named, SIZE, rng, LENS)
    assert found.answered, found.refusal
    assert 3 not in found.best.features.tolist()
    assert (found.evidence.n, found.evidence.wins) == (10, 9)
    assert error_of(found, true) < 22.5


def test_names_that_are_exchanged_are_refused(rng):
    for shift in (1, 2, 3):
        named, marks = mark(draw_camera(rng), draw_points(rng), 8, rng)
        wrong = marks.replace(point=np.roll(marks.point, shift))
        assert not pose_from_named(wrong, named, SIZE, rng, LENS).answered
    assert not pose_from_named(wrong, named, SIZE, rng, options=NamedPoseOptions(fisheye=False)).answered


def test_a_mirrored_picture_and_swapped_coordinates_are_told(rng):
    named, marks = mark(draw_camera(rng), draw_points(rng), 9, rng)
    mirrored = marks.replace(pixel=np.array([SIZE[0] - 1, 0]) + marks.pixel * [-1, 1])
    assert "would if the picture is mirrored" in pose_from_named(mirrored, named, SIZE, rng, LENS).refusal


def test_a_lens_that_lies_is_told(rng):
    named, marks = mark(draw_camera(rng), draw_points(rng), 12, rng)
    other = Pinhole(np.array([1250.0, 1250.0, 959.5, 539.5]))
    assert "a focal length of 1250.0 px was stated" in pose_from_named(marks, named, SIZE, rng, other).refusal


def test_marks_that_cannot_carry_a_pose_say_what_to_add(rng):
    true = draw_camera(rng)
    named, marks = mark(true, draw_points(rng), 4, rng)
    few = pose_from_named(marks, named, SIZE, rng)
    assert few.refusal == "4 named landmarks are marked; it takes 5, for its focal length is unknown"
    along = np.linspace(0, 1, 6)[:, None] * np.array([5.0, 14.0, 0.0]) + np.array([-3.0, 2, 1])
    named, marks = mark(true, along, 5, rng)
    assert "of one line" in pose_from_named(marks, named, SIZE, rng, LENS).refusal


def test_marks_that_are_mistakes_raise(rng):
    named, marks = mark(draw_camera(rng), draw_points(rng), 6, rng)
    with pytest.raises(UnknownNameError, match="'p99'"):
        pose_from_named(marks.replace(point=np.array([*marks.point[:5], "p99"])), named, SIZE, rng)
    with pytest.raises(InputError, match="outside the image"):
        pose_from_named(marks.replace(pixel=marks.pixel + 2000), named, SIZE, rng)
    with pytest.raises(InputError, match="marked twice"):
        pose_from_named(marks.replace(point=np.array([*marks.point[:5], marks.point[0]])), named, SIZE, rng)
    with pytest.raises(InputError, match="2 images"):
        pose_from_named(marks.replace(camera=np.array([*marks.camera[:5], "other"])), named, SIZE, rng)


def test_stalls_pillars_and_control_points_have_names():
    level = Level("deck", (Surface(plane=(0.0, 0.1, 2.0), sigma_z=0.03),))
    site_map = SiteMap(
        levels=(level,),
        stalls=(Place("A7", "deck", box(0, 0, 2.5, 5), "stall"),),
        occluders=(
            Occluder("P3", "deck", box(3, 0, 3.4, 0.4), 2.5), Occluder("wall", "deck", LineString([(0, 9), (8, 9)])),
        ),
        control_points=(ControlPoint("A7/1", (9.0, 9.0, 9.0)), ControlPoint("lamp", (1.0, 2.0, 6.0))),
    )  # fmt: skip
    found = {each.name: each for each in named_landmarks(site_map)}
    assert len(found) == 2 + 3 + 8 + 4
    assert found["A7/1"].xyz == (9.0, 9.0, 9.0)  # surveyed goes before drawn
    assert all(f"A7/{i}" in found for i in (2, 3, 4))
    corner = found["P3/2"].xyz
    assert corner[2] == pytest.approx(2.0 + 0.1 * corner[1])
    assert found["P3/2/top"].xyz[2] == pytest.approx(corner[2] + 2.5)
    assert found["wall/1"].sigma[2] == 0.03
    assert found["wall/1/top"].sigma[2] > 0.03
