"""What a store keeps: old ways thinned, what is too old or too much removed, a slice at a time."""

import numpy as np

from geoloc.io.store_rows import COLUMNS, tracks_of_rows
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.queries import JOIN_S
from geoloc.service.store.store import Store
from geoloc.service.store.thinning import thinned_keys

SPAN_S = 300.0  # of a slice that is thinned: ways are cut at its ends
AT_ONCE = 8  # objects that are thinned before others get their turn
SHARE = 10  # slices of what there is; the oldest is removed where there is too much
ROWS = ", ".join(COLUMNS)


class Thinner:
    """Thins a store slice by slice, a few objects at a time, each all or nothing; `busy` while a slice is not done."""

    def __init__(self, options: StoreOptions) -> None:
        self._options = options
        self._start = -np.inf  # s, of the slice
        self._left = list[int]()  # objects in it

    @property
    def busy(self) -> bool:
        """Whether there is more to do at once."""
        return bool(self._left)

    def go_on(self, store: Store) -> int:
        """Thin a few objects of the slice, or begin with the next one that is old enough; how many rows went."""
        if not self._left and not self._begin(store):
            return 0
        now, self._left = self._left[:AT_ONCE], self._left[AT_ONCE:]
        gone = sum(_thin(store, track, self._start, self._start + SPAN_S, self._options.thin_error) for track in now)
        if not self._left:
            with store.database.transaction():
                store.note(thinned_to=repr(self._start + SPAN_S))
        return gone

    def _begin(self, store: Store) -> bool:
        """Find the next slice; False: there is none."""
        if not self._options.thin_after_s:
            return False
        held, until = store.oldest(float(store.value("thinned_to"))), _slice(store.newest - self._options.thin_after_s)
        if _slice(held) >= until:
            return False
        self._start = _slice(held)
        sql = "SELECT DISTINCT track FROM positions WHERE win >= ? AND win <= ?"
        self._left = [int(track) for (track,) in store.database.rows(sql, _windows(store, self._start))]
        return True


def _slice(time: float) -> float:
    return float(np.floor(time / SPAN_S) * SPAN_S) if np.isfinite(time) else time


def _thin(store: Store, track: int, start: float, end: float, error: float) -> int:
    """Thin what was said of an object from `start` on and before `end` (s); how many rows went."""
    sql = f"SELECT dropped, fid, {ROWS} FROM positions WHERE track = ? AND time >= ? AND time < ? ORDER BY time, fid"
    rows = store.database.rows(sql, [track, start, end])
    if len(rows) < 3 or any(row[0] for row in rows):  # it was thinned before, when the slice was not done
        return 0
    table, fids = tracks_of_rows([row[2:] for row in rows]), [row[1] for row in rows]
    same = np.ones(len(table), dtype=bool)
    for name in ("level", "label", "life", "state", "revision"):
        same[1:] &= getattr(table, name)[1:] == getattr(table, name)[:-1]
    same[1:] &= np.diff(table.time) <= JOIN_S
    stays, off = thinned_keys(table.time, table.xy, table.position_cov, ~same, error)
    kept = np.flatnonzero(stays)
    dropped = np.diff(kept, prepend=-1) - 1
    keys = [(int(n), float(off[k]), fids[k]) for n, k in zip(dropped, kept.tolist(), strict=True) if n]
    over = [(fids[k],) for k in np.flatnonzero(~stays).tolist()]
    with store.database.transaction():
        store.database.run_many("UPDATE positions SET dropped = ?, off = ? WHERE fid = ?", keys)
        store.database.run_many("DELETE FROM positions WHERE fid = ?", over)
    return len(over)


def _windows(store: Store, start: float) -> list[int]:
    """Numbers of the first and the last window of a slice, and one more at each end."""
    return [int(np.floor(start / store.window_s)) - 1, int(np.floor((start + SPAN_S) / store.window_s)) + 1]


def remove_old(store: Store, options: StoreOptions) -> int:
    """Remove what is older than it is kept for; how many windows went."""
    if not np.isfinite(store.newest):
        return 0
    cutoff = store.newest - options.keep_s
    # not window by window, each with a wait for the disk
    return _remove_before(store, cutoff) if store.oldest() < cutoff - min(SPAN_S, options.keep_s / SHARE) else 0


def is_too_much(store: Store, options: StoreOptions) -> bool:
    """Whether the store is larger than it may be, or leaves too little of the disk to others.

    A disk that others fill does not empty it: a tenth of what it may have is its own.
    """
    size, free = store.database.size(), store.database.free()
    return size > options.keep_bytes or (free < options.keep_free and size > options.keep_bytes / SHARE)


def remove_oldest(store: Store) -> int:
    """Remove the oldest slice of what there is, and give its room back; how many windows went."""
    low, high = store.oldest(), store.newest
    if not low < high:
        return 0
    gone = _remove_before(store, low + (high - low) / SHARE)
    store.database.reclaim()
    return gone


def _remove_before(store: Store, time: float) -> int:
    """Remove what is older than `time` (s), but for who was in each stall last."""
    with store.database.transaction():
        first = int(np.floor(time / store.window_s))
        store.database.run("DELETE FROM positions WHERE win < ?", [first])
        for table in ("events", "cameras"):
            store.database.run(f"DELETE FROM {table} WHERE time < ?", [time])
        same = "o.level = occupancy.level AND o.stall = occupancy.stall"
        older = f"win < ? AND win < (SELECT max(o.win) FROM occupancy o WHERE {same})"
        store.database.run(f"DELETE FROM occupancy WHERE {older}", [first])
        return store.database.run("DELETE FROM windows WHERE number < ?", [first])
