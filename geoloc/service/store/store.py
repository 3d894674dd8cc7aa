"""A site's store: what is written in batches, each with the engine's record that it reaches, all or nothing.

So after any crash the store says itself from which record on it lacks something, and holds each window once: a window
that is said again takes the place of what was said of it before.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from geoloc.errors import InputError
from geoloc.io.store_rows import COLUMNS, rows_of
from geoloc.pipeline.lineage import Event
from geoloc.pipeline.packets import Answer
from geoloc.scene.site import Site
from geoloc.service.serve.camera_clocks import CameraNow
from geoloc.service.store.database import Database, Row
from geoloc.service.store.schema import HEAD, TABLES, VERSION, statements
from geoloc.service.store.stalls import Stalls

FORGOTTEN = -1  # number of who took a stall and was forgotten since
EVENTS = "id, time, kind, number, others, probability, why, cameras, since, until"


@dataclass
class Batch:
    """What the engine said up to `record`: the last answer of each window, and events by id, of `n_events` in all."""

    record: int = 0
    answers: dict[int, Answer] = field(default_factory=dict)
    events: dict[int, Event] = field(default_factory=dict)
    n_events: int = 0
    cameras: list[CameraNow] = field(default_factory=list)
    rows: int = 0

    def add(self, record: int, answers: Sequence[Answer], events: Sequence[Event], n_events: int) -> None:
        """Take in what was said behind all that is in already."""
        for answer in answers:
            before = self.answers.pop(answer.window, None)
            self.rows -= sum(map(len, before.tracks)) if before is not None else 0
            self.answers[answer.window] = answer
            self.rows += sum(map(len, answer.tracks))
        self.events = {event.id: event for event in (*self.events.values(), *events) if event.id <= n_events}
        self.record, self.n_events = record, n_events


class Store:
    """One site's tables in a database. One writer at a time; readers open their own."""

    def __init__(self, database: Database, site: Site) -> None:
        self.database = database
        self.site = site
        self._stalls: Stalls | None = None

    @classmethod
    def open(cls, database: Database, site: Site, window_s: float = 0.1) -> "Store":
        """A store to write into: made where there is none, brought up to date where it is older."""
        store = cls(database, site)
        if not database.has_tables():
            with database.transaction():
                database.require()
                database.run(HEAD.format(**database.types))
                store.note(schema="0", site=site.name, record="0", window_s=repr(window_s), thinned_to="-1e18")
        store.migrate()
        if store.value("site") != site.name:
            raise InputError(f"the store is of site {store.value('site')!r}, not of {site.name!r}; give its own")
        return store

    def migrate(self, version: int = VERSION) -> None:
        """Bring the schema up to `version`, a step at a time, each all or nothing."""
        held = int(self.value("schema"))
        if held > VERSION:
            raise InputError(f"the store is of schema {held}; this geoloc knows up to {VERSION}: use a newer one")
        for step in range(held + 1, version + 1):
            with self.database.transaction():
                for statement in statements(step, self.database.types):
                    self.database.run(statement)
                if step == 1:
                    self.database.prepare(self.site.site_map)
                self.note(schema=str(step))

    # ---- what it is of

    def value(self, name: str) -> str:
        """What the store says of itself."""
        return str(self.database.rows("SELECT value FROM store WHERE name = ?", [name])[0][0])

    def note(self, **values: str) -> None:
        """Say something of itself, within a transaction."""
        sql = "INSERT INTO store (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        self.database.run_many(sql, list(values.items()))

    @property
    def record(self) -> int:
        """The engine's record up to which it holds everything."""
        return int(self.value("record"))

    @property
    def window_s(self) -> float:
        """Length of a window."""
        return float(self.value("window_s"))

    @property
    def newest(self) -> float:
        """Time (s) of its last window; -inf: it has none."""
        found = self.database.rows("SELECT time FROM windows ORDER BY number DESC LIMIT 1")
        return float(found[0][0]) if found else -np.inf

    def oldest(self, time: float = -np.inf) -> float:
        """Time (s) of its first window from `time` on, by the window's number; inf: it has none."""
        first = int(np.clip(np.floor(time / self.window_s), -1e17, 1e17))
        found = self.database.rows("SELECT time FROM windows WHERE number >= ? ORDER BY number LIMIT 1", [first])
        return float(found[0][0]) if found else np.inf

    def counts(self) -> dict[str, int]:
        """Rows of each table."""
        return {name: int(self.database.rows(f"SELECT count(*) FROM {name}")[0][0]) for name in TABLES}

    # ---- writing

    def write(self, batch: Batch, tentative: bool = False) -> None:
        """Take in a batch, and all that it says of windows that are there already; all or nothing."""
        numbers = sorted(batch.answers)
        stalls = self._stalls or Stalls(self.site)
        self._stalls = None  # unless all goes well
        with self.database.transaction():
            if numbers:
                if numbers[0] <= self._last_window():
                    # whoever goes back says all windows from there on again
                    for table, column in (("positions", "win"), ("windows", "number"), ("occupancy", "win")):
                        self.database.run(f"DELETE FROM {table} WHERE {column} >= ?", [numbers[0]])
                    stalls.forget()
                if not stalls.known:
                    stalls.begin(self._taken_before(numbers[0]))
                self._insert(batch, numbers, stalls, tentative)
            self._insert_events(batch)
            self._insert_cameras(batch.cameras)
            self.note(record=str(batch.record))
        self._stalls = stalls

    def _last_window(self) -> int:
        found = self.database.rows("SELECT max(number) FROM windows")[0][0]
        return int(found) if found is not None else -(1 << 62)

    def _insert(self, batch: Batch, numbers: list[int], stalls: Stalls, tentative: bool) -> None:
        rows: list[Row] = []
        places = []
        windows, changes = [], []
        for number in numbers:
            said = [t if tentative else t.take(t.state != "tentative") for t in batch.answers[number].tracks]
            for step, tracks in enumerate(said):
                if len(tracks):
                    cells, where = rows_of(tracks, number, step, self.site.site_map)
                    rows += cells
                    places.append(where)
            times = [float(tracks.time[0]) for tracks in batch.answers[number].tracks if len(tracks)]
            windows.append((number, times[-1] if times else number * self.window_s, sum(map(len, said))))
            if said:
                changes += [(number, windows[-1][1], *one) for one in stalls.changes(said[-1])]
        if rows:
            value, geometries = self.database.geometries(np.concatenate(places))
            names = ", ".join(COLUMNS)
            sql = f"INSERT INTO positions (geom, {names}) VALUES ({value}{', ?' * len(COLUMNS)})"
            self.database.run_many(sql, ((one, *row) for one, row in zip(geometries, rows, strict=True)))
        self.database.run_many("INSERT INTO windows VALUES (?, ?, ?)", windows)
        if changes:
            sql = "INSERT INTO occupancy (win, time, level, stall, object) VALUES (?, ?, ?, ?, ?)"
            self.database.run_many(sql, changes)

    def _taken_before(self, window: int) -> dict[tuple[str, str], int]:
        latest = "SELECT level, stall, max(win) AS win FROM occupancy WHERE win < ? GROUP BY level, stall"
        same = "o.level = m.level AND o.stall = m.stall AND o.win = m.win"
        sql = f"SELECT o.level, o.stall, o.object FROM occupancy o JOIN ({latest}) m ON {same}"
        return {(level, stall): int(number) for level, stall, number in self.database.rows(sql, [window])}

    def _insert_events(self, batch: Batch) -> None:
        self.database.run("DELETE FROM events WHERE id > ?", [batch.n_events])
        rows = [
            (e.id, e.time, e.kind, e.number, json.dumps(list(e.others)), e.probability, e.why,
             json.dumps(list(e.cameras)), _finite(e.since), _finite(e.until)) for e in batch.events.values()
        ]  # fmt: skip
        names = EVENTS.split(", ")
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        sql = f"INSERT INTO events ({EVENTS}) VALUES ({', '.join('?' * len(names))}) "
        sql += f"ON CONFLICT (id) DO UPDATE SET {changes}"
        if rows:
            self.database.run_many(sql, rows)

    def _insert_cameras(self, cameras: Sequence[CameraNow]) -> None:
        names = ("time", "camera", "state", "heard", "clock_offset", "clock_sigma")
        changes = ", ".join(f"{name} = excluded.{name}" for name in names[2:])
        sql = f"INSERT INTO cameras ({', '.join(names)}) VALUES (?, ?, ?, ?, ?, ?) "
        sql += f"ON CONFLICT (time, camera) DO UPDATE SET {changes}"
        rows = [(one.time, one.camera, one.state, _finite(one.heard), one.offset, one.sigma) for one in cameras]
        if rows:
            self.database.run_many(sql, rows)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()


def read_event(row: Row) -> Event:
    """An event of a row of EVENTS."""
    number, time, kind, of, others, probability, why, cameras, since, until = row
    return Event(
        float(time), str(kind), int(of), tuple(json.loads(others)), float(probability), str(why),
        tuple(json.loads(cameras)), _end(since), _end(until), int(number),
    )  # fmt: skip


def _end(value: float | None) -> float:
    return np.inf if value is None else float(value)


def family_of(events: Sequence[Event], number: int) -> list[int]:
    """All numbers that one object had, by what became of whom: the one that it has now first."""
    became: dict[int, int] = {}
    for event in sorted(events, key=lambda event: event.id):
        for other in event.others:
            if event.kind in ("recognised", "merged"):
                became[other] = event.number
            else:
                became.pop(other, None)
    final = _final(became, number)
    return [final, *(other for other in became if other != final and _final(became, other) == final)]


def _final(became: Mapping[int, int], number: int) -> int:
    seen = set[int]()
    while number in became and number not in seen:
        seen.add(number)
        number = became[number]
    return number


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
