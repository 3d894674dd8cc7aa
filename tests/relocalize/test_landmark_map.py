"""Landmark maps: places and noise that are honest, and files that come back or are refused."""

import io
from dataclasses import replace

import numpy as np
import pytest
from drawn_landmarks import FLOOR, LENS, PER_SCALE, cameras_of, draw_court, see

from geoloc.errors import GeometryError, InputError
from geoloc.features.local import LocalFeatures
from geoloc.metrics.consistency import consistency, nees
from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.tracks import chain, choose_pairs
from geoloc.scene.lenses import Pinhole


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(5)
    court, cameras = draw_court(rng), cameras_of(rng, 7)
    return court, build_landmarks([see(court, camera, rng) for camera in cameras], cameras)


def test_landmarks_are_where_their_covariances_say(drawn):
    court, landmarks = drawn
    apart = np.linalg.norm(landmarks.points[:, None] - court.points, axis=2)
    near = apart.argmin(axis=1)
    assert len(landmarks) > 300
    values = nees(landmarks.points - court.points[near], landmarks.point_cov)
    found = consistency(values[values < 40], 3)  # a chance match is no error of a place
    assert (values >= 40).mean() < 0.01
    assert 2.4 < found.mean < 4.0  # measured 3.6 beside 3: the place along the ray is not quite Gaussian


def test_the_noise_of_features_is_learned_with_its_growth(drawn):
    noise = drawn[1].noise
    assert noise.floor == pytest.approx(FLOOR, abs=0.08)  # measured 0.31
    assert noise.per_scale == pytest.approx(PER_SCALE, abs=0.03)
    assert noise.shared < 0.05  # these cameras are exact: nothing is shared


def test_a_map_comes_back_from_its_file_and_a_broken_one_is_refused(drawn, tmp_path):
    landmarks, path = replace(drawn[1], repeats=np.array([[3.5, 7.0, 1.0], [0.0, 0.0, 0.0]])), tmp_path / "m.npz"
    save_landmarks(landmarks, path)
    again = load_landmarks(path)
    for name in ("points", "image", "point", "pixels", "scale", "descriptors", "repeats"):
        np.testing.assert_array_equal(getattr(again, name), getattr(landmarks, name))
    np.testing.assert_allclose(again.point_cov, landmarks.point_cov, rtol=1e-6)
    assert [lens.params.tolist() for pair in again.lenses for lens in pair] == [
        lens.params.tolist() for pair in landmarks.lenses for lens in pair
    ]
    assert (again.names, again.noise, again.extractor) == (landmarks.names, landmarks.noise, "drawn")
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"not a map", b"\x89PNG\r\n" + whole[:50]):
        path.write_bytes(broken)
        with pytest.raises(InputError, match=r"m\.npz: not a landmark map"):
            load_landmarks(path)


def test_files_that_would_run_code_or_hold_other_things_are_refused(drawn, tmp_path):
    path, packed = tmp_path / "m.npz", io.BytesIO()
    np.savez(packed, points=np.array([{"a": 1}], dtype=object))
    path.write_bytes(packed.getvalue())
    with pytest.raises(InputError, match="not a landmark map"):
        load_landmarks(path)
    save_landmarks(drawn[1], path)
    arrays = dict(np.load(path))
    for name, value, said in (
        ("points", arrays["points"][:-5], "shape"),
        ("point", arrays["point"] + 10**6, "point is not one of"),
        ("points", arrays["points"] * np.nan, "NaN"),
        ("head", np.frombuffer(b'{"format": "other"}', np.uint8), "head"),
    ):
        packed = io.BytesIO()
        np.savez(packed, **{**arrays, name: value})
        path.write_bytes(packed.getvalue())
        with pytest.raises(InputError, match=said):
            load_landmarks(path)


def test_a_lens_that_several_images_share_is_put_right(drawn, rng):
    court, cameras = draw_court(rng, 800), cameras_of(rng, 7)
    features = [see(court, camera, rng) for camera in cameras]
    wrong = Pinhole(np.array([801.5, 801.5, 511.0, 384.0]))
    found = build_landmarks(features, [replace(camera, lens=wrong) for camera in cameras])
    lens = found.lens_as_found(wrong)
    np.testing.assert_allclose(lens.params[:4], LENS.params, atol=0.6)  # measured 0.3 px; as stated 1.5
    np.testing.assert_allclose(lens.params[4:], 0.0, atol=0.004)
    assert found.lens_as_found(LENS) is LENS
    for one in (replace(found, lenses=()), found):
        assert one.lens_as_found(drawn[1].cameras[0].lens) is drawn[1].cameras[0].lens


def test_a_map_forgets_an_image(drawn):
    landmarks = drawn[1]
    left = landmarks.without(["c3"])
    assert "c3" not in left.names
    assert 0 < len(left) < len(landmarks)
    assert left.n_views.min() >= 2
    with pytest.raises(InputError, match="unknown image 'c33'"):
        landmarks.without(["c33"])


def test_images_that_share_nothing_are_refused(rng):
    cameras = cameras_of(rng, 3)
    features = [see(draw_court(rng), camera, rng) for camera in cameras]
    with pytest.raises(GeometryError, match="landmarks: only"):
        build_landmarks(features, cameras)
    with pytest.raises(InputError, match="2 images with 3 cameras"):
        build_landmarks(features[:2], cameras)
    with pytest.raises(InputError, match="different extractors"):
        build_landmarks([replace(features[0], extractor="x"), *features[1:]], cameras)
    with pytest.raises(InputError, match="one name"):
        build_landmarks(features, [cameras[0]] * 3)


def test_a_track_never_holds_two_places_of_one_image(rng):
    def at(*pixels):
        n = len(pixels)
        one = np.ones(n, np.float32)
        return LocalFeatures(np.array(pixels, np.float32), one, one, one, np.zeros((n, 4), np.uint8), "x")

    features = [at((0, 0), (50, 50), (0.5, 0)), at((1, 1)), at((2, 2))]
    pairs = {(0, 1): (np.array([0, 1]), np.array([0, 0])), (1, 2): (np.array([0]), np.array([0]))}
    found = chain(features, pairs)
    assert found.image.tolist() == [1, 2]  # two places in image 0: it is left out
    pairs[0, 1] = np.array([0, 2]), np.array([0, 0])
    found = chain(features, pairs)
    assert (found.image.tolist(), found.feature.tolist()) == ([0, 1, 2], [0, 0, 0])  # one place, found twice


def test_pairs_of_many_images_are_those_that_see_the_same(rng):
    here, there = cameras_of(rng, 4), cameras_of(rng, 4, at=(500.0, 0.0), name="d")
    pairs = choose_pairs([*here, *there], n_neighbours=3)
    assert pairs
    assert all((i < 4) == (j < 4) for i, j in pairs)
