"""The report on paths: evo's numbers, and what makes numbers lie."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError, UnknownNameError
from geoloc.evaluation.page import write_report_page
from geoloc.evaluation.report_text import report_json
from geoloc.evaluation.trajectory import TrajectoryOptions, evaluate_trajectory
from geoloc.metrics.trajectory import Trajectory

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tum() -> dict:
    return json.loads((ROOT / "fixtures" / "authorities" / "localization.json").read_text())["tum"]


def path_of(rows: list) -> Trajectory:
    table = np.array(rows)
    return Trajectory(table[:, 0], RigidTransform.from_components(table[:, 1:4], Rotation.from_quat(table[:, 4:])))


def walk(noise: float, seed: int = 0, n: int = 600) -> Trajectory:
    """A minute on a curve, measured with noise (m)."""
    time = np.arange(n) / 10
    xyz = np.stack([20 * np.sin(time / 10) + 40, 12 * np.cos(time / 7), np.full(n, 1.5)], axis=1)
    xyz += np.random.default_rng(seed).normal(0, noise, (n, 3))
    return Trajectory(time, RigidTransform.from_components(xyz, Rotation.from_rotvec(np.outer(time / 20, [0, 0, 1]))))


@pytest.mark.parametrize("alignment", ["none", "se3", "sim3"])
def test_absolute_errors_are_evos(tum: dict, alignment: str) -> None:
    report = evaluate_trajectory(
        path_of(tum["truth"]), path_of(tum["estimate"]), TrajectoryOptions(alignment=alignment)
    )
    for relation, key in (("translation", "m"), ("rotation_deg", "rotation_deg")):
        expected = next(r for r in tum["evo"]["ape"] if (r["relation"], r["alignment"]) == (relation, alignment))
        for statistic in ("rmse", "median"):
            figure = report.figure(f"ape_{statistic}_{key}")
            assert figure.value == pytest.approx(expected[statistic], abs=1e-9)
            assert "as evo" in figure.protocol
    assert report.figure("matched_poses").value == tum["evo"]["n_matched"]


def test_the_report_is_whole(tum: dict, tmp_path: Path) -> None:
    report = evaluate_trajectory(path_of(tum["truth"]), path_of(tum["estimate"]), TrajectoryOptions(block_s=5.0))
    figure = report.figure("ape_rmse_m")
    assert figure.low < figure.value < figure.high
    assert "rigid motion" in figure.protocol
    assert len(report.error_maps[0].xy) == len(report.charts[0].lines[0].x) == report.figure("matched_poses").value
    json.dumps(report_json(report), allow_nan=False)
    assert "over time" in write_report_page([report], tmp_path / "page.html").read_text()


def test_noise_comes_back_and_a_better_path_is_told() -> None:
    report = evaluate_trajectory(walk(0.0), walk(0.05, 1), against=walk(0.2, 2))
    assert report.figure("ape_rmse_m").value == pytest.approx(0.05 * np.sqrt(3), rel=0.05)
    assert report.figure("rpe_rmse_m").value == pytest.approx(0.05 * np.sqrt(6), rel=0.05)
    found = {d.figure: d for d in report.differences}
    assert found["ape_rmse_m"].high < 0
    assert found["ape_rmse_m"].p_value < 0.05  # six blocks: 2 / 64 at the least


def test_paths_in_the_other_direction_are_found() -> None:
    found = walk(0.05, 1)
    with pytest.raises(InputError, match="body_from_world"):
        evaluate_trajectory(walk(0.0), Trajectory(found.time, found.world_from_body.inv()))


@pytest.mark.parametrize(("factor", "unit"), [(100.0, "centimetres"), (1000.0, "millimetres")])
def test_other_units_are_named(factor: float, unit: str) -> None:
    found = walk(0.05, 1)
    scaled = RigidTransform.from_components(factor * found.xyz, found.world_from_body.rotation)
    with pytest.raises(InputError, match=unit):
        evaluate_trajectory(walk(0.0), Trajectory(found.time, scaled))


def test_a_scale_that_is_no_unit_is_scored() -> None:
    found = walk(0.05, 1)
    scaled = Trajectory(found.time, RigidTransform.from_components(1.7 * found.xyz, found.world_from_body.rotation))
    assert evaluate_trajectory(walk(0.0), scaled).figure("ape_rmse_m").value > 5
    report = evaluate_trajectory(walk(0.0), scaled, TrajectoryOptions(alignment="sim3"))
    assert report.figure("scale").value == pytest.approx(1 / 1.7, rel=0.01)


def test_the_truth_as_its_own_result_is_refused_unless_oracle() -> None:
    with pytest.raises(InputError, match="exactly the truth"):
        evaluate_trajectory(walk(0.0), walk(0.0))
    assert "oracle run" in evaluate_trajectory(walk(0.0), walk(0.0), oracle=True).warnings[0]


def test_times_that_never_meet_and_unknown_names_are_refused() -> None:
    found = walk(0.05)
    with pytest.raises(InputError, match="no times of truth and estimate agree"):
        evaluate_trajectory(walk(0.0), Trajectory(found.time + 0.05, found.world_from_body))
    with pytest.raises(UnknownNameError, match="sim3"):
        TrajectoryOptions(alignment="sim4")


def test_times_in_milliseconds_are_named() -> None:
    found = walk(0.05, 1)
    with pytest.raises(InputError, match="the result's times look like milliseconds"):
        evaluate_trajectory(walk(0.0), Trajectory(1000 * found.time, found.world_from_body))
