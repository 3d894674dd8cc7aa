"""What a store keeps: old ways thinned, what is too old or too much removed, a slice at a time."""

import numpy as np

from geoloc.io.store_rows import COLUMNS, tracks_of_rows
from geoloc.service.store.options import StoreOptions
from geoloc.service.store.queries import JOIN_S
from geoloc.service.store.store import Store
from geoloc.service.store.thinning import thinned_keys

SPAN_S = 300.0  # of a slice that is thinned: ways are cut at its ends
SHARE = 10  # slices of what there is; the oldest is removed where there is too much
ROWS = ", ".join(COLUMNS)


def thin(store: Store, options: StoreOptions) -> int:
    """Thin the next slice that is old enough; how many rows went. 0: there is none."""
    if not options.thin_after_s:
        return 0
    until = _slice(store.newest - options.thin_after_s)
    held = store.oldest(float(store.value("thinned_to")))
    if _slice(held) >= until:
        return 0
    start = _slice(held)
    with store.database.transaction():
        gone = _thin(store, start, start + SPAN_S, options.thin_error)
        store.note(thinned_to=repr(start + SPAN_S))
    return gone


def _slice(time: float) -> float:
    return float(np.floor(time / SPAN_S) * SPAN_S) if np.isfinite(time) else time


def _thin(store: Store, start: float, end: float, error: float) -> int:
    """Thin all that was said from `start` on and before `end` (s)."""
    first, last = _windows(store, start, end)
    given = [first, last, start, end]
    where = "win >= ? AND win <= ? AND time >= ? AND time < ?"
    gone = 0
    tracks = store.database.rows(f"SELECT DISTINCT track FROM positions WHERE {where}", given)
    for (track,) in tracks:
        sql = f"SELECT fid, {ROWS} FROM positions WHERE track = ? AND time >= ? AND time < ? ORDER BY time, fid"
        rows = store.database.rows(sql, [track, start, end])
        if len(rows) < 3:
            continue
        table = tracks_of_rows([row[1:] for row in rows])
        same = np.ones(len(table), dtype=bool)
        for name in ("level", "label", "life", "state", "revision"):
            same[1:] &= getattr(table, name)[1:] == getattr(table, name)[:-1]
        same[1:] &= np.diff(table.time) <= JOIN_S
        stays, off = thinned_keys(table.time, table.xy, table.position_cov, ~same, error)
        kept = np.flatnonzero(stays)
        dropped = np.diff(kept, prepend=-1) - 1
        fids = [row[0] for row in rows]
        keys = [(int(n), float(off[k]), fids[k]) for n, k in zip(dropped, kept.tolist(), strict=True) if n]
        store.database.run_many("UPDATE positions SET dropped = ?, off = ? WHERE fid = ?", keys)
        over = [(fids[k],) for k in np.flatnonzero(~stays).tolist()]
        store.database.run_many("DELETE FROM positions WHERE fid = ?", over)
        gone += len(over)
    return gone


def _windows(store: Store, start: float, end: float) -> tuple[int, int]:
    """Numbers of the windows from one time to another (s), and one more at each end."""
    return int(np.floor(start / store.window_s)) - 1, int(np.floor(end / store.window_s)) + 1


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
