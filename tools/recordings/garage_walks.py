"""Pictures of short walks through the rendered garage, placed one by one and all of a walk together.

No recording is needed. The garage's two levels have one plan: what one picture cannot tell, the others may.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from scipy.spatial.transform import RigidTransform

from geoloc.evaluation.measures import of_counts, of_mean
from geoloc.evaluation.queries import query_blocks
from geoloc.evaluation.report import Figure
from geoloc.features.extraction import extract
from geoloc.geometry.se3 import perturb
from geoloc.metrics.detection import ratio
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.relocalize.rig_motion import MotionPrior
from geoloc.relocalize.together import Shot, relocalize_together
from geoloc.scene.camera import Camera
from geoloc.synthetic.rendering.moment import Moment, MomentOptions, draw_moment
from geoloc.synthetic.rendering.picture import take_picture
from geoloc.synthetic.rendering.scene import build_scene
from geoloc.synthetic.rendering.sensor import PictureOptions
from geoloc.synthetic.rendering.viewpoints import WalkOptions, phone_viewpoints, walk_viewpoints
from geoloc.synthetic.twin_garage import LEVELS, twin_garage

RECORDING = "garage_walks"
SEED = 68
N_WALKS, LENGTH = 16, 4
WALK = WalkOptions(spacing=5.0)
STRIDE, TURN, EVERY = 0.6, 0.12, 0.5  # m and rad from picture to picture, s between them
MOTION = MotionPrior(speed=1.5, turn=0.5)
WRONG = 1.0  # m


def run(n_walks: int = N_WALKS, length: int = LENGTH, walk: WalkOptions = WALK) -> list[Figure]:
    """Answered, wrong and honest: of each picture alone, and of a walk's pictures together."""
    world = twin_garage()
    site_map, rng = world.site.site_map, np.random.default_rng([SEED, 1])
    scene = build_scene(site_map, np.random.default_rng(SEED))
    views = [view.camera for view in walk_viewpoints(world, rng, LEVELS, walk)]
    first = draw_moment(scene, rng, MomentOptions(hour=10.0, clouds=0.5))
    landmarks = build_landmarks([extract(_grey(first, camera, rng)) for camera in views], views)
    later = draw_moment(scene, rng, MomentOptions(hour=15.0, clouds=0.8, exchanged=0.8), first)
    true: list[list[Camera]] = []
    alone: list[list[PoseEstimate]] = []
    together: list[list[PoseEstimate]] = []
    for view in phone_viewpoints(site_map, rng, n_walks, LEVELS):
        path = _walked(view.camera, length, rng)
        lens = replace(view.camera, cam_from_world=RigidTransform.identity())
        queries = [Query(extract(_grey(later, camera, rng)), camera.size, lens) for camera in path]
        true.append(path)
        alone.append([relocalize(query, landmarks, np.random.default_rng(SEED)) for query in queries])
        shots = [Shot(query, EVERY * i) for i, query in enumerate(queries)]
        found = relocalize_together(shots, landmarks, np.random.default_rng(SEED), motion=MOTION)
        together.append(list(found.poses))
    said = f"{n_walks} walks of {length} pictures, {len(views)} pictures as the map"
    return [*_figures("each alone", said, true, alone), *_figures("each walk together", said, true, together)]


def _walked(camera: Camera, length: int, rng: np.random.Generator) -> list[Camera]:
    """A camera carried ahead, turning a little; it goes where it looks."""
    path, turn = [camera], TURN * rng.normal()
    for _ in range(length - 1):
        step = np.array([0.02 * rng.normal(), turn, 0.01 * rng.normal(), 0.0, 0.0, -STRIDE])
        path.append(replace(path[-1], cam_from_world=perturb(path[-1].cam_from_world, step)))
    return path


def _grey(moment: Moment, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    sensor = PictureOptions(exposure=rng.normal(0, 0.3), vibration_px=rng.uniform(0, 1.0))
    return np.asarray(cv2.cvtColor(take_picture(moment, camera, rng, sensor), cv2.COLOR_BGR2GRAY))


def _figures(
    part: str, said: str, true: Sequence[Sequence[Camera]], found: Sequence[Sequence[PoseEstimate]]
) -> list[Figure]:
    pairs = [(i, camera, pose) for i, (path, poses) in enumerate(zip(true, found, strict=True))
             for camera, pose in zip(path, poses, strict=True)]  # fmt: skip
    told = np.array([pose.answered for _, _, pose in pairs])
    off = np.array([
        np.linalg.norm(pose.hypotheses[0].camera.centre_world - camera.centre_world) if pose.answered else 0.0
        for _, camera, pose in pairs
    ])  # fmt: skip
    xi = [(camera.cam_from_world * pose.cam_from_world.inv()).as_exp_coords() if pose.answered else np.zeros(6)
          for _, camera, pose in pairs]  # fmt: skip
    values = np.array([
        one @ np.linalg.solve(pose.cov, one) for one, (_, _, pose) in zip(xi, pairs, strict=True) if pose.answered
    ])  # fmt: skip
    blocks, sure = query_blocks(len(pairs))
    wrong = told & (off > WRONG)
    measures = [
        of_counts("answered", "%", said, np.column_stack([told, told | True]), blocks, _share, 100),
        of_counts("wrong_answers", "%", f"{said}; over {WRONG:g} m", np.column_stack([wrong, told]), blocks, _share,
                  100),
    ]
    rows = np.flatnonzero(told)
    if len(rows):
        measures.append(of_mean("nees", "", f"{said}; 6 expected", values, blocks.take(rows)))
    return [measure.figure(RECORDING, part, sure) for measure in measures]


def _share(counts: np.ndarray) -> np.ndarray:
    return np.asarray(ratio(counts[..., 0], counts[..., 1]))
