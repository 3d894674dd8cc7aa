"""Paths are held against evo, probabilities against scikit-learn, intervals against SciPy, on the same input."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.metrics.consistency import consistency
from geoloc.metrics.forecasts import score_forecasts
from geoloc.metrics.trajectory import PathErrors, Trajectory, score_ape, score_rpe

ROOT = Path(__file__).resolve().parents[2]
EXACT = 1e-9  # measured 1.2e-10, in sums of squares


@pytest.fixture(scope="module")
def authority() -> dict:
    return json.loads((ROOT / "fixtures" / "authorities" / "localization.json").read_text())


@pytest.fixture(params=["tum", "drawn"])
def case(request: pytest.FixtureRequest, authority: dict) -> tuple[Trajectory, Trajectory, dict]:
    content = authority[request.param]
    return trajectory(content["truth"]), trajectory(content["estimate"]), content["evo"]


def trajectory(rows: list) -> Trajectory:
    table = np.array(rows)
    return Trajectory(table[:, 0], RigidTransform.from_components(table[:, 1:4], Rotation.from_quat(table[:, 4:])))


def assert_evos(errors: PathErrors, expected: dict) -> None:
    found = errors.statistics()
    wanted = [expected[name] for name in found]
    np.testing.assert_allclose(list(found.values()), wanted, rtol=0, atol=EXACT, err_msg=str(expected))


def test_ape_is_evos_under_every_alignment_and_relation(case: tuple[Trajectory, Trajectory, dict]) -> None:
    truth, estimate, expected = case
    for row in expected["ape"]:
        errors = score_ape(truth, estimate, row["relation"], row["alignment"])
        assert len(errors.value) == expected["n_matched"]
        assert_evos(errors, row)
    assert errors.alignment.name == "sim3"
    assert errors.alignment.scale == pytest.approx(expected["scale"], abs=EXACT)


def test_rpe_is_evos_over_frames_and_metres(case: tuple[Trajectory, Trajectory, dict]) -> None:
    truth, estimate, expected = case
    for row in expected["rpe"]:
        keys = ("delta", "unit", "relation", "alignment", "all_pairs", "pairs_from")
        errors = score_rpe(truth, estimate, **{key: row[key] for key in keys})
        assert len(errors.value) == row["n"]
        assert_evos(errors, row)


def test_the_paths_tell_the_conventions_apart(authority: dict) -> None:
    # otherwise the tests above could not fail: pairs by either path, and each alignment, give other figures
    rows = authority["drawn"]["evo"]["rpe"]
    by_path = {path: [row["rmse"] for row in rows if row["pairs_from"] == path] for path in ("estimate", "truth")}
    assert np.abs(np.subtract(by_path["estimate"], by_path["truth"])).max() > 0.01
    assert len({round(r["rmse"], 3) for r in authority["drawn"]["evo"]["ape"] if r["relation"] == "translation"}) == 3


def test_probabilities_are_scored_as_scikit_learn_does(authority: dict) -> None:
    expected = authority["forecasts"]
    scores = score_forecasts(np.array(expected["probability"]), np.array(expected["event"]))
    count, forecast, observed = scores.diagram()
    assert count.sum() == 300
    np.testing.assert_allclose(forecast[count > 0], expected["forecast"], rtol=0, atol=EXACT)
    np.testing.assert_allclose(observed[count > 0], expected["observed"], rtol=0, atol=EXACT)
    assert scores.figure("brier") == pytest.approx(expected["brier_score_loss"], abs=EXACT)
    assert scores.figure("log_loss") == pytest.approx(expected["log_loss"], abs=EXACT)


def test_chi_square_intervals_are_scipys(authority: dict) -> None:
    for probability, dof, low, high in authority["chi2_interval"]:
        found = consistency(np.full(dof // 2, 2.0), 2, probability)
        assert (dof // 2 * found.low, dof // 2 * found.high) == pytest.approx((low, high), rel=1e-9)
