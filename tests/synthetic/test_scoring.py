"""Scores against the truth: perfect tracks score perfectly, each kind of error lowers its own figure."""

from pathlib import Path

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.scene.tables import Tracks
from geoloc.synthetic import Observation, Truth, observable, score_tracks
from geoloc.synthetic.storage import load_truth, save_truth


@pytest.fixture(scope="module")
def truth(garage_seen: Observation) -> Truth:
    return garage_seen.truth.take(garage_seen.truth.time < garage_seen.truth.time.min() + 20)


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


def test_true_tracks_score_full_marks(
    truth: Truth, garage_seen: Observation, rng: np.random.Generator
) -> None:
    scores = score_tracks(tracks_of(truth, rng, 1e-4), truth, garage_seen.site.site_map)
    assert (scores.idf1, scores.mota, scores.precision, scores.recall, scores.id_switches) == (1, 1, 1, 1, 0)
    assert scores.hota > 0.999
    assert scores.n_truths + scores.n_unseen == len(truth)
    assert scores.n_unseen > 0


def test_honest_noise_has_a_nees_of_two(
    truth: Truth, garage_seen: Observation, rng: np.random.Generator
) -> None:
    scores = score_tracks(tracks_of(truth, rng, 0.1), truth, garage_seen.site.site_map)
    assert scores.nees == pytest.approx(2.0, abs=0.15)
    assert scores.position_error_median_m == pytest.approx(0.1 * 1.1774, rel=0.03)
    assert scores.position_error_p95_m == pytest.approx(0.1 * 2.4477, rel=0.03)


def test_each_error_lowers_its_own_figure(
    truth: Truth, garage_seen: Observation, rng: np.random.Generator
) -> None:
    site_map, tracks = garage_seen.site.site_map, tracks_of(truth, rng, 0.01)
    one = truth.object == truth.object[truth.n_cameras > 1][0]
    fewer = score_tracks(tracks.take(~one), truth, site_map)
    assert fewer.recall < 1 == fewer.precision
    ghost = tracks.take(one).replace(track=np.full(one.sum(), 5), xy=np.full((one.sum(), 2), 500.0))
    more = score_tracks(Tracks.concat([tracks, ghost]), truth, site_map)
    assert more.precision < 1 == more.recall
    middle = truth.time > np.median(truth.time)
    swapped = score_tracks(tracks.replace(track=np.where(one & middle, 7, tracks.track)), truth, site_map)
    assert swapped.id_switches == 1
    assert swapped.idf1 < 1
    upstairs = np.where(tracks.level == "P1", "P2", "P1")
    wrong = score_tracks(tracks.replace(level=np.where(one, upstairs, tracks.level)), truth, site_map)
    assert wrong.recall < 1
    assert wrong.precision < 1


def test_tracks_between_frames_are_carried_to_them(
    truth: Truth, garage_seen: Observation, rng: np.random.Generator
) -> None:
    tracks = tracks_of(truth, rng, 1e-4)
    late = tracks.replace(time=tracks.time + 0.05, xy=tracks.xy + 0.05 * tracks.velocity)
    scores = score_tracks(late, truth, garage_seen.site.site_map)
    assert scores.position_error_p95_m < 1e-3
    assert scores.recall == 1


def test_no_tracks_at_all_have_scores_too(truth: Truth, garage_seen: Observation) -> None:
    scores = score_tracks(Tracks(), truth, garage_seen.site.site_map)
    assert (scores.recall, scores.idf1, scores.hota) == (0, 0, 0)
    assert np.isnan(scores.position_error_median_m)
    with pytest.raises(InputError, match="no rows"):
        score_tracks(Tracks(), Truth(), garage_seen.site.site_map)


def test_what_no_camera_showed_lately_is_not_asked_for() -> None:
    time = np.tile(np.arange(6.0), 2)
    shown = np.array([1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0])
    truth = Truth(time=time, object=np.repeat([4, 9], 6), n_cameras=shown)
    asked = observable(truth, memory=1.5)
    assert asked.astype(int).tolist() == [1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0]
    mixed = np.random.default_rng(1).permutation(12)
    assert np.array_equal(observable(truth.take(mixed), 1.5), asked[mixed])


def test_truth_comes_back_from_its_file(truth: Truth, tmp_path: Path) -> None:
    save_truth(truth, tmp_path / "truth.csv.gz")
    loaded = load_truth(tmp_path / "truth.csv.gz")
    for name, column in truth:
        other = getattr(loaded, name)
        if column.dtype.kind == "f":
            assert np.abs(column - other).max() < 1e-4, name
        else:
            assert np.array_equal(column, other), name
    first = (tmp_path / "truth.csv.gz").read_bytes()
    save_truth(truth, tmp_path / "truth.csv.gz")
    assert (tmp_path / "truth.csv.gz").read_bytes() == first


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no truth"),
        ("a,b\n1,2\n", "no truth"),
        ("HEAD\n1,2,3\n", "line 2: 3 values"),
        ("HEAD\nx,1,car,g,0,0,0,0,0,0,1,1,1,1\n", "something else"),
    ],
)
def test_broken_truth_files_are_refused_by_name(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "truth.csv"
    head = "time,object,label,level,x,y,z,vx,vy,heading,length,width,height,n_cameras"
    file.write_text(text.replace("HEAD", head), encoding="utf-8")
    with pytest.raises(InputError, match=told) as caught:
        load_truth(file)
    assert "truth.csv" in str(caught.value)


def test_a_truth_without_rows_comes_back_empty(tmp_path: Path) -> None:
    save_truth(Truth(), tmp_path / "truth.csv")
    assert len(load_truth(tmp_path / "truth.csv")) == 0
