"""Lenses: the map between directions in the camera frame and pixels, with Jacobians and a way back.

Radial-tangential is OpenCV's model of 4, 5, 8, 12 or 14 parameters (its `calib3d` page gives the equations),
fisheye that of Kannala and Brandt (2006). The way back is Newton's method on the same equations, held to
the field in which the model is one-to-one: a pixel whose undistortion does not return to itself gives NaN.
Every function takes one lens's parameters or one row of parameters for each point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from geoloc.errors import GeometryError, InputError

MAX_ITERATIONS = 20
RETURN_TOLERANCE = 1e-9  # largest distance, in focal lengths, of a pixel from where its undistortion projects to
MIN_DEPTH = 1e-9  # m; points nearer to the plane of the camera's centre have no pixel


class Lens(Protocol):
    """A camera's lens. `params` (P,) are named by `parameter_names`; all pixels follow OpenCV's convention."""

    model: ClassVar[str]
    params: np.ndarray

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of `params`, in order."""

    @property
    def limit(self) -> float:
        """Largest radius (tangent of the angle; fisheye: the angle in rad) at which the lens is one-to-one."""

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points in the camera frame (N, 3) m; NaN behind the camera or out of the field."""

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        """Unit rays in the camera frame (N, 3) of pixels (N, 2); NaN where the lens cannot be undone."""

    def jacobians(self, points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels (N, 2), their derivatives by the point (N, 2, 3) px/m, and by `params` (N, 2, P)."""


def radial_tangential_names(n: int) -> tuple[str, ...]:
    """Names of `n` parameters (4 without distortion, then 8, 9, 12, 16 or 18) in OpenCV's order."""
    names = "fx fy cx cy k1 k2 p1 p2 k3 k4 k5 k6 s1 s2 s3 s4 taux tauy".split()
    return tuple(names[:n])


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
        return _radial_limit(self.params[4:])

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        x, y = _normalised(points_cam)
        inside = x * x + y * y <= self.limit**2
        x, y = np.where(inside, x, np.nan), np.where(inside, y, np.nan)
        return _to_pixels(self.params[None], *_distort(x, y, self.params[None, 4:]))

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        return undistort_rows(self.params[None], np.array([self.limit]), pixels)

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
        return min(np.pi, float(np.sqrt(_first_positive_root(derivative))))

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        pixels, by_point, _ = fisheye_jacobians(self.params[None], points_cam)
        points = np.asarray(points_cam, float)
        angle = np.arctan2(np.hypot(points[:, 0], points[:, 1]), points[:, 2])
        return np.where((angle <= self.limit)[:, None], pixels, np.nan)

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        return fisheye_rays(self.params[None], np.array([self.limit]), pixels)

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
            raise InputError("homography: the matrix is singular; it must map the ground to the image one-to-one")

    @property
    def matrix(self) -> np.ndarray:
        """pixel_from_ground (3, 3): metres on the level to homogeneous pixels."""
        return self.params.reshape(3, 3)

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return tuple(f"h{i}{j}" for i in range(3) for j in range(3))

    @property
    def limit(self) -> float:
        return np.inf

    def project(self, points_cam: np.ndarray) -> np.ndarray:
        raise GeometryError("a camera known by a homography has no pose: it cannot project points; calibrate it")

    def unproject(self, pixels: np.ndarray) -> np.ndarray:
        raise GeometryError("a camera known by a homography has no rays: only its level's points; calibrate it")

    def jacobians(self, points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        raise GeometryError("a camera known by a homography has no pose and no Jacobian of one; calibrate it")


LENSES: dict[str, Callable[[np.ndarray], Lens]] = {
    "pinhole": Pinhole,
    "radial_tangential": RadialTangential,
    "fisheye": Fisheye,
    "homography": Homography,
}


def undistort_rows(params: np.ndarray, limit: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Unit rays (N, 3) of pixels (N, 2) px through pinhole and radial-tangential lenses.

    `params` (N or 1, P) and `limit` (N or 1,) are one lens for all rows or one a row. NaN where refused.
    """
    pixels = np.asarray(pixels, float)
    xd = (pixels[:, 0] - params[:, 2]) / params[:, 0]
    yd = (pixels[:, 1] - params[:, 3]) / params[:, 1]
    x, y = xd, yd
    if params.shape[1] > 4:
        x, y = _undistort(xd, yd, params[:, 4:], limit)
    scale = 1.0 / np.sqrt(x * x + y * y + 1.0)
    return np.stack([x * scale, y * scale, scale], axis=-1)


def radial_tangential_jacobians(
    params: np.ndarray, points_cam: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (N, 2), derivative by point (N, 2, 3) px/m and by parameter (N, 2, P); params (N or 1, P)."""
    x, y = _normalised(points_cam)
    inverse_z = 1.0 / np.asarray(points_cam, float)[:, 2]
    coefficients = params[:, 4:]
    xd, yd = _distort(x, y, coefficients)
    a, b, c, d = _distort_jacobian(x, y, coefficients)
    fx, fy = params[:, 0], params[:, 1]
    by_point = np.empty((len(x), 2, 3))
    for row, (f, jx, jy) in enumerate(((fx, a, b), (fy, c, d))):
        by_point[:, row, 0] = f * jx * inverse_z
        by_point[:, row, 1] = f * jy * inverse_z
        by_point[:, row, 2] = -f * (jx * x + jy * y) * inverse_z
    by_param = np.zeros((len(x), 2, params.shape[1]))
    by_param[:, 0, 0], by_param[:, 1, 1] = xd, yd
    by_param[:, 0, 2] = by_param[:, 1, 3] = 1.0
    if params.shape[1] > 4:
        by_coefficient = _by_coefficients(x, y, coefficients)
        by_param[:, 0, 4:] = fx[:, None] * by_coefficient[0]
        by_param[:, 1, 4:] = fy[:, None] * by_coefficient[1]
    return _to_pixels(params, xd, yd), by_point, by_param


def fisheye_rays(params: np.ndarray, limit: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Unit rays (N, 3) of pixels (N, 2) px through fisheye lenses; as `undistort_rows`."""
    pixels = np.asarray(pixels, float)
    xd = (pixels[:, 0] - params[:, 2]) / params[:, 0]
    yd = (pixels[:, 1] - params[:, 3]) / params[:, 1]
    radius = np.hypot(xd, yd)
    angle = np.minimum(radius, limit)
    for _ in range(MAX_ITERATIONS):
        distorted, slope = _fisheye_angle(angle, params)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = (distorted - radius) / slope
        # at the edge of the field the slope is flat: stay inside and let the return test decide
        step = np.where(np.isfinite(step), step, 0.0)
        angle = np.clip(angle - step, 0.0, limit)
        if np.abs(step).max(initial=0.0) < 1e-14:
            break
    returned = np.abs(_fisheye_angle(angle, params)[0] - radius) <= RETURN_TOLERANCE
    angle = np.where(returned, angle, np.nan)
    with np.errstate(invalid="ignore"):
        scale = np.where(radius > 1e-12, np.sin(angle) / np.maximum(radius, 1e-12), 1.0)
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


def _normalised(points_cam: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = np.asarray(points_cam, float)
    z = np.where(points[:, 2] > MIN_DEPTH, points[:, 2], np.nan)
    return points[:, 0] / z, points[:, 1] / z


def _to_pixels(params: np.ndarray, xd: np.ndarray, yd: np.ndarray) -> np.ndarray:
    return np.stack([params[:, 0] * xd + params[:, 2], params[:, 1] * yd + params[:, 3]], axis=-1)


def _radial(r2: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radial factor, its derivative by r², and its denominator."""
    k3 = k[:, 4] if k.shape[1] > 4 else 0.0
    factor = 1.0 + r2 * (k[:, 0] + r2 * (k[:, 1] + r2 * k3))
    slope = k[:, 0] + r2 * (2.0 * k[:, 1] + 3.0 * r2 * k3)
    if k.shape[1] <= 5:
        return factor, slope, np.ones_like(r2)
    bottom = 1.0 + r2 * (k[:, 5] + r2 * (k[:, 6] + r2 * k[:, 7]))
    bottom_slope = k[:, 5] + r2 * (2.0 * k[:, 6] + 3.0 * r2 * k[:, 7])
    factor = factor / bottom
    return factor, (slope - factor * bottom_slope) / bottom, bottom


def _distort(x: np.ndarray, y: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if k.shape[1] == 0:
        return x, y
    xd, yd = _distort_untilted(x, y, k)
    return _tilt(xd, yd, k)[:2] if k.shape[1] > 12 else (xd, yd)


def _distort_untilted(x: np.ndarray, y: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r2 = x * x + y * y
    factor = _radial(r2, k)[0]
    p1, p2 = k[:, 2], k[:, 3]
    xd = x * factor + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    yd = y * factor + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    if k.shape[1] > 8:
        xd = xd + r2 * (k[:, 8] + k[:, 9] * r2)
        yd = yd + r2 * (k[:, 10] + k[:, 11] * r2)
    return xd, yd


def _distort_jacobian(
    x: np.ndarray, y: np.ndarray, k: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Derivatives xd by x, xd by y, yd by x, yd by y."""
    if k.shape[1] == 0:
        one, zero = np.ones_like(x), np.zeros_like(x)
        return one, zero, zero, one
    r2 = x * x + y * y
    factor, slope, _ = _radial(r2, k)
    p1, p2 = k[:, 2], k[:, 3]
    mixed = 2.0 * (x * y * slope + p1 * x + p2 * y)
    a = factor + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
    d = factor + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
    b, c = mixed, mixed
    if k.shape[1] > 8:
        prism_x = 2.0 * (k[:, 8] + 2.0 * k[:, 9] * r2)
        prism_y = 2.0 * (k[:, 10] + 2.0 * k[:, 11] * r2)
        a, b, c, d = a + prism_x * x, b + prism_x * y, c + prism_y * x, d + prism_y * y
    if k.shape[1] > 12:
        ta, tb, tc, td = _tilt(*_distort_untilted(x, y, k), k)[2]
        a, b, c, d = ta * a + tb * c, ta * b + tb * d, tc * a + td * c, tc * b + td * d
    return a, b, c, d


def _by_coefficients(x: np.ndarray, y: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivatives of xd and yd by the distortion coefficients: two of (N, len(k))."""
    r2 = x * x + y * y
    factor, _, bottom = _radial(r2, k)
    n = k.shape[1]
    by_x, by_y = np.zeros((len(x), n)), np.zeros((len(x), n))
    radial = {0: r2, 1: r2**2, 4: r2**3, 5: -factor * r2, 6: -factor * r2**2, 7: -factor * r2**3}
    for i, value in radial.items():
        if i < n:
            by_x[:, i], by_y[:, i] = x * value / bottom, y * value / bottom
    by_x[:, 2], by_y[:, 2] = 2.0 * x * y, r2 + 2.0 * y * y
    by_x[:, 3], by_y[:, 3] = r2 + 2.0 * x * x, 2.0 * x * y
    if n > 8:
        by_x[:, 8], by_x[:, 9], by_y[:, 10], by_y[:, 11] = r2, r2**2, r2, r2**2
    if n > 12:
        xd, yd = _distort_untilted(x, y, k)
        a, b, c, d = (value[:, None] for value in _tilt(xd, yd, k)[2])
        by_x, by_y = a * by_x + b * by_y, c * by_x + d * by_y
        step = 1e-6
        for i in (12, 13):
            more, less = k.copy(), k.copy()
            more[:, i] += step
            less[:, i] -= step
            plus, minus = _tilt(xd, yd, more), _tilt(xd, yd, less)
            by_x[:, i], by_y[:, i] = (plus[0] - minus[0]) / (2 * step), (plus[1] - minus[1]) / (2 * step)
    return by_x, by_y


def _tilt(xd: np.ndarray, yd: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]:
    """OpenCV's tilted sensor (taux, tauy): the tilted point and the four derivatives of it by (xd, yd)."""
    cx, sx, cy, sy = np.cos(k[:, 12]), np.sin(k[:, 12]), np.cos(k[:, 13]), np.sin(k[:, 13])
    # rotation = Ry(tauy) Rx(taux); the point is then brought back along z onto the plane of the sensor
    r11, r12, r13 = cy, sy * sx, -sy * cx
    r22, r23 = cx, sx
    r31, r32, r33 = sy, -cy * sx, cy * cx
    m11, m12 = r33 * r11 - r13 * r31, r33 * r12 - r13 * r32
    m21, m22 = -r23 * r31, r33 * r22 - r23 * r32
    w = r31 * xd + r32 * yd + r33
    top_x, top_y = m11 * xd + m12 * yd, m21 * xd + m22 * yd
    xt, yt = top_x / w, top_y / w
    jacobian = ((m11 - xt * r31) / w, (m12 - xt * r32) / w, (m21 - yt * r31) / w, (m22 - yt * r32) / w)
    return xt, yt, jacobian


def _undistort(
    xd: np.ndarray, yd: np.ndarray, k: np.ndarray, limit: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method, every step held inside the one-to-one field; NaN where it does not return."""
    x, y = _hold_inside(xd, yd, limit)
    for _ in range(MAX_ITERATIONS):
        fx, fy = _distort(x, y, k)
        ex, ey = fx - xd, fy - yd
        if max(np.abs(ex).max(initial=0.0), np.abs(ey).max(initial=0.0)) < 1e-13:
            break
        a, b, c, d = _distort_jacobian(x, y, k)
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = 1.0 / (a * d - b * c)
            x, y = x - (d * ex - b * ey) * scale, y - (a * ey - c * ex) * scale
        x, y = _hold_inside(x, y, limit)
    fx, fy = _distort(x, y, k)
    with np.errstate(invalid="ignore"):
        returned = np.hypot(fx - xd, fy - yd) <= RETURN_TOLERANCE
    return np.where(returned, x, np.nan), np.where(returned, y, np.nan)


def _hold_inside(x: np.ndarray, y: np.ndarray, limit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        shrink = np.minimum(1.0, limit / np.hypot(x, y))
    shrink = np.where(np.isnan(shrink), 1.0, shrink)
    return x * shrink, y * shrink


def _fisheye_angle(angle: np.ndarray, params: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a2 = angle * angle
    k1, k2, k3, k4 = params[:, 4], params[:, 5], params[:, 6], params[:, 7]
    distorted = angle * (1.0 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    slope = 1.0 + a2 * (3 * k1 + a2 * (5 * k2 + a2 * (7 * k3 + a2 * 9 * k4)))
    return distorted, slope


def _radial_limit(k: np.ndarray) -> float:
    """Radius up to which r -> r * factor(r²) grows and stays finite: its field is one-to-one."""
    if len(k) == 0:
        return np.inf
    k = np.concatenate([k, np.zeros(14 - len(k))])
    top = np.array([k[4], k[1], k[0], 1.0])  # in s = r², highest power first
    bottom = np.array([k[7], k[6], k[5], 1.0])
    # d/dr (r top/bottom) = (top bottom + 2 s (top' bottom - top bottom')) / bottom²
    change = np.polysub(np.polymul(np.polyder(top), bottom), np.polymul(top, np.polyder(bottom)))
    growth = np.polyadd(np.polymul(top, bottom), np.polymul([2.0, 0.0], change))
    return float(np.sqrt(min(_first_positive_root(growth), _first_positive_root(bottom))))


def _first_positive_root(polynomial: np.ndarray | list[float]) -> float:
    """Smallest positive real root; infinity if there is none."""
    roots = np.roots(np.asarray(polynomial, float))
    real = roots[np.abs(roots.imag) < 1e-9 * (1.0 + np.abs(roots.real))].real
    return float(real[real > 0].min(initial=np.inf))
