"""Packets in front of the engine: late, out of order, twice, too many; and what is done about each.

A packet holds whole frames of one or more cameras. Windows close on event time: the watermark is the time that the
cameras have reached, less `wait_s`. What belongs to a window that is closed already is put in its place by replay
(the engine goes back to a copy of its state and steps again) while it is within `horizon_s`; later packets are counted.
The final answer is that of the same frames sorted beforehand, bit for bit.

Nothing here reads a clock on the wall: the same packets in the same order give the same answers.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from geoloc.options import check_range
from geoloc.pipeline.localizer import Localizer, step_through, window_numbers
from geoloc.scene.tables import LATEST_TIME, Detections, GroundPoints, Tracks

MOST_HELD = 1000  # frames of a camera far ahead of all others
SAID_OF_A_BOX = ("box", "foot", "foot_cov", "label", "score", "embedding")


@dataclass(frozen=True)
class PacketOptions:
    """How long packets are waited for, and how much is taken of whom."""

    wait_s: float = 0.3  # a window is closed when the cameras have reached its end and this much more
    horizon_s: float = 10.0  # packets that are late by at most this are put in their place by replay
    replay_every_s: float = 1.0  # least time between two replays, which bounds their cost
    alone_s: float = 2.0  # a camera far ahead of all others is waited with, unless it is alone for this long
    max_ahead_s: float = 60.0  # and frames further ahead than this are held back, the last 1000 of them
    max_boxes: int = 1000  # of a frame; of more, those of the highest scores are kept
    max_rows_per_s: int = 20_000  # of a camera in a second of its stamps; frames beyond are refused whole

    def __post_init__(self) -> None:
        check_range(self, wait_s=(0, 3600), horizon_s=(0, 3600), replay_every_s=(0, 3600), alone_s=(0, 3600))
        check_range(self, max_ahead_s=(0, 1e6), max_boxes=(1, 1_000_000), max_rows_per_s=(1, 100_000_000))


@dataclass(frozen=True, eq=False)
class Answer:
    """The tracks of one closed window; `revised` where a late packet changed what was said of it before."""

    window: int  # its number; the same number again replaces what was said before
    tracks: tuple[Tracks, ...]  # one a step, see `windows`
    points: tuple[GroundPoints, ...]  # of each step, with the object that each went into
    revised: bool


@dataclass(eq=False)
class _Window:
    """What is kept of a window while it is within the horizon."""

    frames: dict[tuple[str, float], Detections] = field(default_factory=dict)
    before: Localizer | None = None  # the engine's state before it, at some windows


@dataclass(eq=False)
class _Reach:
    """How far the cameras' stamps have come: the time that two of them reached, or one that is alone."""

    alone_s: float
    latest: dict[str, float] = field(default_factory=dict)  # s, of each camera
    first: str = ""  # the camera that came furthest
    second: float = -np.inf  # s, how far the one behind it came
    last: str = ""  # the camera that was heard last
    alone: float = 0.0  # s that it came on since another one was heard

    def hear(self, camera: str, time: float) -> float:
        """Note a camera's stamp (s); the time reached."""
        before = self.latest.get(camera, time)
        self.latest[camera] = now = max(before, time)
        if camera != self.last:
            self.last, self.alone = camera, 0.0
        # one step is not enough to be alone: a clock may have jumped
        self.alone += min(now - before, 0.25 * self.alone_s)
        furthest = self.latest[self.first] if self.first else -np.inf
        if camera != self.first and now > furthest:
            self.first, self.second = camera, furthest
        elif camera != self.first:
            self.second = max(self.second, now)
        return now if len(self.latest) == 1 or self.alone >= self.alone_s else self.second


class PacketLocalizer:
    """A `Localizer` that is fed packets as they come.

    >>> live = PacketLocalizer(Localizer(site))                       # doctest: +SKIP
    >>> for packet in stream:                                         # doctest: +SKIP
    ...     for answer in live.push(packet): ...
    """

    def __init__(self, localizer: Localizer, options: PacketOptions | None = None) -> None:
        self.localizer = localizer
        self.options = options or PacketOptions()
        self.counts: Counter[str] = Counter()  # rows that were not taken, by reason, and packets late or out of order
        self._windows: dict[int, _Window] = {}
        self._closed = -np.inf  # number of the last window that was closed
        self._forgotten = -np.inf  # number of the last window that is beyond the horizon
        self._stale = np.inf  # number of the first closed window that a late packet fell into
        self._reach = _Reach(self.options.alone_s)
        self._held: dict[str, list[tuple[float, Detections]]] = {}  # frames far ahead of all other cameras
        self._lead = -np.inf  # s, time that the cameras have reached
        self._rows: Counter[tuple[str, int]] = Counter()  # of each camera in each second
        self._copied = -np.inf  # s, time of the last copy of the engine's state
        self._replayed = -np.inf  # s, lead at the last replay

    def push(self, packet: Detections) -> list[Answer]:
        """Take in whole frames; the answers of the windows that this closed or revised, in order of time."""
        for camera, time, frame in self._frames(packet):
            self._hear(camera, time)
            if time > self._lead + self.options.max_ahead_s:
                self._wait_with(camera, time, frame)
            else:
                self._take(camera, time, frame)
        return self._advance(self._number(self._lead - self.options.wait_s) - 1)

    def finish(self) -> list[Answer]:
        """Close all windows: no packet will come any more."""
        for held in self._held.values():
            self._count("far ahead of all other cameras", sum(len(frame) for _, frame in held))
        self._held.clear()
        return self._advance(max(self._windows, default=self._closed), last=True)

    def _number(self, time: float) -> float:
        return float(window_numbers(np.array([time]), self.localizer.options.window_s)[0])

    def _frames(self, packet: Detections) -> Iterator[tuple[str, float, Detections]]:
        """The frames of a packet in order of time, without the rows that have no place in time."""
        finite = np.isfinite(packet.time)
        seconds = finite & (np.abs(np.where(finite, packet.time, 0.0)) <= LATEST_TIME)
        self._count("no finite time", int((~finite).sum()))
        self._count("time is not in seconds", int((finite & ~seconds).sum()))
        packet = packet.take(seconds)
        known = self.localizer.site.camera_rows(packet.camera) >= 0
        self._count("unknown camera", int((~known).sum()))
        packet = packet.take(known)
        packet = packet.take(np.lexsort((packet.camera, packet.time)))
        new = (packet.camera[1:] != packet.camera[:-1]) | (packet.time[1:] != packet.time[:-1])
        edges = np.flatnonzero(np.r_[True, new, True]) if len(packet) else np.zeros(0, dtype=np.intp)
        for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            yield str(packet.camera[start]), float(packet.time[start]), packet.take(np.arange(start, stop))

    def _take(self, camera: str, time: float, frame: Detections) -> None:
        """One frame into its window, or into the counts."""
        number = int(self._number(time))
        frame = self._bounded(frame)
        if number <= self._forgotten:
            self._count("later than the horizon", len(frame))
            return
        frames = self._windows[number].frames if number in self._windows else {}
        if (camera, time) in frames:
            again = _same_boxes(frame, frames[camera, time])
            self._count("frame came twice" if again else "frame came twice with other boxes", len(frame))
            return
        second = camera, int(np.floor(time))
        if self._rows[second] + len(frame) > self.options.max_rows_per_s:
            self._count("camera floods", len(frame))
            return
        self._rows[second] += len(frame)
        self._windows.setdefault(number, _Window()).frames[camera, time] = frame
        if number <= self._closed:
            self.counts["frames put in their place by replay"] += 1
            self._stale = min(self._stale, number)

    def _wait_with(self, camera: str, time: float, frame: Detections) -> None:
        """A frame far ahead of all other cameras: its clock is wrong, or the others are silent."""
        held = self._held.setdefault(camera, [])
        held.append((time, frame))
        if len(held) > MOST_HELD:
            self._count("far ahead of all other cameras", len(held.pop(0)[1]))

    def _release(self) -> None:
        """Take the frames that are not far ahead any more."""
        for camera, held in self._held.items():
            ready = [(time, frame) for time, frame in held if time <= self._lead + self.options.max_ahead_s]
            held[:] = [(time, frame) for time, frame in held if time > self._lead + self.options.max_ahead_s]
            for time, frame in ready:
                self._take(camera, time, frame)

    def _hear(self, camera: str, time: float) -> None:
        """Move on the time that the cameras have reached."""
        if time < self._reach.latest.get(camera, time):
            self.counts["frames out of order"] += 1
        lead = self._reach.hear(camera, time)
        if lead > self._lead:
            self._lead = lead
            self._release()

    def _bounded(self, frame: Detections) -> Detections:
        """At most `max_boxes` rows: those of the highest scores, of equal ones those of the lowest ids."""
        extra = len(frame) - self.options.max_boxes
        if extra <= 0:
            return frame
        self._count("more boxes than a frame may have", extra)
        score = np.where(np.isfinite(frame.score), frame.score, -np.inf)
        return frame.take(np.sort(np.lexsort((frame.id, -score))[: self.options.max_boxes]))

    def _count(self, reason: str, n: int) -> None:
        if n:
            self.counts[reason] += n

    def _advance(self, until: float, last: bool = False) -> list[Answer]:
        """Close the windows up to number `until`; go back first where late packets have come."""
        until, replayed_to, first = max(until, self._closed), self._closed, self._closed + 1
        due = last or self._lead >= self._replayed + self.options.replay_every_s
        if due and self._stale <= self._closed:
            first = self._go_back()
        elif until == self._closed:
            return []
        numbers = sorted(number for number in self._windows if first <= number <= until)
        answers = [self._run(number, number <= replayed_to) for number in numbers]
        self._closed = until
        self._forget()
        return answers

    def _go_back(self) -> int:
        """Put the engine back before the first window that is stale, and say which window is next."""
        copies = {n: window.before for n, window in self._windows.items() if window.before is not None}
        # before the first copy there was nothing
        saved = max((n for n in copies if n <= self._stale), default=min(copies))
        self.localizer.resume_from(copies[saved])
        first = int(min(saved, self._stale))
        redone = [n for n in self._windows if first <= n <= self._closed]
        self.counts["windows replayed"] += len(redone)
        for number in redone:
            self._windows[number].before = None
        self._stale, self._replayed, self._copied = np.inf, self._lead, -np.inf
        return first

    def _run(self, number: int, revised: bool) -> Answer:
        """Step through one window."""
        window, length = self._windows[number], self.localizer.options.window_s
        if number * length >= self._copied + self.options.replay_every_s:
            window.before = self.localizer.copy()
            self._copied = number * length
        steps = step_through(self.localizer, Detections.concat(list(window.frames.values())))
        said = [(tracks, self.localizer.points) for tracks in steps]
        return Answer(number, tuple(tracks for tracks, _ in said), tuple(points for _, points in said), revised)

    def _forget(self) -> None:
        """Let go of what no replay can need any more: nothing grows with the hours."""
        horizon = min(self._number(self._lead - self.options.horizon_s) - 1, self._closed)
        copies = [n for n, window in self._windows.items() if window.before is not None and n <= horizon + 1]
        if not copies or self._stale <= self._closed:
            return
        oldest = max(copies)
        self._forgotten = oldest - 1
        self._windows = {n: window for n, window in self._windows.items() if n >= oldest}
        before = oldest * self.localizer.options.window_s - 1.0
        for key in [key for key in self._rows if key[1] < before]:
            del self._rows[key]


def replay_packets(live: PacketLocalizer, detections: Detections) -> list[tuple[Tracks, GroundPoints]]:
    """What was said last of each step of a recording whose rows come in the order in which they arrived."""
    said: dict[int, Answer] = {}
    for packet in packets_of(detections):
        said |= {answer.window: answer for answer in live.push(packet)}
    said |= {answer.window: answer for answer in live.finish()}
    return [step for number in sorted(said) for step in zip(said[number].tracks, said[number].points, strict=True)]


def packets_of(detections: Detections) -> Iterator[Detections]:
    """Runs of rows of one camera and time, in the order of the rows."""
    camera, time = detections.coded("camera").code, detections.time
    new = (np.diff(camera, prepend=-1) != 0) | (np.diff(time, prepend=np.nan) != 0)
    edges = [*np.flatnonzero(new).tolist(), len(time)]
    for start, stop in pairwise(edges):
        yield detections.take(slice(start, stop))


def _same_boxes(a: Detections, b: Detections) -> bool:
    """Whether two frames say the same, whatever their rows' ids."""
    return len(a) == len(b) and all(
        np.array_equal(getattr(a, name), getattr(b, name), equal_nan=getattr(a, name).dtype.kind == "f")
        for name in SAID_OF_A_BOX
    )
