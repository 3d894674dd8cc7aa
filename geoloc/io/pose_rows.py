"""Rows of files of poses: what is malformed is left out, counted and named; what a file looks like."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.cells import is_number
from geoloc.io.rows import ReadReport, Skips
from geoloc.scene.columns import LATEST_TIME

UNIT = 0.01  # how far from 1 a quaternion's length may be: files are rounded to three digits at the worst


class NotAPose(Exception):
    """Why a row is no pose; never leaves the readers."""


class PoseRows:
    """Notes the rows of one file that are no poses. Its report refuses a file in which none is."""

    def __init__(self, path: Path | str, kind: str, unit: str = "line") -> None:
        self.path, self._kind, self._unit = str(path), kind, unit
        self._skips = Skips()
        self.notes: list[str] = []

    @contextmanager
    def guarded(self, line: int) -> Iterator[None]:
        """A row's reading: NotAPose inside it leaves the row out."""
        try:
            yield
        except NotAPose as reason:
            self._skips.add(str(reason), line)

    def report(self, what: str, n_rows: int) -> ReadReport:
        """What became of the rows."""
        report = ReadReport(self.path, self._kind, n_rows, self._skips.counted(), tuple(self.notes), self._unit, what)
        if not n_rows:
            told = f"none of its rows can be read\n{report}" if report.n_skipped else "it holds no poses"
            raise InputError(f"{self.path}: {told}")
        return report


def numbers(cells: Sequence[str]) -> np.ndarray:
    """Finite numbers of cells (N,), or NotAPose."""
    try:
        values = np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise NotAPose("a cell is no number") from error
    if not np.isfinite(values).all():
        raise NotAPose("a number is NaN or infinite")
    return values


def unit_quaternion(values: np.ndarray) -> np.ndarray:
    """A quaternion (4,) of unit length, or NotAPose."""
    if abs(np.linalg.norm(values) - 1.0) > UNIT:
        raise NotAPose("the quaternion is not of unit length")
    return values


def moment(cell: str) -> float:
    """A time in s, or NotAPose."""
    time = float(numbers([cell])[0])
    if abs(time) > LATEST_TIME:
        raise NotAPose("the time looks like milli- or nanoseconds: divide it to seconds")
    return time


def looks_like(path: Path | str) -> str:
    """ "hloc", "csv", "tum", "kitti", "empty" or "unknown", from the first line that is no comment."""
    lines = [line for line in read_text(path).splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not lines:
        return "empty"
    header = {cell.strip() for cell in lines[0].split(",")}
    if {"image", "qw", "qx", "qy", "qz"} <= header:
        return "csv"
    cells = lines[0].split()
    good = [is_number(cell) for cell in cells]
    if len(cells) == 12 and all(good):
        return "kitti"
    if len(cells) == 8 and all(good[1:]):
        return "tum" if good[0] else "hloc"
    return "unknown"
