"""k-reciprocal re-ranking against the dense algorithm of the paper's program, written out."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from geoloc.errors import InputError
from geoloc.retrieval.rerank import neighbours
from geoloc.retrieval.rerank.neighbours import Neighbours, nearest_rows
from geoloc.retrieval.rerank.reciprocal import ReciprocalOptions, reciprocal_blocks


def dense_reciprocal(queries: np.ndarray, rows: np.ndarray, k1: int, k2: int, share: float) -> np.ndarray:
    """Zhong et al. 2017, as their program has it: all against all, equals in the order of rows."""
    both = np.concatenate([queries, rows])
    squared = cdist(both, both, "sqeuclidean")
    original = squared / squared.max(axis=1, keepdims=True)
    rank = np.argsort(original, axis=1, kind="stable")

    def mutual(i: int, k: int) -> np.ndarray:
        forward = rank[i, : k + 1]
        return forward[(rank[forward, : k + 1] == i).any(axis=1)]

    weights = np.zeros_like(original)
    for i in range(len(both)):
        members = expanded = mutual(i, k1)
        for candidate in members:
            theirs = mutual(candidate, int(np.around(k1 / 2)))
            if len(np.intersect1d(theirs, members)) > 2 / 3 * len(theirs):
                expanded = np.union1d(expanded, theirs)
        weight = np.exp(-original[i, expanded])
        weights[i, expanded] = weight / weight.sum()
    if k2 != 1:
        weights = np.stack([weights[rank[i, :k2]].mean(axis=0) for i in range(len(both))])
    shared = np.minimum(weights[: len(queries), None], weights[None, len(queries) :]).sum(axis=2)
    jaccard = 1 - shared / (2 - shared)
    return share * original[: len(queries), len(queries) :] + (1 - share) * jaccard


def reranked(queries: np.ndarray, rows: np.ndarray, options: ReciprocalOptions, **given) -> np.ndarray:
    return np.concatenate([block for _, block in reciprocal_blocks(queries, rows, options, **given)])


def clusters(rng: np.random.Generator, n: int, spread: float) -> np.ndarray:
    centres = rng.normal(size=(12, 24))
    vectors = centres[rng.integers(0, 12, n)] + spread * rng.normal(size=(n, 24))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def grid(rng: np.random.Generator, n: int) -> np.ndarray:
    """Whole numbers: many pairs equally far apart, and rows that come twice."""
    return rng.integers(0, 3, (n, 5)).astype(float)


@pytest.mark.parametrize(("k1", "k2", "share"), [(20, 6, 0.3), (7, 3, 0.0), (5, 1, 0.5), (3, 8, 1.0)])
@pytest.mark.parametrize("kind", ["random", "clustered", "ties"])
def test_the_answer_is_the_dense_algorithms(rng, kind: str, k1: int, k2: int, share: float) -> None:
    made = {"random": lambda n: rng.normal(size=(n, 24)), "clustered": lambda n: clusters(rng, n, 0.35)}
    make = made.get(kind, lambda n: grid(rng, n))
    queries, rows = make(40), make(260)
    dense = dense_reciprocal(queries, rows, k1, k2, share)
    sparse = reranked(queries, rows, ReciprocalOptions(k1, k2, share))
    np.testing.assert_allclose(sparse, dense, atol=1e-5)  # 4e-7 measured


def test_lists_from_an_index_give_the_same_answer(rng) -> None:
    queries, rows = clusters(rng, 10, 0.3), clusters(rng, 150, 0.3)
    both = np.concatenate([queries, rows])
    squared = np.asarray(2 - 2 * both @ both.T, np.float32)
    order = np.argsort(squared, axis=1)[:, :30]
    lists = Neighbours(order.astype(np.int32), np.take_along_axis(squared, order, axis=1), squared.max(axis=1))
    ours = reranked(queries, rows, ReciprocalOptions(), lists=lists)
    np.testing.assert_allclose(ours, dense_reciprocal(queries, rows, 20, 6, 0.3), atol=1e-5)


def test_rows_that_are_all_one_are_no_division_by_zero() -> None:
    ones = np.ones((6, 4))
    assert np.isfinite(reranked(ones[:2], ones, ReciprocalOptions(k1=3))).all()


def test_fewer_rows_than_neighbours_are_enough(rng) -> None:
    queries, rows = rng.normal(size=(2, 8)), rng.normal(size=(5, 8))
    dense = dense_reciprocal(queries, rows, 20, 6, 0.3)
    np.testing.assert_allclose(reranked(queries, rows, ReciprocalOptions()), dense, atol=1e-5)
    assert not list(reciprocal_blocks(queries[:0], rows))


def test_lists_that_are_too_short_and_vectors_that_are_none_are_refused(rng) -> None:
    vectors = rng.normal(size=(50, 4))
    with pytest.raises(InputError, match=r"give \(50, 21\) and longer"):
        reranked(vectors[:10], vectors[10:], ReciprocalOptions(), lists=nearest_rows(vectors, vectors, 20))
    vectors[3, 1] = np.nan
    with pytest.raises(InputError, match="row 3 is not finite"):
        reranked(vectors, vectors[10:], ReciprocalOptions())
    with pytest.raises(InputError, match="vectors of one length"):
        nearest_rows(vectors[4:], vectors[4:, :3], 2)


@pytest.mark.parametrize("kind", ["random", "ties"])
def test_lists_of_pairs_that_are_looked_at_once_are_those_of_each_row_alone(rng, monkeypatch, kind: str) -> None:
    monkeypatch.setattr(neighbours, "MANY", 100)
    monkeypatch.setattr(neighbours, "SQUARE", 128)  # squares off the diagonal, and a last one that is not full
    rows = rng.normal(size=(700, 6)) if kind == "random" else rng.integers(0, 3, (700, 4)).astype(float)
    rows = rows.astype(np.float32)
    both, alone = nearest_rows(rows, rows, 9), nearest_rows(rows.copy(), rows, 9)
    np.testing.assert_array_equal(both.rows, alone.rows)
    np.testing.assert_allclose(both.distance, alone.distance, atol=1e-5)
    np.testing.assert_allclose(both.farthest, alone.farthest, rtol=1e-6)


def test_nearest_rows_are_those_of_sorting_everything(rng) -> None:
    for rows in (rng.normal(size=(3000, 6)), rng.integers(0, 3, (3000, 4)).astype(float)):
        lists = nearest_rows(rows[:70], rows, 9)
        squared = cdist(rows[:70], rows, "sqeuclidean")
        order = np.argsort(np.round(squared, 4), axis=1, kind="stable")[:, :9]
        np.testing.assert_array_equal(lists.rows, order)
        np.testing.assert_allclose(lists.distance, np.take_along_axis(squared, order, axis=1), atol=1e-4)
        np.testing.assert_allclose(lists.farthest, squared.max(axis=1), rtol=1e-5)
