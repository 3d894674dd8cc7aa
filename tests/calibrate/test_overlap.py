from dataclasses import replace

import numpy as np
import pytest
from ground_stills import SITE_MAP, off, pair, render, texture

from geoloc.calibrate.overlap import OverlapOptions, TiePoints, match_on_ground
from geoloc.calibrate.overlap_direct import register_on_ground
from geoloc.errors import GeometryError, InputError
from geoloc.scene.camera import Camera
from geoloc.scene.ground import intersect_ground
from geoloc.synthetic.world import make_camera

SMALL = OverlapOptions(max_side=600)


@pytest.fixture(scope="module")
def stills():
    rng = np.random.default_rng(7)
    floor = texture(rng)
    return tuple(render(camera, floor, rng, gain) for camera, gain in zip(pair(), (1.0, 0.8), strict=True))


def ground(camera: Camera, pixels: np.ndarray) -> np.ndarray:
    return intersect_ground(SITE_MAP, camera.centre_world[None], camera.unproject(pixels)).xyz


def apart(cameras, ties: TiePoints) -> np.ndarray:
    """How far apart (N, 2) m the cameras put the ties on the ground."""
    n = len(ties.marks) // 2
    return (ground(cameras[0], ties.marks.pixel[:n]) - ground(cameras[1], ties.marks.pixel[n:]))[:, :2]


def nees_of(cameras, ties: TiePoints) -> float:
    n, cov = len(ties.marks) // 2, 0.0
    for camera, rows in zip(cameras, (slice(None, n), slice(n, None)), strict=True):
        _, by_world, _ = camera.jacobians(ground(camera, ties.marks.pixel[rows]))
        back = np.linalg.inv(by_world[:, :, :2])
        cov = cov + back @ np.swapaxes(back, 1, 2) * ties.marks.sigma[rows, None, None] ** 2
    error = apart(cameras, ties)
    return float(np.einsum("ni,nij,nj->n", error, np.linalg.inv(cov), error).mean())


def true_shift(loose, at: np.ndarray) -> np.ndarray:
    seen = ground(pair()[0], loose[0].project(np.array([[*at, 0.0]])))
    return at - ground(loose[1], pair()[1].project(seen))[0, :2]


def test_loose_cameras_get_ties_that_true_cameras_agree_on(stills, rng):
    loose = tuple(off(camera, rng) for camera in pair())
    ties = match_on_ground(loose, stills, SITE_MAP, "ground", SMALL)
    before = np.median(np.linalg.norm(apart(loose, ties), axis=1))
    after = np.median(np.linalg.norm(apart(pair(), ties), axis=1))
    assert len(ties.on_ground) >= 50
    assert after < 0.006  # 0.2 cm; the loose cameras put them 9 to 11 cm apart
    assert after < 0.2 * before
    assert 0.5 < nees_of(pair(), ties) < 3.5  # 2 expected; 1.1 measured
    np.testing.assert_allclose(ties.shift, true_shift(loose, ties.shift_at), atol=0.004)
    assert set(ties.marks.point.tolist()) == {point.name for point in ties.on_ground}


def test_direct_registration_finds_the_same_shift(stills, rng):
    pytest.importorskip("torch", reason="no torch; pip install 'geoloc[torch]'")
    pytest.importorskip("kornia", reason="no kornia; pip install 'geoloc[torch]'")
    loose = tuple(off(camera, rng) for camera in pair())
    found = register_on_ground(loose, stills, SITE_MAP, "ground", SMALL)
    error = found.shift - true_shift(loose, found.shift_at)
    assert np.linalg.norm(error) < 0.003  # 0.2 to 0.3 mm at full size
    assert error @ np.linalg.solve(found.cov, error) < 13.8  # 99.9 % of two degrees of freedom
    assert np.median(np.linalg.norm(apart(pair(), found.ties), axis=1)) < 0.003


def test_bare_ground_and_cameras_that_share_none_are_refused(stills, rng):
    bare = tuple(np.clip(120 + rng.normal(size=image.shape), 0, 255).astype(np.uint8) for image in stills)
    with pytest.raises(GeometryError, match="bare"):
        match_on_ground(pair(), bare, SITE_MAP, "ground", SMALL)
    noisy = tuple(rng.integers(0, 255, image.shape).astype(np.uint8) for image in stills)
    with pytest.raises(GeometryError, match="matches on the ground agree"):
        match_on_ground(pair(), noisy, SITE_MAP, "ground", SMALL)
    away = make_camera("c", (60.0, 60.0, 5.0), (66.0, 66.0, 0.0))
    with pytest.raises(GeometryError, match="share no ground"):
        match_on_ground((pair()[0], away), stills, SITE_MAP, "ground", SMALL)
    with pytest.raises(InputError, match="its still has"):
        match_on_ground(pair(), (stills[0][::2], stills[1]), SITE_MAP, "ground", SMALL)


def test_a_still_of_another_place_is_not_matched(stills, rng):
    other = render(pair()[1], texture(np.random.default_rng(99)), rng)
    with pytest.raises(GeometryError, match="agree"):
        match_on_ground(pair(), (stills[0], other), SITE_MAP, "ground", SMALL)


def test_a_camera_that_is_known_to_be_far_off_is_still_matched(stills):
    shifted = replace(pair()[1], name="b")
    options = replace(SMALL, off_by=1.0)
    ties = match_on_ground((pair()[0], shifted), stills, SITE_MAP, "ground", options)
    np.testing.assert_allclose(ties.shift, 0.0, atol=0.004)
