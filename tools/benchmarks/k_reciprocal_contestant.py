"""One contestant of the benchmark of k-reciprocal re-ranking, in a process of its own: prints what it took as JSON.

    python tools/benchmarks/k_reciprocal_contestant.py geoloc --size 1.0
    python tools/benchmarks/k_reciprocal_contestant.py dense --size 0.5   # 12 GB at 1.0

"dense" does what the program of Zhong et al. 2017 does, array by array: matrices of all against all, a loop over rows.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterable
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

N_QUERIES, N_ROWS, DIM = 3368, 19732, 2048  # Market-1501
N_PEOPLE, N_CAMERAS = 750, 6
TRUE_DIM = 48  # directions in which people differ
NOISE = 1.1  # of a picture, to how people differ
K1, K2, SHARE = 20, 6, 0.3


def people(size: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Unit vectors (M, 2048) float32, the queries first; the person and the camera of each; how many queries."""
    rng = np.random.default_rng(7)
    n_queries, n = round(size * N_QUERIES), round(size * N_QUERIES) + round(size * N_ROWS)
    person = rng.integers(0, max(2, round(size * N_PEOPLE)), n)
    camera = rng.integers(0, N_CAMERAS, n)
    centres = rng.normal(size=(person.max() + 1, TRUE_DIM))
    shifts = 0.5 * rng.normal(size=(N_CAMERAS, TRUE_DIM))
    looks = (centres[person] + shifts[camera] + NOISE * rng.normal(size=(n, TRUE_DIM))).astype(np.float32)
    vectors = looks @ rng.normal(size=(TRUE_DIM, DIM)).astype(np.float32)
    vectors /= np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]  # without a second array of that size
    return vectors, person, camera, n_queries


def own(vectors: np.ndarray, n: int, person: np.ndarray, camera: np.ndarray) -> dict[str, float]:
    """geoloc's: CPU seconds of the lists, and of what comes after them."""
    from geoloc.retrieval.rerank.neighbours import MANY, distance_blocks, nearest_rows
    from geoloc.retrieval.rerank.reciprocal import ReciprocalOptions, reciprocal_blocks_among

    options = ReciprocalOptions(K1, K2, SHARE)
    few = vectors[: MANY + 10]  # so that loops are compiled, which is done once on a machine
    list(reciprocal_blocks_among(few, slice(0, 10), slice(10, None), options))
    start = time.process_time()
    lists = nearest_rows(vectors, vectors, options.list_length)
    listed = time.process_time()
    for _ in distance_blocks(vectors[:n], vectors[n:]):  # those of queries to rows are made again after the lists
        pass
    product = time.process_time() - listed
    began_all = time.process_time()
    blocks = reciprocal_blocks_among(vectors, slice(0, n), slice(n, None), options, lists)
    judging = [0.0]

    def rows() -> Iterable[np.ndarray]:
        for _, block in blocks:
            began = time.process_time()
            yield from -block
            judging[0] += time.process_time() - began

    score = mean_precision(rows(), n, person, camera)
    after = time.process_time() - began_all - judging[0] - product
    return {"lists_s": listed - start + product, "after_s": after, "map": score}


def dense(
    vectors: np.ndarray, n: int, person: np.ndarray, camera: np.ndarray, by_rows: bool = False
) -> dict[str, float]:
    """The published program's way: CPU seconds of the distances, and of what comes after them."""
    from geoloc.retrieval.rerank.neighbours import distance_blocks

    start = time.process_time()
    length = np.einsum("nd,nd->n", vectors, vectors)
    squared = vectors @ vectors.T
    squared *= -2.0
    squared += length
    squared += length[:, None]
    np.maximum(squared, 0.0, out=squared)
    made = time.process_time() - start
    for block, distance in distance_blocks(vectors, vectors):  # rounded as geoloc's are: of near ties either may win
        squared[block] = distance
    start = time.process_time()
    final = dense_rerank(squared, n, by_rows)
    after = time.process_time() - start
    return {"lists_s": made, "after_s": after, "map": mean_precision(-final, n, person, camera)}


def dense_rerank(squared: np.ndarray, n: int, by_rows: bool) -> np.ndarray:
    """Final distances (n, M - n) from squared distances (M, M).

    The published program's matrices lie column by column, as the transpose leaves them, and its loops go by rows;
    `by_rows` puts that right. There rows that are equally near come in any order, here in their own.
    """
    m = len(squared)
    original = np.transpose(squared / squared.max(axis=0))
    original = np.ascontiguousarray(original) if by_rows else original
    del squared
    rank = np.argsort(original, kind="stable" if by_rows else None).astype(np.int32)
    weights = np.zeros_like(original)
    for i in range(m):
        members = _mutual(rank, i, K1)
        expanded = members
        for candidate in members:
            theirs = _mutual(rank, candidate, int(np.around(K1 / 2)))
            if len(np.intersect1d(theirs, members)) > 2 / 3 * len(theirs):
                expanded = np.append(expanded, theirs)
        expanded = np.unique(expanded)
        weight = np.exp(-original[i, expanded])
        weights[i, expanded] = weight / weight.sum()
    original = original[:n]
    averaged = np.zeros_like(weights)
    for i in range(m):
        averaged[i] = np.mean(weights[rank[i, :K2]], axis=0)
    weights = averaged
    del rank, averaged
    having = [np.flatnonzero(weights[:, j]) for j in range(m)]
    jaccard = np.zeros_like(original)
    for i in range(n):
        shared = np.zeros(m, np.float32)
        for j in np.flatnonzero(weights[i]):
            shared[having[j]] += np.minimum(weights[i, j], weights[having[j], j])
        jaccard[i] = 1.0 - shared / (2.0 - shared)
    return (jaccard * (1.0 - SHARE) + original * SHARE)[:, n:]


def _mutual(rank: np.ndarray, i: int, k: int) -> np.ndarray:
    forward = rank[i, : k + 1]
    return forward[np.where(rank[forward, : k + 1] == i)[0]]


def mean_precision(scores: Iterable[np.ndarray], n: int, person: np.ndarray, camera: np.ndarray) -> float:
    """mAP as Market-1501's protocol has it, of rows of scores."""
    from geoloc.metrics.judgements import Labelled
    from geoloc.metrics.judging import judge_identities
    from geoloc.metrics.ranking import score_rankings

    key = np.arange(len(person))
    query, gallery = (Labelled(key[part], person[part], camera[part]) for part in (slice(0, n), slice(n, None)))
    return score_rankings(judge_identities(scores, query, gallery), (1,)).figure("map")


def main() -> None:
    """Run one contestant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("geoloc", "dense", "dense-by-rows"))
    parser.add_argument("--size", type=float, default=1.0, help="share of Market-1501's pictures")
    asked = parser.parse_args()
    vectors, person, camera, n = people(asked.size)
    given = vectors, n, person, camera
    took = own(*given) if asked.name == "geoloc" else dense(*given, by_rows=asked.name == "dense-by-rows")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(json.dumps(took | {"peak_mb": peak}))


if __name__ == "__main__":
    main()
