"""A landmark map of the rendered garage kept up while its parked cars change: what is demoted, and what it is worth.

No recording is needed. The map is made of one walk; a patrol passes the same way at other hours, other cars parked and
other light; phones' pictures of a last moment are then placed by the map as it was and by the map as it was kept.
"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import shapely
from scipy.spatial.transform import RigidTransform

from geoloc.evaluation.measures import Measure, of_counts, of_mean
from geoloc.evaluation.queries import bare_figure, query_blocks
from geoloc.evaluation.report import Figure
from geoloc.features.extraction import extract
from geoloc.metrics.detection import ratio
from geoloc.relocalize.estimate import PoseEstimate
from geoloc.relocalize.landmarks import LandmarkMap
from geoloc.relocalize.mapping import build_landmarks
from geoloc.relocalize.relocalization import Query, relocalize
from geoloc.relocalize.upkeep import Seen, UpkeepOptions, update_landmarks
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.rendering.moment import Moment, MomentOptions, draw_moment
from geoloc.synthetic.rendering.picture import take_picture
from geoloc.synthetic.rendering.scene import build_scene
from geoloc.synthetic.rendering.sensor import PictureOptions
from geoloc.synthetic.rendering.viewpoints import WalkOptions, phone_viewpoints, walk_viewpoints
from geoloc.synthetic.twin_garage import LEVELS, twin_garage

RECORDING = "garage_upkeep"
SEED = 67
VISITS = 4
N_QUERIES = 24
WRONG = 1.0  # m
WALK = WalkOptions(spacing=8.0)
LOW, HIGH = 0.15, 2.2  # m over the floor, between which what stands in a stall is a car
INSIDE = 0.3  # m; of a stall's edge: pillars stand there


def run(visits: int = VISITS, n_queries: int = N_QUERIES, walk: WalkOptions = WALK) -> list[Figure]:
    """Presence of what is on cars and of what is not, the share of each that is kept, and answers before and after."""
    world, level = twin_garage(), LEVELS[0]
    site_map = world.site.site_map
    scene, rng = build_scene(site_map, np.random.default_rng(SEED)), np.random.default_rng([SEED, 1])
    views = [view.camera for view in walk_viewpoints(world, rng, (level,), walk)]
    first = draw_moment(scene, rng, MomentOptions(hour=10.0, clouds=0.5))
    landmarks = build_landmarks([extract(_grey(first, camera, rng)) for camera in views], views)
    kept, last = landmarks, first
    left = first.stall_car >= 0
    for _ in range(visits):
        last = draw_moment(scene, rng, _another(rng), last)
        left &= last.stall_car != first.stall_car
        pictures = [_seen(last, camera, rng) for camera in views]
        kept = update_landmarks(kept, pictures, rng, UpkeepOptions(forget=0.0)).landmarks
    queries = [view.camera for view in phone_viewpoints(site_map, rng, n_queries, (level,))]
    asked = [(camera, extract(_grey(last, camera, rng))) for camera in queries]
    on_cars = _on_cars(site_map, level, landmarks.points, left)
    figures = _presence_figures(kept.presence[: len(landmarks)], on_cars, visits, len(views))
    for name, each in (("as mapped", landmarks), ("kept up", kept)):
        answers = [_placed(each, camera, found) for camera, found in asked]
        figures += _answers(f"{len(queries)} phones, map {name}", queries, answers)
    return [*figures, bare_figure(RECORDING, "map kept up", "megabytes", kept.n_bytes / 1e6, "MB", _of(landmarks))]


def _of(landmarks: LandmarkMap) -> str:
    return f"as mapped {landmarks.n_bytes / 1e6:.1f} MB; nothing forgotten"


def _another(rng: np.random.Generator) -> MomentOptions:
    return MomentOptions(
        hour=rng.uniform(7, 21), clouds=rng.uniform(0, 1), lamps_off=rng.uniform(0, 0.2), parked=rng.uniform(0.4, 0.85),
        exchanged=0.8, n_people=int(rng.integers(0, 12)),
    )  # fmt: skip


def _grey(moment: Moment, camera: Camera, rng: np.random.Generator) -> np.ndarray:
    sensor = PictureOptions(exposure=rng.normal(0, 0.3), vibration_px=rng.uniform(0, 1.0))
    return np.asarray(cv2.cvtColor(take_picture(moment, camera, rng, sensor), cv2.COLOR_BGR2GRAY))


def _seen(moment: Moment, camera: Camera, rng: np.random.Generator) -> Seen:
    return Seen(camera.name, Query(extract(_grey(moment, camera, rng)), camera.size, camera), camera)


def _on_cars(site_map: SiteMap, level: str, points: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Which points (P, 3) m are where cars stood that `left` (stalls,) their stalls: (P,) bool."""
    stalls = shapely.union_all([
        stall.polygon.buffer(-INSIDE)
        for stall, gone in zip(site_map.stalls, left.tolist(), strict=True)
        if gone and stall.level == level
    ])  # fmt: skip
    over = points[:, 2] - site_map.level(level).z_extended(points[:, :2])
    return np.asarray(shapely.contains_xy(stalls, points[:, 0], points[:, 1])) & (over > LOW) & (over < HIGH)


def _placed(landmarks: LandmarkMap, camera: Camera, found) -> PoseEstimate:  # type: ignore[no-untyped-def]
    lens = replace(camera, cam_from_world=RigidTransform.identity())
    return relocalize(Query(found, camera.size, lens), landmarks, np.random.default_rng(SEED))


def _presence_figures(presence: np.ndarray, on_cars: np.ndarray, visits: int, n_views: int) -> list[Figure]:
    said = f"{visits} visits of {n_views} pictures, four stalls in five exchanged each time; 0.8 before any"
    figures = []
    for name, rows in (("on cars that left", on_cars), ("all else", ~on_cars)):
        told = f"{said}; {int(rows.sum())} landmarks"
        figures.append(bare_figure(RECORDING, name, "presence_mean", float(presence[rows].mean()), "", told))
        share = 100 * float((presence[rows] >= 0.5).mean())
        figures.append(bare_figure(RECORDING, name, "kept_in_use", share, "%", told))
    return figures


def _answers(part: str, queries: Sequence[Camera], answers: Sequence[PoseEstimate]) -> list[Figure]:
    told = np.array([answer.answered for answer in answers])
    off = np.array([
        np.linalg.norm(answer.hypotheses[0].camera.centre_world - query.centre_world) if answer.answered else 0.0
        for query, answer in zip(queries, answers, strict=True)
    ])  # fmt: skip
    blocks, sure = query_blocks(len(queries))
    said = "pictures of the last moment, lens known"
    measures: list[Measure] = [
        of_counts("answered", "%", said, np.column_stack([told, told | True]), blocks, _share, 100),
        of_counts("wrong_answers", "%", f"{said}; of the answers, over {WRONG:g} m", np.column_stack([
            told & (off > WRONG), told]), blocks, _share, 100),
    ]  # fmt: skip
    inliers = np.array([len(answer.hypotheses[0].points) if answer.hypotheses else 0 for answer in answers], float)
    measures.append(of_mean("inliers_mean", "", said, inliers, blocks))
    return [measure.figure(RECORDING, part, sure) for measure in measures]


def _share(counts: np.ndarray) -> np.ndarray:
    return np.asarray(ratio(counts[..., 0], counts[..., 1]))
