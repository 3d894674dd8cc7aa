"""Where the objects of an answer are: those that turned out to be one are one, and what is not known is said."""

from dataclasses import replace

import networkx as nx
import pytest

from geoloc.errors import InputError
from geoloc.pipeline.answers import Phase, Place, Provenance
from geoloc.pipeline.whereabouts import numbers_of, whereabouts
from geoloc.retrieval.matches import Match, Matches, Reason

MATCH = Match(
    "yard", 3, 3, 0.5, 0.9, 11, "gate", 100.0, "ground", (1.0, 2.0), 0.1, "car", "red", 4, (Reason("looks", 2.0, "so"),)
)


class Known:
    """A state in which 3 became 8, 8 is parked since 200 s, and 5 is not known."""

    became = {3: 8, 8: 8, 4: 4}  # noqa: RUF012

    def where(self, object: int, time: float | None = None) -> Place:
        if object not in self.became:
            raise InputError(f"no object {object} was there")
        told = ("3 was recognised as 8",) if object == 3 else ()
        told_by = Provenance(("gate",), "cal", 300.0, 0.0, 0)
        at = 300.0 if time is None else time
        final = self.became[object]
        where = "ground", (at, 0.0), 0.0, (0.1, 0, 0.1), 0.3
        return Place(final, object, at, *where, "car", "parked", 1.0, told, told_by)

    def lineage(self, object: int) -> nx.MultiDiGraph:
        return nx.MultiDiGraph([(3, 8), (5, 8)]) if object == 8 else nx.MultiDiGraph([(4, 4)])

    def phases(self) -> tuple[Phase, ...]:
        spans = ((8, 200.0, 300.0), (3, 100.0, 150.0), (4, 0.0, 9.0))
        return tuple(Phase(number, start, end, "parked", "car") for number, start, end in spans)


def answer(*matches: Match) -> Matches:
    return Matches(matches, 0.1, 0.0, 9, "")


def test_matches_that_turned_out_to_be_one_object_are_one() -> None:
    later = replace(MATCH, object=8, track=8, probability=0.3)
    found = whereabouts(answer(MATCH, later), Known(), "yard")
    assert [(each.object, each.probability) for each in found] == [(8, pytest.approx(0.8))]
    assert found[0].now is not None
    assert found[0].now.xy == (300.0, 0.0)
    assert [(stretch.start, stretch.end) for stretch in found[0].been] == [(100.0, 150.0), (200.0, 300.0)]
    assert found[0].been[0].first.xy == (100.0, 0.0)


def test_what_the_state_does_not_know_is_said() -> None:
    unknown = replace(MATCH, object=5, probability=0.9)
    elsewhere, open_ = replace(MATCH, site="port"), replace(MATCH, object=-1)
    found = whereabouts(answer(unknown, elsewhere, open_), Known(), "yard")
    assert [each.now for each in found] == [None, None, None]
    assert "no object 5" in found[0].why
    assert {each.why for each in found[1:]} == {
        "it is site 'port''s, whose state was not given", "its identity was not decided"
    }  # fmt: skip


def test_an_object_is_known_by_all_the_numbers_that_it_had() -> None:
    assert numbers_of(3, Known()) == numbers_of(8, Known()) == (3, 8)
    with pytest.raises(InputError, match="no object 5"):
        numbers_of(5, Known())
