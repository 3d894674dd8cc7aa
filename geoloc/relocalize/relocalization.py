"""Where an image was taken, by the landmarks of a site: start reading here.

    features   = extract(image)
    images     = rank_images(features, landmarks)            # which of the map's images look alike
    groups     = group_images(images)                        # each group looks at one place
    for matches in match_landmarks(features, landmarks, groups):
        rough      = search_poses(...)                       # three points at a time
    for rough in most supported first:                       # as long as it can matter
        fitted     = fit_pose(...)                           # with the covariance of everything
        evidence   = weigh(...)                              # landmarks that it was not fitted to
    probabilities, or a refusal with its reason
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import expit

from geoloc.errors import InputError
from geoloc.estimators.camera_fit import MarkedPoints, refine_camera
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.features.local import LocalFeatures
from geoloc.features.matching import MatchingOptions
from geoloc.options import check_range
from geoloc.relocalize.candidates import group_images, match_landmarks, rank_images
from geoloc.relocalize.estimate import Hypothesis, PoseEstimate, find_level, on_site, spread_cov
from geoloc.relocalize.evidence import NOTHING, Evidence, opposite_quarters, weigh
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.place_odds import gathered_of, place_probabilities
from geoloc.relocalize.pose_fit import NO_PRIOR, TAILS, FittedPose, fit_pose
from geoloc.relocalize.pose_knowledge import Knowledge, known_pose
from geoloc.relocalize.pose_search import (
    FEWEST_INLIERS,
    FOCAL_SPREAD,
    UNKNOWN,
    RoughPose,
    SearchOptions,
    search_poses,
    unknown_lens,
)
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Pinhole
from geoloc.scene.sitemap import SiteMap

FEWEST_FEATURES = 20
HELD_OUT = 40  # most inliers that a pose is fitted to when it is tested
LENS_GATE = 5.0  # sigmas that a stated focal length may be off by
SAME_PLACE = 5.0  # times an inlier's farthest error; what two poses that are one may differ by
SETTLED = 0.1  # of the doubt that is allowed: less, and no further place is looked at
FEWEST_POINTS = 4  # that a pose is fitted to
NOWHERE = "no pose explains more of its features than chance would; is it of this site?"


@dataclass(frozen=True)
class RelocalizationOptions:
    """How an image is placed, and when the answer is that it cannot be."""

    matching: MatchingOptions = field(default_factory=MatchingOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
    n_candidates: int = 20  # images of the map that are looked at closely
    min_votes: float = 0.1  # of the best candidate's votes; an image with fewer is not looked at
    fewest_shared: int = 10  # landmarks that two candidates share if they show one place
    min_probability: float = 0.99  # of the best hypothesis; below it: refused
    max_sigma: float = 10.0  # m; a position whose worst standard deviation is larger: refused
    widen: bool = False  # where the site repeats: answer with a covariance over all hypotheses, instead of refusing

    def __post_init__(self) -> None:
        check_range(self, n_candidates=(1, 100_000), fewest_shared=(1, 1_000_000))
        check_range(self, min_votes=(0.0, 1.0), min_probability=(0.5, 1.0), max_sigma=(1e-6, 1e9))


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
        return PoseEstimate((), NOWHERE)
    placed = _with_probabilities(found, landmarks.repeats)
    # what is open of the frame moves all the map and is no doubt about the place on it: it comes after the evidence
    placed = tuple(replace(each, camera=on_site(each.camera, landmarks.frame)) for each in placed)
    hypotheses = with_levels(placed, site_map, rng)
    found_out = _judged(hypotheses, options, landmarks)
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


def find_hypotheses(
    query: Query,
    landmarks: LandmarkMap,
    rng: np.random.Generator,
    options: RelocalizationOptions,
    ranking: Sequence[int] | np.ndarray | None = None,
) -> list[Hypothesis]:
    """All places where an image may have been taken, the best supported first, without their probabilities."""
    features = query.features
    images = rank_images(features, landmarks, options.min_votes) if ranking is None else np.asarray(ranking, int)
    groups = group_images(images[: options.n_candidates], landmarks, options.fewest_shared)
    matches = match_landmarks(features, landmarks, groups, options.matching)
    rough = [
        each
        for group, (rows, points) in zip(groups, matches, strict=True)
        for each in _in_group(query, landmarks, group, rows, points, rng, options)
    ]
    found = _fitted_ones(sorted(rough, key=lambda each: -len(each.points)), query, landmarks, rng, options)
    return sorted(found, key=lambda each: (-each.evidence.standing, -len(each.points)))


def _lens_fault(query: Query, landmarks: LandmarkMap, best: Hypothesis) -> str:
    """What the landmarks have against the focal length that was stated, freed for a trial; "" if nothing."""
    if query.lens is None or isinstance(query.lens.lens, Fisheye):
        return ""
    pixels = query.features.pixels[best.features].astype(float)
    sigma = landmarks.noise.sigma(query.features.scale[best.features])
    stated = float(query.lens.lens.params[0])
    prior = query.known.prior(CameraPrior(stated, FOCAL_SPREAD, (0.0, 0.0), 1.0))
    start = replace(best.camera, freed=(), calib_cov=np.zeros((6, 6)))
    # two steps from where the pose stands tell that there is nothing; to say more, all of it is worked out
    marked = MarkedPoints(landmarks.points[best.points], pixels, sigma, landmarks.point_cov[best.points])
    near, _ = refine_camera(start, marked, prior, ("f",), TAILS, max_steps=2, first_damping=1e-9)
    moved = abs(float(near.lens.params[0]) - stated)
    if 0 < moved < LENS_GATE * float(np.sqrt(near.calib_cov[6, 6])):
        return ""
    free = fit_pose(landmarks, start, best.points, pixels, sigma, prior, ("f",)).camera
    found, spread = float(free.lens.params[0]), float(np.sqrt(free.calib_cov[6, 6]))
    if abs(found - stated) < LENS_GATE * spread:
        return ""
    return f"the lens is another: a focal length of {stated:.1f} px was stated, its landmarks want {found:.1f} px"


@dataclass(frozen=True, eq=False)
class Proposal:
    """A rough pose with the rows (K,) int of the image's features and of the map's landmarks that agree on it.

    `group` (C,) int are the images of the map among which it was found.
    """

    camera: Camera
    features: np.ndarray
    points: np.ndarray
    group: np.ndarray


def _in_group(
    query: Query,
    landmarks: LandmarkMap,
    group: np.ndarray,
    rows: np.ndarray,
    points: np.ndarray,
    rng: np.random.Generator,
    options: RelocalizationOptions,
) -> Iterator[Proposal]:
    """Rough poses from the matches of one group of candidate images."""
    pixels = query.features.pixels[rows].astype(float)
    free = query.lens is None
    for rough in search_poses(landmarks, query.camera, points, pixels, options.search, rng, free):
        one = _one_to_one(landmarks, rough, rows, points, pixels)
        if len(one) >= FEWEST_INLIERS:
            yield Proposal(rough.camera, rows[one], points[one], group)


def _fitted_ones(
    proposals: Sequence[Proposal],
    query: Query,
    landmarks: LandmarkMap,
    rng: np.random.Generator,
    options: RelocalizationOptions,
) -> list[Hypothesis]:
    """The proposals, most supported first, as hypotheses: each place once, as long as a further one can matter."""
    near = SAME_PLACE * options.search.error_px(query.size)
    n_tried = options.search.max_trials * options.search.n_poses * options.n_candidates
    found: list[Hypothesis] = []
    for place, each in enumerate(proposals):
        if found and _settled(found, [len(rest.points) for rest in proposals[place:]], options, landmarks.repeats):
            break
        if _known(each, found, query, landmarks, near):
            continue
        camera = _fitted(query, landmarks, each.camera, each.features, each.points).camera
        if np.isfinite(camera.calib_cov).all():
            evidence = _tested(query, landmarks, camera, each, n_tried, rng)
            found.append(Hypothesis(camera, each.features, each.points, evidence, 0.0))
    return found


def _settled(
    found: Sequence[Hypothesis], rest: Sequence[int], options: RelocalizationOptions, repeats: np.ndarray
) -> bool:
    """Whether rivals of `rest` inliers, most first, that gather as much for each as the best, cannot bring doubt."""
    best, *others = sorted(found, key=lambda each: -each.evidence.standing)
    if not best.evidence.log_odds > 0:
        return False
    rivals = [best, *(each for each in others if each.evidence.log_odds > 0)]
    gathered = np.array([gathered_of(each) for each in rivals], float)
    odds = np.array([each.evidence.log_odds for each in rivals])
    more = np.array(rest, float)[:, None] / len(best.points) * gathered[0]
    doubts = []
    for k in range(len(rest) + 1):
        further = np.full(k, best.evidence.log_odds)
        shares = place_probabilities(np.concatenate([gathered, more[:k]]), np.concatenate([odds, further]), repeats)
        doubts.append(expit(best.evidence.log_odds) - shares[0])
    return bool(max(doubts) < SETTLED * (1 - options.min_probability))


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
        prior, free = query.known.prior(unknown_lens(start)), UNKNOWN
    return known_pose(fit_pose(landmarks, start, points, pixels, sigma, prior, free), query.known)


def _tested(
    query: Query, landmarks: LandmarkMap, camera: Camera, proposed: Proposal, n_tried: int, rng: np.random.Generator
) -> Evidence:
    """Evidence from landmarks that the pose, fitted anew to each half of its own in turn, does not rest on."""
    rows, points = proposed.features, proposed.points
    halves = [rng.permutation(part)[:HELD_OUT] for part in opposite_quarters(query.features.pixels[rows])]
    if min(len(part) for part in halves) < FEWEST_POINTS:
        return NOTHING
    again = [(_fitted(query, landmarks, camera, rows[part], points[part]).camera, rows[part]) for part in halves]
    images = np.union1d(proposed.group, landmarks.image[landmarks.sights(points)[0]])
    return weigh(query.features, landmarks, again, rows, images, n_tried, rng)


def _known(one: Proposal, found: list[Hypothesis], query: Query, landmarks: LandmarkMap, near: float) -> bool:
    """Whether a proposal is a place that was found already: its landmarks lie about where the other has them."""
    pixels = query.features.pixels[one.features]
    for other in found:
        off = np.linalg.norm(other.camera.project(landmarks.points[one.points]) - pixels, axis=1)
        if (off < near).mean() > 0.5:  # false for NaN
            return True
    return False


def _with_probabilities(found: Sequence[Hypothesis], repeats: np.ndarray) -> tuple[Hypothesis, ...]:
    """The hypotheses, likeliest first, with their probabilities beside each other and "none of them"."""
    gathered = np.array([gathered_of(each) for each in found], float)
    probability = place_probabilities(gathered, np.array([each.evidence.log_odds for each in found]), repeats)
    order = np.argsort(-probability, kind="stable").tolist()
    return tuple(replace(found[i], probability=float(probability[i])) for i in order)


def _judged(
    hypotheses: tuple[Hypothesis, ...], options: RelocalizationOptions, landmarks: LandmarkMap
) -> PoseEstimate:
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
        camera = replace(best.camera, calib_cov=spread_cov(hypotheses, landmarks.cameras), freed=())
        hypotheses = (replace(best, camera=camera), *hypotheses[1:])
        sigma = float(np.sqrt(np.linalg.eigvalsh(camera.calib_cov[3:6, 3:6])[-1]))
    if not sigma <= options.max_sigma:
        said = f"its position is only known to {sigma:.1f} m (sigma); the limit is {options.max_sigma:g} m"
        return PoseEstimate(hypotheses, said)
    return PoseEstimate(hypotheses)
