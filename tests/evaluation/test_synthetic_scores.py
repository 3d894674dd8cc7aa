"""Scores against the truth: perfect tracks score perfectly, each kind of error lowers its own figure."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.synthetic_scores import score_synthetic
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks
from geoloc.synthetic import Observation, Truth, garage, observe, simulate


@pytest.fixture(scope="module")
def seen() -> Observation:
    world = garage()
    truth = simulate(world, np.random.default_rng(3), replace(world.traffic, duration=15.0))
    return observe(world, truth, np.random.default_rng(4))


@pytest.fixture(scope="module")
def truth(seen: Observation) -> Truth:
    return seen.truth


@pytest.fixture(scope="module")
def site(seen: Observation) -> Site:
    return seen.site


def tracks_of(truth: Truth, rng: np.random.Generator, sigma: float = 0.1) -> Tracks:
    """Tracks of every object, with honest noise of `sigma` m per axis, confirmed."""
    n = len(truth)
    cov = np.zeros((n, 4, 4))
    cov[:, [0, 1], [0, 1]] = 0.64 * sigma**2
    cov[:, [2, 3], [2, 3]] = 0.1
    return Tracks(
        time=truth.time,
        track=truth.object + 1000,
        level=truth.level,
        xy=truth.xyz[:, :2] + sigma * rng.normal(size=(n, 2)),
        velocity=truth.velocity,
        cov=cov,
        bias_cov=np.tile(0.36 * sigma**2 * np.eye(2), (n, 1, 1)),
        label=truth.label,
        state=np.full(n, "confirmed"),
    )


def test_true_tracks_score_full_marks(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    """Also where an object that nobody sees stands within a metre of one that is seen."""
    assert (truth.n_cameras == 0).sum() > 20
    scores = score_synthetic(tracks_of(truth, rng, 1e-4), truth, site)
    assert (scores.idf1, scores.mota, scores.precision, scores.recall, scores.id_switches) == (1, 1, 1, 1, 0)
    assert scores.hota > 0.999
    assert scores.n_positions == (truth.n_cameras > 0).sum()


def test_honest_noise_has_a_nees_of_two(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    scores = score_synthetic(tracks_of(truth, rng, 0.1), truth, site)
    assert scores.nees == pytest.approx(2.0, abs=0.15)
    assert scores.coverage_95 == pytest.approx(0.95, abs=0.015)
    assert scores.error_median_m == pytest.approx(0.1 * 1.1774, rel=0.04)
    assert scores.error_p95_m == pytest.approx(0.1 * 2.4477, rel=0.04)
    assert scores.sigma_median_m == pytest.approx(0.1)


def test_each_error_lowers_its_own_figure(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng, 0.01)
    one = truth.object == truth.object[truth.n_cameras > 1][0]
    fewer = score_synthetic(tracks.take(~one), truth, site)
    assert fewer.recall < 1 == fewer.precision
    ghost = tracks.take(one).replace(track=np.full(one.sum(), 5), xy=np.full((one.sum(), 2), 500.0))
    more = score_synthetic(Tracks.concat([tracks, ghost]), truth, site)
    assert more.precision < 1 == more.recall
    middle = truth.time > np.median(truth.time)
    renamed = tracks.replace(track=np.where(one & middle, 7, tracks.track))
    swapped = score_synthetic(renamed, truth, site)
    assert swapped.id_switches == 1
    assert swapped.idf1 < 1
    upstairs = np.where(tracks.level == "P1", "P2", "P1")
    wrong = score_synthetic(tracks.replace(level=np.where(one, upstairs, tracks.level)), truth, site)
    assert wrong.recall < 1
    assert wrong.precision < 1


def test_tracks_between_frames_are_carried_to_them(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng, 1e-4)
    late = tracks.replace(time=tracks.time + 0.05, xy=tracks.xy + 0.05 * tracks.velocity)
    scores = score_synthetic(late, truth, site)
    assert scores.error_p95_m < 1e-3
    assert scores.recall == 1


def test_two_windows_of_one_frame_count_once(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng, 1e-4)
    twice = Tracks.concat([tracks.replace(time=tracks.time - 0.03), tracks.replace(time=tracks.time + 0.03)])
    scores = score_synthetic(twice, truth, site)
    assert scores.precision == 1
    assert scores.n_positions == (truth.n_cameras > 0).sum()


def test_coasting_rows_are_left_out(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng, 1e-4)
    half = rng.random(len(tracks)) < 0.5
    scores = score_synthetic(tracks.replace(state=np.where(half, "coasting", "confirmed")), truth, site)
    assert scores.recall == pytest.approx(0.5, abs=0.05)
    assert scores.precision == 1


def test_nothing_to_score_is_said(truth: Truth, site: Site) -> None:
    with pytest.raises(InputError, match="no track"):
        score_synthetic(Tracks(), truth, site)
    with pytest.raises(InputError, match="no rows"):
        score_synthetic(Tracks(), Truth(), site)
