"""COLMAP's models, text and binary: a folder with cameras and images, of which each image is a camera here.

COLMAP's pixel (0, 0) is the corner of the top-left pixel: principal points move by half a pixel here, and nowhere
else. Poses are cam_from_world as a quaternion, w first, and a translation, in the model's own unit (say with `metres`
how long it is). Own parsers: what pycolmap says of a broken model names neither the file nor the row.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError, unknown_name
from geoloc.io.camera_files import CameraFiles, CameraWriteOptions, coefficients, require_pose, rotation_and_translation
from geoloc.io.camera_parts import CameraOptions, pose_of, posed_camera, whole_size
from geoloc.io.colmap_files import (
    ImageRow,
    LensRow,
    binary_files,
    read_binary_cameras,
    read_binary_images,
    read_text_cameras,
    read_text_images,
    text_files,
)
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import FISHEYE_NAMES, RADIAL_TANGENTIAL_NAMES, Fisheye, Lens, Pinhole, RadialTangential

HALF_PIXEL = 0.5
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class Model(NamedTuple):
    """A camera model of COLMAP: its number in binary files, and its parameters, `f` for both focal lengths."""

    number: int
    names: tuple[str, ...]


MODELS = {
    "SIMPLE_PINHOLE": Model(0, ("f", "cx", "cy")),
    "PINHOLE": Model(1, ("fx", "fy", "cx", "cy")),
    "SIMPLE_RADIAL": Model(2, ("f", "cx", "cy", "k1")),
    "RADIAL": Model(3, ("f", "cx", "cy", "k1", "k2")),
    "OPENCV": Model(4, ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2")),
    "OPENCV_FISHEYE": Model(5, ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4")),
    "FULL_OPENCV": Model(6, ("fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")),
    "SIMPLE_RADIAL_FISHEYE": Model(8, ("f", "cx", "cy", "k1")),
    "RADIAL_FISHEYE": Model(9, ("f", "cx", "cy", "k1", "k2")),
    "SIMPLE_FISHEYE": Model(14, ("f", "cx", "cy")),
    "FISHEYE": Model(15, ("fx", "fy", "cx", "cy")),
}
NUMBERS = {model.number: len(model.names) for model in MODELS.values()}
NAMES = {model.number: name for name, model in MODELS.items()}


def read_colmap(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """Cameras of the images of a model, named by their pictures less the ending; .bin is read before .txt."""
    if (path / "cameras.bin").is_file():
        lenses = read_binary_cameras(path / "cameras.bin", NUMBERS, NAMES)
        images = read_binary_images(path / "images.bin")
    else:
        lenses, images = read_text_cameras(path / "cameras.txt"), read_text_images(path / "images.txt")
    if not images:
        raise InputError(f"{path}: the model holds no image")
    return tuple(_camera(path, image, lenses, options) for image in images)


def write_colmap(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """The model as text: cameras.txt, images.txt, points3D.txt (none); an image's name is its camera's."""
    return CameraFiles({path / name: text for name, text in text_files(*_rows(cameras, options)).items()})


def write_colmap_binary(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """The model as cameras.bin, images.bin, points3D.bin."""
    numbers = {name: model.number for name, model in MODELS.items()}
    return CameraFiles({path / name: data for name, data in binary_files(*_rows(cameras, options), numbers).items()})


def _camera(path: Path, image: ImageRow, lenses: dict[int, LensRow], options: CameraOptions) -> Camera:
    where = f"{path}: image {image.name!r}"
    if image.camera not in lenses:
        raise InputError(f"{where} is of camera {image.camera}, which the model does not have; is a file missing?")
    row = lenses[image.camera]
    w, x, y, z = image.quaternion
    length = math.hypot(*image.quaternion)
    if not abs(length - 1.0) < 1e-3:
        raise InputError(f"{where}: its quaternion has length {length:g}; it must be 1")
    rotation = Rotation.from_quat([x, y, z, w]).as_matrix()
    pose: RigidTransform = pose_of(rotation, np.array(image.translation), where, options)
    name = image.name
    for ending in PICTURES:
        name = name[: -len(ending)] if name.lower().endswith(ending) else name
    return posed_camera(
        name or image.name, where, options, _lens(row, where), pose, whole_size(where, np.array(row.size))
    )


def _lens(row: LensRow, where: str) -> Lens:
    if row.model not in MODELS:
        raise unknown_name("camera model", row.model, MODELS, where)
    names = MODELS[row.model].names
    if len(row.params) != len(names) or not np.isfinite(row.params).all():
        raise InputError(
            f"{where}: {row.model} has {len(names)} finite parameters, {', '.join(names)}; found {row.params}"
        )
    values = dict(zip(names, row.params, strict=True))
    values = {"fx": values.get("f", 0.0), "fy": values.get("f", 0.0), **values}
    values["cx"], values["cy"] = values["cx"] - HALF_PIXEL, values["cy"] - HALF_PIXEL
    if "FISHEYE" in row.model:
        return Fisheye(np.array([values.get(name, 0.0) for name in FISHEYE_NAMES]))
    if "k1" not in values:
        return Pinhole(np.array([values[name] for name in RADIAL_TANGENTIAL_NAMES[:4]]))
    size = 12 if "k3" in values else 8
    return RadialTangential(np.array([values.get(name, 0.0) for name in RADIAL_TANGENTIAL_NAMES[:size]]))


def _rows(cameras: tuple[Camera, ...], options: CameraWriteOptions) -> tuple[list[LensRow], list[ImageRow]]:
    lenses, images = [], []
    for number, camera in enumerate(cameras, 1):
        require_pose(camera, "COLMAP")
        given = coefficients(camera, "COLMAP", (0, 4, 8), fisheye=True)
        model = {0: "PINHOLE", 4: "OPENCV", 8: "FULL_OPENCV"}[len(given)]
        fx, fy, cx, cy = camera.lens.params[:4].tolist()
        params = (fx, fy, cx + HALF_PIXEL, cy + HALF_PIXEL, *given.tolist())
        model = "OPENCV_FISHEYE" if isinstance(camera.lens, Fisheye) else model
        lenses.append(LensRow(number, model, (int(camera.size[0]), int(camera.size[1])), params))
        rotation, translation = rotation_and_translation(camera, options)
        x, y, z, w = Rotation.from_matrix(rotation).as_quat(canonical=True).tolist()
        if any(letter in camera.name for letter in "\n\r\0") or camera.name != camera.name.strip():
            raise InputError(
                f"camera {camera.name!r}: a COLMAP image's name has no line break and no blank at its ends"
            )
        images.append(ImageRow(number, (w, x, y, z), tuple(translation.tolist()), number, camera.name))
    return lenses, images
