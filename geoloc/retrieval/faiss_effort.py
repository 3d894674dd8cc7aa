"""How widely a search in lists of codes has to look, measured on the index's own rows as they come."""

from types import ModuleType

import numpy as np

from geoloc.retrieval.faiss_exact import exact_search
from geoloc.retrieval.faiss_filtered import Kept, filtered_search
from geoloc.retrieval.faiss_graphs import FaissOptions, IvfPq

QUERIES = 64  # rows of the index that are searched for
SEED = 7
BEST = 10  # answers that recall is of
PROBES = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512, 1024)  # lists that are tried
REFINES = (8, 16, 32)  # candidates to an answer that are tried
# and how much further than some rows the best ones lie
SPREADS = (0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 3.0)
WINDOWS = (0.01, 0.1, 0.3)  # parts of the rows, one after the other, that filters are tried with
REGIONS = (0.02, 0.05, 0.1, 0.3)  # and parts that look most alike
FILTERED = 2.5  # times as many answers may be missing as without a filter
LEAST = 100  # rows in such a part
TUNED_AGAIN = 1.25  # times as many rows as the effort was set with, and it is set anew


def set_effort(faiss: ModuleType, graph: IvfPq, rows: np.ndarray, options: FaissOptions) -> None:
    """Set the least effort that finds `recall` of the neighbours of rows (N, D), half of them new since last time.

    Filters are tried on rows that came one after the other, as those of one hour, which lie in many lists among others,
    and on rows that look alike, as those of one colour, which have lists of their own: these take a wider search.
    """
    rng = np.random.default_rng(SEED)
    alive = np.flatnonzero(graph.list_of.values >= 0)
    new = alive[alive >= graph.settings.get("known", 0)]
    chosen = [rng.choice(part, min(QUERIES // 2, len(part)), replace=False) for part in (alive, new)]
    queries = rows[np.unique(np.concatenate(chosen))].astype(np.float32)
    truth = exact_search(faiss, queries, BEST + 1, rows, alive if len(alive) < len(rows) else None)[0][:, 1:]
    graph.settings |= {"known": len(rows), "tuned": len(alive)}
    _set_probes(graph, queries, truth, options)
    _set_spread(faiss, graph, queries[: QUERIES // 2], rows, alive, options, rng)


def _set_probes(graph: IvfPq, queries: np.ndarray, truth: np.ndarray, options: FaissOptions) -> None:
    lists = int(graph.ivf.nlist)
    graph.settings["probes"] = options.probes or max(1, lists // 4)
    found = {}
    for refine in [options.refine] if options.refine else REFINES:
        graph.settings["refine"] = refine
        found[refine] = _recall(graph.search(queries, BEST + 1)[1], truth)
    graph.settings["refine"] = _least(found, options)
    for probes in [options.probes] if options.probes else PROBES:
        graph.settings["probes"] = min(probes, lists)
        if _recall(graph.search(queries, BEST + 1)[1], truth) >= options.recall:
            break


def _set_spread(
    faiss: ModuleType,
    graph: IvfPq,
    queries: np.ndarray,
    rows: np.ndarray,
    alive: np.ndarray,
    options: FaissOptions,
    rng: np.random.Generator,
) -> None:
    tries = [
        [(Kept(faiss, graph, kept), exact_search(faiss, queries, BEST, rows, kept)[0]) for kept in parts]
        for parts in (_windows(alive, rng), _regions(graph, alive, rng))
    ]

    def found(some: list[tuple[Kept, np.ndarray]]) -> float:
        recalls = [_recall(filtered_search(faiss, graph, queries, BEST, kept)[1], truth) for kept, truth in some]
        return float(np.mean(recalls)) if recalls else 1.0

    graph.settings |= {"spread": SPREADS[-1], "apart_spread": SPREADS[-1]}
    by_refine = {}
    for refine in [one for one in REFINES if one >= graph.settings["refine"]] or [int(graph.settings["refine"])]:
        graph.settings["kept_refine"] = refine
        by_refine[refine] = min(found(some) for some in tries)
    graph.settings["kept_refine"] = _least(by_refine, options)
    for name, some in zip(("spread", "apart_spread"), tries, strict=True):
        for spread in SPREADS:
            graph.settings[name] = spread
            if found(some) >= 1 - FILTERED * (1 - options.recall):
                break


def _windows(alive: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    sizes = [int(share * len(alive)) for share in WINDOWS if share * len(alive) >= LEAST]
    starts = [int(rng.integers(0, len(alive) - size + 1)) for size in sizes]
    return [alive[start : start + size] for start, size in zip(starts, sizes, strict=True)]


def _regions(graph: IvfPq, alive: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    lists, found = graph.list_of.values[alive], []
    for share in REGIONS:
        near = np.argsort(-graph.centroids @ graph.centroids[rng.integers(len(graph.centroids))])
        chosen = np.zeros(len(near), bool)
        chosen[near[: max(1, int(share * len(near)))]] = True
        found.append(alive[chosen[lists]])
    return [rows for rows in found if len(rows) >= LEAST]


def _least(found: dict[int, float], options: FaissOptions) -> int:
    """The least effort of those tried that finds about as much as the best."""
    enough = max(found.values()) - (1 - options.recall)
    return min(effort for effort, recall in found.items() if recall >= enough)


def _recall(found: np.ndarray, truth: np.ndarray) -> float:
    """Share of the true neighbours (Q, K) that are found."""
    return float((found[:, :, None] == truth[:, None, :]).any(axis=1).mean())
