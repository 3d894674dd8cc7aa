"""`tools/accuracy.py` runs what is there, says what it skips, and prints nothing else."""

import gzip
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIELDS = ["recording", "part", "figure", "value", "low", "high", "unit", "protocol"]


def accuracy(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools" / "accuracy.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300, check=False)


def test_absent_recordings_are_skipped_with_a_word(tmp_path: Path) -> None:
    done = accuracy("wildtrack", "--data", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert "wildtrack: skipped" in done.stderr


def test_broken_recording_is_named_and_fails(tmp_path: Path) -> None:
    (tmp_path / "multiviewx").mkdir()
    done = accuracy("multiviewx", "--data", str(tmp_path), "--json")
    assert (done.returncode, json.loads(done.stdout)) == (1, [])
    assert "multiviewx: failed: " in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_drawn_needs_no_recording(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    tool = importlib.import_module("accuracy")
    monkeypatch.setitem(tool.DRAWN, "drawn_calibration", list)
    assert tool.main(["drawn_calibration", "--data", str(tmp_path / "none"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("arguments", [("nowhere",), ("wildtrack", "--data", "/no/such/folder")])
def test_wrong_calls_end_with_two(arguments: tuple[str, ...]) -> None:
    assert accuracy(*arguments).returncode == 2


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("wildtrack", {"moda", "modp", "precision", "recall", "nees", "moda_offline", "moda_fusion", "moda_peer"}),
        ("multiviewx", {"position_error_median_m", "moda", "id_switches"}),
        ("cmc", {"people_mean", "people_mean_peer", "agreement_idf1"}),
    ],
)
def test_json_has_every_asked_figure_once_a_part(name: str, asked: set[str], recording) -> None:
    done = accuracy(name, "--data", str(recording(name).parent), "--json")
    figures = json.loads(done.stdout)
    assert done.returncode == 0
    assert all(list(figure) == FIELDS for figure in figures)
    assert asked <= {figure["figure"] for figure in figures}
    keys = [(figure["part"], figure["figure"]) for figure in figures]
    assert len(keys) == len(set(keys))
    for figure in figures:
        if figure["low"] is not None:
            assert figure["low"] <= figure["value"] <= figure["high"]


def test_another_part_is_named_and_a_peer_of_other_frames_is_left_out(recording, tmp_path: Path) -> None:
    there, here = recording("wildtrack"), tmp_path / "wildtrack"
    here.mkdir()
    for name in ("calibrations", "positions.txt"):
        (here / name).symlink_to(there / name)
    boxes = json.loads((there / "mvdetr_boxes.json").read_text())
    keys = sorted(boxes, key=int)[:3]
    (here / "mvdetr_boxes.json").write_text(json.dumps({key: boxes[key] for key in keys}))
    (here / "mvdet_positions.txt").write_text("0 100 100\n")
    done = accuracy("wildtrack", "--data", str(tmp_path), "--json")
    figures = json.loads(done.stdout)
    assert {figure["part"] for figure in figures} == {f"frames {5 * int(keys[0])}-{5 * int(keys[-1])}"}
    assert not any(figure["figure"].endswith("_peer") for figure in figures)
    assert "peer figures are left out" in done.stderr


def test_one_camera_of_cityflow_has_no_disagreement_to_report(recording, tmp_path: Path) -> None:
    there, here = recording("cityflow"), tmp_path / "cityflow"
    (here / "gt").mkdir(parents=True)
    for path in (there / "calibration", *there.glob("cam_timestamp*"), *there.glob("c*.jpg")):
        (here / path.name).symlink_to(path)
    text = b"".join(gzip.decompress(file.read_bytes()) for file in there.glob("gt/*.gz")).decode()
    rows = text.splitlines(keepends=True)
    camera = rows[0].split()[0]
    part = "".join(line for line in rows if line.split()[0] == camera and int(line.split()[2]) < 200)
    (here / "gt" / "S01_c002.txt.gz").write_bytes(gzip.compress(part.encode()))
    done = accuracy("cityflow", "--data", str(tmp_path), "--json")
    assert [figure["figure"] for figure in json.loads(done.stdout)] == [
        "mc_idf1_true_boxes",
        "mc_idf1_true_boxes_linked",
    ]
    assert "cross_camera figures are left out" in done.stderr
