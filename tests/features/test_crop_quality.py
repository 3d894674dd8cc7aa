"""How well crops show objects: blur, size, what stands before, what is cut; and colours by their names."""

import cv2
import numpy as np
import pytest
from drawn_places import draw_place

from geoloc.errors import InputError
from geoloc.features.crop_colours import NAMES, colour_name, colour_shares
from geoloc.features.crop_quality import QualityOptions, crop_quality, hidden_share, sharpness, view_quality

BGR = {
    "black": (20, 20, 22), "grey": (120, 122, 126), "white": (236, 238, 240), "red": (40, 40, 170),
    "orange": (30, 130, 240), "yellow": (40, 220, 240), "green": (60, 140, 50), "blue": (160, 80, 40),
    "brown": (35, 60, 100), "pink": (190, 150, 250), "purple": (130, 40, 110),
}  # fmt: skip


def textured(rng: np.random.Generator, width: int = 96, height: int = 72) -> np.ndarray:
    return np.repeat(draw_place(rng, width, height)[..., None], 3, axis=2)


def test_each_colour_has_its_name(rng) -> None:
    assert set(BGR) == set(NAMES)
    for name, bgr in BGR.items():
        crop = np.clip(np.array(bgr) + rng.normal(0, 3, (30, 40, 3)), 0, 255).astype(np.uint8)
        assert colour_name(crop) == name
    np.testing.assert_allclose(colour_shares(rng.integers(0, 256, (50, 3)).astype(np.uint8)).sum(axis=1), 1, atol=1e-5)


def test_a_cars_name_is_its_paints_in_a_lamps_light_and_in_half_of_it() -> None:
    for name in ("red", "blue", "green", "white"):
        crop = np.full((60, 90, 3), 100, np.uint8)
        crop[6:54, 8:82] = BGR[name]
        crop[12:26, 20:70] = (62, 54, 48)  # windows
        assert colour_name(crop) == name
        warm = np.clip(crop * np.array([0.9, 1.0, 1.06]), 0, 255).astype(np.uint8)
        assert colour_name(warm) == name
    halved = np.clip(crop * 0.75, 0, 255).astype(np.uint8)  # half of the light, of a picture of gamma 2.2
    assert colour_name(halved) in ("white", "grey")


def test_dark_blue_paint_is_not_purple(rng) -> None:
    for red, green, blue in ((0, 0, 128), (25, 25, 112), (10, 10, 60), (0, 0, 205), (15, 25, 60), (30, 40, 110)):
        crop = np.full((60, 100, 3), (blue, green, red), np.uint8)
        crop[35:] //= 3  # its lower part in shadow
        assert colour_name(np.clip(crop + rng.normal(0, 8, crop.shape), 0, 255).astype(np.uint8)) == "blue"
    for red, green, blue in ((128, 0, 128), (75, 0, 130), (60, 20, 80), (148, 0, 211)):
        assert colour_name(np.full((60, 100, 3), (blue, green, red), np.uint8)) == "purple"


def test_a_crop_of_every_colour_has_no_name(rng) -> None:
    paints = np.array(list(BGR.values()), np.uint8)
    assert colour_name(paints[rng.integers(0, len(paints), (60, 60))]) == ""


def test_blur_and_smallness_lower_the_quality_and_light_does_not(rng) -> None:
    crop = textured(rng)
    blurred = [cv2.GaussianBlur(crop, (0, 0), sigma) for sigma in (1.0, 2.0, 4.0)]
    found = [sharpness(image) for image in (crop, *blurred)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 4 * found[-1]  # 0.32 against 0.02
    dim = (40 + 0.4 * crop).astype(np.uint8)
    assert sharpness(dim) == pytest.approx(sharpness(crop), rel=0.05)
    sizes = [crop_quality(cv2.resize(crop, (w, 3 * w // 4), interpolation=cv2.INTER_AREA)) for w in (12, 24, 48, 96)]
    assert sizes == sorted(sizes)
    assert sizes[-1] > 3 * sizes[0]
    assert crop_quality(np.full((50, 50, 3), 90, np.uint8)) == 0.0


def test_the_nearer_box_hides_and_is_not_hidden() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [5, 5, 15, 20], [100, 100, 110, 110]])
    np.testing.assert_allclose(hidden_share(boxes), [0.25, 0, 0])
    assert not len(hidden_share(np.zeros((0, 4))))
    np.testing.assert_allclose(hidden_share(boxes[::-1])[::-1], [0.25, 0, 0])  # the order of boxes says nothing
    with pytest.raises(InputError, match="finite"):
        hidden_share(np.array([[0, 0, np.nan, 1]]))


def test_a_view_that_the_picture_cuts_is_worse_and_one_outside_of_it_worth_nothing(rng) -> None:
    picture = np.tile(textured(rng, 40, 40), (5, 5, 1))
    options = QualityOptions()
    boxes = np.array([[60.0, 60, 99, 99], [-0.5, 60, 39, 99], [-0.5, -0.5, 39, 39], [300, 60, 340, 99]])
    found = view_quality(picture, boxes, options)
    assert found[1] == pytest.approx(options.cut * found[0], rel=0.3)
    assert found[2] < 0.4 * found[0]
    assert found[3] == 0.0
    assert ((found >= 0) & (found <= 1)).all()
