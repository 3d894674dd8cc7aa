"""Questions with a picture: answered or refused in a process of their own, and bounded before they are unpacked."""

import json
import struct
import zlib

import cv2
import numpy as np
import pytest
from serve_samples import ALL, READER, make_service, plaza, running

from geoloc.geometry.se3 import look_at
from geoloc.retrieval.gallery import Gallery
from geoloc.retrieval.looks import Looks
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.storage import save_site
from geoloc.service.serve.options import ServeOptions

SMALL = ServeOptions(max_pixels=400_000, max_body=1 << 20)
SIZE, LENS, TEXEL = (480, 360), Pinhole(np.array([420.0, 420.0, 239.5, 179.5])), 0.01
COLOURS = ((40, 40, 210), (200, 120, 30), (60, 190, 60))


def floor(rng: np.random.Generator) -> np.ndarray:
    noise = sum(cv2.GaussianBlur(rng.normal(size=(1200, 1200)), (0, 0), s) * s for s in (1.5, 4, 12))
    return np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)


def picture(camera: Camera, texture: np.ndarray) -> np.ndarray:
    """What a camera over the floor z = 0 sees of it."""
    matrix = camera.cam_from_world.as_matrix()[:3]
    k = np.array([[420.0, 0, 239.5], [0, 420.0, 179.5], [0, 0, 1]])
    pixel_from_texel = k @ matrix[:, [0, 1, 3]] @ np.diag([TEXEL, TEXEL, 1.0])
    return cv2.warpPerspective(texture, pixel_from_texel, SIZE, flags=cv2.INTER_AREA)


def png(image: np.ndarray) -> bytes:
    return cv2.imencode(".png", image)[1].tobytes()


def bomb(width: int, height: int) -> bytes:
    """A small PNG that unpacks to many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * 10))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A service with landmarks of a floor and a gallery of three walkers, and a picture of the floor."""
    from geoloc.cli.main import main

    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(11)
    texture = floor(rng)
    centres, aims = rng.uniform([3, 3, 3.0], [9, 9, 4.0], (6, 3)), rng.normal(6.0, 0.3, (6, 3)) * [1, 1, 0]
    cameras = [
        Camera(f"c{i}", LENS, SIZE, look_at(at, to)) for i, (at, to) in enumerate(zip(centres, aims, strict=True))
    ]
    save_site(Site("floor", tuple(cameras[:5]), SiteMap(levels=(Level("ground", (Surface(),)),))), root)
    (root / "stills").mkdir()
    for camera in cameras[:5]:
        cv2.imwrite(str(root / "stills" / f"{camera.name}.png"), picture(camera, texture))
    assert main(["landmarks", "floor", str(root / "stills"), "--root", str(root), "-o", str(root / "map.npz")]) == 0
    with Gallery.open(root / "gallery", embedder="plain") as gallery:
        noise = rng.integers(0, 9, (3, 90, 36, 3), np.uint8)
        crops = list(np.array(COLOURS, np.uint8)[:, None, None] + noise)
        known = {"site": ["plaza"] * 3, "camera": ["c7"] * 3, "object": [1, 2, 3], "track": [1, 2, 3]}
        place = {"time": [1.0, 2.0, 3.0], "level": ["ground"] * 3, "label": ["person"] * 3, "quality": np.ones(3)}
        gallery.add(Looks(id=[-1] * 3, vector=np.zeros((3, 0), np.float32), **known, **place), crops)
    service = make_service(root / "state", SMALL)
    site = service.sites["plaza"]
    with running(root / "state", service=service) as live:
        site.landmarks, site.gallery = root / "map.npz", root / "gallery"
        yield live, cameras[5], picture(cameras[5], texture), crops


def post(live, what: str, body: bytes, token: str = ALL, kind: str = "image/png") -> tuple[int, dict]:
    status, said = live.ask(f"/v1/sites/plaza/{what}", token, "POST", body, Content_Type=kind)
    return status, json.loads(said)


def test_a_picture_is_placed_and_one_of_elsewhere_is_refused_with_the_reason(asked, rng):
    live, _, image, _ = asked
    status, said = post(live, "relocalize", png(image))
    assert (status, said["answered"]) == (200, True)
    status, said = post(live, "relocalize", png(rng.integers(0, 255, SIZE[::-1], np.uint8)))
    assert (status, said["answered"]) == (200, False)
    assert said["refusal"]


def test_a_picture_of_an_unknown_lens_is_placed_with_an_honest_sigma(asked):
    live, camera, image, _ = asked
    _, said = post(live, "relocalize", png(image))
    error = np.linalg.norm(np.array(said["position_m"]) - camera.centre_world)
    assert error < 5 * np.linalg.norm(said["position_sigma_m"])


def test_a_crop_finds_its_object(asked):
    live, _, _, crops = asked
    status, said = post(live, "search?k=2", png(crops[1]))
    assert status == 200
    assert said["matches"][0]["object"] == 2
    assert 0 <= said["not_here"] <= 1


@pytest.mark.parametrize(
    ("what", "body", "status", "why"),
    [
        ("relocalize", b"no picture", 400, "no JPEG or PNG"),
        ("relocalize", bomb(20_000, 20_000), 400, "400000 px"),
        ("search", bomb(8_000, 8_000), 400, "400000 px"),
        ("relocalize", png(np.zeros((64, 64), np.uint8))[:60], 400, "cut short"),
        ("relocalize", b"\x89PNG" * 400_000, 413, "bytes"),
        ("relocalize?camera=nobody", b"x", 400, "unknown camera"),
        ("relocalize?height=nan", b"x", 400, "metres"),
        ("search?k=0", b"x", 400, "1 to 100"),
        ("search", b"GIF89a", 400, "no JPEG or PNG"),
    ],
)
def test_what_is_no_picture_is_refused_before_it_is_unpacked(asked, what, body, status, why):
    found, said = post(asked[0], what, body)
    assert (found, why in said["error"]) == (status, True), said


def test_asking_with_pictures_has_scopes_of_its_own(asked):
    live, _, image, _ = asked
    assert post(live, "relocalize", png(image), READER)[0] == 403
    assert post(live, "search", png(image), READER)[0] == 403
    assert post(live, "search", png(image), ALL, "text/plain")[0] == 415


def test_a_site_without_a_map_of_landmarks_says_how_to_make_one(tmp_path):
    with running(tmp_path / "state") as live:
        assert "geoloc landmarks" in post(live, "relocalize", b"x")[1]["error"]
        assert plaza().name == "plaza"
