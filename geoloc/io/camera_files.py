"""What writers of calibrations share: which lens and pose a form holds, and the files that stand for the cameras."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye

FILE_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class CameraWriteOptions:
    """What a form leaves to the writer."""

    metres: float = 0.0  # in one unit of length of the file: 0.01 for centimetres; 0: the form's own

    def __post_init__(self) -> None:
        if not 0 <= self.metres < np.inf:
            raise InputError(f"metres {self.metres}: metres in one unit of the file must be positive")

    def unit(self, own: float = 1.0) -> float:
        """Metres in one unit of length of a file of a form whose `own` unit (m) is this long."""
        return self.metres or own


@dataclass(frozen=True)
class CameraFiles:
    """Files that stand for cameras, and in words what of the cameras is not in them."""

    files: Mapping[Path, str | bytes]
    left_out: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files, in order."""
        return tuple(self.files)


def one_a_file(
    path: Path, cameras: tuple[Camera, ...], endings: tuple[str, ...], text_of: Callable[[Camera, Path], str]
) -> dict[Path, str | bytes]:
    """A file a camera: `path` itself for one camera if it ends as it should, else NAME + ending in folder `path`."""
    if is_file(path, endings):
        if len(cameras) != 1:
            raise InputError(f"{path}: the form has one camera a file and here are {len(cameras)}; give a folder")
        return {path: text_of(cameras[0], path)}
    files = {camera.name: path / f"{file_name(camera)}{endings[0]}" for camera in cameras}
    return {files[camera.name]: text_of(camera, files[camera.name]) for camera in cameras}


def is_file(path: Path, endings: tuple[str, ...]) -> bool:
    """Whether `path` is to be a file of one of `endings`, and not a folder; any other ending of a file is refused."""
    if path.is_dir() or not path.suffix:
        return False
    if path.suffix not in endings:
        raise InputError(f"{path}: unknown ending {path.suffix!r}; use {', '.join(endings)}, or a folder")
    return True


def file_name(camera: Camera) -> str:
    """The camera's name, if it can name a file."""
    if not FILE_NAME.fullmatch(camera.name):
        raise InputError(
            f"camera {camera.name!r}: use letters, digits, '_', '-' and '.', for its name becomes a file's"
        )
    return camera.name


def require_pose(camera: Camera, form: str) -> Camera:
    """The camera, if it has a pose; a form of poses cannot hold a homography."""
    if camera.is_homography:
        raise InputError(
            f"camera {camera.name!r} is known by a homography only and {form} holds poses; "
            "leave it out, calibrate its pose, or write it as 'homography'"
        )
    return camera


def camera_matrix(camera: Camera) -> np.ndarray:
    """K (3, 3) of a camera with a pose."""
    fx, fy, cx, cy = camera.lens.params[:4]
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def coefficients(camera: Camera, form: str, counts: tuple[int, ...], fisheye: bool = False) -> np.ndarray:
    """OpenCV's distortion coefficients in the smallest of `counts` that holds all that are not zero.

    A fisheye's four where the form has them; what the form cannot hold is refused by name.
    """
    require_pose(camera, form)
    given = camera.lens.params[4:]
    if isinstance(camera.lens, Fisheye):
        if fisheye:
            return given
        raise InputError(f"camera {camera.name!r}: {form} has no fisheye lens; write it as opencv, colmap or kalibr")
    used = int(np.flatnonzero(given)[-1]) + 1 if given.any() else 0
    for count in counts:
        if count >= used:
            return np.concatenate([given, np.zeros(max(counts))])[:count]
    names = [name for name, value in zip(camera.lens.parameter_names[4:], given, strict=True) if value]
    if max(counts) == 0:
        lens = f"no distortion, this lens has {', '.join(names)}"
        raise InputError(f"camera {camera.name!r}: {form} has {lens}; rectify its images, give their lens")
    beyond = ", ".join(name for name in names if name in camera.lens.parameter_names[4 + max(counts) :])
    raise InputError(f"camera {camera.name!r}: {form} has {max(counts)} coefficients of distortion, none of {beyond}")


def rotation_and_translation(
    camera: Camera, options: CameraWriteOptions, own_unit: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """R (3, 3) and t (3,), in the file's unit, of X_cam = R X + t."""
    pose = camera.cam_from_world
    return pose.rotation.as_matrix(), pose.translation / options.unit(own_unit)


def numbers_text(values: np.ndarray) -> str:
    """Numbers with all their digits, between blanks."""
    return " ".join(map(repr, np.asarray(values, float).ravel().tolist()))
