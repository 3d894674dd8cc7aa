"""Objects' ways are kept thin, and no farther off than is stated."""

from copy import deepcopy

import numpy as np
import pytest
from parking import OPTIONS, START, lot

from geoloc.errors import InputError
from geoloc.options import merge_options
from geoloc.pipeline.history import History, HistoryOptions
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.queries import State
from geoloc.scene.tables import GroundPoints, Tracks

EXACT = HistoryOptions(every_s=0.0, chunk=16, blur=0.0, parked_blur=0.0)


def tracks_at(time: float, xy: np.ndarray, life: str = "confirmed", number: int = 1, **more: object) -> Tracks:
    n = len(xy)
    return Tracks(
        time=np.full(n, time), track=number + np.arange(n), object=np.arange(n), level=np.full(n, "ground"), xy=xy,
        z=np.zeros(n), velocity=np.zeros((n, 2)), cov=np.tile(0.01 * np.eye(4), (n, 1, 1)),
        bias_cov=np.zeros((n, 2, 2)), label=np.full(n, "car"), state=np.full(n, "confirmed"), life=np.full(n, life),
        **more,
    )  # fmt: skip


def test_a_kept_way_is_within_its_tolerance_everywhere(rng: np.random.Generator) -> None:
    history, lineage = History(lot(), EXACT), Lineage()
    times = START + 0.1 * np.arange(600)
    turn = np.cumsum(rng.normal(0.0, 0.1, 600))
    ways = np.cumsum(0.5 * np.stack([np.cos(turn), np.sin(turn)], axis=1), axis=0) + rng.normal(0.0, 0.02, (600, 2))
    for time, xy in zip(times, ways, strict=True):
        history.note(time, tracks_at(time, xy[None]), GroundPoints(), lineage)
    state = State(history)
    off = np.array([state.where(1, time).xy for time in times]) - ways
    assert np.abs(off).max() <= EXACT.tolerance + 1e-6  # 0.199 m
    kept = sum(len(chunk.keys) for chunk in (*history.chunks, history.open_chunk()))
    assert kept < 200  # 96 of 600


def test_a_car_that_stands_for_hours_is_an_interval(rng: np.random.Generator) -> None:
    history, lineage = History(lot(), HistoryOptions(every_s=1.0)), Lineage()
    for time in START + 10.0 * np.arange(1440):
        xy = np.array([[3.0, 4.0]]) + rng.normal(0.0, 0.03, (1, 2))
        history.note(time, tracks_at(time, xy, "parked"), GroundPoints(), lineage)
    assert history._n_open <= 8
    stall = State(history).stall("A1")
    assert len(stall.history) == 1
    assert stall.history[0].end - stall.history[0].start == 14390.0


def test_memory_is_bounded_by_age_and_by_number(rng: np.random.Generator) -> None:
    options = HistoryOptions(every_s=0.0, chunk=100, keep_s=50.0, keep_keys=1000)
    history, lineage = History(lot(), options), Lineage()
    for k in range(3000):
        history.note(START + k / 10, tracks_at(START + k / 10, rng.normal(0.0, 5.0, (5, 2))), GroundPoints(), lineage)
        assert sum(len(chunk.keys) for chunk in history.chunks) <= 1000
    assert history.start > START + 200.0


def test_an_objects_end_is_told_and_its_last_place_kept() -> None:
    history, lineage = History(lot(), EXACT), Lineage()
    for k in range(10):
        there = tracks_at(START + k, np.array([[k, 0.0], [5.0, 5.0]]))
        if k > 5:
            there = there.take(there.track == 2)
        if k == 6:
            lineage.add(Event(START + k, "gone", 1))
        history.note(START + k, there, GroundPoints(), lineage)
    state = State(history)
    last = state.where(1)
    assert (last.life, last.xy, last.provenance.age) == ("gone", (5.0, 0.0), 4.0)
    assert [place.object for place in state.at()] == [2]
    assert [place.object for place in state.at(START + 3)] == [1, 2]


def test_a_copy_goes_its_own_way() -> None:
    history, lineage = History(lot(), EXACT), Lineage()
    for k in range(40):
        history.note(START + k, tracks_at(START + k, np.array([[k % 3, 0.0]])), GroundPoints(), lineage)
    other = deepcopy(history)
    assert other.chunks[0] is history.chunks[0]
    before = history.open_chunk().keys.tobytes()
    for k in range(40, 80):
        other.note(START + k, tracks_at(START + k, np.array([[k % 3, 0.0]])), GroundPoints(), lineage)
    assert history.open_chunk().keys.tobytes() == before
    assert len(other.chunks) > len(history.chunks)


def test_asking_changes_nothing() -> None:
    history, lineage = History(lot(), HistoryOptions(every_s=10.0)), Lineage()
    history.note(START, tracks_at(START, np.zeros((1, 2))), GroundPoints(), lineage)
    history.note(START + 1, tracks_at(START + 1, np.ones((1, 2)), "hidden"), GroundPoints(), lineage)
    names = history._names
    state = State(history)
    assert (state.where(1).xy, state.where(1).life) == ((1.0, 1.0), "hidden")
    assert history._names is names
    assert history.time == START


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match=r"HistoryOptions.tolerance is 0"):
        merge_options(OPTIONS, {"history": {"tolerance": 0.0}})
