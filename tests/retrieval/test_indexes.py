"""One contract for every index: exact answers, filters, ids, and refusals that change nothing."""

import importlib.util

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.retrieval.indexes import INDEXES, NONE, Index, best_columns, make_index

DIM = 16


@pytest.fixture(params=list(INDEXES))
def index(request: pytest.FixtureRequest) -> Index:
    if request.param == "faiss" and importlib.util.find_spec("faiss") is None:
        pytest.skip("the extra faiss is not installed")
    return make_index(request.param, DIM)


@pytest.fixture
def rows(rng) -> tuple[np.ndarray, np.ndarray]:
    return 3 * rng.permutation(500), rng.normal(size=(500, DIM)).astype(np.float32)


def test_answers_are_those_of_sorting_everything(index, rows, rng) -> None:
    ids, vectors = rows
    index.add(ids[:200], vectors[:200])
    index.add(ids[200:], vectors[200:])
    queries = rng.normal(size=(300, DIM)).astype(np.float32)
    found, scores = index.search(queries, 7), queries @ vectors.T
    order = np.argsort(-scores, axis=1)[:, :7]
    np.testing.assert_array_equal(found.ids, ids[order])
    np.testing.assert_allclose(found.scores, np.take_along_axis(scores, order, axis=1), rtol=1e-4, atol=1e-5)


def test_a_filter_keeps_the_best_of_those_allowed(index, rows, rng) -> None:
    ids, vectors = rows
    index.add(ids, vectors)
    allowed = np.append(ids[:20], 10**9)  # one that it does not hold
    found = index.search(vectors[:5], 3, allowed)
    order = np.argsort(-(vectors[:5] @ vectors[:20].T), axis=1)[:, :3]
    np.testing.assert_array_equal(found.ids, ids[:20][order])
    assert (index.search(vectors[:5], 3, np.zeros(0, int)).ids == NONE).all()


def test_asking_for_more_than_there_is_gives_what_there_is(index, rows) -> None:
    ids, vectors = rows
    assert (index.search(vectors[:2], 4).ids == NONE).all()
    index.add(ids[:2], vectors[:2])
    found = index.search(vectors[:1], 4)
    assert (found.ids[0] != NONE).tolist() == [True, True, False, False]
    assert np.isneginf(found.scores[0, 2:]).all()
    assert index.search(vectors[:0], 4).ids.shape == (0, 4)


def test_equals_come_in_the_order_of_their_ids(index) -> None:
    index.add(np.array([9, 2, 5]), np.ones((3, DIM), np.float32))
    assert index.search(np.ones((1, DIM)), 3).ids.tolist() == [[2, 5, 9]]


def test_what_is_removed_is_not_found_and_may_come_back(index, rows) -> None:
    ids, vectors = rows
    index.add(ids, vectors)
    index.remove(ids[:1])
    assert len(index) == 499
    assert index.search(10 * vectors[:1], 1).ids[0, 0] != ids[0]
    index.add(ids[:1], 10 * vectors[:1])
    assert index.search(vectors[:1], 1).ids[0, 0] == ids[0]


@pytest.mark.parametrize(
    ("ids", "vectors", "said"),
    [
        ([0, 0], np.ones((2, DIM)), "comes twice"),
        ([7], np.ones((1, DIM)), "comes twice"),
        ([-1], np.ones((1, DIM)), "from 0 on"),
        ([0.5], np.ones((1, DIM)), "whole numbers"),
        ([1], np.ones((1, DIM + 1)), f"and \\(M, {DIM}\\)"),
        ([1], np.full((1, DIM), np.nan), "id 1 is not finite"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_added(index, ids, vectors, said: str) -> None:
    index.add(np.array([7]), np.ones((1, DIM)))
    with pytest.raises(InputError, match=said):
        index.add(np.array(ids), vectors)
    assert len(index) == 1


def test_bad_questions_are_refused(index) -> None:
    with pytest.raises(InputError, match="holds no id 3"):
        index.remove(np.array([3]))
    with pytest.raises(InputError, match="finite rows"):
        index.search(np.ones((1, DIM - 1)), 1)
    with pytest.raises(InputError, match="at least 1"):
        index.search(np.ones((1, DIM)), 0)


def test_an_unknown_index_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'exact'"):
        make_index("exakt", DIM)


def test_of_scores_that_tie_at_the_cut_the_first_columns_stay() -> None:
    scores = np.array([[1.0, 2.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert best_columns(scores, 3).tolist() == [[1, 3, 0], [0, 1, 2]]
    assert best_columns(scores, 9).shape == (2, 5)
