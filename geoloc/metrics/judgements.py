"""What rankings are judged by, and rankings as they come: labelled items, judgements (TREC's qrels) and runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError


@dataclass(frozen=True, eq=False)
class Labelled:
    """N items of a gallery, or N queries: a `key` of its own each, int `identity` (-1: nobody), and `camera`; (N,)."""

    key: np.ndarray
    identity: np.ndarray
    camera: np.ndarray

    def __post_init__(self) -> None:
        _same_length(self, "key", "identity", "camera")
        if self.identity.dtype.kind not in "iu" and len(self.identity):
            raise InputError(f"identities are {self.identity.dtype}; number them: int, -1 for nobody")
        refuse_twice(self.key, "key")


@dataclass(frozen=True, eq=False)
class Judgements:
    """J judgements, TREC's qrels: how relevant an `item` is to a `query`, by int `grade` (0 or less: not at all)."""

    query: np.ndarray
    item: np.ndarray
    grade: np.ndarray

    def __post_init__(self) -> None:
        _same_length(self, "query", "item", "grade")
        if self.grade.dtype.kind not in "iub" and len(self.grade):
            raise InputError(f"judgements: grades are {self.grade.dtype}; give whole numbers")
        _refuse_pairs(self.query, self.item, "judgements")

    @classmethod
    def from_dict(cls, grades: Mapping[str, Mapping[str, int]]) -> "Judgements":
        """Of `{query: {item: grade}}`."""
        rows = [(query, item, grade) for query, items in grades.items() for item, grade in items.items()]
        return cls(*_columns(rows, int))


@dataclass(frozen=True, eq=False)
class Run:
    """R ranked items: the `score` (greater is better) that an `item` got for a `query`."""

    query: np.ndarray
    item: np.ndarray
    score: np.ndarray

    def __post_init__(self) -> None:
        _same_length(self, "query", "item", "score")
        _refuse_pairs(self.query, self.item, "run")
        if self.score.dtype.kind not in "iuf" and len(self.score):
            raise InputError(f"run: scores are {self.score.dtype}; give numbers, greater for better")
        nan = np.flatnonzero(np.isnan(self.score.astype(float)))
        if len(nan):
            query, item = plain(self.query[nan[0]]), plain(self.item[nan[0]])
            raise InputError(f"run: item {item!r} of query {query!r} has score NaN ({len(nan)} in all); drop them")

    @classmethod
    def from_dict(cls, scores: Mapping[str, Mapping[str, float]]) -> "Run":
        """Of `{query: {item: score}}`."""
        rows = [(query, item, score) for query, items in scores.items() for item, score in items.items()]
        return cls(*_columns(rows, float))

    @classmethod
    def from_lists(cls, query: np.ndarray, candidate: np.ndarray, score: np.ndarray) -> "Run":
        """Of lists: `candidate` (Q, K) with `score` (Q, K) for the `query` (Q,); -1 or "" is no candidate."""
        query, candidate, score = (np.asarray(part) for part in (query, candidate, score))
        check_lists(query, candidate, score)
        there = is_there(candidate)
        return cls(np.repeat(query, candidate.shape[1])[there.ravel()], candidate[there], score[there].astype(float))


def check_lists(query: np.ndarray, candidate: np.ndarray, score: np.ndarray) -> None:
    """InputError unless the shapes are (Q,), (Q, K) and (Q, K), and the scores numbers."""
    if candidate.ndim != 2 or candidate.shape != score.shape or len(candidate) != len(query):
        found = f"{len(query)} queries, candidates {candidate.shape}, scores {score.shape}"
        raise InputError(f"{found}; give (Q,), (Q, K) and (Q, K)")
    if score.dtype.kind not in "iuf" and score.size:
        raise InputError(f"scores are {score.dtype}; give numbers, greater for better")


def is_there(candidate: np.ndarray) -> np.ndarray:
    """Which candidates are some: neither -1 nor ""."""
    return np.asarray(candidate != ("" if candidate.dtype.kind == "U" else -1))


def _columns(rows: Sequence[tuple[str, str, float]], kind: type) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    query, item, number = zip(*rows, strict=True) if rows else ((), (), ())
    values = np.array(number)
    if kind is int and len(values) and values.dtype.kind not in "iub":
        raise InputError(f"judgements: grades are {values.dtype}; give whole numbers")
    return np.array(query, dtype=str), np.array(item, dtype=str), values.astype(kind)


def _same_length(table: object, *names: str) -> None:
    shapes = [np.shape(getattr(table, name)) for name in names]
    if len(set(shapes)) != 1 or len(shapes[0]) != 1:
        raise InputError(f"{type(table).__name__}: {', '.join(names)} have shapes {shapes}; give (N,) each")


def refuse_twice(key: np.ndarray, what: str) -> None:
    """InputError for the first of `key` (N,) that comes more than once."""
    found, count = np.unique(key, return_counts=True)
    if len(found) != len(key):
        raise InputError(f"{what} {plain(found[count > 1][0])!r} comes {count.max()} times; give each once")


def _refuse_pairs(query: np.ndarray, item: np.ndarray, what: str) -> None:
    queries, q = np.unique(query, return_inverse=True)
    items, i = np.unique(item, return_inverse=True)
    key, count = np.unique(q * max(len(items), 1) + i, return_counts=True)
    if len(key) != len(query):
        q0, i0 = divmod(int(key[count > 1][0]), len(items))
        named = f"item {plain(items[i0])!r} of query {plain(queries[q0])!r}"
        raise InputError(f"{what}: {named} comes {count.max()} times; give it once")


def plain(value: np.generic) -> object:
    """An array's value as messages show it."""
    return value.item()
