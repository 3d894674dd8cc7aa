"""`geoloc check`: what cameras see, and what is wrong with a site."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done, yard

from geoloc.cli.check import ground_sigmas
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography
from geoloc.scene.site import Site
from geoloc.scene.storage import save_site

Call = Callable[..., Done]


def test_every_camera_and_level_is_listed(call: Call, root: Path) -> None:
    done = call("check", "yard", "--root", root)
    assert done.code == 0
    assert "gate" in done.out
    assert "hall" in done.out
    assert "ground" in done.out


def test_what_two_cameras_see_is_no_more_than_what_one_sees(call: Call, root: Path) -> None:
    report = call("check", "yard", "--root", root, "--json").json
    level = report["levels"][0]
    areas = [camera["area_m2"] for camera in report["cameras"]]
    assert 0 < level["seen_twice_m2"] < min(areas)
    assert level["seen_m2"] == pytest.approx(sum(areas) - level["seen_twice_m2"])
    assert level["area_m2"] == 0  # the yard's ground has no edge
    assert [camera["height_m"] for camera in report["cameras"]] == pytest.approx([5.0, 5.0])


def test_bias_grows_with_the_calibrations_uncertainty_and_noise_does_not() -> None:
    site = yard()
    vague = site.with_cameras([replace(camera, calib_cov=9.0 * camera.calib_cov) for camera in site.cameras])
    noise, bias = ground_sigmas(site, 0)
    vague_noise, vague_bias = ground_sigmas(vague, 0)
    np.testing.assert_allclose(vague_noise, noise)
    assert 2.0 < np.median(vague_bias / bias) <= 3.0  # heights' part stays


def test_what_is_wrong_is_said(call: Call, tmp_path: Path) -> None:
    site = yard()
    up = replace(site.cameras[0], name="sky", cam_from_world=look_at(np.array([0.0, 0, 5]), np.array([0, 9.0, 50])))
    sure = replace(site.cameras[0], name="sure", calib_cov=np.zeros((6, 6)))
    lens = Homography(np.array([40.0, 0, 640, 0, -20, 500, 0, 0, 1]))
    flat = Camera("flat", lens, (1280, 720), homography_level="ground", homography_sigma_px=2.0)
    save_site(Site("yard", (up, sure, flat), site.site_map), tmp_path)
    report = call("check", "yard", "--root", tmp_path, "--json").json
    notes = {camera["name"]: " ".join(camera["notes"]) for camera in report["cameras"]}
    assert "sees no level" in notes["sky"]
    assert "states no calib_cov" in notes["sure"]
    assert "homography only" in notes["flat"]
    heights = {camera["name"]: camera["height_m"] for camera in report["cameras"]}
    assert heights["flat"] is None


def test_a_mesh_takes_from_what_is_seen(call: Call, root: Path) -> None:
    pytest.importorskip("open3d", reason="pip install 'geoloc[mesh]' (and libegl1 libusb-1.0-0) to test meshes")
    mesh = root / "wall.obj"
    mesh.write_text("v -30 -8 0\nv 30 -8 0\nv 30 -8 9\nv -30 -8 9\nf 1 2 3\nf 1 3 4\n")
    seen = []
    for words in ((), ("--mesh", mesh)):
        report = call("check", "yard", "--root", root, "--json", *words).json
        seen.append({camera["name"]: camera["area_m2"] for camera in report["cameras"]})
    bare, walled = seen
    assert walled["gate"] < 0.2 * bare["gate"]  # the wall stands before it


def test_a_mesh_that_is_not_there_is_named(call: Call, root: Path) -> None:
    done = call("check", "yard", "--root", root, "--mesh", root / "hall.ply")
    assert done.code == 2
    assert "hall.ply" in done.err or "geoloc[mesh]" in done.err
