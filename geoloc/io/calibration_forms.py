"""Cameras in the forms of others: OpenCV FileStorage, KRTD, WILDTRACK/MultiviewX XML pairs, homographies."""

import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.files import find_files, read_text
from geoloc.io.camera_parts import CameraOptions, lens_from_matrix, pose_of, posed_camera, stated_size, whole_size
from geoloc.io.homographies import invert, metric_from_geodetic
from geoloc.io.opencv_storage import read_storage, require
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography, Lens

MATRIX_NAMES = ("camera_matrix", "cameraMatrix", "Camera_Matrix", "CameraMatrix", "K", "M1")
DISTORTION_NAMES = (
    "distortion_coefficients",
    "Distortion_Coefficients",
    "distCoeffs",
    "dist_coeffs",
    "D",
    "D1",
)
FISHEYE_NAMES = ("fisheye_coefficients", "fisheye_distortion")
ROTATION_NAMES = ("rvec", "R", "rotation_matrix", "rotation")
TRANSLATION_NAMES = ("tvec", "t", "T", "translation_vector", "translation")
WIDTH_NAMES, HEIGHT_NAMES = ("image_width", "width"), ("image_height", "height")
INTRINSIC_FOLDERS = ("intrinsic_zero", "intrinsic", "intrinsics", "intrinsic_original")


def read_opencv(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """OpenCV FileStorage (YAML, XML, JSON) of one camera: matrix, distortion, pose, perhaps the image's size.

    X_cam = R X + t, R a matrix or a rotation vector. Coefficients named `fisheye_coefficients` are those of
    OpenCV's fisheye module.
    """
    storage = read_storage(path)
    size = (0, 0)
    if storage.keys() & set(WIDTH_NAMES) and storage.keys() & set(HEIGHT_NAMES):
        sides = [require(storage, names, path).ravel() for names in (WIDTH_NAMES, HEIGHT_NAMES)]
        if any(len(side) != 1 for side in sides):
            raise InputError(f"{path}: image width and height {sides}; they must be two counts of pixels")
        size = whole_size(path, np.concatenate(sides))
    pose = _storage_pose(storage, path, options)
    return (posed_camera(path.stem, path, options, _storage_lens(storage, path), pose, size),)


def read_krtd(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """KRTD: K (3 rows), R (3 rows), t, OpenCV distortion, blank lines between; X_cam = R X + t."""
    try:
        numbers = np.array([float(word) for word in read_text(path).split()])
    except ValueError as error:
        raise InputError(f"{path}: not KRTD ({error}); it must be numbers only") from error
    if len(numbers) < 21:
        raise InputError(f"{path}: {len(numbers)} numbers; KRTD has 9 of K, 9 of R, 3 of t, and distortion")
    lens = lens_from_matrix(numbers[:9].reshape(3, 3), numbers[21:], path)
    pose = pose_of(numbers[9:18].reshape(3, 3), numbers[18:21], path, options)
    return (posed_camera(path.stem, path, options, lens, pose),)


def read_xml_pairs(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """A folder with `extrinsic/extr_NAME.xml` and `intrinsic*/intr_NAME.xml`, as WILDTRACK and MultiviewX."""
    names = [name for name in INTRINSIC_FOLDERS if (path / name).is_dir()]
    inner = path / (names[0] if names else "intrinsic")
    files = find_files(path, "extrinsic/extr_*.xml", "extrinsic calibration")
    return tuple(
        read_xml_pair(inner / file.name.replace("extr_", "intr_", 1), file, options) for file in files
    )


def read_xml_pair(intrinsic: Path, extrinsic: Path, options: CameraOptions) -> Camera:
    """One camera of a pair of files; named by the extrinsic file unless `options` name it."""
    lens = _storage_lens(read_storage(intrinsic), intrinsic)
    pose = _storage_pose(read_storage(extrinsic), extrinsic, options)
    camera = posed_camera(extrinsic.stem.removeprefix("extr_"), extrinsic, options, lens, pose)
    _check_handedness(camera, extrinsic)
    return camera


def read_homography(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """Nine numbers, row by row: a homography from metres on a level to pixels, or back if so optioned."""
    try:
        matrix = np.array(re.split(r"[\s,;]+", read_text(path).strip()), float).reshape(3, 3)
    except ValueError as error:
        raise InputError(f"{path}: not a plain homography ({error}); it must be nine numbers") from error
    if not np.isfinite(matrix).all():
        raise InputError(f"{path}: the homography {matrix.tolist()} is not finite; it must be nine finite numbers")
    if options.ground_from_pixel:
        matrix = invert(matrix, str(path))
    matrix = matrix @ np.diag([1.0 / options.unit(), 1.0 / options.unit(), 1.0])
    return (homography_camera(path.stem, path, options, matrix, options.sigma_px),)


def read_homography_latlon(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """`Homography matrix: a b c;d e f;g h i` from (lat, lon, 1) to pixels, as CityFlow; needs the datum."""
    if options.datum is None:
        raise InputError(f"{path}: a homography from latitude and longitude needs the site's datum; give it")
    matrix, error_px = parse_latlon_homography(path)
    metric = metric_from_geodetic(matrix, options.datum)
    return (homography_camera(path.stem, path, options, metric, error_px),)


def parse_latlon_homography(path: Path) -> tuple[np.ndarray, float]:
    """pixel_from_latlon (3, 3) with all digits of the file, and the stated reprojection error, px."""
    lines = {}
    for line in read_text(path).splitlines():
        key, _, value = line.partition(":")
        lines[key.strip().lower()] = value.strip()
    try:
        rows = [[float(word) for word in row.split()] for row in lines["homography matrix"].split(";")]
        matrix, error_px = np.array(rows).reshape(3, 3), float(lines["reprojection error"])
        if not (np.isfinite(matrix).all() and np.isfinite(error_px)):
            raise ValueError("its numbers are not all finite")
        return matrix, error_px
    except (KeyError, ValueError) as error:
        form = "'Homography matrix: a b c;d e f;g h i' and 'Reprojection error: px'"
        raise InputError(f"{path}: not a homography file ({error}); it must hold {form}") from error


def homography_camera(
    name: str, path: Path, options: CameraOptions, matrix: np.ndarray, sigma_px: float
) -> Camera:
    """Camera of a pixel_from_ground homography (3, 3) in metres."""
    return Camera(
        options.name or name,
        Homography(np.asarray(matrix / np.linalg.norm(matrix)).ravel()),
        stated_size(path, options),
        homography_level=options.level,
        homography_sigma_px=sigma_px,
    )


def _storage_lens(storage: dict[str, np.ndarray], path: Path) -> Lens:
    matrix = require(storage, MATRIX_NAMES, path)
    if storage.keys() & set(FISHEYE_NAMES):
        return lens_from_matrix(matrix, require(storage, FISHEYE_NAMES, path), path, fisheye=True)
    has_distortion = storage.keys() & set(DISTORTION_NAMES)
    distortion = require(storage, DISTORTION_NAMES, path) if has_distortion else np.zeros(0)
    return lens_from_matrix(matrix, distortion, path)


def _storage_pose(storage: dict[str, np.ndarray], path: Path, options: CameraOptions) -> RigidTransform:
    rotation = require(storage, ROTATION_NAMES, path)
    return pose_of(rotation, require(storage, TRANSLATION_NAMES, path), path, options)


def _check_handedness(camera: Camera, path: Path) -> None:
    """Refuse a camera above z = 0 that looks up and stands on its head: its file's world is left-handed.

    Such a file puts what the camera sees behind it, where it has the same pixels.
    """
    width, height = camera.size
    middle = 0.5 * (width - 1)
    top, centre, bottom = camera.unproject(
        np.array([[middle, 0], [middle, height / 2], [middle, height - 1]])
    )
    if camera.centre_world[2] > 0 and bottom[2] > centre[2] > max(top[2], 0.0):
        raise InputError(f"{path}: its camera looks up, head down: the file's world is left-handed; say so")
