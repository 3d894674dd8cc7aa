"""The motion that patches tell: its covariance where errors are smooth over the image, and strays."""

import numpy as np
import pytest
from consistency import assert_consistent

from geoloc.metrics.consistency import consistency, nees
from geoloc.relocalize.motion_fit import Motion, _cosines, fit_motion
from geoloc.relocalize.motions import KINDS, N_MOTION, Sights, advance
from geoloc.scene.lenses import Pinhole, RadialTangential

FREED = KINDS["rotation and zoom"]
SIZE = np.array([640.0, 360.0])
LENS = Pinhole(np.array([600.0, 600.0, 320.0, 180.0]))


def drawn(rng: np.random.Generator, n: int, smooth: float, strays: float = 0.0) -> Motion:
    """What is found of a camera that did not move, from patches with own errors of 0.1 to 0.3 px and a smooth field."""
    pixels = rng.uniform([0, 0], SIZE, (n, 2))
    sights = Sights(LENS, LENS.unproject(pixels), np.zeros(n))
    variance = 0.02 * np.exp(rng.normal(0, 0.7, n))
    error = rng.normal(size=(n, 2)) * np.sqrt(variance)[:, None]
    error += smooth * _cosines(pixels / SIZE) @ rng.normal(size=(24, 2))
    stray = rng.random(n) < strays
    error[stray] += rng.uniform(-3, 3, (int(stray.sum()), 2))
    motion = fit_motion(
        error, 0.5 * variance[:, None, None] * np.eye(2), sights.jacobian(np.zeros(N_MOTION)), pixels / SIZE, FREED
    )
    assert motion is not None
    return motion


@pytest.mark.parametrize("smooth", [0.15, 0.3])
def test_errors_that_are_smooth_over_the_image_widen_the_covariance_honestly(
    smooth: float, rng: np.random.Generator
) -> None:
    found = [drawn(rng, 150, smooth) for _ in range(150)]
    errors, covs = (np.array(part) for part in zip(*((m.theta[:4], m.cov[:4, :4]) for m in found), strict=True))
    assert_consistent(errors, covs, 0.9999)


def test_independent_errors_and_strays_do_not_make_it_too_sure(rng: np.random.Generator) -> None:
    found = [drawn(rng, 150, 0.0, strays=0.15) for _ in range(150)]
    values = nees(np.array([m.theta[:4] for m in found]), np.array([m.cov[:4, :4] for m in found]))
    judged = consistency(values, 4)
    assert 1.0 < judged.mean < judged.high  # measured 1.5: a field may have hidden
    assert np.mean([m.chance(FREED) < 0.1 for m in found]) <= 0.1


def test_too_few_patches_tell_nothing(rng: np.random.Generator) -> None:
    none = np.zeros((4, 2))
    assert fit_motion(none, np.tile(np.eye(2), (4, 1, 1)), np.ones((4, 2, N_MOTION)), none, FREED) is None


def test_the_derivatives_of_a_motion_are_those_of_its_pixels(rng: np.random.Generator) -> None:
    lens = RadialTangential(np.array([600.0, 620.0, 321.0, 178.0, -0.2, 0.05, 1e-3, -5e-4]))
    sights = Sights(lens, lens.unproject(rng.uniform([20, 20], [620, 340], (30, 2))), rng.uniform(0.02, 0.2, 30))
    theta = np.array([0.02, -0.03, 0.05, 0.1, 4.0, -2.0, 0.1, 0.2, -0.1])
    jacobian, step = sights.jacobian(theta), 1e-6
    for i in range(N_MOTION):
        plus, minus = (sights.moved(advance(theta, sign * step * np.eye(N_MOTION)[i])) for sign in (1, -1))
        np.testing.assert_allclose(jacobian[:, :, i], (plus - minus) / (2 * step), rtol=1e-5, atol=1e-3)
