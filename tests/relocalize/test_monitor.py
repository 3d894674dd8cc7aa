"""A camera's checks over time: alarms that single frames neither raise nor end, and mounts that shake."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.relocalize.drift import DriftCheck
from geoloc.relocalize.monitor import DriftMonitor, MonitorOptions
from geoloc.relocalize.motions import N_MOTION

SIGMA = 2e-5  # rad


def check(state: str, turn: np.ndarray | None = None) -> DriftCheck:
    known = state in ("unchanged", "moved", "shaken")
    theta, cov = np.zeros(N_MOTION), np.zeros((N_MOTION, N_MOTION))
    theta[:3] = 0.0 if turn is None else turn
    cov[:3, :3] = SIGMA**2 * np.eye(3)
    return DriftCheck(
        camera="gate",
        reference="",
        state=state,
        conditions=(),
        theta=theta if known else theta * np.nan,
        cov=cov if known else cov * np.nan,
        freed=(0, 1, 2) if known else (),
        chance=0.5,
        log10_doubt=-50.0,
        found=0.9,
        shift_px=0.0,
        blur_px=np.zeros(2),
        mean=100.0,
        black=0.0,
        white=0.0,
        reason="",
    )


def fed(states: str, options: MonitorOptions | None = None) -> DriftMonitor:
    """A monitor after a word of states: u(nchanged), m(oved), d(ark)."""
    monitor = DriftMonitor("gate", options)
    names = {"u": "unchanged", "m": "moved", "d": "dark"}
    for time, letter in enumerate(states):
        monitor.add(10.0 * time, check(names[letter]))
    return monitor


def test_an_alarm_needs_a_run_and_ends_with_one() -> None:
    assert fed("uummumum").alarms == []
    monitor = fed("uummmumumu")
    assert monitor.alarm is not None
    assert (monitor.alarm.state, monitor.alarm.since, monitor.alarm.raised) == ("moved", 20.0, 40.0)
    ended = fed("uummmumuuu")
    assert ended.alarm is None
    assert (ended.alarms[0].ended, len(ended.alarms)) == (70.0, 1)


def test_one_lasting_state_gives_way_to_the_next() -> None:
    monitor = fed("mmmddd")
    assert [alarm.state for alarm in monitor.alarms] == ["moved", "dark"]
    assert not monitor.alarms[0].is_on
    assert monitor.alarm is not None
    assert monitor.alarm.state == "dark"


def test_an_alarm_can_be_made_to_wait() -> None:
    assert fed("mmmm", MonitorOptions(raise_s=60.0)).alarm is None
    assert fed("mmmmmmm", MonitorOptions(raise_s=60.0)).alarm is not None


def test_a_mount_that_sways_more_than_its_checks_allow_is_shaken(rng: np.random.Generator) -> None:
    steady, swaying = DriftMonitor("gate"), DriftMonitor("gate")
    for time in range(30):
        turn = SIGMA * rng.normal(size=3)
        steady.add(time, check("unchanged", turn))
        swaying.add(time, check("unchanged", 4.0 * turn))
    assert set(steady.states) == {"unchanged"}
    assert swaying.states[-1] == "shaken"
    assert swaying.alarm is not None
    assert len(swaying.series()["rotation"]) == 30


def test_checks_of_other_cameras_and_out_of_order_are_refused() -> None:
    monitor = fed("uu")
    with pytest.raises(InputError, match="at 10.0 s after one at 10.0 s"):
        monitor.add(10.0, check("unchanged"))
    with pytest.raises(InputError, match="the check is of 'gate'"):
        DriftMonitor("hall").add(0.0, check("unchanged"))
