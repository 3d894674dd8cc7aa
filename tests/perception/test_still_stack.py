"""Several stills as one: what moves is left out, what shows nothing is named."""

import cv2
import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.perception.stable_features import repeatability, stable_features
from geoloc.perception.still_stack import stack_stills, still_fault


def with_car(still, at):
    other = still.copy()
    cv2.rectangle(other, (at, 300), (at + 90, 360), (30, 30, 200), -1)
    return other


def test_a_car_that_is_gone_in_most_stills_is_gone_and_its_features_too(site, stills):
    still, camera = stills["west"], site.camera("west")
    stack, left_out = stack_stills(camera, {str(i): with_car(still, 200 + 120 * i) for i in range(5)})
    assert not left_out
    clean = np.abs(stack.image.astype(int) - still)[300:360, 200:800]
    assert np.median(clean) <= 2
    shares = repeatability(stack, np.array([[700.0, 420.0], [-5.0, 10.0]]))
    assert shares[1] == 0.0
    found = stable_features(stack)
    assert len(found) > 20
    assert (found.repeatability >= 0.6).all()


def test_what_changes_in_every_still_is_not_steady(site, stills):
    rng, camera = np.random.default_rng(1), site.camera("west")
    pictures = {}
    for i in range(4):
        other = stills["west"].copy()
        other[200:300, 300:500] = rng.integers(0, 255, 3, np.uint8)
        pictures[str(i)] = other
    stack, _ = stack_stills(camera, pictures)
    assert not stack.steady[210:290, 310:490].any()
    assert stack.steady[400:500, 300:500].mean() > 0.9
    pixels = stable_features(stack).features.pixels
    assert not ((pixels[:, 0] > 305) & (pixels[:, 0] < 495) & (pixels[:, 1] > 205) & (pixels[:, 1] < 295)).any()


def test_one_still_says_nothing_of_repeatability(site, stills):
    stack, _ = stack_stills(site.camera("west"), {"one": stills["west"]})
    assert stack.steady.all()
    assert np.isnan(repeatability(stack, np.array([[100.0, 100.0]]))).all()


def test_night_blur_and_glare_are_named_with_the_next_step(stills):
    still = stills["west"]
    assert "lamps" in still_fault((still // 12).astype(np.uint8))
    assert "focus" in still_fault(cv2.GaussianBlur(still, (0, 0), 25))
    assert "softer" in still_fault(np.full_like(still, 250))
    assert still_fault(still) == ""


def test_stills_of_another_size_are_refused(site, stills):
    camera, still = site.camera("west"), stills["west"]
    with pytest.raises(InputError, match="is it of this camera"):
        stack_stills(camera, {"cut": still[:300]})
    with pytest.raises(InputError, match="give stills of one size"):
        stack_stills(camera, {"a": still, "b": cv2.resize(still, (480, 270))})
