"""Search among the rows that a filter keeps: exactly where they are few, else in the lists that hold them.

Rows that a filter keeps lie together and may lie far from the query: those of one camera, hour or colour look alike.
The lists nearest to a query, which an unfiltered search looks through, then hold few of them or none. So lists are
chosen among those that hold kept rows, until the rest promises next to nothing.
"""

from types import ModuleType

import numpy as np

from geoloc.retrieval.faiss_exact import FEW, best_of, exact_search, singles
from geoloc.retrieval.faiss_graphs import IvfPq

# seconds on one core; only their ratios matter
GATHER = 0.05e-6  # to fetch a row
HALF = 0.25e-9  # to multiply one number in float16
WIDEN = 0.2e-9  # to make one number a float32
PRODUCT = 0.03e-9  # to multiply one number in a matrix product
LOOKUP = 0.4e-9  # to look one byte of a code up
PASSED = 4e-9  # to pass a row that is not kept
CALL = 250e-6  # to choose lists
WIDER = 1.5  # times what an unfiltered search looks at is looked at in the end where kept rows lie among others, and
APART = 8.0  # so many times more where they have lists of their own, which queries may be far from
MISSED = 0.002  # of the answers, expected in lists that are not looked through
SAMPLE = 256  # kept rows that tell how far rows lie from their list's centre
WIDENED = 3  # times as many lists are looked through before what the rest promises is told anew
OWN = 4.0  # kept rows that are a quarter of their lists' rows, and few elsewhere, are searched as in lists of their own
FIRST = 0.5  # part of what an unfiltered search looks at that is looked at before more is asked for


class Kept:
    """Rows (M,) that a filter keeps, and in which lists they are."""

    def __init__(self, faiss: ModuleType, graph: IvfPq, rows: np.ndarray) -> None:
        self._faiss, self.rows = faiss, rows
        counts = np.bincount(graph.list_of.values[rows], minlength=graph.ivf.nlist)
        self.lists = np.flatnonzero(counts)
        self.centroids = graph.centroids[self.lists]
        self.counts = counts[self.lists]
        bits = np.zeros(len(graph.list_of.values), bool)
        bits[rows] = True
        self._bits = np.packbits(bits, bitorder="little")
        share, pure = len(rows) / graph.ivf.ntotal, len(rows) / graph.sizes[self.lists].sum()
        self.apart = min(1.0, OWN * (pure - share) / max(1 - share, 1e-9))  # 0: among others in all lists
        some = rows[:: max(1, len(rows) // SAMPLE)]
        self._residuals = graph.view.rows[some].astype(np.float32) - graph.centroids[graph.list_of.values[some]]
        self.selector = faiss.IDSelectorBitmap(len(self._bits), faiss.swig_ptr(self._bits))

    def sigma(self, queries: np.ndarray) -> np.ndarray:
        """Standard deviation (Q, 1) of kept rows' scores from those of their list's centre."""
        scores = queries @ self._residuals.T
        return np.sqrt((scores**2).mean(axis=1, keepdims=True))


def exact_is_faster(graph: IvfPq, n_queries: int, n_kept: int, apart: float = 0.0) -> bool:
    """Whether comparing with all kept rows takes less time than choosing among them, as far `apart` as they lie."""
    return _exact_seconds(n_queries, n_kept, graph.ivf.d) < _lists_seconds(graph, n_queries, n_kept, apart)


def _exact_seconds(n_queries: int, n_kept: int, dim: int) -> float:
    each = n_queries * dim * HALF if n_queries < FEW else dim * (WIDEN + n_queries * PRODUCT)
    return n_kept * (GATHER + each)


def _lists_seconds(graph: IvfPq, n_queries: int, n_kept: int, apart: float) -> float:
    """About how long the search in lists takes, by how much such filters were seen to make it look at."""
    dim, code = graph.ivf.d, graph.ivf.pq.M
    refined = 10 * graph.settings["kept_refine"] * (GATHER + WIDEN * dim)
    usual = graph.settings["probes"] / graph.ivf.nlist * graph.ivf.ntotal
    looked = min(n_kept, (WIDER + APART * apart) * usual)
    own = apart + (1.0 - apart) * n_kept / graph.ivf.ntotal  # part of the rows in their lists that is kept
    passed = min(looked / own, graph.ivf.ntotal)
    scanned = looked * LOOKUP * code + passed * PASSED
    return CALL + n_queries * (graph.ivf.nlist * dim * PRODUCT + scanned + refined)


def filtered_search(
    faiss: ModuleType, graph: IvfPq, queries: np.ndarray, k: int, kept: Kept
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and numbers (Q, k) of about the best of the kept rows, -inf and -1 where there is none.

    About as many kept rows are looked at as an unfiltered search looks at. The `k`-th score among them tells, for each
    other list, how many better ones to expect there: its rows' scores lie about its centre's as those of some kept
    rows do about their centres'. Lists are looked through until all the rest together promises next to none.
    """
    near = queries @ kept.centroids.T
    order = np.argsort(-near, axis=1)
    near = np.take_along_axis(near, order, axis=1)
    lists, counts = kept.lists[order], kept.counts[order]
    n = min(k * int(graph.settings["kept_refine"]), len(kept.rows))
    stop = _first_lists(graph, counts, len(kept.rows))
    rows, scores = _look_through(faiss, graph, queries, lists[:, :stop], near[:, :stop], n, kept)
    together, apart = graph.settings["spread"], graph.settings["apart_spread"]
    sigma = (together + (apart - together) * kept.apart) * kept.sigma(queries)
    ask = np.arange(len(queries))
    while stop < near.shape[1] and len(ask):
        worst = scores[ask, min(k, n) - 1, None]
        more = _more_lists(near[ask, stop:], counts[ask, stop:], worst, min(k, n), sigma[ask])
        ask, more = ask[more[:, 0]], more[more[:, 0]]
        if len(ask):
            start, stop = stop, min(WIDENED * stop, stop + int(more.sum(axis=1).max()))
            others = np.where(more[:, : stop - start], lists[ask, start:stop], -1)
            found = _look_through(faiss, graph, queries[ask], others, near[ask, start:stop], n, kept)
            rows[ask], scores[ask] = _merged(rows[ask], scores[ask], *found)
    return _refined(queries, rows, graph.view.rows, k)


def _first_lists(graph: IvfPq, counts: np.ndarray, n_kept: int) -> int:
    """How many of the nearest lists are looked through at first."""
    usual = FIRST * min(n_kept, graph.settings["probes"] / graph.ivf.nlist * graph.ivf.ntotal)
    lists = int(np.ceil(usual / counts.mean()))
    return min(counts.shape[1], max(lists, int(graph.settings["probes"])))


def _more_lists(near: np.ndarray, counts: np.ndarray, worst: np.ndarray, k: int, sigma: np.ndarray) -> np.ndarray:
    """Which of the other lists (Q, L), best first, promise more than `MISSED` of `k` better than `worst` (Q, 1)."""
    expected = counts * _tail((np.maximum(worst, -1e9) - near) / sigma)
    left = expected[:, ::-1].cumsum(axis=1)[:, ::-1]  # in this list and those behind it
    return left > MISSED * k


def _tail(z: np.ndarray) -> np.ndarray:
    """About the chance that a standard normal number exceeds z, to some hundredths of itself."""
    above = np.minimum(np.abs(z), 12.0)
    half = 0.5 * np.exp(-above * (0.717 + 0.416 * above))
    return np.where(z > 0, half, 1 - half)


def _merged(
    rows: np.ndarray, scores: np.ndarray, others: np.ndarray, other_scores: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The best of two lists of answers (Q, C)."""
    rows, scores = np.hstack([rows, others]), np.hstack([scores, other_scores])
    best = np.argsort(-scores, axis=1)[:, : others.shape[1]]
    return np.take_along_axis(rows, best, axis=1), np.take_along_axis(scores, best, axis=1)


def _look_through(
    faiss: ModuleType,
    graph: IvfPq,
    queries: np.ndarray,
    lists: np.ndarray,
    near: np.ndarray,
    candidates: int,
    kept: Kept,
) -> tuple[np.ndarray, np.ndarray]:
    """The best rows (Q, candidates) by their codes in the lists (Q, L) of each query, and their scores."""
    lists, near = np.ascontiguousarray(lists, np.int64), np.ascontiguousarray(near, np.float32)
    params = faiss.SearchParametersIVF(nprobe=lists.shape[1], sel=kept.selector)
    scores = np.empty((len(queries), candidates), np.float32)
    rows = np.empty((len(queries), candidates), np.int64)
    point = faiss.swig_ptr
    queries = np.ascontiguousarray(queries)
    args = (point(queries), candidates, point(lists), point(near), point(scores), point(rows))
    graph.ivf.search_preassigned_c(len(queries), *args, False, params, None)
    return rows, scores


def _refined(queries: np.ndarray, rows: np.ndarray, vectors: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best `k` of candidates (Q, C) by their vectors."""
    near = singles(vectors, np.maximum(rows, 0).reshape(-1)).reshape(*rows.shape, -1)
    scores = np.matmul(near, queries[:, :, None])[:, :, 0]
    scores[rows < 0] = -np.inf
    found, scores = best_of(rows, scores, k)
    return scores, found


def exact_kept(
    faiss: ModuleType, queries: np.ndarray, k: int, rows: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and numbers (Q, k) of the best of the kept rows."""
    found, scores = exact_search(faiss, queries, k, rows, kept)
    return scores, found
