"""The stages of re-ranking: each takes queries, rows and the scores between them, and gives all three again.

    ranked = rerank(compare(queries, rows), ["camera_means", "tracks", "k_reciprocal"])
    ranked.scores  # (Q, N)

`STAGES` names them in the order in which they are applied: first those that change vectors, then those that
change scores. What they learn they learn of the queries and rows at hand. Scores are dense: re-rank a shortlist.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.metrics.numbering import numbered
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.diffusion import DiffusionOptions, affinity_graph, diffuse
from geoloc.retrieval.rerank.expansion import augment_rows, expand_queries
from geoloc.retrieval.rerank.neighbours import nearest_rows
from geoloc.retrieval.rerank.pooling import pool, remove_means
from geoloc.retrieval.rerank.reciprocal import ReciprocalOptions, reciprocal_blocks_among

EXPAND_BY = 10  # neighbours that a vector is moved towards
ALPHA = 3.0
K1, K2, SHARE = ReciprocalOptions.k1, ReciprocalOptions.k2, ReciprocalOptions.share


@dataclass(frozen=True, eq=False)
class Ranked:
    """Q queries, N rows and `scores` (Q, N) float32 between them, greater for more alike.

    A view may be among both, under one id >= 0.
    """

    queries: Looks
    rows: Looks
    scores: np.ndarray


Stage = Callable[[Ranked], Ranked]


def compare(queries: Looks, rows: Looks) -> Ranked:
    """The inner products of their vectors: what all stages begin from."""
    if len(queries) and len(rows) and queries.vector.shape[1] != rows.vector.shape[1]:
        raise InputError(f"re-ranking: queries {queries.vector.shape}, rows {rows.vector.shape}; give one model's")
    for name, looks in (("query", queries), ("row", rows)):
        bad = np.flatnonzero(~np.isfinite(looks.vector).all(axis=1))
        if len(bad):
            raise InputError(f"re-ranking: the vector of {name} {bad[0]} is not finite; drop it or make it anew")
    return Ranked(queries, rows, queries.vector @ rows.vector.T)


def rerank(ranked: Ranked, stages: Iterable[str]) -> Ranked:
    """What stages of STAGES make of it, in the order of STAGES whatever theirs."""
    names = set(stages)
    strange = next((name for name in sorted(names) if name not in STAGES), None)
    if strange is not None:
        raise unknown_name("stage", strange, STAGES, "re-ranking")
    for name, stage in STAGES.items():
        if name in names and len(ranked.queries) and len(ranked.rows):
            ranked = stage(ranked)
    return ranked


def track_names(looks: Looks) -> np.ndarray:
    """The number (N,) of each view's track; a view without one is a track of its own."""
    own = np.where(looks.track < 0, np.arange(len(looks)), -1)
    keys = [numbered(each)[1] for each in (looks.site, looks.camera, looks.track, own)]
    return np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def camera_names(looks: Looks) -> np.ndarray:
    """The number (N,) of each view's camera."""
    keys = [numbered(each)[1] for each in (looks.site, looks.camera)]
    return np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)[1].reshape(-1)


def _camera_means(ranked: Ranked) -> Ranked:
    every, asked, held = _together(ranked)
    return _moved(ranked, remove_means(every.vector, camera_names(every), track_names(every)), asked, held)


def _tracks(ranked: Ranked) -> Ranked:
    every, asked, held = _together(ranked)
    pooled = pool(every.vector, track_names(every), every.quality)
    return _moved(ranked, pooled.vectors[pooled.of_row], asked, held)


def _augmentation(ranked: Ranked) -> Ranked:
    near = nearest_rows(ranked.rows.vector, ranked.rows.vector, EXPAND_BY + 1).rows
    rows = ranked.rows.replace(vector=augment_rows(ranked.rows.vector, near, ALPHA))
    return compare(ranked.queries, rows)


def _expansion(alpha: float) -> Stage:
    def stage(ranked: Ranked) -> Ranked:
        near = nearest_rows(ranked.queries.vector, ranked.rows.vector, EXPAND_BY).rows
        vectors = expand_queries(ranked.queries.vector, ranked.rows.vector, near, alpha)
        return compare(ranked.queries.replace(vector=vectors), ranked.rows)

    return stage


def _k_reciprocal(ranked: Ranked) -> Ranked:
    every, asked, held = _together(ranked)
    options = ReciprocalOptions(min(K1, max(1, len(every) // 4)), K2, SHARE)
    blocks = [block for _, block in reciprocal_blocks_among(every.vector, asked, held, options)]
    return replace(ranked, scores=1.0 - np.concatenate(blocks))


def _diffusion(ranked: Ranked) -> Ranked:
    options, rows = DiffusionOptions(), ranked.rows.vector
    graph = affinity_graph(nearest_rows(rows, rows, options.k + 1), options)
    scores = diffuse(graph, nearest_rows(ranked.queries.vector, rows, options.k_query), options)
    # what is in no part of the graph that the query reaches is left in the order of the scores before
    return replace(ranked, scores=(scores + 1e-6 * ranked.scores).astype(np.float32))


STAGES: dict[str, Stage] = {
    "camera_means": _camera_means,
    "tracks": _tracks,
    "augmentation": _augmentation,
    "average_expansion": _expansion(0.0),
    "alpha_expansion": _expansion(ALPHA),
    "k_reciprocal": _k_reciprocal,
    "diffusion": _diffusion,
}


def _together(ranked: Ranked) -> tuple[Looks, np.ndarray, np.ndarray]:
    """All views once, and where the queries (Q,) and the rows (N,) are among them."""
    ids = np.concatenate([ranked.queries.id, ranked.rows.id])
    own = np.where(ids < 0, np.arange(len(ids)), -1)  # of views without an id
    _, first, place = np.unique(np.stack([ids, own], axis=1), axis=0, return_index=True, return_inverse=True)
    every = Looks.concat([ranked.queries, ranked.rows]).take(first)
    place = place.reshape(-1)
    return every, place[: len(ranked.queries)], place[len(ranked.queries) :]


def _moved(ranked: Ranked, vectors: np.ndarray, asked: np.ndarray, held: np.ndarray) -> Ranked:
    return compare(ranked.queries.replace(vector=vectors[asked]), ranked.rows.replace(vector=vectors[held]))
