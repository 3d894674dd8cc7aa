"""Writes what the engine tells into the store, in a thread of its own that never holds up the engine.

What was told waits in memory, up to a limit. What did not fit, what was told while the store was down, and what a crash
took, is read again from the engine's own log: it is replayed from the last snapshot before what the store has. So the
store misses no window and holds none twice, as long as the log reaches back; until then the log is kept for it.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from geoloc.errors import GeolocError, InputError
from geoloc.pipeline.stored_state import answers_behind
from geoloc.scene.site import Site
from geoloc.service.serve.engine import Told
from geoloc.service.store.database import FullError, StoreError
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.store import Batch, Store
from geoloc.service.store.tidying import Thinner, is_too_much, remove_old, remove_oldest

Done = TypeVar("Done")
SOONEST_S, LATEST_S = 0.5, 10.0  # between tries to reach a store that is down
LOOK_S = 10.0  # between looks at how much of the log is held
BEHIND_S = 10.0  # a store that has not had everything for so long is behind
AGAIN = 1000  # events that a replay may have changed
AT_END_S = 20.0  # for the store to take what waits when the service ends; the log has the rest

logger = logging.getLogger(__name__)


@dataclass
class StoreFigures:
    """Counts since the start; written by the store's thread alone, but for `overrun`."""

    windows: int = 0
    rows: int = 0
    batches: int = 0
    replayed: int = 0  # records that were read again from the log
    overrun: int = 0  # times at which what waited did not fit into memory
    failures: int = 0
    lost: int = 0  # records whose log was gone before the store could take them
    thinned: int = 0  # rows
    removed: int = 0  # windows
    busy_s: float = 0.0
    bytes: int = 0


@dataclass(eq=False)
class _Order:
    work: Callable[[Store], Any]
    done: threading.Event = field(default_factory=threading.Event)
    result: Any = None
    error: Exception | None = None


class StoreWriter:
    """A site's store and the thread that writes it: `take` what was told; it says itself how it does."""

    def __init__(
        self, open_store: Callable[[], Store], open_reader: Callable[[], Store], site: Site, folder: Path,
        options: StoreOptions | None = None,
    ) -> None:  # fmt: skip
        self.options = options or StoreOptions()
        self.figures = StoreFigures()
        self.state, self.why = "starting", ""  # ok, behind, full, down or failed, and why
        self.record = -1  # of the engine's, up to which the store has everything; -1: not known yet
        self.open_reader = open_reader  # another connection, for whoever asks
        self._open_store, self._site, self._folder = open_store, site, folder
        self._waiting: deque[Told] = deque()
        self._rows = 0
        self._told = 0  # the engine's last record that was told
        self._orders: deque[_Order] = deque()
        self._change = threading.Condition()
        self._stop = threading.Event()
        self._store: Store | None = None
        self._thinner = Thinner(self.options)
        self._tidied = self._looked = -math.inf
        self._well = time.monotonic()  # when it had everything
        self._holds = True  # whether the log is kept for it
        self._thread = threading.Thread(target=self._live, name=f"store of {site.name}", daemon=True)

    # ---- for the engine

    def start(self, told: int) -> None:
        """Begin, with what the engine's log has up to record `told`."""
        self._told = told
        self._thread.start()

    def take(self, said: Told) -> None:
        """Take note of what was said; never waits."""
        with self._change:
            self._told = max(self._told, said.last)
            if self._rows + _rows_of(said) > self.options.max_waiting and self._waiting:
                self._waiting.clear()
                self._rows = 0
                self.figures.overrun += 1
            self._waiting.append(said)
            self._rows += _rows_of(said)
            self._change.notify()

    def needed(self) -> float:
        """The record behind which the engine's log is to be kept; inf: not for this store."""
        if not self._holds or self.state == "failed":
            return math.inf
        return max(self.record, 0)

    def stop(self) -> None:
        """Write what waits, if that goes, and end."""
        with self._change:
            self._stop.set()
            self._change.notify()
        if self._thread.is_alive():
            self._thread.join(AT_END_S)

    # ---- for everybody

    @property
    def waiting(self) -> int:
        """Rows that wait in memory."""
        return self._rows

    @property
    def behind(self) -> int:
        """The engine's records that the store has not got yet."""
        return max(self._told - max(self.record, 0), 0)

    def ask(self, work: Callable[[Store], Done], within_s: float = 60.0) -> Done:
        """Have work done on the store in its thread, with all that was told so far in it; not for the event loop.

        StoreError at once where the store is down, and where it does not come to it in time.
        """
        order = _Order(work)
        with self._change:
            if self._stop.is_set() or self.state in ("full", "down", "failed"):
                raise StoreError(self.why or "the store is closed")
            self._orders.append(order)
            self._change.notify()
        if not order.done.wait(within_s):
            how = f"{self.state}{': ' * bool(self.why)}{self.why}"
            raise StoreError(f"the store did not answer within {within_s:g} s ({how})")
        if order.error is not None:
            raise order.error
        result: Done = order.result
        return result

    # ---- in the thread

    def _live(self) -> None:
        wait_s = SOONEST_S
        while True:
            try:
                self._reach()
                while self._work():
                    wait_s = SOONEST_S
                break
            except FullError as error:
                self._say("full", str(error))
                self._make_room()
            except StoreError as error:
                self._say("down", str(error))
            except GeolocError as error:  # such as a store of another site: trying again would not help
                self._say("failed", str(error))
                break
            except Exception:
                logger.exception("site %s: the store has stopped", self._site.name)
                self._say("failed", "the store has stopped; the engine's log has all that was acknowledged")
                break
            self._let_go()
            self._look_at_log()
            if self._stop.wait(wait_s):
                break
            wait_s = min(2 * wait_s, LATEST_S)
        self._let_go()
        for order in self._orders:
            order.error = StoreError(self.why or "the store is closed")
            order.done.set()

    def _reach(self) -> None:
        self._store = self._open_store()
        self.record = self._store.record
        if self.record > self._told:
            held = f"the store has record {self.record} of a log that ends with {self._told}"
            raise InputError(f"{held}: they are not of one state; give the store that belongs to it, or a new one")

    def _let_go(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            try:
                store.close()
            except StoreError as error:
                logger.info("site %s: %s", self._site.name, error)

    def _work(self) -> bool:
        """Write what waits, then do what was asked, then tidy up; False: it is time to end."""
        store = self._store
        assert store is not None
        with self._change:
            ready = self._waiting or self._orders or self.record < self._told or self._stop.is_set()
            if not ready and not self._thinner.busy:
                self._change.wait(self.options.tidy_s)
        if self._waiting and not self._orders and self._rows < self.options.batch_rows:
            self._stop.wait(self.options.flush_s)
        self._look_at_log()
        start = time.monotonic()
        caught_up = self._write_all(store)
        while caught_up and self._orders:
            self._obey(store, self._orders.popleft())
        if caught_up and not self._stop.is_set():
            self._tidy(store)
        self.figures.busy_s += time.monotonic() - start
        if caught_up:
            self._well = time.monotonic()
            self._say("ok", "")
        elif time.monotonic() > self._well + BEHIND_S:
            self._say("behind", f"{self.behind} records behind the engine")
        return not (self._stop.is_set() and caught_up)

    def _write_all(self, store: Store) -> bool:
        """Write a batch of what waits, or of the log where that is what comes next; whether nothing is left."""
        with self._change:
            first = self._waiting[0].first if self._waiting else self._told + 1
        if self.record + 1 < first:
            self._catch_up(store, first - 1)
        said = self._next()
        if said:
            batch = Batch()
            for one in said:
                batch.add(one.last, one.answers, one.events, one.n_events)
                batch.cameras += one.cameras
            try:
                self._write(store, batch)
            except GeolocError:
                with self._change:  # the log has them
                    self._waiting.clear()
                    self._rows = 0
                raise
        return self.record >= self._told

    def _next(self) -> list[Told]:
        """What waits, as much as a batch takes, where it goes on from what the store has."""
        found = list[Told]()
        rows = 0
        with self._change:
            while self._waiting and rows < self.options.batch_rows:
                if self._waiting[0].first > max(self.record, found[-1].last if found else 0) + 1:
                    break  # what came between did not fit into memory
                one = self._waiting.popleft()
                self._rows -= _rows_of(one)
                rows += _rows_of(one)
                if one.last > self.record:
                    found.append(one)
        return found

    def _write(self, store: Store, batch: Batch) -> None:
        store.write(batch, self.options.tentative)
        self.record = batch.record
        self.figures.batches += 1
        self.figures.windows += len(batch.answers)
        self.figures.rows += batch.rows

    def _catch_up(self, store: Store, until: int) -> None:
        """Read what the store lacks, up to record `until`, from the log; at half pace, for the engine goes first."""
        self._say("behind", f"reads records {self.record + 1} to {until} from the log")
        batch, n_events = Batch(), -1
        try:
            start = time.monotonic()
            for record, answers, engine in answers_behind(self._site, self._folder, self.record):
                lineage = engine.identities.lineage
                revised = n_events < 0 or any(answer.revised for answer in answers)
                events = lineage.events[-AGAIN:] if revised else lineage.since(n_events)
                n_events = lineage.n_events
                batch.add(record, answers, events, n_events)
                self.figures.replayed += 1
                if record >= until or batch.rows >= self.options.batch_rows:
                    self._write(store, batch)
                    batch = Batch()
                if record >= until or self._stop.wait(min(time.monotonic() - start, 1.0)):
                    return
                start = time.monotonic()
        except (StoreError, FullError):
            raise
        except (InputError, OSError) as error:
            if self._holds and not self._log_is_gone():
                raise StoreError(f"the engine's log cannot be read now ({error})") from error
            self._skip(store, until, str(error))

    def _log_is_gone(self) -> bool:
        """Whether no snapshot and no log reach back to what the store has."""
        firsts = [int(path.name[4:]) for path in self._folder.glob("log-*") if path.name[4:].isdigit()]
        known = [int(path.name[9:]) for path in self._folder.glob("snapshot-*") if path.name[9:].isdigit()]
        return min(firsts, default=math.inf) > 1 and not any(number <= self.record for number in known)

    def _skip(self, store: Store, until: int, why: str) -> None:
        """There is a gap: say so, and go on behind it."""
        lost = until - self.record
        logger.error("site %s: the store has a gap of %d records: %s", self._site.name, lost, why)
        self.figures.lost += lost
        with store.database.transaction():
            store.note(record=str(until), lost=str(self.figures.lost))
        self.record = until
        self._holds = True

    def _obey(self, store: Store, order: _Order) -> None:
        try:
            order.result = order.work(store)
        except Exception as error:  # whoever asked is told; the store goes on
            order.error = error
        order.done.set()

    # ---- what is kept

    def _tidy(self, store: Store) -> None:
        now = time.monotonic()
        if self._thinner.busy:
            self.figures.thinned += self._thinner.go_on(store)
        if now < self._tidied + self.options.tidy_s:
            return
        self._tidied = now
        self.figures.thinned += self._thinner.go_on(store)
        self.figures.removed += remove_old(store, self.options)
        if is_too_much(store, self.options):
            self.figures.removed += remove_oldest(store)
        self.figures.bytes = store.database.size()

    def _make_room(self) -> None:
        """Where the disk is full, the store gives way, as far as it has more than its own share."""
        if self._store is None:
            return
        try:
            if is_too_much(self._store, self.options):
                self.figures.removed += remove_oldest(self._store)
        except StoreError as error:
            logger.warning("site %s: the store could not make room: %s", self._site.name, error)

    def _look_at_log(self) -> None:
        """Judge whether the log may be kept for a store that is behind; from time to time."""
        now = time.monotonic()
        if now < self._looked + LOOK_S:
            return
        self._looked = now
        held = sum(path.stat().st_size for path in self._folder.glob("log-*")) if self.behind else 0
        if held > self.options.hold_log and self._holds:
            logger.error("site %s: the store is too far behind: the log is not kept for it any more", self._site.name)
        self._holds = held <= self.options.hold_log

    def _say(self, state: str, why: str) -> None:
        if state in ("full", "down", "failed"):
            self.figures.failures += 1
        if state != self.state:
            log = logger.info if state in ("ok", "behind") else logger.error
            log("site %s: store: %s%s", self._site.name, state, f" ({why})" if why else "")
        self.state, self.why = state, why


def _rows_of(told: Told) -> int:
    """Rows of its tracks, and a few for the rest."""
    return sum(len(tracks) for answer in told.answers for tracks in answer.tracks) + len(told.answers) + 1
