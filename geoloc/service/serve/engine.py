"""A site's engine at work: one thread owns it, takes what waits, and acknowledges what the disk has.

Batches that wait are pushed one after the other, then the log is synced once, and only then are they acknowledged and
what they changed told: so whoever was told of something will find it again after any crash.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import GeolocError, InputError
from geoloc.pipeline.journal import JournaledLocalizer, JournalOptions
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.localizer import Localizer, LocalizerOptions
from geoloc.pipeline.packets import Answer
from geoloc.pipeline.queries import State
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.service.serve.camera_clocks import CameraNow, cameras_now
from geoloc.service.serve.heard import NO_ID

WARM_UP = 5  # windows
AT_ONCE = 64  # batches between two syncs
ROWS = 1 << 22  # a batch's boxes have ids of their own below this, behind the number of its record
LOOK_S = 10.0  # between looks at the cameras
TOLD = 1000  # events that are compared after a replay, which may have changed them
JOURNAL = JournalOptions(sync_s=1e9)  # the engine's thread syncs itself, before it acknowledges

logger = logging.getLogger(__name__)


class BusyError(InputError):
    """Nothing was taken, and the same again may be taken in a moment."""


class UnavailableError(InputError):
    """Nothing was acknowledged: the engine has stopped, or the disk does not take it."""


@dataclass(frozen=True)
class Receipt:
    """What is in the log for good: `rows` boxes, in record `number`; 0: an empty batch needs none."""

    rows: int
    number: int


@dataclass(frozen=True, eq=False)
class Told:
    """What the world may know now: answers in the order in which they were given, and events that are new or other."""

    answers: tuple[Answer, ...]
    events: tuple[Event, ...]
    first: int = 0  # record of the log, and the last one, that they came of
    last: int = -1
    n_events: int = 0  # of the site so far; a replay with late frames may have made them fewer
    place: int = 0  # of the last batch that they came of, where its sender has a log of its own
    cameras: tuple[CameraNow, ...] = ()  # now and then


@dataclass
class Figures:
    """Counts since the start, for the metrics; written by the engine's thread alone."""

    batches: int = 0
    rows: int = 0
    windows: int = 0
    revised: int = 0
    failed: int = 0
    busy_s: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)  # rows by reason, since the state was begun


@dataclass(frozen=True, eq=False)
class _Batch:
    packet: Detections | Event | None  # an event: take note of it; None: no more comes, close all windows
    receipt: "Future[Receipt]"
    place: int = 0


class LiveEngine:
    """A site's engine in its thread: `submit` batches, `ask` questions; `tell` is called there with what is new.

    With `kept_elsewhere` the batches are in a log of the sender's, who names their place in it (`take_kept`): the disk
    is not waited for, what each changed is told by itself, and one that the disk does not take ends the engine.
    """

    def __init__(
        self, site: Site, folder: Path, options: LocalizerOptions | None, changed: Collection[str], max_waiting: int,
        tell: Callable[[Told], None], journal: JournalOptions = JOURNAL, kept_elsewhere: bool = False,
    ) -> None:  # fmt: skip
        self.site = site
        self.place = 0  # of the last batch that was worked off
        self._kept_elsewhere = kept_elsewhere
        self.needed: Callable[[], float] = lambda: np.inf  # record behind which the log is to be kept for others
        self.begun: Callable[[int], None] = lambda number: None  # called with its number once the state is restored
        self._journal = journal
        self._told_number, self._looked = 0, -np.inf
        self.figures = Figures()
        self.failure = ""  # why it has stopped, if it has
        self.ready = threading.Event()  # the state is restored
        self._folder, self._options, self._changed, self._max_waiting = folder, options, changed, max_waiting
        self._tell = tell
        self._told: dict[int, Event] = {}
        self._waiting: deque[_Batch] = deque()
        self._rows = 0  # that wait or are worked on
        self._asked: deque[tuple[Callable[[JournaledLocalizer], Any], Future[Any]]] = deque()
        self._change = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._live, name=f"engine of {site.name}", daemon=True)

    def start(self) -> None:
        """Restore the state, and begin; what cannot be restored is a `failure`."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what waits, write a snapshot, and end; one that is not ready yet has nothing to finish."""
        with self._change:
            self._stopping = True
            self._change.notify()
        if self.ready.is_set():
            self._thread.join()

    @property
    def waiting(self) -> int:
        """Boxes that wait for the engine, or that it works on."""
        return self._rows

    @property
    def working(self) -> bool:
        """Whether it takes batches."""
        return self.ready.is_set() and not self.failure and not self._stopping

    def submit(self, packet: Detections) -> "Future[Receipt]":
        """Hand in whole frames; BusyError where too many boxes wait. The receipt comes when the disk has them."""
        receipt: Future[Receipt] = Future()
        if not len(packet):
            receipt.set_result(Receipt(0, 0))
            return receipt
        if len(packet) >= ROWS:
            raise InputError(f"{len(packet)} boxes; at most {ROWS - 1} a batch")
        return self._hand_in(_Batch(packet, receipt), len(packet))

    def finish(self) -> "Future[Receipt]":
        """No more comes of what is being sent: close the windows that wait for more."""
        return self._hand_in(_Batch(None, Future()), 0)

    def take_kept(self, packet: Detections | Event | None, place: int) -> "Future[Receipt]":
        """What lies at a `place` of the sender's log, if only no boxes: as `submit`, `tell_of`, or `finish` (None)."""
        rows = len(packet) if isinstance(packet, Detections) else 0
        return self._hand_in(_Batch(packet, Future(), place), rows)

    def tell_of(self, event: Event) -> "Future[Receipt]":
        """Take note of what others know, as that a camera is silent: it gets an id, and is told as all events are."""
        return self._hand_in(_Batch(event, Future()), 0)

    def ask(self, question: Callable[[JournaledLocalizer], Any]) -> "Future[Any]":
        """Have a question answered in the engine's thread, between two batches, before all that wait."""
        answer: Future[Any] = Future()
        with self._change:
            self._require_work()
            self._asked.append((question, answer))
            self._change.notify()
        return answer

    def state(self) -> "Future[State]":
        """Answers as of now."""
        return self.ask(lambda journaled: journaled.state)

    def _hand_in(self, batch: _Batch, rows: int) -> "Future[Receipt]":
        with self._change:
            self._require_work()
            if self._rows and self._rows + rows > self._max_waiting:
                raise BusyError(f"{self._rows} boxes wait already; send the same again in a moment")
            self._rows += rows
            self._waiting.append(batch)
            self._change.notify()
        return batch.receipt

    def _require_work(self) -> None:
        if self.failure or self._stopping or not self.ready.is_set():
            raise UnavailableError(self.failure or ("is stopping" if self._stopping else "is starting"))

    # ---- in the thread

    def _live(self) -> None:
        try:
            given = self.site, self._folder, self._options, self._journal, self._changed
            with JournaledLocalizer.open(*given) as journaled:
                warm_up(journaled.localizer)
                self._told_number, journaled.needed = journaled.number, self.needed()
                self.begun(journaled.number)
                self._told = {event.id: event for event in journaled.localizer.identities.lineage.events}
                logger.info("site %s: goes on after %d records", self.site.name, journaled.number)
                self.ready.set()
                while self._work(journaled):
                    pass
        except (GeolocError, OSError) as error:
            self._fail(str(error))
        except Exception:
            logger.exception("site %s: the engine has stopped", self.site.name)
            self._fail("the engine has stopped; its log has all that was acknowledged")

    def _fail(self, why: str) -> None:
        """Nobody waits for what will not come."""
        logger.error("site %s: %s", self.site.name, why)
        with self._change:
            self.failure = why
            left = [*(batch.receipt for batch in self._waiting), *(answer for _, answer in self._asked)]
            self._waiting.clear()
            self._asked.clear()
            self._rows = 0
        for future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(UnavailableError(why))

    def _work(self, journaled: JournaledLocalizer) -> bool:
        """Answer what was asked, then take what waits; False: it is time to end."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._asked or self._stopping)
            asked = list(self._asked)
            most = 1 if self._kept_elsewhere else AT_ONCE
            batches = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._asked.clear()
            if not asked and not batches:
                return False
        for question, answer in asked:
            _settle(answer, lambda question=question: question(journaled))  # type: ignore[misc]
        if batches:
            self._take(journaled, batches)
        return True

    def _take(self, journaled: JournaledLocalizer, batches: list[_Batch]) -> None:
        start = time.monotonic()
        journaled.needed = self.needed()
        answers: list[Answer] = []
        receipts: list[tuple[_Batch, Receipt | GeolocError]] = []
        try:
            for batch in batches:
                said, receipt = _push(journaled, batch.packet)
                answers += said
                receipts.append((batch, receipt))
                if self._kept_elsewhere and isinstance(receipt, UnavailableError):
                    raise receipt  # what comes next must not be worked on without it
            if not self._kept_elsewhere:
                journaled.sync()
        except BaseException:
            # these are not in the queue any more: put back, they are told with all others that nothing will come
            with self._change:
                self._waiting.extendleft(reversed(batches))
            raise
        with self._change:
            self._rows -= sum(len(batch.packet) for batch in batches if isinstance(batch.packet, Detections))
        self._count(journaled, receipts, answers, start)
        for batch, receipt in receipts:
            if batch.receipt.set_running_or_notify_cancel():
                if isinstance(receipt, Receipt):
                    batch.receipt.set_result(receipt)
                else:
                    batch.receipt.set_exception(receipt)
        events = self._new_events(journaled, any(answer.revised for answer in answers))
        first, self._told_number = self._told_number + 1, journaled.number
        n_events, self.place = journaled.localizer.identities.lineage.n_events, batches[-1].place
        cameras = self._look(journaled.localizer)
        self._tell(Told(tuple(answers), events, first, journaled.number, n_events, self.place, cameras))

    def _look(self, localizer: Localizer) -> tuple[CameraNow, ...]:
        """How the cameras are, every `LOOK_S` seconds of the windows' time."""
        now = localizer.tracker.time
        if not now >= self._looked + LOOK_S:
            return ()
        self._looked = now
        return cameras_now(localizer)

    def _count(
        self, journaled: JournaledLocalizer, receipts: list[tuple[_Batch, Receipt | GeolocError]],
        answers: list[Answer], start: float,
    ) -> None:  # fmt: skip
        figures = self.figures
        figures.busy_s += time.monotonic() - start
        figures.windows += len(answers)
        figures.revised += sum(answer.revised for answer in answers)
        figures.refused = journaled.packets.counts + journaled.localizer.dropped
        for _, receipt in receipts:
            figures.failed += not isinstance(receipt, Receipt)
            if isinstance(receipt, Receipt):
                figures.batches += 1
                figures.rows += receipt.rows

    def _new_events(self, journaled: JournaledLocalizer, revised: bool) -> tuple[Event, ...]:
        """Events that were not told so, and those that a replay made others under the same id."""
        lineage = journaled.localizer.identities.lineage
        last = max(self._told, default=0)
        events = lineage.events[-TOLD:] if revised else lineage.since(last)
        new = [event for event in events if self._told.get(event.id) != event]
        # a replay may leave fewer of them; those that come next get the ids of those that never were
        new += [replace(one, kind="withdrawn") for id, one in self._told.items() if id > lineage.n_events]
        if new or revised:
            self._told = {event.id: event for event in lineage.events[-TOLD:]}
        return tuple(new)


def warm_up(localizer: Localizer) -> None:
    """What is computed or compiled once, before the first frame would have to wait for it: in an engine of its own."""
    site = localizer.site
    _ = site.visibility
    trial, n = Localizer(site, localizer.options), len(site.cameras)
    middle = np.array([camera.size for camera in site.cameras], float) / 2
    box = np.concatenate([middle - 40.0, middle + 40.0], axis=1)
    for k in range(WARM_UP):
        boxes = Detections(
            id=np.arange(n), time=np.full(n, 0.1 * k), camera=[camera.name for camera in site.cameras],
            box=box + k, label=["car"] * n,
        )  # fmt: skip
        with suppress(GeolocError):
            trial.step(boxes)
    _ = trial.state.at()


def _push(
    journaled: JournaledLocalizer, packet: Detections | Event | None
) -> tuple[list[Answer], Receipt | GeolocError]:
    """A batch into the log and the engine: what it answers, and the receipt, or why there is none."""
    before = journaled.number
    try:
        if packet is None:
            return journaled.finish(), Receipt(0, journaled.number)
        if isinstance(packet, Event):
            journaled.tell(packet)
            return [], Receipt(0, journaled.number)
        if not len(packet):
            return [], Receipt(0, journaled.number)
        return journaled.push(_numbered(packet, before + 1)), Receipt(len(packet), journaled.number)
    except GeolocError as error:
        written = journaled.number > before
        return [], error if written else UnavailableError(str(error))


def _numbered(packet: Detections, record: int) -> Detections:
    """The packet with an id for each box without one: the record and the row in it, the same after every restart."""
    own = np.where(packet.id == NO_ID, record * ROWS + np.arange(len(packet)), packet.id)
    return packet.replace(id=own)


def _settle(future: "Future[Any]", work: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # whoever asked is told; the engine goes on
        future.set_exception(error)
