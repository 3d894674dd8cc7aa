"""Triangulation: honest covariances, every lens, what must change nothing, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from consistency import assert_consistent
from rings import LENS_OF, POSE_SIGMAS, box_points, ring, see, see_miscalibrated
from scipy.spatial.transform import RigidTransform

from geoloc.errors import GeometryError, InputError
from geoloc.estimators.triangulation import Refusal, TriangulationOptions, triangulate
from geoloc.geometry.se3 import from_rt, look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography

NO_NOISE = 1e-6**2 * np.eye(2)
TILTED = np.array([[0.6, 0.25], [0.25, 0.3]])  # px²: noise that is neither round nor upright


@pytest.mark.parametrize("lens", LENS_OF)
@pytest.mark.parametrize("n_views", [2, 3, 7])
def test_exact_pixels_give_exact_points(lens: str, n_views: int, rng: np.random.Generator) -> None:
    points, cameras = box_points(rng, 300), ring(n_views, lens)
    found = triangulate(see(cameras, points), cameras, NO_NOISE)
    assert found.refused() == {}
    np.testing.assert_allclose(found.xyz, points, atol=1e-8)  # m; measured 1e-10
    assert (found.n_views == n_views).all()


@pytest.mark.parametrize("lens", LENS_OF)
@pytest.mark.parametrize("n_views", [2, 3, 7])
def test_noise_covariance_is_honest(lens: str, n_views: int, rng: np.random.Generator) -> None:
    points, cameras = box_points(rng, 4000), ring(n_views, lens)
    noise = rng.multivariate_normal(np.zeros(2), TILTED, (len(points), n_views))
    found = triangulate(see(cameras, points) + noise, cameras, TILTED)
    good = found.refusal == Refusal.NONE
    assert good.mean() > 0.998
    assert_consistent(found.xyz[good] - points[good], found.cov[good])
    assert not found.bias_cov[good].any()


@pytest.mark.parametrize(("lens", "freed"), [("pinhole", ()), ("distorted", ("fx", "k1")), ("fisheye", ("cy", "k2"))])
@pytest.mark.parametrize("n_views", [2, 3, 7])
def test_noise_and_calibration_together_are_honest(
    lens: str, freed: tuple[str, ...], n_views: int, rng: np.random.Generator
) -> None:
    cameras = ring(n_views, lens, calibration(rng, freed), freed)
    points = box_points(rng, 4000)
    pixels = see_miscalibrated(cameras, points, rng)
    both = triangulate(pixels + rng.multivariate_normal(np.zeros(2), TILTED, pixels.shape[:2]), cameras, TILTED)
    good = both.refusal == Refusal.NONE
    assert good.mean() > 0.998
    assert_consistent(both.xyz[good] - points[good], (both.cov + both.bias_cov)[good])
    # the calibration's share alone: the same weights, no noise
    quiet = triangulate(pixels, cameras, TILTED)
    good = quiet.refusal == Refusal.NONE
    assert_consistent(quiet.xyz[good] - points[good], quiet.bias_cov[good])


def calibration(rng: np.random.Generator, freed: tuple[str, ...]) -> np.ndarray:
    """A calibration covariance in which pose and lens parameters are strongly correlated."""
    sigmas = np.r_[POSE_SIGMAS, [{"fx": 4.0, "cy": 2.0}.get(name, 2e-3) for name in freed]]
    mixed = np.eye(len(sigmas)) + 0.4 * rng.normal(size=(len(sigmas), len(sigmas)))
    cov = mixed @ mixed.T
    scale = sigmas / np.sqrt(np.diag(cov))
    return cov * np.outer(scale, scale)


def test_a_badly_calibrated_camera_pulls_less(rng: np.random.Generator) -> None:
    points = box_points(rng, 2000)
    cameras = ring(3)
    cameras[2] = replace(cameras[2], calib_cov=np.diag(20 * POSE_SIGMAS) ** 2)
    pixels = see_miscalibrated(cameras, points, rng) + rng.normal(0, 0.5, (len(points), 3, 2))
    with_it = np.abs(triangulate(pixels, cameras, 0.25 * np.eye(2)).xyz - points)
    without = np.abs(triangulate(pixels[:, :2], cameras[:2], 0.25 * np.eye(2)).xyz - points)
    # medians 1.1 cm and 1.2 cm; with equal weights the third camera's 2 decimetres would show
    assert np.nanmedian(with_it) < 1.02 * np.nanmedian(without)


def test_cameras_in_another_order_change_nothing(rng: np.random.Generator) -> None:
    cameras = ring(7, "distorted", np.diag(POSE_SIGMAS**2))
    pixels = see(cameras, box_points(rng, 500)) + rng.normal(0, 0.5, (500, 7, 2))
    pixels[rng.random((500, 7)) < 0.3] = np.nan
    pixels[:100, 2] += 60.0
    order = rng.permutation(7)
    one = triangulate(pixels, cameras, 0.25 * np.eye(2))
    other = triangulate(pixels[:, order], [cameras[i] for i in order], 0.25 * np.eye(2))
    for name in ("xyz", "cov", "bias_cov", "refusal"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_array_equal(one.used[:, order], other.used)
    np.testing.assert_array_equal(one.residual_px[:, order], other.residual_px)


def test_points_in_another_order_change_nothing(rng: np.random.Generator) -> None:
    cameras = ring(5, "distorted")
    pixels = see(cameras, box_points(rng, 9000)) + rng.normal(0, 0.5, (9000, 5, 2))
    pixels[rng.random((9000, 5)) < 0.2] = np.nan
    pixels[::3, 1] += 80.0
    order = rng.permutation(len(pixels))
    whole, shuffled = (triangulate(px, cameras, 0.25 * np.eye(2)) for px in (pixels, pixels[order]))
    np.testing.assert_array_equal(whole.refusal[order], shuffled.refusal)
    np.testing.assert_allclose(whole.xyz[order], shuffled.xyz, atol=1e-9)


def test_a_moved_site_moves_its_points_and_covariances(rng: np.random.Generator) -> None:
    cameras = ring(4, "distorted", np.diag(POSE_SIGMAS**2))
    pixels = see(cameras, box_points(rng, 200)) + rng.normal(0, 0.5, (200, 4, 2))
    moved_from_here = from_rt(np.array([0.3, -0.2, 1.1]), np.array([3000.0, -2000.0, 150.0]))
    moved = [replace(camera, cam_from_world=camera.cam_from_world * moved_from_here.inv()) for camera in cameras]
    here, there = (triangulate(pixels, rig, 0.25 * np.eye(2)) for rig in (cameras, moved))
    turn = moved_from_here.rotation.as_matrix()
    np.testing.assert_allclose(there.xyz, moved_from_here.apply(here.xyz), atol=1e-8)
    np.testing.assert_allclose(there.cov, turn @ here.cov @ turn.T, atol=1e-12)
    np.testing.assert_allclose(there.bias_cov, turn @ here.bias_cov @ turn.T, atol=1e-12)


def test_each_pixel_can_have_its_own_covariance(rng: np.random.Generator) -> None:
    points, cameras = box_points(rng, 4000), ring(4)
    sigma = rng.uniform(0.2, 3.0, (4000, 4))
    cov = sigma[:, :, None, None] ** 2 * np.eye(2)
    pixels = see(cameras, points) + sigma[:, :, None] * rng.normal(size=(4000, 4, 2))
    pixels[rng.random((4000, 4)) < 0.3] = np.nan
    found = triangulate(pixels, cameras, cov)
    good = found.refusal == Refusal.NONE
    assert_consistent(found.xyz[good] - points[good], found.cov[good])


def test_views_that_are_not_there_leave_the_others_alone(rng: np.random.Generator) -> None:
    cameras = ring(6)
    pixels = see(cameras, box_points(rng, 50)) + rng.normal(0, 0.5, (50, 6, 2))
    few = pixels.copy()
    few[:, [0, 3, 5]] = np.nan
    sparse = triangulate(few, cameras, np.eye(2))
    dense = triangulate(pixels[:, [1, 2, 4]], [cameras[i] for i in (1, 2, 4)], np.eye(2))
    np.testing.assert_allclose(sparse.xyz, dense.xyz, atol=1e-9)
    np.testing.assert_allclose(sparse.residual_px[:, [1, 2, 4]], dense.residual_px, atol=1e-9)
    assert np.isnan(sparse.residual_px[:, [0, 3, 5]]).all()
    assert not sparse.used[:, [0, 3, 5]].any()


def test_residuals_are_predicted_minus_observed(rng: np.random.Generator) -> None:
    cameras = ring(3, "distorted")
    pixels = see(cameras, box_points(rng, 200)) + rng.normal(0, 0.5, (200, 3, 2))
    found = triangulate(pixels, cameras, 0.25 * np.eye(2))
    exact = see(cameras, found.xyz) - pixels
    np.testing.assert_allclose(found.residual_px, exact, atol=2e-3)  # px; measured 4e-4


def test_a_fisheye_sees_behind_its_own_plane(rng: np.random.Generator) -> None:
    # both look up; the points lie up to 10 degrees below their horizon
    cameras = [
        Camera(name, LENS_OF["fisheye"], (1920, 1080), look_at(centre, centre + np.array([0.0, 0.0, 1.0])))
        for name, centre in (("a", np.array([0.0, 0, 3])), ("b", np.array([4.0, 3, 3])))
    ]
    points = rng.uniform([-6, 4, 2.5], [-3, 8, 4.0], (500, 3))
    assert (points[:, 2] < 3).any()
    found = triangulate(see(cameras, points) + rng.normal(0, 0.3, (500, 2, 2)), cameras, 0.09 * np.eye(2))
    good = found.refusal == Refusal.NONE
    assert good.mean() > 0.99
    assert_consistent(found.xyz[good] - points[good], found.cov[good])


def test_no_points_and_no_cameras_are_fine() -> None:
    for n, cameras in ((0, ring(3)), (0, []), (4, [])):
        found = triangulate(np.empty((n, len(cameras), 2)), cameras, np.eye(2))
        assert found.xyz.shape == (n, 3)
        assert (found.refusal == Refusal.FEW_VIEWS).all()


def test_points_of_one_view_are_refused_alone() -> None:
    cameras, points = ring(3), np.array([[0, 0, 1.0], [1, 0, 1], [2, 0, 1]])
    pixels = see(cameras, points)
    pixels[1, 1:] = np.nan
    found = triangulate(pixels, cameras, np.eye(2))
    assert found.refusal.tolist() == [Refusal.NONE, Refusal.FEW_VIEWS, Refusal.NONE]
    assert np.isnan(found.xyz[1]).all()
    assert np.isnan(found.cov[1]).all()
    assert found.refused() == {"FEW_VIEWS": 1}


def side_by_side(toe_out: float) -> list[Camera]:
    """Two cameras 2 m apart that look north, each turned outward by `toe_out` rad."""
    poses = {x: look_at(np.array([x, 0.0, 6.0]), np.array([x + x * toe_out, 1.0, 6.0])) for x in (-1.0, 1.0)}
    return [Camera(f"c{x}", LENS_OF["pinhole"], (1920, 1080), pose) for x, pose in poses.items()]


def test_parallel_rays_are_refused() -> None:
    distance = np.array([50.0, 180.0, 260.0, 1e4])
    cameras = side_by_side(toe_out=0.0)
    pixels = see(cameras, np.stack([0 * distance, distance, 6 + 0 * distance], axis=1))
    found = triangulate(pixels, cameras, NO_NOISE)
    # parallax 2 / distance: 0.04, 0.011, 0.0077, 0.0002 rad; 0.01 is asked
    assert found.refusal.tolist() == [Refusal.NONE, Refusal.NONE, Refusal.PARALLEL, Refusal.PARALLEL]


def test_vague_points_are_refused_where_their_covariance_would_lie() -> None:
    cameras = side_by_side(toe_out=0.0)
    pixels = see(cameras, np.array([[0.0, 20.0, 6.0], [0.0, 100.0, 6.0]]))
    found = triangulate(pixels, cameras, 2.0**2 * np.eye(2))  # worst sigma: 0.6 m, 14 m
    assert found.refusal.tolist() == [Refusal.NONE, Refusal.VAGUE]
    strict = triangulate(pixels, cameras, 2.0**2 * np.eye(2), TriangulationOptions(max_sigma=0.3))
    assert strict.refused() == {"VAGUE": 2}


def test_points_behind_a_camera_are_refused() -> None:
    cameras = side_by_side(toe_out=0.1)
    found = triangulate(np.full((1, 2, 2), [955.0, 545.0]), cameras, np.eye(2))  # the axes diverge
    assert found.refused() == {"BEHIND": 1}


def test_a_pixel_that_its_lens_cannot_undo_is_not_seen() -> None:
    barrel = replace(LENS_OF["distorted"], params=np.array([1000.0, 1000, 960, 540, -0.4, 0.0, 0, 0]))
    cameras = [replace(camera, lens=barrel) for camera in ring(3)]
    pixels = see(cameras, np.array([[0.0, 0, 1], [1.0, 0, 1]]))
    pixels[0, 1] = 5000.0
    found = triangulate(pixels, cameras, np.eye(2))
    assert found.n_views.tolist() == [2, 3]
    assert found.refused() == {}


def test_a_camera_known_by_a_homography_is_refused_by_name() -> None:
    cameras = [*ring(2), Camera("lot-7", Homography(np.eye(3).ravel()), (1920, 1080), homography_level="ground")]
    pixels = np.full((1, 3, 2), np.nan)
    pixels[:, :2] = see(cameras[:2], np.array([[0.0, 0, 1]]))
    assert triangulate(pixels, cameras, np.eye(2)).refused() == {}  # it sees nothing here
    pixels[:, 2] = 500.0
    with pytest.raises(GeometryError, match=r"'lot-7'.*cannot triangulate"):
        triangulate(pixels, cameras, np.eye(2))


@pytest.mark.parametrize(
    ("pixels", "cov", "message"),
    [
        (np.zeros((3, 2)), np.eye(2), "shape"),
        (np.zeros((3, 4, 2)), np.eye(2), "2 cameras"),
        (np.full((3, 2, 2), np.inf), np.eye(2), "infinite"),
        (np.zeros((3, 2, 2)), np.eye(3), "broadcast"),
        (np.zeros((3, 2, 2)), np.ones((4, 2, 2, 2)), "broadcast"),
        (np.zeros((3, 2, 2)), np.zeros((2, 2)), "point 0 in camera 'c0'"),
        (np.zeros((3, 2, 2)), np.array([[1.0, 2.0], [2.0, 1.0]]), "positive definite"),
        (np.zeros((3, 2, 2)), np.full((2, 2), np.nan), "finite"),
    ],
)
def test_bad_input_is_named(pixels: np.ndarray, cov: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        triangulate(pixels, ring(2), cov)


def test_options_are_checked() -> None:
    with pytest.raises(InputError, match="gate_probability"):
        TriangulationOptions(gate_probability=1.5)


def test_nothing_given_is_changed(rng: np.random.Generator) -> None:
    cameras = ring(4)
    pixels = see(cameras, box_points(rng, 20))
    pixels[::2, 1] += 300.0
    before, cov = pixels.copy(), np.eye(2)
    triangulate(pixels, cameras, cov)
    np.testing.assert_array_equal(pixels, before)
    np.testing.assert_array_equal(cov, np.eye(2))


def test_rigid_transforms_of_one_camera_do_not_leak_into_another() -> None:
    # the constants of a camera are kept from call to call; a replaced pose must not find the old ones
    camera, other = ring(2)
    point = np.array([[0.5, 0.2, 1.0]])
    shift = RigidTransform.from_translation([0.0, 0.0, 1.0])
    first = triangulate(see([camera, other], point), [camera, other], NO_NOISE)
    lifted = [replace(c, cam_from_world=c.cam_from_world * shift.inv()) for c in (camera, other)]
    second = triangulate(see([camera, other], point), lifted, NO_NOISE)
    np.testing.assert_allclose(second.xyz - first.xyz, [[0, 0, 1.0]], atol=1e-8)
