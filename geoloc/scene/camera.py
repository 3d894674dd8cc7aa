"""A camera: lens, image size, pose, and the covariance of all of them together."""

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import GeometryError, InputError, unknown_name
from geoloc.geometry.se3 import cross_matrix
from geoloc.scene.lenses import Homography, Lens

MAX_SIDE = 100_000  # px; a larger image is a mistake in a file


@dataclass(frozen=True, eq=False)
class Camera:
    """A fixed camera of a site.

    `size` is (width, height) px. `calib_cov` (6 + k, 6 + k) is the covariance of the pose perturbation
    (`exp(xi) * cam_from_world`, rotation in rad, then m) and of the k lens parameters named in `freed`.
    A camera of lens `homography` has no pose: it sees one level, `homography_level`, with an error of
    `homography_sigma_px` that persists, and `calib_cov` is not used.
    """

    name: str
    lens: Lens
    size: tuple[int, int]
    cam_from_world: RigidTransform = field(default_factory=RigidTransform.identity)
    calib_cov: np.ndarray = field(default_factory=lambda: np.zeros((6, 6)))
    freed: tuple[str, ...] = ()
    homography_level: str = ""
    homography_sigma_px: float = 0.0

    def __post_init__(self) -> None:
        if not (self.name and len(self.size) == 2 and all(0 < side <= MAX_SIDE for side in self.size)):
            need = f"a name and positive sizes, at most {MAX_SIDE} px"
            raise InputError(f"camera {self.name!r}: size {self.size}; it needs {need}")
        _check_pose(self.name, self.cam_from_world)
        names = self.lens.parameter_names
        for parameter in self.freed:
            if parameter not in names:
                raise unknown_name("lens parameter", parameter, names, f"camera {self.name!r}")
        if not (np.isfinite(self.homography_sigma_px) and self.homography_sigma_px >= 0):
            sigma = self.homography_sigma_px
            raise InputError(f"camera {self.name!r}: homography_sigma_px {sigma} must be finite and >= 0")
        cov = np.array(self.calib_cov, float)
        _check_calib_cov(self.name, cov, len(self.freed))
        cov.flags.writeable = False
        object.__setattr__(self, "calib_cov", cov)

    @property
    def is_homography(self) -> bool:
        """Whether only its homography of one level is known."""
        return isinstance(self.lens, Homography)

    @property
    def centre_world(self) -> np.ndarray:
        """Position of the camera (3,) m."""
        self.require_pose("has no position")
        return self.cam_from_world.inv().translation

    @property
    def freed_index(self) -> np.ndarray:
        """Where the freed parameters stand among the lens's: (k,) int."""
        names = self.lens.parameter_names
        return np.array([names.index(name) for name in self.freed], dtype=int)

    def require_pose(self, why: str) -> None:
        """Raise GeometryError, naming this camera and `why`, if only its homography is known."""
        if self.is_homography:
            only = f"camera {self.name!r} is known by a homography only"
            raise GeometryError(f"{only}: it {why}; calibrate its pose")

    def project(self, points_world: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points (N, 3) m; NaN behind the camera or outside the lens's field.

        Pixels may lie outside the image: see `inside`.
        """
        self.require_pose("cannot project points")
        return self.lens.project(self.cam_from_world.apply(np.asarray(points_world, float).reshape(-1, 3)))

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Unit rays in the world frame (N, 3) of pixels (N, 2); NaN where the lens cannot be undone."""
        self.require_pose("has no rays")
        rays_cam = self.lens.unproject(np.asarray(pixels, float).reshape(-1, 2))
        return rays_cam @ self.cam_from_world.rotation.as_matrix()

    @property
    def ground_from_image(self) -> np.ndarray:
        """From homogeneous pixels to its level (3, 3), of a camera known by its homography: w > 0 up to the horizon.

        The ground is on the side of the horizon on which the middle of the image's lower edge is.
        """
        if not isinstance(self.lens, Homography):
            raise InputError(f"camera {self.name!r} has a pose, not a homography; unproject, and intersect the ground")
        inverse = np.linalg.inv(self.lens.matrix)
        return inverse * np.sign(inverse[2] @ [*self._bottom_px, 1.0])

    def level_xy(self, pixels: np.ndarray) -> np.ndarray:
        """Points (N, 2) m under pixels (N, 2), of a camera known by its homography; NaN past the horizon."""
        pixels = np.asarray(pixels, float).reshape(-1, 2)
        x, y, w = self.ground_from_image @ np.column_stack([pixels, np.ones(len(pixels))]).T
        scale = np.where(w > 0, w, np.nan)
        return np.stack([x / scale, y / scale], axis=-1)

    @property
    def anchor_xy(self) -> np.ndarray:
        """Its place in plan (2,) m; known by a homography only, the ground at the bottom middle of its image."""
        return self.level_xy(np.array(self._bottom_px))[0] if self.is_homography else self.centre_world[:2]

    @property
    def _bottom_px(self) -> tuple[float, float]:
        width, height = self.size
        return (width - 1) / 2, height - 0.5

    def inside(self, pixels: np.ndarray) -> np.ndarray:
        """Which pixels (..., 2) lie on the image: (...) bool; (0, 0) is the top-left pixel's centre."""
        width, height = self.size
        u, v = pixels[..., 0], pixels[..., 1]
        return (u >= -0.5) & (u <= width - 0.5) & (v >= -0.5) & (v <= height - 0.5)

    def jacobians(self, points_world: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels (N, 2), derivative by the world point (N, 2, 3) px/m, and by `calib_cov`'s variables.

        The last is (N, 2, 6 + k): pose perturbation (rad, m), then the freed lens parameters.
        """
        self.require_pose("has no Jacobian")
        points_cam = self.cam_from_world.apply(np.asarray(points_world, float).reshape(-1, 3))
        pixels, by_cam, by_lens = self.lens.jacobians(points_cam)
        by_world = by_cam @ self.cam_from_world.rotation.as_matrix()
        by_rotation = -by_cam @ cross_matrix(points_cam)
        by_calib = np.concatenate([by_rotation, by_cam, by_lens[:, :, self.freed_index]], axis=2)
        return pixels, by_world, by_calib


def _check_pose(camera: str, pose: RigidTransform) -> None:
    if not isinstance(pose, RigidTransform):
        kind = type(pose).__name__
        raise InputError(
            f"camera {camera!r}: cam_from_world is a {kind}; give SciPy's RigidTransform, such as "
            "geometry.se3.from_rt(R, t) of X_cam = R X_world + t"
        )
    matrix = pose.as_matrix()
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise InputError(f"camera {camera!r}: cam_from_world is not one finite pose: {matrix.tolist()}")


def _check_calib_cov(camera: str, cov: np.ndarray, n_freed: int) -> None:
    """Refuse what is no covariance; one that is singular (a parameter known exactly) is legal."""
    n = 6 + n_freed
    if cov.shape != (n, n):
        raise InputError(
            f"camera {camera!r}: calib_cov has shape {cov.shape}; pose and {n_freed} freed lens parameters "
            f"need ({n}, {n})"
        )
    if not np.isfinite(cov).all():
        raise InputError(f"camera {camera!r}: calib_cov holds NaN or infinity; calibrate it again")
    variances = np.diag(cov)
    if (variances < 0).any():
        raise InputError(f"camera {camera!r}: calib_cov has the negative variance {variances.min():g}")
    # judged as correlations: rad² and px² differ by many orders of magnitude
    sigma = np.sqrt(np.where(variances > 0, variances, 1.0))
    correlation = cov / np.outer(sigma, sigma)
    if np.abs(correlation - correlation.T).max() > 1e-6:
        raise InputError(f"camera {camera!r}: calib_cov is not symmetric")
    lowest = np.linalg.eigvalsh(0.5 * (correlation + correlation.T))[0]
    if lowest < -1e-6:
        raise InputError(
            f"camera {camera!r}: calib_cov is no covariance: its correlations have the eigenvalue {lowest:g}"
        )
