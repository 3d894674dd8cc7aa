"""Errors of a camera's calibration, learned in its modes from what cameras disagree on."""

from dataclasses import replace

import numpy as np
from sites import camera, feet_seen

from geoloc.geometry.se3 import perturb
from geoloc.pipeline.association import Groups
from geoloc.pipeline.footprint import Footprint
from geoloc.pipeline.projection import project_to_ground
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Tracks

TILT = 0.006  # rad, that the camera which looks far is off; its sigma is 0.004
UNSURE, SURE = (np.diag([tilt, 0.0005, 0.0005, 0.01, 0.01, 0.01]) ** 2 for tilt in (0.004, 1e-5))


def two_cameras() -> Site:
    """One looks along 60 m of ground, and another, which is right, stands above the first 25 m of it."""
    far = camera("far", (0, 0, 6), (25, 0, 0), calib_cov=UNSURE)
    near = camera("near", (15, -9, 9), (15, 0, 0), calib_cov=SURE)
    return Site("lane", (far, near), SiteMap((Level("ground", (Surface(),)),)))


def seen_by_both(site: Site, true: Site, distances: np.ndarray, rng: np.random.Generator, time: float = 0.0):
    """Points as the site believes, and where they truly are."""
    xyz = np.column_stack([distances, rng.uniform(-1, 1, len(distances)), np.zeros(len(distances))])
    detections = feet_seen(true, xyz, time, rng, sigma_px=0.5)
    points, dropped = project_to_ground(detections, site)
    assert not len(dropped)
    person = np.concatenate([np.flatnonzero(one.inside(one.project(xyz))) for one in true.cameras])
    return points, person, xyz[person, :2]


def test_modes_carry_what_the_calibration_leaves_open(rng):
    site = two_cameras()
    points, _, _ = seen_by_both(site, site, np.linspace(8, 55, 30), rng)
    by_modes = points.modes @ points.modes.transpose(0, 2, 1)
    left = np.abs(points.bias_cov - by_modes).max(axis=(1, 2)) / np.abs(points.bias_cov).max(axis=(1, 2))
    assert left.max() < 0.08  # 4 modes of 6 parameters: 4.7 % is left at worst


def test_a_tilt_learned_nearby_puts_right_what_is_far(rng):
    """Both cameras see people within 25 m; beyond, the one that is tilted is alone and 5 m off."""
    site = two_cameras()
    off = replace(site.cameras[0], cam_from_world=perturb(site.cameras[0].cam_from_world, np.r_[TILT, np.zeros(5)]))
    true = site.with_cameras([off, site.cameras[1]])
    footprint = Footprint(site)
    for k in range(60):
        points, person, _ = seen_by_both(site, true, rng.uniform(9, 22, 4), rng, float(k))
        footprint.correct(points, np.zeros((len(points), 2, 2)))
        groups = Groups(np.unique(person, return_inverse=True)[1], np.full(len(np.unique(person)), -1))
        footprint.learn(points, groups, Tracks(), np.arange(len(points)))
    points, _, truth = seen_by_both(site, true, np.array([50.0, 55.0]), rng)
    before = np.linalg.norm(points.xy - truth, axis=1)
    corrected = footprint.correct(points, np.zeros((len(points), 2, 2)))
    after = np.linalg.norm(corrected.xy - truth, axis=1)
    sigma = np.sqrt(np.linalg.eigvalsh(corrected.bias_cov)[:, 1])
    assert before.min() > 2.0
    assert (after < 0.35 * before).all()
    assert (after < 3.0 * sigma).all()


def test_an_hour_of_standing_objects_teaches_no_more_than_a_minute(rng):
    """What is odd about each body stays as long as it stands there: it must not be taken for the camera's error."""
    site = two_cameras()
    points, body, _ = seen_by_both(site, site, rng.uniform(9, 22, 6), rng)
    odd = 0.4 * rng.standard_normal((len(points), 2))  # m, of each body in each camera
    group = np.unique(body, return_inverse=True)[1]
    there = Tracks(track=np.arange(6) + 1, velocity=np.zeros((6, 2)))
    footprint, learned = Footprint(site), []
    for k in range(3600):
        noisy = points.replace(
            xy=points.xy + odd + 0.02 * rng.standard_normal(odd.shape), time=np.full(len(points), float(k))
        )
        footprint.correct(noisy, np.tile(0.16 * np.eye(2), (len(points), 1, 1)))
        footprint.learn(noisy, Groups(group, np.arange(6)), there, np.arange(len(points)))
        if k in (60, 3599):
            learned.append([part[0] for part in footprint.errors_of_cameras()])
    (minute, cov, before), (hour, cov_hour, _) = learned
    assert (np.sqrt(np.diag(cov_hour)) > 0.9 * np.sqrt(np.diag(cov))).all()
    assert (np.abs(hour - minute) < 0.3 * before).all()
