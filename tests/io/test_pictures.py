"""Pictures and films of a camera: what is there is read in order, what is not is named."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.io.pictures import find_pictures, read_pictures


def write(path: Path, value: int, size=(32, 24)) -> Path:
    cv2.imwrite(str(path), np.full((size[1], size[0], 3), value, np.uint8))
    return path


def film(path: Path, n: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("OpenCV writes no films here")
    for i in range(n):
        writer.write(np.full((48, 64, 3), 10 * i, np.uint8))
    writer.release()
    return path


def test_a_folder_stands_for_its_pictures_in_order(tmp_path: Path) -> None:
    for i, name in enumerate(("b.png", "a.JPG", "c.tif")):
        write(tmp_path / name.lower(), 50 * i).rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("board 9x6")
    files = find_pictures([tmp_path])
    assert [file.name for file in files] == ["a.JPG", "b.png", "c.tif"]
    read = list(read_pictures(files, 1))
    assert [name for name, _ in read] == ["a.JPG", "b.png", "c.tif"]
    assert [int(grey.mean()) for _, grey in read] == [50, 0, 100]
    assert read[0][1].shape == (24, 32)


def test_frames_are_spread_over_a_film(tmp_path: Path) -> None:
    path = film(tmp_path / "gate.avi", 21)
    read = list(read_pictures(find_pictures([path]), 5))
    assert [name for name, _ in read] == [f"gate {i:06d}" for i in (0, 5, 10, 15, 20)]
    assert np.abs([grey.mean() - 10 * i for (_, grey), i in zip(read, (0, 5, 10, 15, 20), strict=True)]).max() < 4
    assert len(list(read_pictures([path], 1000))) == 21


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere.png: there is no such file"):
        find_pictures([tmp_path / "nowhere.png"])
    with pytest.raises(InputError, match="no pictures in this folder"):
        find_pictures([tmp_path])
    (tmp_path / "a.doc").write_text("")
    with pytest.raises(InputError, match=r"unknown ending '\.doc'"):
        find_pictures([tmp_path / "a.doc"])
    for name in ("a.png", "a.mp4"):
        (tmp_path / name).write_bytes(b"not that")
        with pytest.raises(InputError, match=f"{name}: not a "):
            list(read_pictures([tmp_path / name], 3))


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_picture_that_was_cut_short_is_refused_though_decoders_fill_it(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(2).integers(0, 255, (120, 160, 3), np.uint8)
    path = tmp_path / f"whole{ending}"
    cv2.imwrite(str(path), noise)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.99):
        (tmp_path / f"cut{ending}").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match=rf"cut\{ending}: (cut short|not a picture)"):
            list(read_pictures([tmp_path / f"cut{ending}"], 1))
    # what follows a picture's end (a film beside it, a maker's notes) is nobody's business
    path.write_bytes(whole + b"\xff\xda\0\x08film" + bytes(500))
    assert len(list(read_pictures([path], 1))) == 1


def test_an_end_inside_a_thumbnail_is_not_the_pictures(tmp_path: Path) -> None:
    small, large = (cv2.imencode(".jpg", np.full((side, side), 99, np.uint8))[1].tobytes() for side in (16, 240))
    length = (len(small) + 2).to_bytes(2, "big")
    held = large[:2] + b"\xff\xe1" + length + small + large[2:]
    (tmp_path / "a.jpg").write_bytes(held)
    assert len(list(read_pictures([tmp_path / "a.jpg"], 1))) == 1
    (tmp_path / "a.jpg").write_bytes(held[:-2])
    with pytest.raises(InputError, match="cut short"):
        list(read_pictures([tmp_path / "a.jpg"], 1))


def test_a_turn_that_a_file_notes_is_left_out_of_account(tmp_path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(np.arange(24 * 32, dtype=np.uint8).reshape(24, 32))
    notes = Image.Exif()
    notes[0x0112] = 6  # orientation: turned by a quarter
    image.save(tmp_path / "a.jpg", exif=notes)
    ((_, grey),) = read_pictures([tmp_path / "a.jpg"], 1)
    assert grey.shape == (24, 32)
