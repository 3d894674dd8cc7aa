"""Sites on disk: what was saved comes back, what is wrong is named, and a file is whole or as it was."""

import contextlib
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import box
from site_files import assert_same_camera, assert_same_map, change

import geoloc
from geoloc.errors import InputError, UnknownNameError
from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.storage import load_cameras, load_site, save_cameras, save_site


def test_a_site_comes_back_as_it_was_saved(garage, tmp_path):
    save_site(garage, tmp_path)
    site = load_site("garage", tmp_path)
    assert site.name == "garage"
    for got, want in zip(site.cameras, garage.cameras, strict=True):
        assert_same_camera(got, want)  # every bit
    assert_same_map(site.site_map, garage.site_map, atol=1e-6)  # measured 4e-7 m


def test_saving_what_was_loaded_changes_no_byte(garage, tmp_path):
    save_site(garage, tmp_path / "one")
    save_site(load_site("garage", tmp_path / "one"), tmp_path / "two")
    for file in ("sitemaps/garage.geojson", "calibration/garage/cameras.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


@pytest.mark.parametrize("cut", [1, 40, 400, -3])
def test_a_truncated_file_is_called_cut_off(garage, tmp_path, cut):
    save_site(garage, tmp_path)
    for file in ("sitemaps/garage.geojson", "calibration/garage/cameras.json"):
        path = tmp_path / file
        whole = path.read_text()
        path.write_text(whole[:cut])
        with pytest.raises(InputError, match=rf"{path.name}: JSON breaks at line .* is it truncated\?"):
            load_site("garage", tmp_path)
        path.write_text(whole)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[1]", b"null", b"[" * 100000, b"1" * 5000])
def test_what_is_no_json_object_is_refused(content, tmp_path):
    path = tmp_path / "map.geojson"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"map\.geojson"):
        geoloc.load_map(path)
    with pytest.raises(InputError, match=r"map\.geojson"):
        load_cameras(path)


def camera_file(garage, tmp_path):
    path = tmp_path / "cameras.json"
    save_cameras((garage.camera("east"), garage.camera("plain")), path)
    return path, json.loads(path.read_text())


BAD_CAMERAS = {
    "unknown key": (("cameras", 0, "calib_covs"), [], "'calib_covs' of camera 'east'; did you mean 'calib_cov'"),
    "no name": (("cameras", 0, "name"), ..., "has no 'name'"),
    "unknown lens": (("cameras", 0, "lens", "model"), "fish", "unknown lens 'fish' of camera 'east'"),
    "unknown parameter": (("cameras", 0, "lens", "params", "k9"), 0.1, "'k9' of lens radial_tangential of camera 'e"),
    "missing parameter": (("cameras", 0, "lens", "params", "p1"), ..., "has no 'p1'|it takes 8"),
    "focal length as text": (("cameras", 0, "lens", "params", "fx"), "1e3", "'params'.* must be 9 numbers"),
    "no rotation": (("cameras", 0, "cam_from_world", "rotation", 0), [2, 0, 0], "off a rotation matrix by"),
    "mirror": (("cameras", 0, "cam_from_world", "rotation"), [[1, 0, 0], [0, 1, 0], [0, 0, -1]], "it mirrors"),
    "ragged covariance": (("cameras", 0, "calib_cov", 2), [1, 2], "it must be 8 by 8 numbers"),
    "negative covariance": (("cameras", 0, "calib_cov", 3, 3), -1.0, "negative variance -1"),
    "indefinite covariance": (("cameras", 0, "calib_cov", 0, 0), 1e-12, "its correlations have the eigenvalue -"),
    "asymmetric covariance": (("cameras", 0, "calib_cov", 0, 1), 0.5, "not symmetric|eigenvalue"),
    "infinite covariance": (("cameras", 0, "calib_cov", 0, 0), 1e999, "must be finite"),
    "freed nothing known": (("cameras", 0, "freed", 1), "k7", "'k7'"),
    "half a pixel": (("cameras", 0, "size"), [1920.5, 1080], "whole pixels"),
    "no size": (("cameras", 0, "size"), [0, 1080], "positive sizes"),
    "pose of a homography": (("cameras", 1, "cam_from_world"), {}, "'cam_from_world' of camera 'plain'"),
    "schema": (("schema",), 3, "is of schema 3"),
}


@pytest.mark.parametrize("hazard", BAD_CAMERAS)
def test_a_wrong_camera_is_refused_by_name(hazard, garage, tmp_path):
    path, document = camera_file(garage, tmp_path)
    keys, value, message = BAD_CAMERAS[hazard]
    path.write_text(json.dumps(change(document, keys, value)))
    with pytest.raises(InputError, match=message) as error:
        load_cameras(path)
    assert str(error.value).startswith(str(path))


def test_the_order_of_lens_parameters_in_the_file_does_not_matter(garage, tmp_path):
    path, document = camera_file(garage, tmp_path)
    params = document["cameras"][0]["lens"]["params"]
    document["cameras"][0]["lens"]["params"] = dict(reversed(params.items()))
    path.write_text(json.dumps(document))
    assert_same_camera(load_cameras(path)[0], garage.camera("east"))


def test_a_rounded_rotation_is_made_whole(garage, tmp_path):
    path, document = camera_file(garage, tmp_path)
    pose = document["cameras"][0]["cam_from_world"]
    pose["rotation"] = np.round(pose["rotation"], 8).tolist()
    path.write_text(json.dumps(document))
    rotation = load_cameras(path)[0].cam_from_world.rotation.as_matrix()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-14)


def test_a_camera_under_the_ground_is_named_with_its_depth(garage, tmp_path):
    buried = Camera(
        "mole", Pinhole(np.array([900.0, 900, 960, 540])), (1920, 1080), look_at([20, 15, -1.25], [30, 15, -2])
    )
    site = replace(garage, cameras=(buried,))
    message = r"camera 'mole' is 1\.25 m under the ground \(level 'L0' has z = 0\.00 m there\)"
    with pytest.raises(InputError, match=message):
        save_site(site, tmp_path)
    assert not (tmp_path / "sitemaps").exists()
    save_site(garage, tmp_path)
    save_cameras((buried,), tmp_path / "calibration" / "garage" / "cameras.json")
    with pytest.raises(InputError, match=message):
        load_site("garage", tmp_path)


def test_a_camera_between_two_floors_or_beside_the_building_is_not_under_the_ground(garage):
    pole = Camera("pole", Pinhole(np.array([900.0, 900, 960, 540])), (1920, 1080), look_at([-5, 0, -2], [10, 10, 0]))
    replace(garage, cameras=(*garage.cameras, pole)).require_cameras_above_ground()


def test_a_site_is_found_by_name_by_its_map_and_by_its_folder(garage, tmp_path):
    save_site(garage, tmp_path)
    assert load_site("garage", tmp_path).name == "garage"
    assert load_site(tmp_path / "sitemaps" / "garage.geojson").name == "garage"
    assert load_site(tmp_path).name == "garage"
    save_site(replace(garage, name="plaza"), tmp_path)
    with pytest.raises(InputError, match="holds the sites garage, plaza; say which"):
        load_site(tmp_path)
    with pytest.raises(UnknownNameError, match=r"'garagge' of .*; did you mean 'garage'"):
        load_site("garagge", tmp_path)
    with pytest.raises(UnknownNameError, match="known: none"):
        load_site("garage", tmp_path / "elsewhere")


def test_a_map_without_cameras_file_says_which_file_is_missing(garage, tmp_path):
    save_site(garage, tmp_path)
    (tmp_path / "calibration" / "garage" / "cameras.json").unlink()
    with pytest.raises(InputError, match=r"calibration/garage/cameras\.json: there is no such file"):
        load_site("garage", tmp_path)


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden", "a b"])
def test_a_site_whose_name_is_no_file_name_is_not_saved(name, tmp_path):
    with pytest.raises(InputError, match="it names files"):
        save_site(Site(name, ()), tmp_path)


def test_a_file_is_whole_or_as_it_was(garage, tmp_path, monkeypatch):
    save_site(garage, tmp_path)
    path = tmp_path / "sitemaps" / "garage.geojson"
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(InputError, match=r"cannot be written \(No space"):
        save_site(replace(garage, site_map=replace(garage.site_map, stalls=())), tmp_path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == ["garage.geojson"]


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 10_000))
def test_any_damage_is_refused_or_harmless(tmp_path_factory, patch, place):
    """Bytes overwritten anywhere: an InputError that names the file, or a site; never another error."""
    folder = tmp_path_factory.mktemp("damage")
    site_map = SiteMap(levels=(Level("g", (Surface((0, 0, 0), box(0, 0, 9, 9)),)),), datum=Datum(49, 16, 0))
    camera = Camera("c", Pinhole(np.array([900.0, 900, 960, 540])), (1920, 1080), look_at([1, 1, 5], [4, 4, 0]))
    save_site(Site("s", (camera,), site_map), folder)
    for file in ("sitemaps/s.geojson", "calibration/s/cameras.json"):
        content = bytearray((folder / file).read_bytes())
        start = place % len(content)
        content[start : start + len(patch)] = patch
        (folder / file).write_bytes(content)
    with contextlib.suppress(InputError):
        load_site("s", folder)
