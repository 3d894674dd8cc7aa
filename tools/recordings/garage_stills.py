"""Relocalization on rendered stills of the twin garage, whose truth is exact.

No recording is needed. Its two levels have one plan and look alike but for numbers, signs, stains and cars.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.evaluation.measures import of_counts, of_mean, of_quantile
from geoloc.evaluation.queries import query_blocks
from geoloc.evaluation.report import Figure
from geoloc.features.extraction import extract
from geoloc.metrics.consistency import nees
from geoloc.metrics.detection import ratio
from geoloc.metrics.localization import LocalizationScores, score_poses
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.garage_sets import MappingSetOptions, mapping_pictures
from geoloc.synthetic.rendering.picture_sets import TruePicture
from geoloc.synthetic.rendering.scene import build_scene
from geoloc.synthetic.rendering.viewpoints import WalkOptions
from geoloc.synthetic.twin_garage import LEVELS, twin_garage
from geoloc.synthetic.world import World

RECORDING = "garage_stills"
SEED = 66
SEEDS = (66, 71, 72)  # of garages in which phones are placed
WRONG = 1.0  # m; an answer farther off is wrong
WALK = WalkOptions()
N_QUERIES = 100


def run() -> list[Figure]:
    """Levels, wrong answers and refusals of phones' pictures."""
    world = twin_garage()
    placed = [placed_queries(world, seed) for seed in SEEDS]
    queries = [query for drawn, _, _ in placed for query in drawn]
    answers = [answer for _, found, _ in placed for answer in found]
    return relocalization_figures(queries, answers, placed[0][2])


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
