"""`geoloc calibrate intrinsics` from a folder of stills to a camera and its picture."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "calibrate"))

from board_samples import LENS, SIZE, board_pose, render

from geoloc.cli import calibrate_intrinsics
from geoloc.errors import GeolocError, InputError
from geoloc.scene.storage import load_cameras

SPOTS = [(250, 180), (700, 180), (260, 450), (700, 450), (480, 320), (350, 330), (600, 320)]
TILTS = [(-30, 30, 5), (30, 25, 5), (-25, -30, 20), (35, -20, 10), (5, 5, 0), (0, 40, 15), (40, 0, 10)]


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> Path:
    """A folder of seven stills of a chessboard, and one of nothing."""
    folder = tmp_path_factory.mktemp("stills") / "gate"
    folder.mkdir()
    rng = np.random.default_rng(5)
    for i, (spot, tilt) in enumerate(zip(SPOTS, TILTS, strict=True)):
        cv2.imwrite(str(folder / f"{i}.png"), render(board_pose(LENS, spot, 0.55, tilt), rng=rng))
    cv2.imwrite(str(folder / "wall.png"), np.full((SIZE[1], SIZE[0]), 120, np.uint8))
    return folder


def call(*words: object) -> None:
    parser = ArgumentParser()
    calibrate_intrinsics.add_arguments(parser)
    calibrate_intrinsics.run(parser.parse_args([str(word) for word in words]))


def test_stills_become_a_camera_and_a_picture(stills, tmp_path, capsys) -> None:
    out = tmp_path / "gate.json"
    call(stills, "--board", "8x5", "--square", "0.04", "-o", out, "--json")
    said = json.loads(capsys.readouterr().out)
    (camera,) = load_cameras(out)
    assert camera.name == said["camera"] == "gate"
    assert camera.size == SIZE
    assert camera.lens.params.tolist() == list(said["params"].values())
    assert camera.calib_cov[6, 6] == pytest.approx(said["sigma"]["fx"] ** 2)
    assert said["params"]["fx"] == pytest.approx(700, abs=3)  # 0.5
    assert said["rms_px"] < 0.1  # 0.04
    assert "no whole board" in said["left_out"]["wall.png"]
    assert said["written"] == [str(out), str(tmp_path / "gate.png")]
    assert (tmp_path / "gate.png").read_bytes()[:4] == b"\x89PNG"


def test_text_says_what_was_left_out_and_what_to_do(stills, tmp_path, capsys) -> None:
    call(*sorted(stills.glob("*.png")), "--board", "8x5", "--square", "0.04", "-o", tmp_path / "a.json", "--name", "A")
    text = capsys.readouterr().out
    assert text.startswith("camera A: radial_tangential of 960 x 640 px from 7 of 8 pictures")
    assert "left out wall.png: shows no whole board of 8 x 5 inner corners" in text
    assert f"wrote {tmp_path / 'a.json'}" in text


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("--board", "8by5"), "give columns and rows"),
        (("--board", "8x5", "--model", "tele"), "unknown lens model 'tele'"),
        (("--board", "8x5", "--free", "f,q"), "'q' of lens radial_tangential"),
        (("--board", "8x5", "--frames", "0"), "give a number of frames"),
        (("--board", "8x5", "-o", "lens.yaml"), "written as .json"),
        (("--charuco", "8x5"), "must be smaller than the squares"),
        (("--board", "8x5", "--set", "centr=3"), "did you mean 'centre'"),
    ],
)
def test_wrong_calls_are_told_before_any_work(words, match, stills) -> None:
    with pytest.raises(GeolocError, match=match):
        call(stills / "wall.png", "--square", "0.04", *words)


def test_a_wall_is_no_board(stills) -> None:
    with pytest.raises(InputError, match="count the corners where four squares meet"):
        call(stills / "wall.png", "--board", "8x5", "--square", "0.04")
