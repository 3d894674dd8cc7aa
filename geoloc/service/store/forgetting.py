"""An object erased: from the engine, its log and snapshots, the store, the gallery and exports; and a look whether any
of it is left.

The look is at bytes: every file below the state's folder is searched for the places where the object was, as the store
and the engine had them (two numbers of 64 bits side by side, either byte first). Nothing else is at the same place to
the last bit.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.pipeline.forgetting import forget_in_engine, numbers_known
from geoloc.pipeline.journal import JournaledLocalizer
from geoloc.retrieval.gallery import Gallery
from geoloc.service.store.queries import family
from geoloc.service.store.store import FORGOTTEN, Store
from geoloc.service.store.writer import StoreWriter

EXPORTS = "exports"  # folder in a state's folder, of files that can be made again
GALLERY = "gallery"
PART = 1 << 24  # bytes that are looked through at a time
MOST_TRACES = 5000


@dataclass(frozen=True)
class Erased:
    """An object that is forgotten, under all the numbers that it had, and what was removed of it where."""

    object: int
    numbers: tuple[int, ...]
    rows: int  # of the store
    keys: int  # of the engine's history
    views: int  # of the gallery
    exports: int  # files
    searched: int  # files that were looked through for `traces` of its places: none is left
    traces: int

    def __str__(self) -> str:
        others = [str(number) for number in self.numbers if number != self.object]
        also = f" (also {', '.join(others)})" if others else ""
        return (
            f"object {self.object}{also} is forgotten: {self.rows} rows of the store, {self.keys} keys of its way, "
            f"{self.views} views, {self.exports} exports; the log was replaced by a snapshot\n"
            f"  {self.searched} files were searched for {self.traces} places where it was: nothing is left"
        )


def forget_live(
    journaled: JournaledLocalizer, number: int, writer: StoreWriter | None, gallery: Path | None = None
) -> Erased:
    """Forget an object, in the engine's thread; InputError where there is none, or something of it is left.

    The store goes first: while it cannot, as it is down, nothing is forgotten. `gallery` is the folder of the site's,
    besides that of the state, if there are any.
    """
    numbers, places = numbers_known(journaled, number)
    own = len(places)
    rows = 0
    if writer is not None:
        every, more = writer.ask(lambda store: _known_to(store, number, numbers))
        numbers, places = tuple(sorted({*numbers, *every})), np.concatenate([places, more])
    if not numbers or (not len(places) and not own):
        raise InputError(f"no object {number} is known here; nothing was forgotten")
    if writer is not None:
        rows = writer.ask(lambda store: _erase(store, numbers))
    forget_in_engine(journaled, numbers, places)
    if writer is not None:
        writer.ask(lambda store: _erase(store, numbers))  # what came meanwhile
    folder = journaled.folder.path
    galleries = {folder / GALLERY, gallery or folder / GALLERY}
    views = sum(_forget_views(one, journaled.localizer.site.name, numbers) for one in galleries)
    exports = _remove_exports(folder / EXPORTS)
    traces = _traces(places)
    searched = _require_gone(folder, number, traces)
    return Erased(number, numbers, rows, own, views, exports, searched, len(traces))


def _known_to(store: Store, number: int, numbers: tuple[int, ...]) -> tuple[tuple[int, ...], np.ndarray]:
    """The object's numbers by the store, and the places (N, 2) m at which it has it."""
    every = {*numbers, *(one for known in (number, *numbers) for one in family(store, known))}
    marks = ", ".join("?" * len(every))
    found = store.database.rows(f"SELECT x, y FROM positions WHERE track IN ({marks}) ORDER BY time", sorted(every))
    if not found and not numbers:
        every = set()
    return tuple(every), np.array(found, float).reshape(-1, 2)


def _erase(store: Store, numbers: tuple[int, ...]) -> int:
    """Remove all rows of the numbers, and all bytes of them; stalls that they took were taken by somebody."""
    marks, given = ", ".join("?" * len(numbers)), list(numbers)
    with store.database.transaction():
        rows = store.database.run(f"DELETE FROM positions WHERE track IN ({marks})", given)
        store.database.run(f"UPDATE occupancy SET object = {FORGOTTEN} WHERE object IN ({marks})", given)
        events = store.database.rows("SELECT id, number, others FROM events")
        wanted = set(numbers)
        mine = [(i,) for i, number, others in events if wanted & {number, *_listed(others)}]
        store.database.run_many("DELETE FROM events WHERE id = ?", mine)
    store.database.reclaim(all_of_it=True)
    return rows


def _listed(text: str) -> list[int]:
    return [int(part) for part in text.strip("[]").split(",") if part.strip()]


def _forget_views(folder: Path, site: str, numbers: tuple[int, ...]) -> int:
    """Forget the object's views in the gallery of the state's folder, where there is one; how many they were."""
    if not folder.is_dir():
        return 0
    gallery = Gallery.open(folder)
    try:
        return sum(gallery.forget(number, site).views for number in numbers if gallery.knows(number, site))
    finally:
        gallery.close()


def _remove_exports(folder: Path) -> int:
    """Remove what was made of the store, all of it: packed forms cannot be looked through; how many files."""
    if not folder.is_dir():
        return 0
    n = sum(path.is_file() for path in folder.rglob("*"))
    shutil.rmtree(folder)
    return n


# ---- the proof


def _traces(places: np.ndarray) -> np.ndarray:
    """Places (N, 2) that can be told by their bytes, MOST_TRACES of them at most, evenly among all."""
    fine = np.isfinite(places).all(axis=1) & (places != np.rint(places)).all(axis=1)
    places = np.unique(places[fine], axis=0)
    return places[np.unique(np.linspace(0, len(places) - 1, min(len(places), MOST_TRACES)).astype(int))]


def find_traces(path: Path, places: np.ndarray) -> int:
    """How many of the places (N, 2) lie in a file as two numbers side by side."""
    found = 0
    for part in _parts(path):
        for kind in ("<f8", ">f8"):
            for shift in range(8):
                values = np.frombuffer(part, kind, (len(part) - shift) // 8, shift)
                at = np.flatnonzero(np.isin(values[:-1], places[:, 0]))
                pairs = {(float(values[k]), float(values[k + 1])) for k in at.tolist()}
                found += len(pairs & set(map(tuple, places.tolist())))
    return found


def _parts(path: Path) -> Iterator[bytes]:
    """A file's bytes in parts that overlap by two numbers."""
    with path.open("rb") as file:
        before = b""
        while more := file.read(PART):
            yield before + more
            before = (before + more)[-16:]


def _require_gone(folder: Path, number: int, places: np.ndarray) -> int:
    """Look through all files; how many they were. InputError that names the first in which something is left."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        left = find_traces(path, places) if len(places) else 0
        if left:
            raise InputError(f"object {number} is not forgotten: {path} holds {left} places where it was; remove it")
    return len(files)
