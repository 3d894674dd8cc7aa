"""Pictures of one camera: files, folders of them, and frames spread over a film."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from geoloc.errors import InputError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".pgm", ".ppm")
JPEG, JPEG_END, SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
PNG = b"\x89PNG\r\n\x1a\n"
FILMS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


def find_pictures(paths: Sequence[Path]) -> list[Path]:
    """The files that `paths` stand for, in order; a folder stands for the pictures in it, or the films."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.is_file())
            found = [file for file in inside if file.suffix.lower() in PICTURES]
            found = found or [file for file in inside if file.suffix.lower() in FILMS]
            if not found:
                raise InputError(f"{path}: no pictures in this folder; they end in {', '.join(PICTURES)}")
            files += found
        elif not path.is_file():
            raise InputError(f"{path}: there is no such file or folder")
        elif path.suffix.lower() in (*PICTURES, *FILMS):
            files.append(path)
        else:
            raise InputError(f"{path}: unknown ending {path.suffix!r}; pictures end in {', '.join(PICTURES)}")
    return files


def read_pictures(files: Sequence[Path], frames: int) -> Iterator[tuple[str, np.ndarray]]:
    """Name and grey values (H, W) uint8 of each picture, and of `frames` frames spread over each film."""
    for path in files:
        if path.suffix.lower() in FILMS:
            yield from _film(path, frames)
        else:
            yield path.name, _picture(path)


def read_colours(path: Path) -> np.ndarray:
    """A picture in blue, green and red (H, W, 3) uint8, turned as its file says that it is looked at."""
    import cv2

    return _decoded(path, cv2.IMREAD_COLOR)


def _picture(path: Path) -> np.ndarray:
    import cv2

    # as the sensor saw it: a turn that the file notes for its viewer would be another lens
    return _decoded(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)


def _decoded(path: Path, flags: int) -> np.ndarray:
    import cv2

    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if is_cut_short(content):
        raise InputError(f"{path}: cut short: the picture's end is missing; copy the file again")
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    if picture is None:
        raise InputError(f"{path}: not a picture that can be read; is the file whole?")
    return np.asarray(picture)


def is_cut_short(content: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end; decoders fill what is missing with grey, and say little."""
    if content.startswith(PNG):
        return b"IEND" not in content
    if not content.startswith(JPEG):
        return False
    at = 2
    while content[at : at + 1] == b"\xff" and len(content) >= at + 4:
        if content[at + 1] == SCAN:  # from here on 0xff is stuffed: an end that is found is the picture's own
            return content.find(JPEG_END, at) < 0
        at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return at >= len(content)


def count_frames(path: Path) -> int:
    """How many frames a film says that it has."""
    import cv2

    film = cv2.VideoCapture(str(path))
    try:
        n = int(film.get(cv2.CAP_PROP_FRAME_COUNT)) if film.isOpened() else 0
    finally:
        film.release()
    if n < 1:
        raise InputError(f"{path}: not a film that can be read; save its frames as pictures")
    return n


def read_frames(path: Path, wanted: Collection[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Number and grey values (H, W) uint8 of the wanted frames of a film."""
    import cv2

    film = cv2.VideoCapture(str(path))
    try:
        for number in range(max(wanted, default=-1) + 1):
            if not film.grab():
                return  # some films say that they are longer than they are
            if number in wanted:
                read, frame = film.retrieve()
                if read:
                    yield number, np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    finally:
        film.release()


def spread_frames(n: int, frames: int) -> list[int]:
    """The numbers of `frames` frames spread over a film of `n`."""
    return sorted(set(np.linspace(0, n - 1, min(frames, n)).round().astype(int).tolist()))


def _film(path: Path, frames: int) -> Iterator[tuple[str, np.ndarray]]:
    for number, grey in read_frames(path, spread_frames(count_frames(path), frames)):
        yield f"{path.stem} {number:06d}", grey
