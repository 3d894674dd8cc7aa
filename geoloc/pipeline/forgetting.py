"""An object taken out of an engine and of the folder in which its state survives.

Under all the numbers that it had: its tracks, its identity, its ways, what became of it, and the log with its boxes.
The log is not searched for them: a snapshot without the object takes the log's place. What was learned from all objects
together (clocks, offsets, how long ways take) stays.
"""

from copy import deepcopy
from dataclasses import replace

import numpy as np

from geoloc.errors import InputError
from geoloc.pipeline.history import Chunk, History
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.queries import State
from geoloc.pipeline.record_log import part_paths
from geoloc.pipeline.state_folder import StateFolder, chunk_name
from geoloc.pipeline.whereabouts import numbers_of

FORGOTTEN = "forgotten"  # kind of the event that stands where one of a forgotten object was


def numbers_known(journaled: JournaledLocalizer, object: int) -> tuple[tuple[int, ...], np.ndarray]:
    """All numbers that an object had, as far back as the folder reaches, and the places (N, 2) m of its keys.

    No number: nothing is known of it.
    """
    history = deepcopy(journaled.localizer.history)
    number = history.chunks[0].number if history.chunks else history.n_chunks
    history.chunks.extendleft(journaled.folder.chunks_before(number, history.start))
    state = State(history)
    try:
        numbers = numbers_of(object, state)
    except InputError:
        found = {object} if any(object in (event.number, *event.others) for event in state.events()) else set[int]()
        numbers = tuple(found)
    keys = [chunk.keys for chunk in (*history.chunks, history.open_chunk())]
    places = [part["xy"][np.isin(part["number"], numbers)] for part in keys]
    return numbers, np.concatenate([np.zeros((0, 2)), *places])


def forget_in_engine(journaled: JournaledLocalizer, numbers: tuple[int, ...], places: np.ndarray) -> None:
    """Take the object of the `numbers` out; when this returns, neither engine nor folder has it.

    `places` (N, 2) m are those that it is known to have been at. What its cameras see of it from now on is another one.
    """
    journaled.packets.settle()
    gone = np.array(sorted(numbers), dtype=np.int64)
    _forget_live(journaled.localizer, gone, places)
    history = journaled.localizer.history
    _forget_ways(history, gone)
    folder, first = journaled.folder, min((chunk.number for chunk in history.chunks), default=history.n_chunks)
    kept = {chunk_name(chunk) for chunk in history.chunks} | _rewritten(folder, gone, first)
    journaled.save()
    for number in folder.snapshots()[1:]:
        folder.remove(f"snapshot-{number:012d}")
    for path in part_paths(folder.path):
        folder.remove(path.name)
    for name in folder.chunk_names():
        if name not in kept:
            folder.remove(name)


def _forget_live(localizer: Localizer, gone: np.ndarray, places: np.ndarray) -> None:
    """Out of what is followed now, and what may still be decided about it."""
    book, echoes, tracker = localizer.identities.book, localizer.identities.echoes, localizer.tracker
    mine = np.isin(book["number"], gone)
    tracks = set(book["track"][mine].tolist()) - {-1}
    tracks |= {track for track, owner in echoes.owner.items() if owner in gone}
    tracks |= {int(one.row["track"][0]) for one in book.joined if set(gone.tolist()) & _numbers_in(one.event)} - {-1}
    book.strike(mine)
    book.joined = [one for one in book.joined if not set(gone.tolist()) & _numbers_in(one.event)]
    book.apart = {pair for pair in book.apart if not set(pair) & set(gone.tolist())}
    echoes.forget(tracks, gone)
    seen = localizer.points.object
    rows = np.isin(localizer.history.tracks.track, gone)
    objects = localizer.history.tracks.object[rows]
    objects = objects[objects >= 0]
    tracker.forget(tracks)
    localizer.clocks.forget(tracks)
    localizer.footprint.forget(tracks)
    localizer.identities.recognition.transits.forget(places)
    localizer.points = localizer.points.take(~np.isin(seen, objects))
    localizer.objects = localizer.objects.take(~np.isin(localizer.objects.object, objects))
    lineage = localizer.identities.lineage
    lineage.events = [_told_less(event, gone) for event in lineage.events]


def _numbers_in(event: Event) -> set[int]:
    return {event.number, *event.others}


def _told_less(event: Event, gone: np.ndarray) -> Event:
    """An event in whose place another one of its id stands, where it names the object."""
    if not set(gone.tolist()) & _numbers_in(event):
        return event
    return Event(event.time, FORGOTTEN, 0, id=event.id)


def _forget_ways(history: History, gone: np.ndarray) -> None:
    """Out of the ways that the engine holds."""
    history.chunks = type(history.chunks)(_without(chunk, gone) for chunk in history.chunks)
    history.forget(gone)


def _without(chunk: Chunk, gone: np.ndarray) -> Chunk:
    """A chunk without the object; the same one where it is not in it."""
    mine = np.isin(chunk.keys["number"], gone)
    events = tuple(event for event in chunk.events if not set(gone.tolist()) & _numbers_in(event))
    if not mine.any() and len(events) == len(chunk.events):
        return chunk
    return replace(chunk, keys=chunk.keys[~mine], events=events)


def _rewritten(folder: StateFolder, gone: np.ndarray, before: int) -> set[str]:
    """Write the chunks that the engine holds no longer without the object; the names of those that are to stay."""
    kept = set[str]()
    for name in folder.chunk_names():
        chunk = folder.load_chunk(name)
        if chunk.number >= before:
            continue
        other = _without(chunk, gone)
        if other is not chunk:
            folder.save_chunk(other)
        kept.add(chunk_name(other))
    return kept
