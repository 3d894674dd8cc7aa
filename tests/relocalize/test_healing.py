"""A moved camera's new calibration, and the references that are pinned on disk."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drift_samples import CAMERA, YARD, seen, textures
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import GeometryError, InputError
from geoloc.geometry.se3 import perturb
from geoloc.relocalize.drift import check_drift
from geoloc.relocalize.healing import proposed_camera
from geoloc.relocalize.pins import list_pins, load_references, save_pin
from geoloc.relocalize.reference import pin_reference

GROUND = np.array([[-3.0, -4.0, 0.0], [2.0, -2.0, 0.0], [0.5, -6.0, 0.0]])


def test_the_proposed_camera_sees_points_where_the_moved_one_does(rng: np.random.Generator) -> None:
    scene, turn = textures(1), np.array([0.004, -0.006, 0.003])
    reference = pin_reference(CAMERA, seen(scene, rng), site_map=YARD)
    after = proposed_camera(CAMERA, check_drift(reference, seen(scene, rng, turn, zoom=0.01)))
    moved = RigidTransform.from_rotation(Rotation.from_rotvec(turn)) * CAMERA.cam_from_world
    params = np.array(CAMERA.lens.params)
    params[:2] *= np.exp(0.01)
    truth = replace(CAMERA, lens=type(CAMERA.lens)(params), cam_from_world=moved)
    assert np.abs(after.project(GROUND) - truth.project(GROUND)).max() < 0.15  # measured 0.03 px
    assert after.freed == ("fx", "fy")
    assert np.linalg.eigvalsh(after.calib_cov).min() >= -1e-12
    assert (np.diag(after.calib_cov)[:6] >= 0.99 * np.diag(CAMERA.calib_cov)).all()


def test_what_was_unknown_of_the_pose_is_carried_to_the_new_one(rng: np.random.Generator) -> None:
    """Draws of the old pose, each moved by the same rigid motion, scatter by the covariance that is carried."""
    scene = textures(1)
    reference = pin_reference(CAMERA, seen(scene, rng))
    check = check_drift(reference, seen(scene, rng, np.array([0.0, 0.0, 0.06])))
    quiet = replace(check, cov=np.zeros_like(check.cov))
    after = proposed_camera(CAMERA, quiet)
    motion = after.cam_from_world * CAMERA.cam_from_world.inv()
    draws = rng.multivariate_normal(np.zeros(6), CAMERA.calib_cov, 4000)
    away = (motion * perturb(CAMERA.cam_from_world, draws) * after.cam_from_world.inv()).as_exp_coords()
    np.testing.assert_allclose(np.cov(away.T), after.calib_cov[:6, :6], atol=1e-5)


def test_a_frame_that_tells_nothing_proposes_nothing(rng: np.random.Generator) -> None:
    reference = pin_reference(CAMERA, seen(textures(1), rng))
    with pytest.raises(GeometryError, match="dark"):
        proposed_camera(CAMERA, check_drift(reference, np.zeros(CAMERA.size[::-1], np.uint8)))


def test_pins_come_back_and_a_changed_picture_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    image = seen(textures(1), rng)
    save_pin("yard", CAMERA, image, "", tmp_path)
    save_pin("yard", CAMERA, image, "night", tmp_path)
    pin = save_pin("yard", CAMERA, seen(textures(1), rng), "", tmp_path)
    assert [each.name for each in list_pins("yard", tmp_path)] == ["night", ""]
    found = load_references("yard", tmp_path, YARD)["gate"]
    assert [reference.name for reference in found] == ["night", ""]
    np.testing.assert_array_equal(found[0].camera.calib_cov, CAMERA.calib_cov)
    assert check_drift(found, image).state == "unchanged"
    (tmp_path / "calibration" / "yard" / "references" / pin.file).write_bytes(b"something else")
    with pytest.raises(InputError, match="not the picture that was pinned"):
        load_references("yard", tmp_path)
    with pytest.raises(InputError, match="letters and digits"):
        save_pin("yard", CAMERA, image, "../night", tmp_path)


def test_a_picture_of_another_size_is_refused_when_it_is_pinned(tmp_path, rng):
    """Not only at the check of the night after: nothing is kept of it."""
    small = np.ascontiguousarray(seen(textures(1), rng)[::2, ::2])
    with pytest.raises(InputError, match="give grey values"):
        save_pin("yard", CAMERA, small, "", tmp_path)
    assert not list_pins("yard", tmp_path)
