"""Bringing an estimated path onto the true one: by nothing, a rigid motion, a similarity, or yaw and a shift."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import GeometryError, InputError, unknown_name


@dataclass(frozen=True, eq=False)
class PathAlignment:
    """x_true = scale * R x + t: `name` in ALIGNMENTS, `motion` with R and t (m), `scale` 1 but for "sim3"."""

    name: str
    motion: RigidTransform
    scale: float

    def apply(self, world_from_body: RigidTransform) -> RigidTransform:
        """The poses (N,) in the frame of the truth; a body is moved and turned, never scaled."""
        scaled = RigidTransform.from_components(self.scale * world_from_body.translation, world_from_body.rotation)
        return self.motion * scaled


def align_paths(true_xyz: np.ndarray, xyz: np.ndarray, name: str) -> PathAlignment:
    """The alignment `name` of ALIGNMENTS that brings positions `xyz` (N, 3) m nearest to `true_xyz` (N, 3) m.

    Least squares over all N. GeometryError where the positions do not determine it.
    """
    if name not in ALIGNMENTS:
        raise unknown_name("alignment", name, ALIGNMENTS)
    true_xyz, xyz = np.asarray(true_xyz, float), np.asarray(xyz, float)
    if true_xyz.shape != xyz.shape or xyz.ndim != 2 or xyz.shape[1] != 3 or not len(xyz):
        raise InputError(f"alignment: true positions {true_xyz.shape}, estimated {xyz.shape}; give (N, 3) each")
    if not (np.isfinite(true_xyz).all() and np.isfinite(xyz).all()):
        raise InputError("alignment: positions that are not finite; leave those rows out")
    if name == "none":
        return PathAlignment(name, RigidTransform.identity(), 1.0)
    true_mean, mean = true_xyz.mean(axis=0), xyz.mean(axis=0)
    rotation, scale = ALIGNMENTS[name](true_xyz - true_mean, xyz - mean)
    shift = true_mean - scale * rotation.apply(mean)
    return PathAlignment(name, RigidTransform.from_components(shift, rotation), scale)


def _unmoved(true: np.ndarray, found: np.ndarray) -> tuple[Rotation, float]:
    return Rotation.identity(), 1.0


def _rigid(true: np.ndarray, found: np.ndarray) -> tuple[Rotation, float]:
    rotation, _ = _similar(true, found)
    return rotation, 1.0


def _similar(true: np.ndarray, found: np.ndarray) -> tuple[Rotation, float]:
    """Rotation and scale between centred positions (N, 3) (Umeyama 1991, eqs. 40 to 42)."""
    u, singular, vt = np.linalg.svd(true.T @ found)
    # one line, or one point: the paths could be turned about it at will
    if singular[1] <= 1e-12 * np.linalg.norm(true) * np.linalg.norm(found) or singular[0] == 0.0:
        raise GeometryError(
            f"alignment: the {len(found)} matched positions lie in one point or on one line, so their rotation is not "
            'determined; align by "yaw" or "none", or take a path with a bend'
        )
    sign = np.array([1.0, 1.0, np.linalg.det(u) * np.linalg.det(vt)])
    return Rotation.from_matrix((u * sign) @ vt), float((singular * sign).sum() / (found**2).sum())


def _upright(true: np.ndarray, found: np.ndarray) -> tuple[Rotation, float]:
    """Rotation about z alone, for paths whose vertical is known (Zhang and Scaramuzza 2018, sec. III-B)."""
    cosine = (true[:, :2] * found[:, :2]).sum()
    sine = (found[:, 0] * true[:, 1] - found[:, 1] * true[:, 0]).sum()
    size = np.linalg.norm(true[:, :2]) * np.linalg.norm(found[:, :2])
    if np.hypot(cosine, sine) <= 1e-12 * size or size == 0.0:
        raise GeometryError(
            f"alignment: the {len(found)} matched positions do not move over the ground, so yaw is not determined; "
            'align by "none"'
        )
    return Rotation.from_rotvec([0.0, 0.0, np.arctan2(sine, cosine)]), 1.0


# Names to (centred true positions, centred positions) -> (rotation, scale); the shift follows from the means.
ALIGNMENTS: dict[str, Callable[[np.ndarray, np.ndarray], tuple[Rotation, float]]] = {
    "none": _unmoved,
    "se3": _rigid,
    "sim3": _similar,
    "yaw": _upright,
}
