"""Lenses: OpenCV says where a point lands, central differences say how it moves, and no pixel is made up."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from outside import opencv

from geoloc.errors import GeometryError, InputError
from geoloc.scene.distortion import RETURN_TOLERANCE
from geoloc.scene.lenses import LENSES, Fisheye, Homography, Pinhole, RadialTangential

F = [1400.0, 1390.0, 955.5, 541.2]
D14 = [-0.28, 0.09, 1.1e-3, -0.7e-3, -0.01, 0.02, 0.005, -0.001, 4e-4, -2e-4, 3e-4, 1e-4, 0.02, -0.015]
FISHEYE = [620.0, 615.0, 960.0, 720.0, 0.03, -0.012, 0.002, -0.0004]
LENS_OF = {
    "pinhole": Pinhole(np.array(F)),
    **{f"radial_tangential_{n}": RadialTangential(np.array(F + D14[:n])) for n in (4, 5, 8, 12, 14)},
    "fisheye": Fisheye(np.array(FISHEYE)),
}
lens_of = pytest.mark.parametrize("lens", LENS_OF.values(), ids=LENS_OF.keys())


def points_in_field(lens, rng, n=500, share=0.95):
    """Points (n, 3) m at directions up to `share` of the field, at most 65 degrees (fisheye: 100)."""
    fisheye = isinstance(lens, Fisheye)
    widest = min(lens.limit, np.radians(100)) if fisheye else min(np.arctan(lens.limit), np.radians(65))
    angle = share * widest * np.sqrt(rng.uniform(0, 1, n))
    turn = rng.uniform(0, 2 * np.pi, n)
    ray = [np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)]
    return np.stack(ray, axis=-1) * rng.uniform(2, 80, (n, 1))


def opencv_pixels(lens, points):
    cv2 = opencv()
    fx, fy, cx, cy = lens.params[:4]
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    zero = np.zeros(3)
    if isinstance(lens, Fisheye):
        return cv2.fisheye.projectPoints(points[None], zero, zero, matrix, lens.params[4:])[0].reshape(-1, 2)
    return cv2.projectPoints(points, zero, zero, matrix, lens.params[4:])[0].reshape(-1, 2)


@lens_of
def test_points_land_where_opencv_puts_them(lens, rng):
    points = points_in_field(lens, rng)
    points = points[points[:, 2] > 0.05 * np.linalg.norm(points, axis=1)]  # OpenCV's fisheye ends at 90°
    # measured 2e-12 px
    np.testing.assert_allclose(lens.project(points), opencv_pixels(lens, points), atol=1e-7)


@lens_of
def test_unprojected_pixels_point_back_to_their_points(lens, rng):
    points = points_in_field(lens, rng)
    rays = lens.unproject(lens.project(points))
    np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1.0, atol=1e-12)
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    np.testing.assert_allclose(rays, directions, atol=1e-9)  # rad; measured 1e-12


@lens_of
def test_no_point_of_the_field_is_refused_up_to_its_very_edge(lens, rng):
    points = points_in_field(lens, rng, n=2000, share=0.9999)
    rays = lens.unproject(lens.project(points))
    directions = points / np.linalg.norm(points, axis=1, keepdims=True)
    # at the edge a pixel says little about its direction: its slope is nearly zero
    np.testing.assert_allclose(rays, directions, atol=1e-4)


@lens_of
def test_jacobians_agree_with_central_differences(lens, rng):
    points = points_in_field(lens, rng, n=60, share=0.9)
    pixels, by_point, by_param = lens.jacobians(points)
    np.testing.assert_allclose(pixels, lens.project(points), atol=1e-9)
    step = 1e-5
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        numeric = (lens.jacobians(points + shift)[0] - lens.jacobians(points - shift)[0]) / (2 * step)
        np.testing.assert_allclose(by_point[:, :, axis], numeric, atol=1e-3, rtol=1e-5)
    for i, value in enumerate(lens.params):
        step = 1e-6 * max(abs(value), 1e-2)
        change = step * np.eye(len(lens.params))[i]
        more, less = type(lens)(lens.params + change), type(lens)(lens.params - change)
        numeric = (more.jacobians(points)[0] - less.jacobians(points)[0]) / (2 * step)
        np.testing.assert_allclose(by_param[:, :, i], numeric, atol=1e-2, rtol=1e-5)


@lens_of
def test_the_optical_axis_itself_is_not_singular(lens):
    axis = np.array([[0.0, 0.0, 5.0]])
    pixels, by_point, by_param = lens.jacobians(axis)
    assert np.isfinite(by_point).all()
    assert np.isfinite(by_param).all()
    np.testing.assert_allclose(lens.unproject(lens.project(axis)), [[0, 0, 1]], atol=1e-12)
    np.testing.assert_allclose(pixels, lens.project(axis))


@lens_of
def test_points_behind_the_camera_have_no_pixel(lens):
    behind = np.array([[0.1, 0.2, -5.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [np.nan, 0, 5]])
    if isinstance(lens, Fisheye):
        behind = np.array([[0.01, 0.0, -5.0], [np.nan, 0, 5]])  # it sees up to its own limit, past 90 degrees
    assert np.isnan(lens.project(behind)).all()


@lens_of
def test_empty_input_gives_empty_output(lens):
    assert lens.project(np.zeros((0, 3))).shape == (0, 2)
    assert lens.unproject(np.zeros((0, 2))).shape == (0, 3)
    assert lens.jacobians(np.zeros((0, 3)))[2].shape == (0, 2, len(lens.params))


@lens_of
def test_infinite_and_nan_pixels_give_no_ray_and_harm_no_other(lens):
    good = np.array([[900.0, 500.0], [300.0, 200.0]])
    bad = np.array([[np.nan, 1.0], [np.inf, 4.0], [1e300, -1e300]])
    rays = lens.unproject(np.concatenate([bad[:2], good, bad[2:]]))
    assert np.isnan(rays[:2]).all()
    np.testing.assert_array_equal(rays[2:4], lens.unproject(good))


def test_a_wide_lens_refuses_pixels_beyond_its_field():
    lens = RadialTangential(np.array([1000.0, 1000, 960, 540, -0.3, 0.0, 0, 0]))
    # r (1 - 0.3 r²) has its peak at r = 1 / sqrt(0.9), where it is 0.7027 focal lengths
    assert lens.limit == pytest.approx(1 / np.sqrt(0.9), rel=1e-12)
    rays = lens.unproject(np.array([[960 + 702.7, 540.0], [960 + 702.8, 540.0], [960 + 5000, 540.0]]))
    assert np.isfinite(rays[0]).all()
    assert np.isnan(rays[1:]).all()
    # a point past the peak would land on the pixel of another inside it
    assert np.isnan(lens.project(np.array([[1.1, 0.0, 1.0]]))).all()


def test_tangential_terms_shrink_the_field_where_they_fold_it():
    radial = RadialTangential(np.array([1000.0, 1000, 960, 540, -0.3, 0.0, 0, 0]))
    skewed = RadialTangential(np.array([1000.0, 1000, 960, 540, -0.3, 0.0, 0.02, 0.02]))
    assert 0.7 < skewed.limit < radial.limit
    turn = np.linspace(0, 2 * np.pi, 100)
    edge = 0.999 * skewed.limit * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    _, by_point, _ = skewed.jacobians(np.column_stack([edge, np.ones(100)]))
    assert (np.linalg.det(by_point[:, :, :2]) > 0).all()


def test_real_models_refuse_what_they_cannot_undo(recording):
    """Several MEVA models stop being invertible outside the fitted field (its README's warning)."""
    models = json.loads((recording("meva") / "calibration" / "cameras_new.json").read_text())["cameras"]
    refused, ghosts = [], []
    for model in models:
        (fx, _, cx), (_, fy, cy), _ = model["K"]
        lens = RadialTangential(np.array([fx, fy, cx, cy, *model["distortion"]]))
        u, v = np.meshgrid(np.linspace(0, model["width"] - 1, 49), np.linspace(0, model["height"] - 1, 28))
        pixels = np.stack([u.ravel(), v.ravel()], axis=-1)
        rays = lens.unproject(pixels)
        known = np.isfinite(rays[:, 0])
        back = lens.project(rays[known])
        # what is answered returns to its own pixel, to 1e-9 focal lengths; the rest is refused
        assert np.abs(back - pixels[known]).max() <= 2 * RETURN_TOLERANCE * max(fx, fy)
        refused.append(1 - known.mean())
        # past the fold the bare equations bring points that are out of view back into the image
        ray = np.column_stack([np.tan(np.linspace(0.05, 1.4, 400)), np.zeros(400), np.ones(400)])
        bare = opencv_pixels(lens, ray)[:, 0]
        folded = np.isnan(lens.project(ray)[:, 0])
        ghosts.append(((bare > 0) & (bare < model["width"] - 1) & folded).any())
        assert (np.diff(bare[~folded]) > 0).all()
    assert 0 < max(refused) < 0.05  # measured: one model (G638) refuses 1.2 % of its image
    assert sum(ghosts) >= 5  # measured: 9 of 29 models would show points that are out of view


def test_one_lens_a_row_equals_one_lens_for_all(rng):
    from geoloc.scene.distortion import undistort_rows
    from geoloc.scene.lenses import fisheye_rays

    lenses = [RadialTangential(np.array([*F, *D14[:8]]) * (1 + 0.02 * i)) for i in range(4)]
    pixels = rng.uniform((0, 0), (1920, 1080), (40, 2))
    which = rng.integers(0, 4, 40)
    params = np.array([lens.params for lens in lenses])[which]
    limit = np.array([lens.limit for lens in lenses])[which]
    rays = undistort_rows(params, limit, pixels)
    for i, lens in enumerate(lenses):
        np.testing.assert_allclose(rays[which == i], lens.unproject(pixels[which == i]), atol=1e-9)
    eye = LENS_OF["fisheye"]
    rows = fisheye_rays(np.tile(eye.params, (40, 1)), np.full(40, eye.limit), pixels)
    np.testing.assert_allclose(rows, eye.unproject(pixels), atol=1e-12)


radial_lenses = st.builds(
    lambda k1, k2, p1, p2, k3: RadialTangential(np.array([1000.0, 1000, 960, 540, k1, k2, p1, p2, k3])),
    *(st.floats(-limit, limit) for limit in (0.5, 0.3, 5e-3, 5e-3, 0.1)),
)
fisheye_lenses = st.builds(
    lambda *k: Fisheye(np.array([600.0, 600, 960, 540, *k])),
    *(st.floats(-limit, limit) for limit in (0.1, 0.05, 0.02, 0.005)),
)
directions = st.tuples(st.floats(0.0, 0.97), st.floats(0.0, 2 * np.pi))


@settings(max_examples=300, deadline=None)
@given(st.one_of(radial_lenses, fisheye_lenses), directions)
def test_any_direction_of_any_field_comes_back(lens, direction):
    share, turn = direction
    widest = min(lens.limit, 2.0) if isinstance(lens, Fisheye) else np.arctan(min(lens.limit, 3.0))
    angle = share * widest
    ray = np.array([[np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)]])
    np.testing.assert_allclose(lens.unproject(lens.project(10 * ray)), ray, atol=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.one_of(radial_lenses, fisheye_lenses), st.floats(-4000, 4000), st.floats(-4000, 4000))
def test_any_pixel_is_refused_or_returns_to_itself(lens, u, v):
    pixel = np.array([[u, v]])
    back = lens.project(lens.unproject(pixel))
    assert np.isnan(back).all() or np.abs(back - pixel).max() < 1e-5


def test_a_homography_refuses_rays_and_poses_by_name():
    lens = Homography(np.array([1.0, 0, 0, 0, 1, 0, 0, 0, 1]))
    for call in (lens.project, lens.unproject, lens.jacobians):
        with pytest.raises(GeometryError, match="homography"):
            call(np.zeros((1, 3)))
    with pytest.raises(InputError, match="singular"):
        Homography(np.ones(9))


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("pinhole", [*F, 0.1], "5 parameters; it takes 4"),
        ("radial_tangential", [*F, 0.1, 0.1, 0.1], "7 parameters; it takes 8, 9, 12, 16, 18"),
        ("fisheye", F, "4 parameters; it takes 8"),
        ("pinhole", [1400.0, -1400.0, 0, 0], "must be positive"),
        ("pinhole", [1400.0, np.nan, 0, 0], "not all finite"),
    ],
)
def test_impossible_parameters_are_refused(model, params, message):
    with pytest.raises(InputError, match=message):
        LENSES[model](np.array(params))


def test_parameters_cannot_be_changed_behind_the_cached_limit():
    given_params = np.array([*F, -0.3, 0.0, 0.0, 0.0])
    lens = RadialTangential(given_params)
    given_params[4] = 5.0
    assert lens.params[4] == -0.3
    with pytest.raises(ValueError, match="read-only"):
        lens.params[4] = 0.0
