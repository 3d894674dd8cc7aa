"""An append-only log of records in files: each record has its length, a checksum over its number and bytes, or is none.

A file begins with MAGIC and a head (itself a record) and is named after the number of its first record. What a process
wrote before it was killed is whole but for the last record, which may be torn: it is told from damage by nothing
readable coming after it.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import write_whole

MAGIC = b"geolog\x00\x01"
FRAME = struct.Struct("<II")  # length of the record's bytes, and CRC-32 over its number and them
NUMBER = struct.Struct("<Q")
MOST_BYTES = 1 << 30  # of a record
LOOK_AHEAD = 16  # records that may be damaged one after the other


@dataclass(frozen=True)
class Part:
    """One file of a log, read: its head, its records from number `first` on, and where the whole ones end."""

    path: Path
    first: int
    head: bytes
    records: tuple[bytes, ...]
    end: int  # bytes
    torn: int  # bytes behind it


class PartWriter:
    """Appends records to one file. What `append` returned from stays, were the process killed."""

    def __init__(self, path: Path, number: int, end: int) -> None:
        self.path = path
        self.number = number  # of the next record
        self._end = end
        self._file = os.open(path, os.O_WRONLY)
        os.ftruncate(self._file, end)  # without what is torn
        os.lseek(self._file, end, os.SEEK_SET)

    @classmethod
    def begin(cls, folder: Path, first: int, head: bytes) -> "PartWriter":
        """A new file, whose first record will be number `first`."""
        path, data = part_path(folder, first), MAGIC + framed(head, 0)
        write_whole(path, data, sync=True)
        return cls(path, first, len(data))

    def append(self, record: bytes) -> None:
        """Write a record; InputError where that fails, as on a full disk, and the file is as before."""
        data = framed(record, self.number)
        try:
            written = os.write(self._file, data)
            while written < len(data):
                written += os.write(self._file, data[written:])
        except OSError as error:
            os.ftruncate(self._file, self._end)
            os.lseek(self._file, self._end, os.SEEK_SET)
            raise InputError(f"{self.path}: cannot be written ({error.strerror or error}); make room") from error
        self._end += len(data)
        self.number += 1

    def sync(self) -> None:
        """Wait until the disk has what was appended: that outlives the loss of power."""
        os.fsync(self._file)

    def close(self) -> None:
        """Sync and close the file."""
        self.sync()
        os.close(self._file)


def framed(record: bytes, number: int) -> bytes:
    """A record's bytes in a file."""
    if len(record) > MOST_BYTES:
        raise InputError(f"record {number} has {len(record)} bytes; a record may have {MOST_BYTES}")
    return FRAME.pack(len(record), _checksum(record, number)) + record


def read_framed(path: Path, number: int) -> bytes:
    """The only record of a file, which has this number; InputError where it is damaged or another's."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) < FRAME.size:
        raise InputError(f"{path}: is cut off, or none of geoloc's")
    length, checksum = FRAME.unpack_from(data)
    record = data[FRAME.size :]
    if len(record) != length or _checksum(record, number) != checksum:
        raise InputError(f"{path}: is damaged, cut off, or none of geoloc's")
    return record


def part_path(folder: Path, first: int) -> Path:
    """The file whose first record is number `first`."""
    return folder / f"log-{first:012d}"


def part_paths(folder: Path) -> list[Path]:
    """The files of a log, in order."""
    return sorted(path for path in folder.glob("log-*") if path.name[4:].isdigit())


def read_head(path: Path) -> bytes:
    """The head of a file of a log; InputError where it is none."""
    with path.open("rb") as file:
        data = file.read(len(MAGIC) + FRAME.size)
        length = FRAME.unpack_from(data, len(MAGIC))[0] if len(data) == len(MAGIC) + FRAME.size else 0
        data += file.read(min(length, MOST_BYTES))
    head = next(_records(data, len(MAGIC), 1), None) if data.startswith(MAGIC) else None
    if head is None:
        found = f"it begins with {data[:8]!r}"
        raise InputError(f"{path}: is damaged, or no log of this geoloc ({found}); restore a copy, or take it away")
    return head


def read_part(path: Path) -> Part:
    """A file of a log. InputError where it is none, or where records lie behind one that is damaged."""
    data, first = path.read_bytes(), int(path.name[4:])
    read_head(path)
    found, start = [], len(MAGIC)
    for record in _records(data, start, first):
        found.append(record)
        start += FRAME.size + len(record)
    later = _later_record(data, start, first + len(found) - 1)
    if later is not None:
        place = f"record {first + len(found) - 1} at byte {start}"
        raise InputError(
            f"{path}: {place} is damaged, and record {later} behind it is not; nothing was changed: bring the file "
            f"back from a copy, or cut it to {start} bytes and do without what is behind"
        )
    return Part(path, first, found[0], tuple(found[1:]), start, len(data) - start)


def _records(data: bytes, start: int, first: int) -> Iterator[bytes]:
    """The head, numbered 0, and the records from `first` on, as far as they are whole."""
    number = 0
    while start + FRAME.size <= len(data):
        length, checksum = FRAME.unpack_from(data, start)
        record = data[start + FRAME.size : start + FRAME.size + length]
        if len(record) < length or _checksum(record, number) != checksum:
            return
        yield record
        number = number + 1 if number else first
        start += FRAME.size + length


def _later_record(data: bytes, start: int, number: int) -> int | None:
    """The number of a whole record behind byte `start`, were record `number` to begin there; None: there is none."""
    rest = np.frombuffer(data, np.uint8, offset=start)
    if len(rest) <= FRAME.size:
        return None
    at = np.arange(1, len(rest) - FRAME.size)
    lengths = sum(rest[at + k].astype(np.int64) << (8 * k) for k in range(4))
    fits = np.flatnonzero((lengths > 0) & (at + FRAME.size + lengths <= len(rest)))
    for place in (start + at[fits]).tolist():
        length, checksum = FRAME.unpack_from(data, place)
        record = data[place + FRAME.size : place + FRAME.size + length]
        for later in range(number + 1, number + 1 + LOOK_AHEAD):
            if _checksum(record, later) == checksum:
                return later
    return None


def _checksum(record: bytes, number: int) -> int:
    return zlib.crc32(record, zlib.crc32(NUMBER.pack(number)))
