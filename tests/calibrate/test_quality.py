"""Leaving a mark out equals refitting, the next mark gains what it promises, weak geometry is told."""

from dataclasses import replace

import numpy as np
import pytest
from shapely import LineString

from geoloc.calibrate.planner import next_mark
from geoloc.calibrate.quality import GroundSight, ground_sight, leave_one_out, predicted_cov, words_on_geometry
from geoloc.geometry.se3 import look_at, perturb
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.occlusion import Occlusion
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, SiteMap, Surface

LENS = Pinhole(np.array([1200.0, 1200.0, 959.5, 539.5]))
CENTRE = np.array([0.0, 0.0, 6.0])


def fitted(points: np.ndarray, pixels: np.ndarray, sigma: float = 1.0) -> Camera:
    """The least squares pose, with its covariance."""
    camera = Camera("gate", LENS, (1920, 1080), look_at(CENTRE, np.array([20.0, 0.0, 0.0])))
    for _ in range(8):
        found, _, by_calib = camera.jacobians(points)
        rows = by_calib.reshape(-1, 6)
        step = np.linalg.lstsq(rows, (pixels - found).ravel(), rcond=None)[0]
        camera = replace(camera, cam_from_world=perturb(camera.cam_from_world, step))
    rows = camera.jacobians(points)[2].reshape(-1, 6)
    return replace(camera, calib_cov=sigma**2 * np.linalg.inv(rows.T @ rows))


def marked(rng: np.random.Generator, n: int = 9, sigma: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Points on and over the ground in view, and where they were marked."""
    true = Camera("gate", LENS, (1920, 1080), look_at(CENTRE, np.array([20.0, 0.0, 0.0])))
    points = np.column_stack([rng.uniform(10, 45, n), rng.uniform(-8, 8, n), rng.uniform(0, 2.5, n)])
    return points, true.project(points) + rng.normal(0, sigma, (n, 2))


def site_of(camera: Camera, points: np.ndarray) -> Site:
    controls = tuple(ControlPoint(f"p{i}", tuple(xyz), (0.0, 0.0, 0.0)) for i, xyz in enumerate(points.tolist()))
    return Site("yard", (camera,), SiteMap((Level("ground", (Surface(),)),), control_points=controls))


def test_leaving_a_mark_out_equals_fitting_without_it(rng: np.random.Generator) -> None:
    points, pixels = marked(rng)
    camera = fitted(points, pixels)
    residual = pixels - camera.project(points)
    left_out, on_map = leave_one_out(camera, points, np.zeros((9, 3, 3)), residual, np.ones(9))
    for i in range(9):
        rest = np.arange(9) != i
        alone = fitted(points[rest], pixels[rest])
        np.testing.assert_allclose(left_out[i], pixels[i] - alone.project(points[i : i + 1])[0], atol=0.1)  # px
        assert np.linalg.norm(left_out[i]) > np.linalg.norm(residual[i])
        assert np.linalg.norm(on_map[i]) < 1.0  # m


def test_ground_sigmas_are_honest(rng: np.random.Generator) -> None:
    points, _ = marked(rng, 12)
    true = fitted(points, Camera("g", LENS, (1920, 1080), look_at(CENTRE, np.array([20.0, 0, 0]))).project(points))
    sight = ground_sight(site_of(true, points), "gate", step_px=240.0)
    errors = []
    for _ in range(400):
        camera = fitted(points, true.project(points) + rng.normal(0, 1.0, (12, 2)))
        rays = camera.unproject(sight.pixel)
        xy = camera.centre_world[:2] - camera.centre_world[2] * rays[:, :2] / rays[:, 2:]
        errors.append(xy - sight.xyz[:, :2])
    near = np.linalg.norm(sight.xyz[:, :2], axis=1) < 60
    spread = np.std(errors, axis=0)[near]
    stated = np.sqrt(sight.cov(true.calib_cov)[:, [0, 1], [0, 1]])[near]
    np.testing.assert_allclose(spread, stated, rtol=0.15)


def test_the_next_mark_gains_what_it_promises(rng: np.random.Generator) -> None:
    points, pixels = marked(rng, 14, 0.0)
    few = fitted(points[:5], pixels[:5])
    site = site_of(few, points)
    sight = ground_sight(site, "gate", step_px=96.0)
    taken = {f"p{i}" for i in range(5)}
    found = {mark.point != "": mark for mark in next_mark(few, sight, site.site_map, taken)}
    best = found[True]
    assert best.point not in taken
    rms = {}
    for i in range(5, 14):
        rows = [0, 1, 2, 3, 4, i]
        camera = fitted(points[rows], pixels[rows])
        rms[f"p{i}"] = float(np.sqrt(np.trace(sight.cov(camera.calib_cov), axis1=1, axis2=2).mean()))
    assert best.point == min(rms, key=lambda name: rms[name])
    assert best.sigma_after == pytest.approx(rms[best.point], rel=0.02)
    assert best.sigma_after < best.sigma_before
    assert "mark point" in str(best)
    assert "a new point of the map" in str(found[False])


def test_points_behind_a_wall_or_at_the_images_rim_are_not_proposed(rng: np.random.Generator) -> None:
    points, pixels = marked(rng, 14, 0.0)
    few = fitted(points[:5], pixels[:5])
    site = site_of(few, points)
    sight = ground_sight(site, "gate", step_px=96.0)
    taken = {f"p{i}" for i in range(5)}
    best = next(mark for mark in next_mark(few, sight, site.site_map, taken) if mark.point)
    x, y, _ = best.xyz
    wall = Occluder("wall", "ground", LineString([(0.8 * x, 0.8 * y - 1.0), (0.8 * x, 0.8 * y + 1.0)]), 5.0)
    walled = replace(site.site_map, occluders=(wall,))
    other = next_mark(few, sight, walled, taken)
    assert best.point not in {mark.point for mark in other}
    for mark in other:
        assert not Occlusion(walled)(few.centre_world, np.add([mark.xyz], [0, 0, 0.02]))[0]
        assert 38 <= mark.pixel[0] <= 1881
        assert 38 <= mark.pixel[1] <= 1041


def test_weak_geometry_is_told_in_words(rng: np.random.Generator) -> None:
    camera = fitted(*marked(rng))
    sight = ground_sight(site_of(camera, np.zeros((0, 3))), "gate")
    line = np.column_stack([np.linspace(12, 30, 6), np.full(6, 3.0), np.zeros(6)])
    said = " ".join(words_on_geometry(camera, line, camera.project(line), sight))
    assert "of one line" in said
    near = np.column_stack([rng.uniform(11, 13, 6), rng.uniform(-1, 1, 6), rng.uniform(0, 1, 6)])
    said = " ".join(words_on_geometry(camera, near, camera.project(near), sight))
    assert "% of the image" in said
    assert "beyond its farthest mark" in said
    assert "no marks" in words_on_geometry(camera, np.zeros((0, 3)), np.zeros((0, 2)), sight)[0]
    points, pixels = marked(rng, 20)
    assert words_on_geometry(camera, points, pixels, sight) == []


def test_a_mark_to_come_has_the_spread_that_is_predicted(rng: np.random.Generator) -> None:
    points, _ = marked(rng, 8, 0.0)
    true = Camera("g", LENS, (1920, 1080), look_at(CENTRE, np.array([20.0, 0, 0])))
    new = np.array([[25.0, -6.0, 0.0]])
    values = []
    for _ in range(500):
        camera = fitted(points, true.project(points) + rng.normal(0, 1, (8, 2)))
        error = true.project(new)[0] + rng.normal(0, 1, 2) - camera.project(new)[0]
        cov = predicted_cov(camera, new, np.zeros((1, 3, 3)), 1.0)[0]
        values.append(error @ np.linalg.solve(cov, error))
    assert np.mean(values) == pytest.approx(2.0, abs=0.3)


def test_a_camera_that_sees_no_ground_has_no_next_mark(rng: np.random.Generator) -> None:
    camera = fitted(*marked(rng))
    nothing = GroundSight(np.empty((0, 2)), np.empty((0, 3)), np.empty(0, dtype=int), np.empty((0, 2, 6)))
    assert next_mark(camera, nothing, SiteMap(), set()) == ()
