"""Searches whose answer a gallery knows by itself: one track is one object, two at one time are two."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.retrieval.likeness import Trials
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.stages import compare, rerank
from geoloc.retrieval.views import bodies_of

QUERIES = 500  # views that are asked for
OTHERS = 250  # objects that each is held against
FEW_QUERIES, FEW_OTHERS = 200, 50
APART_S = 60.0  # s between two views from which on one is like a query that comes later


def trials_of(looks: Looks, rng: np.random.Generator, stages: Sequence[str] = (), few: bool = False) -> Trials:
    """Searches for views among the objects whose answer the looks themselves tell; `few` where stages take long.

    As in a search, an object counts by its most alike view after the `stages` of re-ranking: the same object by those
    `APART_S` away in time, or else of other cameras; others are those that have the same label and were there while
    it was.
    """
    bodies, found = _Bodies.of(looks), []
    n_queries, n_others = (FEW_QUERIES, FEW_OTHERS) if few else (QUERIES, OTHERS)
    for row in rng.permutation(len(looks)).tolist():
        mine, others = bodies.apart_from(row), bodies.beside(int(bodies.of_row[row]))
        if len(mine) and len(others):
            later = bool(np.abs(looks.time[mine] - looks.time[row]).min() >= APART_S)
            drawn = rng.permutation(others)[:n_others].tolist()
            parts = [mine, *(bodies.other(other, row, later) for other in drawn)]
            rows = looks.take(np.concatenate(parts))
            scores = rerank(compare(looks.take(np.array([row])), rows), stages).scores
            starts = np.cumsum([0, *(len(part) for part in parts[:-1])])
            found.append((int(bodies.of_row[row]), np.maximum.reduceat(scores[0], starts)))
        if len(found) == n_queries:
            break
    counts = np.array([len(best) for _, best in found], int)
    query = np.repeat(np.arange(len(found)), counts)
    same = np.diff(query, prepend=-1) > 0
    group = np.repeat(np.array([own for own, _ in found], int), counts)
    cosines = np.concatenate([best for _, best in found]) if found else np.zeros(0)
    return Trials(cosines.astype(float), same, query, group)


@dataclass(frozen=True, eq=False)
class _Bodies:
    """The objects of some looks: which of N rows shows which, and of each object its `rows`, times, label and site."""

    looks: Looks
    of_row: np.ndarray
    rows: list[np.ndarray]
    start: np.ndarray
    end: np.ndarray
    kind: np.ndarray

    @classmethod
    def of(cls, looks: Looks) -> "_Bodies":
        body = bodies_of(looks)
        n = int(body.max(initial=-1)) + 1
        start, end = np.full(n, np.inf), np.full(n, -np.inf)
        np.minimum.at(start, body, looks.time)
        np.maximum.at(end, body, looks.time)
        order = np.argsort(body, kind="stable")
        rows = np.split(order, np.searchsorted(body[order], np.arange(1, n))) if n else []
        names = np.unique(np.char.add(np.char.add(looks.site, "/"), looks.label), return_inverse=True)[1]
        kind: np.ndarray = np.zeros(n, int)
        kind[body] = names
        return cls(looks, body, rows, start, end, kind)

    def apart_from(self, row: int) -> np.ndarray:
        """Rows of the same object from another time, or else by another camera.

        Views of one time are alike by its light too, which no query of later shares.
        """
        mine = self.rows[self.of_row[row]]
        later = self._later(mine, row)
        return later if len(later) else mine[self.looks.camera[mine] != self.looks.camera[row]]

    def other(self, body: int, row: int, later: bool) -> np.ndarray:
        """Rows of another object by the same rule, as far as it has such."""
        rows = self.rows[body]
        apart = self._later(rows, row) if later else rows[self.looks.camera[rows] != self.looks.camera[row]]
        return apart if len(apart) else rows

    def _later(self, rows: np.ndarray, row: int) -> np.ndarray:
        return rows[np.abs(self.looks.time[rows] - self.looks.time[row]) >= APART_S]

    def beside(self, own: int) -> np.ndarray:
        """Objects of the same label that were there while one was, and so are not that one."""
        there = (self.start <= self.end[own]) & (self.end >= self.start[own]) & (self.kind == self.kind[own])
        there[own] = False
        return np.flatnonzero(there)
