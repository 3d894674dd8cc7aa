"""Cameras and detector err as their options say, and see only what can be seen."""

from dataclasses import replace
from time import process_time

import numpy as np
import pytest

from geoloc.errors import GeometryError, InputError
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Homography, Pinhole
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic import (
    Observation,
    SensorOptions,
    Truth,
    World,
    draw_true_site,
    observe,
    simulate,
)
from geoloc.synthetic.shapes import BOX, body_points, may_see, project_bodies
from geoloc.synthetic.world import make_camera

PERFECT = SensorOptions(
    foot_sigma_px=0.0, size_sigma=0.0, p_miss=0.0, false_alarms=0.0, clock_sigma=0.0, calibration_error=0.0
)


def standing(
    places: list[tuple[float, float]], label: str = "car", n_times: int = 1, z: float = 0.0
) -> Truth:
    """Objects that stand at `places` and face east, at times 0, 1, ..."""
    n = len(places)
    xyz = np.tile([[x, y, z] for x, y in places], (n_times, 1))
    size = [4.4, 1.8, 1.5] if label == "car" else [0.3, 0.5, 1.75]
    return Truth(
        time=np.repeat(np.arange(float(n_times)), n),
        object=np.tile(np.arange(n), n_times),
        label=np.full(n * n_times, label),
        level=np.full(n * n_times, "ground"),
        xyz=xyz,
        velocity=np.zeros((n * n_times, 2)),
        heading=np.zeros(n * n_times),
        size=np.tile(size, (n * n_times, 1)),
    )


def one_camera(field_deg: float = 85.0) -> World:
    """A camera 5 m above the origin that looks east over an endless plane."""
    return World(Site("one", (make_camera("a", (0, 0, 5), (15, 0, 0), field_deg),), SiteMap()))


def rng_of(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("fixture", ["garage_seen", "plaza_seen"])
def test_boxes_hold_the_bodies_that_they_are_boxes_of(fixture: str, request: pytest.FixtureRequest) -> None:
    seen: Observation = request.getfixturevalue(fixture)
    rng, worst = rng_of(), 0.0
    for camera in seen.true_site.cameras:
        rows = np.flatnonzero(seen.glimpses.camera == camera.name)
        glimpses = seen.glimpses.take(rows[rng.integers(0, len(rows), 200)])
        index = {key: i for i, key in enumerate(zip(seen.truth.time, seen.truth.object, strict=True))}
        truth = seen.truth.take(
            np.array([index[key] for key in zip(glimpses.time, glimpses.object, strict=True)])
        )
        # inside of cars and people alike, who are narrow at the top
        unit = rng.uniform([-0.1, -0.1, 0.0], [0.1, 0.1, 1.0], (60, 3))
        pixels = camera.project(body_points(truth, unit).reshape(-1, 3)).reshape(len(truth), -1, 2)
        pixels = np.clip(pixels, -0.5, np.array(camera.size) - 0.5)
        out = np.maximum(glimpses.box[:, None, :2] - pixels, pixels - glimpses.box[:, None, 2:])
        worst = max(worst, out.max())
        cars = truth.label == "car"
        whole = body_points(truth.take(cars), rng.uniform([-0.5, -0.5, 0.0], [0.5, 0.5, 1.0], (60, 3)))
        pixels = camera.project(whole.reshape(-1, 3)).reshape(len(whole), 60, 2)
        pixels, box = np.clip(pixels, -0.5, np.array(camera.size) - 0.5), glimpses.box[cars, None]
        out = np.maximum(box[..., :2] - pixels, pixels - box[..., 2:])
        worst = max(worst, out.max(initial=-np.inf))
    assert worst < 1.0, f"{worst:.2f} px outside"


def test_boxes_without_noise_are_the_true_projections(garage_world: World, garage_truth: Truth) -> None:
    truth = garage_truth.take(garage_truth.time < garage_truth.time.min() + 4)
    seen = observe(garage_world, truth, rng_of(), PERFECT)
    found = seen.glimpses.take(seen.glimpses.detection >= 0)
    assert np.abs(seen.detections.box[found.detection] - found.box).max() < 1e-9
    assert np.array_equal(seen.object[found.detection], found.object)
    assert np.array_equal(seen.detections.time[found.detection], found.time)
    assert len(found) == len(seen.detections)
    for mine, true in zip(seen.site.cameras, seen.true_site.cameras, strict=True):
        assert np.allclose(mine.centre_world, true.centre_world, atol=1e-12)


def test_the_box_of_a_car_does_not_stand_on_its_centre() -> None:
    world = one_camera()
    seen = observe(world, standing([(15.0, 0.0), (15.0, 6.0)]), rng_of(), PERFECT)
    camera = world.site.camera("a")
    box = seen.detections.box
    foot = np.column_stack([box[:, [0, 2]].mean(axis=1), box[:, 3]])
    rays = camera.unproject(foot)
    ground = camera.centre_world - rays * (camera.centre_world[2] / rays[:, 2])[:, None]
    at = seen.truth.xyz[seen.object]
    nearer = np.hypot(*at[:, :2].T) - np.hypot(*ground[:, :2].T)
    # seen from ahead the near bumper, half a length away; a car to the side shows its flank as well
    assert nearer[seen.object == 0] == pytest.approx(2.2, abs=0.02)
    assert 0.9 < nearer[seen.object == 1] < 2.6


def test_misses_are_as_frequent_as_stated() -> None:
    n = 6000
    options = SensorOptions(p_miss=0.13, false_alarms=0.0)
    seen = observe(one_camera(), standing([(15.0, 0.0)], n_times=n), rng_of(), options)
    rate = (seen.glimpses.detection < 0).mean()
    assert abs(rate - 0.13) < 4 * np.sqrt(0.13 * 0.87 / n), rate
    assert np.allclose(seen.glimpses.chance, 0.87)


def test_feet_and_sizes_scatter_as_stated() -> None:
    n = 6000
    options = SensorOptions(foot_sigma_px=2.5, size_sigma=0.04, false_alarms=0.0, p_miss=0.0)
    seen = observe(one_camera(), standing([(15.0, 0.0)], "person", n_times=n), rng_of(), options)
    box, true = seen.detections.box, seen.glimpses.box
    foot = np.column_stack([(box - true)[:, [0, 2]].mean(axis=1), (box - true)[:, 3]])
    assert np.abs(foot.std(axis=0) / 2.5 - 1).max() < 0.05
    assert np.abs(foot.mean(axis=0)).max() < 0.15
    growth = np.log((box[:, 2:] - box[:, :2]) / (true[:, 2:] - true[:, :2]))
    assert np.abs(growth.std(axis=0) / 0.04 - 1).max() < 0.05
    together = np.corrcoef(np.column_stack([foot, growth]).T) - np.eye(4)
    assert np.abs(together).max() < 0.06, "errors of foot and size are independent"
    again = np.corrcoef(foot[1:, 0], foot[:-1, 0])[0, 1]
    assert abs(again) < 0.06, "errors are independent from frame to frame"


def test_jitter_grows_with_what_is_hidden() -> None:
    n = 4000
    options = SensorOptions(
        foot_sigma_px=2.0, jitter_growth=3.0, false_alarms=0.0, p_miss=0.0, hidden_from=0.9, hidden_to=1
    )
    # the nearer of the two hides part of the other
    seen = observe(one_camera(), standing([(14.0, 0.0), (19.0, 0.6)], n_times=n), rng_of(), options)
    behind = seen.glimpses.take((seen.glimpses.object == 1) & (seen.glimpses.detection >= 0))
    hidden = behind.hidden[0]
    assert 0.2 < hidden < 0.9
    error = (seen.detections.box[behind.detection] - behind.box)[:, 3]
    assert error.std() == pytest.approx(2.0 * (1 + 3.0 * hidden), rel=0.06)


def test_false_alarms_come_as_often_as_stated_and_score_low(plaza_seen: Observation) -> None:
    n_frames = len(np.unique(plaza_seen.truth.time)) * len(plaza_seen.site.cameras)
    false = plaza_seen.object < 0
    mean = plaza_seen.options.false_alarms
    assert abs(false.sum() / n_frames - mean) < 4 * np.sqrt(mean / n_frames)
    score = plaza_seen.detections.score
    assert (score[false] < 0.4).mean() > 0.8
    assert np.median(score[~false]) > 0.75
    assert ((score > 0) & (score < 1)).all()


def test_scores_tell_of_quality(garage_seen: Observation) -> None:
    found = garage_seen.glimpses.take(garage_seen.glimpses.detection >= 0)
    score = garage_seen.detections.score[found.detection]
    assert np.corrcoef(score, found.hidden)[0, 1] < -0.5
    assert np.median(score[found.hidden < 0.1]) > np.median(score[found.hidden > 0.5]) + 0.2


def test_clocks_are_off_by_what_is_stated(garage_seen: Observation) -> None:
    found = garage_seen.glimpses.take(garage_seen.glimpses.detection >= 0)
    stamp = garage_seen.detections.time[found.detection]
    for camera, offset in garage_seen.clock_offset.items():
        rows = found.camera == camera
        assert np.abs(stamp[rows] - found.time[rows] - offset).max() < 1e-6
    sigma = garage_seen.options.clock_sigma
    assert 0.4 * sigma < np.std(list(garage_seen.clock_offset.values())) < 1.8 * sigma


def test_true_cameras_are_drawn_from_calib_cov() -> None:
    root = np.tril(rng_of(3).normal(size=(8, 8)))
    scale = np.array([2e-3] * 3 + [0.03] * 3 + [4.0, 2.0])
    cov = scale[:, None] * (root @ root.T + np.eye(8)) * scale / 8
    camera = Camera(
        "a",
        Pinhole(np.array([1000.0, 1000, 960, 540])),
        (1920, 1080),
        look_at(np.array([0, 0, 5.0]), np.array([9.0, 1, 0])),
        cov,
        ("fx", "cy"),
    )
    site = Site("one", (camera,))
    n, errors = 1500, []
    for seed in range(n):
        true = draw_true_site(site, 1.0, seed).cameras[0]
        xi = (true.cam_from_world * camera.cam_from_world.inv()).as_exp_coords()
        errors.append([*xi, *(true.lens.params - camera.lens.params)[[0, 3]]])
    white = np.linalg.solve(np.linalg.cholesky(cov), np.transpose(errors))
    assert np.abs(white @ white.T / n - np.eye(8)).max() < 5 * np.sqrt(2 / n)
    assert np.abs(white.mean(axis=1)).max() < 4.5 / np.sqrt(n)


def test_floors_are_drawn_from_sigma_z_and_objects_stand_on_them(
    garage_seen: Observation, garage_world: World
) -> None:
    lifts = [
        surface.plane[2] - given.plane[2]
        for seed in range(300)
        for level, mine in zip(
            draw_true_site(garage_world.site, 1.0, seed).site_map.levels,
            garage_world.site.site_map.levels,
            strict=True,
        )
        for surface, given in zip(level.surfaces, mine.surfaces, strict=True)
    ]
    assert np.std(lifts) == pytest.approx(0.01, rel=0.12)
    truth = garage_seen.truth
    for level in garage_seen.true_site.site_map.levels:
        rows = truth.level == level.name
        assert np.array_equal(truth.xyz[rows, 2], level.z_at(truth.xyz[rows, :2]))


def test_the_same_errors_in_whatever_order_or_company_cameras_come(
    plaza_world: World, plaza_truth: Truth
) -> None:
    truth = plaza_truth.take(plaza_truth.time < plaza_truth.time.min() + 3)
    cameras = plaza_world.site.cameras
    whole = observe(plaza_world, truth, rng_of(9))
    mixed = observe(
        replace(plaza_world, site=replace(plaza_world.site, cameras=cameras[::-1])), truth, rng_of(9)
    )
    assert whole.detections == mixed.detections
    few = observe(
        replace(plaza_world, site=replace(plaza_world.site, cameras=cameras[2:4])), truth, rng_of(9)
    )
    for camera in cameras[2:4]:
        a, b = (seen.detections.take(seen.detections.camera == camera.name) for seen in (whole, few))
        assert a.replace(id=np.zeros(len(a), int)) == b.replace(id=np.zeros(len(b), int))


def test_nothing_is_seen_through_the_floor(garage_seen: Observation) -> None:
    truth, glimpses = garage_seen.truth, garage_seen.glimpses
    row = {key: i for i, key in enumerate(zip(truth.time.tolist(), truth.object.tolist(), strict=True))}
    at = np.array([row[key] for key in zip(glimpses.time.tolist(), glimpses.object.tolist(), strict=True)])
    # the camera at the foot of the ramp stands under the sky: it sees roofs over the parapet of P2
    under_ceiling = np.char.startswith(glimpses.camera, "p1-") & (glimpses.camera != "p1-ramp-foot")
    upstairs = (truth.level[at] == "P2") & (truth.xyz[at, 2] > 2.9)
    assert under_ceiling.sum() > 10_000
    assert not (under_ceiling & upstairs).any()
    # from P2 only what has driven out of the building below is in sight
    downstairs = np.char.startswith(glimpses.camera, "p2-") & (truth.level[at] == "P1")
    x, y = truth.xyz[at[downstairs], 0], truth.xyz[at[downstairs], 1]
    assert ((x < 2.5) | ((x > 42.5) & (y < 16.5))).all(), "half a car's length within the building at most"


def test_what_stands_behind_a_wall_or_a_car_is_hidden() -> None:
    world = one_camera()
    alone = observe(world, standing([(16.0, 0.0)]), rng_of(), PERFECT)
    assert alone.glimpses.hidden.tolist() == [0.0]
    # a lorry in front of it
    pair = standing([(16.0, 0.0), (10.0, 0.0)])
    pair = pair.replace(size=np.array([[4.4, 1.8, 1.5], [4.0, 3.0, 3.6]]))
    seen = observe(world, pair, rng_of(), PERFECT)
    assert seen.object.tolist() == [1]
    assert (seen.glimpses.hidden[seen.glimpses.object == 0] > 0.85).all()
    assert seen.truth.n_cameras.tolist() == [0, 1]


def test_misses_grow_with_what_is_hidden_and_with_distance(garage_seen: Observation) -> None:
    glimpses = garage_seen.glimpses
    missed, height = glimpses.detection < 0, glimpses.box[:, 3] - glimpses.box[:, 1]
    large = height > 60
    shares = [
        missed[large & (glimpses.hidden >= a) & (glimpses.hidden < b)].mean()
        for a, b in ((0, 0.3), (0.4, 0.6), (0.7, 0.85), (0.86, 1))
    ]
    assert abs(shares[0] - 0.05) < 0.01, shares
    assert shares[0] < shares[1] < shares[2] < shares[3] == 1.0, shares
    expected = 1 - glimpses.chance
    assert abs(missed.mean() - expected.mean()) < 0.005


def test_boxes_end_at_the_border_of_the_image(garage_seen: Observation) -> None:
    box = garage_seen.detections.box
    width, height = garage_seen.site.cameras[0].size
    assert (box[:, :2] >= -0.5).all()
    assert (box[:, 2] <= width - 0.5).all()
    assert (box[:, 3] <= height - 0.5).all()
    assert (box[:, 2:] > box[:, :2]).all()
    cut = (box == -0.5).any(axis=1) | (box[:, 2] == width - 0.5) | (box[:, 3] == height - 0.5)
    assert 0.02 < cut.mean() < 0.5


def test_what_is_behind_the_camera_is_not_seen() -> None:
    seen = observe(one_camera(), standing([(-15.0, 0.0), (0.0, 0.0), (0.5, 30.0)]), rng_of(), PERFECT)
    assert len(seen.glimpses) == 0


@pytest.mark.parametrize("field_deg", [60.0, 100.0, 150.0])
def test_the_cheap_test_of_what_may_be_seen_loses_nothing(field_deg: float, rng: np.random.Generator) -> None:
    camera = make_camera("a", (0, 0, 5), (8, 0, 0), field_deg)
    truth = standing([(x, y) for x, y in rng.uniform(-60, 60, (3000, 2))])
    box = project_bodies(camera, truth)
    pixels = camera.project(body_points(truth, BOX).reshape(-1, 3)).reshape(len(truth), -1, 2)
    seen = camera.inside(pixels).any(axis=1) & (box[:, 3] - box[:, 1] >= 24.0)
    assert seen.sum() > 50
    assert np.isin(np.flatnonzero(seen), may_see(camera, truth, 24.0)).all()


def test_boxes_of_one_object_look_alike(plaza_world: World, plaza_truth: Truth) -> None:
    truth = plaza_truth.take(plaza_truth.time < plaza_truth.time.min() + 1)
    seen = observe(plaza_world, truth, rng_of(), SensorOptions(embedding_size=64))
    vectors, objects = seen.detections.embedding, seen.object
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    alike = vectors @ vectors.T
    real = objects >= 0
    same = (objects[:, None] == objects) & real & real[:, None] & ~np.eye(len(objects), dtype=bool)
    other = (objects[:, None] != objects) & real & real[:, None]
    assert np.median(alike[same]) == pytest.approx(1 / 1.25, abs=0.03)
    assert abs(np.median(alike[other])) < 0.05


def test_ids_and_order_of_detections_tell_nothing_of_the_objects(plaza_seen: Observation) -> None:
    detections = plaza_seen.detections
    assert np.array_equal(detections.id, np.arange(len(detections)))
    order = np.lexsort((detections.box[:, 0], detections.camera, detections.time))
    assert np.array_equal(order, np.arange(len(order)))


def test_a_camera_without_a_pose_is_refused_by_name() -> None:
    flat = Camera("a", Homography(np.eye(3).ravel()), (1920, 1080), homography_level="ground")
    world = World(Site("one", (flat,), SiteMap()))
    with pytest.raises(GeometryError, match="'a'"):
        observe(world, standing([(15.0, 0.0)]), rng_of())


@pytest.mark.parametrize(
    "wrong", [{"p_miss": 1.2}, {"foot_sigma_px": -1.0}, {"false_alarms": float("nan")}, {"hidden_to": 0.1}]
)
def test_impossible_options_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        SensorOptions(**wrong)


def test_simulation_of_the_garage_takes_seconds(garage_world: World) -> None:
    """A budget against blunders: 2.2 s of processor time measured for two minutes at 5 Hz, 20 allowed."""
    start = process_time()
    observe(garage_world, simulate(garage_world, rng_of()), rng_of())
    assert process_time() - start < 20
