"""`geoloc recompute`: a camera of a yard had moved for a while before it was found out."""

from dataclasses import replace

import pytest
from cli_samples import START, walkers, yard

from geoloc.cli.main import main
from geoloc.geometry.se3 import perturb
from geoloc.io.detection_writers import write_detections
from geoloc.pipeline.stored_state import load_state
from geoloc.scene.storage import load_site, save_site
from geoloc.scene.versions import list_versions, save_version

MOVED = START + 1.0


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("yard")
    site = yard()
    save_site(site, root)
    write_detections(root / "boxes.csv", walkers(site))
    words = ["localize", "yard", str(root / "boxes.csv"), "-o", str(root / "tracks.csv"), "--root", str(root)]
    assert main([*words, "--state", str(root / "state")]) == 0
    gate = site.cameras[0]
    turned = replace(gate, cam_from_world=perturb(gate.cam_from_world, [0, 0.02, 0, 0, 0, 0]))
    save_version("yard", site.with_cameras([turned]).cameras, root, "check", "moved", MOVED, doubted_from=MOVED - 0.5)
    return root


def test_what_rests_on_a_moved_camera_is_listed_flagged_and_worked_out_again(root, call):
    words = ["recompute", "yard", str(root / "state"), "--root", str(root)]
    told = call(*words, "--json").json
    (doubt,) = told["doubts"]
    assert (doubt["camera"], doubt["since"], doubt["start"], doubt["version"]) == ("gate", MOVED, MOVED - 0.5, 2)
    assert told["objects"] == 3
    flagged = call(*words, "--tracks", str(root / "tracks.csv"), "--flags", str(root / "doubt.csv"))
    assert "3 objects rest on these cameras then" in flagged.out
    rows = [line.split(",") for line in (root / "doubt.csv").read_text().splitlines()[1:]]
    assert {row[2] for row in rows if float(row[0]) < MOVED - 0.6} <= {"0"}
    assert {row[2] for row in rows if float(row[0]) > MOVED + 0.5} == {"1"}
    done = call(*words, "--out", str(root / "again"), "--json").json["again"]
    assert done["moved_median_m"] > 0.02
    assert done["refused"] == []
    assert load_state(load_site("yard", root), root / "again").time == pytest.approx(START + 3.9, abs=0.2)
    text = call(*words, "--out", str(root / "third")).out
    assert "it had moved by" in text
    assert "objects moved by" in text


def test_a_state_that_knew_all_along_is_in_no_doubt(root, call, tmp_path):
    save_site(yard(), tmp_path)
    words = ["--root", str(tmp_path), "--state", str(tmp_path / "state"), "-o", str(tmp_path / "o.csv")]
    assert call("localize", "yard", str(root / "boxes.csv"), *words).code == 0
    done = call("recompute", "yard", str(tmp_path / "state"), "--root", str(tmp_path))
    assert "nothing is in doubt" in done.out
    wrong = call("recompute", "yard", str(tmp_path / "state"), "--root", str(tmp_path), "--out", str(tmp_path / "x"))
    assert (wrong.code, "nothing to work out again" in wrong.err) == (2, True)
    assert call("recompute", "yard", str(root / "state"), "--root", str(root), "--flags", "x.csv").code == 2


def test_since_when_a_camera_may_have_moved_is_kept_with_the_version(root):
    versions = list_versions("yard", root)
    assert (versions[-1].valid_from, versions[-1].doubted_from) == (MOVED, MOVED - 0.5)
    assert versions[0].doubted_from == versions[0].valid_from
    path = root / "calibration" / "yard" / "versions" / "0002.json"
    text = path.read_text()
    early = text.replace('"schema": 2', '"schema": 1', 1).replace(f' "doubted_from": {MOVED - 0.5},\n', "")
    assert early.count("doubted_from") == 0
    path.write_text(early)
    assert list_versions("yard", root)[-1].doubted_from == MOVED
    path.write_text(text)
