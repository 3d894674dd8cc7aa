"""Whether anything is left of an object that was forgotten: every index is asked, every file is looked through."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.retrieval.gallery_folder import GalleryFolder, IndexPlace
from geoloc.retrieval.indexes import Index
from geoloc.retrieval.looks import Looks, fields_of
from geoloc.retrieval.where import Where

NEIGHBOURS = 10  # answers to a forgotten view's own vector, among which it must not be


@dataclass(frozen=True)
class Checked:
    """A place where views of an object might be left: how it was looked through, and what was `left` there."""

    place: str
    how: str
    left: int


@dataclass(frozen=True)
class Forgotten:
    """An object of a site of which `views` were held, and the places that were looked through: nothing is left."""

    object: int
    site: str
    views: int
    checked: tuple[Checked, ...]

    def __str__(self) -> str:
        lines = [f"object {self.object} of site {self.site!r}: {self.views} views forgotten, nothing is left"]
        return "\n".join([*lines, *(f"  {one.place}: {one.how}: {one.left} left" for one in self.checked)])


def one_site(object: int, site: str | None, views: Looks) -> str:
    """The site whose object is meant, of views (N rows) of all that have its number; InputError where that is open."""
    sites = sorted(set(views.site.tolist()))
    if site is not None:
        if site not in sites:
            known = ", ".join(sites) or "none"
            raise InputError(f"gallery: no object {object} of site {site!r}; sites that have one: {known}")
        return site
    if not sites:
        raise InputError(f"gallery: no object {object}; nothing was forgotten")
    if len(sites) > 1:
        raise InputError(f"gallery: object {object} is one of each of {', '.join(sites)}; say which site's")
    return sites[0]


def prove_gone(
    object: int,
    site: str,
    ids: np.ndarray,
    known: Looks,
    where: Where,
    indexes: Sequence[Index],
    places: Sequence[IndexPlace],
    folder: GalleryFolder | None,
) -> Forgotten:
    """Look whether views `known`, held under `ids` (M,), are left where `where` finds them, or anywhere in files.

    InputError that names the first place in which something is.
    """
    checked = []
    for number, (index, place) in enumerate(zip(indexes, places, strict=True)):
        name = f"index {number}, {place.name}" + (f" at {place.place}" if place.place else "")
        asked = np.union1d(index.ids(where), index.ids(Where().ids(ids)))
        checked.append(Checked(name, "asked for the object and for its views' ids", len(asked)))
        found = index.search(known.vector, NEIGHBOURS).ids if len(known) else np.zeros((0, 0), int)
        checked.append(Checked(name, "searched with its own vectors", int(np.isin(found, ids).sum())))
    if folder is not None:
        checked.append(Checked("crops", "listed", len(np.intersect1d(folder.crops(), ids))))
        for name in folder.snapshots():
            looks = folder.read_snapshot(name)
            left = where.holds({"id": looks.id, **fields_of(looks)})
            checked.append(Checked(f"snapshot {name}", "read again", int(left.sum())))
        traces = folder.traces(known.vector)
        checked.append(Checked(f"all files in {folder.path}", "searched for the vectors' bytes", len(traces)))
        _refuse(object, [_named(traces, checked[-1]), *checked])
    _refuse(object, checked)
    return Forgotten(object, site, len(ids), tuple(checked))


def _named(traces: list[str], one: Checked) -> Checked:
    """A check that names the first file in which something was found."""
    return Checked(traces[0] if traces else one.place, one.how, one.left)


def _refuse(object: int, checked: Sequence[Checked]) -> None:
    left = next((one for one in checked if one.left), None)
    if left is not None:
        raise InputError(f"gallery: object {object} is not forgotten: {left.place}, {left.how}: {left.left} left")
