"""Whether a pose is there at all: landmarks that it was not fitted to, looked for where it says, and beside.

A landmark's looks are compared with the features near where the pose puts it, and with those near `DECOYS` other
places of the image. If the pose is wrong, each of these places is as likely as any other to hold the best likeness,
however the site repeats and whatever the features are: the rank is uniform. If it is right, its own place wins
more often. The count of wins is binomial, so the evidence is the logarithm of a likelihood ratio, and no threshold on
inliers is needed. Landmarks are thinned so that no two share a piece of the image, and those that the pose was fitted
to do not count, nor do their neighbours; many inliers in one corner therefore prove little.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import xlogy

from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.scene.camera import Camera

DECOYS = 15
SUPPORT = 12.0  # a descriptor looks at a square this many times its feature's scale wide
GATE = 3.0  # sigmas around a landmark's predicted place
WIDEST = 20.0  # px; what is predicted worse is not looked for: by chance there is always something
NEAREST = 8  # features of a gate that are compared
ANGLE = 1.3  # rad; a landmark seen from farther round than this looks different, if it is not hidden


@dataclass(frozen=True)
class Evidence:
    """Of `n` landmarks looked for, `wins` were most like what is at their own place; `log_odds` against chance."""

    n: int
    wins: int
    log_odds: float


def weigh(
    features: LocalFeatures,
    landmarks: LandmarkMap,
    camera: Camera,
    fitted: np.ndarray,
    inliers: np.ndarray,
    rng: np.random.Generator,
) -> Evidence:
    """Evidence for `camera` (with its `calib_cov`), whose pose was fitted with the features `fitted` (K,) int.

    Looked for all over the image, and around the features `inliers` alone, as of a pose that is right about one thing
    in the image only; the better counts, less what choosing between two is worth.
    """
    points, pixels, radius = _looked_for(features, landmarks, camera, fitted)
    near = _around(pixels, features.pixels[inliers])
    everywhere = _compare(features, landmarks, camera, points, pixels, radius, rng)
    here = _compare(features, landmarks, camera, points[near], pixels[near], radius[near], rng)
    best = max(everywhere, here, key=lambda each: each.log_odds)
    return replace(best, log_odds=best.log_odds - float(np.log(2)))


def _around(pixels: np.ndarray, inliers: np.ndarray) -> np.ndarray:
    """Which pixels (N, 2) lie among the `inliers` (K, 2), K at least 3, or just beside them: (N,) bool."""
    off = pixels - inliers.mean(axis=0)
    inverse = np.linalg.pinv(np.cov(inliers.T.astype(float)) + np.eye(2))
    return np.asarray(np.einsum("ni,ij,nj->n", off, inverse, off) < GATE**2)


def _compare(
    features: LocalFeatures,
    landmarks: LandmarkMap,
    camera: Camera,
    points: np.ndarray,
    pixels: np.ndarray,
    radius: np.ndarray,
    rng: np.random.Generator,
) -> Evidence:
    """How often landmarks `points` (M,) win within `radius` (M,) of `pixels` (M, 2) over the decoys."""
    if not len(points):
        return Evidence(0, 0, 0.0)
    size = np.array(camera.size, float)
    shift = np.concatenate([np.zeros((1, 2)), _shifts(size, radius, rng)])
    places = (pixels[:, None] + shift) % size  # a place beyond one edge comes in at the other
    looks = looks_of(landmarks, points)
    tree = cKDTree(features.pixels)
    distance = np.empty(places.shape[:2])
    for place in range(places.shape[1]):
        distance[:, place] = _likest(features, tree, places[:, place], radius, looks)
    told = np.isfinite(distance).any(axis=1)
    wins = int((distance[told].argmin(axis=1) == 0).sum())
    return Evidence(int(told.sum()), wins, log_odds(wins, int(told.sum())))


def log_odds(wins: int, n: int) -> float:
    """Logarithm of how much likelier `wins` of `n` are if places are right, at any rate, than by chance.

    The rate's own fit costs half the logarithm of n (Schwarz 1978).
    """
    chance = 1.0 / (DECOYS + 1)
    if n == 0 or wins <= n * chance:
        return 0.0
    share = wins / n
    gain = xlogy(share, share / chance) + xlogy(1 - share, (1 - share) / (1 - chance))
    return float(n * gain - 0.5 * np.log(n))


def _looked_for(
    features: LocalFeatures, landmarks: LandmarkMap, camera: Camera, fitted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks (M,) int to look for, where (M, 2) px and how far around (M,) px: one at most in a piece of image."""
    rows, pixels, radius = landmarks_in_view(landmarks, camera)
    there = landmarks.present[rows]
    rows, pixels, radius = rows[there], pixels[there], radius[there]
    cell = SUPPORT * float(np.median(features.scale)) if len(features) else 1.0
    if len(rows) and len(fitted):
        away = cKDTree(features.pixels[fitted]).query(pixels)[0] > cell
        rows, pixels, radius = rows[away], pixels[away], radius[away]
    if not len(rows):
        return rows, pixels, radius
    # the landmarks that most images saw, and that last, first: one a cell
    order = np.argsort(-landmarks.n_views[rows] * landmarks.presence[rows], kind="stable")
    place = (pixels[order] // cell).astype(int)
    _, first = np.unique(place[:, 0] * 100_003 + place[:, 1], return_index=True)
    order = order[np.sort(first)]
    return rows[order], pixels[order], radius[order]


def landmarks_in_view(landmarks: LandmarkMap, camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks (M,) int that `camera` should see, where (M, 2) px, and how far around (M,) px they may be.

    Those whose place its `calib_cov` leaves too open are left out, and those that no image saw from about its side.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        pixels, by_world, by_calib = camera.jacobians(landmarks.points)
        cov = by_world @ landmarks.point_cov @ by_world.swapaxes(1, 2)
        cov = cov + by_calib @ camera.calib_cov @ by_calib.swapaxes(1, 2)
        spread = np.sqrt(np.trace(cov, axis1=1, axis2=2) / 2 + landmarks.noise.sigma(np.array([2.0])) ** 2)
    radius = np.maximum(GATE * spread, 1.5)
    good = np.isfinite(pixels).all(axis=1) & (radius <= WIDEST)
    good[good] &= camera.inside(pixels[good])
    rows = np.flatnonzero(good)
    rows = rows[_seen_alike(landmarks, camera, rows)]
    return rows, pixels[rows], radius[rows]


def _seen_alike(landmarks: LandmarkMap, camera: Camera, points: np.ndarray) -> np.ndarray:
    """Which landmarks (N,) int some image saw from about the same side: (N,) bool."""
    toward = landmarks.points[points] - camera.centre_world
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    row = np.full(len(landmarks), -1)
    row[points] = np.arange(len(points))
    seen = np.flatnonzero(row[landmarks.point] >= 0)
    centres = np.array([own.centre_world for own in landmarks.cameras])
    from_there = landmarks.points[landmarks.point[seen]] - centres[landmarks.image[seen]]
    from_there /= np.linalg.norm(from_there, axis=1, keepdims=True)
    alike = np.einsum("ni,ni->n", from_there, toward[row[landmarks.point[seen]]]) > np.cos(ANGLE)
    out = np.zeros(len(points), bool)
    out[row[landmarks.point[seen[alike]]]] = True
    return out


def _shifts(size: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Displacements (DECOYS, 2) px, all beyond twice any gate: spread over the image, drawn by `rng`."""
    least = 2 * float(radius.max()) + 1
    angle = 2 * np.pi * (np.arange(DECOYS) + rng.random()) / DECOYS
    reach = np.linspace(least, max(2 * least, 0.35 * float(size.min())), DECOYS)[rng.permutation(DECOYS)]
    return reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def looks_of(landmarks: LandmarkMap, points: np.ndarray) -> np.ndarray:
    """The mean look (M, D) of each of some landmarks (M,) int, of unit length."""
    row = np.full(len(landmarks), -1)
    row[points] = np.arange(len(points))
    seen = np.flatnonzero(row[landmarks.point] >= 0)
    total = np.zeros((len(points), landmarks.descriptors.shape[1]), np.float32)
    np.add.at(total, row[landmarks.point[seen]], unit_descriptors(landmarks.descriptors[seen]))
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def _likest(
    features: LocalFeatures, tree: cKDTree, places: np.ndarray, radius: np.ndarray, looks: np.ndarray
) -> np.ndarray:
    """Distance (M,) of each landmark's look to the likest feature within `radius` of its place; infinite if none is."""
    away, near = tree.query(places, k=NEAREST)
    inside = away <= radius[:, None]
    found = np.full(inside.shape, np.inf)
    rows, column = np.nonzero(inside)
    described = unit_descriptors(features.descriptors[near[rows, column]])
    found[rows, column] = 2 - 2 * np.einsum("nd,nd->n", described, looks[rows])
    return found.min(axis=1)
