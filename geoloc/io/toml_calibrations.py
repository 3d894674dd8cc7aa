"""Calibrations in TOML: aniposelib and Pose2Sim (`[cam_0]`), caliscope (`[cameras.0]`).

A table a camera: size, matrix, OpenCV's distortions (four of a fisheye if `fisheye = true`), rotation (a vector, or
a matrix in older caliscope) and translation of X_cam = R X + t. Pixels are as OpenCV counts them. Pose2Sim and
caliscope have metres; aniposelib has what its board was measured in: say so with `metres`.
"""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.camera_files import (
    CameraFiles,
    CameraWriteOptions,
    camera_matrix,
    coefficients,
    is_file,
    rotation_and_translation,
)
from geoloc.io.camera_parts import DISTORTION_SIZES, CameraOptions, lens_from_matrix, pose_of, posed_camera, whole_size
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye

KEYS = ("matrix", "distortions", "rotation", "translation")


def read_anipose(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """aniposelib's or Pose2Sim's calibration: every table that states a matrix or a pose; named by its `name`."""
    return _read(path, _read_toml(path), "", options)


def read_caliscope(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """caliscope's camera_array: the tables below `cameras`, named cam_0, ... as its videos, less the ignored ones."""
    cameras = _read_toml(path).get("cameras")
    if not isinstance(cameras, dict):
        raise InputError(f"{path}: has no tables [cameras.0], ...; they are what caliscope's cameras are")
    return _read(path, cameras, "cam_", options)


def write_anipose(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """A calibration as aniposelib and Pose2Sim read it: five coefficients, or a fisheye's four."""
    tables = []
    for i, camera in enumerate(cameras):
        name = f"name = {json.dumps(camera.name, ensure_ascii=False)}"
        tables.append(f"[cam_{i}]\n{name}\n" + _table(camera, "aniposelib", (5,), options))
    text = "\n".join([*tables, "[metadata]\nadjusted = false\nerror = 0.0\n"])
    return CameraFiles({_file(path, "calibration.toml"): text})


def write_caliscope(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """A camera_array as caliscope has it, with rotation vectors; a name cam_7 becomes 7, any other its row."""
    numbers = [re.fullmatch(r"cam_(0|[1-9]\d*)", camera.name) for camera in cameras]
    named = all(numbers)
    tables, notes = [], []
    for i, (camera, number) in enumerate(zip(cameras, numbers, strict=True)):
        key = number[1] if named and number else str(i)
        head = f"[cameras.{key}]\ncam_id = {key}\nrotation_count = 0\nerror = 0.0\ngrid_count = 0\nignore = false\n"
        tables.append(head + _table(camera, "caliscope", DISTORTION_SIZES[1:], options))
        if not named:
            notes.append(f"{camera.name} is cam_{key}")
    left_out = (f"names: {', '.join(notes)}",) if notes else ()
    return CameraFiles({_file(path, "camera_array.toml"): "\n".join(tables)}, left_out)


def _file(path: Path, name: str) -> Path:
    return path if is_file(path, (".toml",)) else path / name


def _table(camera: Camera, form: str, counts: tuple[int, ...], options: CameraWriteOptions) -> str:
    given = coefficients(camera, form, counts, fisheye=True)
    _, translation = rotation_and_translation(camera, options)
    values = {
        "size": [int(side) for side in camera.size],
        "matrix": camera_matrix(camera).tolist(),
        "distortions": given.tolist(),
        "rotation": camera.cam_from_world.rotation.as_rotvec().tolist(),
        "translation": translation.tolist(),
        "fisheye": isinstance(camera.lens, Fisheye),
    }
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: TOML breaks ({error}); is it truncated?") from error


def _read(path: Path, tables: dict[str, Any], prefix: str, options: CameraOptions) -> tuple[Camera, ...]:
    with jsonfile.naming(path):
        cameras = tuple(
            _camera(f"{prefix}{key}", table, options)
            for key, table in tables.items()
            if isinstance(table, dict) and table.keys() & set(KEYS) and table.get("ignore") is not True
        )
        if not cameras:
            raise InputError(f"no table of a camera in it; one has {', '.join(KEYS)}")
        return cameras


def _camera(key: str, table: dict[str, Any], options: CameraOptions) -> Camera:
    name = jsonfile.text(f"{key}: 'name'", table.get("name", key))
    what = f"camera {name!r}"
    for part in KEYS:
        if part not in table:
            raise InputError(f"{what} has no {part!r}; add it, or take the table out")
    values = {part: jsonfile.sequence(f"{what}: {part!r}", table[part]) for part in KEYS}
    matrix = jsonfile.numbers(f"{what}: 'matrix'", values["matrix"], (3, 3))
    # caliscope has them in a row and in a column
    nested = bool(values["distortions"]) and isinstance(values["distortions"][0], list)
    listed = values["distortions"][0] if nested and len(values["distortions"]) == 1 else values["distortions"]
    distortions = jsonfile.numbers(f"{what}: 'distortions'", listed, (len(listed),))
    rows = (3, 3) if values["rotation"] and isinstance(values["rotation"][0], list) else (3,)
    rotation = jsonfile.numbers(f"{what}: 'rotation'", values["rotation"], rows)
    translation = jsonfile.numbers(f"{what}: 'translation'", values["translation"], (3,))
    size = (0, 0)
    if "size" in table:
        size = whole_size(what, jsonfile.numbers(f"{what}: 'size'", table["size"], (2,)))
    lens = lens_from_matrix(matrix, distortions, what, fisheye=table.get("fisheye", False) is True)
    return posed_camera(name, what, options, lens, pose_of(rotation, translation, what, options), size)
