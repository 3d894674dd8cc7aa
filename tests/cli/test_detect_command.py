"""`geoloc detect`: films in, boxes out; interrupted it goes on; bad input is named in one line."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from perception_sites import SIZE, car_park, empty_yard, mask_of, painted, with_noise

from geoloc.cli import detect_progress
from geoloc.cli.main import main
from geoloc.perception import in_step as steps
from geoloc.scene.storage import save_site

SET = ("--set", "explain.step=1.0", "--set", "rate=0")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory) -> Path:
    """A yard filmed by two cameras: a car drives in after two frames and stops."""
    folder, site = tmp_path_factory.mktemp("filmed"), car_park()
    save_site(site, folder)
    rng = np.random.default_rng(5)
    for camera in site.cameras:
        own = folder / "films" / camera.name
        own.mkdir(parents=True)
        yard = empty_yard(rng)
        (folder / "empty").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / "empty" / f"{camera.name}.png"), yard)
        for k in range(8):
            x = 6.0 - 1.5 * min(k - 2, 4)
            shown = painted(yard, mask_of(camera, ("car", x, 1.0, 0.0)), (150, 70, 40)) if k > 1 else yard
            cv2.imwrite(str(own / f"{1000 + k / 4:.2f}.png"), with_noise(shown, rng))
    return folder


def detect(filmed: Path, out: Path, *more: str) -> int:
    words = ["detect", "yard", str(filmed / "films"), "--root", str(filmed), "--empty", str(filmed / "empty")]
    return main([*words, "-o", str(out), *SET, *more])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_films_become_boxes_with_feet_that_localize_can_read(filmed, tmp_path, capsys) -> None:
    assert detect(filmed, tmp_path / "boxes.csv", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    found = rows(tmp_path / "boxes.csv")
    assert np.mean([row["label"] == "car" for row in found]) > 0.6  # while it comes in, half of it is something else
    assert {row["camera"] for row in found} == {"mast-0", "mast-1"}
    assert min(float(row["time"]) for row in found) == 1000.5
    assert all(float(row["foot_uu"]) > 0 for row in found)
    assert (report["frames"], report["boxes"], report["cameras"]) == (16, len(found), 2)
    assert json.loads((tmp_path / "boxes.run.json").read_text())["options"]["rate"] == 0


def test_an_interrupted_run_goes_on_and_ends_as_if_it_had_not_been(filmed, tmp_path, monkeypatch, capsys) -> None:
    whole, cut = tmp_path / "whole.csv", tmp_path / "cut.csv"
    assert detect(filmed, whole) == 0
    monkeypatch.setattr(detect_progress, "EVERY_S", -1.0)
    real, seen = steps._next, []

    def breaks(readers, waiting, name, last) -> None:
        seen.append(name)
        if len(seen) > 10:
            raise KeyboardInterrupt
        real(readers, waiting, name, last)

    monkeypatch.setattr(steps, "_next", breaks)
    assert detect(filmed, cut) == 130
    assert not cut.exists()
    monkeypatch.setattr(steps, "_next", real)
    assert detect(filmed, cut, "--set", "explain.reach=39") == 2  # other options: not the same run
    assert "--anew" in capsys.readouterr().err
    assert detect(filmed, cut, "--json") == 0
    assert json.loads(capsys.readouterr().out)["resumed"]
    assert cut.read_text() == whole.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["gate=films"], "unknown camera 'gate'"),
        (["nowhere.mp4"], "give it as CAMERA=nowhere.mp4"),
        (["mast-0=nowhere.mp4"], "there is no such film"),
        (["{root}/films", "--detector", "yolo"], "unknown detector 'yolo'"),
        (["{root}/films", "--detector", "onnx"], "needs a network"),
        (["{root}/films", "--empty", "{root}/films"], "name them CAMERA.jpg"),
        (["{root}/films", "-o", "boxes.xml"], "write boxes to .csv or .jsonl"),
    ],
)
def test_wrong_calls_end_with_one_line_that_says_what_to_do(filmed, tmp_path, capsys, words, said) -> None:
    words = [word.format(root=filmed) for word in words]
    out = [] if "-o" in words else ["-o", str(tmp_path / "boxes.csv")]
    assert main(["detect", "yard", *words, "--root", str(filmed), *out, *SET]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in error


def test_a_film_under_a_lens_cap_says_so(filmed, tmp_path, capsys) -> None:
    covered = tmp_path / "mast-0"
    covered.mkdir()
    for k in range(3):
        cv2.imwrite(str(covered / f"{1000 + k}.png"), np.full((SIZE[1], SIZE[0], 3), 60 + k, np.uint8))
    assert main(["detect", "yard", str(covered), "--root", str(filmed), "-o", str(tmp_path / "b.csv")]) == 2
    assert "a lens cap" in capsys.readouterr().err


def test_a_film_of_another_camera_is_refused_by_its_reference(filmed, tmp_path, capsys) -> None:
    site = tmp_path / "site"
    shutil.copytree(filmed, site)
    (site / "stills").mkdir()
    shutil.copy(site / "empty" / "mast-0.png", site / "stills" / "mast-0.png")
    assert main(["check", "yard", "--images", str(site / "stills"), "--pin", "--root", str(site)]) == 0
    source = f"mast-0={site / 'films' / 'mast-1'}"
    assert main(["detect", "yard", source, "--root", str(site), "-o", str(tmp_path / "b.csv")]) == 2
    assert "another camera's film" in capsys.readouterr().err
