"""Views that see something else: they are found, or the point is refused; never a wrong point."""

import numpy as np
import pytest
from consistency import assert_consistent
from rings import POSE_SIGMAS, box_points, ring, see, see_miscalibrated

from geoloc.estimators.triangulation import Refusal, Triangulation, TriangulationOptions, triangulate

NOISE = 0.5**2 * np.eye(2)  # px²


def outliers(rng: np.random.Generator, n: int, n_views: int, n_outliers: int) -> np.ndarray:
    """Which views of each point are outlying: (n, n_views) bool."""
    mask = np.zeros((n, n_views), dtype=bool)
    mask[np.arange(n)[:, None], np.argsort(rng.random((n, n_views)), axis=1)[:, :n_outliers]] = True
    return mask


def wrong(found: Triangulation, points: np.ndarray) -> np.ndarray:
    """Which positions lie more than five sigmas off."""
    good = found.refusal == Refusal.NONE
    errors = found.xyz[good] - points[good]
    cov = (found.cov + found.bias_cov)[good]
    out = np.zeros(len(points), dtype=bool)
    out[good] = np.einsum("ni,ni->n", errors, np.linalg.solve(cov, errors[:, :, None])[:, :, 0]) > 25.0 + 5.0
    return out


@pytest.mark.parametrize(
    ("n_views", "n_outliers", "kept"), [(3, 1, 0.95), (5, 2, 0.995), (7, 3, 0.995), (14, 5, 0.995)]
)
@pytest.mark.parametrize("calibrated", [True, False])
def test_gross_outliers_are_found(
    n_views: int, n_outliers: int, kept: float, calibrated: bool, rng: np.random.Generator
) -> None:
    cameras = ring(n_views, "distorted", None if calibrated else np.diag(POSE_SIGMAS**2))
    points, outlying = box_points(rng, 1500), outliers(rng, 1500, n_views, n_outliers)
    pixels = see_miscalibrated(cameras, points, rng) + rng.normal(0, 0.5, (1500, n_views, 2))
    pixels[outlying] = rng.uniform([0, 0], [1920, 1080], (outlying.sum(), 2))
    found = triangulate(pixels, cameras, NOISE)
    good = found.refusal == Refusal.NONE
    # of three views, an outlier near an epipolar line of one of the others cannot be told from it
    assert good.mean() > kept  # measured 0.975 and more of 3 views, 0.999 of others
    assert (found.used[good] == ~outlying[good]).all(axis=1).mean() > 0.995
    assert not wrong(found, points).any()
    assert_consistent(found.xyz[good] - points[good], (found.cov + found.bias_cov)[good])


@pytest.mark.parametrize(("n_views", "n_outliers"), [(3, 1), (5, 2), (7, 3)])
def test_outliers_that_agree_with_each_other_are_outvoted(
    n_views: int, n_outliers: int, rng: np.random.Generator
) -> None:
    cameras = ring(n_views)
    points, outlying = box_points(rng, 1500), outliers(rng, 1500, n_views, n_outliers)
    decoys = points + rng.choice([-1.0, 1.0], points.shape) * rng.uniform(0.5, 2.0, points.shape)
    pixels = np.where(outlying[:, :, None], see(cameras, decoys), see(cameras, points))
    found = triangulate(pixels + rng.normal(0, 0.5, pixels.shape), cameras, NOISE)
    assert (found.refusal == Refusal.NONE).mean() > 0.93  # measured 0.95, 0.995, 0.994
    assert wrong(found, points).mean() < 0.002


def test_two_against_two_is_refused(rng: np.random.Generator) -> None:
    cameras, points = ring(4), box_points(rng, 300)
    pixels = see(cameras, points)
    pixels[:, 2:] = see(cameras, points + 1.5)[:, 2:]
    found = triangulate(pixels + rng.normal(0, 0.5, pixels.shape), cameras, NOISE)
    assert set(found.refused()) <= {"DISAGREE", "AMBIGUOUS"}
    assert (found.refusal != Refusal.NONE).mean() > 0.98


def test_half_of_the_views_are_no_majority(rng: np.random.Generator) -> None:
    cameras, points = ring(4), box_points(rng, 300)
    pixels = see(cameras, points) + rng.normal(0, 0.5, (300, 4, 2))
    pixels[:, 2:] = rng.uniform([0, 0], [1920, 1080], (300, 2, 2))  # they agree with nothing
    assert triangulate(pixels, cameras, NOISE).refused() == {"DISAGREE": 300}


def test_an_outlier_on_the_epipolar_line_is_ambiguous(rng: np.random.Generator) -> None:
    cameras, points = ring(3), box_points(rng, 200)
    pixels = see(cameras, points)
    # the third camera sees something on the first one's ray, 2 m nearer: both pairs with the first agree
    to_first = cameras[0].centre_world - points
    decoys = points + 2.0 * to_first / np.linalg.norm(to_first, axis=1, keepdims=True)
    pixels[:, 2] = see(cameras, decoys)[:, 2]
    found = triangulate(pixels + rng.normal(0, 0.5, pixels.shape), cameras, NOISE)
    assert (found.refusal == Refusal.AMBIGUOUS).mean() > 0.95
    assert not wrong(found, points).any()


def test_two_views_that_disagree_have_no_majority(rng: np.random.Generator) -> None:
    cameras = ring(2)
    pixels = see(cameras, box_points(rng, 50))
    pixels[:, 1, 1] += 60.0
    assert triangulate(pixels, cameras, NOISE).refused() == {"DISAGREE": 50}


def test_the_plain_form_refuses_what_the_robust_one_saves(rng: np.random.Generator) -> None:
    cameras, points = ring(7), box_points(rng, 400)
    pixels = see(cameras, points) + rng.normal(0, 0.5, (400, 7, 2))
    pixels[::2, 3] += 200.0
    plain = triangulate(pixels, cameras, NOISE, TriangulationOptions(robust=False))
    robust = triangulate(pixels, cameras, NOISE)
    assert (plain.refusal[::2] != Refusal.NONE).all()
    assert (robust.refusal == Refusal.NONE).all()
    assert not robust.used[::2, 3].any()
    assert (np.linalg.norm(robust.residual_px[::2, 3], axis=1) > 100.0).all()  # px; 283 were added
    np.testing.assert_array_equal(plain.xyz[1::2], robust.xyz[1::2])


def test_a_camera_that_is_off_as_its_calibration_allows_is_no_outlier(rng: np.random.Generator) -> None:
    # one degree is 17 px: 35 sigmas of noise, but one of calibration
    cov = np.diag([0.017] * 3 + [0.02] * 3) ** 2
    cameras, points = ring(5, "pinhole", cov), box_points(rng, 2000)
    pixels = see_miscalibrated(cameras, points, rng) + rng.normal(0, 0.5, (2000, 5, 2))
    found = triangulate(pixels, cameras, NOISE)
    assert (found.refusal == Refusal.NONE).mean() > 0.99
    assert found.used.mean() > 0.99  # measured 0.999
    strict = triangulate(pixels, ring(5), NOISE)
    assert (strict.refusal == Refusal.NONE).mean() < 0.05
