"""Descriptors of whole images: light does not matter, small motions little; what is learnt is stored whole."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_places import draw_place, other_season

from geoloc.errors import GeometryError, InputError, UnknownNameError
from geoloc.features.extraction import extract
from geoloc.features.global_descriptors import GLOBALS, GlobalOptions, load_global, train_global
from geoloc.features.layout import LayoutOptions, clear_edges, gradient_layout, layout_patches
from geoloc.features.parts import PartOptions
from geoloc.features.variations import VariationOptions, vary
from geoloc.features.vlad import VladOptions, train_vocabulary, vlad
from geoloc.features.whitening import WhiteningOptions, train_whitening

OFFLINE = [name for name in GLOBALS if name not in ("torch", "onnx")]
N = 24
QUICK = GlobalOptions(PartOptions(VladOptions(words=16, max_training=4000)))


@pytest.fixture(scope="module")
def places() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [draw_place(rng) for _ in range(N)]


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.vdot(a, b) / np.linalg.norm(a) / np.linalg.norm(b))


def test_exposure_and_exchanged_dark_and_bright_leave_a_layout_as_it_is(places) -> None:
    bright = np.clip(places[0], 60, 255)
    layout = gradient_layout(bright)
    assert layout.shape == LayoutOptions().shape == (24, 32, 16)
    assert cosine(layout, gradient_layout((bright * 0.6).astype(np.uint8))) > 0.98  # 0.9999
    assert cosine(layout, gradient_layout(255 - bright // 2)) > 0.9  # 0.983
    assert cosine(layout, gradient_layout(places[1])) < 0.5  # 0.24


def test_an_image_that_shows_nothing_has_no_layout_and_no_patches() -> None:
    layout = gradient_layout(np.full((1, 1), 77, np.uint8))
    patches, contrast = layout_patches(clear_edges(layout))
    assert not layout.any()
    assert not patches.any()
    assert not contrast.any()


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)])
def test_what_is_no_grey_image_is_refused(image: np.ndarray) -> None:
    with pytest.raises(InputError, match="give grey values"):
        gradient_layout(image)


def test_what_all_places_share_is_whitened_away(rng) -> None:
    own = rng.normal(size=(40, 200)).astype(np.float32)
    shared = 3 * rng.normal(size=200).astype(np.float32)
    vectors = own + rng.normal(size=(40, 1)).astype(np.float32) * shared
    whitening = train_whitening(vectors, np.zeros((0, 200), np.float32))
    again = own + rng.normal(size=(40, 1)).astype(np.float32) * shared  # the shared part drawn anew
    right = (whitening(again) @ whitening(vectors).T).argmax(axis=1) == np.arange(40)
    bare = (again @ vectors.T).argmax(axis=1) == np.arange(40)
    assert right.mean() > 0.85  # 0.95
    assert bare.mean() < 0.3  # 0.125


def test_a_direction_in_which_a_place_differs_from_itself_counts_less(rng) -> None:
    vectors, along = rng.normal(size=(40, 30)).astype(np.float32), np.eye(30, dtype=np.float32)[:1]
    how = [train_whitening(vectors, 10 * along, WhiteningOptions(variation=w)).matrix for w in (0.0, 1.0)]
    without, with_it = (np.linalg.norm(along @ matrix) for matrix in how)
    assert with_it < 0.2 * without  # 0.11


def test_images_that_are_all_equal_cannot_be_told_apart() -> None:
    with pytest.raises(GeometryError, match="all look the same"):
        train_global([np.zeros((20, 20), np.uint8)] * 3, np.random.default_rng(0), "layout")


def test_a_fence_of_many_posts_counts_once(rng) -> None:
    kinds = rng.normal(size=(4, 8)).astype(np.float32)
    local = np.repeat(kinds, 100, axis=0) + 0.01 * rng.normal(size=(400, 8)).astype(np.float32)
    vocabulary = train_vocabulary([local], rng, VladOptions(words=4))
    seen = kinds + 0.3 * rng.normal(size=(4, 8)).astype(np.float32)
    fence = np.concatenate([seen, np.repeat(seen[:1], 500, axis=0)])
    one, many = (vlad(x, np.ones(len(x), np.float32), vocabulary) for x in (seen, fence))
    assert cosine(one, many) == pytest.approx(1, abs=1e-5)


def test_an_image_without_features_has_a_vlad_of_zeros(rng) -> None:
    vocabulary = train_vocabulary([rng.normal(size=(100, 8)).astype(np.float32)], rng)
    assert not vlad(np.zeros((0, 8), np.float32), np.zeros(0, np.float32), vocabulary).any()
    with pytest.raises(InputError, match="train anew"):
        vlad(np.zeros((1, 9), np.float32), np.ones(1, np.float32), vocabulary)
    with pytest.raises(GeometryError, match="vocabulary"):
        train_vocabulary([np.zeros((0, 8), np.float32)], rng)


def test_a_variation_moves_the_image_a_little(places, rng) -> None:
    still = vary(places[0], rng, VariationOptions(shift=0, zoom=0, turn=0, tilt=0))
    np.testing.assert_array_equal(still, places[0])
    moved = vary(places[0], rng)
    assert moved.shape == places[0].shape
    assert 0.4 < np.corrcoef(moved.ravel(), places[0].ravel())[0, 1] < 0.99  # 0.58


@pytest.mark.parametrize("name", OFFLINE)
def test_every_descriptor_finds_the_place_in_another_light_and_is_stored_whole(name: str, places) -> None:
    rng = np.random.default_rng(1)
    descriptor, vectors = train_global(places, rng, name, options=QUICK)
    assert vectors.shape == (N, descriptor.dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)
    np.testing.assert_allclose(descriptor(places[3]), vectors[3], atol=1e-5)
    found = [int((vectors @ descriptor(other_season(image, rng))).argmax()) for image in places]
    least = 0.4 if name == "vlad" else 0.9  # SIFT of what is exchanged dark and bright is another: measured 0.63, 1.0
    assert np.mean(np.array(found) == np.arange(N)) >= least
    again = load_global(descriptor.arrays())
    assert again.fingerprint == descriptor.fingerprint
    np.testing.assert_array_equal(again(places[3]), descriptor(places[3]))
    assert not descriptor(np.zeros((30, 40), np.uint8)).shape[1:]


def test_features_that_are_known_already_are_used(places) -> None:
    features = [extract(image) for image in places]
    options = replace(QUICK, variation=VariationOptions(max_images=0))
    with_them, given = train_global(places, np.random.default_rng(1), "vlad", features, options)
    without, made = train_global(places, np.random.default_rng(1), "vlad", (), options)
    np.testing.assert_allclose(given, made, atol=1e-6)
    np.testing.assert_allclose(with_them(places[0], features[0]), without(places[0]), atol=1e-6)
    with pytest.raises(InputError, match="one extractor for all"):
        without(places[0], replace(features[0], extractor="another"))


def test_an_unknown_descriptor_and_missing_images_are_refused(places) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'layout'"):
        train_global(places, np.random.default_rng(0), "layouts")
    with pytest.raises(InputError, match="give images"):
        train_global([], np.random.default_rng(0))
    with pytest.raises(InputError, match="features of all or none"):
        train_global(places, np.random.default_rng(0), "vlad", [extract(places[0])])
