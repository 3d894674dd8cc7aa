"""Patches of two images compared: a moved camera still agrees with its picture, another place does not."""

import numpy as np
import pytest
from drawn_places import draw_place, other_season

from geoloc.errors import InputError
from geoloc.features.layout import gradient_layout
from geoloc.features.patch_matching import PatchMatcher, stored_layout


def look(image: np.ndarray) -> np.ndarray:
    return stored_layout(gradient_layout(image))


@pytest.fixture(scope="module")
def places() -> list[np.ndarray]:
    rng = np.random.default_rng(8)
    return [draw_place(rng) for _ in range(20)]


@pytest.fixture(scope="module")
def layouts(places) -> np.ndarray:
    return np.stack([look(place) for place in places])


def test_a_shifted_view_of_a_place_in_another_season_is_far_above_chance(places, layouts, rng) -> None:
    matcher = PatchMatcher.learn(layouts, rng)
    for row in range(8):
        shifted = np.roll(places[row], (5, -16), axis=(0, 1))  # a tenth of the width
        scores = matcher.compare(look(other_season(shifted, rng)), layouts)
        assert scores.argmax() == row
        assert scores[row] > 10  # 19 to 22 sigmas
        assert np.abs(np.delete(scores, row)).max() < 5  # 3.2


def test_a_black_image_is_like_no_place_and_breaks_nothing(layouts, rng) -> None:
    matcher = PatchMatcher.learn(layouts, rng)
    scores = matcher.compare(look(np.zeros((50, 60), np.uint8)), layouts)
    assert np.isfinite(scores).all()
    assert scores.max() < 0
    assert matcher.compare(layouts[0], layouts[:0]).shape == (0,)


def test_what_was_learnt_is_stored_whole(layouts, rng) -> None:
    matcher = PatchMatcher.learn(layouts, rng)
    again = PatchMatcher.load(matcher.arrays())
    np.testing.assert_array_equal(again.compare(layouts[0], layouts[:3]), matcher.compare(layouts[0], layouts[:3]))


def test_a_site_of_one_image_has_a_matcher_too(layouts, rng) -> None:
    assert np.isfinite(PatchMatcher.learn(layouts[:1], rng).compare(layouts[1], layouts[:1])).all()
    with pytest.raises(InputError, match="at least one image"):
        PatchMatcher.learn(layouts[:0], rng)
