"""`geoloc calibrate rig`: films and folders of one board at the same moments; what cannot be paired is refused."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from cli_samples import Done

from geoloc.scene.storage import load_cameras

BOARD = ("--charuco", "6x5", "--square", "0.05", "--marker", "0.037", "--dictionary", "DICT_4X4_50")
SIZE, FOCAL = (640, 480), 600.0
BASE = 0.4  # m, from the first camera to the second


def board_picture() -> np.ndarray:
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    board = cv2.aruco.CharucoBoard((6, 5), 0.05, 0.037, dictionary)
    return board.generateImage((600, 500), marginSize=0)


def view(turn: np.ndarray, shift: np.ndarray, picture: np.ndarray) -> np.ndarray:
    """The board at a pose in a pinhole camera: the picture's pixel is half a millimetre."""
    rotation = cv2.Rodrigues(turn)[0]
    matrix = np.array([[FOCAL, 0, 319.5], [0, FOCAL, 239.5], [0, 0, 1]])
    metres = np.array([[0.0005, 0, 0.00025], [0, 0.0005, 0.00025], [0, 0, 1]])
    homography = matrix @ np.column_stack([rotation[:, :2], shift]) @ metres
    drawn = cv2.warpPerspective(picture, homography, SIZE, flags=cv2.INTER_AREA, borderValue=128)
    return cv2.GaussianBlur(drawn, (3, 3), 0.7)


@pytest.fixture(scope="module")
def stills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders with 14 moments each."""
    folder, rng, picture = tmp_path_factory.mktemp("rig"), np.random.default_rng(2), board_picture()
    for name in ("left", "right"):
        (folder / name).mkdir()
    for moment in range(14):
        turn = rng.uniform(-0.5, 0.5, 3) * [1, 1, 0.4]
        shift = np.array([rng.uniform(-0.1, 0.2), rng.uniform(-0.2, 0.0), rng.uniform(0.6, 1.0)])
        for name, aside in (("left", 0.0), ("right", BASE)):
            cv2.imwrite(str(folder / name / f"{moment:04d}.png"), view(turn, shift - [aside, 0, 0], picture))
    return folder


def test_two_folders_give_a_rig_of_the_true_length(call: Callable[..., Done], stills: Path, tmp_path: Path) -> None:
    out = tmp_path / "rig.json"
    done = call("calibrate", "rig", stills / "left", stills / "right", *BOARD, "-o", out, "--json")
    assert done.code == 0, done.err
    left, right = load_cameras(out)
    assert np.linalg.norm(right.centre_world - left.centre_world) == pytest.approx(BASE, abs=0.004)  # measured 0.4003
    assert left.lens.params[0] == pytest.approx(FOCAL, rel=0.01)
    assert [row["camera"] for row in done.json["cameras"]] == ["left", "right"]
    assert done.json["moments"] >= 10
    text = call("calibrate", "rig", stills / "left", stills / "right", *BOARD, "-o", out).out
    assert "rig of 2 cameras" in text
    assert f"wrote {out}" in text


def test_pictures_that_share_no_name_are_refused(call: Callable[..., Done], stills: Path, tmp_path: Path) -> None:
    other = tmp_path / "hall"
    other.mkdir()
    for file in (stills / "right").iterdir():
        (other / f"b{file.name}").write_bytes(file.read_bytes())
    done = call("calibrate", "rig", stills / "left", other, *BOARD)
    assert done.code == 2
    assert "must have one name" in done.err


def test_films_of_different_lengths_are_refused(call: Callable[..., Done], tmp_path: Path) -> None:
    for name, n in (("a", 6), ("b", 9)):
        film = cv2.VideoWriter(str(tmp_path / f"{name}.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, SIZE)
        for _ in range(n):
            film.write(np.full((SIZE[1], SIZE[0], 3), 128, np.uint8))
        film.release()
    done = call("calibrate", "rig", tmp_path / "a.avi", tmp_path / "b.avi", *BOARD)
    assert done.code == 2
    assert "a 6, b 9 frames" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--frames", "0"), "give a number of frames"), (("-o", "rig.toml"), "written as .json")],
)
def test_wrong_calls_are_told_before_any_work(call: Callable[..., Done], stills: Path, words, said) -> None:
    done = call("calibrate", "rig", stills / "left", stills / "right", *BOARD, *words)
    assert done.code == 2
    assert said in done.err


def test_one_camera_is_no_rig_and_two_of_one_name_are_told(call: Callable[..., Done], stills: Path) -> None:
    assert "two cameras or more" in call("calibrate", "rig", stills / "left", *BOARD).err
    assert "two cameras are called 'left'" in call("calibrate", "rig", stills / "left", stills / "left", *BOARD).err
