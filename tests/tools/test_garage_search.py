"""Figures of the rendered garage's search, on looks whose right answers are known."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from recordings import garage_search

from geoloc.retrieval.looks import Looks
from geoloc.synthetic.rendering.object_crops import FIRST_PERSON


def shown(rng: np.random.Generator, noise: float) -> garage_search.Shown:
    """Ten cars and four people at three times before three cameras."""
    look = np.concatenate([np.arange(10), FIRST_PERSON + np.arange(4)])
    own = rng.normal(size=(len(look), 16))
    time, camera, which = (part.ravel() for part in np.meshgrid(np.arange(3), np.arange(3), np.arange(len(look))))
    vector = own[which] + noise * rng.normal(size=(len(which), 16))
    looks = Looks(
        id=np.arange(len(which)),
        vector=vector / np.linalg.norm(vector, axis=1, keepdims=True),
        camera=np.char.add("c", camera.astype(str)),
        time=1e5 * time,
        track=1_000_000 * time + look[which],
        quality=rng.uniform(0.3, 1.0, len(which)),
        label=np.where(look[which] < FIRST_PERSON, "car", "person"),
    )
    return garage_search.Shown(looks, look[which])


def test_looks_that_differ_by_identity_alone_are_all_found(rng) -> None:
    seen = shown(rng, 0.0)
    figures = garage_search._figures(seen, seen.looks.vector, "", "plain")
    assert {(each.part, each.figure) for each in figures} >= {("views of cars", "map"), ("tracks of cars", "map")}
    assert all(each.value == pytest.approx(100.0) for each in figures)


def test_every_stage_and_the_chain_have_figures(rng) -> None:
    figures = garage_search._stages(shown(rng, 0.8), shown(rng, 0.8))
    names = {each.figure for each in figures}
    assert {"map_camera_means", "map_k_reciprocal", "map_diffusion", "map_chain", "recall_at_1_chain"} <= names
    assert all(20 < each.value <= 100 for each in figures)


def test_confused_tracks_keep_their_sizes_and_times(rng) -> None:
    looks = shown(rng, 0.1).looks
    mixed = garage_search._confused(looks, 0.4, rng)
    assert 0.2 < (mixed.track != looks.track).mean() < 0.4  # some get back what they had
    np.testing.assert_array_equal(np.sort(mixed.track), np.sort(looks.track))
    assert (mixed.track // 1_000_000 == looks.track // 1_000_000).all()
