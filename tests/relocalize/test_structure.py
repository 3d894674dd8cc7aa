"""Cameras of unknown poses: a model of drawn features, brought to known places with an honest covariance."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_landmarks import SIZE, cameras_of, draw_court, see
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import GeometryError, InputError
from geoloc.metrics.consistency import consistency
from geoloc.relocalize.structure import Picture, align, reconstruct


def test_unknown_cameras_are_placed_and_brought_to_known_places(rng):
    pytest.importorskip("pycolmap")
    court, true = draw_court(rng, 700), cameras_of(rng, 6)
    features = [see(court, camera, rng) for camera in true]
    pictures = [Picture(camera.name, own, SIZE, camera) for camera, own in zip(true, features, strict=True)]
    found = reconstruct(pictures)
    assert [camera.name for camera in found] == [camera.name for camera in true]
    centres = {camera.name: camera.centre_world for camera in true[:5]}
    aligned, _ = align(found, centres, {name: 1e-6 * np.eye(3) for name in centres})
    off = np.linalg.norm(aligned[5].centre_world - true[5].centre_world)
    assert off < 0.08  # measured 0.01 m: the sixth was not told its place


def test_an_alignments_covariance_is_honest(rng):
    cameras, cov, values = cameras_of(rng, 6), 0.02**2 * np.eye(3), []
    turn, scale, shift = Rotation.from_rotvec([0.2, -0.4, 1.0]), 3.0, np.array([5.0, -2.0, 1.0])
    own = [replace(c, cam_from_world=placed(c, turn, scale, shift)) for c in cameras]
    true = np.array([camera.centre_world for camera in cameras])
    for _ in range(80):
        told = {c.name: at for c, at in zip(cameras, true + 0.02 * rng.normal(size=true.shape), strict=True)}
        aligned, alignment = align(own, told, dict.fromkeys(told, cov))
        middle = np.mean(list(told.values()), axis=0)
        arm = true - middle
        off = true - np.array([camera.centre_world for camera in aligned])
        jacobian = np.concatenate([cross(arm), np.tile(np.eye(3), (6, 1, 1)), arm[:, :, None]], axis=2)
        step = np.linalg.lstsq(jacobian.reshape(-1, 7), off.ravel(), rcond=None)[0]
        values.append(step @ np.linalg.solve(alignment, step))
    assert consistency(np.array(values), 7).consistent


def cross(arm):
    from geoloc.geometry.se3 import cross_matrix

    return -cross_matrix(arm)


def placed(camera, turn, scale, shift):
    """The pose in a frame in which the world is turned, scaled and shifted."""
    rotation = camera.cam_from_world.rotation * turn.inv()
    return RigidTransform.from_components(-rotation.apply(scale * turn.apply(camera.centre_world) + shift), rotation)


def test_too_few_or_collinear_known_places_are_refused(rng):
    cameras = cameras_of(rng, 4)
    line = {camera.name: np.array([float(i), 0, 0]) for i, camera in enumerate(cameras)}
    covs = dict.fromkeys(line, np.eye(3))
    with pytest.raises(GeometryError, match="on one line"):
        align(cameras, line, covs)
    with pytest.raises(GeometryError, match="it takes three"):
        align(cameras, {"c0": np.zeros(3)}, covs)


def test_pictures_that_share_nothing_make_no_model(rng):
    pytest.importorskip("pycolmap")
    cameras = cameras_of(rng, 3)
    pictures = [Picture(c.name, see(draw_court(rng), c, rng), SIZE, c) for c in cameras]
    with pytest.raises(GeometryError, match="no model holds"):
        reconstruct(pictures)
    with pytest.raises(InputError, match="a name of its own"):
        reconstruct([pictures[0]] * 2)
