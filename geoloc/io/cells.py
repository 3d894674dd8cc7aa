"""Cells of a text file by column: what cannot be read is missing, rows that fail are counted under their reason."""

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.rows import ReadReport, Skips

OTHER_LENGTH = "another number of cells than columns"


SEPARATORS = ",;\t"


class Cells:
    """A file's cells by column; columns that the file lacks read as missing.

    `rows` are lists of words, or a float table (N, C) where all of them are numbers.
    """

    def __init__(self, path: Path | str, header: tuple[str, ...], rows: list[list[str]], lines: list[int]) -> None:
        self.path, self.header, self.n, self.lines = str(path), header, len(rows), np.array(lines, dtype=int)
        self.columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
        self.skips = Skips()
        self.notes: list[str] = []

    def require(self, *names: str) -> None:
        """InputError for the first column that the file lacks."""
        missing = [name for name in names if name not in self.header]
        if missing:
            raise InputError(f"{self.path}: no column {missing[0]!r}; its columns are {', '.join(self.header)}")

    def text(self, name: str) -> np.ndarray:
        """A column as text (N,)."""
        return np.array(self.columns.get(name, ("",) * self.n), dtype=str)

    def numbers(self, name: str) -> np.ndarray:
        """A column as floats (N,), NaN where it holds no number."""
        cells = self.columns.get(name)
        if cells is None:
            return np.full(self.n, np.nan)
        try:
            return np.array(cells, dtype=float)
        except ValueError:
            return np.array([float(cell) if is_number(cell) else np.nan for cell in cells])

    def whole(self, name: str) -> np.ndarray:
        """A column as int (N,), -2 where it holds no whole number."""
        values = self.numbers(name)
        fine = np.isfinite(values) & (np.abs(values) < 2**53)
        return np.where(fine & (values == np.rint(values)), np.where(fine, values, 0), -2).astype(int)

    def matrix(self, names: list[str], places: list[tuple[int, int]], size: int) -> np.ndarray:
        """Symmetric matrices (N, size, size) of upper triangles, NaN where the file has none."""
        out = np.full((self.n, size, size), np.nan)
        for name, (i, j) in zip(names, places, strict=True):
            out[:, i, j] = out[:, j, i] = self.numbers(name)
        return out

    def scores(self) -> np.ndarray:
        """Scores (N,), 1 where the file has none."""
        return np.nan_to_num(self.numbers("score"), nan=1.0)

    def usable(self, *checks: tuple[str, np.ndarray]) -> np.ndarray:
        """Rows (N,) bool that pass all checks; the others are counted under the first that they fail."""
        keep = np.ones(self.n, dtype=bool)
        for reason, bad in checks:
            self.skips.add(reason, *self.lines[bad & keep].tolist())
            keep &= ~bad
        return keep

    def report(self, kind: str, n_rows: int, what: str = "rows") -> ReadReport:
        """What became of the rows."""
        notes = (*self.notes, *(() if self.n else ("it holds no rows",)))
        return ReadReport(self.path, kind, n_rows, self.skips.counted(), notes, what=what)


def csv_cells(path: Path | str, comments: int = 0, separator: str = ",") -> Cells:
    """A CSV file with a header, after lines of `comments`; rows of another length are counted."""
    text = io.StringIO(read_text(path), newline="")
    for _ in range(comments):
        text.readline()
    reader = csv.reader(text, delimiter=separator)
    header = tuple(cell.strip() for cell in next(reader, []))
    if not header:
        raise InputError(f"{path}: the file is empty; its first line must name its columns")
    return _collect(path, header, ((comments + reader.line_num, row) for row in reader if row))


class NumberCells(Cells):
    """Cells of a file that are numbers throughout, a table (N, C); as text they are read from its `body` again."""

    def __init__(self, path: Path | str, header: tuple[str, ...], table: np.ndarray, body: str, separator: str) -> None:
        super().__init__(path, header, [], list(range(2, len(table) + 2)))
        self.n, self._table, self._body, self._separator = len(table), table, body, separator

    def text(self, name: str) -> np.ndarray:
        """A column as text (N,)."""
        if name not in self.header:
            return super().text(name)
        column = self.header.index(name)
        words = np.loadtxt(io.StringIO(self._body), str, comments=None, delimiter=self._separator, usecols=column)
        return np.atleast_1d(words)

    def numbers(self, name: str) -> np.ndarray:
        """A column as floats (N,), NaN where the file lacks it."""
        return self._table[:, self.header.index(name)].copy() if name in self.header else np.full(self.n, np.nan)


def table_cells(path: Path | str) -> Cells:
    """A CSV file with a header, whatever lies between its cells; rows of another length are counted.

    Commas, semicolons or tabs lie between cells, as in the header; its names are read in lower case.
    """
    text = read_text(path)
    first, _, body = text.partition("\n")
    separator = separator_of(first)
    header = tuple(cell.strip().lower() for cell in next(csv.reader([first], delimiter=separator), []))
    if not header:
        raise InputError(f"{path}: the file is empty; its first line must name its columns")
    table = _all_numbers(body, len(header), separator)
    if table is not None and len(set(header)) == len(header):
        return NumberCells(path, header, table, body, separator)
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=separator)
    return _collect(path, header, ((reader.line_num + 1, row) for row in reader if row))


def separator_of(line: str) -> str:
    """What lies between the cells of a header: the most frequent of comma, semicolon and tab."""
    return max(SEPARATORS, key=line.count)


def header_words(line: str) -> list[str]:
    """The names of columns in a header, in lower case."""
    return [cell.strip().lower() for cell in line.split(separator_of(line))]


def _all_numbers(body: str, n_columns: int, separator: str) -> np.ndarray | None:
    """The cells (N, C) of lines that hold numbers and nothing else; None where a line does not."""
    if not body.strip() or "\n\n" in body or "\n\r\n" in body or body[0] in "\r\n":
        return None  # blank lines would shift the numbers of those that follow
    try:
        table = np.loadtxt(io.StringIO(body), comments=None, delimiter=separator, ndmin=2)
    except ValueError:
        return None
    return table if table.shape[1] == n_columns else None


def plain_cells(path: Path | str, header: tuple[str, ...]) -> Cells:
    """Lines of numbers without a header; columns beyond the named ones are not read."""
    lines = ((i, re.split(r"[,\s]+", line.strip())) for i, line in enumerate(read_text(path).splitlines(), 1))
    filled = ((i, words + [""] * (len(header) - len(words))) for i, words in lines if words != [""])
    return _collect(path, header, ((i, words[: len(header)]) for i, words in filled))


def blank_cells(path: Path | str, header: tuple[str, ...]) -> Cells:
    """Lines of words between blanks, without a header; those of another length are counted."""
    lines = ((i, line.split()) for i, line in enumerate(read_text(path).splitlines(), 1))
    reason = f"not the {len(header)} cells {' '.join(header)}"
    return _collect(path, header, ((i, words) for i, words in lines if words), reason)


def _collect(
    path: Path | str, header: tuple[str, ...], rows: Iterable[tuple[int, list[str]]], reason: str = OTHER_LENGTH
) -> Cells:
    kept, lines, short = [], [], []
    for line, row in rows:
        if len(row) == len(header):
            kept.append(row)
            lines.append(line)
        else:
            short.append(line)
    cells = Cells(path, header, kept, lines)
    cells.skips.add(reason, *short)
    return cells


def is_number(word: str) -> bool:
    """Whether a word reads as a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True
