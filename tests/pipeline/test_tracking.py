import numpy as np
import pytest
from consistency import assert_consistent
from scipy.stats import multivariate_normal
from sites import drawn, square, walk

from geoloc.errors import InputError, UnknownNameError
from geoloc.pipeline.existence import ExistenceOptions
from geoloc.pipeline.identity import IdentityOptions
from geoloc.pipeline.lazily import sight
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, localize
from geoloc.pipeline.tracking import Tracker, TrackingOptions
from geoloc.scene.tables import Detections, Objects


def confirmed(tracks):
    return tracks.take(tracks.state == "confirmed")


@pytest.mark.parametrize("fps", [2.0, 10.0, 30.0])
def test_crossing_walkers_keep_their_ids_at_any_frame_rate(fps, rng):
    """Two people cross at 1.4 m/s, 0.4 m apart at the nearest: two ids from beginning to end."""
    times = 100.0 + np.arange(0.0, 8.0, 1.0 / fps)
    start, velocity = np.array([[-5.0, 0.0], [0.4, -5.5]]), np.array([[1.4, 0.0], [0.0, 1.4]])
    tracks = confirmed(localize(walk(square(), start, velocity, times, rng), square()))
    assert len(set(tracks.track.tolist())) == 2
    for one in set(tracks.track.tolist()):
        path = tracks.take(tracks.track == one)
        heading = path.velocity[-1]
        assert np.ptp(path.xy @ [1.0, 0.0]) > 6.0 or np.ptp(path.xy @ [0.0, 1.0]) > 6.0
        assert np.linalg.norm(heading) == pytest.approx(1.4, abs=0.5)


@pytest.mark.slow
@pytest.mark.parametrize("motion", ["constant_velocity", "coordinated_turn"])
def test_reported_covariances_are_honest(motion, rng):
    """Calibration and noise drawn anew for 200 walks; the last position's NEES must be 2 with the bias in it."""
    site, errors, covs = square(), [], []
    start, velocity = np.array([[-4.0, -1.0]]), np.array([[1.0, 0.4]])
    times = np.arange(0.0, 4.0, 0.25)
    options = LocalizerOptions(tracking=TrackingOptions(motion=motion))
    for _ in range(200):
        tracks = localize(walk(drawn(site, rng), start, velocity, times, rng), site, options)
        last = tracks.take(tracks.time == tracks.time.max())
        errors.append(last.xy[0] - (start + velocity * (times[-1] - times[0]))[0])
        covs.append(last.position_cov[0])
    nees = np.einsum("ni,nij,nj->n", errors, np.linalg.inv(covs), errors)
    # the engine allows for bodies and footprints that these points do not have: it may be wide, never narrow
    assert nees.mean() < 2.3, nees.mean()
    assert nees.mean() > 0.3, nees.mean()


def test_low_scores_extend_tracks_and_start_none(rng):
    times = np.arange(0.0, 3.0, 0.1)
    strong = walk(square(), np.array([[-3.0, 0.0]]), np.array([[1.0, 0.0]]), times, rng)
    weak = strong.replace(score=np.full(len(strong), 0.3))
    assert len(localize(weak, square())) == 0
    half = strong.replace(score=np.where(strong.time < 1.0, 0.95, 0.3))
    tracks = localize(half, square())
    assert len(set(tracks.track.tolist())) == 1
    assert confirmed(tracks).time.max() == pytest.approx(times[-1])


def test_a_low_score_does_not_speak_against_a_track_that_expected_its_box_there(rng):
    times = np.arange(0.0, 8.0, 0.1)
    seen = walk(square(), np.array([[-4.0, 0.0]]), np.array([[0.8, 0.0]]), times, rng, sigma_px=6.0)
    seen = seen.take(seen.camera == "A")
    seen = seen.replace(score=np.where(seen.time < 2.0, 0.95, 0.2))
    score = {}
    for density in (0.0125, 1e3):  # of a crowd, in which any box may be anybody's
        score[density] = localize(seen, square(), LocalizerOptions(existence=ExistenceOptions(density=density))).score
    assert score[0.0125][-1] > 0.8, score[0.0125][-1]  # 0.90
    assert score[1e3][-1] < 0.05


def test_what_a_place_says_is_its_density_over_that_of_others():
    def one(*values):
        return np.array([values], dtype=float)

    out, none = np.zeros(1), np.zeros(1)
    cov, bias, known = one(*np.diag([0.04, 0.09, 1.0])), np.zeros((1, 3, 3)), one(*np.diag([0.05, 0.01, 1.0, 1.0]))
    near = one(0.3, 0.2, 0.0), cov, bias, one(0.1, 0.1), known, np.zeros((1, 2, 2)), np.array([0.05])
    sight.expect(np.array([0]), *near, out)
    expected = multivariate_normal([0.1, 0.1], np.diag([0.09, 0.10])).logpdf([0.3, 0.2]) - np.log(0.05)
    assert out[0] == pytest.approx(expected, abs=1e-9)
    sight.expect(np.array([-1]), *near, none)
    far = one(3.0, 0.2, 0.0), *near[1:]
    sight.expect(np.array([0]), *far, none)
    assert none[0] == 0.0


def test_a_strong_box_is_believed_sooner_than_a_weak_one(rng):
    times = np.arange(0.0, 1.0, 0.1)
    rows = walk(square(), np.array([[-3.0, 0.0]]), np.array([[1.0, 0.0]]), times, rng)
    rows = rows.take(rows.camera == "A")
    first = {}
    for score in (0.55, 0.95):
        tracks = confirmed(localize(rows.replace(score=np.full(len(rows), score)), square()))
        first[score] = tracks.time.min() if len(tracks) else np.inf
    assert first[0.95] < first[0.55]


def test_what_no_camera_could_see_is_not_missed(rng):
    """A walker is lost from all cameras' boxes for 2 s: forgotten if they looked, kept if they were silent."""
    times = np.arange(0.0, 6.0, 0.1)
    rows = walk(square(), np.array([[-4.0, 0.0]]), np.array([[1.0, 0.0]]), times, rng)
    rows = rows.take((rows.time < 2.0) | (rows.time > 4.0))
    tracker_alone = LocalizerOptions(identity=IdentityOptions(same_probability=1.0))
    ids = {}
    for cameras in ((), ("A", "B", "C", "D")):
        localizer, seen = Localizer(square(), tracker_alone), set()
        for time in times:
            tracks = localizer.step(rows.take(rows.time == time), float(time), cameras)
            seen |= set(confirmed(tracks).track.tolist())
        ids[cameras] = len(seen)
    assert ids == {(): 1, ("A", "B", "C", "D"): 2}


def test_coasting_tracks_say_so_and_grow_unsure(rng):
    times = np.arange(0.0, 2.0, 0.1)
    rows = walk(square(), np.array([[-3.0, 0.0]]), np.array([[1.0, 0.0]]), times, rng)
    localizer = Localizer(square())
    for time in times:
        before = localizer.step(rows.take(rows.time == time), float(time))
    after = localizer.step(Detections(), 3.0, ())
    assert after.state.tolist() == ["coasting"]
    assert after.object.tolist() == [-1]
    assert after.cov[0, 0, 0] > 4 * before.cov[0, 0, 0]
    assert after.xy[0, 0] - before.xy[0, 0] == pytest.approx(1.1, abs=0.3)


def test_windows_that_go_back_in_time_are_refused():
    tracker = Tracker(square())
    tracker.predict(10.0)
    with pytest.raises(InputError, match="sort the windows by time"):
        tracker.predict(9.0)


def test_an_unknown_motion_is_refused_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match="constant_velocity"):
        TrackingOptions(motion="constant_velocty")


def test_no_objects_no_tracks():
    tracker = Tracker(square())
    tracker.predict(0.0)
    assert len(tracker.update(Objects(), np.ones(4, dtype=bool))) == 0


@pytest.mark.slow
def test_filtered_positions_are_honest_about_noise_alone(rng):
    """No bias, no bodies: with what is drawn equal to what is stated the filter's NEES is 2."""
    site = square(calib_cov=np.zeros((6, 6)))
    from geoloc.pipeline.footprint import FootprintOptions
    from geoloc.pipeline.fusion import FusionOptions

    options = LocalizerOptions(
        fusion=FusionOptions(body_sigma=0.0, spread=False),
        footprint=FootprintOptions(0.0, 0.0, 0.0, point_sigma=1e-3, noise_strength=1e6),
        tracking=TrackingOptions(acceleration=1e-3),
    )
    errors, covs = [], []
    start, velocity, times = np.array([[-4.0, -1.0]]), np.array([[1.0, 0.4]]), np.arange(0.0, 4.0, 0.25)
    for _ in range(200):
        tracks = localize(walk(site, start, velocity, times, rng), site, options)
        last = tracks.take(tracks.time == tracks.time.max())
        errors.append(last.xy[0] - (start + velocity * times[-1])[0])
        covs.append(last.position_cov[0])
    assert_consistent(np.array(errors), np.array(covs))


def test_tracks_of_a_past_window_stay_as_they_were(rng):
    """The filters live on in place; what was handed out must not change with them."""
    times = np.arange(0.0, 2.0, 0.1)
    rows = walk(square(), np.array([[-3.0, 0.0], [3.0, 1.0]]), np.array([[1.0, 0.0], [-1.0, 0.0]]), times, rng)
    localizer = Localizer(square())
    for time in times[:10]:
        then = localizer.step(rows.take(rows.time == time), float(time))
    before = {name: column.copy() for name, column in then}
    for time in times[10:]:
        localizer.step(rows.take(rows.time == time), float(time))
    for name, column in then:
        assert np.array_equal(column, before[name], equal_nan=column.dtype.kind == "f"), name
