"""Whether a pose is there at all: landmarks that it was not fitted to, looked for where it says, and beside.

A landmark's looks are compared with the features near where the pose puts it, and with those near `DECOYS` other
places of the image. If the pose is wrong, each of these places is as likely as any other to hold the best likeness,
however the site repeats and whatever the features are: the rank is uniform. If it is right, its own place wins
more often, and most often where the best likeness is much better than the next: how clear it is does not tell which
place has it, so the clearest are looked at first, and each is bet on at the rate at which those before it won. The
capital of such bets is a test martingale: by chance it reaches t with probability 1 / t at most (Ville 1939; Shafer
2021, "Testing by betting"), whenever one stops; it is averaged over all stops. No threshold on inliers is needed.
Landmarks are thinned so that no two share a piece of the image, and those that the pose was fitted to do not count,
nor do their neighbours; many inliers in one corner therefore prove little.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import logsumexp

from geoloc.features.local import LocalFeatures, unit_descriptors
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.scene.camera import Camera

DECOYS = 15
SUPPORT = 12.0  # a descriptor looks at a square this many times its feature's scale wide
GATE = 3.0  # sigmas around a landmark's predicted place
WIDEST = 20.0  # px; what is predicted worse is not looked for: by chance there is always something
NEAREST = 8  # features of a gate that are compared
NOTHING_ALIKE = 1.0  # squared distance of descriptors that share nothing in particular
ANGLE = 1.3  # rad; a landmark seen from farther round than this looks different, if it is not hidden


@dataclass(frozen=True)
class Evidence:
    """Of `n` landmarks looked for, `wins` were most like what is at their own place; `log_odds` against chance.

    `support` counts those too that the pose was found by and then not fitted to, though the search picks what agrees:
    it tells one place from another that was found in the same way; so do the `pieces` of the image in which the pose's
    own landmarks lie.
    """

    n: int
    wins: int
    log_odds: float
    support: float
    pieces: int = 0

    @property
    def standing(self) -> float:
        """By which places are ordered: support, and what a piece is worth if a bet on its landmark were sure."""
        return max(self.support, 0.0) + self.pieces * float(np.log(DECOYS + 1))


NOTHING = Evidence(0, 0, 0.0, 0.0)


def opposite_quarters(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two halves (K,) int of some pixels (N, 2): each of two quarters of them that lie across from each other.

    A pose that is fitted to one half is told well in the other, which lies between, and few of that lie right beside
    what it was fitted to: halves drawn at random would leave hardly a landmark to ask where the features are dense.
    """
    n = len(pixels)
    off = pixels - pixels.mean(axis=0) if n else pixels
    along, aside = np.linalg.svd(off.T @ off)[0].T @ off.T if n else (np.zeros(0), np.zeros(0))
    order = np.argsort(along, kind="stable")
    left, right = (part[np.argsort(aside[part], kind="stable")] for part in (order[: n // 2], order[n // 2 :]))
    a, b = len(left) // 2, len(right) // 2
    return np.concatenate([left[:a], right[b:]]), np.concatenate([left[a:], right[:b]])


def weigh(
    features: LocalFeatures,
    landmarks: LandmarkMap,
    cameras: Sequence[tuple[Camera, np.ndarray]],
    inliers: np.ndarray,
    images: np.ndarray,
    n_tried: int,
    rng: np.random.Generator,
) -> Evidence:
    """Evidence for a pose that was found by the features `inliers` (K,) int, the best of `n_tried` at most.

    `cameras` are fits to parts of them, each with the rows that it was fitted to; what they say is averaged. Looked
    for all over the image, and around the inliers alone, as of a pose that is right about one thing in the image only;
    the better counts, less what choosing between two is worth. Only landmarks are looked for that the map's `images`
    (M,) int show, those about the place: others may be behind a wall.
    """
    found = [_weigh_one(features, landmarks, camera, fitted, inliers, images, rng) for camera, fitted in cameras]
    if not found:
        return NOTHING
    likeliest, n = max(found, key=lambda each: each.log_odds), np.log(len(found))
    odds, support = (float(logsumexp(each) - n) for each in zip(*[(e.log_odds, e.support) for e in found], strict=True))
    # the best of many tries has as much more by chance as there were tries, at most
    odds = max(odds, support - float(np.log(n_tried))) - float(np.log(2))
    pieces = len(np.unique(_cells(features.pixels[inliers], features), axis=0))
    return replace(likeliest, log_odds=odds, support=support, pieces=pieces)


def weigh_carried(
    features: LocalFeatures,
    landmarks: LandmarkMap,
    camera: Camera,
    near: np.ndarray,
    images: np.ndarray,
    rng: np.random.Generator,
) -> Evidence:
    """Evidence for a pose that is not of this image's making: nothing in it was fitted, and nothing searched for.

    All that the map's `images` (M,) int show counts, all over the image or around the features `near` (K,) int, K at
    least 3.
    """
    shown = landmarks.shown_in(images)
    points, pixels, radius = _looked_for(features, landmarks, camera, np.zeros(0, int), shown)
    if not len(points):
        return NOTHING
    distance = _distances(features, landmarks, camera, points, pixels, radius, rng)
    here = _around(pixels, features.pixels[near])
    best = max(_compare(distance), _compare(distance[here]), key=lambda each: each.log_odds)
    odds = best.log_odds - float(np.log(2))
    return replace(best, log_odds=odds, support=odds)


def _weigh_one(
    features: LocalFeatures,
    landmarks: LandmarkMap,
    camera: Camera,
    fitted: np.ndarray,
    inliers: np.ndarray,
    images: np.ndarray,
    rng: np.random.Generator,
) -> Evidence:
    """As `weigh`, for one `camera` that was fitted to the features `fitted` (L,) int."""
    points, pixels, radius = _looked_for(features, landmarks, camera, fitted, landmarks.shown_in(images))
    if not len(points):
        return NOTHING
    distance = _distances(features, landmarks, camera, points, pixels, radius, rng)
    near = _around(pixels, features.pixels[inliers])
    fresh = cKDTree(features.pixels[inliers]).query(pixels)[0] > radius
    everywhere, here = _compare(distance[fresh]), _compare(distance[near & fresh])
    best = max(everywhere, here, key=lambda each: each.log_odds)
    support = max(_compare(distance).support, _compare(distance[near]).support)
    choice = float(np.log(2))
    return replace(best, log_odds=best.log_odds - choice, support=support - choice)


def _around(pixels: np.ndarray, inliers: np.ndarray) -> np.ndarray:
    """Which pixels (N, 2) lie among the `inliers` (K, 2), K at least 3, or just beside them: (N,) bool."""
    off = pixels - inliers.mean(axis=0)
    inverse = np.linalg.pinv(np.cov(inliers.T.astype(float)) + np.eye(2))
    return np.asarray(np.einsum("ni,ij,nj->n", off, inverse, off) < GATE**2)


def _distances(
    features: LocalFeatures,
    landmarks: LandmarkMap,
    camera: Camera,
    points: np.ndarray,
    pixels: np.ndarray,
    radius: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """How unlike landmarks `points` (M,) is the likest within `radius` (M,) of `pixels` (M, 2), and of each decoy."""
    size = np.array(camera.size, float)
    shift = np.concatenate([np.zeros((1, 2)), _shifts(size, radius, rng)])
    places = (pixels[:, None] + shift) % size  # a place beyond one edge comes in at the other
    return _likest(features, places, radius, looks_of(landmarks, points))


def _compare(distance: np.ndarray) -> Evidence:
    """Evidence of distances (M, 1 + DECOYS), the first of each landmark's own place; infinite where nothing is."""
    told = distance[np.isfinite(distance).any(axis=1)]
    nearest, next_one = np.partition(told, 1, axis=1)[:, :2].T
    order = np.argsort(nearest / np.minimum(next_one, NOTHING_ALIKE), kind="stable")
    won = told[order].argmin(axis=1) == 0
    odds = log_odds(won)
    return Evidence(len(won), int(won.sum()), odds, odds)


def log_odds(won: np.ndarray) -> float:
    """Logarithm of what betting on each of `won` (n,) bool in turn, at the rate so far, makes of 1; 0 if nothing told.

    The rate starts at a half of one landmark (Krichevsky and Trofimov 1981), and no bet is on losing more often than
    chance has it.
    """
    if not len(won):
        return 0.0
    chance = 1.0 / (DECOYS + 1)
    before = np.concatenate([[0], np.cumsum(won)[:-1]])
    rate = np.maximum((before + 0.5) / (np.arange(len(won)) + 1.0), chance)
    capital = np.cumsum(np.where(won, np.log(rate / chance), np.log((1 - rate) / (1 - chance))))
    return float(logsumexp(capital) - np.log(len(won)))


def _looked_for(
    features: LocalFeatures, landmarks: LandmarkMap, camera: Camera, fitted: np.ndarray, among: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of landmarks `among` (N,) int those to look for (M,), where (M, 2) px and how far around (M,) px.

    One at most in a piece of the image, and none that is probably gone.
    """
    rows, pixels, radius = landmarks_in_view(landmarks, camera, among[landmarks.present[among]])
    if len(rows) and len(fitted):
        away = cKDTree(features.pixels[fitted]).query(pixels)[0] > _side(features)
        rows, pixels, radius = rows[away], pixels[away], radius[away]
    if not len(rows):
        return rows, pixels, radius
    # the landmarks that most images saw, and that last, first: one a cell
    order = np.argsort(-landmarks.n_views[rows] * landmarks.presence[rows], kind="stable")
    _, first = np.unique(_cells(pixels[order], features), axis=0, return_index=True)
    order = order[np.sort(first)]
    return rows[order], pixels[order], radius[order]


def landmarks_in_view(
    landmarks: LandmarkMap, camera: Camera, among: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Landmarks (M,) int that `camera` should see, where (M, 2) px, and how far around (M,) px they may be.

    Those whose place its `calib_cov` leaves too open are left out, and those that no image saw from about its side.
    Of landmarks `among` (N,) int where only those matter.
    """
    among = np.arange(len(landmarks)) if among is None else among
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
    return among[rows], pixels[rows], radius[rows]


def _side(features: LocalFeatures) -> float:
    return SUPPORT * float(np.median(features.scale)) if len(features) else 1.0


def _cells(pixels: np.ndarray, features: LocalFeatures) -> np.ndarray:
    """The piece (N, 2) int of the image in which each of some pixels (N, 2) lies."""
    return np.asarray((pixels // _side(features)).astype(int))


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


def looks_of(landmarks: LandmarkMap, points: np.ndarray) -> np.ndarray:
    """The mean look (M, D) of each of some landmarks (M,) int, of unit length."""
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
