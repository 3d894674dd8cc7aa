"""The adjustment of one camera over a level road: rotation, height, lens and every marked point in one solve.

The road frame has x along the road (away from the camera), y to the left, z up; its origin is the point of the
road under the camera. Marked points are unknowns with their pixels as observations (errors in variables), so
that a point shared by two segments is one point, and no weight depends on what is sought.
"""

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.geometry.se3 import cross_matrix
from geoloc.scene.lenses import Lens, Pinhole, RadialTangential
from geoloc.scene.roads import ACROSS, ALONG, RoadSegments

MAX_STEPS = 60
LARGEST_TURN = 0.3  # rad, and logarithm of focal length and height, in one step
ANGLES, LOG_FOCAL, LOG_HEIGHT, CENTRE, K1 = slice(0, 3), 3, 4, slice(5, 7), 7


@dataclass(frozen=True)
class RoadPrior:
    """What is known beforehand: focal length (px, sigma of its logarithm), principal point (px), k1."""

    focal: float
    focal_sigma: float
    centre: tuple[float, float]
    centre_sigma: float
    k1_sigma: float  # 0: no distortion


@dataclass(frozen=True, eq=False)
class RoadState:
    """A camera over the road: `rotation` is cam_from_road, height in m; `points` (P, 2) m are the marked ones."""

    rotation: Rotation
    focal: float
    height: float
    centre: np.ndarray
    k1: float
    points: np.ndarray

    @property
    def lens(self) -> Lens:
        """Pinhole, or with k1 where that is not zero."""
        params = [self.focal, self.focal, *self.centre]
        return RadialTangential(np.array([*params, self.k1, 0, 0, 0])) if self.k1 else Pinhole(np.array(params))

    @property
    def cam_from_world(self) -> RigidTransform:
        """From the road frame to the camera's."""
        return RigidTransform.from_components(-self.rotation.apply([0.0, 0.0, self.height]), self.rotation)

    def on_road(self, pixels: np.ndarray) -> np.ndarray:
        """Points (N, 2) m of the road under pixels (N, 2); NaN above the horizon."""
        rays = self.rotation.inv().apply(self.lens.unproject(pixels))
        fall = np.where(rays[:, 2:] < 0, -rays[:, 2:], np.nan)
        return self.height * rays[:, :2] / fall


@dataclass(frozen=True, eq=False)
class RoadFit:
    """A solved adjustment: state, residuals in sigmas, and the normal matrix of camera and points."""

    state: RoadState
    residual: np.ndarray
    normal: np.ndarray

    @property
    def chi2(self) -> float:
        return float(self.residual @ self.residual)


def moved_camera(state: RoadState, step: np.ndarray) -> RoadState:
    """`state` after a step (7 or 8,) of its camera; the rotation is perturbed in the camera frame, as everywhere."""
    return replace(
        state,
        rotation=Rotation.from_rotvec(step[ANGLES]) * state.rotation,
        focal=state.focal * np.exp(step[LOG_FOCAL]),
        height=state.height * np.exp(step[LOG_HEIGHT]),
        centre=state.centre + step[CENTRE],
        k1=state.k1 + step[K1] if len(step) > K1 else 0.0,
    )


class RoadSystem:
    """Observations of `segments` under a prior; unknowns are the camera's 7 (8 with k1), then the points' x, y."""

    def __init__(self, segments: RoadSegments, prior: RoadPrior) -> None:
        self.prior = prior
        self.n_camera = 8 if prior.k1_sigma else 7
        ends = segments.ends.reshape(-1, 2)
        self.pixels, first, index = np.unique(ends, axis=0, return_index=True, return_inverse=True)
        self.pairs = index.reshape(-1, 2)
        self.pixel_sigma = np.repeat(segments.pixel_sigma, 2)[first]
        self.n = self.n_camera + 2 * len(self.pixels)
        self.measured = np.isfinite(segments.length)
        self.length, self.length_sigma = segments.length[self.measured], segments.length_sigma[self.measured]
        self.directed = np.isin(segments.direction, [ALONG, ACROSS])
        self.across = (segments.direction == ACROSS)[self.directed]
        self.direction_sigma = segments.direction_sigma[self.directed]

    def with_pixel_sigma(self, pixel_sigma: np.ndarray) -> "RoadSystem":
        """The same observations with other sigmas (P,) px of the points' pixels."""
        other = copy(self)
        other.pixel_sigma = pixel_sigma
        return other

    def pixel_shares(self, fit: RoadFit) -> tuple[np.ndarray, np.ndarray]:
        """Of each point's pixel: sum of squared residuals (P,) in sigmas, and redundancy (P,), 0 to 2."""
        n = 2 * len(self.pixels)
        _, jacobian = self.linearise(fit.state)
        used = np.einsum("ri,ij,rj->r", jacobian[:n], np.linalg.inv(fit.normal), jacobian[:n])
        return (fit.residual[:n] ** 2).reshape(-1, 2).sum(axis=1), (1.0 - used).reshape(-1, 2).sum(axis=1)

    def linearise(self, state: RoadState) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (R,) in sigmas and their derivatives (R, n)."""
        blocks = [self._of_pixels(state), self._of_lengths(state), self._of_directions(state), self._of_prior(state)]
        residual, jacobian = zip(*blocks, strict=True)
        return np.concatenate(residual), np.concatenate(jacobian)

    def moved(self, state: RoadState, step: np.ndarray) -> RoadState:
        """`state` after a step (n,)."""
        points = state.points + step[self.n_camera :].reshape(-1, 2)
        return replace(moved_camera(state, step[: self.n_camera]), points=points)

    def solve(self, state: RoadState) -> RoadFit:
        """Levenberg and Marquardt's method from a start that sees all points in front of it."""
        damping = 1e-4
        residual, jacobian = self.linearise(state)
        for _ in range(MAX_STEPS):
            normal, gradient = jacobian.T @ jacobian, jacobian.T @ residual
            before = residual @ residual
            while damping < 1e8:
                step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal)), gradient)
                step *= min(1.0, LARGEST_TURN / max(np.abs(step[: LOG_HEIGHT + 1]).max(), 1e-12))
                trial = self.moved(state, step)
                found = self.linearise(trial)
                if found[0] @ found[0] <= before:  # false where a point fell behind the camera: NaN
                    break
                damping *= 10.0
            else:
                break
            state, (residual, jacobian), damping = trial, found, max(damping / 10.0, 1e-9)
            if before - residual @ residual < 1e-8 * max(before, 1e-3):
                break
        return RoadFit(state, residual, jacobian.T @ jacobian)

    def by_camera(self, state: RoadState, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pixels (N, 2) of road points (N, 2) m, derivatives by the camera (N, 2, 7 or 8) and the point (N, 2, 2)."""
        rotation = state.rotation.as_matrix()
        points_cam = np.column_stack([points, np.full(len(points), -state.height)]) @ rotation.T
        pixels, by_cam, by_lens = state.lens.jacobians(points_cam)
        out = np.empty((len(points), 2, self.n_camera))
        out[:, :, ANGLES] = -by_cam @ cross_matrix(points_cam)
        out[:, :, LOG_FOCAL] = state.focal * (by_lens[:, :, 0] + by_lens[:, :, 1])
        out[:, :, LOG_HEIGHT] = by_cam @ rotation @ [0.0, 0.0, -state.height]
        out[:, :, CENTRE] = by_lens[:, :, 2:4]
        if self.n_camera > K1:
            r2 = (points_cam[:, :2] ** 2).sum(axis=1) / points_cam[:, 2] ** 2
            out[:, :, K1] = state.focal * r2[:, None] * points_cam[:, :2] / points_cam[:, 2:]
        return pixels, out, by_cam @ rotation[:, :2]

    def length_rows(self, points: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lengths (K,) m of some segments between the points (P, 2), and their derivatives (K, n)."""
        a, b = self.pairs[which].T
        difference = points[a] - points[b]
        length = np.linalg.norm(difference, axis=1)
        return length, self._rows(a, b, difference / length[:, None])

    def _rows(self, a: np.ndarray, b: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Derivatives (K, n) of what grows by `slope` (K, 2) with point a and falls with point b."""
        rows = np.zeros((len(a), self.n))
        k, at = np.arange(len(a)), self.n_camera
        for axis in range(2):
            rows[k, at + 2 * a + axis] = slope[:, axis]
            rows[k, at + 2 * b + axis] = -slope[:, axis]
        return rows

    def _of_pixels(self, state: RoadState) -> tuple[np.ndarray, np.ndarray]:
        pixels, by_camera, by_point = self.by_camera(state, state.points)
        n = len(pixels)
        jacobian = np.zeros((n, 2, self.n))
        jacobian[:, :, : self.n_camera] = by_camera
        k, at = np.arange(n), self.n_camera
        for axis in range(2):
            jacobian[k, :, at + 2 * k + axis] = by_point[:, :, axis]
        sigma = self.pixel_sigma[:, None]
        return ((pixels - self.pixels) / sigma).ravel(), (jacobian / sigma[:, :, None]).reshape(-1, self.n)

    def _of_lengths(self, state: RoadState) -> tuple[np.ndarray, np.ndarray]:
        length, rows = self.length_rows(state.points, self.measured)
        return (length - self.length) / self.length_sigma, rows / self.length_sigma[:, None]

    def _of_directions(self, state: RoadState) -> tuple[np.ndarray, np.ndarray]:
        """Sideways over lengthways: the tangent of the angle between a segment and its stated direction."""
        a, b = self.pairs[self.directed].T
        x, y = (state.points[a] - state.points[b]).T
        side, ahead = np.where(self.across, x, y), np.where(self.across, y, x)
        tangent = side / ahead
        by_side, by_ahead = 1.0 / ahead, -tangent / ahead
        slope = np.where(self.across, [by_side, by_ahead], [by_ahead, by_side]).T
        return tangent / self.direction_sigma, self._rows(a, b, slope) / self.direction_sigma[:, None]

    def _of_prior(self, state: RoadState) -> tuple[np.ndarray, np.ndarray]:
        prior = self.prior
        sigma = [prior.focal_sigma, prior.centre_sigma, prior.centre_sigma, prior.k1_sigma]
        value = [np.log(state.focal / prior.focal), *(state.centre - prior.centre), state.k1]
        index = [LOG_FOCAL, CENTRE.start, CENTRE.start + 1, K1][: self.n_camera - 4]
        rows = np.zeros((len(index), self.n))
        rows[np.arange(len(index)), index] = 1.0 / np.array(sigma[: len(index)])
        return np.array(value[: len(index)]) / sigma[: len(index)], rows
