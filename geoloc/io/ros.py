"""ROS camera_info YAML, as camera_calibration writes it and camera_info_manager reads it: a lens, no pose.

`camera_matrix` is K of the raw image, distortion is OpenCV's (`plumb_bob`: k1 k2 p1 p2 k3;
`rational_polynomial`: k1 k2 p1 p2 k3 k4 k5 k6; `equidistant`: OpenCV's fisheye), pixels are as OpenCV counts them.
`rectification_matrix` and `projection_matrix` are of the rectified image and not used here.
"""

import json
from pathlib import Path

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.io.camera_files import CameraFiles, CameraWriteOptions, camera_matrix, coefficients, one_a_file
from geoloc.io.camera_parts import CameraOptions, lens_from_matrix, pose_of_namesake, posed_camera, whole_size
from geoloc.io.yaml_text import flow, read_yaml
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye

MODELS = {"plumb_bob": (4, 5), "rational_polynomial": (8, 12, 14), "equidistant": (4,), "fisheye": (4,)}
NEEDED = ("image_width", "image_height", "camera_matrix", "distortion_model", "distortion_coefficients")


def read_ros(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """One camera's lens; its pose is that of the camera of the same name among `options.known`."""
    content = read_yaml(path)
    with jsonfile.naming(path):
        jsonfile.check_keys("the file", {key: content[key] for key in NEEDED if key in content}, NEEDED)
        size = whole_size("the file", _numbers(content, "image_width", "image_height"))
        model = jsonfile.text("'distortion_model'", content["distortion_model"])
        if model not in MODELS:
            raise unknown_name("distortion model", model, MODELS)
        given = _matrix(content, "distortion_coefficients").ravel()
        if given.any() and len(given) not in MODELS[model]:
            counts = " or ".join(map(str, MODELS[model]))
            raise InputError(f"{len(given)} distortion_coefficients; {model} has {counts}")
        fisheye = model in ("equidistant", "fisheye")
        lens = lens_from_matrix(_matrix(content, "camera_matrix"), given, "the file", fisheye)
        name = jsonfile.text("'camera_name'", content.get("camera_name", path.stem))
        pose = pose_of_namesake(name, "camera_info", options)
        return (posed_camera(name, "the file", options, lens, pose, size),)


def write_ros(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """A camera_info of each camera; its rectified image is the raw one's matrix without distortion. .yaml."""

    def text(camera: Camera, file: Path) -> str:
        given = coefficients(camera, "ROS camera_info", (5, 8), fisheye=True)
        fisheye = isinstance(camera.lens, Fisheye)
        model = "equidistant" if fisheye else "plumb_bob" if len(given) == 5 else "rational_polynomial"
        matrix = camera_matrix(camera)
        return (
            f"image_width: {int(camera.size[0])}\nimage_height: {int(camera.size[1])}\n"
            f"camera_name: {json.dumps(camera.name, ensure_ascii=False)}\n"
            + _block("camera_matrix", matrix)
            + f"distortion_model: {model}\n"
            + _block("distortion_coefficients", given[None])
            + _block("rectification_matrix", np.eye(3))
            + _block("projection_matrix", np.column_stack([matrix, np.zeros(3)]))
        )

    return CameraFiles(one_a_file(path, cameras, (".yaml", ".yml"), text), ("poses: a camera_info is a lens",))


def _numbers(content: dict[str, object], *keys: str) -> np.ndarray:
    return np.array([float(jsonfile.numbers(f"{key!r}", content[key], ())) for key in keys])


def _matrix(content: dict[str, object], key: str) -> np.ndarray:
    entry = jsonfile.mapping(f"{key!r}", content[key])
    jsonfile.check_keys(f"{key!r}", entry, ("rows", "cols", "data"), ("dt",))
    rows, cols = _numbers(entry, "rows", "cols")
    data = jsonfile.sequence(f"{key!r}: 'data'", entry["data"])
    if rows * cols != len(data):
        raise InputError(f"{key!r}: {len(data)} numbers in its data; rows and cols say {rows:g} x {cols:g}")
    return jsonfile.numbers(f"{key!r}: 'data'", data, (len(data),)).reshape(int(rows), int(cols))


def _block(name: str, matrix: np.ndarray) -> str:
    rows, cols = matrix.shape
    return f"{name}:\n  rows: {rows}\n  cols: {cols}\n  data: {flow(matrix.ravel().tolist())}\n"
