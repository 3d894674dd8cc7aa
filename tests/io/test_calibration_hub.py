"""Every form of calibration, out and in again, by its pixels; and what a form does to broken files."""

import json
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from calibration_samples import HOLDS, LENSES, SIZE, cameras_for, homography_lens, options_for, ring, write_sample
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.geodesy import Datum
from geoloc.io.calibrations import (
    CAMERA_READERS,
    CAMERA_WRITERS,
    CameraOptions,
    CameraWriteOptions,
    read_cameras,
    write_cameras,
)
from geoloc.io.footprint_geojson import read_footprints
from geoloc.io.homographies import apply_homography
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap

PIXELS = 1e-6  # px
JUNK = [b"nan", b"1e999", b"[", b"]", b"{", b"<", b'"', b": ", b"\n", b"&a ", b"*a", b"- ", b"true", b"0", b"-"]
STATES_SIZE = {
    "opencv",
    "ros",
    "kalibr",
    "colmap",
    "colmap_binary",
    "nvidia",
    "anipose",
    "pose2sim",
    "caliscope",
    "tsai",
}
HELD = [(kind, lens) for kind in CAMERA_WRITERS for lens in HOLDS[kind]]
NOT_HELD = [(kind, lens) for kind in CAMERA_WRITERS for lens in (*LENSES, "homography") if lens not in HOLDS[kind]]


def assert_same_pixels(found: tuple[Camera, ...], given: tuple[Camera, ...], points: np.ndarray) -> None:
    assert [camera.name for camera in found] == [camera.name for camera in given]
    for new, old in zip(found, given, strict=True):
        assert new.size == old.size
        if old.is_homography:
            got, want = (apply_homography(camera.lens.matrix, points[:, :2]) for camera in (new, old))
        else:
            got, want = new.project(points), old.project(points)
            assert np.isfinite(want).any(axis=1).sum() > 20
        np.testing.assert_allclose(got, want, atol=PIXELS)


def read_back(path: Path, kind: str | None, given: tuple[Camera, ...], **more: object) -> tuple[Camera, ...]:
    size = (0, 0) if kind in STATES_SIZE else SIZE
    return read_cameras(path, kind, CameraOptions(size=size, known=given if kind == "ros" else (), **more))


@pytest.mark.parametrize(("kind", "lens"), HELD)
def test_cameras_come_back_by_their_pixels(tmp_path: Path, rng: np.random.Generator, kind: str, lens: str) -> None:
    given = cameras_for(kind, lens)
    points = rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    write_cameras(tmp_path / "out", given, kind)
    assert_same_pixels(read_back(tmp_path / "out", kind, given), given, points)


@pytest.mark.parametrize("kind", CAMERA_WRITERS)
def test_what_is_written_looks_like_what_it_is(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    given = cameras_for(kind, HOLDS[kind][0])
    points = rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    write_cameras(tmp_path / "out", given, kind)
    found = read_cameras(tmp_path / "out", options=CameraOptions(size=SIZE, known=given if kind == "ros" else ()))
    assert_same_pixels(found, given, points)


@pytest.mark.parametrize(("kind", "lens"), NOT_HELD)
def test_a_lens_that_a_form_cannot_hold_is_refused_by_name_and_nothing_is_written(
    tmp_path: Path, kind: str, lens: str
) -> None:
    good, bad = cameras_for(kind, HOLDS[kind][0])[0], cameras_for(kind, lens)[1]
    with pytest.raises(InputError, match=f"camera '{bad.name}'"):
        write_cameras(tmp_path / "out", (good, bad), kind)
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.parametrize("kind", CAMERA_WRITERS)
def test_lengths_in_centimetres_come_back_as_metres(tmp_path: Path, rng: np.random.Generator, kind: str) -> None:
    given = cameras_for(kind, HOLDS[kind][0])
    points = rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    write_cameras(tmp_path / "out", given, kind, CameraWriteOptions(metres=0.01))
    assert_same_pixels(read_back(tmp_path / "out", kind, given, metres=0.01), given, points)
    if kind not in ("ros", "homography"):  # the one has no pose, the other no distance
        (one, *_) = read_back(tmp_path / "out", kind, given)
        scale = np.linalg.norm(one.centre_world) / np.linalg.norm(given[0].centre_world)
        assert scale == pytest.approx(0.1 if kind == "tsai" else 100.0, rel=1e-9)


@pytest.mark.parametrize("kind", CAMERA_WRITERS)
def test_what_is_not_in_the_files_is_told(tmp_path: Path, kind: str) -> None:
    left_out = "; ".join(write_cameras(tmp_path / "out", cameras_for(kind, HOLDS[kind][0]), kind).left_out)
    assert ("sizes" in left_out) == (kind not in STATES_SIZE)
    assert ("calib_cov" in left_out) == (kind != "homography")
    assert ("poses" in left_out) == (kind in ("ros", "kalibr"))


@pytest.mark.parametrize("kind", CAMERA_READERS)
@pytest.mark.parametrize("share", [0.15, 0.5, 0.85])
def test_a_truncated_file_is_refused_with_its_name(tmp_path: Path, kind: str, share: float) -> None:
    path = write_sample(tmp_path, kind)
    files = (
        [path]
        if path.is_file()
        else sorted(file for file in path.rglob("*") if file.stem != "points3D" and file.is_file())
    )
    for file in files:
        content = file.read_bytes()
        if kind == "homography" and share > 0.8:
            continue  # nine numbers, the last of them short of digits: nothing tells
        file.write_bytes(content[: int(share * len(content))])
        with pytest.raises(InputError) as refused:
            read_cameras(path, kind, options_for())
        assert path.name in str(refused.value)
        file.write_bytes(content)
    read_cameras(path, kind, options_for())


@pytest.mark.parametrize("kind", CAMERA_READERS)
@pytest.mark.parametrize("other", CAMERA_READERS)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, kind: str, other: str) -> None:
    same = [{"anipose", "pose2sim"}, {"colmap", "colmap_binary"}]
    if kind == other or {kind, other} in same:
        return
    path = write_sample(tmp_path, other)
    with pytest.raises(InputError):
        read_cameras(path, kind, options_for())


@pytest.mark.parametrize("kind", [kind for kind in CAMERA_READERS if kind != "colmap_binary"])
@pytest.mark.parametrize("word", ["nan", "inf", "1e999", "x"])
def test_a_number_that_is_none_is_refused_wherever_it_stands(tmp_path: Path, kind: str, word: str) -> None:
    """Every number that the reader uses, one after the other."""
    path = write_sample(tmp_path, kind)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    used = 0
    for file in files:
        text = file.read_text()
        for match in re.finditer(r"(?<![\w.-])-?\d+\.\d+(e-?\d+)?(?![\w.])", text):
            file.write_text(text[: match.start()] + word + text[match.end() :])
            try:
                cameras = read_cameras(path, kind, options_for())
            except InputError as refused:
                used += path.stem in str(refused) or kind in str(refused)
            else:  # a number that the reader does not use
                assert all(np.isfinite(camera.lens.params).all() for camera in cameras)
                assert word not in str([camera.lens.params.tolist() for camera in cameras])
        file.write_text(text)
    assert used >= (1 if kind == "homography_latlon" else 4)


@pytest.mark.parametrize("kind", CAMERA_READERS)
def test_what_a_kind_needs_is_asked_for_by_name(tmp_path: Path, kind: str) -> None:
    """Each line taken out in turn: refused, or a camera with the pixels that it had."""
    path = write_sample(tmp_path, kind)
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    if kind in ("colmap_binary", "nvidia"):  # no lines; brackets that do not close
        return
    before = read_cameras(path, kind, options_for())
    for file in files:
        text = file.read_text()
        lines = text.splitlines(keepends=True)
        for i in range(len(lines)):
            file.write_text("".join(lines[:i] + lines[i + 1 :]))
            try:
                found = read_cameras(path, kind, options_for())
            except InputError:
                continue
            for new, old in zip(found, before, strict=True):
                np.testing.assert_allclose(new.lens.params[:4], old.lens.params[:4], atol=1e-3)
        file.write_text(text)


def test_one_camera_goes_into_the_file_that_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    (given, other, *_) = ring(LENSES["radtan5"])
    points = rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    for ending in ("yaml", "yml", "xml", "json"):
        path = tmp_path / f"gate-0.{ending}"
        assert write_cameras(path, (given,), "opencv").paths == (path,)
        assert_same_pixels(read_cameras(path), (given,), points)
        with pytest.raises(InputError, match="give a folder"):
            write_cameras(path, (given, other), "opencv")


@pytest.mark.parametrize("kind", sorted(CAMERA_WRITERS.keys() - {"xml_pairs", "colmap", "colmap_binary"}))
def test_an_ending_of_another_form_is_refused(tmp_path: Path, kind: str) -> None:
    (camera, *_) = cameras_for(kind, HOLDS[kind][0])
    with pytest.raises(InputError, match=r"unknown ending '\.png'"):
        write_cameras(tmp_path / "gate.png", (camera,), kind)


def test_a_name_that_is_no_files_name_is_refused(tmp_path: Path) -> None:
    (camera, *_) = ring(LENSES["pinhole"])
    climbing = Camera("../gate", camera.lens, camera.size, camera.cam_from_world)
    for kind in ("opencv", "krtd", "xml_pairs", "mv3dt", "ros", "tsai"):
        with pytest.raises(InputError, match="use letters"):
            write_cameras(tmp_path / "out", (climbing,), kind)
    assert not list(tmp_path.iterdir())


def test_names_with_marks_come_back(tmp_path: Path, rng: np.random.Generator) -> None:
    (camera, *_) = ring(LENSES["pinhole"])
    points = rng.uniform([-4, -4, 0], [4, 4, 2], (50, 3))
    odd = (Camera('Tor "süd": #1', camera.lens, camera.size, camera.cam_from_world),)
    for kind in ("kalibr", "colmap", "colmap_binary", "nvidia", "anipose"):
        write_cameras(tmp_path / kind, odd, kind)
        assert_same_pixels(read_cameras(tmp_path / kind, kind), odd, points)


def test_caliscope_says_which_name_became_which_number(tmp_path: Path) -> None:
    left_out = "; ".join(write_cameras(tmp_path, ring(LENSES["pinhole"]), "caliscope").left_out)
    assert "gate-1 is cam_1" in left_out


def test_a_file_of_lenses_alone_asks_for_the_poses(tmp_path: Path) -> None:
    cameras = ring(LENSES["radtan5"])
    write_cameras(tmp_path / "ros", cameras, "ros")
    with pytest.raises(InputError, match="calibrate its pose"):
        read_cameras(tmp_path / "ros")


def test_an_unknown_kind_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'kalibr'"):
        write_cameras(tmp_path, ring(LENSES["pinhole"]), "kalib")
    with pytest.raises(InputError, match="no camera to write"):
        write_cameras(tmp_path, (), "krtd")


def test_a_name_for_several_cameras_is_refused(tmp_path: Path) -> None:
    write_cameras(tmp_path / "out", ring(LENSES["pinhole"]), "anipose")
    with pytest.raises(InputError, match="can be of one only"):
        read_cameras(tmp_path / "out", options=CameraOptions(name="gate"))


def test_a_homography_in_centimetres_keeps_its_level(tmp_path: Path) -> None:
    lens = homography_lens()
    camera = Camera("h", lens, SIZE, homography_level="lot")
    write_cameras(tmp_path / "h.txt", (camera,), "homography")
    (found,) = read_cameras(tmp_path / "h.txt", options=CameraOptions(size=SIZE, level="lot", sigma_px=2.0))
    assert (found.homography_level, found.homography_sigma_px) == ("lot", 2.0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1), cut=st.floats(0, 1.2), patch=st.binary(max_size=5) | st.sampled_from(JUNK))
def test_damaged_calibrations_are_read_or_refused(tmp_path: Path, where: float, cut: float, patch: bytes) -> None:
    """A few bytes replaced, the end cut off: nothing but InputError, and no camera that is not finite."""
    for kind in CAMERA_READERS:
        folder = tmp_path / kind
        if not folder.exists():
            folder.mkdir()
            write_sample(folder, kind)
        sound = tmp_path / f"{kind}.sound"
        path = next(item for item in folder.iterdir() if not item.name.startswith("."))
        for file in [path] if path.is_file() else [item for item in sorted(path.rglob("*")) if item.is_file()]:
            sound.write_bytes(file.read_bytes())
            content = file.read_bytes()
            at = int(where * len(content))
            file.write_bytes((content[:at] + patch + content[at + len(patch) :])[: int(cut * len(content))])
            with suppress(InputError):
                for camera in read_cameras(path, kind, options_for()):
                    assert np.isfinite(camera.lens.params).all()
            file.write_bytes(sound.read_bytes())


def test_two_rows_of_a_rotation_that_are_swapped_are_refused(tmp_path: Path) -> None:
    given = ring(LENSES["pinhole"])[:1]
    write_cameras(tmp_path / "chain.yaml", given, "kalibr")
    lines = (tmp_path / "chain.yaml").read_text().splitlines(keepends=True)
    row = next(i for i, line in enumerate(lines) if line.startswith("  - ["))
    lines[row], lines[row + 1] = lines[row + 1], lines[row]
    (tmp_path / "chain.yaml").write_text("".join(lines))
    with pytest.raises(InputError, match="reflection"):
        read_cameras(tmp_path / "chain.yaml")
    write_cameras(tmp_path / "calibration.json", given, "nvidia")
    document = json.loads((tmp_path / "calibration.json").read_text())
    extrinsic = document["sensors"][0]["extrinsicMatrix"]
    extrinsic[0], extrinsic[1] = extrinsic[1], extrinsic[0]
    (tmp_path / "calibration.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="is not intrinsicMatrix x extrinsicMatrix"):
        read_cameras(tmp_path / "calibration.json")


def test_a_model_that_claims_more_rows_than_it_has_bytes_is_refused(tmp_path: Path) -> None:
    write_cameras(tmp_path, ring(LENSES["pinhole"]), "colmap_binary")
    for name in ("cameras.bin", "images.bin"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(b"\xff" * 7 + b"\x0f" + content[8:])
        with pytest.raises(InputError, match="more than its bytes can hold"):
            read_cameras(tmp_path)
        (tmp_path / name).write_bytes(content + b"\0")
        with pytest.raises(InputError, match="1 bytes follow"):
            read_cameras(tmp_path)
        (tmp_path / name).write_bytes(content)


def test_xml_that_blows_up_when_it_is_read_is_refused(tmp_path: Path) -> None:
    entities = "".join(f'<!ENTITY e{i + 1} "{f"&e{i};" * 10}">' for i in range(9))
    bomb = f'<!DOCTYPE x [<!ENTITY e0 "lol">{entities}]><Camera name="&e9;"/>'
    for kind in ("tsai", "qualisys", "opencv"):
        (tmp_path / "bomb.xml").write_text(bomb)
        with pytest.raises(InputError, match="XML breaks"):
            read_cameras(tmp_path / "bomb.xml", kind)


FEATURE = {
    "type": "Feature",
    "properties": {"camera": "gate", "level": "ground"},
    "geometry": {"type": "Polygon", "coordinates": [[[11.0, 48.0], [11.001, 48.0], [11.001, 48.001], [11.0, 48.0]]]},
}


def test_footprints_that_are_none_are_refused_by_their_row(tmp_path: Path) -> None:
    site_map = SiteMap(datum=Datum(48.0, 11.0, 500.0))
    path = tmp_path / "seen.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [FEATURE]}))
    (one,) = read_footprints(path, site_map)
    assert (one.camera, one.level) == ("gate", "ground")
    assert one.area.area == pytest.approx(0.5 * 74.6 * 111.2, rel=5e-3)  # m²: half of 0.001° by 0.001°
    swapped = [[[48.0, 11.0], [48.0, 11.001], [48.001, 11.001], [48.0, 11.0]]]
    for change, words in (
        ({"geometry": {"type": "Polygon", "coordinates": swapped}}, "longitude and latitude are swapped"),
        ({"geometry": {"type": "Point", "coordinates": [11.0, 48.0]}}, "Polygon or MultiPolygon"),
        ({"properties": {"camera": "gate", "level": "roof"}}, "unknown level 'roof'"),
        ({"properties": {"level": "ground"}}, "'camera'"),
    ):
        path.write_text(json.dumps({"type": "FeatureCollection", "features": [FEATURE, FEATURE | change]}))
        with pytest.raises(InputError, match=f"feature 1: .*{words}"):
            read_footprints(path, site_map)
    with pytest.raises(InputError, match="datum"):
        read_footprints(path, SiteMap())
