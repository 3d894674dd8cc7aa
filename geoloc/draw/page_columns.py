"""Keys as bytes: whole numbers, differences from the one before, planes of bytes, deflated. `store.js` reads them.

A chunk is what is known of all tracks in a stretch of time, and needs no other: of each track that was there it has
the keys in that time, the one before and the one after. Its numbers, little endian: the count of tracks; of each its
index and how many keys it has (u32 both); then the columns of all keys, one after the other: time (10 ms from the
start), x, y (cm), i32 each; the logarithm of the covariance (1/50), three times i16, -32768 where it is not known;
level, state, life and cut, u8 each. i32 and i16 are the difference to the key before, of a track's first key its
value, and lie in planes: all lowest bytes first.
"""

import base64
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.draw.page_keys import Keys

TIME_S, PLACE_M, SHAPE = 0.01, 0.01, 0.02  # what one unit stands for
UNKNOWN = -32768
STRETCHES = (10, 30, 60, 120, 300, 600, 1200, 3600, 7200, 21600, 86400)  # s of a chunk
KEYS = 20_000  # of a chunk, about


@dataclass(frozen=True, eq=False)
class Columns:
    """All keys as whole numbers, tracks one after the other: `first` (T + 1,) says where each begins."""

    first: np.ndarray
    numbers: np.ndarray  # (K, 6): time, x, y, shape
    small: np.ndarray  # (K, 4) u8: level, state, life, cut
    states: list[str]
    lives: list[str]


def whole_numbers(tracks: Sequence[Keys], start: float) -> Columns:
    """The keys of all tracks as whole numbers; times count from `start` (s)."""
    first = np.cumsum([0, *(len(keys) for keys in tracks)])
    numbers, small = np.zeros((first[-1], 6), np.int64), np.zeros((first[-1], 4), np.uint8)
    names: tuple[list[str], list[str]] = ([], [])
    for keys, row in zip(tracks, first.tolist(), strict=False):
        own = slice(row, row + len(keys))
        shape = np.nan_to_num(np.clip(np.round(keys.shape / SHAPE), -32000, 32000), nan=UNKNOWN)
        place = np.round(keys.xy / PLACE_M)
        numbers[own] = np.column_stack([np.round((keys.time - start) / TIME_S), place, shape])
        codes = [_codes(column, known) for column, known in zip((keys.state, keys.life), names, strict=True)]
        small[own] = np.column_stack([keys.level, *codes, keys.cut])
    return Columns(first, numbers, small, *names)


def stretch(n_keys: int, seconds: float) -> float:
    """How many seconds a chunk holds, so that there are about KEYS in it."""
    wanted = seconds * KEYS / max(n_keys, 1)
    return float(next((s for s in STRETCHES if s >= wanted), STRETCHES[-1]))


def chunks(columns: Columns, stretch_s: float, seconds: float) -> Iterator[str]:
    """Each chunk of a recording of so many `seconds`, as text that a page holds."""
    time, first = columns.numbers[:, 0], columns.first
    starts, ends = time[first[:-1]], time[first[1:] - 1]
    for k in range(max(1, int(np.ceil((seconds + TIME_S) / stretch_s)))):
        low, high = round(k * stretch_s / TIME_S), round((k + 1) * stretch_s / TIME_S)
        there = np.flatnonzero((starts < high) & (ends >= low))
        rows = []
        for track in there.tolist():
            own = time[first[track] : first[track + 1]]
            begin = max(int(np.searchsorted(own, low, "right")) - 1, 0)
            end = min(int(np.searchsorted(own, high, "left")) + 1, len(own))
            rows.append(np.arange(begin, end) + first[track])
        yield packed(columns, there, rows)


def packed(columns: Columns, tracks: np.ndarray, rows: Sequence[np.ndarray]) -> str:
    """A chunk of `rows` of each of the `tracks`."""
    counts = np.array([len(own) for own in rows], int)
    every = np.concatenate([np.zeros(0, int), *rows])
    change = np.diff(columns.numbers[every], axis=0, prepend=np.zeros((1, 6), np.int64))
    begins = np.cumsum(counts)[:-1] if len(counts) else np.zeros(0, int)
    begins = np.concatenate([np.zeros(min(1, len(counts)), int), begins])
    change[begins] = columns.numbers[every[begins]]
    head = np.column_stack([tracks, counts]).astype("<u4").tobytes()
    parts = [np.array([len(tracks)], "<u4").tobytes(), head]
    parts += [_planes(change[:, k].astype("<i4")) for k in range(3)]
    parts += [_planes(change[:, k].astype("<i2")) for k in range(3, 6)]
    parts += [columns.small[every, k].tobytes() for k in range(4)]
    return deflated(b"".join(parts))


def deflated(content: bytes) -> str:
    """Bytes deflated (RFC 1951), in base64."""
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(machine.compress(content) + machine.flush()).decode()


def _planes(values: np.ndarray) -> bytes:
    return np.ascontiguousarray(values.view(np.uint8).reshape(len(values), values.itemsize).T).tobytes()


def _codes(names: np.ndarray, known: list[str]) -> np.ndarray:
    """Number of each name among those that are `known`, to which new ones are added."""
    unique, inverse = np.unique(names, return_inverse=True)
    known += [name for name in unique.tolist() if name not in known]
    return np.array([known.index(name) for name in unique.tolist()], np.uint8)[inverse]
