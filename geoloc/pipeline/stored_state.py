"""What a state's folder holds, read while another process may be at work in it; nothing there is changed."""

from collections.abc import Iterator
from pathlib import Path

from geoloc.errors import InputError
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.pipeline.journal_options import JournalOptions
from geoloc.pipeline.localizer import Localizer
from geoloc.pipeline.packets import Answer
from geoloc.pipeline.queries import State
from geoloc.pipeline.state_folder import StateFolder
from geoloc.scene.site import Site

TRIES = 5  # of reading a folder in which another process is at work


def answers_behind(site: Site, folder: str | Path, record: int) -> Iterator[tuple[int, list[Answer], Localizer]]:
    """What was said behind a `record` of a state's folder, in which another process may be at work, by its log.

    Each record's number, answers, and the engine then. InputError where the log does not reach back so far.
    """
    journaled = JournaledLocalizer(StateFolder.find(Path(folder), site), JournalOptions())
    for answers in journaled.restored(write=False, after=record):
        if journaled.number > record:
            yield journaled.number, answers, journaled.localizer


def load_state(site: Site, folder: str | Path) -> State:
    """Answers from a state's folder, as far back as it reaches; nothing in it is changed, and it may be at work.

    It answers by the calibration and map that it was made with. InputError where it is of another site, or damaged.
    """
    return load_engine(site, folder).state


def load_engine(site: Site, folder: str | Path) -> Localizer:
    """A copy of the engine whose state is in a folder; see `load_state`."""
    path = Path(folder)
    for left in reversed(range(TRIES)):
        found = StateFolder.find(path, site)
        before = found.snapshots()
        try:
            return _read(found)
        except (InputError, OSError):
            # a process that is at work here may have removed what was about to be read
            if not left or found.snapshots() == before:
                raise
    raise InputError(f"{path}: is changing too fast to be read; ask again")


def _read(folder: StateFolder) -> Localizer:
    journaled = JournaledLocalizer(folder, JournalOptions())
    journaled.restore(write=False)
    history = journaled.localizer.history
    number = history.chunks[0].number if history.chunks else history.n_chunks
    history.chunks.extendleft(folder.chunks_before(number, history.start))
    return journaled.localizer
