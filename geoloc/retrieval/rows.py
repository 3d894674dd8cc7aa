"""What every index asks of the rows and questions it is given, and what it answers with."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.retrieval.where import Fields, Rows

NONE = -1  # id where fewer rows than asked for are left
DTYPES = {int: np.int64, float: np.float64, str: np.str_}


@dataclass(frozen=True, eq=False)
class Found:
    """The K best of each of Q queries, best first: `ids` (Q, K) int, -1 for none; `scores` (Q, K), -inf for none."""

    ids: np.ndarray
    scores: np.ndarray


def no_answers(n: int, k: int) -> Found:
    """Room for the answers to `n` queries."""
    return Found(np.full((n, k), NONE, np.int64), np.full((n, k), -np.inf, np.float32))


def checked_rows(
    ids: np.ndarray, vectors: np.ndarray, dim: int, held: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (M,) int64 and vectors (M, dim) float32, refused where they are no rows for an index that holds `held`."""
    ids, vectors = np.asarray(ids), np.ascontiguousarray(vectors, np.float32)
    if ids.ndim != 1 or vectors.shape != (len(ids), dim):
        raise InputError(f"index: ids {ids.shape} with vectors {vectors.shape}; give (M,) and (M, {dim})")
    if len(ids) and (ids.dtype.kind not in "iu" or ids.min() < 0):
        raise InputError(f"index: ids of {ids.dtype} from {ids.min()}; give whole numbers from 0 on")
    if not np.isfinite(vectors).all():
        raise InputError(f"index: the vector of id {ids[~np.isfinite(vectors).all(axis=1)][0]} is not finite")
    unique, count = np.unique(ids, return_counts=True)
    twice = np.concatenate([unique[count > 1], np.intersect1d(unique, held if held is not None else unique[:0])])
    if len(twice):
        raise comes_twice(twice[0])
    return ids.astype(np.int64), vectors


def checked_fields(rows: Rows, fields: Fields, n: int) -> dict[str, np.ndarray]:
    """The values (n,) of every declared field, refused where one lacks or does not fit."""
    strange = next((name for name in rows if name not in fields), None)
    if strange is not None:
        raise unknown_name("field", strange, fields, "index")
    lacks = next((name for name in fields if name not in rows), None)
    if lacks is not None:
        raise InputError(f"index: the rows lack the field {lacks!r}; give it for every row")
    checked: dict[str, np.ndarray] = {}
    for name, kind in fields.items():
        values = np.asarray(rows[name])
        if values.shape != (n,) or (values.dtype.kind == "U") != (kind is str):
            raise InputError(f"index: field {name} of {values.dtype} {values.shape}; give {kind.__name__} ({n},)")
        checked[name] = values.astype(DTYPES[kind], copy=False)
    return checked


def comes_twice(row: int) -> InputError:
    """What is said of an id that is given twice, or is held already."""
    return InputError(f"index: id {row} comes twice; remove it before it is added anew")


def checked_known(ids: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Ids (M,) int64, refused where one is not among `held`."""
    ids = np.asarray(ids)
    strange = np.setdiff1d(ids, held)
    if len(strange):
        raise not_held(strange[0], len(held))
    return ids.astype(np.int64)


def not_held(row: int, n: int) -> InputError:
    """What is said of an id that is not among the `n` that an index holds."""
    return InputError(f"index: holds no id {row}; it holds {n}")


def checked_queries(queries: np.ndarray, k: int, dim: int) -> np.ndarray:
    """Queries (Q, dim) float32, refused where they do not fit."""
    queries = np.ascontiguousarray(queries, np.float32)
    if queries.ndim != 2 or queries.shape[1] != dim or not np.isfinite(queries).all():
        raise InputError(f"index: queries {queries.shape}; give finite rows (Q, {dim})")
    if k < 1:
        raise InputError(f"index: {k} answers asked for; ask for at least 1")
    return queries


def best_columns(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the `k` largest scores (Q, N) of each row, largest first, equals by column: (Q, min(k, N))."""
    n = scores.shape[1]
    if k < n:
        least = np.partition(scores, n - k, axis=1)[:, n - k, None]
        # of those that tie at the cut the first columns stay
        above, level = scores > least, scores == least
        room = k - above.sum(axis=1, keepdims=True)
        columns = np.nonzero(above | (level & (np.cumsum(level, axis=1) <= room)))[1].reshape(len(scores), k)
    else:
        columns = np.broadcast_to(np.arange(n), scores.shape)
    order = np.argsort(-np.take_along_axis(scores, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)


