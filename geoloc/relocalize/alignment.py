"""How a frame lies against a pinned reference: the motion in between, coarse to fine, and whether that is believable.

At every scale each patch tells its shift; the motion follows by least squares with graduated non-convexity (Yang,
Antonante, Tzoumas and Carlone 2020), which needs no draws and bears that most patches are covered. Whether it is
believable is asked of the frame itself: under a right motion a patch looks more like its own place than like the
places of all others; under a wrong one it is as like to any. The share that are is a binomial test.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation
from scipy.special import rel_entr

from geoloc.features.local import LocalFeatures
from geoloc.features.matching import match
from geoloc.relocalize.motions import N_MOTION, advance
from geoloc.relocalize.patches import CLIPPED, WHITE, Fit, fit_patches, level_of, normalised, sample
from geoloc.relocalize.reference import Level, Reference, features_of

COARSE = (0, 1, 2, 3)  # rotation and zoom: what the search frees
FLOOR = 0.1  # px of a level: how far patches are from a right motion besides their noise
GATE = 3.0  # sigma
STARTS = ("as it was", "shifted", "matched")
LEAST_SHARE = 0.2  # of the patches: fewer at the coarse levels, and another start is tried first
MOST_SHARE = 0.5  # of the patches: fewer, and another start may find more (bricks look alike one course further)
N_SEARCH = 2  # coarsest levels that decide between starts
STEPS = 3  # of a level
LAST_STEP = 0.02  # px of a level
MOST_SHIFT = 6.0  # px of a level; farther than this a patch has lost itself
ALIKE = 0.05  # share of the other places that may look more like a patch than its own
LIKELY = 0.05  # chance, beyond doubt too large, that an own place looks most alike by accident


@dataclass(frozen=True, eq=False)
class View:
    """What N patches of a level say at a motion, in pixels of the frame.

    `offset` (N, 2) from where the motion puts them to where they are | `cov` (N, 2, 2) | `own` (N,) correlation with
    their own places | `others` (N,) share of the other patches' places that look more like them | `visible` (N,) bool
    lies in the frame, `inside` and can be followed there.
    """

    level: Level
    theta: np.ndarray
    offset: np.ndarray
    cov: np.ndarray
    own: np.ndarray
    others: np.ndarray
    inside: np.ndarray
    visible: np.ndarray
    fit: Fit
    picture: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """Which patches are at their places: (N,) bool."""
        return self.inside & (self.others <= ALIKE)

    @property
    def doubt(self) -> float:
        """log10 of the chance that so many look like their own places by accident, at most (Chernoff's bound)."""
        n, hits = int(self.inside.sum()), int((self.inside & (self.others == 0)).sum())
        share = hits / max(n, 1)
        if share <= LIKELY:
            return 0.0
        apart = rel_entr(share, LIKELY) + rel_entr(1.0 - share, 1.0 - LIKELY)
        return float(-n * apart / np.log(10))


@dataclass(frozen=True, eq=False)
class Alignment:
    """The motion `theta` (N_MOTION,) that was found, from which start, and what the levels say at it, finest last."""

    theta: np.ndarray
    start: str
    views: tuple[View, ...]

    @property
    def doubt(self) -> float:
        """As of the most telling of its views."""
        return min((view.doubt for view in self.views[-2:]), default=0.0)

    @property
    def rank(self) -> tuple[int, float]:
        """The less the better: those that were followed to the finest level come first."""
        return -len(self.views), self.doubt

    @property
    def left(self) -> float:
        """Share of the landmarks in the frame that are at their places."""
        shares = [view.found.sum() / max(int(view.visible.sum()), 1) for view in self.views[-2:]]
        return float(max(shares, default=0.0))

    @property
    def share(self) -> float:
        """Of the patches that can be followed, those that are at their places."""
        return max((share_found(view) for view in self.views[-2:]), default=0.0)


def share_found(view: View) -> float:
    """Of the patches inside the frame, those that are at their places."""
    n = int(view.inside.sum())
    return float(view.found.sum()) / n if n else 0.0


def look(level: Level, picture: np.ndarray, theta: np.ndarray, judge: bool) -> View:
    """Look for the patches of a level where a motion puts them; `judge` compares each with the others' places too."""
    patches = level.patches
    places, by_pixel = level.places(theta)
    seen = sample(picture, places)
    inside = np.isfinite(seen).all(axis=1)
    seen = np.where(inside[:, None], seen, 0.0)
    fit = fit_patches(patches, seen, places)
    with np.errstate(invalid="ignore", over="ignore"):
        offset = patches.factor * -np.einsum("nij,nj->ni", by_pixel, fit.shift)
        cov = patches.factor**2 * by_pixel @ fit.shift_cov @ by_pixel.transpose(0, 2, 1)
        usable = inside & (np.abs(offset).max(axis=1) < MOST_SHIFT * patches.factor) & (fit.gain > 0)
    usable &= np.isfinite(cov).all(axis=(1, 2))
    usable &= ((seen[:, ::7] > WHITE).mean(axis=1) <= CLIPPED) & patches.unclipped
    looks = normalised(seen)
    own = np.einsum("nk,nk->n", patches.looks, looks).astype(float)
    others = _others(patches.looks, looks, own, inside) if judge else np.zeros(len(own))
    return View(level, theta, offset, cov, own, others, usable, inside, fit, picture)


def _others(looks: np.ndarray, seen: np.ndarray, own: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Share (N,) of the other places inside the frame that look more like a patch than its own does."""
    alike = looks @ seen.T
    np.fill_diagonal(alike, -2.0)
    rivals = (alike[:, inside] >= own[:, None]).sum(axis=1)
    return np.where(inside, rivals / max(int(inside.sum()) - 1, 1), 1.0)


def refine(level: Level, picture: np.ndarray, theta: np.ndarray) -> View:
    """The view of a level at the motion that it leads to from `theta`."""
    for _ in range(STEPS):
        view = look(level, picture, theta, judge=False)
        step = robust_step(view)
        theta = advance(theta, step)
        moved = np.abs(level.middles.jacobian(theta)[:, :, COARSE] @ step[list(COARSE)])
        if not len(moved) or np.nanmax(moved) < LAST_STEP * level.patches.factor:
            break
    return look(level, picture, theta, judge=True)


def robust_step(view: View) -> np.ndarray:
    """The further motion (N_MOTION,) on which most patches agree: rotation and zoom."""
    step = np.zeros(N_MOTION)
    rows = np.flatnonzero(view.inside)
    if len(rows) < len(COARSE):
        return step
    factor = view.level.patches.factor
    jacobian = view.level.middles.take(rows).jacobian(view.theta)[:, :, list(COARSE)]
    scale = np.linalg.norm(jacobian, axis=(0, 1)) / np.sqrt(len(rows))
    sigma2 = np.einsum("nii->n", view.cov[rows]) / 2 + (FLOOR * factor) ** 2
    weight = np.clip(view.own[rows], 0.05, 1.0) * np.where(view.others[rows] <= ALIKE, 1.0, 0.1) / sigma2
    solution = graduated(jacobian / scale, view.offset[rows], sigma2, weight)
    step[list(COARSE)] = solution / scale
    return step


def graduated(jacobian: np.ndarray, offset: np.ndarray, sigma2: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Least squares (P,) of offsets (N, 2) by jacobian (N, 2, P) under Geman and McClure's loss, its bowl narrowed."""
    limit = GATE**2
    flat, target = jacobian.reshape(-1, jacobian.shape[2]), offset.ravel()
    kept = weight
    wide = max(2.0 * float((np.einsum("ni,ni->n", offset, offset) / sigma2).max()) / limit, 1.0)
    prior = 1e-6 * np.eye(jacobian.shape[2]) * float(weight.sum())
    while True:
        weighted = (flat * np.repeat(kept, 2)[:, None]).T
        solution = np.linalg.solve(weighted @ flat + prior, weighted @ target)
        distance2 = ((target - flat @ solution) ** 2).reshape(-1, 2).sum(axis=1) / sigma2
        kept = weight * (wide * limit / (distance2 + wide * limit)) ** 2
        if wide == 1.0:
            return np.asarray(solution)
        wide = max(wide / 1.6, 1.0)


def align(reference: Reference, image: np.ndarray, sure: float) -> Alignment:
    """The most believable motion of an image (H, W) uint8 against its reference, from three starts.

    The image's own place, the shift of the whole picture (phase correlation), matched features. The coarse levels
    decide which start is worth refining; the search ends when one is found again at a chance below 10^`sure`.
    """
    pictures = [level_of(image, level.patches.factor) for level in reference.levels]
    pairs = list(zip(reference.levels, pictures, strict=True))
    best = Alignment(np.zeros(N_MOTION), "", ())
    for start in STARTS:
        theta = _start(reference, image, pictures[0], start)
        if theta is None:
            continue
        views = _refined(pairs[:N_SEARCH], theta)
        if views[-1].doubt < sure and share_found(views[-1]) > LEAST_SHARE:
            views += _refined(pairs[N_SEARCH:], views[-1].theta)
        found = Alignment(views[-1].theta, start, tuple(views))
        if found.rank < best.rank:
            best = found
        if len(views) == len(pairs) and found.doubt < sure and found.share > MOST_SHARE:
            break
    return best


def _refined(pairs: list[tuple[Level, np.ndarray]], theta: np.ndarray) -> list[View]:
    views: list[View] = []
    for level, picture in pairs:
        views.append(refine(level, picture, theta))
        theta = views[-1].theta
    return views


def _start(reference: Reference, image: np.ndarray, small: np.ndarray, start: str) -> np.ndarray | None:
    if start == "as it was":
        return np.zeros(N_MOTION)
    if start == "shifted":
        return _shifted(reference, small)
    found, pixels = features_of(reference.camera, image, reference.extractor)
    return _matched(reference, found, pixels)


def _shifted(reference: Reference, small: np.ndarray) -> np.ndarray | None:
    """The rotation that shifts the middle of the picture as the whole shifted."""
    import cv2

    window = cv2.createHanningWindow(small.shape[::-1], cv2.CV_32F)
    edges = [_edges(picture) for picture in (reference.small, small)]
    (dx, dy), _ = cv2.phaseCorrelate(edges[0], edges[1], window)
    camera, factor = reference.camera, reference.levels[0].patches.factor
    middle = np.array([(camera.size[0] - 1) / 2, (camera.size[1] - 1) / 2])
    ends = camera.lens.unproject(np.stack([middle, middle + factor * np.array([dx, dy])]))
    if not np.isfinite(ends).all():
        return None
    theta = np.zeros(N_MOTION)
    axis = np.cross(ends[0], ends[1])
    length = float(np.linalg.norm(axis))
    theta[:3] = axis / max(length, 1e-12) * np.arcsin(min(length, 1.0))
    return theta


def _edges(picture: np.ndarray) -> np.ndarray:
    """Strength of the slopes, its root: light and exposure hardly change it."""
    import cv2

    across, down = (np.asarray(cv2.Sobel(picture, cv2.CV_32F, *order)) for order in ((1, 0), (0, 1)))
    strength: np.ndarray = np.sqrt(np.hypot(across, down))
    return strength


def _matched(reference: Reference, found: LocalFeatures, pixels: np.ndarray) -> np.ndarray | None:
    """The rotation and zoom on which most matched features agree, of all pairs of matches that lie far apart."""
    features, feature_rays = reference.features
    matches = match(features, found)
    if len(matches) < 4:
        return None
    lens = reference.camera.lens
    rays, there = feature_rays[matches.rows_a], pixels[matches.rows_b]
    rng = np.random.default_rng(len(matches))  # the same picture gives the same answer
    pairs = rng.integers(0, len(matches), (400, 2))
    apart = np.linalg.norm(np.cross(rays[pairs[:, 0]], rays[pairs[:, 1]]), axis=1)
    pairs = pairs[apart > 0.05]
    if not len(pairs):
        return None
    best, best_score = None, 0.0
    for zoom in np.linspace(-0.3, 0.3, 13):
        centre = lens.params[2:4]
        seen = lens.unproject(centre + (there - centre) * np.exp(-zoom))
        turned = _turns(rays, seen, pairs)
        cosine = np.einsum("hij,nj,ni->hn", turned, rays, seen, optimize=True)
        reach = 12.0 / float(np.mean(lens.params[:2]))
        score = np.maximum(1.0 - 2.0 * (1.0 - cosine) / reach**2, 0.0)
        total = np.nansum(score, axis=1)
        if total.max() > best_score:
            best_score = float(total.max())
            best = np.zeros(N_MOTION)
            best[:3] = Rotation.from_matrix(turned[int(total.argmax())]).as_rotvec()
            best[3] = zoom
    return best


def _turns(rays: np.ndarray, seen: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Rotations (H, 3, 3) that take two rays each to where they are seen."""
    frames = []
    for way in (rays, seen):
        first, second = way[pairs[:, 0]], way[pairs[:, 1]]
        along = first + second
        across = np.cross(first, second)
        along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-12)
        across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-12)
        frames.append(np.stack([along, across, np.cross(along, across)], axis=-1))
    return frames[1] @ frames[0].transpose(0, 2, 1)
