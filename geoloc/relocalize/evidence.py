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
    images: np.ndarray,
    rng: np.random.Generator,
) -> Evidence:
    """Evidence for `camera` (with its `calib_cov`), whose pose was fitted with the features `fitted` (K,) int.

    Looked for all over the image, and around the features `inliers` alone, as of a pose that is right about one thing
    in the image only; the better counts, less what choosing between two is worth. Only landmarks are looked for that
    the map's `images` (M,) int show, those about the place: others may be behind a wall.
    """
    points, pixels, radius = _looked_for(features, landmarks, camera, fitted, landmarks.shown_in(images))
    won, told = _compare(features, landmarks, camera, points, pixels, radius, rng)
    near = _around(pixels, features.pixels[inliers])
    best = max((_counted(won, told), _counted(won[near], told[near])), key=lambda each: each.log_odds)
    return replace(best, log_odds=best.log_odds - float(np.log(2)))


def _counted(won: np.ndarray, told: np.ndarray) -> Evidence:
    n, wins = int(told.sum()), int((won & told).sum())
    return Evidence(n, wins, log_odds(wins, n))


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
) -> tuple[np.ndarray, np.ndarray]:
    """Which landmarks `points` (M,) win within `radius` (M,) of `pixels` (M, 2) over the decoys, and which tell."""
    if not len(points):
        return np.zeros(0, bool), np.zeros(0, bool)
    size = np.array(camera.size, float)
    shift = np.concatenate([np.zeros((1, 2)), _shifts(size, radius, rng)])
    places = (pixels[:, None] + shift) % size  # a place beyond one edge comes in at the other
    distance = _likest(features, places, radius, _looks(landmarks, points))
    return distance.argmin(axis=1) == 0, np.isfinite(distance).any(axis=1)


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
    features: LocalFeatures, landmarks: LandmarkMap, camera: Camera, fitted: np.ndarray, among: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of landmarks `among` (N,) int those to look for (M,), where (M, 2) px and how far around (M,) px.

    One at most in a piece of the image.
    """
    none = np.zeros(0, int), np.zeros((0, 2)), np.zeros(0)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        pixels, by_world, by_calib = camera.jacobians(landmarks.points[among])
        cov = by_world @ landmarks.point_cov[among] @ by_world.swapaxes(1, 2)
        cov = cov + by_calib @ camera.calib_cov @ by_calib.swapaxes(1, 2)
        spread = np.sqrt(np.trace(cov, axis1=1, axis2=2) / 2 + landmarks.noise.sigma(np.array([2.0])) ** 2)
    radius = np.maximum(GATE * spread, 1.5)
    good = np.isfinite(pixels).all(axis=1) & (radius <= WIDEST)
    good[good] &= camera.inside(pixels[good])
    rows = np.flatnonzero(good)
    rows = rows[_seen_alike(landmarks, camera, among[rows])]
    if not len(rows):
        return none
    cell = SUPPORT * float(np.median(features.scale)) if len(features) else 1.0
    taken = cKDTree(features.pixels[fitted]) if len(fitted) else None
    if taken is not None:
        rows = rows[taken.query(pixels[rows])[0] > cell]
    # the landmarks that most images saw first: one a cell
    rows = rows[np.argsort(-landmarks.n_views[among[rows]], kind="stable")]
    place = (pixels[rows] // cell).astype(int)
    _, first = np.unique(place[:, 0] * 100_003 + place[:, 1], return_index=True)
    rows = rows[np.sort(first)]
    return among[rows], pixels[rows], radius[rows]


def _seen_alike(landmarks: LandmarkMap, camera: Camera, points: np.ndarray) -> np.ndarray:
    """Which landmarks (N,) int some image saw from about the same side: (N,) bool."""
    toward = landmarks.points[points] - camera.centre_world
    toward /= np.linalg.norm(toward, axis=1, keepdims=True)
    seen, of = landmarks.sights(points)
    from_there = landmarks.points[points[of]] - landmarks.centres[landmarks.image[seen]]
    from_there /= np.linalg.norm(from_there, axis=1, keepdims=True)
    alike = np.einsum("ni,ni->n", from_there, toward[of]) > np.cos(ANGLE)
    out = np.zeros(len(points), bool)
    out[of[alike]] = True
    return out


def _shifts(size: np.ndarray, radius: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Displacements (DECOYS, 2) px, all beyond twice any gate: spread over the image, drawn by `rng`."""
    least = 2 * float(radius.max()) + 1
    angle = 2 * np.pi * (np.arange(DECOYS) + rng.random()) / DECOYS
    reach = np.linspace(least, max(2 * least, 0.35 * float(size.min())), DECOYS)[rng.permutation(DECOYS)]
    return reach[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _looks(landmarks: LandmarkMap, points: np.ndarray) -> np.ndarray:
    """The mean look (M, D) of each landmark, of unit length."""
    seen, of = landmarks.sights(points)
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    total = np.add.reduceat(unit_descriptors(landmarks.descriptors[seen]), starts, axis=0)
    return total / np.linalg.norm(total, axis=1, keepdims=True)


def _likest(features: LocalFeatures, places: np.ndarray, radius: np.ndarray, looks: np.ndarray) -> np.ndarray:
    """Distance (M, Q) of each landmark's look (M, D) to the likest feature within `radius` (M,) of places (M, Q, 2).

    Infinite where there is none.
    """
    m, q = places.shape[:2]
    far = np.full(m * q * NEAREST, np.inf)
    tree = cKDTree(features.pixels)
    away, near = tree.query(places.reshape(-1, 2), k=NEAREST, distance_upper_bound=float(radius.max()) * (1 + 1e-9))
    inside = np.flatnonzero(away.ravel() <= np.repeat(radius, q * NEAREST))
    described = unit_descriptors(features.descriptors[near.ravel()[inside]])
    far[inside] = 2 - 2 * np.einsum("nd,nd->n", described, looks[inside // (q * NEAREST)])
    return far.reshape(m, q, NEAREST).min(axis=2)
