"""Expansion, augmentation and diffusion against what the papers say, written out densely."""

import numpy as np
import pytest

from geoloc.errors import GeometryError, InputError
from geoloc.retrieval.rerank.diffusion import DiffusionOptions, affinity_graph, diffuse
from geoloc.retrieval.rerank.expansion import augment_rows, expand_queries
from geoloc.retrieval.rerank.neighbours import nearest_rows


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def places(rng: np.random.Generator, kind: str, n: int) -> np.ndarray:
    """Unit vectors: anywhere, about a few centres, or of few values so that many pairs are equally alike."""
    if kind == "ties":
        return unit(rng.integers(0, 2, (n, 6)) + np.eye(6)[rng.integers(0, 6, n)])
    centres = np.random.default_rng(5).normal(size=(8, 12))
    spread = 0.5 if kind == "clustered" else 10.0
    return unit(centres[rng.integers(0, 8, n)] + spread * rng.normal(size=(n, 12)))


def dense_expansion(queries: np.ndarray, rows: np.ndarray, near: np.ndarray, alpha: float) -> np.ndarray:
    """Radenović et al. 2018, section 3.4: sum of (q . x)^alpha x over the nearest, the query with weight 1."""
    out = []
    for query, listed in zip(queries, near, strict=True):
        total = query.copy()
        for row in listed:
            total += max(query @ rows[row], 0.0) ** alpha * rows[row] if alpha else rows[row]
        out.append(total / np.linalg.norm(total))
    return np.array(out)


def dense_diffusion(rows: np.ndarray, queries: np.ndarray, options: DiffusionOptions) -> np.ndarray:
    """Iscen et al. 2017, eqs. 2 to 6 with the closed form in place of conjugate gradients."""
    n = len(rows)
    squared = nearest_rows(rows, rows, n)  # the same order of equals
    affinity = np.maximum(rows @ rows.T, 0.0) ** options.power
    listed = np.zeros((n, n), bool)
    np.put_along_axis(listed, squared.rows[:, : options.k + 1].astype(int), True, axis=1)
    affinity[~(listed & listed.T) | np.eye(n, dtype=bool)] = 0.0
    degree = affinity.sum(axis=1)
    scale = np.where(degree > 0, 1.0 / np.sqrt(np.where(degree > 0, degree, 1.0)), 0.0)
    system = np.eye(n) - options.alpha * scale[:, None] * affinity * scale
    start = np.zeros((len(queries), n))
    near = nearest_rows(queries, rows, options.k_query).rows
    for row, listed_by in enumerate(near):
        start[row, listed_by] = np.maximum(queries[row] @ rows[listed_by].T, 0.0) ** options.power
    return np.linalg.solve(system, start.T).T


@pytest.mark.parametrize("kind", ["random", "clustered", "ties"])
@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
def test_queries_move_as_the_papers_say(rng, kind: str, alpha: float) -> None:
    queries, rows = places(rng, kind, 30), places(rng, kind, 200)
    near = nearest_rows(queries, rows, 10).rows
    np.testing.assert_allclose(
        expand_queries(queries, rows, near, alpha), dense_expansion(queries, rows, near, alpha), atol=1e-5
    )


def test_rows_move_towards_their_neighbours_and_count_themselves_once(rng) -> None:
    rows = places(rng, "clustered", 150)
    near = nearest_rows(rows, rows, 6).rows
    others = np.stack([[j for j in listed if j != i][:5] for i, listed in enumerate(near)])
    np.testing.assert_allclose(augment_rows(rows, near, 2.0), dense_expansion(rows, rows, others, 2.0), atol=1e-5)


def test_a_list_without_rows_leaves_its_query(rng) -> None:
    queries, rows = places(rng, "random", 3), places(rng, "random", 5)
    near = np.array([[-1, -1], [2, -1], [-1, 0]])
    moved = expand_queries(queries, rows, near, 0.0)
    np.testing.assert_allclose(moved[0], queries[0], atol=1e-6)
    np.testing.assert_allclose(moved[1], unit(queries[1:2] + rows[2:3])[0], atol=1e-6)
    with pytest.raises(InputError, match="give \\(Q, n\\)"):
        expand_queries(queries, rows, near[:2])


@pytest.mark.parametrize("kind", ["random", "clustered", "ties"])
@pytest.mark.parametrize("options", [DiffusionOptions(k=15), DiffusionOptions(k=5, k_query=3, alpha=0.9, power=1.0)])
def test_diffusion_solves_the_papers_equations(rng, kind: str, options: DiffusionOptions) -> None:
    rows, queries = places(rng, kind, 160), places(rng, kind, 12)
    lists = nearest_rows(rows, rows, options.k + 1)
    scores = diffuse(affinity_graph(lists, options), nearest_rows(queries, rows, options.k_query), options)
    dense = dense_diffusion(rows, queries, options)
    np.testing.assert_allclose(scores, dense, rtol=1e-4, atol=1e-5 * dense.max())


def test_what_is_alike_through_others_comes_before_what_is_not() -> None:
    angles = np.concatenate([np.linspace(0, 1.6, 17), [-0.9]])  # a chain of rows, and one alone on the other side
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    options = DiffusionOptions(k=3, k_query=3)
    lists = nearest_rows(rows, rows, 4)
    scores = diffuse(affinity_graph(lists, options), nearest_rows(rows[:1], rows, 3), options)[0]
    assert rows[0] @ rows[17] > rows[0] @ rows[16]
    assert scores[16] > scores[17]


def test_what_does_not_settle_is_refused(rng, monkeypatch) -> None:
    monkeypatch.setattr("geoloc.retrieval.rerank.diffusion.MOST_STEPS", 1)
    rows = places(rng, "clustered", 100)
    with pytest.raises(GeometryError, match="set alpha below"):
        diffuse(affinity_graph(nearest_rows(rows, rows, 30)), nearest_rows(rows[:2], rows, 10))
