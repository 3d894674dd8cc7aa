"""Which objects a query may show, where they are now and where they have been: matches of a gallery, and the state."""

from dataclasses import dataclass

from geoloc.errors import InputError
from geoloc.pipeline.answers import Phase, Place
from geoloc.pipeline.queries import State
from geoloc.retrieval.matches import Match, Matches


@dataclass(frozen=True)
class Stretch:
    """A stretch of time (s) in which an object was the same, say parked, and where it was when that began and ended."""

    start: float
    end: float
    life: str
    first: Place
    last: Place


@dataclass(frozen=True)
class Whereabouts:
    """An object that a query shows with a `probability`: that of all matches that turned out to be it.

    `now` is where it is, or was seen last, and `been` where before, in order of time. Both are empty where the state
    knows nothing of it, and `why` says so.
    """

    object: int
    probability: float
    matches: tuple[Match, ...]
    now: Place | None
    been: tuple[Stretch, ...]
    why: str = ""


def whereabouts(matches: Matches, state: State, site: str) -> tuple[Whereabouts, ...]:
    """Where the objects of `matches` are and were, by the state of the `site`; likeliest first.

    Matches whose numbers turned out to be one object are one. Those without an identity, and other sites', have no
    place.
    """
    found: dict[int, list[tuple[Match, Place]]] = {}
    lost = []
    for match in matches:
        place, why = _place(match, state, site)
        if place is None:
            lost.append(Whereabouts(match.object, match.probability, (match,), None, (), why))
        else:
            found.setdefault(place.object, []).append((match, place))
    known = [_known(number, parts, state) for number, parts in found.items()]
    return tuple(sorted([*known, *lost], key=lambda each: -each.probability))


def numbers_of(object: int, state: State) -> tuple[int, ...]:
    """All numbers that an object had, whichever is asked for: views of it may lie under any; InputError as `where`."""
    number = state.where(object).object
    return tuple(sorted({number, object, *(n for n in state.lineage(number).nodes if _is_now(n, number, state))}))


def _place(match: Match, state: State, site: str) -> tuple[Place | None, str]:
    if match.site not in ("", site):
        return None, f"it is site {match.site!r}'s, whose state was not given"
    if match.object < 0:
        return None, "its identity was not decided"
    try:
        return state.where(match.object), ""
    except InputError as error:
        return None, str(error)


def _known(number: int, parts: list[tuple[Match, Place]], state: State) -> Whereabouts:
    probability = min(sum(match.probability for match, _ in parts), 1.0)
    numbers = {*numbers_of(number, state), *(match.object for match, _ in parts)}
    been = [_stretch(phase, state) for phase in state.phases() if phase.object in numbers]
    been.sort(key=lambda stretch: (stretch.start, stretch.end))
    return Whereabouts(number, probability, tuple(match for match, _ in parts), parts[0][1], tuple(been))


def _is_now(other: int, number: int, state: State) -> bool:
    try:
        return state.where(other).object == number
    except InputError:
        return False


def _stretch(phase: Phase, state: State) -> Stretch:
    first, last = (state.where(phase.object, time) for time in (phase.start, phase.end))
    return Stretch(phase.start, phase.end, phase.life, first, last)
