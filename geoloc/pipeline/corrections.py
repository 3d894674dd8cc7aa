"""What the operator takes back: two objects that were taken for one are two again, and are not taken for one again."""

from geoloc.errors import InputError
from geoloc.pipeline.echoes import Echoes
from geoloc.pipeline.identity_book import CONFIRMED, OUT_OF_SIGHT, Book, Joined
from geoloc.pipeline.lineage import Event, Lineage


def take_back(book: Book, echoes: Echoes, lineage: Lineage, pair: tuple[int, int], why: str, time: float) -> Event:
    """Of a `pair` of numbers the second is not the first, as was thought: the event that says so, at `time` (s).

    What is shown by the first number since is the second object; the first one is again where it was before that.
    InputError where that was not thought lately, or other things came of it since.
    """
    joined = _last_joined(book, pair)
    number, other = pair
    book.joined = [one for one in book.joined if one is not joined]
    if joined.event.kind == "recognised":
        _part_recognised(book, echoes, joined, number, other)
    else:
        _part_merged(book, echoes, joined, number, other)
    book.tell_apart(number, other)
    since = joined.event.time if joined.event.kind == "recognised" else float("inf")
    return lineage.add(Event(time, "undone", number, (other,), why=why or "the operator says so", since=since))


def to_undo(book: Book, lineage: Lineage, id: int) -> Event:
    """The event of an `id`, which can be taken back; InputError says why another one cannot be."""
    known = {event.id: event for event in (*lineage.events, *(joined.event for joined in book.joined))}
    can = ", ".join(str(joined.event.id) for joined in book.joined if can_be_undone(book, joined.event))
    instead = f"what can be undone: {can}" if can else "nothing can be undone"
    if id not in known:
        raise InputError(f"no event {id} among those that are remembered; {instead}")
    event = known[id]
    if event.kind not in ("recognised", "merged"):
        raise InputError(f"event {id} ({event}) took no two objects for one; {instead}")
    if not any(joined.event == event for joined in book.joined):
        raise InputError(f"event {id} ({event}) was undone, split again, or is too long ago; {instead}")
    last = _about(book, event.number)[-1].event
    if last != event:
        raise InputError(f"undo event {last.id} first ({last}): it was decided after event {id}")
    return event


def can_be_undone(book: Book, event: Event) -> bool:
    """Whether nothing came of a decision since that would have to be taken back before it."""
    about = _about(book, event.number)
    return bool(about) and about[-1].event == event


def _about(book: Book, number: int) -> list[Joined]:
    return [one for one in book.joined if number == one.event.number or number in one.event.others]


def _last_joined(book: Book, pair: tuple[int, int]) -> Joined:
    number, other = pair
    about = _about(book, number)
    mine = [one for one in about if one.event.number == number and other in one.event.others]
    if not mine:
        known = ", ".join(f"({one.event.number}, {one.event.others[0]})" for one in about)
        said = f"what can be: {known}" if known else "nothing of it can be"
        raise InputError(f"that {other} is {number} was not decided lately and cannot be undone; {said}")
    if about[-1] is not mine[-1]:
        later = about[-1].event
        raise InputError(f"undo ({later.number}, {later.others[0]}) first: it was decided after ({number}, {other})")
    return mine[-1]


def _part_recognised(book: Book, echoes: Echoes, joined: Joined, number: int, other: int) -> None:
    """The track that took the number goes on under its own; the identity is lost again, where it was lost."""
    row = book.row_of(number)
    if row >= 0:
        book["number"][row], book["since"][row] = other, book["first_seen"][row]
        book["revision"][row] += 1
    own = int(joined.row["track"][0])  # on which it coasted then
    still = own >= 0 and echoes.owner.get(own) == number
    for track in [track for track, owner in echoes.owner.items() if owner == number]:
        echoes.owner[track] = other
    if still:
        del echoes.owner[own]
    before = joined.row.copy()
    if not still:
        before["track"] = -1
        before["life"][before["life"] == CONFIRMED] = OUT_OF_SIGHT
    book.revive(before, joined.look)


def _part_merged(book: Book, echoes: Echoes, joined: Joined, number: int, other: int) -> None:
    """The track that was an echo is an object again, were it the only one that is left."""
    track, row = int(joined.row["track"][0]), book.row_of(number)
    if echoes.owner.get(track) == number:
        del echoes.owner[track]
        book.revive(joined.row, joined.look)
    elif row >= 0 and book["track"][row] == track:
        book["number"][row] = other
        book["revision"][row] += 1
