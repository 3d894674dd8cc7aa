"""Relocalization and the moved-camera check on rendered stills of the twin garage, whose truth is exact.

No recording is needed. Its two levels have one plan and look alike but for numbers, signs, stains and cars.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.evaluation.measures import of_counts, of_mean, of_quantile
from geoloc.evaluation.queries import query_blocks
from geoloc.evaluation.report import Figure
from geoloc.features.local import extract
from geoloc.metrics.consistency import nees
from geoloc.metrics.detection import ratio
from geoloc.metrics.localization import LocalizationScores, score_poses
from geoloc.relocalize.drift import DriftCheck, check_drift
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.motions import N_MOTION, ROTATION, TRANSLATION
from geoloc.relocalize.reference import Reference, pin_reference
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.garage_sets import DaySetOptions, MappingSetOptions, day_pictures, mapping_pictures
from geoloc.synthetic.rendering.picture_sets import TruePicture
from geoloc.synthetic.rendering.scene import Scene, build_scene
from geoloc.synthetic.rendering.viewpoints import WalkOptions
from geoloc.synthetic.twin_garage import LEVELS, twin_garage
from geoloc.synthetic.world import World

RECORDING = "garage_stills"
SEED = 66
SEEDS = (66, 71, 72)  # of garages in which phones are placed
WRONG = 1.0  # m; an answer farther off is wrong
SMALL_TURN = 0.01  # deg; of the turns that are to be told from none
WALK = WalkOptions()
N_QUERIES = 100
CAMERAS = ("p1-aisle-s-west", "p2-aisle-n-east", "p1-row-b", "p2-southeast")
DAY = DaySetOptions(n_trials=16)
COVERED = replace(DAY, n_trials=6, covered=0.5)


def run() -> list[Figure]:
    """Levels, wrong answers and refusals of phones' pictures; what the check says of cameras, moved and not."""
    world = twin_garage()
    placed = [placed_queries(world, seed) for seed in SEEDS]
    queries = [query for drawn, _, _ in placed for query in drawn]
    answers = [answer for _, found, _ in placed for answer in found]
    scene = build_scene(world.site.site_map, np.random.default_rng(SEED))
    whole, covered = (checked_days(world, scene, day) for day in (DAY, COVERED))
    return [
        *relocalization_figures(queries, answers, placed[0][2]),
        *drift_figures(whole, f"{len(CAMERAS)} cameras, days"),
        *drift_figures(covered, f"{len(CAMERAS)} cameras, days, half covered"),
    ]


def placed_queries(
    world: World, seed: int = SEED, walk: WalkOptions = WALK, n_queries: int = N_QUERIES
) -> tuple[list[TruePicture], list[PoseEstimate], int]:
    """Phones' pictures and their answers by a map of the walk's pictures, with how many those are."""
    scene = build_scene(world.site.site_map, np.random.default_rng(seed))
    rng = np.random.default_rng([seed, 1])
    options = MappingSetOptions(levels=LEVELS, walk=walk, n_queries=n_queries)
    pictures = mapping_pictures(world, scene, rng, options)
    cameras, features, queries, answers, landmarks = [], [], [], [], None
    for picture in pictures:
        found = extract(_grey(picture))
        if picture.kind == "walk":
            cameras.append(picture.camera)
            features.append(found)
            continue
        landmarks = landmarks or build_landmarks(features, cameras)
        lens = replace(picture.camera, cam_from_world=RigidTransform.identity())
        query = Query(found, picture.camera.size, lens)
        answers.append(relocalize(query, landmarks, rng, site_map=world.site.site_map))
        queries.append(replace(picture, image=picture.image[:0]))
    return queries, answers, len(cameras)


def relocalization_figures(queries: Sequence[TruePicture], answers: Sequence[PoseEstimate], n_map: int) -> list[Figure]:
    """Right levels and wrong places among the answers, the share of answers, their errors and their honesty."""
    scores = _scores(queries, answers)
    blocks, sure = query_blocks(len(queries))
    part = f"{len(queries)} phones, both levels, {len(SEEDS)} garages"
    said = f"{n_map} pictures of a walk as each garage's map, lens known; other hours, other cars"
    told = scores.answered
    right = np.array([a.answered and a.level == q.level for q, a in zip(queries, answers, strict=True)])
    wrong = told & (scores.position_error > WRONG)
    share = {"right_level": right, "wrong_answers": wrong}
    measures = [of_counts("answered", "%", said, np.column_stack([told, told | True]), blocks, _share, 100)]
    for name, chosen in share.items():
        says = f"{said}; of the answers" + (f", more than {WRONG:g} m off" if name == "wrong_answers" else "")
        measures.append(of_counts(name, "%", says, np.column_stack([chosen, told]), blocks, _share, 100))
    fit = np.array([_is_near(q.camera, a) for q, a in zip(queries, answers, strict=True)])
    says = f"{said}; of the refused, whose likeliest place is less than {WRONG:g} m off"
    counts = np.column_stack([fit & ~told, ~told])
    measures.append(of_counts("refused_though_right", "%", says, counts, blocks, _share, 100))
    rows = np.flatnonzero(told)
    errors = scores.position_error[rows]
    measures.append(of_quantile("position_error_median", "m", said, errors, blocks.take(rows), 0.5))
    honest = np.array([_nees(queries[i].camera, answers[i]) for i in rows.tolist()])
    measures.append(of_mean("nees", "", f"{said}; of the poses, 6 expected", honest, blocks.take(rows)))
    return [measure.figure(RECORDING, part, sure) for measure in measures]


@dataclass(frozen=True, eq=False)
class Trial:
    """What a camera truly did, and what the check says."""

    kind: str
    truth: np.ndarray  # (N_MOTION,)
    check: DriftCheck


def checked_days(
    world: World, scene: Scene, options: DaySetOptions, names: Sequence[str] = CAMERAS
) -> list[Trial]:
    """Every picture of the days but the references held against its camera's reference."""
    rng = np.random.default_rng([SEED, 2, round(100 * options.covered)])
    return list(_checked(world, day_pictures(world, scene, rng, names, options)))


def _checked(world: World, pictures: Iterator[TruePicture]) -> Iterator[Trial]:
    pinned: dict[str, Reference] = {}
    for picture in pictures:
        name = picture.name.split("--")[0]
        if picture.kind == "reference":
            pinned[name] = pin_reference(picture.camera, _grey(picture), site_map=world.site.site_map)
        else:
            truth = true_motion(pinned[name].camera, picture.camera)
            yield Trial(picture.kind, truth, check_drift(pinned[name], _grey(picture)))


def true_motion(before: Camera, after: Camera) -> np.ndarray:
    """The motion (N_MOTION,) between two poses and zooms of one camera."""
    theta = np.zeros(N_MOTION)
    move = after.cam_from_world * before.cam_from_world.inv()
    theta[ROTATION], theta[TRANSLATION] = move.rotation.as_rotvec(), move.translation
    theta[3] = np.log(after.lens.params[0] / before.lens.params[0])
    return theta


def drift_figures(trials: Sequence[Trial], part: str) -> list[Figure]:
    """False alarms, motions that are told and told apart, errors of what is told, and frames that do not tell."""
    said = "rendered day and night, rain, exchanged cars, against one reference each"
    blocks, sure = query_blocks(len(trials))
    kind = np.array([trial.kind for trial in trials])
    known = np.array([trial.check.known for trial in trials])
    moved = np.array([trial.check.state == "moved" for trial in trials])
    shifted = moved & np.array([TRANSLATION.start in trial.check.freed for trial in trials])
    error = np.array([np.linalg.norm(trial.check.rotation - trial.truth[ROTATION]) for trial in trials])
    angle = np.array([np.linalg.norm(trial.truth[ROTATION]) for trial in trials])
    small = (kind == "rotation") & (np.degrees(angle) >= SMALL_TURN)
    shares = {
        "frames_that_tell": (known, known | True, "of all frames"),
        "false_alarms": (moved, (kind == "none") & known, "said to have moved, of cameras that did not"),
        "turns_told": (moved, small & known, f"of turns of {SMALL_TURN:g} deg or more"),
        "zooms_told": (moved, (kind == "zoom") & known, f"of zooms by {DAY.zoom[0]:.2%} to {DAY.zoom[1]:.0%}"),
        "shifts_told": (moved, (kind == "translation") & known, "of cameras shifted by 1 to 15 cm, said to have moved"),
        "shifts_told_as_shifts": (shifted, (kind == "translation") & known, "of cameras shifted by 1 to 15 cm"),
        "turns_told_as_shifts": (shifted, (kind == "rotation") & known, "of cameras that turned"),
    }
    measures = [
        of_counts(name, "%", f"{said}; {says}", np.column_stack([yes & of, of]), blocks, _share, 100)
        for name, (yes, of, says) in shares.items()
        if of.any()
    ]
    for name, kinds in (("none", ("none",)), ("turned", ("rotation",))):
        rows = np.flatnonzero(np.isin(kind, kinds) & known)
        says = f"{said}; median angle between found and true rotation"
        errors = np.degrees(error[rows])
        measures.append(of_quantile(f"rotation_error_{name}_deg", "deg", says, errors, blocks.take(rows), 0.5))
    return [measure.figure(RECORDING, part, sure) for measure in measures]


def _scores(queries: Sequence[TruePicture], answers: Sequence[PoseEstimate]) -> LocalizationScores:
    true = RigidTransform.concatenate([query.camera.cam_from_world for query in queries])
    rows = [i for i, answer in enumerate(answers) if answer.answered]
    refused = [i for i, answer in enumerate(answers) if not answer.answered]
    found = RigidTransform.concatenate([answers[i].cam_from_world for i in rows])
    return score_poses(true, found, np.array(rows), np.array(refused), np.array([answers[i].refusal for i in refused]))


def _nees(camera: Camera, answer: PoseEstimate) -> float:
    xi = (camera.cam_from_world * answer.cam_from_world.inv()).as_exp_coords()
    return float(nees(xi[None], answer.cov[None])[0])


def _is_near(camera: Camera, answer: PoseEstimate) -> bool:
    places = [each.camera.centre_world for each in answer.hypotheses[:1]]
    return any(float(np.linalg.norm(place - camera.centre_world)) < WRONG for place in places)


def _share(counts: np.ndarray) -> np.ndarray:
    return ratio(counts[..., 0], counts[..., 1])


def _grey(picture: TruePicture) -> np.ndarray:
    return np.asarray(cv2.cvtColor(picture.image, cv2.COLOR_BGR2GRAY))
