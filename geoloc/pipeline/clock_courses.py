"""Clocks that jump, and streams that lose frames: each camera's offset from path to path over a whole recording.

A camera whose stamps count frames falls behind by all that it loses, a little or many seconds at once, and shows its
objects where no other camera sees any: nothing is compared, so nothing online tells. But the passages of `meet` go on
agreeing, on another offset. The course of one clock is the likeliest one (Viterbi, 1967) among those that stay, and
now and then jump, smaller jumps before larger ones, while each path is met by others at the offset, or by chance.
"""

from dataclasses import dataclass, field

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.clock_paths import Passages

STEP_S = 0.1  # between offsets that are tried
LEAST_TRACKS = 2  # after a jump: one may be another object's
LEARNED = 3  # rounds in which it is learned how often a clock jumps


@dataclass(frozen=True)
class ClockCourseOptions:
    """How clocks may go in the course of a recording."""

    reach_s: float = 30.0  # how far from where it began an offset may come; 0: clocks do not jump
    jump_every_s: float = 3600.0  # mean time between two jumps of a clock of which nothing is known
    least_jump_s: float = 0.5  # smaller ones are followed online, and look like what boxes mean in one direction
    tolerance_s: float = 0.3  # to which passages of one object agree
    seen_share: float = 0.8  # of the paths over common ground that the other camera sees too

    def __post_init__(self) -> None:
        check_range(self, reach_s=(0, 600), jump_every_s=(1, 1e12), tolerance_s=(1e-3, 60), seen_share=(0, 0.999))
        check_range(self, least_jump_s=(0, 60))


@dataclass(frozen=True, eq=False)
class Course:
    """Offsets (S,) s of a clock, each from a stamp `since` (S,) s on; the first one from the beginning."""

    since: np.ndarray = field(default_factory=lambda: np.array([-np.inf]))
    offset: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def part(self, time: np.ndarray) -> np.ndarray:
        """Which of the offsets holds at stamps (N,) s."""
        return np.maximum(np.searchsorted(self.since, time, side="right") - 1, 0)

    def without(self, number: int) -> "Course":
        """The course whose offset `number` goes on from the one before."""
        return Course(np.delete(self.since, number), np.delete(self.offset, number))

    def at(self, time: np.ndarray) -> np.ndarray:
        """The offset (N,) s at stamps (N,) s."""
        return self.offset[self.part(time)]


def find_courses(met: dict[tuple[str, str], Passages], options: ClockCourseOptions) -> dict[str, Course]:
    """The course of each clock that jumps, from the passages of all pairs of cameras, whose clocks begin as one.

    Where two clocks differ from some time on, the one has jumped that the most other cameras contradict.
    """
    names = sorted({name for pair in met for name in pair})
    courses = {name: Course() for name in names}
    jumped: dict[str, Course] = {}
    while options.reach_s > 0:
        found = {name: _course(name, met, courses, options) for name in names if name not in jumped}
        gains = {name: gain for name, (_, gain) in found.items() if len(found[name][0].since) > 1}
        if not gains:
            break
        name = max(sorted(gains), key=gains.__getitem__)
        courses[name] = jumped[name] = found[name][0]
    return jumped


def _course(
    name: str, met: dict[tuple[str, str], Passages], courses: dict[str, Course], options: ClockCourseOptions
) -> tuple[Course, float]:
    """The likeliest course of one clock, those of the others as they are, and its log-odds against a steady one."""
    track, time, offset, other = _votes(name, met, courses)
    near = np.abs(offset) <= options.reach_s
    if not near.any():
        return Course(), 0.0
    tracks, row = np.unique(track[near], return_inverse=True)
    begin = np.bincount(row, time[near]) / np.bincount(row)
    tried = np.arange(-options.reach_s, options.reach_s + 0.5 * STEP_S, STEP_S)
    likelihood = np.zeros((len(tracks), len(tried)))
    for camera in np.unique(other[near]):
        mine = other[near] == camera
        likelihood += _likelihood(row[mine], offset[near][mine], len(tracks), tried, options)
    order = np.argsort(begin, kind="stable")
    begin, likelihood = begin[order], likelihood[order]
    course, gain = _likeliest(begin, likelihood, tried, options.jump_every_s, options)
    for _ in range(LEARNED):  # a clock that has jumped does so again
        n_jumps = len(course.since) - 1
        every = max(float(np.ptp(begin)), STEP_S) / max(n_jumps, 1)
        if not n_jumps or every >= options.jump_every_s:
            break
        course = _likeliest(begin, likelihood, tried, every, options)[0]
    return course, gain


def _votes(
    name: str, met: dict[tuple[str, str], Passages], courses: dict[str, Course]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Each passage of the camera: its track there, when, the offset that it speaks for, and the other camera."""
    found = []
    for number, ((a, b), passages) in enumerate(sorted(met.items())):
        pair = np.full(len(passages), number)
        if a == name:
            of_b = courses[b].at(passages.time_b)
            found.append((passages.track_a, passages.time_a, passages.ahead + of_b, pair))
        elif b == name:
            of_a = courses[a].at(passages.time_a)
            found.append((passages.track_b, passages.time_b, of_a - passages.ahead, pair))
    track, time, offset, other = (np.concatenate(column) for column in zip(*found, strict=True))
    return track, time, offset, other


def _likelihood(
    row: np.ndarray, offset: np.ndarray, n: int, tried: np.ndarray, options: ClockCourseOptions
) -> np.ndarray:
    """Log-likelihood (n, G) of what one other camera says about n tracks, at each offset that is tried."""
    sigma = options.tolerance_s
    peaks = np.exp(-0.5 * ((tried - offset[:, None]) / sigma) ** 2) / (np.sqrt(2 * np.pi) * sigma)
    density = np.zeros((n, len(tried)))
    np.add.at(density, row, peaks)
    # so many agree by chance in a second of offset: a track's own, or as many as one has on average
    count = np.bincount(row, minlength=n)
    chance = np.maximum(count, count[count > 0].mean()) / (2.0 * options.reach_s)
    log_odds = np.log(1.0 - options.seen_share + options.seen_share * density / chance[:, None])
    return np.where(count[:, None] > 0, log_odds, 0.0)


def _likeliest(
    time: np.ndarray, likelihood: np.ndarray, tried: np.ndarray, every: float, options: ClockCourseOptions
) -> tuple[Course, float]:
    """The likeliest course through the likelihoods (n, G) of tracks in order of `time` (n,), and its log-odds."""
    apart = np.abs(tried[:, None] - tried)
    # each order of magnitude of a jump is as likely
    jump = np.log(STEP_S / np.maximum(apart, STEP_S) / (2.0 * np.log(2.0 * options.reach_s / STEP_S)))
    jump[apart < options.least_jump_s] = -np.inf
    score, came_from = likelihood[0].copy(), []
    for k in range(1, len(time)):
        rate = max(time[k] - time[k - 1], STEP_S) / every
        way = score + np.log(-np.expm1(-rate)) + jump
        np.fill_diagonal(way, score - rate)
        came_from.append(way.argmax(axis=1))
        score = way.max(axis=1) + likelihood[k]
    at = [int(score.argmax())]
    for step in reversed(came_from):
        at.append(int(step[at[-1]]))
    offset = tried[at[::-1]]
    new = np.flatnonzero(np.diff(offset) != 0) + 1
    new = new[np.diff(new, append=len(offset)) >= LEAST_TRACKS]
    since = np.append(-np.inf, 0.5 * (time[new - 1] + time[new]))
    return Course(since, offset[np.append(0, new)]), float(score.max() - likelihood.sum(axis=0).max())
