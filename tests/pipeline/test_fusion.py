import numpy as np
import pytest
from consistency import assert_consistent
from shapely import box
from sites import points_at, square

from geoloc.pipeline.association import Groups
from geoloc.pipeline.fusion import FusionOptions, covariance_intersection, fuse
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface

THREE = Groups(np.arange(3), np.full(3, -1))
PLAIN = FusionOptions(body_sigma=0.0, spread=False)


def one_group(n):
    return Groups(np.zeros(n, dtype=int), np.array([-1]))


def random_covs(rng, n, scale=0.2):
    half = rng.normal(0, scale, (n, 2, 2))
    return half @ half.swapaxes(1, 2) + 0.05**2 * np.eye(2)


def test_fused_covariances_are_honest(rng):
    """Noise and bias drawn as stated for three cameras: the mean NEES of the fused position must be 2."""
    site, errors, covs = square(), [], []
    for _ in range(1500):
        cov, bias_cov = random_covs(rng, 3), random_covs(rng, 3)
        xy = np.array([rng.multivariate_normal(np.zeros(2), c + b) for c, b in zip(cov, bias_cov, strict=True)])
        points = points_at(xy, ["A", "B", "C"]).replace(cov=cov, bias_cov=bias_cov)
        fused = fuse(points, one_group(3), site, PLAIN)
        errors.append(fused.xyz[0, :2])
        covs.append((fused.cov + fused.bias_cov)[0, :2, :2])
    assert_consistent(np.array(errors), np.array(covs))


def test_bias_does_not_average_out_over_frames(rng):
    """The same three cameras a hundred times: the noise's part of the error goes, the bias's stays as stated."""
    site = square()
    bias_cov = random_covs(rng, 3)
    biases = np.array([rng.multivariate_normal(np.zeros(2), b) for b in bias_cov])
    fused = [
        fuse(points_at(biases + rng.normal(0, 0.1, (3, 2)), ["A", "B", "C"]).replace(bias_cov=bias_cov),
             one_group(3), site, PLAIN)
        for _ in range(100)
    ]
    mean = np.mean([f.xyz[0, :2] for f in fused], axis=0)
    expected = fused[0].bias_cov[0, :2, :2]
    assert mean @ np.linalg.solve(expected + 0.01**2 * np.eye(2), mean) < 13.8  # 99.9 % of 2 dof
    assert np.trace(expected) > 0.3 * np.trace(bias_cov, axis1=1, axis2=2).min() / 3


def test_shared_bias_is_never_understated(rng):
    """All cameras off by one and the same error, which the engine cannot know: the bound must hold it."""
    site = square()
    bias_cov = np.broadcast_to(0.3**2 * np.eye(2), (4, 2, 2))
    points = points_at(np.zeros((4, 2)), list("ABCD"), 0.01).replace(bias_cov=bias_cov)
    independent = fuse(points, one_group(4), site, PLAIN).bias_cov[0, 0, 0]
    shared = fuse(points, one_group(4), site, FusionOptions(shared_bias=True, body_sigma=0.0)).bias_cov[0, 0, 0]
    assert independent == pytest.approx(0.3**2 / 4, rel=1e-6)
    assert shared >= 0.3**2 * (1 - 1e-9)


def test_covariance_intersection_holds_whatever_the_correlation(rng):
    cov = random_covs(rng, 200).reshape(100, 2, 2, 2)
    for correlation in (-1.0, 0.0, 1.0):
        root = np.linalg.cholesky(cov)
        common = rng.normal(0, 1, (100, 2))
        own = rng.normal(0, 1, (100, 2))
        second = correlation * common + np.sqrt(1 - correlation**2) * own
        xy = np.stack([np.einsum("nij,nj->ni", root[:, 0], common), np.einsum("nij,nj->ni", root[:, 1], second)], 1)
        fused, joint, weight = covariance_intersection(xy, cov)
        nees = np.einsum("ni,nij,nj->n", fused, np.linalg.inv(joint), fused)
        assert nees.mean() < 2.6  # 2 at most expected, 0.25 of sampling at n = 100
        assert ((weight >= 0) & (weight <= 1)).all()
        assert (np.trace(joint, axis1=1, axis2=2) <= np.trace(cov, axis1=2, axis2=3).min(axis=1) + 1e-12).all()


def test_points_that_disagree_widen_the_answer():
    points = points_at(np.array([[0.0, 0.0], [1.0, 0.0]]), ["A", "B"], 0.1)
    calm = fuse(points.replace(xy=np.zeros((2, 2))), one_group(2), square(), FusionOptions(body_sigma=0.0))
    torn = fuse(points, one_group(2), square(), FusionOptions(body_sigma=0.0))
    assert torn.cov[0, 0, 0] > 10 * calm.cov[0, 0, 0]  # 25 times: chi-square 50 over 2


def test_heights_come_from_the_level_under_the_object():
    site = square(surface=Surface(plane=(0.1, 0.0, 2.0), sigma_z=0.05))
    fused = fuse(points_at(np.array([[3.0, 1.0]]), ["A"]), one_group(1), site, PLAIN)
    assert fused.xyz[0].tolist() == pytest.approx([3.0, 1.0, 2.3])
    assert fused.cov[0, 2, 2] == pytest.approx(0.1**2 * 0.1**2)  # the slope carries the noise of x into z
    assert fused.bias_cov[0, 2, 2] == pytest.approx(0.05**2)


def test_an_object_stands_on_the_surface_under_it_not_on_its_levels_first():
    flat, ramp = Surface((0.0, 0.0, 0.0), box(-20, -20, 0, 20)), Surface((0.1, 0.0, 0.0), box(0, -20, 20, 20), 0.05)
    site = Site("ramp", square().cameras, SiteMap((Level("ground", (flat, ramp)),)))
    fused = fuse(points_at(np.array([[-3.0, 1.0], [6.0, 1.0], [0.0, 30.0]]), list("ABC")), THREE, site, PLAIN)
    assert fused.xyz[:, 2].tolist() == pytest.approx([0.0, 0.6, 0.0])  # the last is off the level
    assert fused.bias_cov[:, 2, 2].tolist() == pytest.approx([0.0, 0.05**2, 0.0])


def test_camera_sets_are_the_same_number_in_any_order():
    site = square()
    points = points_at(np.zeros((3, 2)), ["A", "B", "C"])
    forward = fuse(points, one_group(3), site).camera_set
    assert forward == fuse(points.take([2, 0, 1]), one_group(3), site).camera_set
    assert forward != fuse(points.take([0, 1]), one_group(2), site).camera_set
