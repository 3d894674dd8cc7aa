"""Tracks against a truth: perfect ones score perfectly, each kind of error lowers its own figure, lies are refused."""

from dataclasses import replace

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.recording import Recording, ground_recording, image_recording, join, reported
from geoloc.evaluation.report import Report
from geoloc.evaluation.synthetic_truth import synthetic_recording
from geoloc.evaluation.tracking import evaluate_tracking
from geoloc.evaluation.tracking_measures import TrackingOptions
from geoloc.evaluation.uncertainty import evaluate_uncertainty
from geoloc.io.truth import BoxTracks
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks
from geoloc.synthetic import Observation, Truth, garage, observe, simulate

OPTIONS = TrackingOptions(block_s=2.0)


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


def figures(tracks: Tracks, truth: Truth, site: Site) -> dict[str, float]:
    recording = synthetic_recording(tracks, truth, site, OPTIONS)
    reports = evaluate_tracking(recording, OPTIONS), evaluate_uncertainty(recording, OPTIONS)
    return {figure.figure: figure.value for report in reports for figure in report.figures}


def test_true_tracks_score_full_marks(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    """Also where an object that nobody sees stands within a metre of one that is seen."""
    assert (truth.n_cameras == 0).sum() > 20
    found = figures(tracks_of(truth, rng, 1e-3), truth, site)
    for name in ("idf1", "idp", "idr", "mota", "moda", "precision", "recall"):
        assert found[name] == 100, name
    for name in ("id_switches", "fp", "fn", "mostly_lost", "t_gospa_switch", "gospa_false"):
        assert found[name] == 0, name
    assert found["hota"] > 99.9
    assert found["t_gospa"] == pytest.approx(found["gospa"], abs=1e-9)


def test_honest_noise_has_a_nees_of_two(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    found = figures(tracks_of(truth, rng, 0.1), truth, site)
    assert found["nees"] == pytest.approx(2.0, abs=0.15)
    assert found["coverage_95"] == pytest.approx(95, abs=1.5)
    assert found["miscalibration"] < 2.5  # %; measured 0.9
    assert found["position_error_median_m"] == pytest.approx(0.1 * 1.1774, rel=0.04)
    assert found["position_error_p95_m"] == pytest.approx(0.1 * 2.4477, rel=0.04)
    assert found["sigma_median_m"] == pytest.approx(0.1)
    assert found["jitter_m"] == pytest.approx(0.2, rel=0.06)  # two independent errors of two axes each


def test_each_error_lowers_its_own_figure(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng, 0.01)
    one = truth.object == truth.object[truth.n_cameras > 1][0]
    fewer = figures(tracks.take(~one), truth, site)
    assert fewer["recall"] < 100 == fewer["precision"]
    assert fewer["gospa_missed"] > 0 == fewer["gospa_false"]
    ghost = tracks.take(one).replace(track=np.full(one.sum(), 5), xy=np.full((one.sum(), 2), 500.0))
    more = figures(Tracks.concat([tracks, ghost]), truth, site)
    assert more["precision"] < 100 == more["recall"]
    middle = truth.time > np.median(truth.time)
    renamed = figures(tracks.replace(track=np.where(one & middle, 7, tracks.track)), truth, site)
    assert renamed["id_switches"] == 1
    assert renamed["idf1"] < 100 == renamed["moda"]
    assert renamed["t_gospa_switch"] > 0
    upstairs = np.where(tracks.level == "P1", "P2", "P1")
    wrong = figures(tracks.replace(level=np.where(one, upstairs, tracks.level)), truth, site)
    assert wrong["recall"] < 100 > wrong["precision"]


def test_tracks_between_frames_are_carried_to_them(truth: Truth, site: Site, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng, 1e-3)
    late = tracks.replace(time=tracks.time + 0.05, xy=tracks.xy + 0.05 * tracks.velocity)
    found = figures(late, truth, site)
    assert found["position_error_p95_m"] < 3e-3
    assert found["recall"] == 100


def test_guesses_are_no_results(truth: Truth, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng)
    state = rng.choice(["coasting", "tentative", "confirmed"], len(tracks))
    assert (reported(tracks.replace(state=state)).state == "confirmed").all()


def test_what_stands_where_it_was_seen_last_is_a_result(truth: Truth, rng: np.random.Generator) -> None:
    tracks = tracks_of(truth, rng)
    life = rng.choice(["", "confirmed", "parked", "hidden", "out_of_sight"], len(tracks))
    found = reported(tracks.replace(state=np.full(len(tracks), "coasting"), life=life))
    assert set(found.life.tolist()) == {"parked", "hidden"}
    assert len(found) == np.isin(life, ("parked", "hidden")).sum()


def walkers(n_frames: int = 40, n: int = 8, hz: float = 10.0) -> Tracks:
    """`n` people who walk side by side, 5 m apart."""
    time = np.repeat(np.arange(n_frames) / hz, n)
    who = np.tile(np.arange(n), n_frames)
    return Tracks(time=time, track=who, xy=np.column_stack([1.3 * time, 5.0 * who]))


def report(truth: Tracks, result: Tracks, **how: bool) -> Report:
    return evaluate_tracking(ground_recording("street", truth, result, how.pop("resample", False), 1.0), OPTIONS, **how)


def measured(truth: Tracks, rng: np.random.Generator, sigma: float = 0.1) -> Tracks:
    return truth.replace(track=90 - truth.track, xy=truth.xy + rng.normal(0, sigma, truth.xy.shape))


def test_zero_detections_are_all_missed_without_a_nan() -> None:
    found = report(walkers(), Tracks())
    assert found.figure("recall").value == 0
    assert found.figure("hota").value == 0
    assert any("no rows" in warning for warning in found.warnings)
    with pytest.raises(InputError, match="nothing was matched"):
        found.figure("position_error_median_m")


def test_an_empty_truth_is_refused() -> None:
    with pytest.raises(InputError, match="truth is empty"):
        report(Tracks(), walkers())


def test_one_id_in_two_places_is_refused(rng: np.random.Generator) -> None:
    result = measured(walkers(), rng)
    with pytest.raises(InputError, match=r"id 90 comes twice at 0\.000 s"):
        report(walkers(), Tracks.concat([result, result.take(np.arange(1))]))


def test_rows_without_identity_among_others_are_not_one_object(rng: np.random.Generator) -> None:
    result = measured(walkers(), rng)
    some = result.replace(track=np.where(np.arange(len(result)) % 3, result.track, -1))
    with pytest.raises(InputError, match=r"rows have no identity \(-1\)"):
        report(walkers(), some)


def test_another_frame_rate_is_refused_and_resampling_says_so(rng: np.random.Generator) -> None:
    fast = measured(walkers(400, hz=100.0), rng)
    with pytest.raises(InputError, match="other frame rates"):
        report(walkers(), fast)
    found = report(walkers(), fast, resample=True)
    assert found.figure("recall").value == 100
    assert "10 frames/s" in found.figure("mota").protocol
    assert any("3200 rows" in warning for warning in found.warnings)


def test_leaked_ids_are_refused_and_an_oracle_run_is_warned(rng: np.random.Generator) -> None:
    leaked = measured(walkers(), rng).replace(track=walkers().track)
    with pytest.raises(InputError, match="truth ids leaked"):
        report(walkers(), leaked)
    assert "truth ids leaked" in report(walkers(), leaked, oracle=True).warnings[0]


def test_centimetres_are_named(rng: np.random.Generator) -> None:
    result = measured(walkers(), rng)
    with pytest.raises(InputError, match="centimetres"):
        report(walkers(), result.replace(xy=100 * result.xy))


def test_a_truth_without_identities_gives_what_needs_none(rng: np.random.Generator) -> None:
    truth = walkers().replace(track=np.full(320, -1))
    found = report(truth, measured(walkers(), rng))
    assert found.figure("moda").value == 100
    assert found.figure("gospa").value < 1.5
    for name in ("hota", "idf1", "mota", "t_gospa"):
        with pytest.raises(InputError, match="identities"):
            found.figure(name)


def test_every_figure_has_a_protocol_and_an_interval_that_holds_it(rng: np.random.Generator) -> None:
    found = report(walkers(200), measured(walkers(200), rng).take(rng.random(1600) < 0.9))
    for figure in found.figures:
        assert "ground plane" in figure.protocol
        assert "10 frames/s" in figure.protocol
        assert figure.low <= figure.value <= figure.high, figure
    mota = found.figure("mota")
    assert "within 1 m" in mota.protocol
    assert "TrackEval" in mota.protocol
    assert 0 < mota.high - mota.low < 6  # %; measured 2.7


def test_a_better_run_is_found_better_and_an_equal_one_is_not(rng: np.random.Generator) -> None:
    truth = walkers(200)
    good, bad = (measured(truth, rng).take(rng.random(1600) < share) for share in (0.95, 0.85))
    even = measured(truth, rng).take(rng.random(1600) < 0.95)

    def against(ours: Tracks, other: Tracks) -> dict[str, tuple[float, float]]:
        recordings = [ground_recording("street", truth, tracks, False, 1.0) for tracks in (ours, other)]
        found = evaluate_tracking(recordings[0], OPTIONS, recordings[1])
        return {d.figure: (d.difference, d.p_value) for d in found.differences}

    better, same = against(good, bad), against(good, even)
    assert better["recall"][0] == pytest.approx(10, abs=2.5)
    assert better["recall"][1] < 0.01
    assert same["recall"][1] > 0.05
    assert same["position_error_median_m"][1] > 0.05


def test_runs_on_different_truths_do_not_compare(rng: np.random.Generator) -> None:
    ours = ground_recording("a", walkers(), measured(walkers(), rng), False, 1.0)
    other = ground_recording("b", walkers(50), measured(walkers(50), rng), False, 1.0)
    with pytest.raises(InputError, match="another truth"):
        evaluate_tracking(ours, OPTIONS, other)


def test_sequences_pool_without_sharing_identities(rng: np.random.Generator) -> None:
    def one(shift: int) -> Recording:
        truth = walkers()
        result = measured(truth, rng)
        return ground_recording(f"s{shift}", truth, result.replace(track=result.track + shift), False, 1.0)

    pooled = evaluate_tracking(join([one(k) for k in range(6)]), OPTIONS)
    assert pooled.figure("idf1").value == 100
    assert pooled.figure("id_switches").value == 0
    assert "bootstrap over 6 sequences" in pooled.figure("idf1").protocol
    assert "of 48 truths" in pooled.figure("mostly_tracked").protocol


def test_identity_after_a_long_absence_is_counted(rng: np.random.Generator) -> None:
    away = walkers(20, hz=1.0)
    truth = Tracks.concat([away, away.replace(time=away.time + 400.0)])
    result = measured(truth, rng)
    back = np.where((truth.time > 200) & (truth.track < 2), 500 + truth.track, result.track)
    found = report(truth, result.replace(track=back))
    assert found.figure("reidentified_1min").value == 75
    assert found.figure("reidentified_5min").value == 75
    with pytest.raises(InputError, match="30 min"):
        found.figure("reidentified_30min")


def boxes_of(tracks: Tracks, camera: str, dx: float = 0.0) -> BoxTracks:
    corner = 50.0 * tracks.xy + dx
    box = np.concatenate([corner, corner + np.array([40.0, 100.0])], axis=1)
    n = len(tracks)
    return BoxTracks(time=tracks.time, camera=np.full(n, camera), frame=np.arange(n), id=tracks.track, box=box)


def test_one_person_with_another_id_in_each_camera_is_half_an_identity(rng: np.random.Generator) -> None:
    truth = BoxTracks.concat([boxes_of(walkers(), name) for name in ("gate", "hall")])
    named = measured(walkers(), rng, 0.02)
    other = named.replace(track=named.track + 100)
    result = BoxTracks.concat([boxes_of(named, "gate"), boxes_of(other, "hall")])
    found = evaluate_tracking(image_recording("site", truth, result, False, 0.5), OPTIONS)
    assert found.figure("idf1", "all").value == 50
    assert found.figure("idf1", "camera gate").value == 100
    assert found.figure("mota", "camera hall").value == 100
    assert found.figure("recall").value == 100
    assert "image, match from IoU 0.5" in found.figure("mota").protocol
    with pytest.raises(InputError, match="positions on the ground"):
        found.figure("gospa")


def test_a_camera_that_the_truth_lacks_is_named(rng: np.random.Generator) -> None:
    truth = BoxTracks.concat([boxes_of(walkers(), name) for name in ("gate", "hall")])
    with pytest.raises(InputError, match=r"'gates'.*gate"):
        image_recording("site", truth, boxes_of(measured(walkers(), rng), "gates"), False, 0.5)


def test_a_slower_result_is_held_to_its_own_frames(rng: np.random.Generator) -> None:
    result = measured(walkers(), rng)
    slow = result.take(np.rint(10 * result.time) % 2 == 0)
    found, whole = report(walkers(), slow, resample=True), report(walkers(), result)
    assert found.figure("recall").value == 100
    assert found.figure("hota").value == pytest.approx(whole.figure("hota").value, abs=1.0)
    assert "5 frames/s, resampled from 10 frames/s" in found.figure("hota").protocol


def test_clear_of_cameras_adds_up_in_whatever_order_they_are_named(rng: np.random.Generator) -> None:
    named = measured(walkers(), rng, 0.02)
    for first, second in (("gate", "hall"), ("hall", "gate")):
        other = named.replace(track=np.where(named.time > 2.0, named.track + 50, named.track + 100))
        truth = BoxTracks.concat([boxes_of(walkers(), name) for name in (first, second)])
        result = BoxTracks.concat([boxes_of(named, first), boxes_of(other, second)])
        found = evaluate_tracking(image_recording("site", truth, result, False, 0.5), OPTIONS)
        for name in ("id_switches", "fp", "fn", "fragments", "mostly_tracked"):
            each = [found.figure(name, f"camera {camera}").value for camera in ("gate", "hall")]
            assert found.figure(name, "all").value == sum(each), name
        assert found.figure("id_switches", "all").value == 8
        assert "cameras are sequences" in found.figure("mota", "all").protocol
        assert "ids compared across cameras" in found.figure("hota", "all").protocol
        assert "ids compared across cameras" in found.figure("idf1", "all").protocol
        assert "across" not in found.figure("idf1", "camera gate").protocol


def test_false_positives_and_misses_need_no_identities(rng: np.random.Generator) -> None:
    truth = walkers().replace(track=np.full(320, -1))
    found = report(truth, measured(walkers(), rng).take(np.arange(320) % 4 > 0))
    assert found.figure("fn").value == 80
    assert found.figure("fp").value == 0
    assert "each frame by itself" in found.figure("fn").protocol


def test_mostly_tracked_says_its_own_bound(rng: np.random.Generator) -> None:
    recording = ground_recording("street", walkers(), measured(walkers(), rng), False, 1.0)
    said = [
        evaluate_tracking(recording, replace(OPTIONS, clear=clear)).figure("mostly_tracked").protocol
        for clear in ("trackeval", "motmetrics")
    ]
    assert "over 80" in said[0]
    assert "80 and more" in said[1]


def test_a_misfit_is_warned_of_in_the_report(rng: np.random.Generator) -> None:
    result = measured(walkers(), rng)
    found = report(walkers(), result.replace(xy=result.xy + np.array([700.0, 80.0])))
    assert any("shifted by (-700.0, -80.0) m" in warning for warning in found.warnings)
