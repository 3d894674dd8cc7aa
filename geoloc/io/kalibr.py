"""Kalibr's camchain YAML: cam0, cam1, ... with T_cn_cnm1, which takes camera n-1's frame to camera n's, in metres.

A pinhole with `radtan` (OpenCV's k1 k2 p1 p2), `equidistant` (OpenCV's fisheye) or `none`; pixels are as OpenCV
counts them. A chain says where its cameras stand to each other: on the site it stands where the known camera of
cam0's name does, or where cam0 has a T_cn_cnm1 of its own, which then is from the world (as mrcal writes it).
"""

import json
import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError, unknown_name
from geoloc.io.camera_files import CameraFiles, CameraWriteOptions, camera_matrix, coefficients, is_file
from geoloc.io.camera_parts import (
    CameraOptions,
    lens_from_matrix,
    pose_of,
    pose_of_namesake,
    posed_camera,
    whole_size,
)
from geoloc.io.yaml_text import flow, read_yaml
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Lens

DISTORTIONS = ("radtan", "equidistant", "none")
LENS_KEYS = ("camera_model", "intrinsics", "distortion_model", "distortion_coeffs", "resolution")
OTHER_KEYS = ("T_cn_cnm1", "T_cam_imu", "timeshift_cam_imu", "rostopic", "cam_overlaps", "line_delay")


def read_kalibr(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """The cameras of a camchain, named by their topic less its last part (`/gate/image_raw`: gate), or cam0, ..."""
    content = read_yaml(path)
    with jsonfile.naming(path):
        keys = [f"cam{i}" for i in range(len(content))]
        if not content or set(keys) != content.keys():
            raise InputError(f"holds {', '.join(content) or 'nothing'}; a camchain holds cam0, cam1, ... in a row")
        entries = {key: jsonfile.mapping(f"{key!r}", content[key]) for key in keys}
        cameras: list[Camera] = []
        for key, entry in entries.items():
            jsonfile.check_keys(f"{key!r}", entry, LENS_KEYS, OTHER_KEYS)
            name = _name(key, entry)
            before = cameras[-1].cam_from_world if cameras else None
            pose = _pose(key, name, entry, before, options)
            size = whole_size(key, jsonfile.numbers(f"{key}: 'resolution'", entry["resolution"], (2,)))
            cameras.append(posed_camera(name, key, options, _lens(key, entry), pose, size))
        return tuple(cameras)


def write_kalibr(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """A camchain of all cameras in their order; cam0's T_cn_cnm1 is from the world, names are in the topics."""
    file = path if is_file(path, (".yaml", ".yml")) else path / "camchain.yaml"
    before, lines = np.eye(4), []
    for i, camera in enumerate(cameras):
        given = coefficients(camera, "Kalibr", (4,), fisheye=True)
        now = camera.cam_from_world.as_matrix()
        step = now @ np.linalg.inv(before)
        step[:3, 3] /= options.unit()
        before = now
        fx, fy, cx, cy = camera_matrix(camera)[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
        lines += [
            f"cam{i}:",
            "  camera_model: pinhole",
            f"  intrinsics: {flow([fx, fy, cx, cy])}",
            f"  distortion_model: {'equidistant' if isinstance(camera.lens, Fisheye) else 'radtan'}",
            f"  distortion_coeffs: {flow(given.tolist())}",
            "  T_cn_cnm1:",
            *(f"  - {flow(row)}" for row in step.tolist()),
            f"  resolution: {flow([int(side) for side in camera.size])}",
            f"  rostopic: {json.dumps(f'/{camera.name}/image_raw', ensure_ascii=False)}",
        ]
    note = "poses, for readers that pass over T_cn_cnm1 of cam0, which is from the world here"
    return CameraFiles({file: "\n".join(lines) + "\n"}, (note,))


def _name(key: str, entry: dict[str, object]) -> str:
    topic = entry.get("rostopic")
    match = re.fullmatch(r"/?(.+)/[^/]+", topic) if isinstance(topic, str) else None
    return match[1] if match else key


def _pose(
    key: str, name: str, entry: dict[str, object], before: RigidTransform | None, options: CameraOptions
) -> RigidTransform:
    if "T_cn_cnm1" not in entry:
        if before is not None:
            raise InputError(f"{key!r} has no 'T_cn_cnm1'; add it: where it stands to the camera before it")
        return pose_of_namesake(name, key, options)
    matrix = jsonfile.numbers(f"{key}: 'T_cn_cnm1'", entry["T_cn_cnm1"], (4, 4))
    if not np.allclose(matrix[3], [0.0, 0.0, 0.0, 1.0]):
        raise InputError(f"{key}: 'T_cn_cnm1' ends in {matrix[3].tolist()}; it must end in [0, 0, 0, 1]")
    step = pose_of(matrix[:3, :3], matrix[:3, 3], f"{key}: 'T_cn_cnm1'", options)
    return step if before is None else step * before


def _lens(key: str, entry: dict[str, object]) -> Lens:
    if entry["camera_model"] != "pinhole":
        raise InputError(f"{key}: camera_model {entry['camera_model']!r} is not read; only pinhole is")
    model = jsonfile.text(f"{key}: 'distortion_model'", entry["distortion_model"])
    if model not in DISTORTIONS:
        raise unknown_name("distortion model", model, DISTORTIONS, key)
    fx, fy, cx, cy = jsonfile.numbers(f"{key}: 'intrinsics'", entry["intrinsics"], (4,)).tolist()
    matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    if model == "none":
        return lens_from_matrix(matrix, np.zeros(0), key)
    given = jsonfile.numbers(f"{key}: 'distortion_coeffs'", entry["distortion_coeffs"], (4,))
    return lens_from_matrix(matrix, given, key, fisheye=model == "equidistant")
