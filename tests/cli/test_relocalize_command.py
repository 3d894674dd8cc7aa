"""`geoloc landmarks` and `geoloc relocalize` on pictures of a drawn floor, and on files that are no such pictures."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from geoloc.cli.main import main
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.storage import save_cameras, save_site

SIZE, LENS = (480, 360), Pinhole(np.array([420.0, 420.0, 239.5, 179.5]))
TEXEL = 0.01  # m


def floor_texture(rng):
    noise = sum(cv2.GaussianBlur(rng.normal(size=(1200, 1200)), (0, 0), s) * s for s in (1.5, 4, 12))
    return np.clip(128 + 45 * noise / noise.std(), 0, 255).astype(np.uint8)


def picture(camera, texture, rng):
    """What a camera over the floor z = 0 sees of it."""
    matrix = camera.cam_from_world.as_matrix()[:3]
    k = np.array([[420.0, 0, 239.5], [0, 420.0, 179.5], [0, 0, 1]])
    pixel_from_texel = k @ matrix[:, [0, 1, 3]] @ np.diag([TEXEL, TEXEL, 1.0])
    seen = cv2.warpPerspective(texture, pixel_from_texel, SIZE, flags=cv2.INTER_AREA).astype(float)
    return np.clip(seen + rng.normal(0, 1.5, seen.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("floor"), np.random.default_rng(11)
    texture = floor_texture(rng)
    centres = rng.uniform([3, 3, 3.0], [9, 9, 4.0], (6, 3))
    cameras = [
        Camera(f"c{i}", LENS, SIZE, look_at(at, np.array([6.0, 6.0, 0]) + 0.3 * rng.normal(size=3)))
        for i, at in enumerate(centres)
    ]
    level = Level("ground", (Surface(plane=(0.0, 0.0, 0.0)),))
    save_site(Site("floor", tuple(cameras[:5]), SiteMap(levels=(level,))), root)
    (root / "stills").mkdir()
    for camera in cameras[:5]:
        cv2.imwrite(str(root / "stills" / f"{camera.name}.png"), picture(camera, texture, rng))
    cv2.imwrite(str(root / "query.png"), picture(cameras[5], texture, rng))
    other = picture(replace(cameras[5]), floor_texture(rng), rng)
    cv2.imwrite(str(root / "elsewhere.png"), other)
    cv2.imwrite(str(root / "black.png"), np.zeros(SIZE[::-1], np.uint8))
    cv2.imwrite(str(root / "white.png"), np.full(SIZE[::-1], 255, np.uint8))
    cv2.imwrite(str(root / "tiny.png"), other[:20, :20])
    cv2.imwrite(str(root / "mirrored.png"), picture(cameras[5], texture, rng)[:, ::-1])
    cv2.imwrite(str(root / "noise.png"), rng.integers(0, 255, SIZE[::-1], np.uint8))
    cv2.imwrite(str(root / "huge.png"), np.full((80, 20_001), 90, np.uint8))
    (root / "half.jpg").write_bytes(cv2.imencode(".jpg", other)[1].tobytes()[:9000])
    (root / "cut.png").write_bytes((root / "query.png").read_bytes()[:40])
    (root / "text.png").write_text("no picture")
    assert main(["landmarks", "floor", str(root / "stills"), "--root", str(root), "--json"]) == 0
    return root, cameras[5]


def run(root, *words):
    return main(["relocalize", "floor", *map(str, words), "--root", str(root)])


def test_a_picture_is_placed_on_the_map(site, capsys):
    root, true = site
    capsys.readouterr()
    assert run(root, root / "query.png", "--camera", "c0", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    error = np.linalg.norm(np.array(found["position_m"]) - true.centre_world)
    assert error < 0.03  # measured 0.004 m
    assert error < 5 * np.linalg.norm(found["position_sigma_m"])
    assert (found["answered"], found["level"]) == (True, "ground")
    assert run(root, root / "query.png", "--camera", "c0") == 0
    out = capsys.readouterr().out
    assert "level ground (100%)" in out
    assert "probability 1.000" in out


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("elsewhere.png", "is it of this site?"),
        ("black.png", "the picture is black"),
        ("white.png", "overexposed"),
        ("tiny.png", "64 px a side"),
        ("mirrored.png", "is it of this site?"),
        ("noise.png", "is it of this site?"),
        ("huge.png", "huge.png: the picture has 20001 x 80 px"),
        ("half.jpg", "cut short"),
        ("cut.png", "cut short"),
        ("text.png", "not a picture that can be read"),
        ("nothing.png", "no such file"),
        ("stills", "holds 5 pictures"),
    ],
)
def test_what_cannot_be_placed_is_refused_in_one_line(site, capsys, file, said):
    assert run(site[0], site[0] / file) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_pictures_of_known_pose_join_the_map(site, capsys, tmp_path):
    root, true = site
    save_cameras((replace(true, name="query.png"),), tmp_path / "more.json")
    words = [str(root / "stills"), str(root / "query.png"), "--root", str(root), "-o", str(tmp_path / "map.npz")]
    capsys.readouterr()
    assert main(["landmarks", "floor", *words, "--cameras", str(tmp_path / "more.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 6


def test_extractors_without_their_weights_are_refused(site, capsys):
    words = ["landmarks", "floor", str(site[0] / "stills"), "--root", str(site[0])]
    assert main([*words, "--extractor", "diks"]) == 2
    assert "did you mean 'disk'" in capsys.readouterr().err
    assert main([*words, "--extractor", "disk"]) == 2
    assert "needs the file of its weights" in capsys.readouterr().err
    assert main([*words, "--set", "matching.matcher=lightglue"]) == 2
    assert "needs the file of its weights" in capsys.readouterr().err


def test_a_refusal_is_json_too(site, capsys):
    assert run(site[0], site[0] / "black.png", "--json") == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["answered"], told["refusal"], told["hypotheses"]) == (False, "the picture is black", [])


def test_wrong_cameras_and_maps_are_named(site, capsys, tmp_path):
    root = site[0]
    assert run(root, root / "query.png", "--camera", "c9") == 2
    assert "'c9'" in capsys.readouterr().err
    assert run(root, root / "query.png", "--landmarks", root / "text.png") == 2
    assert "not a landmark map" in capsys.readouterr().err
    half = cv2.resize(cv2.imread(str(root / "stills" / "c0.png"), 0), (240, 180))
    cv2.imwrite(str(tmp_path / "c0.png"), half)
    assert main(["landmarks", "floor", str(tmp_path), "--root", str(root)]) == 2
    assert "give a still as it was calibrated" in capsys.readouterr().err
    assert run(root, tmp_path / "c0.png", "--camera", "c0") == 2
    assert "480 x 360" in capsys.readouterr().err
