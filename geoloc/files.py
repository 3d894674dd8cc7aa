"""Reading text, JSON and gzip with clear refusals, and writing a file whole or not at all."""

import csv
import gzip
import json
import os
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from geoloc.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"


def read_bytes(path: Path | str) -> bytes:
    """Content of a file, unpacked if it is gzip; InputError that names it if it cannot be read."""
    path = Path(path)
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == GZIP_MAGIC else content
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def read_text(path: Path | str) -> str:
    """Content of a UTF-8 text file (gzip or plain), without a byte order mark."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; it must be a text file") from error


def first_line(path: Path | str) -> str:
    """The first line of a text file that is not blank; an empty file is refused."""
    lines = read_text(path).lstrip().splitlines()
    if not lines:
        raise InputError(f"{path}: the file is empty")
    return lines[0]


def parse_json(text: str, path: Path | str, finite: bool = False) -> Any:
    """`text` as JSON; a broken or truncated one is refused with its line and column.

    NaN and Infinity, which some programs write though JSON has none, are refused if `finite`.
    """

    def constant(name: str) -> float:
        if finite:
            raise InputError(f"{path}: holds {name}; every number must be finite")
        return float(name)

    try:
        return json.loads(text, parse_constant=constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        if not text.strip():
            raise InputError(f"{path}: the file is empty; it must hold JSON") from error
        ends = error.pos >= len(text.rstrip()) or not text.rstrip().endswith(("}", "]"))
        cut = "; it ends in the middle: is it truncated?" if ends else ""
        raise InputError(f"{path}: JSON breaks at {where} ({error.msg}){cut}") from error
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: not JSON that can be read ({error})") from error


def read_json(path: Path | str) -> Any:
    """A JSON file, gzip or plain."""
    return parse_json(read_text(path), path)


def read_numbers(path: Path | str, columns: int, separator: str | None = None) -> np.ndarray:
    """The first `columns` numbers of every line: (N, columns); a broken line is refused with its number."""
    rows = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        cells = line.split(separator)[:columns]
        try:
            row = [float(cell) for cell in cells]
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {error}; it must hold {columns} numbers") from error
        if len(row) < columns or not np.isfinite(row).all():
            found = line.strip()[:60]
            raise InputError(f"{path}: line {number}: {found!r}; it must hold {columns} finite numbers")
        rows.append(row)
    return np.array(rows, float).reshape(-1, columns)


def read_columns(path: Path | str) -> dict[str, list[str]]:
    """A CSV file with a header (gzip or plain) as text by column; a line of another length is refused by number."""
    return next(column_pieces(path))


def column_pieces(path: Path | str, key: str = "", n_rows: float = np.inf) -> Iterator[dict[str, list[str]]]:
    """As `read_columns`, in pieces of at least `n_rows` rows (but the last), cut where the text of `key` changes."""
    with _open_text(path) as file:
        reader = csv.reader(file)
        header: list[str] = []
        rows: list[list[str]] = []
        try:
            header = next(reader, [])
            at = header.index(key) if key in header else 0
            for row in reader:
                if len(row) != len(header):
                    found = f"line {reader.line_num} has {len(row)} cells; the header has {len(header)}"
                    raise InputError(f"{path}: {found}: is it truncated?")
                if len(rows) >= n_rows and row[at] != rows[-1][at]:
                    yield _by_column(header, rows)
                    rows = []
                rows.append(row)
        except csv.Error as error:
            raise InputError(f"{path}: line {reader.line_num}: not CSV ({error})") from error
        yield _by_column(header, rows)


def _by_column(header: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    columns = zip(*rows, strict=True) if rows else ((),) * len(header)
    return {name: list(values) for name, values in zip(header, columns, strict=True)}


@contextmanager
def _open_text(path: Path | str) -> Iterator[TextIO]:
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == GZIP_MAGIC
        if packed:
            with gzip.open(path, "rt", encoding="utf-8-sig", newline="") as text:
                yield text
        else:
            with open(path, encoding="utf-8-sig", newline="") as text:
                yield text
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; it must be a text file") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def find_files(folder: Path | str, pattern: str, what: str) -> list[Path]:
    """Files of `folder` that match `pattern`, sorted; InputError that names `what` if none do."""
    files = sorted(Path(folder).glob(pattern))
    if not files:
        raise InputError(f"{folder}: no {what} ({pattern}) in this folder")
    return files


def write_whole(path: Path | str, content: str | bytes, sync: bool = False) -> None:
    """Write a file (text as UTF-8), whole or not at all; folders are made, InputError where that fails.

    With `sync` that holds for the loss of power too: it waits for the disk.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with whole_file(path, sync) as temporary:
        temporary.write_bytes(data)


@contextmanager
def whole_file(path: Path | str, sync: bool = False) -> Iterator[Path]:
    """A path to write to, which becomes `path` at the end if all went well, and is removed if not.

    Folders are made; an OSError on the way is InputError. `sync` waits for the disk.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            if sync:
                _wait_for_disk(temporary)
            os.replace(temporary, path)
            if sync and os.name == "posix":
                _wait_for_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _wait_for_disk(path: Path) -> None:
    """Wait until the disk has a file's content, or a folder's list of files."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
