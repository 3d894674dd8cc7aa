"""Strecha's sequences (Strecha et al., CVPR 2008): stills of buildings, with poses surveyed by laser scans.

A folder holds `cameras_gt.json` (K, R_world_to_cam, C_world in m, size of each still) and `images/`. Pixel (0, 0) of K
is the centre of the top-left pixel. The stills have no distortion; how sure the survey is, it does not say.
"""

from pathlib import Path

from geoloc.errors import InputError
from geoloc.io.camera_parts import CameraOptions, pose_of, posed_camera, whole_size
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole


def read_strecha(folder: Path | str) -> tuple[Camera, ...]:
    """The cameras of a sequence, named as its stills (`images/<name>`), with no covariance: none is stated."""
    path = Path(folder) / "cameras_gt.json"
    document = jsonfile.read_object(path)
    if not document:
        raise InputError(f"{path}: holds no still")
    return tuple(_camera(f"{path}: {name!r}", name, value) for name, value in document.items())


def still_path(folder: Path | str, camera: Camera) -> Path:
    """Where the still of a camera lies."""
    return Path(folder) / "images" / camera.name


def _camera(where: str, name: str, value: object) -> Camera:
    entry = jsonfile.mapping(where, value)
    jsonfile.check_keys(where, entry, ("K", "R_world_to_cam", "C_world", "size"))
    intrinsics = jsonfile.numbers(f"{where}: K", entry["K"], (3, 3))
    rotation = jsonfile.numbers(f"{where}: R_world_to_cam", entry["R_world_to_cam"], (3, 3))
    centre = jsonfile.numbers(f"{where}: C_world", entry["C_world"], (3,))
    size = whole_size(where, jsonfile.numbers(f"{where}: size", entry["size"], (2,)))
    if intrinsics[0, 1] != 0 or intrinsics[1, 0] != 0:
        raise InputError(f"{where}: K has skew {intrinsics[0, 1]:g}; only lenses without are known")
    lens = Pinhole(intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]])
    options = CameraOptions()
    pose = pose_of(rotation, -rotation @ centre, where, options)
    return posed_camera(name, where, options, lens, pose, size)
