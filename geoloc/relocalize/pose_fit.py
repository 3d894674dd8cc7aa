"""The pose of one image from landmarks, and all that its covariance is made of.

Four parts: the noise of its features and of the landmarks' own observations, as large, as far out and as common to a
piece of the image as the residuals have it or leave open (`common_errors`); what the errors of the whole image have in
common (`FeatureNoise.shared`, more where the lens is found too); what those of each of the map's images have in
common, carried through the landmarks that they placed; and the stated `calib_cov` of the map's cameras, carried
likewise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.estimators.camera_fit import (
    OUT_OF_VIEW,
    Fits,
    Linear,
    MarkedPoints,
    camera_of,
    curvature_along,
    fits_of,
    linearise_fits,
    moved_fits,
    refine_fits,
    to_calib,
)
from geoloc.estimators.camera_prior import UNKNOWNS, CameraPrior
from geoloc.geometry.gaussian import symmetric
from geoloc.relocalize.common_errors import Rows, solve_common
from geoloc.relocalize.landmarks import LandmarkMap, unit_cov
from geoloc.scene.camera import Camera

TAILS = 4.0  # degrees of freedom of the errors of matched features: some match their neighbour
ROUNDS = 4  # the scale of errors is told by residuals, which are least for a scale
SETTLED = 1e-3  # relative change of that scale, squared, below which it stays
NEAR = 1e-7  # damping of steps from where a search put the pose: nearly where it will stand
FEW_KNOW = 9.0  # spread of a pose that too few points tell to know how well
LENS_LEFT = 1e-5  # of the longer side; shared besides where the lens is found too, told by a dozen drawn floors
NO_PRIOR = CameraPrior(1.0, 1.0, (0.0, 0.0), 1.0)  # of a lens that is not freed, anywhere


@dataclass(frozen=True, eq=False)
class Leaning:
    """How a pose (rows of its `calib_cov`) follows each of the map's cameras that placed its landmarks."""

    images: tuple[int, ...]
    by_camera: tuple[np.ndarray, ...]  # (6 + k, 6 + k_j) each


def leaning(landmarks: LandmarkMap, points: np.ndarray, by_world: np.ndarray, gain: np.ndarray) -> Leaning:
    """How a pose from landmarks `points` (N,) follows, whose pixels move with them by `by_world` (N, 2, 3) px/m.

    `gain` (N, 6 + k, 2) is how the pose follows its pixels.
    """
    by_world = np.where(np.isfinite(by_world), by_world, 0.0)  # what lies behind the camera has no say
    return Leaning(*pulls_of(landmarks, points, gain @ by_world))


def pulls_of(
    landmarks: LandmarkMap, points: np.ndarray, pull: np.ndarray
) -> tuple[tuple[int, ...], tuple[np.ndarray, ...]]:
    """What each of the map's images that placed landmarks `points` (N,) pulls at, and how (d, 6 + k_j).

    `pull` (N, d, 3) is by how much each landmark's place does. A landmark gives way as the observations that placed it
    want it (consider analysis; Tapley, Schutz and Born 2004, ch. 6).
    """
    rows, row_of = landmarks.sights(points)
    images = np.unique(landmarks.image[rows]).tolist()
    sigma = landmarks.noise.sigma(landmarks.scale[rows])
    normal, parts = np.zeros((len(points), 3, 3)), []
    for image in images:
        own = np.flatnonzero(landmarks.image[rows] == image)
        _, seen_by, by_calib = landmarks.cameras[image].jacobians(landmarks.points[landmarks.point[rows[own]]])
        weighed = seen_by.swapaxes(1, 2) / sigma[own, None, None] ** 2
        normal[row_of[own]] += weighed @ seen_by  # each landmark is in an image once
        parts.append((row_of[own], weighed @ by_calib))
    moved = pull @ np.linalg.pinv(normal)
    # what is pulled goes against what a landmark's move would do to its pixel, and that against what its camera's did
    return tuple(images), tuple(np.einsum("nab,nbc->ac", moved[of], by) for of, by in parts)


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
    found = leaning(landmarks, points, fitted.jacobians(marked.points)[1], refined.gain)
    shared2 = refined.scale2 * landmarks.noise.shared**2
    left2 = (LENS_LEFT * max(start.size)) ** 2 if free else 0.0
    shared = (shared2 + left2) * unit_cov(fitted, marked.points)
    shared = shared + shared2 * carried_cov(found, [landmarks.unit_cov(i) for i in found.images])
    survey = carried_cov(found, [landmarks.cameras[i].calib_cov for i in found.images])
    whole = replace(fitted, calib_cov=symmetric(fitted.calib_cov + shared + survey))
    return FittedPose(whole, fitted.calib_cov, shared, survey, refined.scale2)


@dataclass(frozen=True, eq=False)
class Refined:
    """A camera with the covariance of noise, how it follows its pixels, `gain` (N, 6 + k, 2), and `scale2` as above."""

    camera: Camera
    gain: np.ndarray
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
    n_unknowns, scale2 = 6 + len(free), 1.0
    for _ in range(ROUNDS):
        fits = refine_fits(fits, marked, prior, first_damping=NEAR)
        linear = linearise_fits(fits, marked, prior)
        seen = linear.distance2[0] < OUT_OF_VIEW
        before, scale2 = scale2, student_scale2(linear.distance2[0][seen], share[seen], n_unknowns)
        fits = replace(fits, scale=np.sqrt([scale2]))
        if abs(scale2 - before) < SETTLED * before:
            break
    return _with_common(start, marked, prior, fits, linear, scale2)


def _with_common(
    start: Camera, marked: MarkedPoints, prior: CameraPrior, fits: Fits, linear: Linear, scale2: float
) -> Refined:
    """The last step, with the covariance: of errors that are as they are, and partly common to what lies together."""
    rows, seen, columns = common_rows(marked, fits, linear, scale2)
    known = linear.prior_jacobian[0][:, columns]
    found = solve_common(rows, max(start.size), known.T @ known, known.T @ linear.prior[0])
    cov, step = np.zeros((11, 11)), np.zeros(11)
    cov[np.ix_(columns, columns)], step[columns] = found.cov, found.step
    # where pixels alone hardly tell a lens from a distance, the likely poses lie along a valley that bends
    bent, _ = curvature_along(step[None], fits, linear, marked, prior)
    step[columns] -= np.einsum("npi,ni->p", found.gain, bent[0][seen])
    moved = moved_fits(fits, step[None])
    to_pose, _ = to_calib(moved)
    gain = np.zeros((len(seen), len(to_pose), 2))
    gain[seen] = to_pose[:, columns] @ found.gain
    return Refined(camera_of(moved, 0, cov, start.name, start.size), gain, scale2)


def common_rows(
    marked: MarkedPoints, fits: Fits, linear: Linear, scale2: float
) -> tuple[Rows, np.ndarray, np.ndarray]:
    """What `solve_common` takes of a fit whose errors are `scale2` times as large, squared, as stated.

    With which of the marks (N,) bool are among it, and which of the unknowns (p,) int of the fit are free.
    """
    seen = linear.distance2[0] < OUT_OF_VIEW
    columns = np.flatnonzero(np.concatenate([np.ones(6, bool), fits.free[0]]))
    share, distance2 = fits.weight[0][seen], linear.distance2[0][seen] / scale2
    spread, slope = spread_of(distance2, share, len(columns))
    weight = (TAILS + 2) / (TAILS + distance2)
    information = np.linalg.inv(linear.cov[0][seen]) / (spread * scale2)
    rows = Rows(
        linear.residual[0][seen] * (weight / slope)[:, None],
        linear.jacobian[0][seen][:, :, columns],
        information * share[:, None, None],
        marked.pixels[seen],
        2 / float(np.median(np.trace(information, axis1=1, axis2=2))) if len(information) else 1.0,
    )
    return rows, seen, columns


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


def spread_of(distance2: np.ndarray, share: np.ndarray, n_unknowns: int) -> tuple[float, float]:
    """Variance of a pose beside that of least squares under unit noise, at least 1, for errors as they are.

    Of residuals at `distance2` (N,) in the scale of the fit: Huber's covariance of M-estimates with its correction
    for few residuals (1973, "Robust Regression", eq. 6.5), and what a scale from so few leaves open itself. Second,
    how steeply the weighted residuals follow the errors.
    """
    n, dof = 2 * share.sum(), 2 * share.sum() - n_unknowns
    if dof < 3:
        return FEW_KNOW, 1.0
    weight = (TAILS + 2) / (TAILS + distance2)
    slope = weight - weight**2 / (TAILS + 2) * distance2
    middle = float((share * slope).sum() / share.sum())
    varied = float((share * (slope - middle) ** 2).sum() / share.sum())
    correction = (1 + n_unknowns / n * varied / middle**2) ** 2
    spread = correction * float((share * weight**2 * distance2).sum() / dof) / middle**2
    return max(spread, 1.0) * dof / (dof - 2), middle
