"""The pose of one image from landmarks, and all that its covariance is made of.

Four parts: the noise of its features and of the landmarks' own observations, independent from point to point; what the
errors of the image have in common (`FeatureNoise.shared`); what those of each of the map's images have in common,
carried through the landmarks that they placed; and the stated `calib_cov` of the map's cameras, carried likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.estimators.camera_fit import (
    OUT_OF_VIEW,
    MarkedPoints,
    camera_of,
    covariance_of,
    error_weights,
    fits_of,
    information,
    linearise_fits,
    refine_fits,
)
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior
from geoloc.geometry.gaussian import symmetric
from geoloc.relocalize.landmarks import LandmarkMap, bounded_inverse, unit_cov
from geoloc.scene.camera import Camera

TAILS = 4.0  # degrees of freedom of the errors of matched features: some match their neighbour
ROUNDS = 4  # the scale of errors is told by residuals, which are least for a scale
FEW_KNOW = 9.0  # spread of a pose that too few points tell to know how well
NO_PRIOR = CameraPrior(1.0, 1.0, (0.0, 0.0), 1.0)  # of a lens that is not freed, anywhere


@dataclass(frozen=True, eq=False)
class Leaning:
    """How a pose (rows of its `calib_cov`) follows each of the map's cameras that placed its landmarks."""

    images: tuple[int, ...]
    by_camera: tuple[np.ndarray, ...]  # (6 + k, 6 + k_j) each


def leaning(landmarks: LandmarkMap, fitted: Camera, points: np.ndarray, weight: np.ndarray) -> Leaning:
    """How the least-squares pose of `fitted` from landmarks `points` (N,) with `weight` (N, 2, 2) 1/px² follows.

    A landmark gives way as the observations that placed it want it (consider analysis; Tapley, Schutz and Born 2004,
    ch. 6).
    """
    wanted = np.full(len(landmarks), -1)
    wanted[points] = np.arange(len(points))
    rows = np.flatnonzero(wanted[landmarks.point] >= 0)
    row_of = wanted[landmarks.point[rows]]
    images = np.unique(landmarks.image[rows]).tolist()
    sigma = landmarks.noise.sigma(landmarks.scale[rows])
    normal, parts = np.zeros((len(points), 3, 3)), []
    for image in images:
        own = np.flatnonzero(landmarks.image[rows] == image)
        _, by_world, by_calib = landmarks.cameras[image].jacobians(landmarks.points[landmarks.point[rows[own]]])
        weighed = by_world.swapaxes(1, 2) / sigma[own, None, None] ** 2
        normal[row_of[own]] += weighed @ by_world  # each landmark is in an image once
        parts.append((row_of[own], weighed @ by_calib))
    _, by_world, by_calib = fitted.jacobians(landmarks.points[points])
    weighed = by_calib.swapaxes(1, 2) @ weight
    total = (weighed @ by_calib).sum(axis=0)
    pull = weighed @ by_world @ np.linalg.pinv(normal)
    # a lens that is freed is held by what is known of it too, which only the covariance tells
    cov = fitted.calib_cov if fitted.freed else bounded_inverse(total)
    # the pose moves against what a landmark's move would do to its pixel, and that against what its camera's did
    return Leaning(tuple(images), tuple(cov @ np.einsum("nab,nbc->ac", pull[of], by) for of, by in parts))


def carried_cov(found: Leaning, covs: Sequence[np.ndarray]) -> np.ndarray:
    """Covariance of the pose from covariances of the cameras it leans on, in the order of `found.images`."""
    return symmetric(np.sum([gain @ cov @ gain.T for gain, cov in zip(found.by_camera, covs, strict=True)], axis=0))


@dataclass(frozen=True, eq=False)
class FittedPose:
    """A camera refined on landmarks: `camera` with the whole `calib_cov`, and its parts.

    `noise_cov` is of independent noise, `shared_cov` of what images share, `survey_cov` of the map's cameras' stated
    covariance. `scale2` is by how much the image's errors are larger than the map's noise, squared, at least 1.
    """

    camera: Camera
    noise_cov: np.ndarray
    shared_cov: np.ndarray
    survey_cov: np.ndarray
    scale2: float


def fit_pose(
    landmarks: LandmarkMap,
    start: Camera,
    points: np.ndarray,
    pixels: np.ndarray,
    sigma: np.ndarray,
    prior: CameraPrior = NO_PRIOR,
    free: tuple[str, ...] = (),
) -> FittedPose:
    """`start` moved to where landmarks `points` (N,) int at `pixels` (N, 2), sigma (N,) px, want it."""
    marked = MarkedPoints(landmarks.points[points], pixels, sigma, landmarks.point_cov[points])
    refined = refine_pose(start, marked, prior, free)
    fitted = refined.camera
    found = leaning(landmarks, fitted, points, refined.weight)
    shared2 = refined.scale2 * landmarks.noise.shared**2
    shared = shared2 * unit_cov(fitted, marked.points)
    shared = shared + shared2 * carried_cov(found, [landmarks.unit_cov(i) for i in found.images])
    survey = carried_cov(found, [landmarks.cameras[i].calib_cov for i in found.images])
    whole = replace(fitted, calib_cov=symmetric(fitted.calib_cov + shared + survey))
    return FittedPose(whole, fitted.calib_cov, shared, survey, refined.scale2)


@dataclass(frozen=True, eq=False)
class Refined:
    """A camera with the covariance of noise, the weights (N, 2, 2) 1/px² of its points, and `scale2` as above."""

    camera: Camera
    weight: np.ndarray
    scale2: float


def refine_pose(
    start: Camera, marked: MarkedPoints, prior: CameraPrior = NO_PRIOR, free: tuple[str, ...] = ()
) -> Refined:
    """`start` refined under Student errors, whose scale the image's own residuals tell.

    Seen from farther off than by the map, in another light, shaken or blurred, features lie worse than the map's own
    residuals tell, and more of them far out: the covariance is of the errors as they are.
    """
    share = shares_of(marked.pixels)
    fits = replace(
        fits_of(start.lens, [start.cam_from_world], marked), free=np.isin(UNKNOWNS, free)[None],
        tails=np.array([TAILS]), weight=share[None],
    )  # fmt: skip
    n_unknowns = 6 + len(free)
    for _ in range(ROUNDS):
        fits = refine_fits(fits, marked, prior)
        linear = linearise_fits(fits, marked, prior)
        seen = linear.distance2[0] < OUT_OF_VIEW
        scale2 = student_scale2(linear.distance2[0][seen], share[seen], n_unknowns)
        fits = replace(fits, scale=np.sqrt([scale2]))
    spread = spread_of(linear.distance2[0][seen] / scale2, share[seen], n_unknowns)
    marks, known = information(replace(fits, tails=np.array([np.inf])), linear)
    cov = covariance_of(marks[0] / spread, known[0], fits.free[0])
    weight = np.linalg.inv(linear.cov[0]) * (share * error_weights(linear.distance2, fits)[0] / scale2)[:, None, None]
    return Refined(camera_of(fits, 0, cov, start.name, start.size), weight, scale2)


def shares_of(pixels: np.ndarray) -> np.ndarray:
    """What each of some pixels (N, 2) counts: a feature that was found turned k ways is one place, seen once."""
    _, place, count = np.unique(pixels, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / count[place.reshape(-1)])


def student_scale2(distance2: np.ndarray, share: np.ndarray, n_unknowns: int) -> float:
    """Squared scale, at least 1, of Student errors of two axes that a fit of `n_unknowns` left at `distance2` (N,).

    Of greatest likelihood (Lange, Little and Taylor 1989), less what the fit took up; each counts as its `share` (N,).
    """
    dof, scale2 = 2 * share.sum() - n_unknowns, 1.0
    if dof < 1:
        return 1.0
    for _ in range(50):
        scale2 = max(float((share * (TAILS + 2) / (TAILS + distance2 / scale2) * distance2).sum() / dof), 1.0)
    return scale2


def spread_of(distance2: np.ndarray, share: np.ndarray, n_unknowns: int) -> float:
    """Variance of a pose beside that of least squares under unit noise, at least 1, for errors as they are.

    Of residuals at `distance2` (N,) in the scale of the fit: Huber's covariance of M-estimates with its correction
    for few residuals (1973, "Robust Regression", eq. 6.5), and what a scale from so few leaves open itself.
    """
    n, dof = 2 * share.sum(), 2 * share.sum() - n_unknowns
    if dof < 3:
        return FEW_KNOW
    weight = (TAILS + 2) / (TAILS + distance2)
    slope = weight - weight**2 / (TAILS + 2) * distance2
    middle = float((share * slope).sum() / share.sum())
    varied = float((share * (slope - middle) ** 2).sum() / share.sum())
    correction = (1 + n_unknowns / n * varied / middle**2) ** 2
    spread = correction * float((share * weight**2 * distance2).sum() / dof) / middle**2
    return max(spread, 1.0) * dof / (dof - 2)
