"""Films on disk: FOLDER/CAMERA.avi of each camera (motion JPEG), and FOLDER/films.json with what is true of them."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from geoloc.errors import InputError
from geoloc.files import write_whole
from geoloc.synthetic.rendering.film import Film

QUALITY = 92.0  # of JPEG


def save_film(film: Film, folder: str | Path, told: Callable[[int, int], None] | None = None) -> list[Path]:
    """Play a film into a folder; `told` hears how many moments of how many are done. Returns the files."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    times = np.unique(film.truth.time)
    rate = 1.0 / float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    paths = {stage.camera.name: folder / f"{stage.camera.name}.avi" for stage in film.stages}
    writers = {name: _writer(path, rate, film.options.size) for name, path in paths.items()}
    try:
        for done, (_, pictures) in enumerate(film.frames(), 1):
            for name, picture in pictures.items():
                writers[name].write(picture)
            if told is not None:
                told(done, len(times))
    finally:
        for writer in writers.values():
            writer.release()
    about = {"start": float(times[0]), "rate": rate, "frames": len(times)}
    write_whole(folder / "films.json", json.dumps(about, indent=1) + "\n")
    return list(paths.values())


def _writer(path: Path, rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), rate, size)
    if not writer.isOpened():
        raise InputError(f"{path}: OpenCV cannot write motion JPEG here; install opencv-contrib-python with FFmpeg")
    writer.set(cv2.VIDEOWRITER_PROP_QUALITY, QUALITY)
    return writer
