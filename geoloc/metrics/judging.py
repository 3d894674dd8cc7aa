"""Rankings held against the truth: where each right item stands, which is all that ranking figures need.

A ranking comes as rows of scores (a whole gallery), as lists of the best K, or as a run with judgements (TREC).
What is kept of it grows with the number of right items, not with the gallery: rows are read one at a time, so a
generator of rows serves as well as a (Q, G) array, and distances are judged by `(-row for row in distance)`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.metrics.judgements import Judgements, Labelled, Run, check_lists, is_there, plain, refuse_twice

JUNK = -1  # the grade of an item that counts neither for nor against a ranking: it is taken out of it
NOBODY = -1  # the identity of a gallery item that is junk to every query, Market-1501's convention

# Which gallery items are junk to a query; see `judge_identities`.
PROTOCOLS = ("cross_camera", "any_camera", "leave_one_out")


@dataclass(frozen=True, eq=False)
class Rankings:
    """Judged rankings of Q queries: H right items that they hold among all T right ones. Junk is taken out.

    Per query (Q,): `query` its name, `length` how many items it ranks, `n_junk` how many were taken out.
    Per right item that is ranked (H,), by query and place: `hit_query` the index of its query, `before` how many
    items have a better score, `tied` how many have its score (itself too), `listed` how many of these are listed
    before it, `grade` > 0. Per right item, ranked or not (T,): `truth_query`, `truth_grade`.
    `unknown`: names of ranked queries that the truth does not know; they are not among the Q.
    """

    query: np.ndarray
    length: np.ndarray
    n_junk: np.ndarray
    hit_query: np.ndarray
    before: np.ndarray
    tied: np.ndarray
    listed: np.ndarray
    grade: np.ndarray
    truth_query: np.ndarray
    truth_grade: np.ndarray
    unknown: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.query)


def judge_rows(query: np.ndarray, scores: Iterable[np.ndarray], grades: Iterable[np.ndarray]) -> Rankings:
    """Rows of `scores` (G,) over a whole gallery with their `grades` (G,) int: JUNK, 0 wrong, 1 or more right.

    One row a query (Q,), so (Q, G) arrays will do. InputError for NaN and for rows that do not fit together.
    """
    query = np.asarray(query)
    judge = _Judge(query)
    for name, score, grade in _in_step(query, scores, grades):
        judge.add(name, score, grade, grade[grade > 0])
    return judge.rankings()


def judge_lists(query: np.ndarray, scores: np.ndarray, grades: np.ndarray, n_relevant: np.ndarray) -> Rankings:
    """Lists of the best K: `scores` (Q, K), `grades` (Q, K) JUNK, 0 or 1, and how many are right in all, (Q,).

    A list shorter than K is filled up with JUNK, whatever its score. Right items beyond the list are never found:
    they count in the denominators. Graded truth goes through `judge_run`.
    """
    query, n_relevant = np.asarray(query), np.asarray(n_relevant)
    if n_relevant.shape != query.shape or n_relevant.dtype.kind not in "iu":
        counts = f"n_relevant {n_relevant.shape} {n_relevant.dtype}"
        raise InputError(f"{len(query)} queries, {counts}; give one whole number a query")
    judge = _Judge(query)
    rows = _in_step(query, scores, grades)
    for (name, score, grade), n in zip(rows, n_relevant.tolist(), strict=True):
        found = int((grade > 0).sum())
        if grade.max(initial=0) > 1 or found > n:
            said = f"grades up to {grade.max(initial=0)}, {found} right of {n}"
            raise InputError(f"query {name!r}: {said}; give grades -1, 0, 1 and the number of all that are right")
        judge.add(name, score, grade, np.ones(n, dtype=int))
    return judge.rankings()


def judge_identities(
    scores: Iterable[np.ndarray], query: Labelled, gallery: Labelled, protocol: str = "cross_camera"
) -> Rankings:
    """Rows of `scores` (G,), one a query, judged by identity: right is what bears the query's.

    Protocols: "cross_camera", of Market-1501 (Zheng et al. 2015) and VeRi-776: the query's identity
    in the query's camera is junk. "any_camera": nothing more is junk. "leave_one_out": the item with the query's
    key is junk, for galleries that hold their queries. Items of nobody (-1) are junk in all of them.
    """
    grades = (_identity_grades(query, i, gallery, protocol) for i in range(len(query.key)))
    return judge_rows(query.key, scores, grades)


def judge_search(
    candidate: np.ndarray, scores: np.ndarray, query: Labelled, gallery: Labelled, protocol: str = "cross_camera"
) -> Rankings:
    """What a search gave, `candidate` keys (Q, K) of the gallery with `scores` (Q, K), judged as `judge_identities`.

    -1 or "" is no candidate. Right items beyond the K count in the denominators.
    """
    candidate, scores = np.asarray(candidate), np.asarray(scores)
    check_lists(query.key, candidate, scores)
    if not len(gallery.key):
        raise InputError("the gallery is empty; there is nothing that a search could have found")
    order = np.argsort(gallery.key)
    judge = _Judge(query.key)
    for i, name in enumerate(query.key.tolist()):
        grade = _identity_grades(query, i, gallery, protocol)
        there = is_there(candidate[i])
        rows = _rows_of(candidate[i][there], gallery.key, order, name)
        judge.add(name, scores[i][there], grade[rows], grade[grade > 0])
    return judge.rankings()


def judge_run(truth: Judgements, run: Run) -> Rankings:
    """A run held against judgements, as trec_eval does: what is not judged is wrong.

    Ties are listed by item, descending. The Q queries are those of the truth; what the run lacks is an empty ranking.
    trec_eval holds scores as 32-bit floats: where it alone sees ties, round the scores to float32 first.
    """
    names, truth_query = np.unique(truth.query, return_inverse=True)
    known = _known_queries(names, run.query)
    run_query = np.searchsorted(names, run.query[known])
    items, number = np.unique(np.concatenate([truth.item, run.item[known]]), return_inverse=True)
    truth_key = truth_query * len(items) + number[: len(truth_query)]
    order = np.lexsort((-number[len(truth_query) :], run_query))
    run_query, score = run_query[order], run.score[known][order]
    run_key = run_query * len(items) + number[len(truth_query) :][order]
    by_key = np.argsort(truth_key)
    truth_key, truth_grade = truth_key[by_key], np.maximum(truth.grade[by_key], 0)
    place = np.minimum(np.searchsorted(truth_key, run_key), len(truth_key) - 1)
    grade = np.where(truth_key[place] == run_key, truth_grade[place], 0)
    run_cuts = np.searchsorted(run_query, np.arange(len(names) + 1))
    truth_cuts = np.searchsorted(truth_query[by_key], np.arange(len(names) + 1))
    judge = _Judge(names)
    for q, name in enumerate(names.tolist()):
        rows, right = slice(*run_cuts[q : q + 2]), truth_grade[slice(*truth_cuts[q : q + 2])]
        judge.add(name, score[rows], grade[rows], right[right > 0])
    return judge.rankings(tuple(map(str, np.unique(run.query[~known]).tolist())))


class _Judge:
    """Collects judged rankings query by query, in the order of `query`."""

    def __init__(self, query: np.ndarray) -> None:
        refuse_twice(query, "query")
        self._query = query
        self._sizes: list[tuple[int, int, int, int]] = []  # length, junk, hits and right items of each query
        self._hits: list[np.ndarray] = [np.empty((4, 0), dtype=int)]
        self._right: list[np.ndarray] = [np.empty(0, dtype=int)]

    def add(self, name: object, score: np.ndarray, grade: np.ndarray, right: np.ndarray) -> None:
        """The next query's items (N,), and the grades (T,) of all that are right for it."""
        kept = grade >= 0
        score, grade = score[kept], grade[kept]
        if np.isnan(score).any():
            raise InputError(f"query {name!r}: {int(np.isnan(score).sum())} scores are NaN; drop or mend them")
        hits = _places(score, grade)
        self._hits.append(hits)
        self._right.append(right)
        self._sizes.append((len(score), int((~kept).sum()), hits.shape[1], len(right)))

    def rankings(self, unknown: tuple[str, ...] = ()) -> Rankings:
        """All that was added."""
        length, junk, n_hits, n_right = np.array(self._sizes, dtype=int).reshape(-1, 4).T
        number = np.arange(len(self._query))
        before, tied, listed, grade = np.concatenate(self._hits, axis=1)
        return Rankings(
            query=self._query,
            length=length,
            n_junk=junk,
            hit_query=np.repeat(number, n_hits),
            before=before,
            tied=tied,
            listed=listed,
            grade=grade,
            truth_query=np.repeat(number, n_right),
            truth_grade=np.concatenate(self._right).astype(int),
            unknown=unknown,
        )


def _places(score: np.ndarray, grade: np.ndarray) -> np.ndarray:
    """Rows before, tied, listed, grade of the right ones of N items, best place first: (4, H) int."""
    hits = np.flatnonzero(grade > 0)
    ordered = np.sort(score)
    low, high = (np.searchsorted(ordered, score[hits], side) for side in ("left", "right"))
    before, tied = len(score) - high, high - low
    listed = np.zeros(len(hits), dtype=int)
    if (tied > 1).any():
        place = np.empty(len(score), dtype=int)
        # turned round twice, a stable sort goes down the scores with ties as they are listed
        place[len(score) - 1 - np.argsort(score[::-1], kind="stable")[::-1]] = np.arange(len(score))
        listed = place[hits] - before
    out = np.stack([before, tied, listed, grade[hits].astype(int)])
    return out[:, np.lexsort((listed, before))]


def _identity_grades(query: Labelled, i: int, gallery: Labelled, protocol: str) -> np.ndarray:
    """Grades (G,) of the gallery for query `i`: JUNK, 0 or 1."""
    same = gallery.identity == query.identity[i]
    grade = same.astype(np.int8)
    if protocol == "cross_camera":
        grade[same & (gallery.camera == query.camera[i])] = JUNK
    elif protocol == "leave_one_out":
        grade[gallery.key == query.key[i]] = JUNK
    elif protocol != "any_camera":
        raise unknown_name("protocol", protocol, PROTOCOLS)
    grade[gallery.identity == NOBODY] = JUNK
    return grade


def _rows_of(key: np.ndarray, keys: np.ndarray, order: np.ndarray, name: object) -> np.ndarray:
    """The gallery rows of a query's candidates (K,); `order` sorts the gallery's `keys`."""
    if (key.dtype.kind == "U") != (keys.dtype.kind == "U"):
        raise InputError(f"query {name!r}: candidates {key.dtype}, keys of the gallery {keys.dtype}; give the same")
    place = np.minimum(np.searchsorted(keys, key, sorter=order), len(keys) - 1)
    strange = np.flatnonzero(keys[order[place]] != key)
    if len(strange):
        found = plain(key[strange[0]])
        raise InputError(f"query {name!r}: candidate {found!r} is not in the gallery ({len(strange)} of {len(key)})")
    refuse_twice(key, f"candidate of query {name!r}")
    return order[place]


def _in_step(
    query: np.ndarray, scores: Iterable[np.ndarray], grades: Iterable[np.ndarray]
) -> Iterable[tuple[object, np.ndarray, np.ndarray]]:
    """Name, scores and grades of each query; InputError where there are not as many of each."""
    for name, score, grade in zip_longest(query.tolist(), scores, grades):
        if name is None or score is None or grade is None:
            raise InputError(f"{len(query)} queries; give as many rows of scores and as many of grades")
        score, grade = np.asarray(score), np.asarray(grade)
        if score.shape != grade.shape or score.ndim != 1:
            raise InputError(f"query {name!r}: scores {score.shape}, grades {grade.shape}; give (G,) each")
        if score.dtype.kind not in "iufb" or grade.dtype.kind not in "iub":
            raise InputError(f"query {name!r}: scores {score.dtype}, grades {grade.dtype}; give numbers, whole ones")
        yield name, score, grade


def _known_queries(names: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Which rows (R,) of a run are of queries that the truth knows; InputError where none is."""
    if not len(names):
        raise InputError("judgements: there are none; an empty truth judges nothing")
    known = np.isin(query, names) if query.dtype.kind == names.dtype.kind else np.zeros(len(query), dtype=bool)
    if len(query) and not known.any():
        told = f"the run has {plain(query[0])!r}, the truth {plain(names[0])!r}"
        raise InputError(f"no query of the run is in the truth: {told}; give both the same names")
    return known
