"""Fits where many cameras explain the marks almost as well: the least cost lies along a valley that bends."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.estimators.camera_fit import (
    UNKNOWNS,
    MarkedPoints,
    costs,
    curvature_along,
    fits_of,
    linearise_fits,
    refine_fits,
)
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole, RadialTangential

SIZE, FOCAL = (480, 360), 420.0
PRIOR = CameraPrior(FOCAL, 0.5, (239.5, 179.5), 4.8)


def camera(focal: float = FOCAL, height: float = 3.4) -> Camera:
    """Nearly straight above a floor: a longer lens from higher up shows almost the same."""
    return Camera("c", Pinhole(np.array([focal, focal, 239.5, 179.5])), SIZE, look_at([5.9, 6.4, height], [6, 5.6, 0]))


@pytest.fixture
def marked(rng) -> MarkedPoints:
    points = np.column_stack([rng.uniform(4.5, 7.3, 400), rng.uniform(4.8, 6.8, 400), np.zeros(400)])
    pixels = camera().project(points) + rng.normal(0, 0.02, (400, 2))
    return MarkedPoints(points, pixels, np.full(400, 0.02), np.zeros((400, 3, 3)))


def start(marked: MarkedPoints, focal: float, height: float):
    one = camera(focal, height)
    fits = fits_of(RadialTangential(np.concatenate([one.lens.params, np.zeros(4)])), [one.cam_from_world], marked)
    return replace(fits, free=np.isin(UNKNOWNS, ("f", "cx", "cy", "k1"))[None])


@pytest.mark.parametrize("focal", [300.0, 380.0, 480.0, 600.0])
def test_a_fit_reaches_the_end_of_the_valley_from_either_side(marked, focal):
    best = refine_fits(start(marked, FOCAL, 3.4), marked, PRIOR, 400)
    found = refine_fits(start(marked, focal, 3.4 * focal / FOCAL), marked, PRIOR)
    least = costs(best, linearise_fits(best, marked, PRIOR))[0]
    assert costs(found, linearise_fits(found, marked, PRIOR))[0] < least + 0.1, "a third of a sigma is left at most"


def test_a_step_that_throws_points_behind_the_camera_bends_by_nothing_unknown(marked):
    fits = start(marked, FOCAL, 3.4)
    linear = linearise_fits(fits, marked, PRIOR)
    about = np.eye(11)[:1] * 10 * np.pi  # a tenth of it turns the camera round
    marks, known = curvature_along(about, fits, linear, marked, PRIOR)
    assert np.isfinite(marks).all()
    assert np.isfinite(known).all()
