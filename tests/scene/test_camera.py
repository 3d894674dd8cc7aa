"""Cameras: the perturbation that all covariances use, derivatives, the image's border, refusals."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.errors import GeometryError, InputError, UnknownNameError
from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography, Pinhole, radial_tangential_jacobians

POINTS = np.array([[6.0, 5.0, 0.0], [12.0, 9.0, 0.4], [25.0, 14.0, 1.8], [20.0, 20.0, 0.0]])
PINHOLE = Pinhole(np.array([1000.0, 1000, 959.5, 539.5]))


def camera(**changes):
    return replace(Camera("c", PINHOLE, (1920, 1080), look_at(np.array([0, 0, 3.0]), np.array([9, 7, 0]))), **changes)


@pytest.mark.parametrize("name", ["east", "round"])
def test_derivatives_follow_the_perturbation_convention(garage, name):
    """Column i of the calibration's derivative is what exp(xi_i) * cam_from_world does to the pixel."""
    free = replace(garage.camera(name), freed=("fy", "k2", "cx"), calib_cov=np.zeros((9, 9)))
    pixels, by_world, by_calib = free.jacobians(POINTS)
    np.testing.assert_allclose(pixels, free.project(POINTS), atol=1e-9)
    assert by_calib.shape == (4, 2, 9)
    step = 1e-6
    for i in range(6):
        xi = step * np.eye(6)[i]
        more = replace(free, cam_from_world=perturb(free.cam_from_world, xi)).project(POINTS)
        less = replace(free, cam_from_world=perturb(free.cam_from_world, -xi)).project(POINTS)
        np.testing.assert_allclose(by_calib[:, :, i], (more - less) / (2 * step), rtol=1e-5, atol=1e-3)
    for i, parameter in enumerate(free.freed):
        change = 1e-5 * (np.array(free.lens.parameter_names) == parameter)
        more = replace(free, lens=type(free.lens)(free.lens.params + change)).project(POINTS)
        less = replace(free, lens=type(free.lens)(free.lens.params - change)).project(POINTS)
        np.testing.assert_allclose(by_calib[:, :, 6 + i], (more - less) / 2e-5, rtol=1e-5, atol=1e-3)
    for axis in range(3):
        shift = 1e-5 * np.eye(3)[axis]
        numeric = (free.project(POINTS + shift) - free.project(POINTS - shift)) / 2e-5
        np.testing.assert_allclose(by_world[:, :, axis], numeric, rtol=1e-5, atol=1e-3)


def test_samples_of_calib_cov_scatter_pixels_as_the_derivatives_say(garage, rng):
    east = garage.camera("east")
    small = replace(east, calib_cov=1e-2 * east.calib_cov)
    _, _, by_calib = small.jacobians(POINTS)
    want = by_calib @ small.calib_cov @ by_calib.swapaxes(1, 2)
    draws = rng.multivariate_normal(np.zeros(8), small.calib_cov, 4000)
    params = np.tile(small.lens.params, (4000, 1))
    params[:, small.freed_index] += draws[:, 6:]
    poses = perturb(small.cam_from_world, draws[:, :6])
    for i, point in enumerate(POINTS):
        pixels, _, _ = radial_tangential_jacobians(params, poses.apply(point))
        whitened = np.linalg.solve(np.linalg.cholesky(want[i]), (pixels - pixels.mean(axis=0)).T)
        np.testing.assert_allclose(np.cov(whitened), np.eye(2), atol=0.12)  # 5 sigma of 4,000 draws


def test_rays_start_at_the_centre_and_meet_their_points(garage):
    for name in ("east", "round", "upper"):
        own = garage.camera(name)
        rays = own.unproject(own.project(POINTS))
        along = POINTS - own.centre_world
        np.testing.assert_allclose(rays, along / np.linalg.norm(along, axis=1, keepdims=True), atol=1e-9)


def test_the_image_begins_half_a_pixel_before_the_first_centre():
    edges = np.array([[-0.5, -0.5], [1919.5, 1079.5], [-0.51, 5], [5, 1079.51], [np.nan, 3], [3, np.inf]])
    assert camera().inside(edges).tolist() == [True, True, False, False, False, False]
    assert camera().inside(np.zeros((2, 3, 2))).shape == (2, 3)


def test_a_camera_known_by_its_homography_refuses_what_needs_a_pose(garage):
    plain = garage.camera("plain")
    for call in (plain.project, plain.unproject, plain.jacobians):
        with pytest.raises(GeometryError, match=r"camera 'plain' is known by a homography only: .* calibrate its pose"):
            call(np.zeros((1, 3)))
    with pytest.raises(GeometryError, match="has no position"):
        _ = plain.centre_world


def covariance(**entries):
    cov = np.diag([1e-6] * 3 + [1e-4] * 3 + [4.0])
    for (i, j), value in zip(entries.pop("at"), entries.pop("values"), strict=True):
        cov[i, j] = value
    return cov


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        (np.eye(6), r"shape \(6, 6\); pose and 1 freed lens parameters need \(7, 7\)"),
        (covariance(at=[(2, 2)], values=[np.nan]), "NaN or infinity"),
        (covariance(at=[(0, 0)], values=[-1e-12]), "negative variance -1e-12"),
        (covariance(at=[(0, 6)], values=[1e-4]), "not symmetric"),
        # a correlation of 1.5 between a rotation (1e-6 rad²) and a focal length (4 px²): tiny beside the trace
        (covariance(at=[(0, 6), (6, 0)], values=[3e-3, 3e-3]), "the eigenvalue -0.5"),
    ],
)
def test_a_matrix_that_is_no_covariance_is_refused(cov, message):
    with pytest.raises(InputError, match=message):
        camera(calib_cov=cov, freed=("fx",))


def test_a_parameter_that_is_known_exactly_is_no_error():
    singular = covariance(at=[(6, 6), (0, 0)], values=[0.0, 0.0])
    assert camera(calib_cov=singular, freed=("fx",)).calib_cov[6, 6] == 0.0
    assert not camera().calib_cov.flags.writeable


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"name": ""}, InputError, "needs a name"),
        ({"size": (0, 1080)}, InputError, "positive sizes"),
        ({"freed": ("k1",)}, UnknownNameError, "unknown lens parameter 'k1' of camera 'c'"),
        ({"homography_sigma_px": -1.0}, InputError, "homography_sigma_px -1.0"),
    ],
)
def test_impossible_cameras_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        camera(**changes)


def test_a_homography_camera_on_a_level_that_is_not_there_is_refused(garage):
    with pytest.raises(UnknownNameError, match="unknown level 'L9'"):
        replace(garage, cameras=(Camera("h", Homography(np.eye(3).ravel()), (10, 10), homography_level="L9"),))


def test_two_cameras_of_one_name_are_refused_and_order_does_not_matter(garage):
    backwards = replace(garage, cameras=garage.cameras[::-1])
    assert [own.name for own in backwards.cameras] == [own.name for own in garage.cameras]
    with pytest.raises(InputError, match="two cameras named 'east'"):
        replace(garage, cameras=(garage.camera("east"),) * 2)
    with pytest.raises(UnknownNameError, match="'eats' of site 'garage'; did you mean 'east'"):
        garage.camera("eats")
    assert garage.camera_rows(np.array(["round", "nobody", "east"])).tolist() == [3, -1, 0]
    moved = garage.with_cameras([replace(garage.camera("east"), size=(10, 10))])
    assert moved.camera("east").size == (10, 10)
    assert len(moved.cameras) == len(garage.cameras)
