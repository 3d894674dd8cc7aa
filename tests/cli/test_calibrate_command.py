"""`geoloc calibrate`: from marks to cameras that are kept as versions; what cannot be calibrated stays as it was."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done

from geoloc.calibrate.changes import compare
from geoloc.io.marks import write_marks
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint
from geoloc.scene.storage import calibration_folder, load_site, save_site
from geoloc.synthetic import garage

CAMERAS = ("p1-aisle-s-east", "p1-aisle-s-west")


def surveyed() -> Site:
    """Two cameras of the garage, with a corner of every other stall surveyed."""
    site = garage().site
    points = list(site.site_map.control_points)
    for stall in site.site_map.stalls[::2]:
        xy = np.array(stall.polygon.exterior.coords[0])[:2]
        z = site.site_map.level(stall.level).z_at(xy[None])[0]
        points.append(ControlPoint(f"corner of {stall.name}", (*xy.tolist(), float(z))))
    site_map = replace(site.site_map, control_points=tuple(points))
    return Site("garage", tuple(site.camera(name) for name in CAMERAS), site_map)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site on disk, with marks of one pixel in both cameras."""
    site, rng = surveyed(), np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("site")
    save_site(site, folder)
    xyz = np.array([point.xyz for point in site.site_map.control_points])
    names = np.array([point.name for point in site.site_map.control_points])
    level = np.array([site.site_map.level_index["P1" if z < 1.5 else "P2"] for z in xyz[:, 2]])
    tables = []
    for number, camera in enumerate(site.cameras):
        pixel = camera.project(xyz)
        seen = np.isfinite(pixel).all(axis=1)
        seen[seen] = camera.inside(pixel[seen])
        seen &= site.visibility.sees(np.full(len(xyz), number), level, xyz[:, :2])
        rows = rng.permutation(np.flatnonzero(seen))[:20]
        noisy = pixel[rows] + rng.normal(0, 1, (len(rows), 2))
        tables.append(Marks(camera=np.full(len(rows), camera.name), point=names[rows], pixel=noisy))
    write_marks(calibration_folder("garage", folder) / "marks.csv", Marks.concat(tables))
    return folder


def test_marks_become_cameras_a_page_and_a_version(call: Callable[..., Done], root: Path) -> None:
    before = load_site("garage", root)
    page = root / "report.html"
    done = call("calibrate", "garage", "--root", root, "-o", page, "--author", "ann", "--note", "first marks")
    assert done.code == 0, done.err
    for word in ("where to mark next", "what changed", "left out px", *CAMERAS):
        assert word in done.out, word
    assert "version 2" in done.err
    assert page.stat().st_size > 50_000
    after = load_site("garage", root)
    for name in CAMERAS:
        change = compare(before.camera(name), after.camera(name), before.site_map)
        assert change.shift_median_m < 0.1, str(change)  # m; measured 0.02 and 0.01
        assert after.camera(name).calib_cov.any()
    listed = call("calibrate", "garage", "--root", root, "--versions").out
    assert "by ann: first marks" in listed
    assert "as found" in listed


def test_one_camera_is_redone_and_the_other_stays(call: Callable[..., Done], root: Path) -> None:
    before = load_site("garage", root)
    done = call("calibrate", "garage", "--root", root, "--camera", CAMERAS[0])
    assert done.code == 0, done.err
    after = load_site("garage", root)
    assert np.array_equal(after.camera(CAMERAS[1]).calib_cov, before.camera(CAMERAS[1]).calib_cov)
    assert CAMERAS[0] in done.out


def test_a_dry_run_writes_nothing_and_rolling_back_brings_the_old_cameras(
    call: Callable[..., Done], root: Path
) -> None:
    cameras = calibration_folder("garage", root) / "cameras.json"
    kept = cameras.read_bytes()
    assert call("calibrate", "garage", "--root", root, "--dry-run").code == 0
    assert cameras.read_bytes() == kept
    done = call("calibrate", "garage", "--root", root, "--roll-back", 1, "--author", "ann")
    assert done.code == 0, done.err
    assert "back to version 1" in done.out
    assert np.allclose(load_site("garage", root).camera(CAMERAS[0]).centre_world, surveyed().cameras[0].centre_world)


def test_what_is_missing_is_asked_for(call: Callable[..., Done], tmp_path: Path) -> None:
    save_site(surveyed(), tmp_path)
    done = call("calibrate", "garage", "--root", tmp_path)
    assert done.code == 2
    assert "geoloc mark garage" in done.err
    marks = Marks(camera=["door"], point=["ramp head"], pixel=[[5.0, 5.0]])
    write_marks(calibration_folder("garage", tmp_path) / "marks.csv", marks)
    done = call("calibrate", "garage", "--root", tmp_path)
    assert done.code == 2
    assert "'door' is marked" in done.err
    done = call("calibrate", "garage", "--root", tmp_path, "--roll-back", 4)
    assert done.code == 2
    assert "no version 4" in done.err
