"""`geoloc convert`: cameras, detections, tracks and recordings from one form to another."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_samples import START, Done, yard

from geoloc.io.detections import read_detections
from geoloc.scene.storage import load_site, save_site

Call = Callable[..., Done]


@pytest.fixture
def krtd(tmp_path: Path) -> Path:
    """The yard's gate camera as a KRTD file."""
    camera = yard().camera("gate")
    pose = camera.cam_from_world
    blocks = [[[800.0, 0, 639.5], [0, 800.0, 359.5], [0, 0, 1]], pose.rotation.as_matrix(), [pose.translation]]
    text = "\n\n".join("\n".join(" ".join(map(str, row)) for row in np.array(block).tolist()) for block in blocks)
    path = tmp_path / "gate2.krtd"
    path.write_text(text + "\n\n0\n")
    return path


def test_a_calibration_joins_a_site_with_the_uncertainty_that_is_stated(call: Call, root: Path, krtd: Path) -> None:
    words = ("--site", "yard", "--root", root, "--size", "1280", "720", "--pose-sigma", "0.001", "0.03")
    assert call("convert", "cameras", krtd, *words).code == 0
    site = load_site("yard", root)
    new, old = site.camera("gate2"), site.camera("gate")
    np.testing.assert_allclose(new.centre_world, old.centre_world, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(new.calib_cov)), [1e-3] * 3 + [0.03] * 3)
    assert len(site.cameras) == 3


def test_a_new_site_says_that_no_uncertainty_was_stated(call: Call, tmp_path: Path, krtd: Path) -> None:
    words = ("convert", "cameras", krtd, "--site", "lot", "--root", tmp_path, "--size", "1280", "720")
    assert call(*words).code == 2  # there is no such site yet
    done = call(*words, "--new", "--json")
    assert "--pose-sigma" in done.json["note"]
    assert load_site("lot", tmp_path).site_map.levels[0].name == "ground"
    again = call(*words, "--new")
    assert again.code == 2
    assert "there already" in again.err


def test_a_site_is_not_overwritten_by_a_new_one(call: Call, root: Path, krtd: Path) -> None:
    before = (root / "calibration" / "yard" / "cameras.json").read_bytes()
    done = call("convert", "cameras", krtd, "--site", "yard", "--root", root, "--new", "--size", "1280", "720")
    assert done.code == 2
    assert (root / "calibration" / "yard" / "cameras.json").read_bytes() == before


def test_boxes_of_a_foreign_form_become_csv(call: Call, tmp_path: Path) -> None:
    (tmp_path / "gate.txt").write_text("1,-1,11,21,30,60,0.9,-1,-1,-1\n2,-1,11,21,0,60,0.9,-1,-1,-1\n")
    words = ("--camera", "gate", "--fps", "10", "--start", str(START), "-o", tmp_path / "gate.csv")
    done = call("convert", "detections", tmp_path / "gate.txt", *words, "--json")
    assert done.json["rows"] == 1
    assert "1 x box has no positive width and height" in done.json["skipped"]
    boxes = read_detections(tmp_path / "gate.csv").detections
    assert boxes.camera.tolist() == ["gate"]
    assert boxes.time.tolist() == [START]


def test_what_a_form_needs_is_asked_for(call: Call, tmp_path: Path) -> None:
    (tmp_path / "gate.txt").write_text("1,-1,11,21,30,60,0.9,-1,-1,-1\n")
    done = call("convert", "detections", tmp_path / "gate.txt", "-o", tmp_path / "gate.csv")
    assert done.code == 2
    assert not (tmp_path / "gate.csv").exists()


def test_tracks_become_geojson_that_gis_opens(call: Call, root: Path) -> None:
    call("localize", "yard", root / "boxes.csv", "--root", root, "-o", root / "tracks.csv")
    done = call("convert", "tracks", "yard", root / "tracks.csv", "--root", root, "-o", root / "tracks.geojson")
    assert done.code == 0
    assert json.loads((root / "tracks.geojson").read_text())["type"] == "FeatureCollection"


def test_a_recording_becomes_a_site_and_boxes(call: Call, recording: Callable[[str], Path], tmp_path: Path) -> None:
    done = call("convert", "recording", "wildtrack", recording("wildtrack"), "-o", tmp_path, "--json")
    assert (done.code, done.json["cameras"]) == (0, 7)
    words = ("localize", "wildtrack", tmp_path / "boxes.csv", "--root", tmp_path, "-o", tmp_path / "tracks.csv")
    report = call(*words, "--json").json
    assert report["rows_read"] == done.json["rows"]
    assert 15 <= report["tracks"] <= 80  # about 20 people at a time, who come and go


def test_an_unknown_recording_is_refused_with_the_nearest(call: Call, tmp_path: Path) -> None:
    done = call("convert", "recording", "wildtrak", tmp_path, "-o", tmp_path)
    assert done.code == 2
    assert "did you mean 'wildtrack'?" in done.err


def test_saving_a_loaded_site_changes_nothing(root: Path) -> None:
    before = (root / "sitemaps" / "yard.geojson").read_bytes()
    save_site(load_site("yard", root), root)
    assert (root / "sitemaps" / "yard.geojson").read_bytes() == before
