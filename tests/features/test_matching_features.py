"""Matches of features: by hand, and in any order of images and blocks."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.features import matching
from geoloc.features.local import LocalFeatures
from geoloc.features.matching import MatchingOptions, match, match_descriptors


def unit(rows) -> np.ndarray:
    rows = np.asarray(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_repeated_looks_match_nothing():
    a = unit([[1, 0, 0], [0, 1, 0.1]])
    b = unit([[0, 1, 0.12], [1, 0, 0.01], [1, 0.01, 0]])
    assert match_descriptors(a, b).rows_a.tolist() == [1]
    everything = match_descriptors(a, b, MatchingOptions(max_ratio=1.0))
    assert everything.rows_a.tolist() == [0, 1]
    assert everything.rows_b.tolist() in ([1, 0], [2, 0])


def test_blocks_brute_force_and_the_other_direction_agree(rng, monkeypatch):
    base = rng.normal(size=(90, 16))
    a, b = unit(base + 0.2 * rng.normal(size=base.shape)), unit(np.vstack([base[:60], rng.normal(size=(55, 16))]))
    monkeypatch.setattr(matching, "BLOCK", 13)
    found = match_descriptors(a, b)
    squared = np.sqrt(((a[:, None] - b) ** 2).sum(axis=2))
    for row_a, row_b, distance, ratio in zip(found.rows_a, found.rows_b, found.distance, found.ratio, strict=True):
        assert squared[row_a].argmin() == row_b
        assert squared[:, row_b].argmin() == row_a
        assert distance == pytest.approx(squared[row_a, row_b], abs=1e-3)
        worse = max(distance / np.partition(squared[row_a], 1)[1], distance / np.partition(squared[:, row_b], 1)[1])
        assert ratio == pytest.approx(worse, abs=2e-3)
    assert len(found) > 45
    back = match_descriptors(b, a)
    order = np.argsort(back.rows_b)
    assert back.rows_b[order].tolist() == found.rows_a.tolist()
    assert back.rows_a[order].tolist() == found.rows_b.tolist()


def test_nothing_matches_nothing_and_one_image_matches_itself(rng):
    rows = unit(rng.normal(size=(7, 8)))
    assert len(match_descriptors(rows, rows[:0])) == 0
    assert match_descriptors(rows, rows).rows_b.tolist() == list(range(7))


def test_features_of_different_extractors_are_not_compared(rng):
    n = 3
    own = LocalFeatures(np.zeros((n, 2)), np.ones(n), np.zeros(n), np.ones(n), unit(rng.normal(size=(n, 8))), "a")
    with pytest.raises(InputError, match="'a' cannot be matched with those of 'b'"):
        match(own, replace(own, extractor="b"))
    assert len(match(own, own)) == n
