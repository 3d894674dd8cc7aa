"""What readers of calibrations share: what a file leaves open, and a camera from the parts that it states."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import from_rt, pose_cov
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Lens, Pinhole, RadialTangential

DISTORTION_SIZES = (4, 5, 8, 12, 14)
NOT_A_ROTATION = 1e-3  # largest departure of R Rᵀ from the identity: files are written by hand, with few digits


@dataclass(frozen=True)
class CameraOptions:
    """What a calibration file does not say about its camera; what is needed and not set is asked for."""

    name: str = ""  # of the camera; what the file or its name says if empty
    size: tuple[int, int] = (0, 0)  # width and height, px; of files that do not state it
    metres: float = 0.0  # of one unit of length in the file: 0.01 for WILDTRACK's centimetres; 0: the form's own
    left_handed: bool = False  # the file's y runs clockwise from x: y is minus the file's, z the file's
    pose_sigma: tuple[float, float] = (0.0, 0.0)  # standard deviation of each rotation (rad), translation (m)
    level: str = "ground"  # that a homography belongs to
    sigma_px: float = 0.0  # error of a homography whose file does not state its own
    ground_from_pixel: bool = False  # a plain homography goes from pixels to metres, not back
    datum: Datum | None = None  # of the site, for homographies from latitude and longitude
    known: tuple[Camera, ...] = ()  # the site's cameras: a file of lenses alone takes the poses of its namesakes

    def __post_init__(self) -> None:
        if not 0 <= self.metres < np.inf:
            raise InputError(f"metres {self.metres}: metres in one unit of the file must be positive")

    def unit(self, own: float = 1.0) -> float:
        """Metres in one unit of length of a file of a form whose `own` unit (m) is this long."""
        return self.metres or own


def posed_camera(
    name: str, where: object, options: CameraOptions, lens: Lens, pose: RigidTransform, size: tuple[int, int] = (0, 0)
) -> Camera:
    """A camera of a file; `size` is what the file states, (0, 0) where it does not."""
    size = size if min(size) > 0 else stated_size(where, options)
    return Camera(options.name or name, lens, size, pose, pose_cov(*options.pose_sigma))


def stated_size(where: object, options: CameraOptions) -> tuple[int, int]:
    """The size that the options give; InputError that asks for it."""
    if min(options.size) <= 0:
        raise InputError(f"{where}: it does not state the image's size; give it, such as size=(1920, 1080)")
    return options.size


def whole_size(where: object, sides: np.ndarray) -> tuple[int, int]:
    """Width and height as a file states them, (2,) whole positive numbers."""
    width, height = np.asarray(sides, float).ravel()
    if not (1 <= width < 1e6 and 1 <= height < 1e6 and width % 1 == 0 and height % 1 == 0):
        raise InputError(f"{where}: image width and height [{width:g}, {height:g}]; they must be two counts of pixels")
    return int(width), int(height)


def pose_of(
    rotation: np.ndarray, translation: np.ndarray, where: object, options: CameraOptions, own_unit: float = 1.0
) -> RigidTransform:
    """cam_from_world of X_cam = R X + t with R (3, 3) or a rotation vector, in the file's units."""
    t = np.asarray(translation, float).ravel() * options.unit(own_unit)
    turn = np.asarray(rotation, float)
    turn = turn if turn.shape == (3, 3) else turn.ravel()
    finite = bool(np.isfinite(t).all() and np.isfinite(turn).all())
    if len(t) != 3 or turn.shape not in ((3, 3), (3,)) or not finite:
        raise InputError(f"{where}: rotation {turn.shape}, translation {t.shape}: not a finite pose")
    if turn.shape == (3, 3):
        _check_rotation(turn, where)
    pose = from_rt(turn, t)
    if not options.left_handed:
        return pose
    # X_cam and -X_cam have the same pixel: -R diag(1, -1, 1) is a rotation again
    return from_rt(pose.rotation.as_matrix() * [-1.0, 1.0, -1.0], -pose.translation)


def pose_of_namesake(name: str, where: object, options: CameraOptions) -> RigidTransform:
    """The pose of the known camera of this name, for a file that states none; InputError that asks for it."""
    for camera in options.known:
        if camera.name == (options.name or name) and not camera.is_homography:
            return camera.cam_from_world
    raise InputError(
        f"{where}: it does not state where camera {options.name or name!r} stands on the site; "
        "name it as a camera of the site that has a pose, or calibrate its pose first"
    )


def lens_from_matrix(matrix: np.ndarray, distortion: np.ndarray, where: object, fisheye: bool = False) -> Lens:
    """Lens of a camera matrix (3, 3) and OpenCV's distortion coefficients, of its fisheye module if so flagged."""
    matrix, distortion = np.asarray(matrix, float), np.asarray(distortion, float).ravel()
    if matrix.shape != (3, 3) or not np.allclose(matrix[[1, 2, 2], [0, 0, 1]], 0) or matrix[2, 2] != 1:
        form = "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        raise InputError(f"{where}: camera matrix {matrix.tolist()}; it must be {form}")
    if abs(matrix[0, 1]) > 1e-6 * abs(matrix[0, 0]):
        raise InputError(f"{where}: the camera matrix has skew {matrix[0, 1]:g}; lenses here have none")
    focal = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    if fisheye:
        if len(distortion) != 4:
            raise InputError(f"{where}: {len(distortion)} distortion coefficients; a fisheye has 4")
        return Fisheye(np.array([*focal, *distortion]))
    if not np.any(distortion):
        return Pinhole(np.array(focal))
    if len(distortion) not in DISTORTION_SIZES:
        sizes = ", ".join(map(str, DISTORTION_SIZES))
        raise InputError(f"{where}: {len(distortion)} distortion coefficients; OpenCV has {sizes}")
    return RadialTangential(np.array([*focal, *distortion]))


def _check_rotation(turn: np.ndarray, where: object) -> None:
    if not np.allclose(turn @ turn.T, np.eye(3), atol=NOT_A_ROTATION):
        raise InputError(f"{where}: the rotation's rows are not orthonormal; is it R of X_cam = R X + t?")
    if np.linalg.det(turn) < 0:
        raise InputError(f"{where}: the rotation is a reflection (determinant -1); its world is left-handed")
