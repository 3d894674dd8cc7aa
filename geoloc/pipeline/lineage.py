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

    def __init__(self) -> None:
        self.events: list[Event] = []

    def add(self, event: Event) -> None:
        """Take note of an event."""
        self.events.append(event)

    def graph(self) -> nx.DiGraph:
        """Numbers as nodes; an edge from each to the one that it became part of, with `event`."""
        graph = nx.DiGraph()
        for event in self.events:
            graph.add_node(event.number)
            for other in event.others:
                edge = (event.number, other) if event.kind == "split" else (other, event.number)
                graph.add_edge(*edge, event=event)
        return graph
