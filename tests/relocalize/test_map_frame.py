"""A model brought to the site: by fixes with a common error, marked points, cameras; and what is open of it carried."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_landmarks import SIZE, cameras_of, draw_camera, draw_court, see
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import GeometryError, UnknownNameError
from geoloc.metrics.consistency import consistency
from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks
from geoloc.relocalize.map_frame import MapFrame, align_to
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.relocalize.ties import camera_ties, fix_ties, point_ties
from geoloc.relocalize.together import Shot, relocalize_together
from geoloc.scene.marks import Marks
from geoloc.scene.sitemap import ControlPoint

TURN, SCALE, SHIFT = Rotation.from_rotvec([0.2, -0.4, 1.0]), 0.3, np.array([5.0, -2.0, 1.0])


def in_model(camera):
    """The camera in a model's own frame and unit."""
    turn = camera.cam_from_world.rotation * TURN.inv()
    centre = SCALE * TURN.apply(camera.centre_world) + SHIFT
    return replace(camera, cam_from_world=RigidTransform.from_components(-turn.apply(centre), turn))


def moved(camera, step, middle):
    """A camera carried along by a similarity (7,) of the world about `middle`."""
    turn = Rotation.from_rotvec(step[:3])
    centre = np.exp(step[6]) * turn.apply(camera.centre_world - middle) + middle + step[3:6]
    pose = camera.cam_from_world.rotation * turn.inv()
    return replace(camera, cam_from_world=RigidTransform.from_components(-pose.apply(centre), pose))


def test_what_fixes_of_a_walk_have_in_common_does_not_average_out(rng):
    true = cameras_of(rng, 12)
    model = [in_model(camera) for camera in true]
    sigma, common, values, spread = 2.0, 0.5, [], []
    for _ in range(60):
        bias = np.sqrt(common) * sigma * rng.normal(size=3)
        noise = np.sqrt(1 - common) * sigma
        places = {c.name: c.centre_world + bias + noise * rng.normal(size=3) for c in true}
        ties, shared = fix_ties(model, places, dict.fromkeys(places, sigma**2 * np.eye(3)), common)
        found = align_to(model, ties, shared)
        off = true[0].centre_world - found.cameras[0].centre_world
        centre_cov = found.frame.pose_cov(found.cameras[0])[3:, 3:]
        turn = found.cameras[0].cam_from_world.rotation.as_matrix()
        cov = turn.T @ centre_cov @ turn
        values.append(off @ np.linalg.solve(cov, off))
        spread.append(np.sqrt(np.trace(cov)))
    assert np.median(spread) > np.sqrt(3 * common) * sigma  # the common part at least: 2.4 m
    # linear in turns of a tenth of a radian: measured 3.1, 3 expected
    assert 2.0 < consistency(np.array(values), 3).mean < 4.5


def test_a_camera_moves_along_with_the_frame_as_its_derivative_says(rng):
    camera = draw_camera(rng, "q")
    frame = MapFrame(np.array([3.0, 1.0, 0.5]), np.eye(7))
    step = 1e-5 * rng.normal(size=7)
    xi = (moved(camera, step, frame.middle).cam_from_world * camera.cam_from_world.inv()).as_exp_coords()
    np.testing.assert_allclose(xi, frame.by_pose(camera) @ step, atol=1e-9)


def test_points_marked_in_two_pictures_bring_a_model_to_the_site(rng):
    true = cameras_of(rng, 6)
    model = [in_model(camera) for camera in true]
    points = draw_court(rng, 60).points
    named = tuple(ControlPoint(f"p{i}", tuple(xyz), (0.02,) * 3) for i, xyz in enumerate(points.tolist()))
    surveyed = points + 0.02 * rng.normal(size=points.shape)  # where they truly are
    rows = []
    for camera in true:
        pixels = camera.project(surveyed)
        for i in range(8):
            if camera.inside(np.nan_to_num(pixels[i : i + 1], nan=-1e9))[0]:
                rows.append((camera.name, f"p{i}", pixels[i] + 0.5 * rng.normal(size=2)))
    marks = Marks(
        camera=np.array([row[0] for row in rows]), point=np.array([row[1] for row in rows]),
        pixel=np.array([row[2] for row in rows]),
    )
    ties, notes = point_ties(model, marks, named)
    assert len(ties) >= 4
    assert len(ties) + len(notes) == len(set(marks.point.tolist()))
    found = align_to(model, ties)
    for one, other in zip(found.cameras, true, strict=True):
        xi = (other.cam_from_world * one.cam_from_world.inv()).as_exp_coords()
        assert xi @ np.linalg.solve(found.frame.pose_cov(one) + 1e-12 * np.eye(6), xi) < 40
        assert np.linalg.norm(one.centre_world - other.centre_world) < 0.25
    with pytest.raises(UnknownNameError, match="control point"):
        point_ties(model, marks.replace(point=np.char.add(marks.point, "x")), named)


def test_a_tie_that_contradicts_the_others_is_left_out_and_named(rng):
    true = cameras_of(rng, 8)
    model = [in_model(camera) for camera in true]
    places = {c.name: c.centre_world + 0.5 * rng.normal(size=3) for c in true}
    places["c3"] = places["c3"] + [60.0, 0.0, 0.0]
    ties, shared = fix_ties(model, places, dict.fromkeys(places, 0.25 * np.eye(3)), 0.0)
    found = align_to(model, [*ties, *camera_ties(model, true[:2])], shared)
    assert found.left_out == ("fix c3",)
    assert np.linalg.norm(found.cameras[3].centre_world - true[3].centre_world) < 1.0
    with pytest.raises(GeometryError, match="2 known places"):
        align_to(model, ties[:2])


def test_what_is_open_of_the_frame_is_in_every_pose_and_in_the_file(rng, tmp_path):
    court, cameras = draw_court(rng), cameras_of(rng, 6)
    landmarks = build_landmarks([see(court, camera, rng) for camera in cameras], cameras)
    frame = MapFrame(np.array([8.0, 5.0, 1.0]), np.diag([0.02] * 3 + [1.5] * 3 + [0.01]) ** 2)
    placed = replace(landmarks, frame=frame)
    save_landmarks(placed, tmp_path / "m.npz")
    placed = load_landmarks(tmp_path / "m.npz")
    np.testing.assert_array_equal(placed.frame.cov, frame.cov)
    true = draw_camera(rng, "q")
    query = Query(see(court, true, rng), SIZE, true)
    sure, found = (relocalize(query, each, np.random.default_rng(1)) for each in (landmarks, placed))
    assert found.answered, found.refusal  # the map itself is as clear as it was
    np.testing.assert_allclose(found.cov - sure.cov, frame.pose_cov(found.camera), rtol=1e-3, atol=1e-9)
    shots = [Shot(replace(query, features=see(court, true, rng)), float(i)) for i in range(2)]
    both = relocalize_together(shots, placed, rng)
    apart = np.hstack([np.eye(6), -np.eye(6)])
    # common to both: between the two of them it is not there
    assert np.sqrt(np.trace((apart @ both.cov @ apart.T)[3:, 3:])) < 0.3
    assert np.sqrt(np.trace(both.poses[0].cov[3:, 3:])) > 2


def test_a_map_of_an_earlier_schema_is_read(rng, tmp_path):
    import io
    import json

    cameras = cameras_of(rng, 4)
    court, path = draw_court(rng, 200), tmp_path / "m.npz"
    save_landmarks(build_landmarks([see(court, camera, rng) for camera in cameras], cameras), path)
    arrays = dict(np.load(path))
    head = json.loads(arrays["head"].tobytes())
    head["schema"] = 1
    del head["frame"]
    packed = io.BytesIO()
    early = {name: value for name, value in arrays.items() if name not in ("seen", "missed", "head")}
    np.savez(packed, **early, head=np.frombuffer(json.dumps(head).encode(), np.uint8))
    path.write_bytes(packed.getvalue())
    found = load_landmarks(path)
    assert not found.frame.cov.any()
    assert (found.seen == 0).all()
    assert found.presence == pytest.approx(0.8)


def test_the_frame_error_of_a_map_is_what_a_misplaced_map_has(rng):
    cameras = cameras_of(rng, 5)
    frame = MapFrame(np.array([8.0, 5.0, 1.0]), np.diag([0.02] * 3 + [0.5] * 3 + [0.01]) ** 2)
    values = []
    for _ in range(200):
        step = rng.multivariate_normal(np.zeros(7), frame.cov)
        off = moved(cameras[0], step, frame.middle)
        xi = (cameras[0].cam_from_world * off.cam_from_world.inv()).as_exp_coords()
        values.append(xi @ np.linalg.solve(frame.pose_cov(off), xi))
    assert consistency(np.array(values), 6).consistent
