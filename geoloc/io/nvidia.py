"""NVIDIA's calibrations: Metropolis' `calibration.json` of many sensors, and DeepStream's camera files (mv3dt).

Both hold a camera without distortion: K R t or P = K [R | t] from the world, metres, to pixels (`w2p`). They state
no pixel origin; it is taken as OpenCV's. `scaleFactor` and `translationToGlobalCoordinates` place a picture of the
map and are not used. `homography` is left alone: some programs have it from the ground, others to it.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.io.camera_files import (
    CameraFiles,
    CameraWriteOptions,
    camera_matrix,
    coefficients,
    is_file,
    one_a_file,
    rotation_and_translation,
)
from geoloc.io.camera_parts import CameraOptions, lens_from_matrix, pose_of, posed_camera, whole_size
from geoloc.io.matrices import camera_from_projection
from geoloc.io.yaml_text import flow, read_yaml
from geoloc.scene import jsonfile
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Lens

AGREE = 1e-3  # of the larger: cameraMatrix against intrinsicMatrix x extrinsicMatrix
W2P, CENTRED = "projectionMatrix_3x4_w2p", "projectionMatrix_3x4"


def read_nvidia(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """The sensors of type camera of a `calibration.json` with matrices; sizes are their frameWidth, frameHeight."""
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        kind = document.get("calibrationType", "cartesian")
        if kind != "cartesian":
            raise InputError(f"calibrationType is {kind!r}; cameras with a pose are in a 'cartesian' one")
        sensors = jsonfile.sequence("'sensors'", document.get("sensors"))
        entries = [jsonfile.mapping(f"sensor {i}", sensor) for i, sensor in enumerate(sensors)]
        found = tuple(_sensor(entry, options) for entry in entries if entry.get("type", "camera") == "camera")
        if not found:
            raise InputError("'sensors' holds no camera")
        return found


def write_nvidia(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """A `calibration.json` of type cartesian: intrinsicMatrix, extrinsicMatrix and cameraMatrix of each camera."""
    file = path if is_file(path, (".json",)) else path / "calibration.json"
    sensors = [_sensor_entry(camera, options) for camera in cameras]
    document = {"version": "1.0", "osmURL": "", "calibrationType": "cartesian", "sensors": sensors}
    note = "homography, regions and place on Earth, which the file leaves to its tools"
    return CameraFiles({file: json.dumps(document, indent=1, ensure_ascii=False) + "\n"}, (note,))


def read_mv3dt(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """A DeepStream camera file: `projectionMatrix_3x4_w2p`, twelve numbers row by row."""
    content = read_yaml(path)
    with jsonfile.naming(path):
        if W2P not in content:
            centred = f"; {CENTRED} counts pixels from the image's middle: convert it" if CENTRED in content else ""
            raise InputError(f"has no {W2P!r}{centred}")
        projection = jsonfile.numbers(f"{W2P!r}", content[W2P], (12,)).reshape(3, 4)
        lens, pose = _from_projection(projection, W2P, options)
        return (posed_camera(path.stem, "the file", options, lens, pose),)


def write_mv3dt(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """A DeepStream camera file of each camera, .yml, without `modelInfo`: what is tracked is not the camera's."""

    def text(camera: Camera, file: Path) -> str:
        return f"{W2P}: {flow(_projection(camera, 'DeepStream', options).ravel().tolist())}\n"

    notes = ("sizes of the images", "modelInfo (height and radius of what is tracked): add it for DeepStream")
    return CameraFiles(one_a_file(path, cameras, (".yml", ".yaml"), text), notes)


def _sensor(entry: dict[str, Any], options: CameraOptions) -> Camera:
    name = jsonfile.text("'id' of a sensor", entry.get("id"))
    what = f"sensor {name!r}"
    for key, value in entry.items():
        if re.match("dist(ort|_?coef)", key, re.IGNORECASE) and np.any(np.asarray(value, dtype=object)):
            raise InputError(f"{what} has {key!r}; a lens with distortion is not read: rectify its images")
    size = _size(what, entry)
    if "intrinsicMatrix" not in entry or "extrinsicMatrix" not in entry:
        if "cameraMatrix" not in entry:
            raise InputError(f"{what} has no intrinsicMatrix and extrinsicMatrix, nor a cameraMatrix; add them")
        lens, pose = _from_projection(_numbers(what, entry, "cameraMatrix", (3, 4)), what, options)
        return posed_camera(name, what, options, lens, pose, size)
    intrinsic = _numbers(what, entry, "intrinsicMatrix", (3, 3))
    rows = len(jsonfile.sequence(f"{what}: 'extrinsicMatrix'", entry["extrinsicMatrix"]))
    extrinsic = _numbers(what, entry, "extrinsicMatrix", (4 if rows == 4 else 3, 4))[:3]
    if "cameraMatrix" in entry:
        _check_agreement(what, intrinsic @ extrinsic, _numbers(what, entry, "cameraMatrix", (3, 4)))
    lens = lens_from_matrix(intrinsic, np.zeros(0), what)
    return posed_camera(name, what, options, lens, pose_of(extrinsic[:, :3], extrinsic[:, 3], what, options), size)


def _check_agreement(what: str, product: np.ndarray, stated: np.ndarray) -> None:
    a, b = product.ravel() / np.linalg.norm(product), stated.ravel() / max(np.linalg.norm(stated), 1e-300)
    if min(np.abs(a - b).max(), np.abs(a + b).max()) > AGREE:
        raise InputError(
            f"{what}: cameraMatrix is not intrinsicMatrix x extrinsicMatrix; is extrinsicMatrix from the world "
            "to the camera, and are all three of one calibration?"
        )


def _from_projection(projection: np.ndarray, what: str, options: CameraOptions) -> tuple[Lens, RigidTransform]:
    lens, pose = camera_from_projection(projection, what)
    return lens, pose_of(pose.rotation.as_matrix(), pose.translation, what, options)


def _numbers(what: str, entry: dict[str, Any], key: str, shape: tuple[int, ...]) -> np.ndarray:
    return jsonfile.numbers(f"{what}: {key!r}", entry[key], shape)


def _size(what: str, entry: dict[str, Any]) -> tuple[int, int]:
    """frameWidth and frameHeight among the attributes, which are pairs of texts; (0, 0) where they are not."""
    listed = jsonfile.sequence(f"{what}: 'attributes'", entry.get("attributes", []))
    pairs = [jsonfile.mapping(f"{what}: an attribute", item) for item in listed]
    values = {str(pair.get("name")): pair.get("value") for pair in pairs}
    if "frameWidth" not in values or "frameHeight" not in values:
        return (0, 0)
    try:
        return whole_size(what, np.array([float(str(values[key])) for key in ("frameWidth", "frameHeight")]))
    except ValueError as error:
        raise InputError(f"{what}: frameWidth or frameHeight: {error}") from error


def _projection(camera: Camera, form: str, options: CameraWriteOptions) -> np.ndarray:
    coefficients(camera, form, (0,))
    rotation, translation = rotation_and_translation(camera, options)
    return camera_matrix(camera) @ np.column_stack([rotation, translation])


def _sensor_entry(camera: Camera, options: CameraWriteOptions) -> dict[str, Any]:
    projection = _projection(camera, "calibration.json", options)
    rotation, translation = rotation_and_translation(camera, options)
    x, y, z = (camera.centre_world / options.unit()).tolist()
    width, height = (str(int(side)) for side in camera.size)
    return {
        "type": "camera",
        "id": camera.name,
        "origin": {"lng": 0, "lat": 0},
        "geoLocation": {"lng": 0, "lat": 0},
        "coordinates": {"x": x, "y": y, "z": z},
        "scaleFactor": 1,
        "translationToGlobalCoordinates": {"x": 0, "y": 0},
        "attributes": [{"name": "frameWidth", "value": width}, {"name": "frameHeight", "value": height}],
        "place": [],
        "imageCoordinates": [],
        "globalCoordinates": [],
        "intrinsicMatrix": camera_matrix(camera).tolist(),
        "extrinsicMatrix": np.column_stack([rotation, translation]).tolist(),
        "cameraMatrix": projection.tolist(),
        "tripwires": [],
        "rois": [],
    }
