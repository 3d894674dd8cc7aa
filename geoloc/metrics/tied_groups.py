"""Groups of items of equal score, which have no order: what follows of a random one, or of one that is chosen."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import digamma

from geoloc.metrics.judging import Rankings


@dataclass(frozen=True, eq=False)
class Groups:
    """Tied groups that hold right items, by query and place: `right` ones among `n`, after `before` items.

    `so_far`: right items of the query before the group. All (M,) int.
    """

    query: np.ndarray
    before: np.ndarray
    n: np.ndarray
    right: np.ndarray
    so_far: np.ndarray

    def per_query(self, values: np.ndarray, n_queries: int) -> np.ndarray:
        """Sums of `values` (M,) over the groups of each query."""
        return np.bincount(self.query, values, minlength=n_queries)


def without_ties(rankings: Rankings, ties: str) -> Rankings:
    """The rankings with each tie put into one order: the listed one, or the best or worst for the figures."""
    place = rankings.listed
    if ties != "listed":
        order = np.lexsort((-rankings.grade, rankings.before, rankings.hit_query))
        start = _starts(rankings.hit_query[order], rankings.before[order])
        place = np.empty(len(order), dtype=int)
        place[order] = np.arange(len(order)) - start[np.searchsorted(start, np.arange(len(order)), "right") - 1]
        place = place if ties == "optimistic" else rankings.tied - 1 - place
    before = rankings.before + place
    order = np.lexsort((before, rankings.hit_query))
    zero, one = np.zeros(len(order), dtype=int), np.ones(len(order), dtype=int)
    return replace(rankings, before=before[order], tied=one, listed=zero, grade=rankings.grade[order])


def _starts(query: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Where each tied group starts among hits in order of query and place."""
    change = (np.diff(query, prepend=-1) != 0) | (np.diff(before, prepend=-1) != 0)
    return np.flatnonzero(change)


def tied_groups(rankings: Rankings, least_grade: int) -> Groups:
    """The groups that hold items of at least that grade, which count as right."""
    rows = np.flatnonzero(rankings.grade >= least_grade)
    query, before = rankings.hit_query[rows], rankings.before[rows]
    start = _starts(query, before)
    right = np.diff(start, append=len(rows))
    first_of_query = np.searchsorted(query, query[start], "left")
    return Groups(query[start], before[start], rankings.tied[rows][start], right, start - first_of_query)


def tied_queries(rankings: Rankings) -> np.ndarray:
    """Queries (Q,) bool with a tied group that is not all of one grade."""
    start = _starts(rankings.hit_query, rankings.before)
    if not len(start):
        return np.zeros(len(rankings), dtype=bool)
    hits = np.diff(start, append=len(rankings.grade))
    least, most = np.minimum.reduceat(rankings.grade, start), np.maximum.reduceat(rankings.grade, start)
    mixed = (rankings.tied[start] > hits) | (least != most)
    return np.bincount(rankings.hit_query[start], mixed, minlength=len(rankings)) > 0


def harmonic_between(before: np.ndarray, n: np.ndarray) -> np.ndarray:
    """1 / (before + 1) + ... + 1 / (before + n)."""
    x = before + 1.0
    near = digamma(x + n) - digamma(x)
    # far down a list the difference of digammas loses digits; their asymptotic series is exact there
    far = np.log1p(n / x) + n / (2 * x * (x + n)) + (x**-2 - (x + n) ** -2) / 12
    return np.where(n == 1, 1 / x, np.where(before < 3_000, near, far))


def first_place(n: int, right: int) -> np.ndarray:
    """Chance that the first of `right` items among `n` in random order stands at place 1, 2, ...: (n - right + 1,)."""
    chance = right / (n - np.arange(n - right + 1.0))  # given that none stands before it
    return chance * np.concatenate([[1.0], np.cumprod(1.0 - chance[:-1])])
