"""How a model is brought to the site's frame: by known cameras, surveyed points marked in pictures, and GPS.

All of them say where something of the model is on the site, each with its covariance. One similarity brings the model
there, by least squares; what contradicts all others is left out and named; what GPS fixes of one walk have in common
(the sky over it, the phone) is an unknown of its own. What the ties leave open of the similarity is one error of the
whole map, and is carried as such: it does not average out over images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import RigidTransform, Rotation
from scipy.stats import chi2

from geoloc.errors import GeometryError
from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import cross_matrix
from geoloc.scene.camera import Camera

LONGEST_STEP = 0.3  # rad, and of the scale's logarithm
STEPS = 20
FEWEST = 3
THIN = 0.02  # breadth over length of places that lie on a line
GROSS = float(chi2.ppf(1 - 1e-4, 3))  # squared distance that a right tie exceeds once in 10,000
DISPROVED = 0.999
FEWEST_KEPT = 4  # ties, below which none is called wrong


@dataclass(frozen=True, eq=False)
class MapFrame:
    """What is open of a map's frame: covariance (7, 7) of a similarity of the world about `middle` (3,) m.

    Rotation (rad), translation (m), logarithm of the scale. Zeros: the frame is the site's.
    """

    middle: np.ndarray = field(default_factory=lambda: np.zeros(3))
    cov: np.ndarray = field(default_factory=lambda: np.zeros((7, 7)))

    def by_pose(self, camera: Camera) -> np.ndarray:
        """Derivative (6, 7) of a camera's pose perturbation by the similarity, which moves it along."""
        rotation = camera.cam_from_world.rotation.as_matrix()
        arm = camera.centre_world - self.middle
        # centre = -R' t moves by -R' v; the camera turns against the world
        move = np.concatenate([-cross_matrix(arm), np.eye(3), arm[:, None]], axis=1)
        return np.concatenate([np.hstack([-rotation, np.zeros((3, 4))]), -rotation @ move])

    def pose_cov(self, camera: Camera) -> np.ndarray:
        """What it adds to the covariance (6, 6) of a pose on the map."""
        jacobian = self.by_pose(camera)
        return symmetric(jacobian @ self.cov @ jacobian.T)


@dataclass(frozen=True, eq=False)
class Tie:
    """Something at `source` (3,) of a model is at `target` (3,) m of the site, to `cov` (3, 3) m².

    `source_cov` (3, 3) is in the model's unit. Ties of one `group` have errors of covariance `shared` (3, 3) in common
    besides; "" has none.
    """

    name: str
    source: np.ndarray
    target: np.ndarray
    cov: np.ndarray
    source_cov: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    group: str = ""


@dataclass(frozen=True, eq=False)
class Aligned:
    """The cameras on the site, what is open of the frame, and of each tie by name how far it is off (3,) m.

    `left_out` are the names of ties that contradict the others.
    """

    cameras: tuple[Camera, ...]
    frame: MapFrame
    off: Mapping[str, np.ndarray]
    left_out: tuple[str, ...]


def align_to(
    cameras: Sequence[Camera], ties: Sequence[Tie], shared: Mapping[str, np.ndarray] | None = None
) -> Aligned:
    """The cameras brought to where `ties` have them, `shared` (3, 3) m² being what each group has in common.

    GeometryError where the ties do not determine a similarity.
    """
    ties, shared = list(ties), dict(shared or {})
    left_out: list[str] = []
    while True:
        _check(ties)
        found = _solved(ties, shared)
        distance2 = np.array([np.inf if value != value else value for value in found.distance2])
        worst = int(distance2.argmax())
        if distance2[worst] <= GROSS * found.usual or len(ties) <= FEWEST_KEPT:
            break
        left_out.append(ties.pop(worst).name)
    off = {tie.name: each for tie, each in zip(ties, found.off, strict=True)}
    moved = tuple(_moved(camera, found) for camera in cameras)
    return Aligned(moved, MapFrame(found.middle, found.cov), off, tuple(left_out))


@dataclass(frozen=True, eq=False)
class _Similarity:
    rotation: Rotation
    shift: np.ndarray
    scale: float
    middle: np.ndarray
    cov: np.ndarray
    off: np.ndarray
    distance2: np.ndarray
    usual: float  # middle of the squared distances beside what it should be


def _check(ties: Sequence[Tie]) -> None:
    if len(ties) < FEWEST:
        raise GeometryError(f"alignment: {len(ties)} known places; it takes three, not on one line")
    target = np.array([tie.target for tie in ties])
    spread = np.linalg.svd(target - target.mean(axis=0), compute_uv=False)
    if spread[1] < THIN * spread[0]:
        raise GeometryError("alignment: the known places lie on one line; add one beside it")


def _solved(ties: Sequence[Tie], shared: Mapping[str, np.ndarray]) -> _Similarity:
    source, target = (np.array([getattr(tie, name) for tie in ties], float) for name in ("source", "target"))
    middle = target.mean(axis=0)
    centred = source - source.mean(axis=0)
    rotation, _ = Rotation.align_vectors(target - middle, centred)
    scale = float(np.vdot(target - middle, rotation.apply(centred)) / np.vdot(centred, centred))  # Umeyama (1991)
    if not scale > 0:
        raise GeometryError("alignment: the model does not fit the known places at all; are the names right?")
    shift = middle - scale * rotation.apply(source.mean(axis=0))
    groups = [name for name in shared if any(tie.group == name for tie in ties)]
    common = np.zeros((len(groups), 3))
    member = np.array([groups.index(tie.group) if tie.group in groups else -1 for tie in ties])
    known = np.zeros((7 + 3 * len(groups), 7 + 3 * len(groups)))
    for k, name in enumerate(groups):
        known[7 + 3 * k : 10 + 3 * k, 7 + 3 * k : 10 + 3 * k] = np.linalg.inv(shared[name])
    for _ in range(STEPS):
        turn = rotation.as_matrix()
        cov = np.array([tie.cov + scale**2 * turn @ tie.source_cov @ turn.T for tie in ties])
        moved = scale * rotation.apply(source) + shift
        jacobian = _jacobian(moved - middle, member, len(groups))
        bias = np.where((member >= 0)[:, None], common[member] if len(groups) else 0.0, 0.0)
        weighed = jacobian.swapaxes(1, 2) @ np.linalg.inv(cov)
        information = (weighed @ jacobian).sum(axis=0) + known
        off = target - moved - bias
        right = np.einsum("nab,nb->a", weighed, off) - known @ np.concatenate([np.zeros(7), common.ravel()])
        step = _step(information, right)
        step[[0, 1, 2, 6]] /= max(float(np.abs(step[[0, 1, 2, 6]]).max()) / LONGEST_STEP, 1.0)
        turned, growth = Rotation.from_rotvec(step[:3]), float(np.exp(step[6]))
        rotation, scale = turned * rotation, growth * scale
        shift = middle + growth * turned.apply(shift - middle) + step[3:6]
        common = common + step[7:].reshape(-1, 3)
    whole = np.linalg.inv(information)
    distance2 = np.einsum("na,nab,nb->n", off, np.linalg.inv(cov), off)
    left = 3 * len(ties) - 7
    total = float(distance2.sum())
    # stated sigmas stand unless the ties disprove them
    excess = total / left if left > 0 and total > chi2.ppf(DISPROVED, left) else 1.0
    cov = symmetric(excess * whole[:7, :7])
    usual = max(float(np.median(distance2)) / float(chi2.median(3)), 1.0)
    return _Similarity(rotation, shift, scale, middle, cov, target - moved, distance2, usual)


def _step(information: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(np.linalg.solve(information, right))
    except np.linalg.LinAlgError:
        raise GeometryError("alignment: the known places leave the model's turn or size open; add some apart") from None


def _jacobian(arm: np.ndarray, member: np.ndarray, n_groups: int) -> np.ndarray:
    """Derivative (N, 3, 7 + 3 G) of where ties are, their group's common error included."""
    out = np.zeros((len(arm), 3, 7 + 3 * n_groups))
    out[:, :, :3], out[:, :, 3:6], out[:, :, 6] = -cross_matrix(arm), np.eye(3), arm
    for row, k in enumerate(member.tolist()):
        if k >= 0:
            out[row, :, 7 + 3 * k : 10 + 3 * k] = np.eye(3)
    return out


def _moved(camera: Camera, found: _Similarity) -> Camera:
    turn = camera.cam_from_world.rotation * found.rotation.inv()
    centre = found.scale * found.rotation.apply(camera.centre_world) + found.shift
    return replace(camera, cam_from_world=RigidTransform.from_components(-turn.apply(centre), turn))
