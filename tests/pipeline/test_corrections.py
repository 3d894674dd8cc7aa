"""What the operator takes back: two objects are two again, in the answers too, and stay so."""

import numpy as np
import pytest
from parking import OPTIONS, START, lot
from sites import camera, feet_seen

from geoloc.errors import InputError
from geoloc.options import merge_options
from geoloc.pipeline.corrections import can_be_undone, to_undo
from geoloc.pipeline.identity_book import Book, Joined
from geoloc.pipeline.lineage import SAID, Event, Lineage
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.packets import PacketLocalizer, packets_of
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

STEP = 0.2  # s
LEAVES, COMES, ENDS = 6.0, 13.0, 24.0  # s: the cameras go dark, they are back, the end
ASKED = 19.0  # s
FIRST, SECOND, FAR = (3.0, 4.0, 0.0), (3.2, 4.1, 0.0), (80.0, 80.0, 0.0)  # m
DARK = merge_options(OPTIONS, {"heard_s": 0.0})  # who says nothing has seen nothing


@pytest.fixture(scope="module")
def site() -> Site:
    return watched()


def watched() -> Site:
    """The lot, and a camera that watches something else."""
    plain = lot()
    return Site("lot", (*plain.cameras, camera("E", (70.0, 70.0, 5.0), FAR)), plain.site_map)


def windows(until: float = ENDS, since: float = 0.0) -> list[Detections]:
    """A car stands until four cameras go dark; when they are back, another one stands where it stood."""
    site, rng, found = watched(), np.random.default_rng(3), []
    for k in range(int(ENDS / STEP)):
        time = k * STEP
        xyz = np.array([FIRST if time < LEAVES else SECOND, FAR])
        seen = feet_seen(site, xyz, START + time, rng, sigma_px=2.0, label="car")
        seen = seen.replace(id=1000 * k + np.arange(len(seen)))
        found.append(seen.take(seen.camera == "E") if LEAVES <= time < COMES else seen)
    return [window for window in found if since <= window.time[0] - START + 1e-6 < until]


def mixed_up(localizer: Localizer, until: float = ASKED) -> tuple[int, int]:
    """The engine takes the second car for the first: both numbers."""
    for window in windows(until):
        localizer.step(window)
    events = [event for event in localizer.identities.lineage.events if event.kind == "recognised"]
    assert len(events) == 1
    return events[0].number, events[0].others[0]


def finish(localizer: Localizer, since: float = ASKED) -> None:
    for window in windows(since=since):
        localizer.step(window)


def test_what_was_recognised_wrongly_is_two_objects_again(site: Site) -> None:
    localizer = Localizer(site, DARK)
    first, second = mixed_up(localizer)
    assert localizer.state.where(second).object == first
    event = localizer.undo(first, second, "the first one is red")
    assert str(event).startswith(f"{second} is not {first}: taken back: at 22:13:38")
    assert str(event).endswith("the first one is red")
    finish(localizer)
    state = localizer.state
    assert state.where(second).object == second
    assert state.where(second).life == "parked"
    assert [place.object for place in state.at() if place.xy[0] < 20 and place.life != "hidden"] == [second]
    told = [one.kind for one in localizer.identities.lineage.events if first in (one.number, *one.others)]
    assert [kind for kind in told if kind in SAID][-1] == "undone"


def test_answers_about_before_know_which_was_which(site: Site) -> None:
    localizer = Localizer(site, DARK)
    first, second = mixed_up(localizer)
    localizer.undo(first, second)
    at_once = localizer.state
    finish(localizer)
    for state in (at_once, localizer.state):
        place, lost = state.where(second, START + 17.0), state.where(first, START + 17.0)
        assert (place.object, place.asked) == (second, second)
        assert place.life in ("confirmed", "parked")
        assert lost.object == first
        assert lost.provenance.age > 10.0  # it was seen last in second 6
        stays = {stay.object: stay for stay in state.who_was_in("A1")}
        assert stays[first].start < START + 1.0
        assert stays[second].start > START + COMES - 0.5


def test_they_are_not_taken_for_one_again(site: Site) -> None:
    localizer = Localizer(site, DARK)
    first, second = mixed_up(localizer, until=16.0)
    localizer.undo(first, second)
    finish(localizer, since=16.0)
    events = [event.kind for event in localizer.identities.lineage.events if first in (event.number, *event.others)]
    assert events.count("recognised") == 1
    assert localizer.state.where(second).object == second


def test_lineage_in_words_and_as_a_graph(site: Site) -> None:
    localizer = Localizer(site, DARK)
    first, second = mixed_up(localizer)
    localizer.undo(first, second)
    finish(localizer)
    graph = localizer.state.lineage(second)
    assert graph.has_edge(second, first)
    assert graph.has_edge(first, second)
    assert [data["event"].kind for _, _, data in graph.edges(data=True)].count("undone") == 1
    assert f"{second} is {first}, which was lost from sight" in str(localizer.state.events(second)[0])
    with pytest.raises(InputError, match="no object 77 was there"):
        localizer.state.lineage(77)


def test_what_was_not_decided_cannot_be_taken_back(site: Site) -> None:
    localizer = Localizer(site, DARK)
    first, second = mixed_up(localizer)
    with pytest.raises(InputError, match=rf"that 99 is {first} was not decided lately.*\({first}, {second}\)"):
        localizer.undo(first, 99)
    localizer.undo(first, second)
    with pytest.raises(InputError, match="was not decided lately and cannot be undone; nothing of it can be"):
        localizer.undo(first, second)


def test_late_packets_do_not_bring_back_what_was_taken_back(site: Site) -> None:
    frames = [frame for window in windows() for frame in packets_of(window)]
    late = [k for k, frame in enumerate(frames) if frame.camera[0] == "B" and START + 16 < frame.time[0] < START + 18]
    before = [k for k, frame in enumerate(frames) if frame.time[0] < START + ASKED and k not in late]
    after = [k for k, frame in enumerate(frames) if frame.time[0] >= START + ASKED]
    live = PacketLocalizer(Localizer(site, merge_options(DARK, {"packets": {"wait_s": 0.1}})))
    for k in before:
        live.push(frames[k])
    events = [event for event in live.localizer.identities.lineage.events if event.kind == "recognised"]
    first, second = events[0].number, events[0].others[0]
    live.undo(first, second)
    for k in (*late, *after):
        live.push(frames[k])
    live.finish()
    assert live.counts["windows replayed"] > 10
    assert live.localizer.state.where(second).object == second
    kinds = [event.kind for event in live.localizer.identities.lineage.events if event.number == first]
    assert kinds.count("undone") == 1


def test_what_came_of_a_decision_is_undone_before_it() -> None:
    book, lineage = Book(lot()), Lineage()
    row, look = np.zeros(1, book.rows.dtype), np.zeros((1, 0), dtype=np.float32)
    told = [Event(START + k, "recognised", *pair) for k, pair in enumerate([(3, (5,)), (2, (3,)), (7, (8,))])]
    told = [lineage.add(event) for event in told]
    book.joined = [Joined(event, row, look) for event in told]
    assert [event.id for event in told if can_be_undone(book, event)] == [2, 3]
    assert to_undo(book, lineage, 2) == told[1]
    with pytest.raises(InputError, match=r"undo event 2 first \(3 is 2, .*: it was decided after event 1"):
        to_undo(book, lineage, 1)
