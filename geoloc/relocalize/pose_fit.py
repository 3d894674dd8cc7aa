"""The pose of one image from landmarks, and all that its covariance is made of.

Four parts: the noise of its features and of the landmarks' own observations, independent from point to point; what the
errors of the image have in common (`FeatureNoise.shared`); what those of each of the map's images have in common,
carried through the landmarks that they placed; and the stated `calib_cov` of the map's cameras, carried likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.estimators.camera_fit import MarkedPoints, error_weights, fits_of, linearise_fits, refine_camera
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.geometry.gaussian import symmetric
from geoloc.relocalize.landmarks import LandmarkMap, bounded_inverse, unit_cov
from geoloc.scene.camera import Camera

MEDIAN = 2 * np.log(2)  # of the squared distance of two axes
TAILS = 4.0  # degrees of freedom of the errors of matched features: some match their neighbour
NO_PRIOR = CameraPrior(1.0, 1.0, (0.0, 0.0), 1.0)  # of a lens that is not freed, anywhere


@dataclass(frozen=True, eq=False)
class Leaning:
    """How a pose (rows of its `calib_cov`) follows each of the map's cameras that placed its landmarks."""

    images: tuple[int, ...]
    by_camera: tuple[np.ndarray, ...]  # (6 + k, 6 + k_j) each


def leaning(landmarks: LandmarkMap, fitted: Camera, points: np.ndarray, weight: np.ndarray) -> Leaning:
    """How the least-squares pose of `fitted` from landmarks `points` (N,) with `weight` (N, 2, 2) 1/px² follows."""
    _, by_world, by_calib = fitted.jacobians(landmarks.points[points])
    weighed = by_calib.swapaxes(1, 2) @ weight
    # a lens that is freed is held by what is known of it too, which only the covariance tells
    cov = fitted.calib_cov if fitted.freed else bounded_inverse((weighed @ by_calib).sum(axis=0))
    images, pulls = pulls_of(landmarks, points, weighed @ by_world)
    return Leaning(images, tuple(cov @ pull for pull in pulls))


def pulls_of(
    landmarks: LandmarkMap, points: np.ndarray, pull: np.ndarray
) -> tuple[tuple[int, ...], tuple[np.ndarray, ...]]:
    """What each of the map's images that placed landmarks `points` (N,) pulls at, and how (d, 6 + k_j).

    `pull` (N, d, 3) is by how much each landmark's place does. A landmark gives way as the observations that placed it
    want it (consider analysis; Tapley, Schutz and Born 2004, ch. 6).
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
    moved = pull @ np.linalg.pinv(normal)
    # the pose moves against what a landmark's move would do to its pixel, and that against what its camera's did
    return tuple(images), tuple(np.einsum("nab,nbc->ac", moved[of], by) for of, by in parts)


def carried_cov(found: Leaning, covs: Sequence[np.ndarray]) -> np.ndarray:
    """Covariance of the pose from covariances of the cameras it leans on, in the order of `found.images`."""
    return symmetric(np.sum([gain @ cov @ gain.T for gain, cov in zip(found.by_camera, covs, strict=True)], axis=0))


@dataclass(frozen=True, eq=False)
class FittedPose:
    """A camera refined on landmarks: `camera` with the whole `calib_cov`, and its parts.

    `noise_cov` is of independent noise, `shared_cov` of what images share, `survey_cov` of the map's cameras' stated
    covariance. `distance2` (N,) are the squared distances of the points in sigmas of noise alone, and `scale2` is by
    how much their middle is larger than noise would make it, at least 1: it is in the first two covariances.
    """

    camera: Camera
    noise_cov: np.ndarray
    shared_cov: np.ndarray
    survey_cov: np.ndarray
    distance2: np.ndarray
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
    fitted, distance2, weight = refine_pose(start, marked, prior, free)
    found = leaning(landmarks, fitted, points, weight)
    scale2 = excess(distance2)
    shared2 = scale2 * landmarks.noise.shared**2
    shared = shared2 * unit_cov(fitted, marked.points)
    shared = shared + shared2 * carried_cov(found, [landmarks.unit_cov(i) for i in found.images])
    survey = carried_cov(found, [landmarks.cameras[i].calib_cov for i in found.images])
    whole = replace(fitted, calib_cov=symmetric(scale2 * fitted.calib_cov + shared + survey))
    return FittedPose(whole, scale2 * fitted.calib_cov, shared, survey, distance2, scale2)


def excess(distance2: np.ndarray) -> float:
    """How much larger squared distances (N,) of two axes are than noise would make them, by their median; at least 1.

    Seen from farther off than the map's images, or in another light, features lie worse than the map's own residuals
    tell.
    """
    return max(float(np.median(distance2)) / MEDIAN, 1.0) if len(distance2) else 1.0


def refine_pose(
    start: Camera, marked: MarkedPoints, prior: CameraPrior = NO_PRIOR, free: tuple[str, ...] = ()
) -> tuple[Camera, np.ndarray, np.ndarray]:
    """`start` refined, with the covariance of noise; squared distances (N,), and the weights (N, 2, 2) it ends with."""
    fitted, _ = refine_camera(start, marked, prior, free, TAILS)
    fits = replace(fits_of(fitted.lens, [fitted.cam_from_world], marked), tails=np.array([TAILS]))
    linear = linearise_fits(fits, marked, prior)
    weight = np.linalg.inv(linear.cov[0]) * error_weights(linear.distance2, fits)[0][:, None, None]
    return fitted, linear.distance2[0], weight
