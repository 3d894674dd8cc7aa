"""One contract for every index: exact answers, filters, ids, and refusals that change nothing."""

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.retrieval.indexes import INDEXES, Index, make_index
from geoloc.retrieval.rows import NONE, best_columns
from geoloc.retrieval.where import ANYWHERE, FARTHEST, Where

DIM = 16
FIELDS = {"camera": str, "time": float, "track": int, "x": float, "y": float}


@pytest.fixture(params=list(INDEXES))
def index(request: pytest.FixtureRequest, make) -> Index:
    return make(request.param, DIM, FIELDS)


@pytest.fixture
def rows(rng) -> tuple[np.ndarray, np.ndarray]:
    return 3 * rng.permutation(500), rng.normal(size=(500, DIM)).astype(np.float32)


def fields_for(ids: np.ndarray) -> dict[str, np.ndarray]:
    """What the row of each id holds."""
    time = np.where(ids % 7, 1.0 * ids, np.nan)
    camera = np.char.add("c", (ids % 5).astype(str))
    return {"camera": camera, "time": time, "track": ids // 10, "x": 0.1 * ids, "y": -0.1 * ids}


def add(index: Index, ids: np.ndarray, vectors: np.ndarray) -> None:
    ids = np.asarray(ids)
    index.add(ids, vectors, fields_for(ids))


def test_answers_are_those_of_sorting_everything(index, rows, rng) -> None:
    ids, vectors = rows
    add(index, ids[:200], vectors[:200])
    add(index, ids[200:], vectors[200:])
    queries = rng.normal(size=(300, DIM)).astype(np.float32)
    found, scores = index.search(queries, 7), queries @ vectors.T
    order = np.argsort(-scores, axis=1)[:, :7]
    np.testing.assert_array_equal(found.ids, ids[order])
    np.testing.assert_allclose(found.scores, np.take_along_axis(scores, order, axis=1), rtol=1e-4, atol=1e-5)


def test_a_filter_keeps_the_best_of_those_allowed(index, rows, rng) -> None:
    ids, vectors = rows
    add(index, ids, vectors)
    allowed = np.append(ids[:20], 10**9)  # one that it does not hold
    found = index.search(vectors[:5], 3, Where().ids(allowed))
    order = np.argsort(-(vectors[:5] @ vectors[:20].T), axis=1)[:, :3]
    np.testing.assert_array_equal(found.ids, ids[:20][order])
    assert (index.search(vectors[:5], 3, Where().ids(np.zeros(0, int))).ids == NONE).all()


def test_asking_for_more_than_there_is_gives_what_there_is(index, rows) -> None:
    ids, vectors = rows
    assert (index.search(vectors[:2], 4).ids == NONE).all()
    add(index, ids[:2], vectors[:2])
    found = index.search(vectors[:1], 4)
    assert (found.ids[0] != NONE).tolist() == [True, True, False, False]
    assert np.isneginf(found.scores[0, 2:]).all()
    assert index.search(vectors[:0], 4).ids.shape == (0, 4)


def test_equals_come_in_the_order_of_their_ids(index) -> None:
    add(index, np.array([9, 2, 5]), np.ones((3, DIM), np.float32))
    assert index.search(np.ones((1, DIM)), 3).ids.tolist() == [[2, 5, 9]]


def test_what_is_removed_is_not_found_and_may_come_back(index, rows) -> None:
    ids, vectors = rows
    add(index, ids, vectors)
    index.remove(ids[:1])
    assert len(index) == 499
    assert index.search(10 * vectors[:1], 1).ids[0, 0] != ids[0]
    add(index, ids[:1], 10 * vectors[:1])
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
    add(index, np.array([7]), np.ones((1, DIM)))
    with pytest.raises(InputError, match=said):
        add(index, np.array(ids), vectors)
    assert len(index) == 1


def test_bad_questions_are_refused(index) -> None:
    with pytest.raises(InputError, match="holds no id 3"):
        index.remove(np.array([3]))
    with pytest.raises(InputError, match="finite rows"):
        index.search(np.ones((1, DIM - 1)), 1)
    with pytest.raises(InputError, match="at least 1"):
        index.search(np.ones((1, DIM)), 0)


@pytest.mark.parametrize(
    "where",
    [
        ANYWHERE,
        Where().equal("camera", "c1", "c3"),
        Where().equal("camera", ""),
        Where().equal("track", 12),
        Where().between("time", 100, 200),
        Where().between("time", low=900),
        Where().near(30.0, -30.0, 5.0),
        Where().equal("camera", "c2").between("time", 0, 700).near(30.0, -30.0, 20.0),
        Where().between("time"),
    ],
)
def test_a_filter_means_the_same_in_every_index(index, rows, where: Where) -> None:
    ids, vectors = rows
    add(index, ids, vectors)
    kept = where.holds({"id": ids, **fields_for(ids)})
    np.testing.assert_array_equal(index.ids(where), np.sort(ids[kept]))
    found = index.search(vectors[:3], 10, where).ids
    order = np.argsort(-(vectors[:3] @ vectors[kept].T), axis=1)[:, :10]
    np.testing.assert_array_equal(found[:, : order.shape[1]], ids[kept][order])
    assert (found[:, order.shape[1] :] == NONE).all()


def test_a_row_comes_back_as_it_went_in(index, rows) -> None:
    ids, vectors = rows
    add(index, ids, vectors)
    some = ids[[40, 3, 77]]
    again, fields = index.read(some)
    np.testing.assert_array_equal(again, vectors[[40, 3, 77]])
    for name, values in fields_for(some).items():
        np.testing.assert_array_equal(fields[name], values)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (Where().equal("camra", "c1"), "did you mean 'camera'"),
        (Where().equal("camera", 1), "1 is no str"),
        (Where().equal("track", "c1"), "'c1' is no int"),
        (Where().between("camera", 0, 1), "holds names"),
    ],
)
def test_a_filter_that_fits_no_row_is_refused(index, where: Where, said: str) -> None:
    with pytest.raises(InputError, match=said):
        index.search(np.ones((1, DIM)), 1, where)


@pytest.mark.parametrize("where", [(0.0, 0.0, 1e200), (1e300, 0.0, 1.0), (0.0, np.nan, 1.0), (0.0, 0.0, -1.0)])
def test_places_whose_squares_overflow_are_refused(where: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="metres up to 1e"):
        Where().near(*where)
    assert Where().near(0.0, 0.0, FARTHEST).holds({"id": np.zeros(1), "x": np.ones(1), "y": -np.ones(1)}).all()


def test_rows_without_their_fields_are_refused(index) -> None:
    fields = fields_for(np.array([1]))
    with pytest.raises(InputError, match="lack the field 'time'"):
        index.add(np.array([1]), np.ones((1, DIM)), {name: fields[name] for name in fields if name != "time"})
    with pytest.raises(UnknownNameError, match="unknown field 'speed'"):
        index.add(np.array([1]), np.ones((1, DIM)), fields | {"speed": np.ones(1)})
    assert len(index) == 0


def test_an_unknown_index_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'exact'"):
        make_index("exakt", DIM)


def test_of_scores_that_tie_at_the_cut_the_first_columns_stay() -> None:
    scores = np.array([[1.0, 2.0, 1.0, 2.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert best_columns(scores, 3).tolist() == [[1, 3, 0], [0, 1, 2]]
    assert best_columns(scores, 9).shape == (2, 5)
