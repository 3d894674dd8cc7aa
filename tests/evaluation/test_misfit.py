"""A result that lies elsewhere is warned of with numbers; one that is simply bad, or sound, is not."""

import numpy as np
import pytest

from geoloc.evaluation.misfit import find_misfits
from geoloc.metrics.matching import Sightings

HZ = 10


def crowd(n: int = 12, n_frames: int = 200, missed: float = 0.2) -> tuple[Sightings, Sightings]:
    """People on ways of their own for 20 s, and a result 0.2 m off that misses some and imagines others."""
    rng = np.random.default_rng(3)
    start, velocity = rng.uniform(0, 60, (n, 2)), rng.normal(0, 1.2, (n, 2))
    frame, who = np.repeat(np.arange(n_frames), n), np.tile(np.arange(n), n_frames)
    where = start[who] + velocity[who] * frame[:, None] / HZ
    seen = rng.random(len(frame)) >= missed
    ghosts = rng.uniform(0, 60, (n_frames, 2))
    result = np.concatenate([where[seen] + rng.normal(0, 0.2, (seen.sum(), 2)), ghosts])
    names = np.concatenate([100 + who[seen], np.full(n_frames, 500)])
    return Sightings(frame, who, where), Sightings(np.append(frame[seen], np.arange(n_frames)), names, result)


def misfits(truth: Sightings, result: Sightings) -> list[str]:
    return find_misfits(truth, result, 1.0, 1 / HZ)


def moved(result: Sightings, where: np.ndarray, frames: int = 0) -> Sightings:
    return Sightings(result.frame + frames, result.id, where)


def test_a_sound_result_is_not_suspected() -> None:
    assert misfits(*crowd()) == []


def test_another_origin_is_named_with_its_shift() -> None:
    truth, result = crowd()
    (said,) = misfits(truth, moved(result, result.where + np.array([512.3, -20.1])))
    assert "shifted by (-512.3, 20.1) m the result would fit" in said


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ([[1, 0], [0, -1]], "mirrored in y"),
        ([[-1, 0], [0, 1]], "mirrored in x"),
        ([[0, 1], [-1, 0]], "90 degrees counter-clockwise"),
        ([[-1, 0], [0, -1]], "180 degrees"),
    ],
)
def test_other_axes_are_named(turn: list[list[int]], said: str) -> None:
    truth, result = crowd()
    (found,) = misfits(truth, moved(result, result.where @ np.array(turn, float).T))
    assert said in found


@pytest.mark.parametrize(("frames", "said"), [(5, "0.5 s late"), (-15, "1.5 s early")])
def test_a_clock_that_is_off_is_named(frames: int, said: str) -> None:
    truth, result = crowd()
    (found,) = misfits(truth, moved(result, result.where, frames))
    assert said in found


def test_a_result_that_is_simply_bad_is_not_explained_away() -> None:
    truth, result = crowd()
    noise = np.random.default_rng(0).uniform(0, 60, result.where.shape)
    assert misfits(truth, moved(result, noise)) == []
    assert misfits(*crowd(missed=0.9)) == []
