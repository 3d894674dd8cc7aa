"""What one image says of its pose in a fit of several: its gradient, its information, and what its errors share."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.estimators.camera_fit import (
    OUT_OF_VIEW,
    Fits,
    Linear,
    MarkedPoints,
    error_weights,
    fits_of,
    information,
    linearise_fits,
)
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior, prior_residuals
from geoloc.geometry.gaussian import symmetric
from geoloc.geometry.se3 import cross_matrix
from geoloc.relocalize.common_errors import solve_common
from geoloc.relocalize.landmarks import LandmarkMap, bounded_inverse
from geoloc.relocalize.pose_fit import common_rows, shares_of, student_scale2
from geoloc.relocalize.pose_knowledge import DOWN, Knowledge
from geoloc.scene.camera import Camera

FEWEST_JUDGED = 8  # landmarks whose middle tells how large the errors of an image are
MEDIAN = 2 * float(np.log(2))  # of the squared distance of two axes under noise


@dataclass(frozen=True, eq=False)
class Sighting:
    """What one image says: its `camera` as it starts, `points` (K,) of the map at `pixels` (K, 2), `sigma` (K,) px.

    `free` are the unknowns of its lens under `prior`; `moment` and `sensor` say of which body and mount it is, and
    images of one `lens` number share what is wrong with it.
    """

    camera: Camera
    points: np.ndarray
    pixels: np.ndarray
    sigma: np.ndarray
    prior: CameraPrior
    free: tuple[str, ...]
    known: Knowledge
    moment: int
    sensor: str
    lens: int


@dataclass(frozen=True, eq=False)
class Spoken:
    """One image linearised: information (6, 6) of its pose, gradient (6,), and what goes into the covariance."""

    info: np.ndarray
    gradient: np.ndarray
    sure: np.ndarray  # (6, 6) information under heavy tails
    pull: np.ndarray  # (K, 6, 3) gradient by each landmark's place
    lens_step: tuple[np.ndarray, np.ndarray]  # at rest (5,), and by pose (5, 6)
    scale2: float


def linearise(landmarks: LandmarkMap, one: Sighting, camera: Camera, tails: float) -> Spoken:
    """What an image says at `camera`, its errors having `tails` degrees of freedom."""
    if not len(one.points):
        return _unseen(one, camera)
    marked, fits, linear = _at(landmarks, one, camera, tails)
    judged = len(marked) >= FEWEST_JUDGED and np.isfinite(tails)
    scale2 = excess(linear.distance2[0]) if judged else 1.0
    weight = np.linalg.inv(linear.cov[0]) * (error_weights(linear.distance2, fits)[0] / scale2)[:, None, None]
    jacobian = linear.jacobian[0]
    weighed = jacobian.swapaxes(1, 2) @ weight
    known = linear.prior_jacobian[0].T @ linear.prior_jacobian[0]
    info = (weighed @ jacobian).sum(axis=0) + known
    residual = np.nan_to_num(linear.residual[0])
    gradient = np.einsum("nab,nb->a", weighed, residual) + linear.prior_jacobian[0].T @ linear.prior[0]
    marks, _ = information(fits, linear)
    sure = marks[0] / scale2 + known
    if np.isfinite(one.known.down_sigma):
        down_info, down_gradient = _down(camera, one.known)
        info[:3, :3] += down_info
        sure[:3, :3] += down_info
        gradient[:3] += down_gradient
    free = 6 + np.flatnonzero(fits.free[0])
    rest, by_pose = np.zeros(5), np.zeros((5, 6))
    _, by_world, _ = camera.jacobians(marked.points)
    pull = weighed @ np.nan_to_num(by_world)
    if not len(free):
        return Spoken(info[:6, :6], gradient[:6], sure[:6, :6], pull[:, :6], (rest, by_pose), scale2)
    gain = np.linalg.solve(info[np.ix_(free, free)], info[free, :6])  # the lens gives way to the pose
    rest[free - 6], by_pose[free - 6] = -np.linalg.solve(info[np.ix_(free, free)], gradient[free]), gain
    sure_gain = np.linalg.solve(sure[np.ix_(free, free)], sure[free, :6])
    return Spoken(
        info[:6, :6] - info[:6, free] @ gain, gradient[:6] - gain.T @ gradient[free],
        sure[:6, :6] - sure[:6, free] @ sure_gain, pull[:, :6] - gain.T @ pull[:, free], (rest, by_pose), scale2,
    )  # fmt: skip


def with_common(landmarks: LandmarkMap, one: Sighting, camera: Camera, tails: float, rest: np.ndarray) -> Spoken:
    """As `linearise`, with errors that features near each other have in common, as a fit of one image takes them.

    `rest` (6, 6) is the information that all else has of the image's pose: what the residuals leave open of common
    errors, and a piece of the image that may be wrong, count only as far as the rest leaves it to them.
    """
    plain = linearise(landmarks, one, camera, tails)
    if len(one.points) < FEWEST_JUDGED:
        return plain
    marked, fits, linear = _at(landmarks, one, camera, tails)
    share = shares_of(marked.pixels)
    fits = replace(fits, weight=share[None])
    seen = linear.distance2[0] < OUT_OF_VIEW
    scale2 = student_scale2(linear.distance2[0][seen], share[seen], 6 + len(one.free))
    rows, seen, columns = common_rows(marked, fits, linear, scale2)
    if len(rows.pixels) < FEWEST_JUDGED:
        return plain
    jacobian = linear.prior_jacobian[0][:, columns]
    known, pull = jacobian.T @ jacobian, jacobian.T @ linear.prior[0]
    if np.isfinite(one.known.down_sigma):
        info, gradient = _down(camera, one.known)
        known[:3, :3] += info
        pull[:3] += gradient
    known[:6, :6] += rest
    pull[:6] -= plain.gradient  # where all is balanced, the rest pulls as the image does
    found = solve_common(rows, max(camera.size), known, pull)
    held = bounded_inverse(found.cov[:6, :6])
    gain = np.zeros((len(seen), 6, 2))
    gain[seen] = found.gain[:, :6]
    by_world = np.nan_to_num(camera.jacobians(marked.points)[1])
    sure = _positive(held - rest)
    return replace(plain, sure=sure, gradient=plain.gradient - held @ found.step[:6], pull=held @ gain @ by_world,
                   scale2=scale2)  # fmt: skip


def _positive(information: np.ndarray) -> np.ndarray:
    """The matrix (6, 6) less what is below zero of it, in units in which its unknowns are alike."""
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    return symmetric((vectors * np.maximum(values, 0.0)) @ vectors.T * np.outer(scale, scale))


def _at(landmarks: LandmarkMap, one: Sighting, camera: Camera, tails: float) -> tuple[MarkedPoints, Fits, Linear]:
    marked = MarkedPoints(landmarks.points[one.points], one.pixels, one.sigma, landmarks.point_cov[one.points])
    fits = fits_of(camera.lens, [camera.cam_from_world], marked)
    fits = replace(fits, free=np.isin(UNKNOWNS, one.free)[None], tails=np.array([tails]))
    return marked, fits, linearise_fits(fits, marked, one.known.prior(one.prior))


def excess(distance2: np.ndarray) -> float:
    """How much larger squared distances (N,) of two axes are than noise would make them, by their median; at least 1.

    Seen from farther off than the map's images, or in another light, features lie worse than the map's own residuals
    tell.
    """
    return max(float(np.median(distance2)) / MEDIAN, 1.0) if len(distance2) else 1.0


def _unseen(one: Sighting, camera: Camera) -> Spoken:
    """An image without landmarks: what is known of it besides."""
    pose = camera.cam_from_world
    rotation, params, free = pose.rotation.as_matrix()[None], camera.lens.params[None], np.zeros((1, 5), bool)
    residual, jacobian = prior_residuals(one.known.prior(one.prior), params, free, rotation, camera.centre_world[None])
    rows = jacobian[0, :, :6]
    info, gradient = rows.T @ rows, rows.T @ residual[0]
    if np.isfinite(one.known.down_sigma):
        down_info, down_gradient = _down(camera, one.known)
        info[:3, :3] += down_info
        gradient[:3] += down_gradient
    return Spoken(info, gradient, info, np.zeros((0, 6, 3)), (np.zeros(5), np.zeros((5, 6))), 1.0)


def _down(camera: Camera, known: Knowledge) -> tuple[np.ndarray, np.ndarray]:
    """Information (3, 3) and gradient (3,) of a turn by what is known of down."""
    seen = np.array(known.down) / np.linalg.norm(known.down)
    expected = camera.cam_from_world.rotation.apply(DOWN)
    jacobian = -cross_matrix(expected) / known.down_sigma
    return jacobian.T @ jacobian, jacobian.T @ (expected - seen) / known.down_sigma
