"""Arrays that grow at their end, in memory or in a file that is mapped."""

import os
import zlib
from pathlib import Path

import numpy as np

from geoloc.errors import InputError

GROWTH = 1.25  # room after growing, in what is needed: few copies, little left empty
ROOM = 1024  # rows at least
BYTES = 1 << 24  # bytes copied at a time


class Growing:
    """Values (N,) of one kind that grow at their end."""

    def __init__(self, values: np.ndarray) -> None:
        self._room, self._n = values, len(values)

    @property
    def values(self) -> np.ndarray:
        """All of them (N,); good until the next `append`."""
        return self._room[: self._n]

    def append(self, values: np.ndarray) -> None:
        """Add values (M,) at the end."""
        n = self._n + len(values)
        if n > len(self._room):
            grown = np.empty(max(ROOM, int(n * GROWTH)), self._room.dtype)
            grown[: self._n] = self.values
            self._room = grown
        self._room[self._n : n] = values
        self._n = n


class Vectors:
    """Vectors (N, dim) of float32 or float16 that grow at their end, in memory or in a file of such rows.

    What was appended is there after the process ends in whatever way, and after `sync` when the power fails.
    """

    def __init__(self, dim: int, dtype: type[np.floating], path: Path | None, n: int = 0) -> None:
        self.dim, self.dtype, self.path, self._n = dim, np.dtype(dtype), path, n
        self._row = dim * self.dtype.itemsize
        self._file = -1
        if path is None:
            self._room = np.zeros((n, dim), self.dtype)
            return
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            size = os.fstat(self._file).st_size
        except OSError as error:
            raise InputError(f"{path}: cannot be opened ({error.strerror or error})") from error
        if size < n * self._row:
            os.close(self._file)
            raise InputError(f"{path}: {size} bytes; {n} vectors of {self._row} belong here: is it truncated?")
        self._map(size // self._row)

    @property
    def rows(self) -> np.ndarray:
        """All of them (N, dim), not to be written to; good until the next `append`."""
        return self._room[: self._n]

    def append(self, vectors: np.ndarray) -> None:
        """Add vectors (M, dim) at the end; InputError where the disk is full, and nothing is added."""
        n = self._n + len(vectors)
        if n > len(self._room):
            self._grow(max(ROOM, int(n * GROWTH)) if self._n else n)
        if self._file < 0:
            self._room[self._n : n] = vectors
        else:
            block = max(1, BYTES // self._row)
            for start in range(0, len(vectors), block):
                some = np.ascontiguousarray(vectors[start : start + block], self.dtype)
                self._write(some, (self._n + start) * self._row)
        self._n = n

    def cut(self, n: int) -> None:
        """Keep the first `n`."""
        self._n = min(n, self._n)

    def claim(self, n: int) -> bool:
        """Whether the file holds `n` vectors: those past the known ones were written before a crash."""
        self._n = n if n <= len(self._room) else self._n
        return self._n == n

    def check(self, start: int) -> int:
        """CRC-32 of the vectors from `start` on."""
        return zlib.crc32(np.ascontiguousarray(self.rows[start:]).data)

    def sync(self) -> None:
        """Wait until the disk has them."""
        if self._file >= 0:
            os.fsync(self._file)

    def close(self) -> None:
        """Give the file back."""
        self._room = np.zeros((0, self.dim), self.dtype)
        if self._file >= 0:
            os.close(self._file)
        self._file, self._n = -1, 0

    def _grow(self, room: int) -> None:
        if self._file >= 0:
            os.ftruncate(self._file, room * self._row)  # a hole: it takes disk only once it is written
            self._map(room)
        else:
            grown = np.empty((room, self.dim), self.dtype)
            grown[: self._n] = self.rows
            self._room = grown

    def _map(self, room: int) -> None:
        self._room = np.zeros((0, self.dim), self.dtype)
        if self.path and room:
            self._room = np.asarray(np.memmap(self.path, self.dtype, "r", shape=(room, self.dim)))

    def _write(self, vectors: np.ndarray, at: int) -> None:
        view, done = vectors.data.cast("B"), 0
        try:
            while done < len(view):
                done += os.pwrite(self._file, view[done:], at + done)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error})") from error
