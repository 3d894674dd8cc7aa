"""Where an image was taken, by the landmarks of a site: start reading here.

    features   = extract(image)
    images     = rank_images(features, landmarks)            # which of the map's images look alike
    for group in group_images(images):                       # each group looks at one place
        matches    = match_landmarks(features, landmarks, group)
        rough      = search_poses(...)                       # three points at a time
        fitted     = fit_pose(...)                           # with the covariance of everything
        evidence   = weigh(...)                              # landmarks that it was not fitted to
    probabilities, or a refusal with its reason
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit

from geoloc.errors import InputError
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.features.local import LocalFeatures
from geoloc.features.matching import MatchingOptions
from geoloc.options import check_range
from geoloc.relocalize.candidates import group_images, match_landmarks, rank_images
from geoloc.relocalize.estimate import Hypothesis, PoseEstimate, find_level, on_site, spread_cov
from geoloc.relocalize.evidence import Evidence, weigh
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.pose_fit import NO_PRIOR, FittedPose, fit_pose
from geoloc.relocalize.pose_knowledge import Knowledge, known_pose
from geoloc.relocalize.pose_search import RoughPose, SearchOptions, search_poses
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Pinhole
from geoloc.scene.sitemap import SiteMap

FEWEST_FEATURES = 20
FEWEST_INLIERS = 6
HELD_OUT = 40  # most inliers that a pose is fitted to when it is tested; the rest tests it
LENS_GATE = 5.0  # sigmas that a stated focal length may be off by
FOCAL_SPREAD = 0.5  # sigma of the logarithm of an unknown focal length about the found one
CENTRE_SPREAD = 0.01  # sigma of an unknown principal point about the image's middle, of its longer side
UNKNOWN = ("f", "cx", "cy", "k1")  # of a lens that is not known
CHANCE = 3  # places with FEWEST_INLIERS each that every search finds anyway
REPEATS = 0.05  # probability that the place is another that looks the same, where no rival tells that the site repeats
SAME_PLACE = 5.0  # times an inlier's farthest error; what two poses that are one may differ by
FEWEST_POINTS = 4  # that a pose is fitted to
NOTHING = "no pose explains more of its features than chance would; is it of this site?"


@dataclass(frozen=True)
class RelocalizationOptions:
    """How an image is placed, and when the answer is that it cannot be."""

    matching: MatchingOptions = field(default_factory=MatchingOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    n_candidates: int = 20  # images of the map that are looked at closely
    fewest_shared: int = 10  # landmarks that two candidates share if they show one place
    min_probability: float = 0.99  # of the best hypothesis; below it: refused
    max_sigma: float = 10.0  # m; a position whose worst standard deviation is larger: refused
    widen: bool = False  # where the site repeats: answer with a covariance over all hypotheses, instead of refusing

    def __post_init__(self) -> None:
        check_range(self, n_candidates=(1, 100_000), fewest_shared=(1, 1_000_000))
        check_range(self, min_probability=(0.5, 1.0), max_sigma=(1e-6, 1e9))


@dataclass(frozen=True, eq=False)
class Query:
    """An image to be placed: its features, its `size` (width, height) px, its lens if it is known, and what else is."""

    features: LocalFeatures
    size: tuple[int, int]
    lens: Camera | None = None
    known: Knowledge = field(default_factory=Knowledge)

    def __post_init__(self) -> None:
        if self.lens is not None and tuple(self.lens.size) != tuple(self.size):
            stated = f"the lens is of images of {self.lens.size[0]} x {self.lens.size[1]} px"
            raise InputError(f"the image has {self.size[0]} x {self.size[1]} px, {stated}; give the lens of this image")

    @property
    def camera(self) -> Camera:
        """The camera before its pose is known; of an unknown lens a pinhole of usual width."""
        if self.lens is not None:
            return replace(self.lens, calib_cov=np.zeros((6, 6)), freed=())
        f = 1.2 * max(self.size)
        return Camera("query", Pinhole(np.array([f, f, (self.size[0] - 1) / 2, (self.size[1] - 1) / 2])), self.size)



def relocalize(
    query: Query,
    landmarks: LandmarkMap,
    rng: np.random.Generator,
    options: RelocalizationOptions | None = None,
    site_map: SiteMap | None = None,
    ranking: Sequence[int] | np.ndarray | None = None,
) -> PoseEstimate:
    """The pose of an image in the map's frame, or why there is none.

    `ranking` are the map's images by how alike they look, best first, where that is known better than by the
    landmarks' own votes. With a `site_map` the answer names its level.
    """
    options = options or RelocalizationOptions()
    fault = too_few(query)
    if fault:
        return PoseEstimate((), fault)
    query = with_lens_of(query, landmarks)
    found = find_hypotheses(query, landmarks, rng, options, ranking)
    if not found:
        return PoseEstimate((), NOTHING)
    placed = _with_probabilities(found)
    hypotheses = tuple(replace(each, camera=on_site(each.camera, landmarks.frame)) for each in placed)
    found_out = _judged(with_levels(hypotheses, site_map, rng), options)
    lie = _lens_fault(query, landmarks, hypotheses[0]) if found_out.answered else ""
    return PoseEstimate(hypotheses, lie) if lie else found_out


def too_few(query: Query) -> str:
    """Why an image cannot be looked for at all; "" if it can."""
    if len(query.features) >= FEWEST_FEATURES:
        return ""
    return f"the image has {len(query.features)} features; it is too dark, bright, flat or small"


def with_lens_of(query: Query, landmarks: LandmarkMap) -> Query:
    """The query with its lens, if it states one, as the map found it."""
    if query.lens is None:
        return query
    return replace(query, lens=replace(query.camera, lens=landmarks.lens_as_found(query.lens.lens)))


def find_hypotheses(
    query: Query,
    landmarks: LandmarkMap,
    rng: np.random.Generator,
    options: RelocalizationOptions,
    ranking: Sequence[int] | np.ndarray | None = None,
) -> list[Hypothesis]:
    """The places that an image may show, best supported first, their probabilities still 0."""
    images = rank_images(query.features, landmarks) if ranking is None else np.asarray(ranking, int)
    found: list[Hypothesis] = []
    near = SAME_PLACE * options.search.error_px(query.size)
    for group in group_images(images[: options.n_candidates], landmarks, options.fewest_shared):
        for each in _in_group(query, landmarks, group, rng, options):
            if not _known(each, found, query, landmarks, near):
                found.append(each)
    return sorted(found, key=lambda each: (-len(each.points), -each.evidence.log_odds))


def with_levels(
    hypotheses: tuple[Hypothesis, ...], site_map: SiteMap | None, rng: np.random.Generator
) -> tuple[Hypothesis, ...]:
    """The hypotheses with the names of their levels, where there is a map."""
    if site_map is None or not site_map.levels:
        return hypotheses
    levels = [find_level(each.camera, site_map, rng) for each in hypotheses]
    return tuple(
        replace(each, level=name, level_probability=share)
        for each, (name, share) in zip(hypotheses, levels, strict=True)
    )


def _lens_fault(query: Query, landmarks: LandmarkMap, best: Hypothesis) -> str:
    """What the landmarks have against the focal length that was stated, freed for a trial; "" if nothing."""
    if query.lens is None or isinstance(query.lens.lens, Fisheye):
        return ""
    pixels = query.features.pixels[best.features].astype(float)
    sigma = landmarks.noise.sigma(query.features.scale[best.features])
    stated = float(query.lens.lens.params[0])
    prior = query.known.prior(CameraPrior(stated, FOCAL_SPREAD, (0.0, 0.0), 1.0))
    start = replace(best.camera, freed=(), calib_cov=np.zeros((6, 6)))
    free = fit_pose(landmarks, start, best.points, pixels, sigma, prior, ("f",)).camera
    found, spread = float(free.lens.params[0]), float(np.sqrt(free.calib_cov[6, 6]))
    if abs(found - stated) < LENS_GATE * spread:
        return ""
    return f"the lens is another: a focal length of {stated:.1f} px was stated, its landmarks want {found:.1f} px"


def _in_group(
    query: Query, landmarks: LandmarkMap, group: np.ndarray, rng: np.random.Generator, options: RelocalizationOptions
) -> Iterator[Hypothesis]:
    """Hypotheses from one group of candidate images."""
    rows, points = match_landmarks(query.features, landmarks, group, options.matching)
    pixels = query.features.pixels[rows].astype(float)
    free = query.lens is None
    for rough in search_poses(landmarks, query.camera, points, pixels, options.search, rng, free):
        one = _one_to_one(landmarks, rough, rows, points, pixels)
        if len(one) < FEWEST_INLIERS:
            continue
        fitted = _fitted(query, landmarks, rough.camera, rows[one], points[one])
        if not np.isfinite(fitted.camera.calib_cov).all():
            continue
        evidence = _tested(query, landmarks, fitted.camera, rows[one], points[one], rng)
        yield Hypothesis(fitted.camera, rows[one], points[one], evidence, 0.0)


def _one_to_one(
    landmarks: LandmarkMap, rough: RoughPose, rows: np.ndarray, points: np.ndarray, pixels: np.ndarray
) -> np.ndarray:
    """The inliers (K,) int, of each feature and of each landmark the nearest."""
    off = np.linalg.norm(rough.camera.project(landmarks.points[points[rough.inliers]]) - pixels[rough.inliers], axis=1)
    order = rough.inliers[np.argsort(off, kind="stable")]
    for column in (rows, points):
        _, first = np.unique(column[order], return_index=True)
        order = order[np.sort(first)]
    return order


def _fitted(
    query: Query, landmarks: LandmarkMap, start: Camera, rows: np.ndarray, points: np.ndarray
) -> FittedPose:
    pixels = query.features.pixels[rows].astype(float)
    sigma = landmarks.noise.sigma(query.features.scale[rows])
    free: tuple[str, ...] = ()
    prior = query.known.prior(NO_PRIOR)
    if query.lens is None:
        f, _, u, v = start.lens.params[:4].tolist()
        prior = query.known.prior(CameraPrior(f, FOCAL_SPREAD, (u, v), CENTRE_SPREAD * max(query.size)))
        free = UNKNOWN
    return known_pose(fit_pose(landmarks, start, points, pixels, sigma, prior, free), query.known)


def _tested(
    query: Query, landmarks: LandmarkMap, camera: Camera, rows: np.ndarray, points: np.ndarray,
    rng: np.random.Generator,
) -> Evidence:
    """Evidence from landmarks that the pose, fitted anew to at most half of its own, does not rest on."""
    part = rng.choice(len(rows), min(len(rows) // 2, HELD_OUT), replace=False)
    if len(part) < FEWEST_POINTS:
        return Evidence(0, 0, 0.0)
    again = _fitted(query, landmarks, camera, rows[part], points[part])
    return weigh(query.features, landmarks, again.camera, rows[part], rows, rng)


def _known(one: Hypothesis, found: list[Hypothesis], query: Query, landmarks: LandmarkMap, near: float) -> bool:
    """Whether a hypothesis is one that was found already: its landmarks lie about where the other has them."""
    pixels = query.features.pixels[one.features]
    for other in found:
        off = np.linalg.norm(other.camera.project(landmarks.points[one.points]) - pixels, axis=1)
        if (off < near).mean() > 0.5:  # false for NaN
            return True
    return False


def _with_probabilities(found: list[Hypothesis]) -> tuple[Hypothesis, ...]:
    """The hypotheses, best supported first, with their probabilities beside each other and "none of them"."""
    support = np.array([len(each.points) for each in found], float)
    probability = place_probabilities(support, np.array([each.evidence.log_odds for each in found]))
    return tuple(replace(each, probability=float(part)) for each, part in zip(found, probability, strict=True))


def place_probabilities(support: np.ndarray, log_odds: np.ndarray) -> np.ndarray:
    """Probabilities (K,) of places with `support` (K,) landmarks, the largest first, and `log_odds` (K,) of evidence.

    Places that only look alike gather support too: how much, rivals with evidence of their own show, and what the
    search finds anywhere. With exponential support of k such places that sum to S, a further one reaches n with
    probability (S / (S + n))^k (Lomax's distribution). Whether there is a place at all is the evidence's to say.
    """
    there = np.where(log_odds > 0, expit(log_odds), 0.0)
    rivals = there[1:] > 0
    total, n = CHANCE * FEWEST_INLIERS + support[1:][rivals].sum(), CHANCE + int(rivals.sum())
    wrong = (total / (total + support[0])) ** n * (1.0 if rivals.any() else REPEATS)
    share = np.where(there > 0, support, 0.0)
    share[0] = 0.0
    probability = wrong * there * share / max(share.sum(), 1.0)
    probability[0] = (1 - wrong) * there[0]
    return probability


def _judged(hypotheses: tuple[Hypothesis, ...], options: RelocalizationOptions) -> PoseEstimate:
    """The answer, unless it is too improbable or too vague."""
    best = hypotheses[0]
    sigma = float(np.sqrt(np.linalg.eigvalsh(best.camera.calib_cov[3:6, 3:6])[-1]))
    rivals = [each for each in hypotheses[1:] if each.probability > 1 - options.min_probability]
    if best.probability < options.min_probability:
        if not rivals or best.probability == 0.0:
            seen = f"{best.evidence.wins} of {best.evidence.n} other landmarks are where it would have them"
            if best.evidence.log_odds > 0:  # something is there, but little
                said = f"the best pose explains only {len(best.points)} features, and {seen}"
                return PoseEstimate(hypotheses, f"{said}: too few to tell it from a place that looks alike")
            said = f"the best pose explains {len(best.points)} features, but {seen}, as chance may have it"
            return PoseEstimate(hypotheses, f"{said}; is it of this site?")
        if not options.widen:
            shares = ", ".join(f"{each.probability:.2f}" for each in (best, *rivals))
            said = f"the site repeats: {1 + len(rivals)} places fit, with probabilities {shares}"
            return PoseEstimate(hypotheses, said)
        camera = replace(best.camera, calib_cov=spread_cov(hypotheses), freed=())
        hypotheses = (replace(best, camera=camera), *hypotheses[1:])
        sigma = float(np.sqrt(np.linalg.eigvalsh(camera.calib_cov[3:6, 3:6])[-1]))
    if not sigma <= options.max_sigma:
        said = f"its position is only known to {sigma:.1f} m (sigma); the limit is {options.max_sigma:g} m"
        return PoseEstimate(hypotheses, said)
    return PoseEstimate(hypotheses)
