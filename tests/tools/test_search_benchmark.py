"""The benchmark of search asks what it says: vehicles can be told apart, and filters keep rows that look alike."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from benchmarks.search_index import best, recall_note
from benchmarks.seen_vehicles import FIELDS, Fleet


def test_vehicles_can_be_told_apart_and_filters_keep_rows_that_look_alike(rng: np.random.Generator) -> None:
    fleet = Fleet(100, rng)
    seen, asked = fleet.views(4000, rng), fleet.views(200, rng)
    assert set(seen.fields) == set(FIELDS)
    found = best(seen.vectors, asked.vectors, None)
    assert (seen.vehicle[found[:, 0]] == asked.vehicle).mean() >= 0.95  # 1.0
    alike = {}
    for name in ("color", "camera"):
        same = seen.fields[name][:500, None] == seen.fields[name][None, :500]
        cosines = seen.vectors[:500] @ seen.vectors[:500].T
        alike[name] = cosines[same].mean() - cosines[~same].mean()
    assert min(alike.values()) > 0.1, alike  # 0.4, 0.6


def test_the_truth_of_recall_is_the_sorted_one(rng: np.random.Generator) -> None:
    vectors = rng.normal(size=(300, 8)).astype(np.float32)
    kept = np.arange(0, 300, 3)
    truth = best(vectors, vectors[:5], kept)
    order = kept[np.argsort(-(vectors[:5] @ vectors[kept].T), axis=1)[:, :10]]
    np.testing.assert_array_equal(np.sort(truth, axis=1), np.sort(order, axis=1))
    assert recall_note(order[:, :5], truth) == "recall@10 0.5000"
    assert (best(vectors, vectors[:5], kept[:4]) == -1).sum(axis=1).tolist() == [6] * 5
