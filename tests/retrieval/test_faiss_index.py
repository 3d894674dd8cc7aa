"""FAISS's lists and graphs find what exact search finds, filters and all, and keep doing so as rows come and go."""

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.retrieval.faiss_exact import singles
from geoloc.retrieval.indexes import Index, make_index
from geoloc.retrieval.store.columns import Columns
from geoloc.retrieval.where import Where

faiss = pytest.importorskip("faiss", reason="the extra faiss is not installed")

DIM, N, GROUPS = 32, 12_000, 240
FIELDS = {"camera": str, "time": float, "x": float, "y": float}


@pytest.fixture(scope="module")
def seen() -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Rows that look alike in groups, which come in runs of ten: vectors, group and fields of each."""
    rng = np.random.default_rng(3)
    group = np.repeat(rng.permutation(np.repeat(np.arange(GROUPS), N // GROUPS // 10)), 10)
    vectors = rng.normal(size=(GROUPS, DIM))[group] + 0.5 * rng.normal(size=(N, DIM))
    camera = np.char.add("camera", (group % 12).astype(str))
    place = 10.0 * rng.normal(size=(12, 2))[group % 12] + rng.normal(size=(N, 2))
    fields = {"camera": camera, "time": np.arange(N, dtype=float), "x": place[:, 0], "y": place[:, 1]}
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), group, fields


def filled(seen, kind: str, n: int = N, step: int = 4000, **settings: int | float) -> tuple[Index, Index]:
    """An index of this kind, and the exact one, with the first `n` rows."""
    vectors, _, fields = seen
    indexes = make_index("faiss", DIM, FIELDS, kind=kind, flat_rows=1500, **settings), make_index("exact", DIM, FIELDS)
    for index in indexes:
        for start in range(0, n, step):
            rows = np.arange(start, min(start + step, n))
            index.add(rows, vectors[rows], {name: values[rows] for name, values in fields.items()})
    return indexes


def recall(index: Index, exact: Index, queries: np.ndarray, where: Where) -> float:
    """Share of the ten best that are found."""
    found, truth = index.search(queries, 10, where).ids, exact.search(queries, 10, where).ids
    there = truth >= 0
    return float(((found[:, :, None] == truth[:, None, :]).any(axis=1) & there).sum() / there.sum())


FILTERS = [
    Where(),
    Where().between("time", 6000, 6001),
    Where().between("time", 6000, 6060),
    Where().between("time", 6000, 7000),
    Where().between("time", 3000),
    Where().equal("camera", "camera3"),
    Where().equal("camera", "camera3", "camera4", "camera5").between("time", high=9000),
    Where().near(0.0, 0.0, 8.0),
]


@pytest.fixture(scope="module", params=["ivfpq", "hnsw"])
def pair(request: pytest.FixtureRequest, seen) -> tuple[Index, Index]:
    return filled(seen, request.param)


@pytest.mark.parametrize("where", FILTERS, ids=str)
@pytest.mark.parametrize("n_queries", [1, 40])
def test_filters_tied_to_looks_lose_no_neighbours(pair, seen, where: Where, n_queries: int) -> None:
    index, exact = pair
    queries = seen[0][37:: N // 40][:40] + 0.02
    parts = np.split(queries, len(queries) // n_queries)
    assert np.mean([recall(index, exact, part, where) for part in parts]) >= 0.99  # 0.9925 to 1


@pytest.mark.parametrize("kind", ["ivfpq", "hnsw"])
def test_rows_that_go_and_come_back_are_found_as_they_are(seen, kind: str, rng) -> None:
    vectors, _, fields = seen
    index, exact = filled(seen, kind, 3000)
    queries = vectors[:3000:60]
    for _ in range(4):
        some = rng.choice(exact.ids(), 500, replace=False)
        turned = vectors[some[::-1]]
        for one in (index, exact):
            one.remove(some)
            assert not np.isin(one.search(queries, 10).ids, some).any()
            one.add(some[:400], turned[:400], {name: values[some[:400]] for name, values in fields.items()})
        index.compact()
        assert len(index) == len(exact)
        assert recall(index, exact, queries, Where()) >= 0.98
        assert recall(index, exact, queries, Where().equal("camera", "camera1")) >= 0.98
    np.testing.assert_array_equal(index.ids(), exact.ids())


@pytest.mark.parametrize("kind", ["ivfpq", "hnsw"])
def test_an_index_may_be_emptied_and_filled_again(seen, kind: str) -> None:
    index, exact = filled(seen, kind, 3000)
    for one in (index, exact):
        one.remove(np.arange(3000))
        one.compact()
        assert len(one) == 0
        assert (one.search(seen[0][:2], 3).ids == -1).all()
        one.add(np.arange(2000), seen[0][:2000], {name: values[:2000] for name, values in seen[2].items()})
    assert recall(index, exact, seen[0][:2000:50], Where()) >= 0.98  # 1


def test_search_widens_as_rows_come(seen) -> None:
    index, exact = filled(seen, "ivfpq", step=1500)
    assert recall(index, exact, seen[0][::60], Where()) >= 0.98  # 0.99 and more; 0.92 where it was set once


def test_vectors_in_lists_of_codes_are_read_to_a_thousandth(seen) -> None:
    index, _ = filled(seen, "ivfpq", 3000)
    np.testing.assert_allclose(index.read(np.arange(3000))[0], seen[0][:3000], atol=1e-3)


def test_settings_are_checked(seen) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'probes'"):
        make_index("faiss", DIM, FIELDS, probe=3)
    with pytest.raises(UnknownNameError, match="unknown setting 'probes'"):
        make_index("exact", DIM, FIELDS, probes=3)
    with pytest.raises(InputError, match="known: flat, ivfpq, hnsw"):
        make_index("faiss", DIM, FIELDS, kind="ivf")
    with pytest.raises(InputError, match="must divide the vectors' length 32"):
        filled(seen, "ivfpq", 2000, code_bytes=7)


def test_narrow_filters_read_the_same_rows_as_wide_ones(seen, rng) -> None:
    _, _, fields = seen
    fields = fields | {"time": np.where(rng.random(N) < 0.1, np.nan, rng.integers(0, 500, N))}
    columns, ids = Columns(FIELDS), rng.permutation(10 * N)[:N]
    for rows in np.split(np.arange(N), 10):
        columns.append(ids[rows], {name: values[rows] for name, values in fields.items()})
        columns.kept(Where().between("time", 3, 3))  # an order that later rows are not in
    gone = rng.choice(N, 700, replace=False)
    columns.remove(gone)
    alive = ~np.isin(np.arange(N), gone)
    for where in (
        Where().between("time", 7, 9),
        Where().equal("time", 7, 8.5, np.nan),
        Where().between("time"),
        Where().equal("camera", "camera1", "none").between("time", 0, 60),
        Where().equal("camera"),
        Where().near(*(float(fields[name][5]) for name in "xy"), 0.3),
        Where().ids(ids[:40]).equal("camera", "camera0"),
        Where().ids(ids),
        Where().between("id", 100, 900),
    ):
        kept = np.flatnonzero(where.holds({"id": ids, **fields}) & alive)
        np.testing.assert_array_equal(columns.kept(where), kept)
        np.testing.assert_array_equal(columns.kept(where), kept)  # remembered


def test_every_finite_half_becomes_the_same_single() -> None:
    bits = np.arange(1 << 16, dtype=np.uint16)
    halves = bits.view(np.float16)[np.isfinite(bits.view(np.float16))]
    rows = np.stack([halves, halves[::-1], np.zeros_like(halves)])
    kept = np.array([1, 0, 2])
    ours, theirs = singles(rows, kept), rows[kept].astype(np.float32)
    np.testing.assert_array_equal(ours.view(np.uint32), theirs.view(np.uint32))  # signs of zeros too
