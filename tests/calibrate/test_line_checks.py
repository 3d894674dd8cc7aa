"""Lines drawn into a still against a calibrated camera: what is true passes, what leans is told by how much."""

import numpy as np
import pytest

from geoloc.calibrate.line_checks import line_turns
from geoloc.scene.known import ImageLines
from geoloc.synthetic.garage import garage

FEET = np.array([[40.0, 12.0, 0.0], [44.0, 20.0, 0.0], [38.0, 24.0, 0.0]])
UP = np.array([0.0, 0.0, 1.0])


@pytest.fixture(scope="module")
def camera():
    return garage().site.camera("p1-ramp-foot")


def drawn(camera, kind, from_world, to_world, group=""):
    n = len(from_world)
    start, end = camera.project(from_world), camera.project(to_world)
    return ImageLines(camera=["c"] * n, kind=[kind] * n, group=[group] * n, start=start, end=end)


def test_a_mast_that_leans_is_told_by_its_angle(camera):
    assert np.degrees(line_turns(camera, drawn(camera, "plumb", FEET, FEET + 2 * UP))).max() < 1e-6
    # a lean across the view: the plane through camera and line holds the vertical no more
    across = np.cross(UP, FEET - camera.centre_world)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    leaning = FEET + 2 * (UP + np.tan(np.radians(3.0)) * across)
    turned = np.degrees(line_turns(camera, drawn(camera, "plumb", FEET, leaning)))
    np.testing.assert_allclose(turned, 3.0, atol=0.01)  # measured: 0.0001 off


def test_parallel_lines_need_three_to_be_told(camera):
    lines = drawn(camera, "parallel", FEET, FEET + np.array([1.0, 4.0, 0.0]), "A")
    assert np.degrees(line_turns(camera, lines)).max() < 1e-6
    assert np.isnan(line_turns(camera, lines.take(np.arange(2)))).all()
    crooked = lines.replace(end=lines.end + np.array([[0.0, 0.0], [0.0, 0.0], [0.0, 30.0]]))
    assert np.degrees(line_turns(camera, crooked)).max() > 0.3  # measured: 0.36


def test_the_horizon_is_level_and_nothing_else_is(camera):
    centre, away = camera.centre_world, 1e6
    ahead = camera.cam_from_world.rotation.as_matrix()[2] * [1, 1, 0]
    side = np.cross(ahead, UP)
    far = np.array([centre + away * (ahead - 0.3 * side), centre + away * (ahead + 0.3 * side)])
    lines = drawn(camera, "horizon", far[:1], far[1:])
    assert np.degrees(line_turns(camera, lines))[0] < 1e-3
    focal = float(camera.lens.params[0])
    low = lines.replace(end=lines.end + np.array([0.0, 10.0]))
    assert np.degrees(line_turns(camera, low))[0] == pytest.approx(np.degrees(10.0 / focal), rel=0.3)


def test_no_lines_have_no_angles(camera):
    assert line_turns(camera, ImageLines()).shape == (0,)
