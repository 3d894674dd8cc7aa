"""Rows from one index into another, of any backend, and into a folder and back.

A folder holds `about.json` and files of rows in the order of their ids. It is complete once `about.json` is there,
which is written last.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import find_files, read_json, write_whole
from geoloc.retrieval.indexes import Index
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.outbox import Batch, read_batch, write_batch
from geoloc.retrieval.where import ANYWHERE, Where

BLOCK = 10_000  # rows in memory at a time


def copy_rows(source: Index, target: Index, where: Where = ANYWHERE) -> int:
    """Add the rows of `source` that `where` keeps to `target`, and return how many; durable and found then.

    InputError where the two hold rows of another kind, or `target` holds one of the ids: nothing is added.
    """
    about_of(source).agreed(about_of(target).written(), "target")
    ids = source.ids(where)
    there = np.intersect1d(ids, target.ids())
    if len(there):
        raise InputError(f"copy: the target holds id {there[0]} already ({len(there)} such); take those from neither")
    for batch in _batches(source, ids):
        target.add(batch.ids, batch.vectors, batch.rows)
    target.flush()
    return len(ids)


def export_rows(index: Index, folder: Path | str, where: Where = ANYWHERE) -> int:
    """Write the rows that `where` keeps to a new folder, and return how many."""
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; give a new folder for the rows")
    index.flush()
    ids = index.ids(where)
    for n, batch in enumerate(_batches(index, ids)):
        write_batch(folder / f"{n:06d}.npz", batch)
    said = about_of(index).written() | {"rows": len(ids)}
    write_whole(folder / "about.json", json.dumps(said, indent=1) + "\n", sync=True)
    return len(ids)


def import_rows(folder: Path | str, index: Index) -> int:
    """Add the rows of such a folder to an index, and return how many; durable and found then."""
    folder = Path(folder)
    said = read_json(folder / "about.json")
    about_of(index).agreed(said, str(folder))
    rows = 0
    for path in find_files(folder, "*.npz", "file of rows") if said["rows"] else []:
        batch = read_batch(path)
        index.add(batch.ids, batch.vectors, batch.rows)
        rows += len(batch)
    index.flush()
    if rows != said["rows"]:
        raise InputError(f"{folder}: holds {rows} rows, about.json says {said['rows']}; are files missing?")
    return rows


def about_of(index: Index) -> About:
    """What rows an index holds."""
    return About(index.dim, index.fields, index.model)


def _batches(index: Index, ids: np.ndarray) -> Iterator[Batch]:
    for start in range(0, len(ids), BLOCK):
        some = ids[start : start + BLOCK]
        vectors, rows = index.read(some)
        yield Batch(some, vectors, rows)
