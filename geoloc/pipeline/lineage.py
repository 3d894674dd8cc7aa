"""What happened on a site, and where identities come from: events, some of them in a graph that can be explained."""

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import networkx as nx

SAID = {
    "born": "{number} is new",
    "recognised": "{others} is {number}, which was lost from sight",
    "merged": "{others} and {number} are one object",
    "split": "{others} is not {number}",
    "undone": "{others} is not {number}: taken back",
    "exchanged": "{others} and {number} were taken for each other",
    "gone": "{number} left through an exit",
    "forgotten": "what stood here was of an object that was forgotten",
}  # what became of identities
TOLD = {
    "arrived": "{number} came through an entrance",
    "entered": "{number} entered {place}",
    "left": "{number} left {place}",
    "parked": "{number} parked{inside}",
    "unparked": "{number} stands{inside} no more",
    "changed_level": "{number} is on level {place}",
    "camera_moved": "camera {camera} has moved",
    "clock_off": "the clock of camera {camera} is off",
    "clock_right": "the clock of camera {camera} is right again",
    "camera_silent": "camera {camera} is silent",
    "camera_back": "camera {camera} is back",
    "withdrawn": "what was told under this id did not happen",
}  # what else happened, see `happenings`


@dataclass(frozen=True)
class Event:
    """What happened to the object `number` (0: to a camera) at `time` (UTC Unix s).

    `kind` is of SAID or TOLD; `others` are the numbers that became part of it or left it; `probability` that it is so,
    `why` in words, and `cameras` that saw it then, or whom it befell. Where it has one, `place` is the zone, stall or
    level, and `level`, `xy` (m) and `sigma` (m; of a clock s; inf: not known) say where the object was. What was said
    from `since` on and before `until` (s; inf: up to this event) was wrong: they were taken for each other, or, where
    the operator took it back, it was the other object that went by this number. `id` counts a site's events from 1 on;
    0: it is in no lineage yet.
    """

    time: float
    kind: str
    number: int
    others: tuple[int, ...] = ()
    probability: float = 1.0
    why: str = ""
    cameras: tuple[str, ...] = ()
    since: float = np.inf
    until: float = np.inf
    id: int = 0
    place: str = ""
    level: str = ""
    xy: tuple[float, ...] = ()
    sigma: float = np.inf

    def was_wrong(self, time: np.ndarray) -> np.ndarray:
        """Whether what was said at times (N,) s was wrong."""
        before = time <= self.time if np.isinf(self.until) else time < self.until
        return np.asarray((time >= self.since) & before)

    def __str__(self) -> str:
        """In words, such as "5 is 3, which was lost from sight: cameras a and b at 10:02:11, 0.4 sigma (p 0.98)"."""
        inside = f" in {self.place}" if self.place else ""
        words = {"number": self.number, "others": _listed(self.others), "place": self.place, "inside": inside}
        words["camera"] = _listed(self.cameras)
        what = (SAID | TOLD)[self.kind].format(**words)
        at = datetime.fromtimestamp(self.time, UTC).strftime("%H:%M:%S")
        seen = f"camera{'s' * (len(self.cameras) > 1)} {words['camera']} " if self.cameras and self.number else ""
        where = f"{seen}at {at}"
        sure = f" (p {self.probability:.2f})" if self.probability < 1.0 else ""
        return f"{what}: {where}{', ' * bool(self.why)}{self.why}{sure}"


class Lineage:
    """The latest events of a site's identities in the order in which they happened."""

    def __init__(self, keep: int = 1000) -> None:
        self.keep = keep
        self.events: list[Event] = []  # the last `keep` ones at least; a site's `State` has older ones
        self.n_events = 0  # since the start

    def __deepcopy__(self, memo: dict[int, object]) -> "Lineage":
        """The list of events is replaced, never changed in place."""
        return copy(self)

    def add(self, event: Event) -> Event:
        """Take note of an event, which gets its `id`."""
        event = replace(event, id=self.n_events + 1)
        room = len(self.events) < 2 * self.keep
        self.events = [*(self.events if room else self.events[1 - self.keep :]), event]
        self.n_events += 1
        return event

    def since(self, n: int) -> list[Event]:
        """The events after the first `n`."""
        return self.events[max(len(self.events) - (self.n_events - n), 0) :] if self.n_events > n else []

    def graph(self) -> "nx.MultiDiGraph":
        """As `lineage_graph`, of the latest events."""
        return lineage_graph(self.events)

    def explain(self, number: int) -> list[str]:
        """What happened to an object, in words, one line an event."""
        return [str(event) for event in self.events if number == event.number or number in event.others]


def lineage_graph(events: Iterable[Event]) -> "nx.MultiDiGraph":
    """Numbers as nodes; an edge from each to the one that it became part of or left, with its `event`."""
    import networkx as nx

    graph = nx.MultiDiGraph()
    for event in events:
        graph.add_node(event.number)
        for other in event.others:
            edge = (event.number, other) if event.kind in ("split", "undone") else (other, event.number)
            graph.add_edge(*edge, event=event)
    return graph


def _listed(items: Iterable[object]) -> str:
    names = [str(item) for item in items]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
