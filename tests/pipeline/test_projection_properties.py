"""Whatever the camera, its lens and the ground: what is seen comes back, with a covariance that holds."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from shapely import box
from sites import DISTORTED, FISHEYE, PINHOLE, camera

from geoloc.pipeline.projection import ProjectionOptions, project_to_ground
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections

EVERYTHING = ProjectionOptions(max_sigma=1e6)
PLANES = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-3, 3))
PLACES = st.tuples(st.floats(-20, 20), st.floats(-20, 20))
LENSES = st.sampled_from([PINHOLE, DISTORTED, FISHEYE])


def feet_of(pixels: np.ndarray, name: str = "A") -> Detections:
    n = len(pixels)
    boxes = np.concatenate([pixels - np.array([10, 50]), pixels + np.array([10, 0])], axis=1)
    cov = np.tile(np.eye(2), (n, 1, 1))
    return Detections(id=np.arange(n), time=np.zeros(n), camera=np.full(n, name), box=boxes, foot=pixels, foot_cov=cov)


@settings(max_examples=150, deadline=None)
@given(LENSES, PLANES, PLACES, PLACES, PLACES, st.floats(3, 30))
@example(FISHEYE, (0.0, 0.0, 0.0), (0.0, 0.0), (0.0, 7.0), (0.0, 0.0), 19.0)  # right under the camera
def test_a_point_of_the_ground_that_is_seen_comes_back(lens, plane, at, target, point, height):
    surface = Surface(plane)
    at, target, xy = (np.array(place) for place in (at, target, point))
    assume(np.linalg.norm(at - target) > 1.0)
    here, there, truth = (
        np.append(place, surface.z_at(place) + up) for place, up in ((at, height), (target, 0), (xy, 0))
    )
    one = camera("A", tuple(here), tuple(there), lens)
    site = Site("s", (one,), SiteMap((Level("ground", (surface,)),)))
    pixel = one.project(truth[None])
    assume(one.inside(pixel)[0])
    points, dropped = project_to_ground(feet_of(pixel), site, EVERYTHING)
    assert not len(dropped)
    distance = np.linalg.norm(truth - here)
    np.testing.assert_allclose(points.xy[0], xy, atol=1e-6 * distance**2)  # 1e-9 px of a grazing ray are micrometres
    for cov in (points.cov[0], points.bias_cov[0], points.cov[0] + points.bias_cov[0]):
        assert np.linalg.eigvalsh(cov)[0] > 0
    # away from the camera, on the map; any direction where the point lies right under it
    assert np.linalg.norm(points.away[0]) == pytest.approx(1.0)
    assert points.away[0] @ (xy - at) >= np.linalg.norm(xy - at) - 1e-6


@settings(max_examples=60, deadline=None)
@given(PLANES, st.floats(3, 30), st.floats(100, 1800), st.floats(100, 1000))
def test_covariances_of_a_foot_scale_with_the_pixels(plane, height, u, v):
    """cov is quadratic in the pixel's sigma, bias_cov does not know of it."""
    surface = Surface(plane, sigma_z=0.1)
    one = camera("A", (0.0, -15.0, height + plane[2] - 15 * plane[1]), (0.0, 0.0, plane[2]), DISTORTED)
    site = Site("s", (one,), SiteMap((Level("ground", (surface,)),)))
    feet = feet_of(np.array([[u, v]]))
    sharp, _ = project_to_ground(feet, site, EVERYTHING)
    assume(len(sharp))
    blunt, _ = project_to_ground(feet.replace(foot_cov=9.0 * feet.foot_cov), site, EVERYTHING)
    np.testing.assert_allclose(blunt.cov, 9.0 * sharp.cov, rtol=1e-9)
    np.testing.assert_allclose(blunt.bias_cov, sharp.bias_cov, rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-300, 2300), st.floats(-300, 1400)), min_size=1, max_size=12))
def test_every_row_is_either_a_point_on_its_level_or_dropped(pixels):
    upper = Surface((0.05, 0.0, 3.0), box(-5, -5, 5, 5))
    lower = Surface((0.0, 0.02, 0.0), box(-20, -20, 20, 20))
    site_map = SiteMap((Level("upper", (upper,)), Level("lower", (lower,))))
    one = camera("A", (0.0, -12.0, 9.0), (0.0, 0.0, 2.0), FISHEYE)
    points, dropped = project_to_ground(feet_of(np.array(pixels)), Site("s", (one,), site_map), EVERYTHING)
    assert sorted([*points.detection.tolist(), *dropped.detection.tolist()]) == list(range(len(pixels)))
    for level, surface in (("upper", upper), ("lower", lower)):
        xy = points.xy[points.level == level]
        assert surface.holds(xy).all()
        seen = one.project(np.column_stack([xy, surface.z_at(xy)]))
        np.testing.assert_allclose(seen, np.array(pixels)[points.detection[points.level == level]], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(PLACES, st.floats(3, 30), st.tuples(st.floats(0, 1919), st.floats(0, 1079)))
def test_a_homography_answers_as_the_pinhole_camera_that_it_is_of(at, height, pixel):
    assume(np.linalg.norm(at) > 1.0)
    whole = camera("A", (*at, height), (0.0, 0.0, 0.0), PINHOLE)
    fx, fy, cx, cy = PINHOLE.params
    pose = whole.cam_from_world
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    matrix = matrix @ np.column_stack([pose.rotation.as_matrix()[:, :2], pose.translation])
    flat = Camera("A", Homography(matrix.ravel()), (1920, 1080), homography_level="ground", homography_sigma_px=2.0)
    wanted, above = project_to_ground(feet_of(np.array([pixel])), Site("s", (whole,)), EVERYTHING)
    found, above_too = project_to_ground(feet_of(np.array([pixel])), Site("s", (flat,)), EVERYTHING)
    assert len(above) == len(above_too)
    np.testing.assert_allclose(found.xy, wanted.xy, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.cov, wanted.cov, rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(flat.level_xy(np.array([pixel]))[: len(found)], found.xy, rtol=1e-6, atol=1e-6)
