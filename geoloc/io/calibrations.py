"""Calibrations in: one function for every format, `read_cameras`, and the table of formats, `CAMERA_READERS`.

No format here states how well its cameras are known: `pose_sigma` and `sigma_px` of the options do.
"""

import re
from pathlib import Path
from typing import Protocol

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_text
from geoloc.io.calibration_forms import (
    CameraOptions,
    read_homography,
    read_homography_latlon,
    read_krtd,
    read_opencv,
    read_xml_pairs,
)
from geoloc.io.sniff import DESCRIPTIONS, look
from geoloc.scene.camera import Camera

__all__ = ["CAMERA_READERS", "CameraOptions", "CameraReader", "read_cameras"]

# what a calibration never looks like; lines of numbers may be either
NO_CALIBRATION = DESCRIPTIONS.keys() - {"OpenCV", "mot", "cityflow", "unknown", "empty"}


class CameraReader(Protocol):
    """Reads the cameras of one file or folder."""

    def __call__(self, path: Path, options: CameraOptions) -> tuple[Camera, ...]:
        """The cameras at `path`, in the order of their files' names."""


CAMERA_READERS: dict[str, CameraReader] = {
    "opencv": read_opencv,
    "krtd": read_krtd,
    "xml_pairs": read_xml_pairs,
    "homography": read_homography,
    "homography_latlon": read_homography_latlon,
}


def read_cameras(
    path: Path | str, kind: str | None = None, options: CameraOptions | None = None
) -> tuple[Camera, ...]:
    """Cameras of a calibration file or folder; `kind` is a key of `CAMERA_READERS`, None takes its look."""
    path, options = Path(path), options or CameraOptions()
    if kind is not None and kind not in CAMERA_READERS:
        raise unknown_name("kind of calibration", kind, CAMERA_READERS)
    return CAMERA_READERS[kind or _look(path)](path, options)


def _look(path: Path) -> str:
    if path.is_dir():
        return "xml_pairs"
    found = look(path)
    if found == "empty":
        raise InputError(f"{path}: the file is empty; it must hold a calibration")
    if found in NO_CALIBRATION:
        raise InputError(f"{path}: looks like {DESCRIPTIONS[found]}; it must be a calibration")
    text = read_text(path)
    head = text.lstrip()[:2000]
    if head.startswith(("%YAML", "{")) or "<opencv_storage" in head:
        return "opencv"
    if "homography matrix" in head.lower():
        return "homography_latlon"
    words = re.split(r"[\s,;]+", text.strip())
    if all(re.fullmatch(r"[-+.\deE]+", word) for word in words):
        if len(words) == 9:
            return "homography"
        if 21 <= len(words) <= 35:
            return "krtd"
    known = ", ".join(CAMERA_READERS)
    raise InputError(f"{path}: looks like no calibration that is known; give its kind, one of {known}")
