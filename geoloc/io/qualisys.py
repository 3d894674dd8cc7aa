"""Qualisys' calibration (`*.qca.txt`, XML), of which Pose2Sim takes its cameras: read only.

World in millimetres. The rows of r11 ... r33 are the camera's axes x right, y up, z backward in the world, and x, y, z
its place. Intrinsics count 64 units a pixel from the sensor's first pixel (its centre, as OpenCV's); the video's
field (`fov_video`) starts at left, top. Distortion is OpenCV's k1 k2 p1 p2 k3.
"""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.camera_parts import CameraOptions, lens_from_matrix, pose_of, posed_camera, whole_size
from geoloc.scene.camera import Camera

UNITS_A_PIXEL = 64.0
MILLIMETRE = 1e-3
ROTATION = tuple(f"r{row}{column}" for row in (1, 2, 3) for column in (1, 2, 3))
INTRINSIC = ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV", "skew")
DISTORTION = (
    "radialDistortion1",
    "radialDistortion2",
    "tangentalDistortion1",
    "tangentalDistortion2",
    "radialDistortion3",
)
FIELD = ("left", "top", "right", "bottom")


def read_qualisys(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """The active cameras, named by their serial numbers; a camera that is turned (`viewrotation`) is refused."""
    try:
        root = ElementTree.fromstring(read_text(path).encode("utf-8"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{path}: XML breaks ({error}); is it truncated?") from error
    nodes = [node for node in root.findall("cameras/camera") if node.get("active", "1") == "1"]
    if not nodes:
        raise InputError(f"{path}: no active <camera> below <cameras>; is it a Qualisys calibration?")
    return tuple(_camera(node, path, options) for node in nodes)


def _camera(node: ElementTree.Element, path: Path, options: CameraOptions) -> Camera:
    name = node.get("serial", "")
    where = f"{path}: camera {name!r}"
    if not name:
        raise InputError(f"{path}: a camera has no serial number; give it one, it is its name")
    if node.get("viewrotation", "0") != "0":
        raise InputError(
            f"{where} has viewrotation {node.get('viewrotation')!r}; only views that are not turned are read"
        )
    rotation = _numbers(node, "transform", ROTATION, where).reshape(3, 3) * [[1.0], [-1.0], [-1.0]]
    place = _numbers(node, "transform", ("x", "y", "z"), where)
    fu, fv, cu, cv, skew = _numbers(node, "intrinsic", INTRINSIC, where) / UNITS_A_PIXEL
    left, top, right, bottom = _numbers(node, "fov_video", FIELD, where)
    size = whole_size(where, np.array([right - left + 1, bottom - top + 1]))
    matrix = np.array([[fu, skew, cu - left], [0.0, fv, cv - top], [0.0, 0.0, 1.0]])
    lens = lens_from_matrix(matrix, _numbers(node, "intrinsic", DISTORTION, where), where)
    pose = pose_of(rotation, -rotation @ place, where, options, MILLIMETRE)
    return posed_camera(name, where, options, lens, pose, size)


def _numbers(node: ElementTree.Element, tag: str, keys: tuple[str, ...], where: str) -> np.ndarray:
    part = node.find(tag)
    found = {} if part is None else part.attrib
    values = []
    for key in keys:
        try:
            values.append(float(found[key]))
        except (KeyError, ValueError) as error:
            raise InputError(f"{where}: <{tag}> has no number {key!r} (found {found.get(key)!r})") from error
    if not np.isfinite(values).all():
        raise InputError(f"{where}: <{tag}> holds numbers that are not finite")
    return np.array(values)
