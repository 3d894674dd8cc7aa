"""Where identities come from and what became of them: events in a graph that can be asked, explained and undone."""

from dataclasses import dataclass

import networkx as nx


@dataclass(frozen=True)
class Event:
    """What happened to the object `number` at `time` (UTC Unix s).

    `kind` is born, recognised, merged, split or gone; `others` are the numbers that became part of it or left it;
    `probability` that it is so, and `why` in words.
    """

    time: float
    kind: str
    number: int
    others: tuple[int, ...] = ()
    probability: float = 1.0
    why: str = ""


class Lineage:
    """The events of a site's identities in the order in which they happened."""

    def __init__(self, keep: int = 1000) -> None:
        self.keep = keep
        self.events: list[Event] = []  # the last `keep` ones at least; a site's `State` has older ones
        self.n_events = 0  # since the start

    def add(self, event: Event) -> None:
        """Take note of an event."""
        self.events.append(event)
        self.n_events += 1
        if len(self.events) > 2 * self.keep:
            del self.events[: -self.keep]

    def since(self, n: int) -> list[Event]:
        """The events after the first `n`."""
        return self.events[max(len(self.events) - (self.n_events - n), 0) :] if self.n_events > n else []

    def graph(self) -> nx.DiGraph:
        """Numbers as nodes; an edge from each to the one that it became part of, with `event`."""
        graph = nx.DiGraph()
        for event in self.events:
            graph.add_node(event.number)
            for other in event.others:
                edge = (event.number, other) if event.kind == "split" else (other, event.number)
                graph.add_edge(*edge, event=event)
        return graph
