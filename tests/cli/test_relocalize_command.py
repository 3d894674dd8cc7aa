"""`geoloc landmarks` and `geoloc relocalize` on pictures of a drawn floor, and on files that are no such pictures."""

import json
from argparse import Namespace
from dataclasses import replace
from shutil import copy

import cv2
import numpy as np
import pytest
from PIL import Image

from geoloc.cli.landmark_frame import aids_of
from geoloc.cli.main import main
from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum, geodetic_from_enu
from geoloc.geometry.se3 import look_at
from geoloc.io.picture_fixes import exif_fix, read_picture_fixes
from geoloc.relocalize.landmark_storage import load_landmarks
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, SiteMap, Surface
from geoloc.scene.storage import load_site, save_cameras, save_site

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


def test_a_picture_is_placed_by_landmarks_marked_by_name(tmp_path, capsys):
    points = np.random.default_rng(5).uniform([0, 0, 0], [9, 9, 3], (9, 3))
    control = tuple(ControlPoint(f"lamp {i}", tuple(xyz), (0.01,) * 3) for i, xyz in enumerate(points.tolist()))
    gate = Camera("gate", LENS, SIZE, look_at([0, 0, 5], [5, 5, 0]))
    save_site(Site("lot", (gate,), SiteMap(control_points=control)), tmp_path)
    true = Camera("q", LENS, SIZE, look_at([-6.0, -4.0, 2.0], [5, 5, 1]))
    pixels = true.project(points)
    rows = [f"lamp {i},{u},{v}" for i, (u, v) in enumerate(pixels.tolist())]
    marks = tmp_path / "marks.csv"
    marks.write_text("\n".join(["name,u,v", *rows]))
    root = ["--root", str(tmp_path)]
    assert main(["relocalize", "lot", "--named", str(marks), "--camera", "gate", "--json", *root]) == 0
    found = json.loads(capsys.readouterr().out)
    assert np.linalg.norm(np.array(found["position_m"]) - true.centre_world) < 0.05
    assert found["agree"] == [point.name for point in control]
    assert main(["relocalize", "lot", "--named", str(marks), "--size", "480x360", *root]) == 0
    assert "9 of 9 marks agree" in capsys.readouterr().out
    assert main(["relocalize", "lot", "--names", *root]) == 0
    assert "lamp 8," in capsys.readouterr().out
    assert main(["relocalize", "lot", "--named", str(marks), *root]) == 2
    assert "--size 1920x1080" in capsys.readouterr().err
    marks.write_text("\n".join(["name,u,v", *rows[:3], "lamb 4,5,5"]))
    assert main(["relocalize", "lot", "--named", str(marks), "--size", "480x360", *root]) == 2
    assert "did you mean" in capsys.readouterr().err
    marks.write_text("\n".join(["name,u,v", *rows[:3]]))
    assert main(["relocalize", "lot", "--named", str(marks), "--camera", "gate", *root]) == 2
    assert "3 named landmarks are marked; it takes 4" in capsys.readouterr().err


def test_pictures_of_one_walk_carry_one_that_is_black(site, capsys, tmp_path):
    root, true = site
    for i, name in enumerate(("query.png", "black.png", "query.png")):
        copy(root / name, tmp_path / f"{i}.png")
    still = ["--camera", "c0", "--still"]
    assert run(root, tmp_path, *still, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["carried"] for one in found["images"]] == [False, True, False]
    assert found["answered"] == 3
    for one in found["images"]:
        assert np.linalg.norm(np.array(one["position_m"]) - true.centre_world) < 0.1
    assert run(root, tmp_path, *still) == 0
    assert "1.png: x" in capsys.readouterr().out
    assert run(root, root / "elsewhere.png", root / "black.png") == 2
    assert "2 pictures: all refused" in capsys.readouterr().err


def test_a_rig_names_its_cameras_by_folder_or_name(site, capsys, tmp_path):
    root = site[0]
    save_cameras((Camera("left", LENS, SIZE), Camera("right", LENS, SIZE)), tmp_path / "rig.json")
    for folder in ("left", "right"):
        (tmp_path / folder).mkdir()
    copy(root / "query.png", tmp_path / "left" / "a.png")
    copy(root / "black.png", tmp_path / "right_b.png")
    rig = ["--rig", tmp_path / "rig.json", "--json"]
    assert run(root, tmp_path / "left", tmp_path / "right_b.png", *rig) == 0
    found = json.loads(capsys.readouterr().out)["images"]
    # both cameras sit at one place of the rig: the dark one is where the other is
    assert found[0]["position_m"] == pytest.approx(found[1]["position_m"], abs=1e-3)
    copy(root / "query.png", tmp_path / "up.png")
    assert run(root, tmp_path / "up.png", *rig) == 2
    assert "camera of the rig (left, right)" in capsys.readouterr().err


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """A site with a datum and no camera, pictures of a walk over its floor, and where the walk truly was."""
    root, rng = tmp_path_factory.mktemp("walk"), np.random.default_rng(3)
    texture = floor_texture(rng)
    centres = np.array([(3 + 1.2 * i, 4 + 2.5 * (i % 2), 3.0 + 0.3 * (i % 3)) for i in range(5)])
    cameras = [Camera(f"w{i}", LENS, SIZE, look_at(at, np.array([6.0, 6.0, 0.0]))) for i, at in enumerate(centres)]
    datum = Datum(47.0, 8.0, 400.0)
    save_site(Site("walk", (), SiteMap(datum=datum)), root)
    (root / "pictures").mkdir()
    lat, lon, height = geodetic_from_enu(datum, centres)
    rows = ["image,lat,lon,alt,sigma"]
    for i, camera in enumerate(cameras):
        seen = Image.fromarray(picture(camera, texture, rng))
        exif = Image.Exif()
        exif[0x8825] = {1: "N", 2: parts(lat[i]), 3: "E", 4: parts(lon[i]), 31: 0.5}
        seen.save(root / "pictures" / f"w{i}.png", exif=exif)
        rows.append(f"w{i}.png,{lat[i]:.9f},{lon[i]:.9f},{height[i]:.4f},0.2")
    (root / "fixes.csv").write_text("\n".join(rows))
    return root, cameras


def parts(degrees):
    """Degrees, minutes, seconds, as EXIF has them."""
    minutes = degrees % 1 * 60
    return (float(int(degrees)), float(int(minutes)), minutes % 1 * 60)


@pytest.mark.slow
def test_a_walk_is_brought_to_the_site_by_gps_and_marked_points(walked, capsys):
    pytest.importorskip("pycolmap")
    root, cameras = walked
    words = ["landmarks", "walk", str(root / "pictures"), "--root", str(root), "--json"]
    assert main([*words, "--gps", "exif", "--held", "3.3"]) == 0
    told = json.loads(capsys.readouterr().out)["aligned"]
    assert (told["fixes"], told["contradicted"]) == (5, [])
    assert 0.1 < told["sigma_m"] < 0.6
    found = load_landmarks(root / "calibration" / "walk" / "landmarks.npz")
    for camera in found.cameras:
        true = next(each for each in cameras if each.name == camera.name)
        assert np.linalg.norm(camera.centre_world - true.centre_world) < 0.6  # measured 0.2: heights by hand
    assert found.frame.cov[3, 3] > 0
    asked = Namespace(points=None, gps=str(root / "fixes.csv"), held=1.6)
    aids = aids_of(asked, load_site("walk", root), [])
    for camera in cameras:
        np.testing.assert_allclose(aids.places[camera.name], camera.centre_world, atol=1e-3)
    assert main(words) == 2
    assert "control points (--points) or GPS (--gps)" in capsys.readouterr().err


def test_fixes_that_cannot_be_are_left_out(walked, tmp_path):
    root = walked[0]
    assert exif_fix(root / "pictures" / "w0.png").sigma == 0.5
    Image.new("L", (80, 80)).save(tmp_path / "bare.png")
    assert exif_fix(tmp_path / "bare.png") is None
    (tmp_path / "text.jpg").write_text("no picture")
    with pytest.raises(InputError, match="no picture that can be read"):
        exif_fix(tmp_path / "text.jpg")
    (tmp_path / "f.csv").write_text("image,lat,lon,sigma\na.jpg,47,8,\nb.jpg,95,8,1\na.jpg,47,8,1\nc.jpg,47,8,-1\n")
    fixes, report = read_picture_fixes(tmp_path / "f.csv")
    assert [(fix.name, fix.sigma) for fix in fixes] == [("a", 5.0)]
    assert report.n_skipped == 3


def test_a_map_is_updated_in_place_and_left_alone_where_nothing_is_placed(site, capsys, tmp_path):
    root, _ = site
    rng = np.random.default_rng(4)
    cameras = load_site("floor", root).cameras
    texture = floor_texture(np.random.default_rng(11))
    own = root / "calibration" / "floor" / "landmarks.npz"
    other = tmp_path / "new.npz"
    for camera in cameras[:3]:
        cv2.imwrite(str(tmp_path / f"{camera.name}.png"), picture(camera, texture, rng))
    words = ["landmarks", "floor", str(tmp_path), "--update", "--root", str(root)]
    before = own.read_bytes()
    assert main([*words, "-o", str(other), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (own.read_bytes(), told["file"]) == (before, str(other))
    assert told["confirmed"] > 0.8 * told["looked_for"]
    assert min(told["pictures"].values()) > 0.5
    assert load_landmarks(other).presence.max() > 0.84
    for camera in cameras[:3]:
        copy(root / "elsewhere.png", tmp_path / f"{camera.name}.png")
    assert main(words) == 2
    assert "no picture could be placed" in capsys.readouterr().err
    assert own.read_bytes() == before
