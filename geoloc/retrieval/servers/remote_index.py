"""An index whose rows lie with a server: checks, batches, repeated requests, and a queue of what got no answer.

A row counts as added once the server has acknowledged it. Rows of which that is not known are kept in a queue, and
`NotAcknowledged` says so; they are sent again before whatever is asked next. A row that got there though its answer
was lost is recognised by its content, so nothing comes twice.
"""

import contextlib
from typing import Protocol

import numpy as np

from geoloc.errors import InputError
from geoloc.retrieval.rows import Found, checked_fields, checked_known, checked_queries, checked_rows
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.outbox import Batch, Outbox
from geoloc.retrieval.servers.sending import NoAnswer, NotAcknowledged, Sending, Unanswered, ask
from geoloc.retrieval.where import ANYWHERE, Rows, Where


class Store(Protocol):
    """What a server is asked, in its own language.

    Each call may raise `Unanswered`, after which the same may be asked again, or InputError, which is final.
    """

    about: About  # once it is open, with the model that stands there
    where: str  # what messages call it
    timeout: float  # s, of one request
    longest_name: int  # bytes of a name that it can hold
    infinite: bool  # whether it can hold infinite numbers

    def open(self) -> None:
        """Find what holds the rows, or make it; InputError where it holds others."""

    def count(self) -> int:
        """How many rows it holds."""

    def held(self, ids: np.ndarray) -> np.ndarray:
        """Those of the ids (M,) that it holds (H,)."""

    def put(self, batch: Batch) -> None:
        """Take in rows that it does not hold; durable when it returns."""

    def drop(self, ids: np.ndarray) -> None:
        """Forget rows (M,); those that it does not hold are none of its business."""

    def best(self, queries: np.ndarray, k: int, where: Where) -> Found:
        """The `k` best rows of queries (Q, D), equals by id."""

    def ids(self, where: Where) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""

    def read(self, ids: np.ndarray) -> Batch:
        """Rows that it holds, in any order."""

    def settle(self) -> None:
        """Return when what was put is found by a search."""

    def compact(self) -> None:
        """Return when nothing is left of dropped rows."""

    def close(self) -> None:
        """Give back what is held open."""


class RemoteIndex:
    """An index over a `Store`."""

    def __init__(self, store: Store, sending: Sending) -> None:
        self.store, self.sending, about = store, sending, store.about
        self.dim, self.fields, self.model = about.dim, about.fields, about.model
        self.outbox = Outbox(sending.queue, sending.queue_rows)
        self.outbox.check(self.dim, self.fields)
        self._rng = np.random.default_rng()

    def __len__(self) -> int:
        self._nudge()
        return ask(self.store.count, self._what("count"), self.sending, self._rng)

    def add(self, ids: np.ndarray, vectors: np.ndarray, rows: Rows) -> None:
        """Take in vectors (M, D) under ids (M,) with their fields (M,); NotAcknowledged names those that must wait."""
        ids, vectors = checked_rows(ids, vectors, self.dim, self.outbox.ids())
        batch = Batch(ids, vectors, checked_fields(rows, self.fields, len(ids)))
        self._check_values(batch)
        if not len(batch):
            return
        if len(self.outbox):  # the server failed a moment ago: what came before goes first, or this waits behind it
            self.outbox.check_room(len(batch), self.store.where)
            self._nudge()
        if len(self.outbox):
            self._queue(batch.parts(self.sending.batch), "rows before them are not acknowledged either")
        try:
            held = ask(lambda: self.store.held(ids), self._what("add"), self.sending, self._rng)
        except NoAnswer as error:
            self._queue(batch.parts(self.sending.batch), str(error))
        if len(held):
            raise InputError(f"index: id {held[0]} comes twice; remove it before it is added anew")
        parts = batch.parts(self.sending.batch)
        for n, part in enumerate(parts):
            try:
                self._refuse(self._send(part, doubt=False))
            except NoAnswer as error:
                self._queue(parts[n:], str(error))

    def remove(self, ids: np.ndarray) -> None:
        """Forget the rows of ids (M,)."""
        self._deliver()
        ids = np.unique(np.asarray(ids))
        held = ask(lambda: self.store.held(ids), self._what("remove"), self.sending, self._rng)
        ids = checked_known(ids, held)
        ask(lambda: self.store.drop(ids), self._what("remove"), self.sending, self._rng)

    def search(self, queries: np.ndarray, k: int, where: Where = ANYWHERE) -> Found:
        """The `k` best rows of queries (Q, D), among those that `where` keeps; rows that wait are not among them."""
        queries = checked_queries(queries, k, self.dim)
        where.check(self.fields)
        self._nudge()
        return ask(lambda: self.store.best(queries, k, where), self._what("search"), self.sending, self._rng)

    def ids(self, where: Where = ANYWHERE) -> np.ndarray:
        """Ids (M,) of the rows that `where` keeps, in order."""
        where.check(self.fields)
        self._nudge()
        return ask(lambda: self.store.ids(where), self._what("ids"), self.sending, self._rng)

    def read(self, ids: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Vectors (M, D) and fields (M,) of the rows under ids (M,)."""
        self._nudge()
        ids = np.asarray(ids)
        found = ask(lambda: self.store.read(np.unique(ids)), self._what("read"), self.sending, self._rng)
        ids = checked_known(ids, found.ids)
        order = np.argsort(found.ids)
        some = found.take(order[np.searchsorted(found.ids, ids, sorter=order)])
        return some.vectors, dict(some.rows)

    def flush(self) -> None:
        """Send what waits, and return when all is durable and found by a search; NotAcknowledged where it is not."""
        self._deliver()
        ask(self.store.settle, self._what("flush"), self.sending, self._rng)

    def compact(self) -> None:
        """Return when nothing is left of removed rows with the server, and in the queue."""
        self._deliver()
        ask(self.store.compact, self._what("compact"), self.sending, self._rng)

    def close(self) -> None:
        """Give back what is held open; NotAcknowledged where rows wait that no folder keeps."""
        try:
            if len(self.outbox) and self.outbox.folder is None:
                self._deliver()
        finally:
            self.store.close()

    def _what(self, verb: str) -> str:
        return f"{self.store.where}: {verb}"

    def _check_values(self, batch: Batch) -> None:
        for name, kind in self.fields.items():
            values = batch.rows[name]
            if kind is float and not self.store.infinite and np.isinf(values).any():
                bad = batch.ids[np.isinf(values)][0]
                raise InputError(f"{self.store.where}: field {name} of id {bad} is infinite; give NaN where it lacks")
            if kind is str and any(_bytes(value) > self.store.longest_name for value in np.unique(values).tolist()):
                most = self.store.longest_name
                raise InputError(f"{self.store.where}: a {name} is over {most} bytes or holds a NUL; shorten it")

    def _send(self, batch: Batch, doubt: bool) -> np.ndarray:
        """Put a batch, as often as need be; `doubt`: part of it may lie there already. As `_try`."""
        state = {"doubt": doubt}

        def request() -> np.ndarray:
            doubt, state["doubt"] = state["doubt"], True
            return self._try(batch, doubt)

        return ask(request, self._what("add"), self.sending, self._rng)

    def _try(self, batch: Batch, doubt: bool) -> np.ndarray:
        """Put a batch by one request; ids (M,) of its rows that cannot go there, as others lie there under them."""
        left, taken = self._not_there(batch) if doubt else (batch, batch.ids[:0])
        if len(left):
            self.store.put(left)
        return taken

    def _not_there(self, batch: Batch) -> tuple[Batch, np.ndarray]:
        """Rows of a batch that the server does not hold, and the ids (M,) under which it holds other ones."""
        held = self.store.held(batch.ids)
        if not len(held):
            return batch, held
        there = self.store.read(held)
        there = there.take(np.argsort(there.ids))
        ours = batch.take(np.argsort(batch.ids))
        ours = ours.take(np.isin(ours.ids, there.ids))
        same = (ours.vectors == there.vectors).all(axis=1)
        for name, values in ours.rows.items():
            missing = np.isnan(values) & np.isnan(there.rows[name]) if self.fields[name] is float else False
            same &= (values == there.rows[name]) | missing
        return batch.take(~np.isin(batch.ids, held)), ours.ids[~same]

    def _refuse(self, taken: np.ndarray) -> None:
        if len(taken):
            said = f"id {taken[0]} comes twice ({len(taken)} such): others were added under it while these rows waited"
            raise InputError(f"{self.store.where}: {said}; theirs stand, remove them before these are added anew")

    def _queue(self, parts: list[Batch], why: str) -> None:
        """Keep batches for later, and say so."""
        ids = np.concatenate([part.ids for part in parts])
        for part in parts:
            self.outbox.put(part)
        kept = f"in {self.outbox.folder}" if self.outbox.folder else "in memory"
        said = f"{len(ids)} rows from id {ids[0]} on are not acknowledged and wait {kept}; flush() sends them"
        raise NotAcknowledged(f"{why}; {said}", ids)

    def _deliver(self) -> None:
        """Send what waits; NotAcknowledged where it must go on waiting."""
        while len(self.outbox):
            key, batch = self.outbox.first()
            try:
                taken = self._send(batch, doubt=True)
            except NoAnswer as error:
                said = f"{error}; {len(self.outbox)} rows still wait"
                raise NotAcknowledged(said, self.outbox.ids()) from error
            self.outbox.drop(key)
            self._refuse(taken)

    def _nudge(self) -> None:
        """Send what waits if one try does it; what is asked next goes on without it otherwise."""
        with contextlib.suppress(Unanswered):
            while len(self.outbox):
                key, batch = self.outbox.first()
                taken = self._try(batch, True)
                self.outbox.drop(key)
                self._refuse(taken)


def open_remote(store: Store, sending: Sending) -> RemoteIndex:
    """The index over a store that is opened; what it holds open is given back where that fails."""
    try:
        ask(store.open, f"{store.where}: open", sending, np.random.default_rng())
        return RemoteIndex(store, sending)
    except Exception:
        store.close()
        raise


def _bytes(name: str) -> float:
    return np.inf if "\0" in name else len(name.encode())
