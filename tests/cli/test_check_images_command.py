"""`geoloc check SITE --images`: pinned references, what has moved, and the calibration that is proposed."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_samples import Done
from scipy.spatial.transform import Rotation

from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.storage import load_site, save_site
from geoloc.scene.versions import list_versions

Call = Callable[..., Done]
LENS = Pinhole(np.array([500.0, 500.0, 319.5, 179.5]))
TURN = np.array([0.004, -0.003, 0.002])


def picture(seed: int, turn: np.ndarray | None = None) -> np.ndarray:
    """Soft squares far away, seen after a turn (rad)."""
    rng = np.random.default_rng(11)
    far = np.full((700, 1100), 110.0, np.float32)
    for _ in range(400):
        at, size, angle = rng.uniform(0, 1100, 2), rng.uniform(8, 60, 2), rng.uniform(0, 90)
        corners = cv2.boxPoints((tuple(at), tuple(size), float(angle)))
        cv2.fillConvexPoly(far, corners.astype(np.int32), float(rng.uniform(30, 220)))
    far = cv2.GaussianBlur(far, (0, 0), 1.2)
    pixels = np.stack(np.meshgrid(np.arange(640), np.arange(360)), axis=-1).reshape(-1, 2)
    rays = LENS.unproject(pixels) @ Rotation.from_rotvec(np.zeros(3) if turn is None else turn).as_matrix()
    source = (500.0 * rays[:, :2] / rays[:, 2:] + [550.0, 350.0]).astype(np.float32).reshape(360, 640, 2)
    light = cv2.remap(far, source[..., 0].copy(), source[..., 1].copy(), cv2.INTER_CUBIC)
    noise = np.random.default_rng(seed).normal(0, 3, light.shape)
    return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)


def write(folder: Path, name: str, image: np.ndarray) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), image)


@pytest.fixture
def pinned(tmp_path: Path, call: Call) -> Path:
    """A root with the site "yard" whose two cameras are pinned."""
    pose = look_at(np.array([0.0, -15.0, 5.0]), np.zeros(3))
    cov = np.diag([1e-6] * 3 + [1e-4] * 3)
    cameras = tuple(Camera(name, LENS, (640, 360), pose, cov) for name in ("gate", "hall"))
    save_site(Site("yard", cameras, SiteMap((Level("ground", (Surface(sigma_z=0.02),)),))), tmp_path)
    for name in ("gate", "hall"):
        write(tmp_path / "then", f"{name}.png", picture(1))
    done = call("check", "yard", "--root", tmp_path, "--images", tmp_path / "then", "--pin")
    assert (done.code, "pinned 2 references" in done.out) == (0, True)
    return tmp_path


def test_the_camera_that_turned_is_told_from_the_one_that_did_not(pinned: Path, call: Call) -> None:
    write(pinned / "now", "gate.png", picture(2, TURN))
    write(pinned / "now", "hall.png", picture(3))
    done = call("check", "yard", "--root", pinned, "--images", pinned / "now", "--json")
    gate, hall = done.json["images"]
    assert (gate["state"], hall["state"]) == ("moved", "unchanged")
    np.testing.assert_allclose(gate["rotation_deg"], TURN * 180 / np.pi, atol=0.01)
    text = call("check", "yard", "--root", pinned, "--images", pinned / "now").out
    assert "moved" in text
    assert "unchanged" in text


def test_a_series_raises_an_alarm_and_is_drawn(pinned: Path, call: Call) -> None:
    for minute in range(6):
        turn = TURN if minute > 1 else None
        write(pinned / "day", f"gate/{1_700_000_000 + 60 * minute}.png", picture(10 + minute, turn))
    plot = pinned / "drift.png"
    done = call("check", "yard", "--root", pinned, "--images", pinned / "day", "--plot", plot, "--json")
    (alarm,) = done.json["alarms"]
    assert (alarm["state"], alarm["since"], alarm["ended"]) == ("moved", 1_700_000_120.0, None)
    assert plot.stat().st_size > 5000


def test_what_moved_is_proposed_accepted_and_from_then_on_unchanged(pinned: Path, call: Call) -> None:
    write(pinned / "now", "gate.png", picture(2, TURN))
    words = ("check", "yard", "--root", pinned, "--images", pinned / "now")
    done = call(*words, "--propose", pinned / "moved", "--json")
    (proposal,) = done.json["proposals"]
    assert "ground shifts" in proposal["change"]
    assert Path(proposal["overlay"]).stat().st_size > 5000
    assert list_versions("yard", pinned) == ()
    before = load_site("yard", pinned).camera("gate")
    assert call(*words, "--accept").code == 0
    after = load_site("yard", pinned).camera("gate")
    turned = (after.cam_from_world.rotation * before.cam_from_world.rotation.inv()).as_rotvec()
    np.testing.assert_allclose(turned, TURN, atol=2e-4)
    assert np.trace(after.calib_cov[:3, :3]) > np.trace(before.calib_cov[:3, :3])
    assert [version.number for version in list_versions("yard", pinned)] == [1, 2]
    assert call(*words, "--json").json["images"][0]["state"] == "unchanged"


def test_a_new_version_is_true_from_the_first_frame_that_moved(pinned: Path, call: Call) -> None:
    for minute, turn in enumerate((None, None, TURN, TURN, TURN)):
        write(pinned / "day", f"gate/{1_700_000_000 + 60 * minute}.png", picture(10 + minute, turn))
    words = ("check", "yard", "--root", pinned, "--images", pinned / "day")
    assert call(*words, "--accept").code == 0
    assert list_versions("yard", pinned)[-1].valid_from == 1_700_000_120.0
    assert call("calibrate", "yard", "--root", pinned, "--roll-back", "1").code == 0
    last = call(*words, "--json").json["images"][-1]
    # the reference is of the version that was taken back: what it calls unchanged is not where the site has it
    assert (last["state"], last["conditions"]) == ("unchanged", ["pinned under another calibration"])


def hazards() -> dict[str, tuple[np.ndarray, tuple[str, ...]]]:
    """Pictures that are none of the camera's, and what may be said of them."""
    good = picture(2)
    rng = np.random.default_rng(4)
    return {
        "black": (np.zeros_like(good), ("dark",)),
        "white": (np.full_like(good, 255), ("overexposed",)),
        "flat": (np.full_like(good, 90), ("blocked",)),
        "noise": (rng.integers(0, 255, good.shape, np.uint8), ("another scene",)),
        "mirrored": (good[:, ::-1], ("another scene", "blocked")),
        "upside down": (good[::-1, ::-1], ("moved",)),
        "tiny": (cv2.resize(good, (16, 9)), ("blurred", "blocked", "another scene")),
        "huge": (cv2.resize(good, (6400, 3600)), ("unchanged",)),
    }


@pytest.mark.parametrize("hazard", hazards())
def test_whatever_picture_it_is_the_answer_is_one_state_and_a_reason(hazard: str, pinned: Path, call: Call) -> None:
    image, said = hazards()[hazard]
    write(pinned / "now", "gate.png", np.ascontiguousarray(image))
    done = call("check", "yard", "--root", pinned, "--images", pinned / "now", "--json")
    (found,) = done.json["images"]
    assert (done.code, found["state"] in said, bool(found["reason"])) == (0, True, True), found["state"]


def test_what_is_wrong_with_images_is_said(pinned: Path, call: Call) -> None:
    write(pinned / "odd", "gates.png", picture(2))
    done = call("check", "yard", "--root", pinned, "--images", pinned / "odd")
    assert (done.code, "did you mean 'gate'" in done.err) == (2, True)
    (pinned / "torn").mkdir()
    (pinned / "torn" / "gate.jpg").write_bytes(b"no picture")
    done = call("check", "yard", "--root", pinned, "--images", pinned / "torn")
    assert (done.code, "not a picture that can be read" in done.err) == (2, True)
    write(pinned / "small", "gate.png", picture(2)[:200])
    done = call("check", "yard", "--root", pinned, "--images", pinned / "small")
    assert (done.code, "another shape" in done.err) == (2, True)
    write(pinned / "turned", "gate.png", np.ascontiguousarray(np.rot90(picture(2))))
    done = call("check", "yard", "--root", pinned, "--images", pinned / "turned")
    assert (done.code, "set the stream back" in done.err) == (2, True)
    (pinned / "half").mkdir()
    (pinned / "half" / "gate.jpg").write_bytes(cv2.imencode(".jpg", picture(2))[1].tobytes()[:9000])
    done = call("check", "yard", "--root", pinned, "--images", pinned / "half")
    assert (done.code, "cut short" in done.err) == (2, True)
    done = call("check", "yard", "--root", pinned, "--plot", pinned / "drift.png")
    assert (done.code, "give their folder as --images" in done.err) == (2, True)
    done = call("check", "yard", "--root", pinned, "--images", pinned / "nowhere")
    assert (done.code, "there is no such folder" in done.err) == (2, True)


def test_a_camera_without_a_reference_is_named(tmp_path: Path, call: Call) -> None:
    pose = look_at(np.array([0.0, -15.0, 5.0]), np.zeros(3))
    site = Site("yard", (Camera("gate", LENS, (640, 360), pose),), SiteMap((Level("ground", (Surface(),)),)))
    save_site(site, tmp_path)
    write(tmp_path / "now", "gate.png", picture(2))
    done = call("check", "yard", "--root", tmp_path, "--images", tmp_path / "now")
    assert (done.code, "no reference of camera 'gate' is pinned" in done.err) == (2, True)


def test_an_extractor_that_cannot_be_had_is_refused_by_name(pinned: Path, call: Call) -> None:
    write(pinned / "now", "gate.png", picture(2))
    asked = ("check", "yard", "--root", pinned, "--images", pinned / "now")
    bare = call(*asked, "--extractor", "disk")
    assert (bare.code, "extractor 'disk': needs the file of its weights" in bare.err) == (2, True)
    other = call(*asked, "--extractor", "sift")
    assert (other.code, "'sift'" in other.err) == (2, True)
    alone = call("check", "yard", "--root", pinned, "--extractor", "disk")
    assert (alone.code, "--extractor is about images" in alone.err) == (2, True)
