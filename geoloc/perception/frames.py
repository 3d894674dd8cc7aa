"""Frames of one camera, whatever they come from: a film, a folder of pictures, a stream.

Times are Unix seconds: of a folder's pictures by their names, of a film by its own stamps from `start` on, of a stream
by when they came.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from geoloc.errors import InputError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
STREAMS = ("rtsp://", "rtsps://", "http://", "https://", "rtmp://", "udp://", "tcp://")
NUMBER = re.compile(r"(\d+(?:\.\d+)?)$")
USUAL_FPS = (0.1, 240.0)  # a film that says anything else is not believed
BROKEN = 25  # frames in a row that cannot be decoded: there is nothing more to come


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture (H, W, 3) uint8 BGR of a camera at `time` (Unix s)."""

    camera: str
    time: float
    image: np.ndarray


class Source(Protocol):
    """Where one camera's frames come from, in the order of their times."""

    camera: str
    live: bool  # frames come whether they are wanted or not
    problems: Counter[str]  # frames that could not be used, by reason

    def frames(self, from_time: float = -np.inf, every: float = 0.0) -> Iterator[Frame]:
        """Frames later than `from_time` (s), at least `every` s apart; those between are not decoded."""


class FolderSource:
    """Pictures in a folder whose names end in their Unix time, or in a number that counts them at `fps`."""

    live = False

    def __init__(self, camera: str, folder: Path, start: float = 0.0, fps: float = 0.0) -> None:
        self.camera, self.problems = camera, Counter[str]()
        files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
        if not files:
            raise InputError(f"{folder}: no pictures ({', '.join(PICTURES)}) of camera {camera!r} in this folder")
        self._files = sorted((_named_time(path, number, start, fps), path) for number, path in enumerate(files))

    def frames(self, from_time: float = -np.inf, every: float = 0.0) -> Iterator[Frame]:
        """As `Source.frames`."""
        last = from_time
        for time, path in self._files:
            if time <= last or (np.isfinite(last) and time - last < every * (1 - 1e-3)):
                continue
            image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR) if path.stat().st_size else None
            if image is None or _is_cut(path):
                self.problems["corrupt: it cannot be decoded"] += 1
                continue
            last = time
            yield Frame(self.camera, time, np.asarray(image))


class FilmSource:
    """A film file; its stamps count from `start` (Unix s), unless `fps` says how many frames a second has."""

    live = False

    def __init__(self, camera: str, path: Path, start: float = 0.0, fps: float = 0.0) -> None:
        if not path.is_file():
            raise InputError(f"{path}: there is no such film of camera {camera!r}")
        self.camera, self._path, self._start, self.problems = camera, path, start, Counter[str]()
        capture = cv2.VideoCapture(str(path))
        if not capture.isOpened():
            raise InputError(f"{path}: not a film that OpenCV can open; write it anew, such as by ffmpeg -i IN OUT.mp4")
        own = float(capture.get(cv2.CAP_PROP_FPS))
        capture.release()
        if not fps and not USUAL_FPS[0] <= own <= USUAL_FPS[1]:
            raise InputError(f"{path}: says it has {own:g} frames a second; give the right number as --fps")
        self._fps, self._own = fps or own, not fps

    def frames(self, from_time: float = -np.inf, every: float = 0.0) -> Iterator[Frame]:
        """As `Source.frames`."""
        capture = cv2.VideoCapture(str(self._path))
        last, number, broken = from_time, 0, 0
        total = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        try:
            while capture.grab():
                stamp = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0 if self._own else number / self._fps
                if self._own and stamp <= 0 and number:
                    stamp = number / self._fps  # some containers have no stamps
                number += 1
                time = self._start + stamp
                if time <= last or (np.isfinite(last) and time - last < every * (1 - 1e-3)):
                    continue
                done, image = capture.retrieve()
                if not done or image is None:
                    self.problems["corrupt: it cannot be decoded"] += 1
                    broken += 1
                    if broken >= BROKEN:
                        break
                    continue
                last, broken = time, 0
                yield Frame(self.camera, time, np.asarray(image))
            if 0 < number < total - 1:
                self.problems["corrupt: the film breaks off before its end"] += total - number
        finally:
            capture.release()


def open_source(camera: str, where: str, start: float = 0.0, fps: float = 0.0) -> Source:
    """What `where` is: a stream's address, a folder of pictures or a film; InputError where there is none of these."""
    if where.lower().startswith(STREAMS):
        from geoloc.perception.streams import StreamSource

        return StreamSource(camera, where)
    path = Path(where)
    if path.is_dir():
        return FolderSource(camera, path, start, fps)
    return FilmSource(camera, path, start, fps)


def _named_time(path: Path, number: int, start: float, fps: float) -> float:
    if fps:
        return start + number / fps
    found = NUMBER.search(path.stem)
    if found is None:
        said = f"{path}: its name has no time; name pictures by Unix seconds, such as 1700000000.25.jpg"
        raise InputError(f"{said}, or give --fps")
    return start + float(found.group(1))


def _is_cut(path: Path) -> bool:
    """Whether a JPEG ends before its end, which OpenCV shows in grey."""
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        return False
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(file.tell() - 32, 0))
        return b"\xff\xd9" not in file.read()
