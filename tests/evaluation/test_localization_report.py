"""The report on poses of images: what was right, wrong, refused and missing, and what makes numbers lie."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError
from geoloc.evaluation.localization import LocalizationOptions, evaluate_localization
from geoloc.evaluation.page import write_report_page
from geoloc.evaluation.report_text import report_json, report_text
from geoloc.geometry.se3 import look_at, perturb, pose_cov
from geoloc.io.poses import NamedPoses
from geoloc.metrics.localization import poses_from_centres

SIGMA = pose_cov(np.radians(0.5), 0.05)  # 0.5 deg, 5 cm each axis


def street(n: int = 80, seed: int = 0) -> NamedPoses:
    """Cameras along 40 m of a street that look about, far from the origin as sites are."""
    rng = np.random.default_rng(seed)
    centre = np.array([60.0, -30.0, 2.0]) + rng.uniform([0, 0, 0], [40, 10, 1], (n, 3))
    target = centre + rng.normal(size=(n, 3)) * [1, 1, 0.1]
    poses = RigidTransform.concatenate([look_at(c, t) for c, t in zip(centre, target, strict=True)])
    return NamedPoses.of([f"day/{i:03d}.jpg" for i in range(n)], poses)


def measured(true: NamedPoses, cov: np.ndarray = SIGMA, seed: int = 1) -> NamedPoses:
    """Estimates with noise of covariance `cov`, which they state."""
    xi = np.random.default_rng(seed).multivariate_normal(np.zeros(6), cov, len(true))
    return replace(true, cam_from_world=perturb(true.cam_from_world, xi), cov=np.tile(cov, (len(true), 1, 1)))


def some(poses: NamedPoses, rows: slice, refused: slice = slice(0), reason: str = "dark") -> NamedPoses:
    """The answers of `rows`; those of `refused` are declined."""
    declined = poses.image[refused]
    return replace(
        poses,
        image=poses.image[rows],
        cam_from_world=poses.cam_from_world[rows],
        time=poses.time[rows],
        camera=poses.camera[rows],
        cov=poses.cov[rows],
        refused=declined,
        reason=np.full(len(declined), reason),
    )


def value(report, name: str, part: str = "all") -> float:
    return report.figure(name, part).value


def test_refused_and_missing_count_apart_from_errors() -> None:
    true = street()
    found = measured(true)
    far = found.cam_from_world.as_matrix()
    far[:20, :3, 3] += 30.0
    found = replace(found, cam_from_world=RigidTransform.from_matrix(far))
    report = evaluate_localization(true, some(found, slice(0, 60), slice(60, 70)))
    assert [value(report, name) for name in ("images", "answered", "refused", "missing")] == [80, 60, 10, 10]
    assert value(report, "recall_5m_10deg") == pytest.approx(50)  # 40 of 80
    assert value(report, "error_rate_5m_10deg") == pytest.approx(100 / 3)  # 20 of 60 answers
    assert value(report, "refusal_rate") == pytest.approx(12.5)
    assert "dark 10" in report.figure("refusal_rate").protocol
    assert value(report, "recall_0.25m_2deg") <= value(report, "recall_0.5m_5deg") <= value(report, "recall_5m_10deg")
    assert len(report.error_maps[0].missed) == 20


def test_medians_are_those_of_the_noise() -> None:
    report = evaluate_localization(true := street(300), measured(true))
    # medians of a chi with 3 degrees of freedom: 1.538 sigma; over the ground 1.177
    assert value(report, "median_rotation_error_deg") == pytest.approx(1.538 * 0.5, rel=0.12)
    assert value(report, "ground_error_median_m") < value(report, "median_position_error_m")
    figure = report.figure("median_rotation_error_deg")
    assert figure.low < figure.value < figure.high < 1.2 * figure.value
    assert "bootstrap over queries" in figure.protocol


def test_honest_covariances_are_told_from_too_small_ones() -> None:
    true = street(200)
    found = measured(true)
    honest = evaluate_localization(true, found).figure("nees")
    assert honest.low < 6 < honest.high
    assert "6 expected" in honest.protocol
    bold = evaluate_localization(true, replace(found, cov=found.cov / 4))
    assert value(bold, "nees") == pytest.approx(4 * honest.value)
    assert value(bold, "coverage_95") < 60
    silent = evaluate_localization(true, replace(found, cov=np.full((200, 6, 6), np.nan)))
    with pytest.raises(InputError, match="no answer states a covariance"):
        silent.figure("nees")


def test_the_worst_part_of_the_map_is_named() -> None:
    true = street(200)
    found = measured(true)
    centre = found.cam_from_world.inv().translation
    corner = (centre[:, 0] > 90) & (centre[:, 1] < -25)
    moved = poses_from_centres(centre + 2.0 * corner[:, None] * [1, 0, 0], found.cam_from_world.rotation)
    report = evaluate_localization(true, replace(found, cam_from_world=moved))
    parts = [f.part for f in report.figures if f.figure == "ground_error_median_m"]
    assert parts[0] == "all"
    assert set(parts[1:3]) == {"x 90 to 95 m, y -30 to -25 m", "x 95 to 100 m, y -30 to -25 m"}
    assert 1.8 < value(report, "ground_error_median_m", parts[1]) < 2.3
    worst = [f for f in report.figures if f.figure == "position_error_m"]
    assert len(worst) == 5
    assert all(f.value > 1.8 and f.part.startswith("image day/") for f in worst)


def test_a_better_engine_is_told_from_chance(tmp_path: Path) -> None:
    true = street(120)
    report = evaluate_localization(true, measured(true), against=measured(true, 9 * SIGMA, seed=2))
    found = {d.figure: d for d in report.differences}
    assert found["recall_0.25m_2deg"].low > 0
    assert found["median_position_error_m"].high < 0
    assert found["median_position_error_m"].p_value < 0.01
    equal = evaluate_localization(true, measured(true), against=measured(true, seed=3))
    chance = {d.figure: d for d in equal.differences}["median_rotation_error_deg"]
    assert chance.low < 0 < chance.high
    json.dumps(report_json(report), allow_nan=False)
    assert "recall_0.25m_2deg" in report_text(report)
    assert "Position error" in write_report_page([report], tmp_path / "page.html").read_text()


def test_the_curve_ends_where_the_answers_do() -> None:
    true = street()
    position = evaluate_localization(true, some(measured(true), slice(0, 60))).charts[0]
    assert position.lines[0].y[-1] == pytest.approx(75)
    assert [line.name for line in position.lines if line.reference] == ["0.25 m"]


def test_nothing_answered_is_said_and_not_measured() -> None:
    true = street()
    report = evaluate_localization(true, some(true, slice(0), slice(0, 80)))
    assert value(report, "recall_5m_10deg") == 0
    assert value(report, "refusal_rate") == 100
    assert {a.figure for a in report.absent} >= {"median_position_error_m", "error_rate_5m_10deg", "nees"}
    json.dumps(report_json(report), allow_nan=False)


def test_an_empty_truth_is_refused() -> None:
    with pytest.raises(InputError, match="truth is empty"):
        evaluate_localization(some(street(), slice(0)), street())


def test_names_that_do_not_match_are_told_with_the_nearest() -> None:
    true = street()
    found = measured(true)
    with pytest.raises(InputError, match=r"80 of the 80 .* 'day/000.jpg' but for the folder: .*without_folders"):
        evaluate_localization(true, found.without_folders())
    evaluate_localization(true.without_folders(), found.without_folders())
    renamed = replace(found, image=np.char.replace(found.image, ".jpg", ".png"))
    with pytest.raises(InputError, match=r"nearest to 'day/000.png' is 'day/0"):
        evaluate_localization(true, renamed)
    report = evaluate_localization(some(true, slice(0, 70)), found)
    assert "10 of the 80 images of the result are not in the truth" in report.warnings[0]
    assert value(report, "images") == 70


def other_axes(poses: RigidTransform) -> RigidTransform:
    return RigidTransform.from_rotation(Rotation.from_rotvec([np.pi, 0, 0])) * poses


READINGS = {
    "world_from_cam": lambda poses: poses.inv(),
    "centres": lambda poses: RigidTransform.from_components(poses.inv().translation, poses.rotation),
    "OpenGL": other_axes,
    "x y z w": lambda poses: RigidTransform.from_components(
        poses.translation, Rotation.from_quat(poses.rotation.as_quat(), scalar_first=True)
    ),
}


@pytest.mark.parametrize("says", READINGS)
def test_poses_of_another_convention_are_found(says: str) -> None:
    true = street()
    found = measured(true)
    with pytest.raises(InputError, match=says):
        evaluate_localization(true, replace(found, cam_from_world=READINGS[says](found.cam_from_world)))


@pytest.mark.parametrize(("factor", "unit"), [(100.0, "centimetres"), (1000.0, "millimetres"), (0.001, "kilometres")])
def test_other_units_are_named(factor: float, unit: str) -> None:
    true = street()
    found = measured(true)
    poses = RigidTransform.from_components(factor * found.cam_from_world.translation, found.cam_from_world.rotation)
    with pytest.raises(InputError, match=unit):
        evaluate_localization(true, replace(found, cam_from_world=poses))


def test_results_that_are_simply_bad_are_scored() -> None:
    true = street()
    rng = np.random.default_rng(0)
    chance = poses_from_centres(rng.normal(0, 100, (80, 3)), Rotation.random(80, rng=rng))
    report = evaluate_localization(true, replace(true, cam_from_world=chance))
    assert value(report, "recall_0.25m_2deg") == 0
    origin = RigidTransform.from_components(np.zeros((80, 3)), Rotation.identity(80))
    evaluate_localization(true, replace(true, cam_from_world=origin))


def test_the_truth_as_its_own_result_is_refused_unless_oracle() -> None:
    true = street()
    with pytest.raises(InputError, match="exactly the truth"):
        evaluate_localization(true, true)
    report = evaluate_localization(true, true, oracle=True)
    assert "oracle run" in report.warnings[0]
    beside = evaluate_localization(true, measured(true), against=true, oracle=True)
    assert beside.warnings[0].startswith("the other run: oracle run")
    assert value(report, "recall_0.25m_2deg") == 100


def test_no_answers_at_all_are_all_missing() -> None:
    report = evaluate_localization(true := street(), some(true, slice(0)))
    assert value(report, "missing") == 80
    assert value(report, "recall_5m_10deg") == 0


def test_frames_of_videos_are_drawn_in_blocks_of_time() -> None:
    true = replace(street(240), time=np.arange(240) / 10, camera=np.repeat(["a", "b"], 120))
    found = measured(true, 9 * SIGMA)
    # stretches of three seconds go wrong together: drawn one by one, images seem to tell more than they do
    wrong = np.repeat(np.array([0.0, 5.0] * 4), 30)[:, None] * [1, 0, 0]
    moved = poses_from_centres(found.cam_from_world.inv().translation + wrong, found.cam_from_world.rotation)
    found = replace(found, cam_from_world=moved)
    single, blocks = (
        evaluate_localization(true, found, LocalizationOptions(block_s=s)).figure("recall_1m_10deg") for s in (0, 3)
    )
    assert "blocks of 3 s" in blocks.protocol
    assert blocks.value == single.value
    assert blocks.high - blocks.low > 2 * (single.high - single.low)
    with pytest.raises(InputError, match="240 images of the truth have none"):
        evaluate_localization(street(240), found, LocalizationOptions(block_s=3.0))


def test_thresholds_may_be_chosen() -> None:
    true = street()
    options = LocalizationOptions(thresholds=((0.05, 0.5),), n_areas=0)
    report = evaluate_localization(true, measured(true), options)
    assert 0 < value(report, "recall_0.05m_0.5deg") < 50
    with pytest.raises(InputError, match="empty"):
        LocalizationOptions(thresholds=())


def test_surveyed_poses_with_known_noise_give_it_back(recording) -> None:
    """Real geometry, synthetic noise: no claim about an engine."""
    cameras = json.loads((recording("strecha") / "fountain-P11" / "cameras_gt.json").read_text())
    rotation = Rotation.from_matrix([camera["R_world_to_cam"] for camera in cameras.values()])
    centre = np.array([camera["C_world"] for camera in cameras.values()])
    true = NamedPoses.of(list(cameras), poses_from_centres(centre, rotation))
    report = evaluate_localization(true, measured(true, pose_cov(1e-4, 0.003)))
    assert value(report, "images") == 11
    assert value(report, "recall_0.25m_2deg") == 100
    assert value(report, "median_position_error_m") < 0.02


def test_thresholds_name_their_own_source() -> None:
    report = evaluate_localization(street(), measured(street()))
    assert "Sattler et al. 2018" in report.figure("recall_0.25m_2deg").protocol
    assert "InLoc, Taira et al. 2018" in report.figure("recall_0.25m_10deg").protocol
