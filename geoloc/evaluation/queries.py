"""What reports on queries share: intervals over queries, pairing with another run's, names that do not match."""

import difflib
from collections.abc import Sequence

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.measures import Blocks
from geoloc.evaluation.report import NO_INTERVAL, Figure

MOST_BLOCKS = 1000  # more queries are drawn in so many groups: the interval is the same, its cost is not


def query_blocks(n: int) -> tuple[Blocks, str]:
    """Blocks of N queries that do not depend on each other, and what a protocol says of intervals over them."""
    if n <= MOST_BLOCKS:
        return Blocks(np.arange(n), n), "bootstrap over queries"
    return Blocks(np.arange(n) % MOST_BLOCKS, MOST_BLOCKS), f"bootstrap over {MOST_BLOCKS} groups of queries"


def bare_figure(recording: str, part: str, name: str, value: float, unit: str, protocol: str) -> Figure:
    """A figure without an interval: a count, or a value of one query."""
    low, high = NO_INTERVAL
    return Figure(recording, part, name, float(value), low, high, unit, protocol)


def match_names(names: np.ndarray, known: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows (M,) of `names` (N,) that are `known` (K,), the row of each in `known`, and a warning of the others.

    InputError, with the nearest known name, where none is; `what` the names are of.
    """
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known, names, sorter=order), len(known) - 1)]
    good = known[place] == names
    if good.all():
        return np.arange(len(names)), place, []
    bad = names[~good]
    told = f"{len(bad)} of the {len(names)} {what} are not in the truth; {_nearest(str(bad[0]), known.tolist())}"
    if not good.any():
        raise InputError(f"{told}. Give both the same names")
    return np.flatnonzero(good), place[good], [f"{told}: they are left out"]


def _nearest(name: str, known: Sequence[str]) -> str:
    short = [other for other in known if other.rsplit("/", 1)[-1] == name.rsplit("/", 1)[-1]]
    if short:
        return f"{name!r} is its {short[0]!r} but for the folder: compare both with without_folders()"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return f"the truth's nearest to {name!r} is {near[0]!r}"
