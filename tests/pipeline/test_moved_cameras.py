"""Which cameras have moved, told by the disagreement of their tracks alone."""

from dataclasses import replace

import numpy as np
from sites import square, walk

from geoloc.geometry.se3 import perturb
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.moved_cameras import moved_cameras
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections


def after_walks(site: Site, truth: Site, rng: np.random.Generator) -> Localizer:
    """A localizer that believes in `site` after three people walked about in `truth`."""
    localizer = Localizer(site)
    start, velocity = np.array([[-6.0, -3.0], [5.0, 2.0], [0.0, 6.0]]), np.array([[0.5, 0.2], [-0.5, 0.1], [0.1, -0.6]])
    seen: Detections = walk(truth, start, velocity, np.arange(0.0, 20.0, 0.5), rng)
    for time in np.unique(seen.time):
        localizer.step(seen.take(seen.time == time))
    return localizer


def test_a_camera_that_turned_is_named_and_the_others_are_not(rng: np.random.Generator) -> None:
    site = square()
    turned = [
        replace(camera, cam_from_world=perturb(camera.cam_from_world, np.array([0.02, 0.0, 0, 0, 0, 0])))
        for camera in site.cameras
        if camera.name == "B"
    ]
    footprint = after_walks(site, site.with_cameras(turned), rng).footprint
    found = moved_cameras(site, footprint)
    assert (found[0].camera, found[0].moved) == ("B", True)
    assert not any(row.moved for row in found[1:])
    assert found[0].chance < 1e-6  # measured 4e-9 for 1.1 deg, of which the calibration allows 0.06


def test_cameras_that_stand_still_are_not_named(rng: np.random.Generator) -> None:
    site = square()
    found = moved_cameras(site, after_walks(site, site, rng).footprint)
    assert [row.camera for row in found if row.moved] == []
    assert all(row.judged for row in found)


def test_where_nothing_was_learned_nothing_is_said() -> None:
    site = square()
    assert not any(row.judged or row.moved for row in moved_cameras(site, Localizer(site).footprint))
