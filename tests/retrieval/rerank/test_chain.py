"""A chain keeps what helps and leaves out what does not, without being told who is who; and the stages themselves."""

import numpy as np
import pytest

from geoloc.errors import InputError, UnknownNameError
from geoloc.metrics.judging import JUNK, judge_rows
from geoloc.metrics.ranking import score_rankings
from geoloc.retrieval.looks import Looks
from geoloc.retrieval.rerank.chain import label_judge, learn_chain, return_judge
from geoloc.retrieval.rerank.pooling import pool, remove_means
from geoloc.retrieval.rerank.stages import STAGES, compare, rerank, track_names

VIEWS = 6  # of a track
DIM = 24


def views(rng: np.random.Generator, shift: float, noise: float, n_objects: int = 6, n_rounds: int = 3) -> Looks:
    """Objects that stand together before each of three cameras, several times: one track each time.

    `shift` is what a camera does to all its vectors, `noise` what a view adds, to objects that differ by about 1.
    """
    objects = rng.normal(size=(n_objects, DIM))
    cameras = shift * rng.normal(size=(3, DIM))
    track, camera, who, k = (
        each.ravel() for each in np.indices((n_rounds, 3, n_objects, VIEWS)).reshape(4, -1)
    )
    vectors = objects[who] + cameras[camera] + noise * rng.normal(size=(len(who), DIM))
    n_tracks = n_objects * n_rounds
    return Looks(
        id=np.arange(len(who)),
        camera=np.char.add("c", camera.astype(str)),
        time=100.0 * track + k,
        track=camera * n_tracks + track * n_objects + who,
        object=who,
        vector=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
    )


def precision(looks: Looks, stages: tuple[str, ...]) -> float:
    grades = (looks.object[:, None] == looks.object).astype(int)
    grades[looks.camera[:, None] == looks.camera] = JUNK
    scores = rerank(compare(looks, looks), stages).scores
    return score_rankings(judge_rows(looks.id, scores, grades), (1,)).figure("map")


@pytest.mark.parametrize(("shift", "noise"), [(3.0, 1.5), (0.0, 3.0)])
def test_without_labels_the_chain_keeps_what_labels_would_have_kept(shift: float, noise: float) -> None:
    looks = views(np.random.default_rng(4), shift, noise)
    chain = learn_chain(return_judge(looks))
    assert "tracks" in chain.stages
    assert ("camera_means" in chain.stages) or shift == 0.0
    before, after = precision(looks, ()), precision(looks, chain.stages)
    assert after > before + 0.15
    for gain in chain.gains:
        kept = set(chain.stages)
        if gain.stage in kept:  # none of them does harm
            assert after > precision(looks, tuple(kept - {gain.stage})) - 0.01


@pytest.mark.parametrize("case", ["blind", "sure"])
def test_where_nothing_is_to_be_won_nothing_is_lost(case: str) -> None:
    looks = views(np.random.default_rng(1), 0.0, 0.2, n_rounds=2)
    if case == "blind":
        noise = np.random.default_rng(2).normal(size=looks.vector.shape)
        looks = looks.replace(vector=(noise / np.linalg.norm(noise, axis=1, keepdims=True)).astype(np.float32))
    chain = learn_chain(return_judge(looks))
    assert precision(looks, chain.stages) > precision(looks, ()) - 0.02


def test_labels_judge_where_there_are_some(rng) -> None:
    looks = views(rng, 2.0, 2.0)
    half = looks.object < 3
    chain = learn_chain(label_judge(looks.take(half), looks), ("camera_means", "tracks"))
    # few objects show nothing for sure: three of them are no reason to keep a stage
    assert chain.stages == ()
    many = views(rng, 2.0, 2.0, n_objects=12, n_rounds=2)
    assert "tracks" in learn_chain(label_judge(many, many), ("camera_means", "tracks")).stages


def test_tracks_that_are_never_beside_another_are_refused(rng) -> None:
    looks = views(rng, 0.0, 1.0)
    alone = looks.replace(time=looks.time + 1e4 * looks.track)
    with pytest.raises(InputError, match="no track is seen twice beside another"):
        learn_chain(return_judge(alone))


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_gives_scores_of_the_same_shape_and_leaves_its_input(rng, name: str) -> None:
    looks = views(rng, 1.0, 1.0, n_objects=4, n_rounds=2)
    queries, rows = looks.take(np.arange(10)), looks.take(np.arange(5, len(looks)))
    before = rows.vector.copy()
    ranked = rerank(compare(queries, rows), (name,))
    assert ranked.scores.shape == (10, len(rows))
    assert np.isfinite(ranked.scores).all()
    np.testing.assert_array_equal(rows.vector, before)
    assert rerank(compare(queries.take([]), rows), (name,)).scores.shape == (0, len(rows))
    assert rerank(compare(queries, rows.take([])), (name,)).scores.shape == (10, 0)
    one = rerank(compare(queries.take([0]), rows.take([0])), (name,))
    assert one.scores.shape == (1, 1)


@pytest.mark.parametrize("name", STAGES)
def test_the_order_of_rows_changes_nothing(rng, name: str) -> None:
    looks = views(rng, 1.0, 1.0, n_objects=4, n_rounds=2)
    queries, rows = looks.take(np.arange(0, 40, 4)), looks.take(np.arange(40, len(looks)))
    order = rng.permutation(len(rows))
    there = rerank(compare(queries, rows), (name,)).scores
    again = rerank(compare(queries, rows.take(order)), (name,)).scores
    np.testing.assert_allclose(again, there[:, order], atol=2e-5)


def test_an_unknown_stage_and_vectors_that_are_none_are_refused(rng) -> None:
    looks = views(rng, 0.0, 1.0, 2, 1)
    with pytest.raises(UnknownNameError, match="did you mean 'k_reciprocal'"):
        rerank(compare(looks, looks), ("k_reciprocl",))
    with pytest.raises(InputError, match="one model's"):
        compare(looks, looks.replace(vector=looks.vector[:, :5]))
    broken = looks.vector.copy()
    broken[3] = np.nan
    with pytest.raises(InputError, match="query 3 is not finite"):
        compare(looks.replace(vector=broken), looks)


def test_pools_are_weighted_means_and_means_are_taken_out(rng) -> None:
    vectors = rng.normal(size=(6, 3)).astype(np.float32)
    pooled = pool(vectors, np.array(["b", "a", "b", "a", "c", "c"]), np.array([1.0, 2, 3, 0, 1, 1]))
    expected = np.stack([2 * vectors[1], vectors[0] + 3 * vectors[2], vectors[4] + vectors[5]])
    np.testing.assert_allclose(
        pooled.vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-5
    )
    assert pooled.group[pooled.of_row].tolist() == ["b", "a", "b", "a", "c", "c"]
    assert pooled.weight.tolist() == [2.0, 4.0, 2.0]
    # a track counts once, however often it was seen; a camera that saw a single track keeps its vectors
    camera, track = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 2, 2])
    less = vectors[:4] - 0.5 * (vectors[:3].mean(axis=0) + vectors[3])
    left = remove_means(vectors, camera, track)
    np.testing.assert_allclose(left[:4], less / np.linalg.norm(less, axis=1, keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(left[4:], vectors[4:] / np.linalg.norm(vectors[4:], axis=1, keepdims=True), rtol=1e-5)
    with pytest.raises(InputError, match="one value a row"):
        pool(vectors, camera[:5])
    with pytest.raises(InputError, match="not negative"):
        pool(vectors, camera, -np.ones(6))


def test_views_of_one_track_are_one_camera_and_sites_own(rng) -> None:
    looks = Looks(
        id=np.arange(6),
        site=["s", "s", "t", "s", "s", "s"],
        camera=["a", "a", "a", "b", "a", "a"],
        track=[1, 1, 1, 1, -1, -1],
        vector=np.eye(6),
    )
    names = track_names(looks)
    assert names[0] == names[1]
    assert len(np.unique(names)) == 5
