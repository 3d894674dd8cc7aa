"""Who enters, leaves, parks and changes level, and which clock is off: once each, and as a late packet changes it."""

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import shapely

from geoloc.io.detections import read_detections
from geoloc.pipeline.happenings import HappeningOptions, Happenings
from geoloc.pipeline.identity import Identities
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.localizer import Localizer, replay
from geoloc.pipeline.packets import PacketLocalizer
from geoloc.scene.sitemap import Place
from geoloc.scene.storage import load_site
from geoloc.scene.tables import GroundPoints, Tracks


@cache
def plaza():
    return load_site("plaza", "fixtures/plaza")


def plaza_boxes(seconds: float):
    table = read_detections("fixtures/plaza/detections.csv.gz").detections
    return table.take(table.time < table.time.min() + seconds)


@cache
def yard():
    """The plaza's site with one zone, a stall and an entrance of known places."""
    site = plaza()
    square = lambda x: shapely.box(x, 0, x + 10, 10)  # noqa: E731
    level = site.site_map.levels[0].name
    zones = (Place("yard", level, square(0)), Place("gate", level, square(20), "entrance"))
    return replace(site, site_map=replace(site.site_map, zones=zones, stalls=(Place("A1", level, square(0), "stall"),)))


def track(time: float, x: float, sigma: float = 0.3, life: str = "confirmed", number: int = 7) -> Tracks:
    cov = np.zeros((1, 4, 4))
    cov[0, :2, :2] = sigma**2 * np.eye(2)
    given = {"time": [time], "track": [number], "object": [number], "level": [yard().site_map.levels[0].name]}
    return Tracks(
        **given, xy=[[x, 5.0]], velocity=[[0.0, 0.0]], cov=cov, bias_cov=np.zeros((1, 2, 2)), z=[0.0], label=["car"],
        state=["confirmed"], life=[life], score=[0.98], revision=[0],
    )  # fmt: skip


def told(*tables: Tracks) -> list[Event]:
    site = yard()
    happenings, identities = Happenings(site), Identities(site)
    for k, table in enumerate(tables):
        happenings.note(float(k), table, GroundPoints(), identities)
    return identities.lineage.events


def test_a_way_through_a_zone_is_one_entry_and_one_exit_with_its_probability():
    events = told(*(track(k, x) for k, x in enumerate((-5.0, -1.0, 0.1, 1.0, 5.0, 9.0, 11.0, 15.0))))
    assert [(e.kind, e.place, e.time) for e in events] == [("entered", "yard", 3.0), ("left", "yard", 6.0)]
    assert all(e.probability > 0.9 and e.sigma == pytest.approx(0.3) and e.number == 7 for e in events)
    assert [e.id for e in events] == [1, 2]


def test_on_a_border_nothing_is_told_again_and_again(rng):
    ways = (track(k, float(x), 0.5) for k, x in enumerate(rng.normal(0.0, 0.3, 200)))
    assert len(told(*ways)) <= 6  # measured 3; the position itself crosses the border about 100 times


def test_parking_is_told_with_its_stall_and_its_end():
    lives = ("confirmed", "parked", "hidden", "parked", "confirmed")
    events = told(*(track(k, 5.0, life=life) for k, life in enumerate(lives)))
    assert [(e.kind, e.place) for e in events] == [("entered", "yard"), ("parked", "A1"), ("unparked", "A1")]


def test_who_first_comes_up_in_an_entrance_has_arrived_and_who_is_lost_has_left():
    events = told(track(0, 25.0), track(1, 25.0), Tracks())
    assert [e.kind for e in events] == ["arrived", "entered", "left"]
    assert "out of sight" in events[-1].why


def test_a_number_that_was_recognised_does_not_enter_again():
    site = yard()
    happenings, identities = Happenings(site), Identities(site)
    happenings.note(0.0, track(0, 5.0, number=8), GroundPoints(), identities)
    identities.lineage.add(Event(1.0, "recognised", 7, (8,)))
    happenings.note(1.0, track(1, 5.0, number=7), GroundPoints(), identities)
    assert Counter(e.kind for e in identities.lineage.events) == {"entered": 1, "recognised": 1}


def test_late_packets_and_a_restart_leave_the_same_events(tmp_path, rng):
    boxes = plaza_boxes(3.0)
    second = np.floor((boxes.time - boxes.time.min()) / 0.25)
    parts = [boxes.take(second == k) for k in np.unique(second)]
    straight = Localizer(plaza())
    list(replay(straight, boxes))
    expected = straight.state.happenings()
    assert {"entered", "arrived", "born"} <= {one.kind for one in expected}
    order = np.argsort(np.arange(len(parts)) + rng.uniform(0, 4, len(parts)))
    live = PacketLocalizer(Localizer(plaza()))
    for k in order:
        live.push(parts[k])
    live.finish()
    assert live.localizer.state.happenings() == expected
    with JournaledLocalizer.open(plaza(), tmp_path / "state") as journaled:
        for part in parts[:7]:
            journaled.push(part)
    with JournaledLocalizer.open(plaza(), tmp_path / "state") as journaled:
        for part in parts[7:]:
            journaled.push(part)
        journaled.finish()
        assert journaled.state.happenings() == expected


def test_what_others_tell_keeps_its_place_over_replay_and_restart(tmp_path):
    boxes = plaza_boxes(4.0)
    second = np.floor(boxes.time - boxes.time.min())
    parts = [boxes.take(second == k) for k in range(4)]
    said = Event(float(boxes.time.max()), "camera_silent", 0, why="no frame for 30 s", cameras=("c1",))
    with JournaledLocalizer.open(plaza(), tmp_path / "state") as journaled:
        for part in (parts[0], parts[2]):
            journaled.push(part)
        number = journaled.tell(said).id
        assert number > 0
        journaled.push(parts[1])  # late: windows are replayed
        journaled.push(parts[3])
        journaled.finish()
        events = [one for one in journaled.state.happenings() if one.kind == "camera_silent"]
        assert [one.cameras for one in events] == [("c1",)]
    with JournaledLocalizer.open(plaza(), tmp_path / "state") as journaled:
        assert [one for one in journaled.state.happenings() if one.kind == "camera_silent"] == events


def test_a_clock_that_is_off_is_told_once_and_so_is_that_it_is_right():
    class Clock:
        active, offset = True, 0.0

        def report(self):
            from geoloc.pipeline.clocks import ClockReport

            return [ClockReport("c1", self.offset, 0.0, 0.02, 0.0)]

    site, clock = yard(), Clock()
    happenings, localizer = Happenings(site, HappeningOptions(check_s=1.0)), Localizer(site)
    for k, clock.offset in enumerate((0.0, 0.1, 0.6, 0.6, 0.2, 0.1, 0.0)):
        happenings.look_at_cameras(float(k), clock, localizer.footprint, localizer.identities.lineage)
    events = localizer.identities.lineage.events
    assert [(e.kind, e.time, e.cameras) for e in events] == [("clock_off", 2.0, ("c1",)), ("clock_right", 5.0, ("c1",))]
    assert "0.60 s ahead" in str(events[0])
