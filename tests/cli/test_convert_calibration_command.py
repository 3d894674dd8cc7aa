"""`geoloc convert calibration`: a site's cameras in other forms, and back through `geoloc convert cameras`."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import Done, yard

from geoloc.cli.convert_cameras import FOOTPRINTS, KINDS
from geoloc.io.calibrations import CAMERA_WRITERS
from geoloc.io.footprint_geojson import read_footprints
from geoloc.scene.footprint import footprints
from geoloc.scene.storage import load_site, save_site

Call = Callable[..., Done]
POINTS = np.array([[0.0, 0.0, 0.0], [2.0, -3.0, 1.0], [-4.0, 3.0, 0.5]])


def test_help_names_every_kind() -> None:
    assert set(KINDS.split(", ")) == {*CAMERA_WRITERS, FOOTPRINTS}


@pytest.mark.parametrize("kind", sorted(CAMERA_WRITERS.keys() - {"homography"}))
def test_cameras_leave_a_site_and_come_back(call: Call, root: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out" / kind
    done = call("convert", "calibration", "yard", "--root", root, "--to", kind, "-o", out, "--json")
    assert done.code == 0
    assert done.json["cameras"] == "gate, hall"
    assert "calib_cov" in done.json["left out"]
    back = tmp_path / "back"
    save_site(yard(), back)
    words = ("--site", "yard", "--root", back, "--size", "1280", "720", "--pose-sigma", "0.002", "0.03")
    assert call("convert", "cameras", out, *words).code == 0
    names = ("cam_0", "cam_1") if kind == "caliscope" else ("gate", "hall")
    for name, old in zip(names, yard().cameras, strict=True):
        new = load_site("yard", back).camera(name)
        np.testing.assert_allclose(new.project(POINTS), old.project(POINTS), atol=1e-6)
        assert new.calib_cov[0, 0] == pytest.approx(4e-6)


def test_only_the_named_cameras_are_written(call: Call, root: Path) -> None:
    out = root / "hall.krtd"
    words = ("convert", "calibration", "yard", "--root", root, "--to", "krtd", "-o", out)
    assert call(*words).code == 2  # two cameras into one file
    assert call(*words, "--camera", "hall").code == 0
    assert out.is_file()
    done = call(*words, "--camera", "hal")
    assert done.code == 2
    assert "did you mean 'hall'" in done.err


def test_footprints_are_what_the_cameras_see(call: Call, root: Path) -> None:
    out = root / "seen.geojson"
    done = call("convert", "calibration", "yard", "--root", root, "--to", "footprints", "-o", out, "--range", "40")
    assert done.code == 0
    features = json.loads(out.read_text())["features"]
    assert [feature["properties"]["camera"] for feature in features] == ["gate", "hall"]
    lon, lat = np.array(features[0]["geometry"]["coordinates"][0])[0, :2]
    assert (abs(lon - 11.0) < 0.001, abs(lat - 48.0) < 0.001) == (True, True)
    for found, seen in zip(read_footprints(out, yard().site_map), footprints(yard(), 40.0), strict=True):
        assert found.area.symmetric_difference(seen.area).area < 1e-3  # m², of 900 and more
        assert seen.area.area > 900.0


def test_footprints_of_a_site_without_a_datum_are_refused(call: Call, tmp_path: Path) -> None:
    save_site(yard(datum=False), tmp_path)
    words = ("convert", "calibration", "yard", "--root", tmp_path, "--to", "footprints", "-o", tmp_path / "s.geojson")
    done = call(*words)
    assert done.code == 2
    assert "datum" in done.err
    assert not (tmp_path / "s.geojson").exists()


def test_an_unknown_kind_is_refused_with_the_nearest(call: Call, root: Path) -> None:
    done = call("convert", "calibration", "yard", "--root", root, "--to", "colmp", "-o", root / "x")
    assert done.code == 2
    assert "did you mean 'colmap'?" in done.err
