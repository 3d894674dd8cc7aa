"""Rigid motions: the one perturbation convention, and what upright cameras look at."""

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.geometry.se3 import cross_matrix, from_rt, look_at, perturb


def test_a_perturbation_is_the_exponential_applied_on_the_left(rng):
    pose = from_rt(rng.normal(size=3), rng.normal(size=3))
    xi = rng.normal(size=6)
    twist = np.zeros((4, 4))
    twist[:3, :3], twist[:3, 3] = cross_matrix(xi[:3]), xi[3:]
    np.testing.assert_allclose(perturb(pose, xi).as_matrix(), expm(twist) @ pose.as_matrix(), atol=1e-12)


def test_many_perturbations_are_made_at_once(rng):
    pose, xi = from_rt(rng.normal(size=3), rng.normal(size=3)), rng.normal(size=(5, 6))
    together = perturb(pose, xi).as_matrix()
    for row, alone in zip(together, xi, strict=True):
        np.testing.assert_allclose(row, perturb(pose, alone).as_matrix(), atol=1e-14)


def test_a_first_order_perturbation_turns_then_shifts(rng):
    pose, point = from_rt(rng.normal(size=3), rng.normal(size=3)), rng.normal(size=3)
    xi = 1e-6 * rng.normal(size=6)
    moved = perturb(pose, xi).apply(point) - pose.apply(point)
    np.testing.assert_allclose(moved, np.cross(xi[:3], pose.apply(point)) + xi[3:], atol=1e-11)


def test_matrix_and_rotation_vector_are_the_same_rotation(rng):
    vector, shift = rng.normal(size=3), rng.normal(size=3)
    matrix = Rotation.from_rotvec(vector).as_matrix()
    np.testing.assert_allclose(from_rt(matrix, shift).as_matrix(), from_rt(vector, shift).as_matrix(), atol=1e-14)
    np.testing.assert_allclose(from_rt(matrix, shift).apply([1.0, 2, 3]), matrix @ [1.0, 2, 3] + shift)


def test_cross_matrix_is_the_cross_product(rng):
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    np.testing.assert_allclose(np.einsum("nij,nj->ni", cross_matrix(a), b), np.cross(a, b))


@pytest.mark.parametrize("target", [(10, 0, 0), (-3, 7, -2), (0, 0, -5), (2, 1, 9)])
def test_a_camera_looks_at_its_target_upright(target):
    centre = np.array([0.0, 0.0, 4.0])
    pose = look_at(centre, np.array(target, float))
    assert isinstance(pose, RigidTransform)
    np.testing.assert_allclose(pose.inv().translation, centre, atol=1e-12)
    ahead = pose.apply(np.array(target, float))
    np.testing.assert_allclose(ahead[:2], 0, atol=1e-12)
    assert ahead[2] == pytest.approx(np.linalg.norm(centre - target))
    # world up is up in the image (y down), and the image's right is level
    up, right = pose.rotation.as_matrix() @ [0, 0, 1], pose.rotation.as_matrix()[0]
    assert up[1] <= 1e-12
    assert right[2] == pytest.approx(0, abs=1e-12)
