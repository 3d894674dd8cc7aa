"""Images of one sequence or rig placed together: start reading here.

    hypotheses = find_hypotheses(...)                 # of each image alone, as for one
    chains     = find_chains(...)                     # which of them a body could have had one after another
    poses      = fit_jointly(...)                     # those of the best chain
    carried    = match_around / poses near            # images that say too little alone
    poses      = fit_jointly(...)                     # all of them, with the covariance of all of them
    an answer or a refusal with its reason for each image
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.errors import InputError
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.geometry.gaussian import symmetric
from geoloc.relocalize.candidates import match_landmarks
from geoloc.relocalize.carried import how_alike, match_around
from geoloc.relocalize.chains import GATE, Chain, find_chains
from geoloc.relocalize.estimate import Hypothesis, PoseEstimate, on_site
from geoloc.relocalize.evidence import NOTHING, Evidence, weigh_carried
from geoloc.relocalize.joint_fit import JointPoses, Sighting, fit_jointly
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.pose_fit import NO_PRIOR
from geoloc.relocalize.pose_search import UNKNOWN, search_poses, unknown_lens
from geoloc.relocalize.relocalization import (
    NOWHERE,
    Query,
    RelocalizationOptions,
    find_hypotheses,
    too_few,
    with_lens_of,
    with_levels,
)
from geoloc.relocalize.rig_motion import MotionPrior, Mount, mount_of
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap

NEIGHBOURS = 3  # images on either side whose landmarks a weak image is searched for
FEWEST_AROUND = 5  # features, around which landmarks are looked for beside everywhere
LOOKED_FOR = 30  # landmarks of which chance alone finds enough to say that nothing is there


@dataclass(frozen=True, eq=False)
class Shot:
    """One image: `time` (s) when it was taken, `sensor` the camera of the rig that took it ("" where there is none).

    An image that shows nothing has a `fault`; it is carried by the others all the same.
    """

    query: Query
    time: float = 0.0
    sensor: str = ""
    fault: str = ""


@dataclass(frozen=True, eq=False)
class TogetherEstimate:
    """The poses of N images, in the order in which they came, and what they say together.

    `cov` (6 A, 6 A) is the covariance of all the poses of `rows` (A,) int, the images that the best chain holds or
    carries; `carried` (N,) bool those that alone would have said nothing; `probability` that of the chain.
    """

    poses: tuple[PoseEstimate, ...]
    rows: np.ndarray
    cov: np.ndarray
    carried: np.ndarray
    probability: float
    chains: tuple[Chain, ...] = field(default_factory=tuple)

    @property
    def answered(self) -> np.ndarray:
        """Which images have a pose: (N,) bool."""
        return np.array([pose.answered for pose in self.poses], bool)


@dataclass(frozen=True, eq=False)
class _Case:
    """The images ordered by time, with the body's moments (T,) s and of each image which moment it is of."""

    shots: tuple[Shot, ...]
    landmarks: LandmarkMap
    mounts: Mapping[str, Mount]
    motion: MotionPrior
    options: RelocalizationOptions
    times: np.ndarray
    moment: np.ndarray
    lens: np.ndarray  # (N,) int, the same of images of one lens

    def mount(self, i: int) -> Mount:
        return mount_of(self.mounts, self.shots[i].sensor)


def relocalize_together(
    shots: Sequence[Shot],
    landmarks: LandmarkMap,
    rng: np.random.Generator,
    rig: Mapping[str, Mount] | None = None,
    motion: MotionPrior | None = None,
    options: RelocalizationOptions | None = None,
    site_map: SiteMap | None = None,
) -> TogetherEstimate:
    """The poses of images that belong together, or of each why there is none.

    With a `rig`, images of one time were taken by one body, each by the camera of its `sensor`; without, each image is
    a moment of its own. `motion` says how far the body goes between moments; with little motion, images of one place
    carry each other.
    """
    order = np.argsort([shot.time for shot in shots], kind="stable")
    case = _case([shots[i] for i in order], landmarks, rig or {}, motion or MotionPrior(), options)
    found = [_alone(case, i, rng) for i in range(len(shots))]
    times = np.array([shot.time for shot in case.shots])
    chains = find_chains(found, times, [case.mount(i) for i in range(len(found))], case.motion, landmarks.repeats)
    if not chains or chains[0].log_odds <= 0:
        refused = [_refused_alone(case, i, found[i]) for i in range(len(found))]
        empty = np.zeros(0, int), np.zeros((0, 0))
        return TogetherEstimate(_back(refused, order), *empty, np.zeros(len(order), bool), 0.0, tuple(chains))
    cameras, cov, evidence, matched, carried = _carried(case, found, chains[0], rng)
    poses = _poses(case, found, chains, cameras, evidence, matched)
    poses = [replace(pose, hypotheses=with_levels(pose.hypotheses, site_map, rng)) for pose in poses]
    moved = np.concatenate([landmarks.frame.by_pose(camera) for camera in cameras])
    cov = symmetric(cov + moved @ landmarks.frame.cov @ moved.T)
    place = np.argsort(order)  # where an image that came at i stands in time
    pick = np.concatenate([np.arange(6 * i, 6 * i + 6) for i in place])
    back = TogetherEstimate(
        _back(poses, order), np.arange(len(order)), cov[np.ix_(pick, pick)], carried[place], chains[0].probability,
        tuple(replace(chain, taken=chain.taken[place]) for chain in chains),
    )  # fmt: skip
    return back


def _case(
    shots: list[Shot], landmarks: LandmarkMap, rig: Mapping[str, Mount], motion: MotionPrior,
    options: RelocalizationOptions | None,
) -> _Case:  # fmt: skip
    if not shots:
        raise InputError("no images; give at least one")
    times = np.array([shot.time for shot in shots], float)
    if not np.isfinite(times).all():
        raise InputError("the time of an image is not finite; give seconds")
    for shot in shots:
        mount_of(rig, shot.sensor)
    if rig:
        moments, moment = np.unique(times, return_inverse=True)
        pairs = [(int(t), shot.sensor) for t, shot in zip(moment, shots, strict=True)]
        if len(set(pairs)) < len(pairs):
            raise InputError("two images of one camera of the rig have one time; give times that differ")
    else:
        moments, moment = times, np.arange(len(times))
    ready = tuple(replace(shot, query=with_lens_of(shot.query, landmarks)) for shot in shots)
    keys = [(s.sensor, s.query.size, s.query.lens.lens.params.tobytes() if s.query.lens else b"") for s in ready]
    names = list(dict.fromkeys(keys))
    lens = np.array([names.index(key) for key in keys])
    return _Case(ready, landmarks, rig, motion, options or RelocalizationOptions(), moments, moment, lens)


def _alone(case: _Case, i: int, rng: np.random.Generator) -> list[Hypothesis]:
    shot = case.shots[i]
    if shot.fault or too_few(shot.query):
        return []
    return find_hypotheses(shot.query, case.landmarks, rng, case.options)


def _refused_alone(case: _Case, i: int, found: list[Hypothesis]) -> PoseEstimate:
    shot = case.shots[i]
    return PoseEstimate(tuple(found), shot.fault or too_few(shot.query) or NOWHERE)


def _back(poses: Sequence[PoseEstimate], order: np.ndarray) -> tuple[PoseEstimate, ...]:
    return tuple(poses[i] for i in np.argsort(order).tolist())


@dataclass(frozen=True, eq=False)
class _Seen:
    """Rows of features and landmarks (K,) int that an image's pose rests on, and the camera that it starts from."""

    features: np.ndarray
    points: np.ndarray
    camera: Camera


def _carried(
    case: _Case, found: list[list[Hypothesis]], chain: Chain, rng: np.random.Generator
) -> tuple[list[Camera], np.ndarray, list[Evidence], list[_Seen], np.ndarray]:
    """Cameras of all images with their joint covariance, their evidence and matches, and which were carried."""
    seen = {
        i: _Seen(found[i][k].features, found[i][k].points, found[i][k].camera)
        for i, k in enumerate(chain.taken.tolist())
        if k >= 0
    }
    carried = chain.taken < 0
    first = _joint(case, seen)
    alike = how_alike(case.landmarks, rng)
    evidence = [found[i][k].evidence if k >= 0 else NOTHING for i, k in enumerate(chain.taken.tolist())]
    for i in np.flatnonzero(carried).tolist():
        shot = case.shots[i]
        if shot.fault or not len(shot.query.features):
            continue
        told = _weak(case, i, seen, first.cameras[i], alike, rng)
        # where the others have it nothing was fitted to this image: all that it shows may speak for it or against it
        near = told.features if len(told.features) > FEWEST_AROUND else np.arange(len(shot.query.features))
        if len(near) > FEWEST_AROUND:
            own = case.landmarks.image[case.landmarks.sights(told.points)[0]]
            about = np.union1d(_images_about(case, i, seen), own)
            evidence[i] = weigh_carried(shot.query.features, case.landmarks, first.cameras[i], near, about, rng)
        if len(told.features):
            seen[i] = told
    last = _joint(case, seen) if len(seen) > (~carried).sum() else first
    empty = np.zeros(0, int)
    matched = [seen.get(i, _Seen(empty, empty, last.cameras[i])) for i in range(len(case.shots))]
    return list(last.cameras), last.cov, evidence, matched, carried


def _weak(
    case: _Case, i: int, seen: dict[int, _Seen], camera: Camera, alike: float, rng: np.random.Generator
) -> _Seen:
    """What an image shows of the landmarks near where the others have it."""
    query = case.shots[i].query
    told = match_around(query.features, case.landmarks, camera, alike)
    if len(told.points):
        return _Seen(told.features, told.points, camera)
    group = _images_about(case, i, seen)[: case.options.n_candidates]
    ((rows, points),) = match_landmarks(query.features, case.landmarks, [group], case.options.matching)
    pixels = query.features.pixels[rows].astype(float)
    none = _Seen(np.zeros(0, int), np.zeros(0, int), camera)
    known = replace(camera, freed=(), calib_cov=np.zeros((6, 6)))
    for rough in search_poses(case.landmarks, known, points, pixels, case.options.search, rng):
        xi = (rough.camera.cam_from_world * camera.cam_from_world.inv()).as_exp_coords()
        if xi @ np.linalg.solve(camera.calib_cov, xi) < GATE:
            _, one = np.unique(rows[rough.inliers], return_index=True)
            taken = rough.inliers[one]
            _, one = np.unique(points[taken], return_index=True)
            return _Seen(rows[taken[one]], points[taken[one]], rough.camera)
    return none


def _images_about(case: _Case, i: int, seen: dict[int, _Seen]) -> np.ndarray:
    """The map's images (M,) int that show what the images about one of a sequence show."""
    near = sorted(seen, key=lambda j: abs(j - i))[: 2 * NEIGHBOURS]
    points = np.unique(np.concatenate([seen[j].points for j in near]))
    return np.unique(case.landmarks.image[case.landmarks.sights(points)[0]])


def _joint(case: _Case, seen: dict[int, _Seen]) -> JointPoses:
    """All images' poses from what some of them show; the others follow by mounts and motion."""
    bodies = _start(case, seen)
    empty = np.zeros(0, int)
    sightings = []
    for i, shot in enumerate(case.shots):
        nearest = min(seen, key=lambda j: (case.lens[j] != case.lens[i], abs(j - i)))
        own = seen.get(i, _Seen(empty, empty, replace(seen[nearest].camera, name="query", size=shot.query.size)))
        camera = own.camera if shot.query.lens is None else replace(own.camera, lens=shot.query.lens.lens)
        free, prior = _lens_of(case, i, camera)
        features = shot.query.features
        sightings.append(
            Sighting(
                camera, own.points, features.pixels[own.features].astype(float),
                case.landmarks.noise.sigma(features.scale[own.features]), prior,
                free if len(own.points) else (), shot.query.known, int(case.moment[i]), shot.sensor, int(case.lens[i]),
            )
        )  # fmt: skip
    return fit_jointly(case.landmarks, sightings, case.times, case.mounts, case.motion, bodies)


def _lens_of(case: _Case, i: int, camera: Camera) -> tuple[tuple[str, ...], CameraPrior]:
    return ((), NO_PRIOR) if case.shots[i].query.lens is not None else (UNKNOWN, unknown_lens(camera))


def _start(case: _Case, seen: dict[int, _Seen]) -> list[RigidTransform]:
    """Where the body is at each moment to begin with: where its surest image has it, else as at the nearest moment."""
    best: dict[int, int] = {}
    for i in sorted(seen, key=lambda j: len(seen[j].points)):
        best[int(case.moment[i])] = i
    known = {
        t: case.mount(i).cam_from_body.inv() * seen[i].camera.cam_from_world for t, i in best.items()
    }
    nearest = [min(known, key=lambda t: abs(case.times[t] - case.times[now])) for now in range(len(case.times))]
    return [known[t] for t in nearest]


def _poses(
    case: _Case, found: list[list[Hypothesis]], chains: list[Chain], cameras: list[Camera], evidence: list[Evidence],
    matched: list[_Seen],
) -> list[PoseEstimate]:  # fmt: skip
    """Each image's answer: where the best chain has it, then where the others have it."""
    out = []
    for i in range(len(case.shots)):
        frame = case.landmarks.frame
        camera = on_site(cameras[i], frame)
        first = Hypothesis(camera, matched[i].features, matched[i].points, evidence[i], chains[0].probability)
        others = [(found[i][chain.taken[i]], chain) for chain in chains[1:] if chain.taken[i] >= 0]
        rest = [
            replace(each, camera=on_site(each.camera, frame), probability=chain.probability) for each, chain in others
        ]
        rest.sort(key=lambda each: -each.probability)
        out.append(PoseEstimate((first, *rest), _refusal(case, i, first, found[i], chains)))
    return out


def _refusal(case: _Case, i: int, first: Hypothesis, own: list[Hypothesis], chains: list[Chain]) -> str:
    """Why an image has no answer; "" if it has."""
    least = case.options.min_probability
    if chains[0].probability < least:
        rivals = [chain for chain in chains[1:] if chain.probability > 1 - least]
        if rivals:
            shares = ", ".join(f"{chain.probability:.2f}" for chain in (chains[0], *rivals))
            return f"the site repeats: {1 + len(rivals)} ways fit all images, with probabilities {shares}"
        n = int((chains[0].taken >= 0).sum())
        said = f"{n} images of {len(case.shots)} agree on {chains[0].support} landmarks"
        return f"{said}: too few to tell it from a place that looks alike"
    if chains[0].taken[i] < 0:
        strong = [each for each in own if each.evidence.log_odds > -np.log(1 - least)]
        if strong:
            away = np.linalg.norm(strong[0].camera.centre_world - first.camera.centre_world)
            return f"its own landmarks place it {away:.1f} m from where the other images have it"
        if first.evidence.n >= LOOKED_FOR and first.evidence.log_odds <= 0:
            seen = f"{first.evidence.wins} of {first.evidence.n} landmarks"
            return f"of what the other images have it see, it shows {seen}, as chance may have it"
    turn = first.camera.cam_from_world.rotation.as_matrix()
    sigma = float(np.sqrt(np.linalg.eigvalsh(turn.T @ first.camera.calib_cov[3:6, 3:6] @ turn)[-1]))
    if not sigma <= case.options.max_sigma:
        why = f" ({case.shots[i].fault})" if case.shots[i].fault else ""
        return f"the other images leave its position open by {sigma:.1f} m (sigma){why}"
    return ""
