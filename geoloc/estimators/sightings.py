"""Pixels of many points in many cameras, brought into the one form that triangulation works on.

A sighting is three rows of a 3x4 matrix: for a point X (relative to `origin`) the residual, predicted minus
observed, is `rows[:2] (X, 1) / rows[2] (X, 1)` px and the depth is `rows[2] (X, 1)`. With b the ray of the
pixel and J = d pixel / d point there, the rows are J and an axis n with n b = 1, both turned into the world.
For lenses without distortion that is the residual exactly; for others the pixel's covariance is carried
through the lens's Jacobian at the pixel, which is right to first order in the residual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, RadialTangential
from geoloc.scene.linearise import by_parameters


@dataclass(frozen=True, eq=False)
class Sightings:
    """Up to K sightings of each of M points, components first. Where `seen` is false the rows are blank."""

    rows: np.ndarray  # (3, 4, K, M)
    noise: np.ndarray  # (3, K, M) px²: uu, uv, vv
    bias: np.ndarray  # (D, 3, K, M) px²: the calibration's share, in powers 0, 1, 2 of 1 / depth; D is 0 or 3
    camera: np.ndarray  # (K, M) index into the cameras
    seen: np.ndarray  # (K, M) bool

    def total(self, depth: np.ndarray) -> np.ndarray:
        """Covariance of the residual, noise and calibration, at `depth` (K, M): (3, K, M) px²."""
        if len(self.bias) == 0:
            return self.noise
        inverse = 1.0 / depth
        out = self.bias[2] * inverse
        out += self.bias[1]
        out *= inverse
        out += self.bias[0]
        out += self.noise
        return out

    def take(self, points: np.ndarray) -> "Sightings":
        """Those of some of the points, by an index."""
        return Sightings(
            self.rows[..., points],
            self.noise[..., points],
            self.bias[..., points],
            self.camera[:, points],
            self.seen[:, points],
        )

    def only(self, group: np.ndarray) -> "Sightings":
        """A copy in which only the sightings of `group` (K, M) count."""
        kept = Sightings(self.rows.copy(), self.noise.copy(), self.bias.copy(), self.camera, self.seen.copy())
        kept.blank(~group)
        return kept

    def blank(self, where: np.ndarray) -> None:
        """Make sightings (K, M) count for nothing: no residual, depth 1, unit covariance."""
        self.rows[:, :, where] = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], float)[:, :, None]
        self.noise[:, where] = np.array([1.0, 0.0, 1.0])[:, None]
        self.bias[:, :, where] = 0.0
        self.seen[where] = False


@dataclass(frozen=True, eq=False)
class View:
    """What does not change from call to call about a camera."""

    rotation: np.ndarray  # (3, 3) of cam_from_world
    centre: np.ndarray  # (3,) m, world
    calib_cov: np.ndarray  # (6 + k, 6 + k): rotation, freed lens parameters, then translation
    freed: np.ndarray  # (k,) int

    @property
    def biased(self) -> bool:
        """Whether its calibration is uncertain at all."""
        return bool(self.calib_cov.any())


@lru_cache(maxsize=4096)
def view_of(camera: Camera) -> View:
    """The constants of a camera, made once; GeometryError for one that is known by a homography only."""
    camera.require_pose("cannot triangulate")
    order = np.r_[0:3, 6 : len(camera.calib_cov), 3:6]
    rotation = camera.cam_from_world.rotation.as_matrix()
    return View(rotation, camera.centre_world, camera.calib_cov[order[:, None], order], camera.freed_index)


def gather(
    pixels: np.ndarray, pixel_cov: np.ndarray, seen: np.ndarray, cameras: Sequence[Camera], origin: np.ndarray
) -> Sightings:
    """Sightings of M points: pixels (M, V, 2), their covariances (M or 1, V or 1, 2, 2), which are seen (M, V).

    A pixel that its lens cannot undo is not seen. The sightings of a point are in the order of the cameras'
    names, so that a permutation of the cameras changes nothing, to the last bit.
    """
    by_name = sorted(range(len(cameras)), key=lambda index: cameras[index].name)
    slot = np.empty(seen.shape, dtype=np.intp)
    slot[:, by_name] = np.cumsum(seen[:, by_name], axis=1) - 1
    n_slots, n_points = int(slot.max(initial=0)) + 1, len(seen)
    biased = any(view_of(cameras[v]).biased for v in np.flatnonzero(seen.any(axis=0)).tolist())
    out = Sightings(
        rows=np.empty((3, 4, n_slots, n_points)),
        noise=np.empty((3, n_slots, n_points)),
        bias=np.zeros((3 if biased else 0, 3, n_slots, n_points)),
        camera=np.zeros((n_slots, n_points), dtype=np.intp),
        seen=np.zeros((n_slots, n_points), dtype=bool),
    )
    for index, camera in enumerate(cameras):
        points = np.flatnonzero(seen[:, index])
        if len(points) == n_points and n_slots == len(cameras):
            _fill(out, (slot[0, index], slice(None)), camera, index, pixels[:, index], origin)
        elif len(points):
            _fill(out, (slot[points, index], points), camera, index, pixels[points, index], origin)
    _fill_noise(out, pixel_cov)
    if not out.seen.all():
        out.blank(~out.seen)
    return out


def _fill(
    out: Sightings, at: tuple, camera: Camera, index: int, pixels: np.ndarray, origin: np.ndarray
) -> None:
    view = view_of(camera)
    rays, jacobian = camera.lens.linearise(pixels)
    out.camera[at], out.seen[at] = index, np.isfinite(rays[0])
    axis = rays if isinstance(camera.lens, Fisheye) else np.broadcast_to([[0.0], [0.0], [1.0]], rays.shape)
    to_centre = view.rotation @ (view.centre - origin)
    for row, vector in enumerate((*jacobian, axis)):
        out.rows[row, :3][:, *at] = view.rotation.T @ vector
        out.rows[row, 3][at] = -(to_centre @ vector)
    if view.biased:
        for power, cov in enumerate(_bias(view, rays, jacobian, _by_freed(camera, view, rays))):
            out.bias[power][:, *at] = cov


def _by_freed(camera: Camera, view: View, rays: np.ndarray) -> np.ndarray:
    """d pixel / d freed lens parameters at rays (3, n): (k, 2, n)."""
    if len(view.freed) == 0:
        return np.empty((0, 2, rays.shape[1]))
    if isinstance(camera.lens, RadialTangential):
        return by_parameters(camera.lens.params[:, None], rays, view.freed.tolist())
    _, _, by_params = camera.lens.jacobians(rays.T)
    return by_params[:, :, view.freed].transpose(2, 1, 0)


def _fill_noise(out: Sightings, pixel_cov: np.ndarray) -> None:
    m, v = pixel_cov.shape[:2]
    points = np.arange(out.seen.shape[1]) if m > 1 else 0
    of = (points, out.camera if v > 1 else 0)
    for k, (i, j) in enumerate(((0, 0), (0, 1), (1, 1))):
        out.noise[k] = pixel_cov[(*of, i, j)]


def _bias(
    view: View, ray: np.ndarray, jacobian: np.ndarray, by_freed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariance of the pixel from calibration, in powers of 1 / depth along the ray: three of (3, n) px².

    At X = depth * ray: d pixel / d rotation = X x (J / depth) = ray x J, d pixel / d translation = J / depth.
    """
    n, k = ray.shape[1], 3 + len(view.freed)
    turn, shift = np.empty((k, 2, n)), np.ascontiguousarray(jacobian.swapaxes(0, 1))
    for i, (x, y, z) in enumerate(jacobian):
        np.subtract(ray[1] * z, ray[2] * y, out=turn[0, i])
        np.subtract(ray[2] * x, ray[0] * z, out=turn[1, i])
        np.subtract(ray[0] * y, ray[1] * x, out=turn[2, i])
    turn[3:] = by_freed
    # P' turn, of which the last three rows are its covariance with the translation
    half = (view.calib_cov[:, :k] @ turn.reshape(k, -1)).reshape(-1, 2, n)
    shift_half = (view.calib_cov[k:, k:] @ shift.reshape(3, -1)).reshape(3, 2, n)
    return _form(turn, half[:k]), 2.0 * _form(shift, half[k:]), _form(shift, shift_half)


def _form(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """uu, uv, vv of the symmetric part of a' b, for (R, 2, n) each -> (3, n)."""
    product = np.einsum("rin,rjn->ijn", a, b)
    product[0, 1] += product[1, 0]
    product[0, 1] *= 0.5
    return product.reshape(4, -1)[[0, 1, 3]]
