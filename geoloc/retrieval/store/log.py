"""A log of what changed since the last whole write: records of arrays, each whole or not there."""

import io
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from geoloc.errors import InputError

MAGIC = b"GLOG"
HEADER = struct.Struct("<4sIQ")  # magic, CRC-32 of the record, its length in bytes

Arrays = dict[str, np.ndarray]


class Log:
    """Records at the end of a file. A process that dies leaves at most the last one torn, and that one is dropped."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(f"{path}: cannot be opened ({error.strerror or error})") from error
        self._end = 0

    def append(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Write one record; InputError where the disk is full, and the log is as it was."""
        body = io.BytesIO()
        np.savez(body, **arrays)  # type: ignore[arg-type]
        content = body.getvalue()
        record = HEADER.pack(MAGIC, zlib.crc32(content), len(content)) + content
        done = 0
        try:
            while done < len(record):
                done += os.pwrite(self._file, record[done:], self._end + done)
        except OSError as error:
            os.ftruncate(self._file, self._end)
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error})") from error
        self._end += len(record)

    def replay(self) -> Iterator[Arrays]:
        """The records from the first on; a torn end is cut off. InputError where one before the end is broken."""
        content = self.path.read_bytes()
        self._end = 0
        while (body := _record(content, self._end)) is not None:
            with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
                yield dict(arrays)
            self._end += HEADER.size + len(body)
        later = content.find(MAGIC, self._end + 1)
        while later >= 0:
            if _record(content, later) is not None:
                raise self.broken()
            later = content.find(MAGIC, later + 1)
        os.ftruncate(self._file, self._end)

    def cut(self) -> None:
        """Drop the record that `replay` gave last, and all behind it."""
        os.ftruncate(self._file, self._end)

    def broken(self) -> InputError:
        """What is said of a record that is broken though others follow it."""
        return InputError(
            f"{self.path}: broken at byte {self._end} with whole records behind it; take the index from a snapshot, "
            "or cut the file there to go on with what came before"
        )

    def sync(self) -> None:
        """Wait until the disk has them."""
        os.fsync(self._file)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)


def _record(content: bytes, at: int) -> bytes | None:
    """The record that starts there, if it is whole."""
    if len(content) - at < HEADER.size:
        return None
    magic, crc, length = HEADER.unpack_from(content, at)
    body = content[at + HEADER.size : at + HEADER.size + length]
    return body if magic == MAGIC and len(body) == length and zlib.crc32(body) == crc else None
