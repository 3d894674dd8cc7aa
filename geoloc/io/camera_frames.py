"""What cameras saw at given times: frames of their films, or of folders of pictures that are called by their time.

    FOLDER/CAMERA.mp4           frame k shows the time start + k / fps
    FOLDER/CAMERA/TIME.jpg      UTC Unix s
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.io.pictures import FILMS, PICTURES, read_colours

LATE = 0.5  # of the time between two frames: a picture that is farther from a box's time is not the box's


class CameraFrames:
    """The frames of a recording, by camera and time, in blue, green and red."""

    def __init__(self, folder: Path, fps: float = 0.0, start: float = 0.0) -> None:
        self.folder, self.fps, self.start = folder, fps, start
        if not folder.is_dir():
            raise InputError(f"images {folder}: there is no such folder")
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        films = {path.stem: path for path in inside if path.suffix.lower() in FILMS}
        folders = {path.name: path for path in inside if path.is_dir()}
        twice = sorted(films.keys() & folders.keys())
        if twice:
            raise InputError(f"images {folder}: a film and a folder of camera {twice[0]!r}; leave one")
        if not films and not folders:
            raise InputError(f"images {folder}: no films CAMERA.mp4 and no folders CAMERA/TIME.jpg in it")
        if films and fps <= 0:
            raise InputError(f"images {folder}: films do not tell their times; give the frames a second (fps)")
        self.sources = films | folders

    def at(self, camera: str, times: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Rows (n,) of `times` (T,) s and the frame (H, W, 3) uint8 that shows them, in order; none where none does."""
        source = self.sources.get(camera)
        if source is None or not len(times):
            return
        yield from self._film(source, times) if source.is_file() else _pictures(source, times)

    def _film(self, path: Path, times: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        import cv2

        # times of detections are rounded: a frame is the one that they are nearest to
        wanted = np.round((times - self.start) * self.fps).astype(np.int64)
        film = cv2.VideoCapture(str(path))
        try:
            if not film.isOpened():
                raise InputError(f"{path}: not a film that can be read; save its frames as pictures")
            for number in range(int(wanted.max()) + 1):
                if not film.grab():
                    return  # some films say that they are longer than they are
                rows = np.flatnonzero(wanted == number)
                if len(rows):
                    read, frame = film.retrieve()
                    if read:
                        yield rows, np.asarray(frame)
        finally:
            film.release()


def _pictures(folder: Path, times: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in PICTURES]
    named = [path for path in files if re.fullmatch(r"\d+(\.\d+)?", path.stem)]
    if len(named) < len(files) or not files:
        other = next((path.name for path in files if path not in named), "nothing")
        raise InputError(f"{folder}: holds {other}; pictures are called by their time, UTC Unix s, such as 17000.5.jpg")
    taken = np.array([float(path.stem) for path in named])
    order = np.argsort(taken)
    taken = taken[order]
    reach = LATE * float(np.median(np.diff(taken))) if len(taken) > 1 else np.inf
    after = np.clip(np.searchsorted(taken, times), 1, max(len(taken) - 1, 1))
    nearest = np.where(np.abs(taken[after - 1] - times) <= np.abs(taken[after % len(taken)] - times), after - 1, after)
    nearest = np.minimum(nearest, len(taken) - 1)
    near = np.abs(taken[nearest] - times) <= reach
    for number in np.unique(nearest[near]).tolist():
        yield np.flatnonzero(near & (nearest == number)), read_colours(named[int(order[number])])
