"""Packets in front of the engine: late, out of order, twice, too many; and what is done about each.

A packet holds whole frames of one or more cameras. Windows close on event time: the watermark is the time that the
cameras have reached, less `wait_s`. What belongs to a window that is closed already is put in its place by replay
(the engine goes back to a copy of its state and steps again) while it is within `horizon_s`; later packets are counted.
The final answer is that of the same frames sorted beforehand, bit for bit.

Nothing here reads a clock on the wall: the same packets in the same order give the same answers.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from geoloc.errors import InputError
from geoloc.pipeline.arrivals import Reach
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.localizer import Localizer, step_through, window_numbers
from geoloc.scene.columns import LATEST_TIME
from geoloc.scene.tables import Detections, GroundPoints, Tracks

MOST_HELD = 1000  # frames of a camera far ahead of all others
SAID_OF_A_BOX = ("box", "foot", "foot_cov", "label", "score", "embedding")


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


@dataclass(frozen=True)
class _Order:
    """What the operator said after window `number` was closed, which holds however often that is replayed."""

    number: float
    object: int
    other: int
    why: str
    event: Event | None = None  # told instead: nothing is undone


class PacketLocalizer:
    """A `Localizer` that is fed packets as they come, by its options of `packets`.

    >>> live = PacketLocalizer(Localizer(site))                       # doctest: +SKIP
    >>> for packet in stream:                                         # doctest: +SKIP
    ...     for answer in live.push(packet): ...
    """

    def __init__(self, localizer: Localizer) -> None:
        self.localizer = localizer
        self.options = localizer.options.packets
        self.counts: Counter[str] = Counter()  # rows that were not taken, by reason, and packets late or out of order
        self._windows: dict[int, _Window] = {}
        self._closed = -np.inf  # number of the last window that was closed
        self._forgotten = -np.inf  # number of the last window that is beyond the horizon
        self._stale = np.inf  # number of the first closed window that a late packet fell into
        self._reach = Reach(self.options.alone_s)
        self._held: dict[str, list[tuple[float, Detections]]] = {}  # frames far ahead of all other cameras
        self._lead = -np.inf  # s, time that the cameras have reached
        self._rows: Counter[tuple[str, int]] = Counter()  # of each camera in each second
        self._copied = -np.inf  # s, time of the last copy of the engine's state
        self._replayed = -np.inf  # s, lead at the last replay
        self._orders: list[_Order] = []  # since the window before which a replay may begin

    def push(self, packet: Detections) -> list[Answer]:
        """Take in whole frames; the answers of the windows that this closed or revised, in order of time."""
        self._keep_up()
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

    def step(self, detections: Detections, time: float | None = None, cameras: Iterable[str] | None = None) -> Tracks:
        """As `Localizer.step`, of a whole window; InputError while packets wait for theirs to close."""
        if self.waits:
            raise InputError("packets wait for their windows to close; call finish() before a window is given whole")
        return self.localizer.step(detections, time, cameras)

    def undo(self, object: int, other: int, why: str = "") -> Event:
        """As `Localizer.undo`; windows that are replayed keep to it."""
        event = self.localizer.undo(object, other, why)
        self._orders.append(_Order(self._closed, object, other, why))
        return event

    def tell(self, event: Event) -> Event:
        """As `Localizer.tell`; windows that are replayed keep to it."""
        self._orders.append(_Order(self._closed, 0, 0, "", event))
        return self.localizer.tell(event)

    def reserve(self, stop: int) -> None:
        """As `Book.reserve`; windows that are replayed keep to it."""
        self.localizer.identities.book.reserve(stop)

    @property
    def waits(self) -> bool:
        """Whether there is anything that `finish` would do."""
        late = self._stale <= self._closed
        return late or any(number > self._closed for number in self._windows) or any(self._held.values())

    def settle(self) -> None:
        """What was closed stays as it is: nothing goes back behind it any more. Late packets are put in first."""
        if self._stale <= self._closed:
            self._advance(self._closed, last=True)
        self._windows = {n: window for n, window in self._windows.items() if n > self._closed}
        self._orders.clear()
        self._forgotten, self._stale, self._copied = self._closed, np.inf, -np.inf

    def _keep_up(self) -> None:
        """Windows that were given whole are closed."""
        reached = self._number(self.localizer.tracker.time)
        if reached > self._closed:
            self._closed = reached
            self.settle()

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
        orders = [order for order in self._orders if order.number >= first]
        answers = []
        for number in numbers:
            orders = self._obey(orders, number)
            answers.append(self._run(number, number <= replayed_to))
        self._obey(orders, np.inf)
        self._closed = until
        self._forget()
        return answers

    def _obey(self, orders: list[_Order], until: float) -> list[_Order]:
        """Do again what was said before window `until`; the orders that are left."""
        for order in orders:
            if order.number < until and order.event is not None:
                self.localizer.tell(order.event)
            elif order.number < until:
                try:
                    self.localizer.undo(order.object, order.other, order.why)
                except InputError:  # late packets have shown that it never happened
                    self._count("undone before it happened", 1)
        return [order for order in orders if order.number >= until]

    def _go_back(self) -> int:
        """Put the engine back before the first window that is stale, and say which window is next."""
        copies = {n: window.before for n, window in self._windows.items() if window.before is not None}
        if not copies:  # the windows that were passed over had no frame: there is nothing to go back from
            first, self._stale = int(self._stale), np.inf
            return first
        # before the first copy there was nothing
        saved = max((n for n in copies if n <= self._stale), default=min(copies))
        reserved = self.localizer.identities.book.reserved
        self.localizer.resume_from(copies[saved])
        self.localizer.identities.book.reserved = reserved
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
        self._orders = [order for order in self._orders if order.number >= oldest]
        before = oldest * self.localizer.options.window_s - 1.0
        for key in [key for key in self._rows if key[1] < before]:
            del self._rows[key]


def replay_packets(live: PacketLocalizer, detections: Detections) -> list[tuple[Tracks, GroundPoints]]:
    """What was said last of each step of a recording whose rows come in the order in which they arrived."""
    return last_said(live.push, live.finish, packets_of(detections))


def last_said(
    push: Callable[[Detections], list[Answer]], finish: Callable[[], list[Answer]], packets: Iterable[Detections]
) -> list[tuple[Tracks, GroundPoints]]:
    """What was said last of each step, in order, when packets are pushed and then finished."""
    said: dict[int, Answer] = {}
    for packet in packets:
        said |= {answer.window: answer for answer in push(packet)}
    said |= {answer.window: answer for answer in finish()}
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
