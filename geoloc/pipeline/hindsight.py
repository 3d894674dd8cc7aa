"""A recording's answers with the identities that proved right a little later; see `pipeline.decisions`."""

from collections.abc import Iterable

import numpy as np

from geoloc.pipeline.lineage import Event, Lineage
from geoloc.scene.tables import Tracks


def with_hindsight(steps: Iterable[Tracks], lineage: Lineage) -> list[Tracks]:
    """The tracks of each window of `steps`, which fill the `lineage` of their engine.

    Where two objects had been taken for each other, the windows meanwhile have their numbers exchanged.
    """
    tables: list[Tracks] = []
    told = lineage.n_events
    for table in steps:
        tables.append(table)
        _correct(tables, lineage.since(told))
        told = lineage.n_events
    _correct(tables, lineage.since(told))
    return tables


def _correct(tables: list[Tracks], events: list[Event]) -> None:
    for event in events:
        if event.kind == "exchanged":
            _exchange(tables, event)


def _exchange(tables: list[Tracks], event: Event) -> None:
    k, other = len(tables), event.others[0]
    while k and (not len(tables[k - 1]) or tables[k - 1].time[0] >= event.since):
        k -= 1
        table = tables[k]
        if not len(table) or not event.was_wrong(table.time[0]):
            continue
        number = table.track
        swapped = np.where(number == event.number, other, np.where(number == other, event.number, number))
        tables[k] = table.revised(track=swapped)
