"""Questions about now and before, with where each answer comes from."""

import numpy as np
import pytest
from parking import OPTIONS, STALL, START, cars, lot, seen_windows
from test_history import EXACT, tracks_at

from geoloc.errors import InputError, UnknownNameError
from geoloc.pipeline.history import History
from geoloc.pipeline.lineage import Event, Lineage
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.queries import State
from geoloc.scene.fingerprint import calibration_fingerprint
from geoloc.scene.tables import GroundPoints


@pytest.fixture(scope="module")
def engine() -> Localizer:
    localizer = Localizer(lot(), OPTIONS)
    for window in seen_windows(20.0):
        localizer.step(window)
    return localizer


def test_where_a_parked_car_is_with_where_that_comes_from(engine: Localizer) -> None:
    place = engine.state.where(1)
    assert place.life == "parked"
    assert np.linalg.norm(np.subtract(place.xy, STALL)) < 0.5  # 0.05 m
    assert 0.05 < place.sigma < 1.0
    told = place.provenance
    assert told.cameras == ("A", "B", "C", "D")
    assert told.calibration == calibration_fingerprint(engine.site)
    assert (told.age, told.revision) == (0.0, 0)


def test_where_it_was_before(engine: Localizer) -> None:
    for time in (1.5, 2.5, 3.3, 10.0):
        place = engine.state.where(1, START + time)
        assert np.linalg.norm(np.subtract(place.xy, cars(time)[0, :2])) < 1.0  # 0.42 m: tracks lag in the turn
    assert engine.state.where(1, START + 2.0).life == "confirmed"


def test_who_was_in_a_zone_between_two_times(engine: Localizer) -> None:
    stays = engine.state.who_was_in("lane", START + 1.0, START + 5.0)
    assert {stay.object for stay in stays} == {1, 2}
    parker = next(stay for stay in stays if stay.object == 1)
    assert parker.from_before
    assert not parker.goes_on
    assert abs(parker.end - START - 3.0) < 0.5  # it crosses the lane's edge after 3 s
    assert parker.depth > 1.0
    assert not engine.state.who_was_in("A2")


def test_a_stalls_history_and_occupancy(engine: Localizer) -> None:
    stall = engine.state.stall("A1")
    assert stall.object == 1
    assert len(stall.history) == 1
    assert abs(stall.history[0].start - START - 3.6) < 0.6
    assert stall.history[0].goes_on
    assert engine.state.stall("A2").history == ()
    found = engine.state.occupancy()
    assert (found.stalls, found.taken, found.unsure) == (2, 1, 0)
    assert engine.state.occupancy(START + 1.0).taken == 0


def test_an_old_number_answers_under_the_new_one_and_says_so() -> None:
    history, lineage = History(lot(), EXACT), Lineage()
    for k in range(30):
        xy, number = np.array([[0.1 * k, 0.0]]), 4 if k < 10 else 9 if k < 15 else 4
        if k == 15:
            lineage.add(Event(START + k, "recognised", 4, (9,), 0.97, "0.4 m away after 3.1 s"))
        shown = tracks_at(START + k, xy, number=number)
        history.note(START + k, shown.take(np.arange(0 if k in (10, 11) else 1)), GroundPoints(), lineage)
    state = State(history)
    for asked in (4, 9):
        place = state.where(asked, START + 13)
        assert (place.object, place.asked) == (4, asked)
        assert abs(place.xy[0] - 1.3) < 0.2
        assert "9 was recognised as 4" in place.told[0]
        assert "0.97: 0.4 m away after 3.1 s" in place.told[0]
    assert state.where(4).told == ()
    assert state.where(4, START + 13).told == state.where(9, START + 13).told
    assert [place.object for place in state.at(START + 13)] == [4]
    assert [event.kind for event in state.events(9)] == ["recognised"]


def test_a_number_that_was_split_off_is_itself_again() -> None:
    history, lineage = History(lot(), EXACT), Lineage()
    lineage.add(Event(START + 1, "merged", 1, (2,)))
    for k in range(5):
        history.note(START + k, tracks_at(START + k, np.array([[0.0, 0.0], [3.0, 0.0]])), GroundPoints(), lineage)
    assert State(history).where(2).object == 1
    lineage.add(Event(START + 5, "split", 1, (2,)))
    history.note(START + 5, tracks_at(START + 5, np.array([[0.0, 0.0], [3.0, 0.0]])), GroundPoints(), lineage)
    place = State(history).where(2)
    assert (place.object, place.xy) == (2, (3.0, 0.0))


def test_answers_do_not_move_on_with_the_engine() -> None:
    localizer = Localizer(lot(), OPTIONS)
    windows = seen_windows(20.0)
    for _, window in zip(range(30), windows, strict=False):
        localizer.step(window)
    state = localizer.state
    for window in windows:
        localizer.step(window)
    assert state.time < START + 6.5
    assert state.where(1).time == state.time
    assert state.stall("A1").history == ()  # it came a moment ago: it may only pass
    assert state.stall("A1").object == localizer.state.stall("A1").object == 1
    assert len(localizer.state.stall("A1").history) == 1


def test_what_cannot_be_answered_says_why(engine: Localizer) -> None:
    with pytest.raises(InputError, match="nothing is known yet"):
        _ = Localizer(lot(), OPTIONS).state.at()
    with pytest.raises(InputError, match="no object 99 was there"):
        engine.state.where(99)
    with pytest.raises(InputError, match=r"ways are kept from 2023-11-14 22:13:20.0 UTC to"):
        engine.state.where(1, START - 60.0)
    with pytest.raises(InputError, match=r"object 3 was not there yet at .* 22:13:21.0 UTC; it came at .* 22:13:27"):
        engine.state.where(3, START + 1.0)
    with pytest.raises(UnknownNameError, match="did you mean 'A1'"):
        engine.state.stall("A11")
    with pytest.raises(UnknownNameError, match="did you mean 'lane'"):
        engine.state.who_was_in("lanes")
    with pytest.raises(InputError, match="give two times in order"):
        engine.state.who_was_in("lane", START + 9.0, START + 2.0)
