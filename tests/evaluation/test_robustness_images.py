"""Hazards of images: physics that can be checked, and place recognition under them."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.robustness.image_hazards import IMAGE_HAZARDS
from geoloc.evaluation.robustness.images import ImageCase, describe_hog, image_case, on_queries, recalls
from geoloc.evaluation.robustness.measure import RobustnessOptions, measure_robustness
from geoloc.evaluation.robustness.report import robustness_report


@pytest.fixture
def image(rng: np.random.Generator) -> np.ndarray:
    """A scene of 120 x 160: blocks of grey and colour on a gradient."""
    return scene(rng)


def scene(rng: np.random.Generator) -> np.ndarray:
    picture = np.repeat(np.linspace(90, 180, 120)[:, None], 160, axis=1)[..., None] * np.ones(3)
    for _ in range(14):
        x, y, w, h = rng.integers([0, 0, 8, 8], [150, 110, 50, 50])
        picture[y : y + h, x : x + w] = rng.integers(20, 235, 3)
    return picture.astype(np.uint8)


@pytest.mark.parametrize("name", IMAGE_HAZARDS)
def test_every_image_hazard_keeps_its_contract(image: np.ndarray, name: str) -> None:
    """Same shape, the image untouched, seeded, and farther from the image the stronger it is."""
    hazard = IMAGE_HAZARDS[name]
    before, distance = image.copy(), []
    for strength in hazard.strengths:
        worse = hazard.apply(image, strength, np.random.default_rng(5))
        assert worse.dtype == np.uint8
        assert worse.shape == image.shape
        assert np.array_equal(worse, hazard.apply(image, strength, np.random.default_rng(5)))
        distance.append(np.sqrt(np.mean((worse.astype(float) - image) ** 2)))
    assert np.array_equal(image, before)
    assert distance == sorted(distance)
    assert distance[0] > 0.5  # of 255
    assert distance[-1] > 2 * distance[0]


@pytest.mark.parametrize("name", IMAGE_HAZARDS)
@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 40, 3), (40, 8, 3)])
def test_tiny_images_pass(name: str, shape: tuple[int, int, int]) -> None:
    flat = np.full(shape, 128, dtype=np.uint8)
    for strength in IMAGE_HAZARDS[name].strengths:
        assert IMAGE_HAZARDS[name].apply(flat, strength, np.random.default_rng(1)).shape == shape


def test_grey_images_are_refused() -> None:
    with pytest.raises(InputError, match="uint8"):
        IMAGE_HAZARDS["rain"].apply(np.zeros((8, 8), dtype=np.uint8), 5.0, np.random.default_rng(1))


def test_a_stop_is_half_the_light(rng: np.random.Generator) -> None:
    flat = np.full((200, 200, 3), 200, dtype=np.uint8)
    light = [np.mean((IMAGE_HAZARDS["darken"].apply(flat, s, rng) / 255.0) ** 2.2) for s in (1.0, 2.0, 3.0)]
    assert light == pytest.approx([0.586 / 2, 0.586 / 4, 0.586 / 8], rel=0.02)


def test_the_dark_is_noisier_than_it_is_dark(rng: np.random.Generator) -> None:
    """Photons: at 4 stops the noise is 6.1 % of the signal, at none 1.5 %."""
    flat = np.full((200, 200, 3), 200, dtype=np.uint8)
    share = []
    for stops in (0.0, 4.0):
        light = (IMAGE_HAZARDS["darken"].apply(flat, stops, rng) / 255.0) ** 2.2
        share.append(light.std() / light.mean())
    assert share[1] > 3.5 * share[0]


@pytest.mark.parametrize("name", ["defocus", "motion_blur"])
def test_blur_keeps_the_light_and_a_point_becomes_its_shape(name: str, rng: np.random.Generator) -> None:
    point = np.zeros((101, 101, 3), dtype=np.uint8)
    point[48:53, 48:53] = 255
    blurred = (IMAGE_HAZARDS[name].apply(point, 8.0, rng) / 255.0) ** 2.2
    assert blurred.sum() == pytest.approx(75.0, rel=0.02)
    rows, columns = np.nonzero(blurred[..., 0] > 1e-3)
    reach = np.hypot(rows - 50, columns - 50).max()
    limits = {"defocus": (8.0, 12.5), "motion_blur": (4.0, 8.5)}[name]  # px, of a 5 px square
    assert limits[0] <= reach <= limits[1]


def test_rain_hides_contrast_and_streaks_stand(image: np.ndarray, rng: np.random.Generator) -> None:
    wet = IMAGE_HAZARDS["rain"].apply(image, 80.0, rng)
    assert wet.std() < 0.95 * image.std()
    big = np.full((480, 640, 3), 60, dtype=np.uint8)
    big[:60] = 220  # sky
    streaked = IMAGE_HAZARDS["rain"].apply(big, 80.0, rng)[100:, :, 0].astype(float)
    across, down = np.abs(np.diff(streaked, axis=1)).mean(), np.abs(np.diff(streaked, axis=0)).mean()
    assert across > 1.1 * down, "streaks change less along their fall than across it"


def test_ties_are_found_by_chance() -> None:
    flat = np.ones((4, 3))
    assert recalls(flat, flat) == pytest.approx({"recall_1": 0.25, "recall_5": 1.0})
    assert recalls(np.eye(4), np.eye(4)) == {"recall_1": 1.0, "recall_5": 1.0}


def test_places_are_found_until_it_is_dark(rng: np.random.Generator, tmp_path: Path) -> None:
    """Twelve scenes of little contrast shifted by 2 px: found as they are, not all of them in the dark."""
    places = [(100 + 0.1 * scene(rng)).astype(np.uint8) for _ in range(12)]
    for part, dx in (("query", 2), ("ref", 0)):
        (tmp_path / part).mkdir()
        for i, place in enumerate(places):
            cv2.imwrite(str(tmp_path / part / f"{i:02d}.png"), np.roll(place, dx, axis=1))
    case = image_case(tmp_path)
    assert describe_hog(case.queries[0]).shape == (34596,)
    report = robustness_report(case, RobustnessOptions(hazards=("darken", "rain"), draws=1))
    assert report.figure("clean", "recall_1").value > 90.0
    assert report.figure("degradation_darken", "recall_1").value > 0.0
    (tmp_path / "ref" / "03.png").unlink()
    with pytest.raises(InputError, match=r"03\.png"):
        image_case(tmp_path)


def test_only_queries_are_perturbed(rng: np.random.Generator) -> None:
    case = ImageCase("pair", (scene(rng),), (scene(rng),))
    worse = on_queries(IMAGE_HAZARDS["rain"]).apply(case, 80.0, rng)
    assert worse.references is case.references
    assert not np.array_equal(worse.queries[0], case.queries[0])


def test_places_of_sped_are_lost_in_the_dark(recording) -> None:  # type: ignore[no-untyped-def]
    """Of 100 places of SPED HOG finds 0.56, and fewer in the dark: 0.22 at the greatest strength."""
    whole = image_case(recording("sped") / "SPED_Test")
    case = ImageCase("sped", whole.queries[:100], whole.references[:100])
    scores = measure_robustness(case, RobustnessOptions(hazards=("darken",), draws=1)).scores
    assert scores.clean_score("recall_1") == pytest.approx(0.56, abs=0.02)
    assert scores.score("recall_1")[0, 4, 0] < 0.4
