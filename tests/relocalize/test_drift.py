"""Has a camera moved: on pictures whose motion is known."""

import cv2
import numpy as np
import pytest
from drift_samples import CAMERA, SIZE, YARD, covered, seen, textures
from scipy.spatial.transform import Rotation

from geoloc.errors import GeometryError, InputError
from geoloc.features.local import ExtractionOptions, RootSift
from geoloc.metrics.consistency import consistency, nees
from geoloc.relocalize.drift import DriftOptions, check_drift, learn_landmarks
from geoloc.relocalize.reference import Reference, pin_reference
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography

DEGREE = np.pi / 180.0
Scene = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def scene() -> Scene:
    return textures(1)


@pytest.fixture(scope="module")
def elsewhere() -> Scene:
    return textures(2)


@pytest.fixture(scope="module")
def reference(scene: Scene) -> Reference:
    return pin_reference(CAMERA, seen(scene, np.random.default_rng(5)), site_map=YARD)


def axis(rng: np.random.Generator) -> np.ndarray:
    direction = rng.normal(size=3)
    return np.asarray(direction / np.linalg.norm(direction))


def off(theta: np.ndarray, turn: np.ndarray) -> float:
    """How far a found rotation is from the true one, deg."""
    return float((Rotation.from_rotvec(theta[:3]) * Rotation.from_rotvec(turn).inv()).magnitude() / DEGREE)


@pytest.mark.parametrize("degrees", [0.1, 0.4, 2.0, 5.0])
def test_a_turn_is_measured_with_half_the_frame_covered_and_other_light(
    degrees: float, scene: Scene, elsewhere: Scene, reference: Reference, rng: np.random.Generator
) -> None:
    turn = degrees * DEGREE * axis(rng)
    frame = seen(scene, rng, turn).astype(float)
    dimmed = 255.0 * (0.7 * frame / 255.0) ** 1.2 + rng.normal(0, 4, frame.shape)
    check = check_drift(reference, covered(np.clip(dimmed, 0, 255).astype(np.uint8), seen(elsewhere, rng), 0.5))
    assert check.state == "moved"
    assert off(check.theta, turn) < 0.02  # measured 0.002 to 0.010; a pixel is 0.095 deg
    assert off(check.theta, turn) < 5.0 * check.angle_sigma / DEGREE


def test_an_unmoved_camera_looks_moved_as_often_as_is_stated(
    scene: Scene, elsewhere: Scene, rng: np.random.Generator
) -> None:
    chances = []
    for _ in range(5):
        reference = pin_reference(CAMERA, seen(scene, rng))
        for share in (0.0, 0.3, 0.5):
            chances.append(check_drift(reference, covered(seen(scene, rng), seen(elsewhere, rng), share)).chance)
    below = int((np.array(chances) < 0.1).sum())
    assert below <= 6  # of 15 at 10 %: 1.5 expected, more than 6 by a chance of 3e-4; measured 0


def test_the_covariance_of_rotation_and_zoom_is_not_too_small(scene: Scene, rng: np.random.Generator) -> None:
    values = []
    for _ in range(10):
        reference = pin_reference(CAMERA, seen(scene, rng))
        turn, zoom = rng.uniform(0.02, 0.3) * DEGREE * axis(rng), 0.004
        check = check_drift(reference, seen(scene, rng, turn, zoom=zoom))
        apart = (Rotation.from_rotvec(check.theta[:3]) * Rotation.from_rotvec(turn).inv()).as_rotvec()
        values.append(nees(np.append(apart, check.theta[3] - zoom)[None], check.cov[None, :4, :4])[0])
    found = consistency(np.array(values), 4)
    assert found.mean < found.high  # 7.5; measured 1.2: what cannot be told from a smooth misfit is allowed for


def test_a_zoom_and_a_crop_are_told_from_a_turn(scene: Scene, reference: Reference, rng: np.random.Generator) -> None:
    check = check_drift(reference, seen(scene, rng, zoom=0.02))
    assert (check.state, check.freed) == ("moved", (0, 1, 2, 3))
    assert check.zoom == pytest.approx(np.exp(0.02), abs=3e-4)
    frame = seen(scene, rng)
    cut = cv2.resize(frame[18:342, 48:624], SIZE, interpolation=cv2.INTER_CUBIC)
    check = check_drift(reference, cut)
    assert 4 in check.freed
    assert check.zoom == pytest.approx(640 / 576, rel=2e-3)
    assert check.angle / DEGREE < 0.1  # as a turn it would be 2 deg


def test_a_shift_is_told_from_a_turn_where_the_ground_is_known(
    scene: Scene, reference: Reference, rng: np.random.Generator
) -> None:
    shift = np.array([0.12, -0.05, 0.08])
    check = check_drift(reference, seen(scene, rng, shift=shift))
    assert check.freed == (0, 1, 2, 3, 6, 7, 8)
    sigma = np.sqrt(np.diag(check.cov)[6:9])
    assert np.abs(check.translation - shift).max() < 0.03
    assert (sigma < 0.02).all()
    turned = check_drift(reference, seen(scene, rng, 0.3 * DEGREE * axis(rng)))
    assert turned.freed == (0, 1, 2, 3)


def test_a_shaken_frame_is_no_moved_one(scene: Scene, reference: Reference, rng: np.random.Generator) -> None:
    frame = seen(scene, rng, noise=0.0)
    smeared = cv2.filter2D(frame, -1, np.full((1, 9), 1 / 9, np.float32)) + rng.normal(0, 3, frame.shape)
    check = check_drift(reference, np.clip(smeared, 0, 255).astype(np.uint8))
    assert check.state == "shaken"
    assert check.blur_px[0] == pytest.approx(9 / np.sqrt(12), abs=1.0)
    assert check.blur_px[1] < 1.0


def test_what_hides_the_scene_is_named(
    scene: Scene, elsewhere: Scene, reference: Reference, rng: np.random.Generator
) -> None:
    shape = SIZE[::-1]
    black, white = np.full(shape, 3, np.uint8), np.full(shape, 255, np.uint8)
    cloth = np.clip(rng.normal(128, 1, shape), 0, 255).astype(np.uint8)
    fog = cv2.GaussianBlur(seen(scene, rng), (0, 0), 25)
    frames = {"dark": black, "overexposed": white, "blocked": cloth, "blurred": fog}
    frames["another scene"] = seen(elsewhere, rng)
    checks = {state: check_drift(reference, frame) for state, frame in frames.items()}
    assert {state: check.state for state, check in checks.items()} == {state: state for state in frames}
    assert not any(check.known for check in checks.values())
    assert all(np.isnan(check.chance) and check.reason for check in checks.values())


def test_a_mirrored_picture_is_another_scene_and_one_upside_down_is_turned(
    scene: Scene, reference: Reference, rng: np.random.Generator
) -> None:
    frame = seen(scene, rng)
    assert check_drift(reference, np.ascontiguousarray(frame[:, ::-1])).state == "another scene"
    upside_down = check_drift(reference, np.ascontiguousarray(frame[::-1, ::-1]))
    assert upside_down.state == "moved"
    assert upside_down.angle / DEGREE == pytest.approx(180.0, abs=1.0)


def test_the_very_same_picture_has_not_moved(scene: Scene) -> None:
    frame = seen(scene, np.random.default_rng(5))
    assert check_drift(pin_reference(CAMERA, frame), frame).state == "unchanged"


def test_pictures_that_cannot_be_the_cameras_are_refused(scene: Scene, reference: Reference) -> None:
    frame = seen(scene, np.random.default_rng(5))
    half = cv2.resize(frame, (320, 180), interpolation=cv2.INTER_AREA)
    check = check_drift(reference, half)
    assert check.state == "unchanged"
    assert "resized" in check.conditions
    with pytest.raises(InputError, match="another shape"):
        check_drift(reference, frame[:300])
    with pytest.raises(InputError, match="grey values"):
        check_drift(reference, np.dstack([frame] * 3))
    with pytest.raises(InputError, match="one or more references"):
        check_drift([], frame)
    with pytest.raises(InputError, match="reference is uint8 of shape"):
        pin_reference(CAMERA, frame[:100])
    with pytest.raises(GeometryError, match="shows 0 landmarks"):
        pin_reference(CAMERA, np.zeros_like(frame))
    tiny = check_drift(reference, cv2.resize(frame, (16, 9)))
    assert not tiny.known
    flat = Camera("flat", Homography(np.eye(3).ravel() + 0.1), SIZE, homography_level="ground")
    with pytest.raises(GeometryError, match="known by a homography only"):
        pin_reference(flat, frame)
    with pytest.raises(InputError, match="false_alarms"):
        DriftOptions(false_alarms=0.9)


def test_of_day_and_night_the_reference_that_fits_is_used(
    scene: Scene, elsewhere: Scene, rng: np.random.Generator
) -> None:
    several = [pin_reference(CAMERA, seen(other, rng), name) for name, other in (("day", elsewhere), ("night", scene))]
    check = check_drift(several, seen(scene, rng, 0.2 * DEGREE * axis(rng)))
    assert (check.reference, check.state) == ("night", "moved")


def test_landmarks_that_come_and_go_lose_their_say(
    scene: Scene, elsewhere: Scene, reference: Reference, rng: np.random.Generator
) -> None:
    learned = reference
    for _ in range(8):
        frame, other = seen(scene, rng), seen(elsewhere, rng)
        frame[200:330, 100:260] = other[200:330, 100:260]  # a car parks there, each time another
        learned = learn_landmarks(learned, check_drift(learned, frame))
    level = learned.levels[-1]
    u, v = level.patches.pixels.T
    parked = (u > 120) & (u < 240) & (v > 220) & (v < 310)
    assert parked.sum() > 3
    assert np.median(level.stability[parked]) < 0.3
    assert np.median(level.stability[~parked]) > 0.7


def test_a_picture_all_but_covered_is_blocked(scene: Scene, reference: Reference, rng: np.random.Generator) -> None:
    frame = seen(scene, rng)
    frame[:, : int(0.93 * SIZE[0])] = np.clip(rng.normal(90, 0.7, (SIZE[1], int(0.93 * SIZE[0]))), 0, 255)
    check = check_drift(reference, frame)
    assert check.state == "blocked"
    assert "is flat" in check.reason


class Learned(RootSift):
    """Features that can be compared with their like only."""

    @property
    def fingerprint(self) -> str:
        return "learned"


def test_large_motions_are_looked_for_by_the_features_of_the_references_extractor(
    scene: Scene, elsewhere: Scene, rng: np.random.Generator
) -> None:
    learned = pin_reference(CAMERA, seen(scene, rng), extractor=Learned(ExtractionOptions(max_features=700)))
    assert learned.features[0].extractor == "learned"
    # another scene is left only when every start has been tried, matched features last
    assert check_drift(learned, seen(elsewhere, rng)).state == "another scene"
    turn = np.array([0.0, 0.0, 25.0]) * DEGREE
    assert off(check_drift(learned, seen(scene, rng, turn)).theta, turn) < 0.02
