"""A scan laid on the faces of a map: point to plane, with the covariance that the map's own errors leave."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import RigidTransform

from geoloc.calibrate.scan_faces import Faces
from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import cross_matrix

MAX_STEPS = 15
SETTLED = 3e-5  # m or rad
LEAST_NOISE = 1e-3  # m


@dataclass(frozen=True, eq=False)
class Fit:
    """`world = world_from_scan(scale * scan)`, with the covariance (7, 7) of rotation, translation and log scale."""

    world_from_scan: RigidTransform
    scale: float
    cov: np.ndarray
    residual: np.ndarray  # (N,) m along the normal of the nearest face
    matched: np.ndarray  # (N,) bool
    noise: float  # m, of one point, along the normal

    def apply(self, points: np.ndarray) -> np.ndarray:
        """Points of the scan (N, 3) in the world, m."""
        return self.world_from_scan.apply(self.scale * points)


@dataclass(frozen=True, eq=False)
class Anchors:
    """Points of the scan (K, 3) whose places in the world (K, 3) m are known, with sigma (K, 3) m per axis."""

    scan: np.ndarray
    world: np.ndarray
    sigma: np.ndarray


NO_ANCHORS = Anchors(*[np.zeros((0, 3))] * 3)


@dataclass(frozen=True, eq=False)
class _Pairs:
    face: np.ndarray
    residual: np.ndarray
    matched: np.ndarray


def refine(
    points: np.ndarray, faces: Faces, tree: cKDTree, start: RigidTransform, scale: float, gates: tuple[float, ...],
    free_scale: bool = False, anchors: Anchors = NO_ANCHORS,
) -> Fit:  # fmt: skip
    """The fit of `points` (N, 3) from `start`, their faces sought within each of `gates` (m) in turn.

    A face's own error is common to all points on it, so that a face weighs no more than the map knows it, however
    many points it has (generalised least squares, Sherman and Morrison 1950).
    """
    pose, noise = start, gates[0] / 3
    for gate in gates:
        for _ in range(MAX_STEPS):
            pairs, world = _pair(points, faces, tree, pose, scale, gate)
            noise = _noise(pairs, gate)
            information, gradient = _normal_equations(world, pose.translation, faces, pairs, noise)
            more, pull = _anchored(anchors, pose, scale)
            information, gradient = information + more, gradient + pull
            step = _step(information, gradient, free_scale)
            pose, scale = RigidTransform.from_exp_coords(step[:6]) * pose, scale * float(np.exp(step[6]))
            if np.abs(step).max() < SETTLED:
                break
    pairs, world = _pair(points, faces, tree, pose, scale, gates[-1])
    information, _ = _normal_equations(world, pose.translation, faces, pairs, _noise(pairs, gates[-1]))
    information = information + _anchored(anchors, pose, scale)[0]
    return Fit(pose, scale, _cov(information, free_scale), pairs.residual, pairs.matched, noise)


def _pair(
    points: np.ndarray, faces: Faces, tree: cKDTree, pose: RigidTransform, scale: float, gate: float
) -> tuple[_Pairs, np.ndarray]:
    world = pose.apply(scale * points)
    # a point near a face but past its edge belongs to none
    distance, nearest = tree.query(world, distance_upper_bound=gate + faces.spacing)
    met = np.isfinite(distance)
    nearest = np.where(met, nearest, 0)
    face = faces.face[nearest]
    met &= ~faces.near_edge[nearest]  # where a wall meets a floor the nearer one is not always the right one
    residual = np.einsum("ni,ni->n", faces.normal[face], world) - faces.offset[face]
    return _Pairs(face, residual, met & (np.abs(residual) < gate)), world


def _noise(pairs: _Pairs, gate: float) -> float:
    """Standard deviation of the matched points about their own face."""
    residual, face = pairs.residual[pairs.matched], pairs.face[pairs.matched]
    if not len(face):
        return gate / 3
    n = np.bincount(face)
    mean = np.bincount(face, residual) / np.maximum(n, 1)
    return float(max(1.4826 * np.median(np.abs(residual - mean[face])), LEAST_NOISE))


def _normal_equations(
    world: np.ndarray, centre: np.ndarray, faces: Faces, pairs: _Pairs, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    rows = pairs.matched
    face, normal, at = pairs.face[rows], faces.normal[pairs.face[rows]], world[rows]
    by_rotation = np.einsum("ni,nij->nj", normal, -cross_matrix(at))
    # of the point on the face, not of the one measured: else a smaller scale would fit by shrinking the noise itself
    by_scale = faces.offset[face] - normal @ centre
    jacobian = np.column_stack([by_rotation, normal, by_scale])
    residual = pairs.residual[rows]
    # far points weigh less, so that clutter within the gate does not pull: Tukey's weight at 4.7 sigma
    spread = np.hypot(noise, faces.sigma[face])
    weight = np.clip(1.0 - (residual / (4.685 * spread)) ** 2, 0.0, None) ** 2 / noise**2
    weighted = jacobian * weight[:, None]
    n_faces = len(faces.sigma)
    total = np.bincount(face, weight, n_faces)
    sums = np.stack([np.bincount(face, column, n_faces) for column in weighted.T], axis=1)
    shared = faces.sigma**2 / (1.0 + faces.sigma**2 * total)
    information = weighted.T @ jacobian - (sums * shared[:, None]).T @ sums
    pull = np.bincount(face, weight * residual, n_faces)
    gradient = weighted.T @ residual - (sums * shared[:, None]).T @ pull
    return symmetric(information), gradient


def _anchored(anchors: Anchors, pose: RigidTransform, scale: float) -> tuple[np.ndarray, np.ndarray]:
    at = pose.apply(scale * anchors.scan)
    lever = (at - pose.translation)[:, :, None]
    jacobian = np.concatenate([-cross_matrix(at), np.tile(np.eye(3), (len(at), 1, 1)), lever], axis=2)
    weighted = jacobian / anchors.sigma[:, :, None] ** 2
    information = np.einsum("kai,kaj->ij", weighted, jacobian)
    return information, np.einsum("kai,ka->i", weighted, at - anchors.world)


def _step(information: np.ndarray, gradient: np.ndarray, free_scale: bool) -> np.ndarray:
    k, step = 7 if free_scale else 6, np.zeros(7)
    values, vectors = np.linalg.eigh(information[:k, :k])
    safe = values > 1e-12 * max(values[-1], 1e-300)  # what the faces leave open stays as it was
    step[:k] = -(vectors[:, safe] / values[safe]) @ (vectors[:, safe].T @ gradient[:k])
    return step


def _cov(information: np.ndarray, free_scale: bool) -> np.ndarray:
    k, cov = 7 if free_scale else 6, np.zeros((7, 7))
    values, vectors = np.linalg.eigh(information[:k, :k])
    values = np.maximum(values, 1e-12 * max(values[-1], 1e-300))
    cov[:k, :k] = symmetric((vectors / values) @ vectors.T)
    return cov
