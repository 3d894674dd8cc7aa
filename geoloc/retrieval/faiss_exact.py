"""Exact search by FAISS over rows that lie in an array or a mapped file, without a copy of them."""

from types import ModuleType

import numpy as np

from geoloc.compiled import is_compiled
from geoloc.errors import InputError

AT_ONCE = 1 << 24  # bytes of rows and scores at a time: what is given back and taken anew without the system
BLOCK = 64  # scores whose largest is looked at first
FEW = 16  # queries: fewer are compared with float16 rows as they are, more with the rows made float32 once


def load_faiss() -> ModuleType:
    """The module; InputError that names the extra where it is not installed or too old."""
    try:
        import faiss
    except ImportError as error:
        said = 'FAISS is not installed; pip install "geoloc[faiss]", or use the index "exact"'
        raise InputError(f'index "faiss": {said}') from error
    if not hasattr(faiss, "MaybeOwnedVectorUInt8"):
        raise InputError(f'index "faiss": FAISS {faiss.__version__} cannot map files; pip install "geoloc[faiss]"')
    return faiss


class View:
    """A FAISS index of inner products over rows (N, D) float32 or float16 that stay where they are."""

    def __init__(self, faiss: ModuleType, dim: int, dtype: np.dtype) -> None:
        self._faiss = faiss
        half = faiss.ScalarQuantizer.QT_fp16
        product = faiss.METRIC_INNER_PRODUCT
        is_half = dtype == np.float16
        self.index = faiss.IndexScalarQuantizer(dim, half, product) if is_half else faiss.IndexFlatIP(dim)
        self._owner = self.index.codes.owner
        self.rows = np.zeros((0, dim), dtype)

    def look_at(self, rows: np.ndarray) -> "View":
        """Point it at these rows; they are kept alive."""
        self.rows = rows  # FAISS has but their address
        plain = np.asarray(rows).view(np.uint8).reshape(-1)
        make = self._faiss.MaybeOwnedVectorUInt8.create_view
        if len(rows):
            self.index.codes = make(self._faiss.swig_ptr(plain), plain.nbytes, self._owner)
        self.index.ntotal = len(rows)
        return self


def exact_search(
    faiss: ModuleType, queries: np.ndarray, k: int, rows: np.ndarray, kept: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The `k` best of rows (N, D), or of those `kept` (M,): numbers and scores (Q, k), -1 and -inf where there is none.

    Best first; equals in any order.
    """
    n = len(rows) if kept is None else len(kept)
    step = max(k, AT_ONCE // (4 * (rows.shape[1] + len(queries))))
    parts = []
    for start in range(0, n, step):
        part = _part(rows, kept, slice(start, start + step), len(queries))
        some, at = _nearest(faiss, queries, min(k, len(part)), part)
        parts.append((start + at if kept is None else kept[start + at], some))
    parts = parts or [(np.zeros((len(queries), 0), np.int64), np.zeros((len(queries), 0), np.float32))]
    found, scores = parts[0] if len(parts) == 1 else (np.hstack(both) for both in zip(*parts, strict=True))
    return best_of(found, scores, k)


def best_of(found: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The `k` best of answers (Q, C), best first: numbers and scores (Q, k), -1 and -inf where there are fewer."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    here = np.arange(len(order))[:, None]
    if order.shape[1] == k:
        return found[here, order], scores[here, order]
    all_found, all_scores = np.full((len(order), k), -1, np.int64), np.full((len(order), k), -np.inf, np.float32)
    all_found[:, : order.shape[1]], all_scores[:, : order.shape[1]] = found[here, order], scores[here, order]
    return all_found, all_scores


def singles(rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The rows `kept` (M,) of `rows` (N, D) float32 or float16, as float32 (M, D)."""
    if rows.dtype != np.float16 or not is_compiled():
        return rows.take(kept, axis=0).astype(np.float32, copy=False)
    from geoloc.retrieval.kernels.halves import widen

    out = np.empty((len(kept), rows.shape[1]), np.float32)
    widen(rows.view(np.uint16), kept.astype(np.int64, copy=False), out.view(np.uint32), out)
    return out


def _part(rows: np.ndarray, kept: np.ndarray | None, some: slice, n_queries: int) -> np.ndarray:
    """Some of the rows: as they are for few queries, else as float32."""
    if rows.dtype == np.float16 and n_queries >= FEW:
        return singles(rows, np.arange(*some.indices(len(rows))) if kept is None else kept[some])
    return rows[some] if kept is None else rows.take(kept[some], axis=0)


def _nearest(faiss: ModuleType, queries: np.ndarray, k: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if rows.dtype == np.float16:
        # few queries: about as fast as the rows can be fetched
        return View(faiss, rows.shape[1], rows.dtype).look_at(rows).index.search(queries, k)
    scores = queries @ rows.T  # which takes a quarter of the time of FAISS's own
    best = _best_columns(scores, k)
    return np.take_along_axis(scores, best, axis=1), best


def _best_columns(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the `k` largest scores (Q, N) of each row, or all, in any order."""
    n = scores.shape[1]
    blocks = n // BLOCK
    if n <= k:
        return np.broadcast_to(np.arange(n), scores.shape)
    if blocks <= 4 * k:
        return np.argpartition(-scores, k - 1, axis=1)[:, :k]
    largest = scores[:, : blocks * BLOCK].reshape(len(scores), blocks, BLOCK).max(axis=2)
    block = np.argpartition(-largest, k - 1, axis=1)[:, :k]  # the k largest lie in as many blocks at most
    inside = (BLOCK * block[:, :, None] + np.arange(BLOCK)).reshape(len(scores), -1)
    rest = np.broadcast_to(np.arange(blocks * BLOCK, n), (len(scores), n - blocks * BLOCK))
    columns = np.hstack([inside, rest])
    best = np.argpartition(-np.take_along_axis(scores, columns, axis=1), k - 1, axis=1)[:, :k]
    return np.take_along_axis(columns, best, axis=1)
