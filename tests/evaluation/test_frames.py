"""Truth and result meet on frames, or are refused with the reason."""

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.evaluation.frames import common_frames, frames_of, place_on_frames

TEN_HZ = np.arange(50) / 10.0


def test_a_frame_without_any_truth_is_still_a_frame() -> None:
    frames = frames_of(np.delete(TEN_HZ, [20, 21, 22]))
    assert frames.even
    np.testing.assert_allclose(frames.time, TEN_HZ, atol=1e-9)
    assert frames.rate == "10 frames/s"


def test_times_rounded_to_milliseconds_keep_an_even_clock_for_an_hour() -> None:
    frames = frames_of(np.round(np.arange(3600 * 15) / 15.0, 3))
    assert frames.even
    assert len(frames.time) == 3600 * 15


def test_irregular_times_are_frames_as_they_are() -> None:
    times = np.cumsum(np.random.default_rng(3).uniform(0.05, 0.3, 40))
    frames = frames_of(times)
    assert not frames.even
    assert len(frames.time) == 40


def test_two_recordings_days_apart_do_not_make_a_million_frames() -> None:
    assert len(frames_of(np.concatenate([TEN_HZ, 1e6 + TEN_HZ])).time) == 100


def test_rows_a_little_off_the_clock_belong_to_the_nearest_frame() -> None:
    time = TEN_HZ + np.random.default_rng(1).uniform(-0.04, 0.04, 50)
    rows, frame = place_on_frames(frames_of(TEN_HZ), time, np.zeros(50, dtype=int), resample=False)
    np.testing.assert_array_equal(rows, np.arange(50))
    np.testing.assert_array_equal(frame, np.arange(50))


def test_another_frame_rate_is_refused_unless_resampling_is_meant() -> None:
    frames, fast = frames_of(TEN_HZ[::5]), TEN_HZ
    with pytest.raises(InputError, match="truth has 2 frames/s, the result 10 frames/s"):
        place_on_frames(frames, fast, np.zeros(50, dtype=int), resample=False)
    rows, frame = place_on_frames(frames, fast, np.zeros(50, dtype=int), resample=True)
    np.testing.assert_array_equal(fast[rows], frames.time)
    np.testing.assert_array_equal(frame, np.arange(10))


def test_clocks_that_share_no_time_are_refused_by_name() -> None:
    with pytest.raises(InputError, match="share no time"):
        place_on_frames(frames_of(TEN_HZ), 1.7e9 + TEN_HZ, np.zeros(50, dtype=int), resample=True)


def test_one_frame_takes_rows_of_its_time_alone() -> None:
    frames = frames_of(np.zeros(3))
    assert frames.rate == "one frame"
    rows, _ = place_on_frames(frames, np.array([0.0, 0.2]), np.arange(2), resample=False)
    np.testing.assert_array_equal(rows, [0])


def test_a_slower_result_sets_the_frames_and_says_so() -> None:
    frames, slow = frames_of(TEN_HZ), TEN_HZ[1::5]
    common = common_frames(frames, slow, resample=True)
    np.testing.assert_allclose(common.time, slow)
    assert common.rate == "2 frames/s, resampled from 10 frames/s"
    assert common_frames(frames, slow, resample=False) is frames
    faster = common_frames(frames_of(slow), TEN_HZ, resample=True)
    np.testing.assert_allclose(faster.time, slow)
    assert faster.rate == "2 frames/s, resampled from 10 frames/s"


def test_frames_of_a_slow_result_reach_over_all_of_the_truth() -> None:
    common = common_frames(frames_of(TEN_HZ), TEN_HZ[10:30:2], resample=True)
    np.testing.assert_allclose(common.time, TEN_HZ[::2])


def test_no_empty_frames_stand_in_a_gap_of_weeks() -> None:
    hour = np.arange(36_000) / 10.0
    frames = frames_of(np.concatenate([hour, 40 * 86_400.0 + hour]))
    assert frames.even
    assert len(frames.time) == 72_000
