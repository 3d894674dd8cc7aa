"""Calibrations out in plain forms: OpenCV FileStorage, KRTD, WILDTRACK's pairs of XML, homographies.

All of them have X_cam = R X + t, pixels as OpenCV counts them (the centre of the top-left pixel is (0, 0)), and
lengths in metres unless the options say otherwise.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.io.camera_files import (
    CameraFiles,
    CameraWriteOptions,
    camera_matrix,
    coefficients,
    file_name,
    numbers_text,
    one_a_file,
    rotation_and_translation,
)
from geoloc.io.camera_parts import DISTORTION_SIZES
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Homography

SIZES_NOTE = "sizes of the images: give them when these files are read"


def write_opencv(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """OpenCV FileStorage by the ending (.yaml, .yml, .xml, .json), a camera a file; a folder gets .yaml.

    Names are as `read_opencv` reads them; a fisheye's coefficients are called `fisheye_coefficients`.
    """

    def text(camera: Camera, file: Path) -> str:
        given = coefficients(camera, "OpenCV", (0, *DISTORTION_SIZES), fisheye=True)
        what = "fisheye_coefficients" if isinstance(camera.lens, Fisheye) else "distortion_coefficients"
        rotation, translation = rotation_and_translation(camera, options)
        matrices = {"camera_matrix": camera_matrix(camera), what: given[None], "R": rotation, "T": translation[:, None]}
        return _storage_text({key: value for key, value in matrices.items() if value.size}, camera.size, file.suffix)

    return CameraFiles(one_a_file(path, cameras, (".yaml", ".yml", ".xml", ".json"), text))


def write_krtd(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """KRTD: K, R, t, OpenCV's distortion (0 for none), blank lines between; .krtd, a camera a file."""

    def text(camera: Camera, file: Path) -> str:
        given = coefficients(camera, "KRTD", (0, *DISTORTION_SIZES))
        rotation, translation = rotation_and_translation(camera, options)
        blocks = [camera_matrix(camera), rotation, translation[None], given[None] if len(given) else np.zeros((1, 1))]
        return "\n\n".join("\n".join(map(numbers_text, block)) for block in blocks) + "\n"

    return CameraFiles(one_a_file(path, cameras, (".krtd",), text), (SIZES_NOTE,))


def write_xml_pairs(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """WILDTRACK's folders: `intrinsic/intr_NAME.xml` and `extrinsic/extr_NAME.xml` with rvec and tvec.

    Metres, as MultiviewX has them; WILDTRACK itself has centimetres.
    """
    files: dict[Path, str | bytes] = {}
    for camera in cameras:
        given = coefficients(camera, "WILDTRACK's XML", DISTORTION_SIZES)
        _, translation = rotation_and_translation(camera, options)
        inner = {"camera_matrix": camera_matrix(camera), "distortion_coefficients": given[:, None]}
        vectors = {"rvec": camera.cam_from_world.rotation.as_rotvec(), "tvec": translation}
        lists = "".join(f"<{key}>\n  {numbers_text(value)}</{key}>\n" for key, value in vectors.items())
        head, tail = '<?xml version="1.0"?>\n<opencv_storage>\n', "</opencv_storage>\n"
        files[path / "intrinsic" / f"intr_{file_name(camera)}.xml"] = _storage_text(inner, (0, 0), ".xml")
        files[path / "extrinsic" / f"extr_{camera.name}.xml"] = f"{head}{lists}{tail}"
    return CameraFiles(files, (SIZES_NOTE,))


def write_homography(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """Nine numbers, row by row: from metres on the camera's level to pixels; .txt, a camera a file.

    Cameras with a pose are refused: a homography would hold their ground only.
    """

    def text(camera: Camera, file: Path) -> str:
        if not isinstance(camera.lens, Homography):
            raise InputError(f"camera {camera.name!r} has a pose, not a homography; write it as opencv or krtd")
        matrix = camera.lens.matrix @ np.diag([options.unit(), options.unit(), 1.0])
        return "\n".join(map(numbers_text, matrix)) + "\n"

    return CameraFiles(
        one_a_file(path, cameras, (".txt",), text), (SIZES_NOTE, "levels and errors of the homographies")
    )


def _storage_text(matrices: Mapping[str, np.ndarray], size: tuple[int, int], ending: str) -> str:
    """A FileStorage as OpenCV writes it, from memory: matrices, and the image's size where it is given."""
    import cv2

    storage = cv2.FileStorage(ending, cv2.FileStorage_WRITE | cv2.FileStorage_MEMORY)
    if min(size) > 0:
        storage.write("image_width", int(size[0]))
        storage.write("image_height", int(size[1]))
    for name, matrix in matrices.items():
        storage.write(name, np.ascontiguousarray(matrix, dtype=float))
    return storage.releaseAndGetString()
