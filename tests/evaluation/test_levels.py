"""Heights tell levels apart and nothing else: another datum is named, a storey off is a miss."""

import numpy as np
import pytest

from geoloc.evaluation.recording import ground_recording
from geoloc.evaluation.report import Report
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.scene.tables import Tracks

N = 8


def walkers(n_frames: int = 40) -> Tracks:
    """Half of the people on the ground, half 3 m above them at the very same places."""
    time = np.repeat(np.arange(n_frames) / 10, N)
    who = np.tile(np.arange(N), n_frames)
    xy = np.column_stack([1.3 * time, 5.0 * (who % (N // 2))])
    return Tracks(time=time, track=who, xy=xy, z=np.where(who < N // 2, 0.0, 3.0))


def measured(truth: Tracks, rng: np.random.Generator) -> Tracks:
    return truth.replace(track=90 - truth.track, xy=truth.xy + rng.normal(0, 0.1, truth.xy.shape))


def report(truth: Tracks, result: Tracks) -> Report:
    return evaluate_tracking(ground_recording("house", truth, result, False, 1.0), TrackingOptions(block_s=1.0))


@pytest.mark.parametrize(("offset", "said"), [(1.7, "1.70 m above"), (-45.2, "45.20 m below")])
def test_heights_on_another_datum_are_named_and_taken_off(rng: np.random.Generator, offset: float, said: str) -> None:
    result = measured(walkers(), rng)
    found = report(walkers(), result.replace(z=result.z + offset + rng.normal(0, 0.05, len(result))))
    assert any(f"the result's heights lie {said} the truth's" in warning for warning in found.warnings)
    assert found.figure("recall").value == 100
    assert found.figure("idf1").value == 100


def test_heights_count_for_no_distance(rng: np.random.Generator) -> None:
    result = measured(walkers(), rng)
    rough = result.replace(z=result.z + rng.normal(0, 0.4, len(result)))
    even, found = report(walkers(), result), report(walkers(), rough)
    for name in ("position_error_median_m", "gospa", "hota", "motp"):
        assert found.figure(name).value == pytest.approx(even.figure(name).value, rel=0.01), name
    assert found.warnings == ()
    assert "levels apart by heights that differ by over 1.5 m" in found.figure("recall").protocol


def test_another_storey_is_another_place(rng: np.random.Generator) -> None:
    result = measured(walkers(), rng)
    wrong = report(walkers(), result.replace(z=np.where(result.track == 90, 3.0, result.z)))
    assert wrong.figure("recall").value == pytest.approx(100 * 7 / 8)
    assert wrong.figure("precision").value == pytest.approx(100 * 7 / 8)


def test_everybody_on_the_wrong_named_level_is_no_datum(rng: np.random.Generator) -> None:
    truth = walkers().take(walkers().track < 4)
    truth = truth.replace(level=np.full(len(truth), "P1"))
    result = measured(truth, rng)
    half = np.arange(len(result)) % 50 > 0
    upstairs = result.replace(z=np.where(half, 3.0, 0.0), level=np.where(half, "P2", "P1"))
    found = report(truth, upstairs)
    assert found.figure("recall").value < 5
    assert not any("heights lie" in warning for warning in found.warnings)


def test_flat_ground_says_nothing_of_levels(rng: np.random.Generator) -> None:
    truth = walkers().take(walkers().track < 4)
    assert "levels" not in report(truth, measured(truth, rng)).figure("recall").protocol
