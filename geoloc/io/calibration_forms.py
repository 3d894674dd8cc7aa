"""Cameras in the forms of others: OpenCV FileStorage, KRTD, WILDTRACK/MultiviewX XML pairs, homographies."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.files import find_files, read_text
from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import from_rt, pose_cov
from geoloc.io.homographies import invert, metric_from_geodetic
from geoloc.io.opencv_storage import lens_from_matrix, read_storage, require
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Homography, Lens

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


@dataclass(frozen=True)
class CameraOptions:
    """What a calibration file does not say about its camera; what is needed and not set is asked for."""

    name: str = ""  # of the camera; the file's name without its ending if empty
    size: tuple[int, int] = (0, 0)  # width and height, px; of files that do not state it
    metres: float = 1.0  # of one unit of length in the file: 0.01 for WILDTRACK's centimetres
    left_handed: bool = False  # the file's y runs clockwise from x: y is minus the file's, z the file's
    pose_sigma: tuple[float, float] = (0.0, 0.0)  # standard deviation of each rotation (rad), translation (m)
    level: str = "ground"  # that a homography belongs to
    sigma_px: float = 0.0  # error of a homography whose file does not state its own
    ground_from_pixel: bool = False  # a plain homography goes from pixels to metres, not back
    datum: Datum | None = None  # of the site, for homographies from latitude and longitude


def read_opencv(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """OpenCV FileStorage (YAML, XML, JSON) of one camera: matrix, distortion, pose, perhaps the image's size.

    Coefficients named `fisheye_coefficients` are those of OpenCV's fisheye module.
    """
    storage = read_storage(path)
    if storage.keys() & set(WIDTH_NAMES) and storage.keys() & set(HEIGHT_NAMES):
        sides = np.concatenate(
            [require(storage, names, path).ravel() for names in (WIDTH_NAMES, HEIGHT_NAMES)]
        )
        if len(sides) != 2 or not ((sides >= 1) & (sides < 1e6)).all():
            raise InputError(
                f"{path}: image width and height {sides.tolist()}; they must be two counts of pixels"
            )
        options = replace(options, size=(int(sides[0]), int(sides[1])))
    pose = _storage_pose(storage, path, options)
    return (_camera(path.stem, path, options, _storage_lens(storage, path), pose),)


def read_krtd(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """KRTD: K (3 rows), R (3 rows), t, OpenCV distortion, blank lines between; X_cam = R X + t."""
    try:
        numbers = np.array([float(word) for word in read_text(path).split()])
    except ValueError as error:
        raise InputError(f"{path}: not KRTD ({error}); it must be numbers only") from error
    if len(numbers) < 21:
        raise InputError(f"{path}: {len(numbers)} numbers; KRTD has 9 of K, 9 of R, 3 of t, and distortion")
    lens = lens_from_matrix(numbers[:9].reshape(3, 3), numbers[21:], str(path))
    pose = _pose(numbers[9:18].reshape(3, 3), numbers[18:21], path, options)
    return (_camera(path.stem, path, options, lens, pose),)


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
    camera = _camera(extrinsic.stem.removeprefix("extr_"), extrinsic, options, lens, pose)
    _check_handedness(camera, extrinsic)
    return camera


def read_homography(path: Path, options: CameraOptions) -> tuple[Camera, ...]:
    """Nine numbers, row by row: a homography from metres on a level to pixels, or back if so optioned."""
    try:
        matrix = np.array(re.split(r"[\s,;]+", read_text(path).strip()), float).reshape(3, 3)
    except ValueError as error:
        raise InputError(f"{path}: not a plain homography ({error}); it must be nine numbers") from error
    if options.ground_from_pixel:
        matrix = invert(matrix, str(path))
    matrix = matrix @ np.diag([1.0 / options.metres, 1.0 / options.metres, 1.0])
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
        return np.array(rows).reshape(3, 3), float(lines["reprojection error"])
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
        _size(path, options),
        homography_level=options.level,
        homography_sigma_px=sigma_px,
    )


def _storage_lens(storage: dict[str, np.ndarray], path: Path) -> Lens:
    matrix = require(storage, MATRIX_NAMES, path)
    if storage.keys() & set(FISHEYE_NAMES):
        pinhole = lens_from_matrix(matrix, np.zeros(0), str(path))
        return Fisheye(np.concatenate([pinhole.params, require(storage, FISHEYE_NAMES, path).ravel()]))
    has_distortion = storage.keys() & set(DISTORTION_NAMES)
    distortion = require(storage, DISTORTION_NAMES, path) if has_distortion else np.zeros(0)
    return lens_from_matrix(matrix, distortion, str(path))


def _storage_pose(storage: dict[str, np.ndarray], path: Path, options: CameraOptions) -> RigidTransform:
    rotation = require(storage, ROTATION_NAMES, path)
    return _pose(rotation, require(storage, TRANSLATION_NAMES, path), path, options)


def _pose(
    rotation: np.ndarray, translation: np.ndarray, path: Path, options: CameraOptions
) -> RigidTransform:
    """cam_from_world of X_cam = R X + t with R (3, 3) or a rotation vector, in the file's units."""
    t = np.asarray(translation, float).ravel() * options.metres
    turn = np.asarray(rotation, float)
    turn = turn if turn.shape == (3, 3) else turn.ravel()
    if (
        len(t) != 3
        or turn.shape not in ((3, 3), (3,))
        or not (np.isfinite(t).all() and np.isfinite(turn).all())
    ):
        raise InputError(f"{path}: rotation {turn.shape}, translation {t.shape}: not a finite pose")
    if turn.shape == (3, 3) and not np.allclose(turn @ turn.T, np.eye(3), atol=1e-3):
        raise InputError(f"{path}: the rotation's rows are not orthonormal; is it R of X_cam = R X + t?")
    if turn.shape == (3, 3) and np.linalg.det(turn) < 0:
        raise InputError(f"{path}: the rotation is a reflection (determinant -1); its world is left-handed")
    pose = from_rt(turn, t)
    if not options.left_handed:
        return pose
    # X_cam and -X_cam have the same pixel: -R diag(1, -1, 1) is a rotation again
    return from_rt(pose.rotation.as_matrix() * [-1.0, 1.0, -1.0], -pose.translation)


def _camera(name: str, path: Path, options: CameraOptions, lens: Lens, pose: RigidTransform) -> Camera:
    return Camera(options.name or name, lens, _size(path, options), pose, pose_cov(*options.pose_sigma))


def _size(path: Path, options: CameraOptions) -> tuple[int, int]:
    if min(options.size) <= 0:
        raise InputError(f"{path}: it does not state the image's size; give it, such as size=(1920, 1080)")
    return options.size


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
