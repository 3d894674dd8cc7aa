"""Tsai's calibration in XML, as PETS 2009 and data sets after it have it, a camera a file.

World in millimetres, X_cam = R X + t with R = Rz(rz) Ry(ry) Rx(rx), rad; z of the world is up in PETS. Focal length
and sensor pitch (dpx, dpy) in mm, cx and cy in pixels, sx stretches u. `kappa1` (1/mm²) leads from the distorted
point to the undistorted one: `tsai_lens` has OpenCV's lens of it. The format states no pixel origin; OpenCV's is
taken.
"""

import logging
from pathlib import Path
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from scipy.spatial.transform import Rotation

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.camera_files import CameraFiles, CameraWriteOptions, one_a_file, require_pose, rotation_and_translation
from geoloc.io.camera_parts import CameraOptions, pose_of, posed_camera, whole_size
from geoloc.io.tsai_lens import lens_of_tsai, tsai_of_lens
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye

logger = logging.getLogger(__name__)

MILLIMETRE = 1e-3
PITCH_MM = 0.005  # of the sensor, in files written here: only its ratio to the focal length has a meaning
TOLD_PX = 0.01  # a fit worse than this is told
PARTS = {
    "Geometry": ("width", "height", "dpx", "dpy"),
    "Intrinsic": ("focal", "kappa1", "cx", "cy", "sx"),
    "Extrinsic": ("tx", "ty", "tz", "rx", "ry", "rz"),
}


def read_tsai(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """One camera; its lens is OpenCV's, with a warning in the log where that is off Tsai's by more than 0.01 px."""
    name, values = _parse(path)
    size = whole_size(path, np.array([values["width"], values["height"]]))
    if not min(values["focal"], values["dpx"], values["dpy"], values["sx"]) > 0:
        raise InputError(f"{path}: focal, dpx, dpy and sx must be positive")
    focal = (values["focal"] * values["sx"] / values["dpx"], values["focal"] / values["dpy"])
    k = values["kappa1"] * values["focal"] ** 2
    try:
        lens, error = lens_of_tsai(focal, (values["cx"], values["cy"]), k, size)
    except (InputError, ValueError, np.linalg.LinAlgError) as broken:
        raise InputError(f"{path}: {broken}") from broken
    if error > TOLD_PX:
        logger.warning("%s: OpenCV's lens is off Tsai's by up to %.2g px towards the image's corners", path, error)
    rotation = Rotation.from_euler("xyz", [values["rx"], values["ry"], values["rz"]]).as_matrix()
    translation = np.array([values["tx"], values["ty"], values["tz"]])
    pose = pose_of(rotation, translation, path, options, MILLIMETRE)
    return (posed_camera(name, path, options, lens, pose, size),)


def write_tsai(path: Path, cameras: tuple[Camera, ...], options: CameraWriteOptions) -> CameraFiles:
    """A file a camera, .xml; a lens that one radial term cannot hold to 0.01 px is refused."""

    def text(camera: Camera, file: Path) -> str:
        require_pose(camera, "Tsai's XML")
        if isinstance(camera.lens, Fisheye):
            raise InputError(f"camera {camera.name!r}: Tsai's XML has no fisheye lens; write it as opencv or colmap")
        fx, fy, cx, cy = camera.lens.params[:4].tolist()
        focal = fy * PITCH_MM
        rotation, (tx, ty, tz) = rotation_and_translation(camera, options, MILLIMETRE)
        rx, ry, rz = Rotation.from_matrix(rotation).as_euler("xyz")
        width, height = camera.size
        elements = {
            "Geometry": {"width": int(width), "height": int(height), "ncx": float(width), "nfx": float(width)}
            | dict.fromkeys(("dx", "dy", "dpx", "dpy"), PITCH_MM),
            "Intrinsic": {
                "focal": focal,
                "kappa1": tsai_of_lens(camera.lens, camera.size, camera.name) / focal**2,
                "cx": cx,
                "cy": cy,
                "sx": fx / fy,
            },
            "Extrinsic": {"tx": tx, "ty": ty, "tz": tz, "rx": rx, "ry": ry, "rz": rz},
        }
        lines = [f"\t<{tag} {_attributes(values)}/>\n" for tag, values in elements.items()]
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<Camera name={quoteattr(camera.name)}>\n'
        return f"{head}{''.join(lines)}</Camera>\n"

    note = f"the sensor's pitch: {PITCH_MM} mm is written, and the focal length in mm to match"
    return CameraFiles(one_a_file(path, cameras, (".xml",), text), (note,))


def _attributes(values: dict[str, float]) -> str:
    return " ".join(
        f'{key}="{value if isinstance(value, int) else repr(float(value))}"' for key, value in values.items()
    )


def _parse(path: Path) -> tuple[str, dict[str, float]]:
    """The camera's name, and every number of `PARTS` by its name."""
    try:
        root = ElementTree.fromstring(read_text(path))
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: XML breaks ({error}); is it truncated?") from error
    if root.tag != "Camera":
        raise InputError(f"{path}: its root is <{root.tag}>; Tsai's XML has <Camera>")
    values: dict[str, float] = {}
    for tag, keys in PARTS.items():
        node = root.find(tag)
        found = {} if node is None else node.attrib
        for key in keys:
            if key not in found:
                raise InputError(f"{path}: <{tag}> has no {key!r}; add it")
            values[key] = _finite(path, tag, key, found[key])
    return root.get("name") or path.stem, values


def _finite(path: Path, tag: str, key: str, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"{path}: <{tag}> {key}={word!r}; it must be a finite number")
    return value
