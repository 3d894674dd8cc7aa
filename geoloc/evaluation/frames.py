"""Truth and result brought onto the same frames, or a refusal that says why they have none."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import InputError

LONGEST_GAP_S = 3600.0  # s; a longer time without a row is a break: no empty frames stand in it
SAME_TIME = 1e-3  # s; times nearer than this are one frame
SAME_RATE = 0.05  # relative difference up to which two frame rates are one
REGULAR = 0.1  # of a period: how far frames may lie off an even clock to be taken as even


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of a recording by their `time` (F,) s, ascending; `even` if they tick without gaps.

    A recording with one frame has no `period` (NaN). `resampled_from` says which frames a second there were before
    the slower of truth and result set them, empty where they are the truth's own.
    """

    time: np.ndarray
    period: float
    even: bool
    resampled_from: str = ""

    @property
    def rate(self) -> str:
        """Frames a second, for a protocol."""
        own = f"{1.0 / self.period:.4g} frames/s" if np.isfinite(self.period) else "one frame"
        return f"{own}, resampled from {self.resampled_from}" if self.resampled_from else own

    def nearest(self, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frame (N,) nearest to each time (N,) s, and how far from it the time lies (N,) s."""
        at = np.clip(np.searchsorted(self.time, time), 1, max(len(self.time) - 1, 1))
        left, right = self.time[at - 1], self.time[np.minimum(at, len(self.time) - 1)]
        frame = np.where(time - left <= right - time, at - 1, np.minimum(at, len(self.time) - 1))
        return frame, time - self.time[frame]


def frames_of(time: np.ndarray) -> Frames:
    """The frames that rows with times (N,) s stand on; frames without a row between them are counted too.

    Where all gaps are whole multiples of the usual one, the clock is even and its empty frames exist: a false
    alarm there is one. In gaps longer than LONGEST_GAP_S there are none: rows in them stand at no frame.
    """
    times = np.unique(np.asarray(time, float))
    times = times[np.append(True, np.diff(times) > SAME_TIME)] if len(times) else times
    if len(times) < 2:
        return Frames(times, float("nan"), True)
    gaps = np.diff(times)
    period = float(np.median(gaps))
    steps = np.rint((times - times[0]) / period)
    if (np.abs(times - times[0] - steps * period) > REGULAR * period).any():
        # a median of rounded times drifts off over hours: let all of them say how long a period is
        period = float((times[-1] - times[0]) / max(np.rint(gaps / period).sum(), 1.0))
        steps = np.rint((times - times[0]) / period)
    even = bool((np.abs(times - times[0] - steps * period) <= REGULAR * period).all())
    return Frames(_filled(times, steps.astype(int), period), period, True) if even else Frames(times, period, False)


def _filled(times: np.ndarray, steps: np.ndarray, period: float) -> np.ndarray:
    """The `times` (F,) of an even clock, at `steps` (F,) int, with its empty frames between them but in breaks."""
    fills = np.where(np.diff(times) <= LONGEST_GAP_S, np.diff(steps), 1)
    place = np.concatenate([[0], np.cumsum(fills)])
    before = np.repeat(np.arange(len(times)), np.append(fills, 1))
    return np.asarray(times[before] + period * (np.arange(len(before)) - place[before]))


def common_frames(frames: Frames, time: np.ndarray, resample: bool) -> Frames:
    """The frames on which truth and a result with times (N,) s are scored.

    The truth's own `frames`; with `resample` those of them that are nearest to the ticks of a slower result, so that
    neither is held to frames that it never had.
    """
    own = frames_of(time)
    if not resample or not (np.isfinite(own.period) and np.isfinite(frames.period)):
        return frames
    ratio = own.period / frames.period
    if abs(ratio - 1.0) <= SAME_RATE:
        return frames
    if ratio < 1.0:
        return replace(frames, resampled_from=own.rate)
    tick = np.rint((frames.time - own.time[0]) / own.period)
    off = np.abs(frames.time - own.time[0] - tick * own.period)
    order = np.lexsort((off, tick))
    order = order[off[order] <= 0.5 * frames.period * (1 + 1e-9)]
    kept = np.sort(order[np.diff(tick[order], prepend=-np.inf) > 0])
    return Frames(frames.time[kept], own.period, frames.even and own.even, frames.rate)


def place_on_frames(
    frames: Frames, time: np.ndarray, row_id: np.ndarray, resample: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Which rows (K,) of a result with times (N,) s are scored, and the frame (K,) of each.

    A row belongs to the frame of the truth that is nearest, at most half a period away; of several rows of one
    id (N,) there, the nearest in time. Of rows without identity (-1) all stay, and where frames are dropped
    (`resample`) those of the nearest time. Refused: times that share nothing with the truth's, and another frame
    rate unless `resample` says that dropping rows is meant.
    """
    if not len(time):
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    _refuse_apart(frames, time)
    if not resample:
        _refuse_other_rate(frames, time)
    frame, off = frames.nearest(time)
    half = 0.5 * frames.period if np.isfinite(frames.period) else SAME_TIME
    rows = np.flatnonzero(np.abs(off) <= half * (1 + 1e-9))
    rows = rows[np.lexsort((np.abs(off[rows]), row_id[rows], frame[rows]))]
    rows = np.sort(rows[~_again(frame[rows], row_id[rows], off[rows], resample)])
    return rows, frame[rows]


def _again(frame: np.ndarray, row_id: np.ndarray, off: np.ndarray, resample: bool) -> np.ndarray:
    """Which rows (K,), sorted by frame, id, then nearness in time, stand for what a row before them stands for."""
    same = np.append(False, (np.diff(frame) == 0) & (np.diff(row_id) == 0))[: len(frame)]
    first = np.maximum.accumulate(np.where(same, 0, np.arange(len(frame))))
    other_time = np.abs(off - off[first]) > SAME_TIME
    return same & ((row_id >= 0) | (resample & other_time))


def refuse_milliseconds(truth_period: float, result_period: float) -> None:
    """InputError where one of two periods (s) is a thousand times the other."""
    for factor, what in ((1e3, "result's"), (1e-3, "truth's")):
        if abs(result_period / (factor * truth_period) - 1.0) <= SAME_RATE:
            raise InputError(f"the {what} times look like milliseconds; divide them by 1000")


def _refuse_apart(frames: Frames, time: np.ndarray) -> None:
    first, last = frames.time[0], frames.time[-1]
    if time.max() < first - SAME_TIME or time.min() > last + SAME_TIME:
        raise InputError(
            f"truth is from {first:.3f} to {last:.3f} s, the result from {time.min():.3f} to {time.max():.3f} s: they "
            "share no time. Does one count from the recording's start, the other from 1970? Shift one of them"
        )


def _refuse_other_rate(frames: Frames, time: np.ndarray) -> None:
    own = frames_of(time)
    if not (np.isfinite(own.period) and np.isfinite(frames.period)):
        return
    refuse_milliseconds(frames.period, own.period)
    if abs(own.period / frames.period - 1.0) > SAME_RATE:
        raise InputError(
            f"truth has {frames.rate}, the result {own.rate}: figures of other frame rates do not compare. Give both "
            "at one rate, or say resample: then both are scored on the frames of the slower one"
        )
