"""How noisy features are, learned from a map's own residuals and from its own images placed by the others."""

from dataclasses import replace

import numpy as np
from scipy.optimize import nnls
from scipy.special import softmax

from geoloc.estimators.camera_fit import MarkedPoints
from geoloc.estimators.triangulation import Refusal, TriangulationOptions, triangulate
from geoloc.relocalize.landmarks import FeatureNoise, LandmarkMap, unit_cov
from geoloc.relocalize.pose_fit import carried_cov, leaning, refine_pose

MAD = 1.4826  # sigmas of a Gaussian in its median absolute deviation
BINS = 12
FEWEST = 200  # observations, below which what was assumed stays
MOST_IMAGES = 40  # that are placed by the others
FEWEST_POINTS = 20  # of one such image
LEAST_FLOOR = 0.02  # px
LEAST_SHARED = 1e-3  # px
LEAST_PART = 0.02  # of the residuals' variance that is noise, whatever the calibration would explain


def learn_noise(
    residual: np.ndarray, redundancy: np.ndarray, scale: np.ndarray, assumed: FeatureNoise, known2: np.ndarray
) -> FeatureNoise:
    """Floor and growth with scale from residuals (N, 2) px of features of `scale` (N,) px.

    `redundancy` (N,) is the share of an error's variance that its residual shows, `known2` (N,) px² the variance that
    the calibration explains. Robust: by medians of bins of scale.
    """
    if len(residual) < FEWEST:
        return assumed
    order = np.argsort(scale, kind="stable")
    sigma2, scale2 = [], []
    for rows in np.array_split(order, BINS):
        spread = MAD * np.median(np.abs(residual[rows] / np.sqrt(redundancy[rows])[:, None]))
        total2 = max(float(spread), 1e-6) ** 2
        sigma2.append(max(total2 - float(np.median(known2[rows])), LEAST_PART * total2))
        scale2.append(float(np.median(scale[rows] ** 2)))
    rows = np.stack([np.ones(BINS), scale2], axis=1) / np.array(sigma2)[:, None]  # relative errors of the variances
    (floor2, growth2), _ = nnls(rows, np.ones(BINS))
    return FeatureNoise(max(float(np.sqrt(floor2)), LEAST_FLOOR), float(np.sqrt(growth2)), assumed.shared)


def learn_shared(landmarks: LandmarkMap) -> float:
    """What an image's errors share (`FeatureNoise.shared`, px): from the map's images, each placed by the others.

    Each image's landmarks are placed without it, its pose is found from them, and the errors of those poses beside
    the cameras that were given tell how much they share. What was assumed stays where fewer than three images tell.
    """
    cases = []
    images = np.unique(np.linspace(0, len(landmarks.cameras) - 1, MOST_IMAGES).round().astype(int))
    for image in images.tolist():
        case = _left_out(landmarks, image)
        if case is not None:
            cases.append(case)
    if len(cases) < 3:
        return landmarks.noise.shared

    def surprise(log2: float) -> float:
        total = 0.0
        for error, known, unit in cases:
            cov = known + np.exp(log2) * unit
            total += np.linalg.slogdet(cov)[1] + error @ np.linalg.solve(cov, error)
        return total

    # the mean over what these few images leave open: the likeliest alone would promise too much
    variance = np.linspace(2 * np.log(LEAST_SHARED), 2 * np.log(10.0), 300)
    return float(np.sqrt(softmax([-surprise(log2) / 2 for log2 in variance]) @ np.exp(variance)))


def _left_out(landmarks: LandmarkMap, image: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Of an image placed by the others: error (6,), covariance of what is known, and per px² of what images share."""
    camera = landmarks.cameras[image]
    rows = landmarks.rows([image])
    rows = rows[landmarks.n_views[landmarks.point[rows]] > 2]
    if len(rows) < FEWEST_POINTS:
        return None
    rest = landmarks.without([camera.name])
    others = np.flatnonzero(landmarks.image != image)
    kept = np.bincount(landmarks.point[others], minlength=len(landmarks)) >= 2
    points = (np.cumsum(kept) - 1)[landmarks.point[rows]]
    xyz, cov, good = _placed_again(rest, points)
    rows, points = rows[good], points[good]
    if len(rows) < FEWEST_POINTS:
        return None
    every, every_cov = rest.points.copy(), rest.point_cov.copy()
    every[points], every_cov[points] = xyz[good], cov[good]
    rest = replace(rest, points=every, point_cov=every_cov)
    marked = MarkedPoints(
        xyz[good], landmarks.pixels[rows].astype(float), landmarks.noise.sigma(landmarks.scale[rows]), cov[good]
    )
    refined = refine_pose(camera, marked)
    fitted, scale2 = refined.camera, refined.scale2
    found = leaning(rest, points, fitted.jacobians(marked.points)[1], refined.gain)
    error = (camera.cam_from_world * fitted.cam_from_world.inv()).as_exp_coords()
    known = fitted.calib_cov[:6, :6] + camera.calib_cov[:6, :6]
    known = known + carried_cov(found, [rest.cameras[i].calib_cov for i in found.images])[:6, :6]
    unit = unit_cov(fitted, marked.points) + carried_cov(found, [rest.unit_cov(i) for i in found.images])
    return error, known, scale2 * unit[:6, :6]


def _placed_again(rest: LandmarkMap, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (N, 3), covariances of noise and which are good (N,), of some landmarks from a map's observations."""
    wanted = np.full(len(rest), -1)
    wanted[points] = np.arange(len(points))
    rows = np.flatnonzero(wanted[rest.point] >= 0)
    images, column = np.unique(rest.image[rows], return_inverse=True)
    pixels = np.full((len(points), len(images), 2), np.nan)
    cov = np.tile(np.eye(2), (*pixels.shape[:2], 1, 1))
    at = wanted[rest.point[rows]], column
    pixels[at] = rest.pixels[rows]
    cov[at] = rest.noise.sigma(rest.scale[rows])[:, None, None] ** 2 * np.eye(2)
    lax = TriangulationOptions(robust=False, gate_probability=1.0, max_sigma=1e6, max_relative_sigma=1.0)
    found = triangulate(pixels, [rest.cameras[i] for i in images.tolist()], cov, lax)
    return found.xyz, found.cov, found.refusal == Refusal.NONE
