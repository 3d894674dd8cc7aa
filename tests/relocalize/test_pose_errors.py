"""Poses whose features err as features do: more than stated, far out, together, or about something else."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_landmarks import LENS, SIZE, cameras_of, draw_court, see, shifted

from geoloc.estimators.camera_fit import MarkedPoints
from geoloc.geometry.se3 import look_at, perturb
from geoloc.metrics.consistency import consistency
from geoloc.relocalize.landmarks import unit_cov
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.pose_fit import refine_pose, shares_of
from geoloc.scene.camera import Camera

SIGMA = 0.2  # px
TRUE = Camera("q", LENS, SIZE, look_at(np.array([0.0, -10.0, 1.5]), np.array([0.0, 0.0, 1.5])))


def marks(rng, errors, n=150):
    """Points before the camera with marks that are off by `errors(pixels)`."""
    points = np.stack([rng.uniform(-6, 6, n), rng.uniform(-4, 8, n), rng.uniform(-2.5, 5.0, n)], axis=1)
    points = points[TRUE.inside(TRUE.project(points))]
    pixels = TRUE.project(points)
    return MarkedPoints(points, pixels + errors(pixels), np.full(len(points), SIGMA), np.zeros((len(points), 3, 3)))


def nees_of(marked):
    start = replace(TRUE, cam_from_world=perturb(TRUE.cam_from_world, np.array([1, -1, 1, 5, 5, -5]) * 1e-3))
    found = refine_pose(start, marked).camera
    xi = (TRUE.cam_from_world * found.cam_from_world.inv()).as_exp_coords()
    return float(xi @ np.linalg.solve(found.calib_cov, xi))


def mean_nees(rng, errors, n=150, draws=60):
    return consistency(np.array([nees_of(marks(rng, errors, n)) for _ in range(draws)]), 6).mean


def test_errors_as_stated_are_believed(rng):
    # measured 4.4 of 6: what residuals leave open of common errors and of false pieces is added
    assert 3.0 < mean_nees(rng, lambda px: SIGMA * rng.normal(size=px.shape)) < 7.0


def test_errors_larger_than_stated_and_far_out_are_in_the_covariance(rng):
    def errors(px):
        return 2.5 * SIGMA * rng.standard_t(2.8, size=px.shape)

    assert 3.0 < mean_nees(rng, errors) < 8.4  # as stated: over 60


def test_few_features_promise_little(rng):
    def errors(px):
        return 2.5 * SIGMA * rng.standard_t(2.8, size=px.shape)

    assert 2.0 < mean_nees(rng, errors, n=25) < 8.4


def test_errors_that_neighbours_share_are_in_the_covariance(rng):
    def errors(px):
        piece = (px // (max(SIZE) / 12)).astype(int)
        common = rng.normal(size=(13, 13, 2))[piece[:, 0], piece[:, 1]]
        return SIGMA * (rng.normal(size=px.shape) + 0.7 * common)

    assert 3.0 < mean_nees(rng, errors, n=600, draws=40) < 8.4  # on its own each: 17


def test_a_feature_found_turned_twice_counts_once(rng):
    once = marks(rng, lambda px: SIGMA * rng.normal(size=px.shape))
    twice = once.take(np.repeat(np.arange(len(once)), 2))
    assert shares_of(twice.pixels) == pytest.approx(0.5)
    cov, again = (refine_pose(TRUE, each).camera.calib_cov for each in (once, twice))
    np.testing.assert_allclose(again, cov, rtol=1e-3)


def test_a_pose_that_rests_on_one_piece_does_not_trust_it(rng):
    def near_and_far(off):
        """A far wall, and one sign nearby that alone tells how far the wall is: it may be its neighbour."""
        points = np.stack([rng.uniform(-30, 30, 80), np.full(80, 90.0), rng.uniform(-20, 25, 80)], axis=1)
        sign = np.array([[2.0, -4.0, 0.5], [2.05, -4.0, 0.5], [2.0, -4.0, 0.55]])
        taken_for = sign + np.array([off, 0.0, 0.0])
        pixels = TRUE.project(np.vstack([points, taken_for])) + SIGMA * rng.normal(size=(83, 2))
        return MarkedPoints(np.vstack([points, sign]), pixels, np.full(83, SIGMA), np.zeros((83, 3, 3)))

    right, wrong = (np.mean([nees_of(near_and_far(off)) for _ in range(5)]) for off in (0.0, 0.1))
    assert right < 9.0
    assert wrong < 60.0  # as if no piece could be wrong: over 1000


def test_a_site_that_repeats_tells_how_much(rng):
    court, here, there = draw_court(rng, 250), cameras_of(rng, 4), shifted(cameras_of(rng, 4), 60.0)
    for other, repeats in ((replace(court, points=court.points + np.array([60.0, 0.0, 0.0])), True), (None, False)):
        other = other or draw_court(rng, 250, at=(60.0, 0.0))
        features = [see(court, c, rng) for c in here] + [see(other, c, rng) for c in there]
        landmarks = build_landmarks(features, [*here, *there])
        assert landmarks.repeats.shape == (8, 3)
        assert (np.median(landmarks.repeats[:, :2], axis=0) > 5).all() == repeats


def test_a_pose_whose_points_all_lie_behind_it_is_unknown_and_no_nan():
    behind = TRUE.centre_world + np.array([[0.0, -3.0, 0.0], [1.0, -4.0, 0.5]])
    assert (np.linalg.eigvalsh(unit_cov(TRUE, behind)) > 1e6).all()
