"""What makes numbers lie is found: leaked identities, copied positions, other units."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.guards import find_leaks, find_leaks_of_input, refuse_or_warn, refuse_other_units
from geoloc.metrics.matching import Sightings, pair_positions
from geoloc.scene.tables import Detections


def crowd(noise: float, seed: int = 0) -> tuple[Sightings, Sightings]:
    """20 frames of 8 walkers, and a result that is `noise` (m) off under ids of its own."""
    rng = np.random.default_rng(seed)
    frame, identity = np.repeat(np.arange(20), 8), np.tile(np.arange(8), 20)
    where = np.tile(rng.uniform(0, 40, (8, 2)), (20, 1)) + 0.1 * frame[:, None]
    return Sightings(frame, identity, where), Sightings(frame, 50 - identity, where + rng.normal(0, noise, where.shape))


def leaks(truth: Sightings, result: Sightings) -> list[str]:
    return find_leaks(pair_positions(truth, result, 2.0), truth, result, 0.5)


def test_an_honest_result_is_not_suspected() -> None:
    assert leaks(*crowd(0.2)) == []


def test_truth_ids_in_the_result_are_found() -> None:
    truth, result = crowd(0.2)
    found = leaks(truth, Sightings(result.frame, truth.id, result.where))
    assert len(found) == 1
    assert "truth ids leaked" in found[0]


def test_copied_positions_are_found() -> None:
    assert any("exactly on their truth" in finding for finding in leaks(*crowd(0.0)))


def test_an_oracle_run_is_warned_loudly_and_any_other_refused() -> None:
    assert refuse_or_warn(["x leaked"], oracle=True) == ["oracle run: x leaked"]
    with pytest.raises(InputError, match="say oracle"):
        refuse_or_warn(["x leaked"], oracle=False)
    assert refuse_or_warn([], oracle=False) == []


def boxes(n: int) -> Detections:
    box = np.tile([0.0, 0.0, 10.0, 20.0], (n, 1))
    return Detections(time=np.zeros(n), camera=np.full(n, "gate"), box=box, label=np.full(n, "car"))


def test_labels_that_name_the_objects_are_found() -> None:
    named = boxes(40).replace(label=np.array([f"car {i % 8}" for i in range(40)]))
    assert "labels" in find_leaks_of_input(named, 8)[0]
    assert find_leaks_of_input(boxes(40), 8) == []


def test_appearance_that_never_changes_is_found() -> None:
    one_hot = boxes(40).replace(embedding=np.eye(8, dtype=np.float32)[np.arange(40) % 8])
    assert "appearance" in find_leaks_of_input(one_hot, 8)[0]
    seen = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    assert find_leaks_of_input(boxes(40).replace(embedding=seen), 8) == []


@pytest.mark.parametrize(
    ("factor", "unit"), [(100.0, "centimetres"), (1000.0, "millimetres"), (1 / 0.3048, "feet"), (0.001, "kilometres")]
)
def test_other_units_are_named(factor: float, unit: str) -> None:
    truth, result = crowd(0.05)
    with pytest.raises(InputError, match=unit):
        refuse_other_units(truth, Sightings(result.frame, result.id, factor * result.where), 1.0)


def test_swapped_axes_and_degrees_are_named() -> None:
    truth, result = crowd(0.05)
    with pytest.raises(InputError, match="swapped"):
        refuse_other_units(truth, Sightings(result.frame, result.id, result.where[:, ::-1]), 1.0)
    degrees = np.array([16.6, 49.2]) + result.where / 111e3
    with pytest.raises(InputError, match="longitude and latitude"):
        refuse_other_units(truth, Sightings(result.frame, result.id, degrees), 1.0)


def test_a_result_that_is_simply_bad_is_scored() -> None:
    truth, result = crowd(0.05)
    far = Sightings(result.frame, result.id, result.where + 300.0)
    refuse_other_units(truth, far, 1.0)
    refuse_other_units(truth, result, 1.0)
