"""What became of whom, in memory that is bounded."""

from geoloc.pipeline.lineage import Event, Lineage


def test_old_events_are_forgotten_and_new_ones_never_missed() -> None:
    lineage, told, n = Lineage(keep=10), [], 0
    for k in range(500):
        lineage.add(Event(float(k), "born", k))
        if k % 7 == 0:
            told += lineage.since(n)
            n = lineage.n_events
        assert len(lineage.events) <= 20
    assert [event.number for event in told] == list(range(498))
    assert lineage.since(n) == lineage.events[-2:]
