"""What another calibration changes is told in centimetres on the ground."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.calibrate.changes import changes, compare
from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.sitemap import Level, SiteMap, Surface

FLAT = SiteMap((Level("ground", (Surface(),)),))


def gate(height: float = 6.0) -> Camera:
    lens = Pinhole(np.array([1000.0, 1000.0, 959.5, 539.5]))
    return Camera("gate", lens, (1920, 1080), look_at(np.array([0.0, 0.0, height]), np.array([15.0, 0.0, 0.0])))


def test_a_camera_that_moved_along_the_ground_shifts_all_of_it_by_as_much() -> None:
    before = gate()
    pose = look_at(np.array([0.3, 0.0, 6.0]), np.array([15.3, 0.0, 0.0]))
    found = compare(before, replace(before, cam_from_world=pose), FLAT)
    assert found.moved_m == pytest.approx(0.3)
    assert found.turned_deg == pytest.approx(0.0, abs=1e-6)
    assert found.shift_median_m == pytest.approx(0.3, abs=1e-9)
    assert found.shift_p95_m == pytest.approx(0.3, abs=1e-9)
    assert "ground shifts 30.0 cm" in str(found)


def test_a_small_turn_shifts_far_ground_more() -> None:
    before = gate()
    turned = replace(before, cam_from_world=perturb(before.cam_from_world, np.array([np.radians(0.5), 0, 0, 0, 0, 0])))
    found = compare(before, turned, FLAT)
    assert found.turned_deg == pytest.approx(0.5)
    assert found.moved_m < 1e-9
    assert found.shift_p95_m > 3 * found.shift_median_m > 0.3


def test_new_and_gone_cameras_are_told() -> None:
    other = replace(gate(), name="hall")
    found = changes([gate(), other], [replace(gate(), name="door"), gate()], FLAT)
    assert {change.camera: change.state for change in found} == {"door": "new", "gate": "same", "hall": "gone"}
