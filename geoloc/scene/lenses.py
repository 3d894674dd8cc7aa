"""Lenses: the map between directions in the camera frame and pixels, with Jacobians and a way back.

Radial-tangential is OpenCV's model of 4, 5, 8, 12 or 14 parameters (its equations are in `distortion`),
fisheye that of Kannala and Brandt (2006). The way back is held to the field in which the model is one-to-one:
a pixel whose undistortion does not return to itself gives NaN.
Every function of rows takes one lens's parameters or one row of parameters for each point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from geoloc.errors import GeometryError, InputError
from geoloc.scene.distortion import (
    MAX_ITERATIONS,
    RETURN_TOLERANCE,
    distort,
    field_limit,
    first_positive_root,
    normalised,
    radial_tangential_jacobians,
    to_pixels,
    undistort_rows,
)
from geoloc.scene.linearise import linearise_radial_tangential


class Lens(Protocol):
    """A camera's lens; all pixels follow OpenCV's convention."""

    model: ClassVar[str]

    @property
    def params(self) -> np.ndarray:
        """The parameters (P,), read-only."""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of `params`, in order."""

    @property
    def limit(self) -> float:
        """Largest radius (tangent of the angle; fisheye: angle in rad) up to which the lens is one-to-one."""

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points in the camera frame (N, 3) m; NaN behind the camera or out of the field."""

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Unit rays in the camera frame (N, 3) of pixels (N, 2); NaN where the lens cannot be undone."""

    def linearise(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rays (3, N) of pixels (N, 2) and d pixel / d point at their tips (2, 3, N): components first.

        The rays are unit for a fisheye and end on the plane z = 1 for the others; NaN as in `unproject`.
        """

    def jacobians(self, points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels (N, 2), their derivatives by the point (N, 2, 3) px/m, and by `params` (N, 2, P)."""


def radial_tangential_names(n: int) -> tuple[str, ...]:
    """Names of `n` parameters (4 without distortion, then 8, 9, 12, 16 or 18) in OpenCV's order."""
    return RADIAL_TANGENTIAL_NAMES[:n]


def parameter_names(model: str, n: int) -> tuple[str, ...]:
    """Names of the `n` parameters of a lens of `LENSES`, in order."""
    fixed = {"fisheye": FISHEYE_NAMES, "homography": HOMOGRAPHY_NAMES}
    return fixed.get(model, radial_tangential_names(n))


# fmt: off
RADIAL_TANGENTIAL_NAMES = (
    "fx", "fy", "cx", "cy", "k1", "k2", "p1", "p2", "k3",
    "k4", "k5", "k6", "s1", "s2", "s3", "s4", "taux", "tauy",
)
# fmt: on
HOMOGRAPHY_NAMES = tuple(f"h{row}{column}" for row in range(3) for column in range(3))
FISHEYE_NAMES = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "k4")


@dataclass(frozen=True, eq=False)
class RadialTangential:
    """OpenCV's lens: fx, fy, cx, cy (px) and 4, 5, 8, 12 or 14 distortion coefficients."""

    params: np.ndarray
    model: ClassVar[str] = "radial_tangential"
    sizes: ClassVar[tuple[int, ...]] = (8, 9, 12, 16, 18)

    def __post_init__(self) -> None:
        _check_params(self)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return radial_tangential_names(len(self.params))

    @cached_property
    def limit(self) -> float:
        return field_limit(self.params[4:])

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        x, y = normalised(points_cam)
        xd, yd, *_ = distort(x, y, self.params[None, 4:])
        pixels = to_pixels(self.params[None], xd, yd)
        pixels[~(x * x + y * y <= self.limit**2)] = np.nan
        return pixels

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        return undistort_rows(self.params[None], np.array([self.limit]), pixels)

    def linearise(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        limit = np.array([self.limit])
        return linearise_radial_tangential(self.params[:, None], limit, np.asarray(pixels, float).T)

    def jacobians(self, points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return radial_tangential_jacobians(self.params[None], points_cam)


@dataclass(frozen=True, eq=False)
class Pinhole(RadialTangential):
    """A lens without distortion: fx, fy, cx, cy (px)."""

    model: ClassVar[str] = "pinhole"
    sizes: ClassVar[tuple[int, ...]] = (4,)


@dataclass(frozen=True, eq=False)
class Fisheye:
    """Kannala and Brandt's lens: fx, fy, cx, cy (px), k1 to k4 on odd powers of the angle."""

    params: np.ndarray
    model: ClassVar[str] = "fisheye"
    sizes: ClassVar[tuple[int, ...]] = (8,)

    def __post_init__(self) -> None:
        _check_params(self)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return FISHEYE_NAMES

    @cached_property
    def limit(self) -> float:
        k = self.params[4:]
        derivative = [9 * k[3], 7 * k[2], 5 * k[1], 3 * k[0], 1.0]  # of the distorted angle, in squared angle
        return min(np.pi, float(np.sqrt(first_positive_root(derivative))))

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        pixels, _, _ = fisheye_jacobians(self.params[None], points_cam)
        points = np.asarray(points_cam, float)
        angle = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])
        return np.where((angle <= self.limit)[:, None], pixels, np.nan)

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        return fisheye_rays(self.params[None], np.array([self.limit]), pixels)

    def linearise(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rays = self.unproject(pixels)
        _, by_point, _ = self.jacobians(rays)
        return np.ascontiguousarray(rays.T), np.ascontiguousarray(by_point.transpose(1, 2, 0))

    def jacobians(self, points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return fisheye_jacobians(self.params[None], points_cam)


@dataclass(frozen=True, eq=False)
class Homography:
    """A lens that is known on one level only: pixels ~ H (x, y, 1), with H row by row in `params` (9,).

    It has no rays: triangulation, heights and poses are refused by name.
    """

    params: np.ndarray
    model: ClassVar[str] = "homography"
    sizes: ClassVar[tuple[int, ...]] = (9,)

    def __post_init__(self) -> None:
        _check_params(self)
        if not np.linalg.cond(self.matrix) < 1e15:
            raise InputError("homography: the matrix is singular; it must map ground to image one-to-one")

    @property
    def matrix(self) -> np.ndarray:
        """pixel_from_ground (3, 3): metres on the level to homogeneous pixels."""
        return self.params.reshape(3, 3)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return HOMOGRAPHY_NAMES

    @property
    def limit(self) -> float:
        return np.inf

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        raise GeometryError("a camera known by a homography cannot project points; calibrate its pose")

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        raise GeometryError("a camera known by a homography has no rays; calibrate its pose")

    def linearise(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        raise GeometryError("a camera known by a homography has no rays; calibrate its pose")

    def jacobians(self, points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        raise GeometryError("a camera known by a homography has no Jacobian of a pose; calibrate its pose")


LENSES: dict[str, Callable[[np.ndarray], Lens]] = {
    "pinhole": Pinhole,
    "radial_tangential": RadialTangential,
    "fisheye": Fisheye,
    "homography": Homography,
}


def fisheye_rays(params: np.ndarray, limit: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Unit rays (N, 3) of pixels (N, 2) px through fisheye lenses; as `undistort_rows`."""
    pixels = np.asarray(pixels, float)
    xd = (pixels[:, 0] - params[:, 2]) / params[:, 0]
    yd = (pixels[:, 1] - params[:, 3]) / params[:, 1]
    radius = np.hypot(xd, yd)
    angle = np.minimum(radius, limit)
    low, high = np.zeros_like(radius), np.broadcast_to(limit, radius.shape)
    before = np.full_like(radius, np.inf)
    for _ in range(3 * MAX_ITERATIONS):
        distorted, slope = _fisheye_angle(angle, params)
        error = distorted - radius
        low, high = np.where(error < 0, angle, low), np.where(error > 0, angle, high)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = angle - error / slope
        # Newton may leap to and fro where the slope turns: then halve the bracket instead
        steady = (step >= low) & (step <= high) & (np.abs(step - angle) <= 0.5 * before)
        step = np.where(steady, step, 0.5 * (low + high))
        before, angle = np.abs(step - angle), step
        if not (before > 1e-14).any():
            break
    returned = np.abs(_fisheye_angle(angle, params)[0] - radius) <= RETURN_TOLERANCE
    angle = np.where(returned, angle, np.nan)
    with np.errstate(invalid="ignore"):
        scale = np.where(radius <= 1e-12, 1.0, np.sin(angle) / np.maximum(radius, 1e-12))
    return np.stack([xd * scale, yd * scale, np.cos(angle)], axis=-1)


def fisheye_jacobians(params: np.ndarray, points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `radial_tangential_jacobians`, for fisheye lenses; points behind the camera's plane are allowed."""
    points = np.asarray(points_cam, float)
    x, y, z = points[:, 0], points[:, 1], points[:, 2]
    r = np.hypot(x, y)
    safe = np.maximum(r, 1e-12)
    angle = np.arctan2(r, z)
    distorted, slope = _fisheye_angle(angle, params)
    cos, sin = np.where(r > 1e-12, x / safe, 1.0), np.where(r > 1e-12, y / safe, 0.0)
    fx, fy = params[:, 0], params[:, 1]
    pixels = np.stack([fx * distorted * cos + params[:, 2], fy * distorted * sin + params[:, 3]], axis=-1)
    norm2 = r * r + z * z
    radial = slope * z / norm2  # of the distorted angle by r
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(r > 1e-9 * np.abs(z), distorted / safe, slope * z / norm2)
    by_z = -slope * r / norm2
    by_point = np.empty((len(x), 2, 3))
    by_point[:, 0, 0] = fx * (radial * cos * cos + ratio * sin * sin)
    by_point[:, 0, 1] = fx * (radial - ratio) * cos * sin
    by_point[:, 0, 2] = fx * by_z * cos
    by_point[:, 1, 0] = fy * (radial - ratio) * cos * sin
    by_point[:, 1, 1] = fy * (radial * sin * sin + ratio * cos * cos)
    by_point[:, 1, 2] = fy * by_z * sin
    by_param = np.zeros((len(x), 2, 8))
    by_param[:, 0, 0], by_param[:, 1, 1] = distorted * cos, distorted * sin
    by_param[:, 0, 2] = by_param[:, 1, 3] = 1.0
    for i in range(4):
        power = angle ** (2 * i + 3)
        by_param[:, 0, 4 + i], by_param[:, 1, 4 + i] = fx * power * cos, fy * power * sin
    return pixels, by_point, by_param


def _check_params(lens: RadialTangential | Fisheye | Homography) -> None:
    params = np.array(lens.params, float)
    if params.ndim != 1 or len(params) not in lens.sizes:
        sizes = ", ".join(map(str, lens.sizes))
        raise InputError(f"lens {lens.model}: {params.size} parameters; it takes {sizes}")
    if not np.isfinite(params).all():
        raise InputError(f"lens {lens.model}: parameters {params} are not all finite")
    if lens.model != "homography" and not (params[:2] > 0).all():
        raise InputError(f"lens {lens.model}: focal lengths {params[:2]} px must be positive")
    params.flags.writeable = False
    object.__setattr__(lens, "params", params)


def _fisheye_angle(angle: np.ndarray, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a2 = angle * angle
    k1, k2, k3, k4 = params[:, 4], params[:, 5], params[:, 6], params[:, 7]
    distorted = angle * (1.0 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    slope = 1.0 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return distorted, slope
