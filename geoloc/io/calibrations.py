"""Calibrations in and out: `read_cameras`, `write_cameras`, the tables of forms `CAMERA_READERS`, `CAMERA_WRITERS`.

Each form's docstring states its pixel origin, axes, units and the direction of its poses; they are changed to geoloc's
there and nowhere else. No form states how well its cameras are known: `pose_sigma` and `sigma_px` of the options do.
"""

from itertools import pairwise
from pathlib import Path
from typing import Protocol

from geoloc.errors import InputError, unknown_name
from geoloc.files import write_whole
from geoloc.io.calibration_forms import (
    read_homography,
    read_homography_latlon,
    read_krtd,
    read_opencv,
    read_xml_pairs,
)
from geoloc.io.calibration_looks import look_of_calibration
from geoloc.io.calibration_writers import write_homography, write_krtd, write_opencv, write_xml_pairs
from geoloc.io.camera_files import CameraFiles, CameraWriteOptions
from geoloc.io.camera_parts import CameraOptions
from geoloc.io.colmap import read_colmap, write_colmap, write_colmap_binary
from geoloc.io.kalibr import read_kalibr, write_kalibr
from geoloc.io.nvidia import read_mv3dt, read_nvidia, write_mv3dt, write_nvidia
from geoloc.io.qualisys import read_qualisys
from geoloc.io.ros import read_ros, write_ros
from geoloc.io.toml_calibrations import read_anipose, read_caliscope, write_anipose, write_caliscope
from geoloc.io.tsai import read_tsai, write_tsai
from geoloc.scene.camera import Camera

__all__ = [
    "CAMERA_READERS",
    "CAMERA_WRITERS",
    "CameraFiles",
    "CameraOptions",
    "CameraReader",
    "CameraWriteOptions",
    "CameraWriter",
    "read_cameras",
    "write_cameras",
]


class CameraReader(Protocol):
    """Reads the cameras of one file, or of one folder where the form is a folder."""

    def __call__(self, path: Path, options: CameraOptions) -> tuple[Camera, ...]:
        """The cameras at `path`, in the file's order."""


class CameraWriter(Protocol):
    """Makes the files that stand for cameras; nothing is written yet."""

    def __call__(self, path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
        """Files for `path`, and what is left out; InputError that names a camera that the form cannot hold."""


CAMERA_READERS: dict[str, CameraReader] = {
    "opencv": read_opencv,
    "ros": read_ros,
    "kalibr": read_kalibr,
    "colmap": read_colmap,
    "colmap_binary": read_colmap,
    "nvidia": read_nvidia,
    "mv3dt": read_mv3dt,
    "krtd": read_krtd,
    "xml_pairs": read_xml_pairs,
    "anipose": read_anipose,
    "pose2sim": read_anipose,
    "caliscope": read_caliscope,
    "tsai": read_tsai,
    "qualisys": read_qualisys,
    "homography": read_homography,
    "homography_latlon": read_homography_latlon,
}
CAMERA_WRITERS: dict[str, CameraWriter] = {
    "opencv": write_opencv,
    "ros": write_ros,
    "kalibr": write_kalibr,
    "colmap": write_colmap,
    "colmap_binary": write_colmap_binary,
    "nvidia": write_nvidia,
    "mv3dt": write_mv3dt,
    "krtd": write_krtd,
    "xml_pairs": write_xml_pairs,
    "anipose": write_anipose,
    "pose2sim": write_anipose,
    "caliscope": write_caliscope,
    "tsai": write_tsai,
    "homography": write_homography,
}
FOLDERS = {"xml_pairs", "colmap", "colmap_binary"}  # forms that are a folder


def read_cameras(path: Path | str, kind: str | None = None, options: CameraOptions | None = None) -> tuple[Camera, ...]:
    """Cameras of a calibration; `kind` is a key of `CAMERA_READERS`, None takes its look.

    A folder of files of a form that has a camera a file is read file by file, in the order of their names.
    """
    path, options = Path(path), options or CameraOptions()
    if kind is not None and kind not in CAMERA_READERS:
        raise unknown_name("kind of calibration", kind, CAMERA_READERS)
    cameras = _read(path, kind, options)
    if options.name and len(cameras) > 1:
        raise InputError(f"{path}: holds {len(cameras)} cameras; the name {options.name!r} can be of one only")
    for a, b in pairwise(sorted(camera.name for camera in cameras)):
        if a == b:
            raise InputError(f"{path}: holds two cameras named {a!r}; names must differ")
    return cameras


def write_cameras(
    path: Path | str, cameras: tuple[Camera, ...], kind: str, options: CameraWriteOptions | None = None
) -> CameraFiles:
    """Write cameras in the form `kind`, a key of `CAMERA_WRITERS`; the result says what the files do not hold.

    Nothing is written if one camera cannot be held: leave it out, or take another form.
    """
    if kind not in CAMERA_WRITERS:
        raise unknown_name("kind of calibration", kind, CAMERA_WRITERS)
    if not cameras:
        raise InputError(f"{path}: there is no camera to write")
    made = CAMERA_WRITERS[kind](Path(path), tuple(cameras), options or CameraWriteOptions())
    for file, content in made.files.items():
        write_whole(file, content)
    known = sum(bool(camera.calib_cov.any()) for camera in cameras)
    note = (f"how well {known} of the {len(cameras)} cameras are known (calib_cov)",) if known else ()
    return CameraFiles(made.files, (*made.left_out, *note))


def _read(path: Path, kind: str | None, options: CameraOptions) -> tuple[Camera, ...]:
    found = kind or look_of_calibration(path)
    if path.is_dir() and found not in FOLDERS:
        files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        if not files:
            raise InputError(f"{path}: no calibration in this folder")
        return tuple(camera for file in files for camera in _read(file, kind, options))
    if not found:
        known = ", ".join(CAMERA_READERS)
        raise InputError(f"{path}: looks like no calibration that is known; give its kind, one of {known}")
    return CAMERA_READERS[found](path, options)
