"""Frames by camera and time: the right one, none where none is near, and refusals that say what to do."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.camera_frames import CameraFrames


def shade(k: int) -> np.ndarray:
    return np.full((48, 64, 3), 20 * k, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of the gate at 100.0, 100.5 .. 102.0 s, and a film of the hall of 10 frames."""
    (tmp_path / "gate").mkdir()
    for k in range(5):
        cv2.imwrite(str(tmp_path / "gate" / f"{100 + 0.5 * k}.png"), shade(k + 1))
    film = cv2.VideoWriter(str(tmp_path / "hall.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for k in range(10):
        film.write(shade(k + 1))
    film.release()
    return tmp_path


def seen(frames: CameraFrames, camera: str, times: list[float]) -> dict[float, int]:
    found = {}
    for rows, picture in frames.at(camera, np.array(times)):
        assert picture.shape == (48, 64, 3)
        found |= {times[row]: round(float(picture.mean()) / 20) - 1 for row in rows.tolist()}
    return found


def test_a_time_gets_the_picture_that_is_nearest_or_none(folder: Path) -> None:
    frames = CameraFrames(folder, 10.0, 100.0)
    assert seen(frames, "gate", [100.0, 101.2, 102.1, 99.8, 103.0, 50.0]) == {100.0: 0, 101.2: 2, 102.1: 4, 99.8: 0}
    assert seen(frames, "ramp", [100.0]) == {}
    assert seen(frames, "gate", []) == {}


def test_a_film_tells_its_times_by_its_frames(folder: Path) -> None:
    frames = CameraFrames(folder, 10.0, 100.0)
    assert seen(frames, "hall", [100.3, 100.0, 100.301, 100.9, 105.0, 99.0]) == {
        100.3: 3, 100.0: 0, 100.301: 3, 100.9: 9
    }  # fmt: skip


def test_one_picture_alone_shows_all_times(folder: Path) -> None:
    for file in sorted((folder / "gate").iterdir())[1:]:
        file.unlink()
    assert seen(CameraFrames(folder, 10.0), "gate", [3.0, 1e9]) == {3.0: 0, 1e9: 0}


def test_what_are_no_frames_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the frames a second"):
        CameraFrames(folder)
    with pytest.raises(InputError, match="no such folder"):
        CameraFrames(folder / "nowhere")
    (folder / "hall").mkdir()
    with pytest.raises(InputError, match="a film and a folder of camera 'hall'"):
        CameraFrames(folder, 10.0)
    (folder / "gate" / "first.png").write_bytes(b"")
    (folder / "hall").rmdir()
    with pytest.raises(InputError, match=r"holds first\.png; pictures are called by their time"):
        seen(CameraFrames(folder, 10.0), "gate", [100.0])
    (folder / "none").mkdir()
    with pytest.raises(InputError, match="no films"):
        CameraFrames(folder / "none")
