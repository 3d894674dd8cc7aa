"""TREC's files of rankings (trec_eval's): judgements, called qrels, and runs; plain or gzip.

A qrels file has lines of `query iteration item grade`, a run file `query Q0 item rank score tag`, blanks between.
As in trec_eval the iteration, Q0, the rank and the tag mean nothing, and the score alone makes the order.
"""

import gzip
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import first_line, read_text, write_whole
from geoloc.io.rows import SHOWN_LINES, ReadReport, Skipped
from geoloc.metrics.judgements import Judgements, Run


@dataclass(frozen=True, eq=False)
class ReadJudgements:
    """Judgements of a file and the report on its reading."""

    judgements: Judgements
    report: ReadReport


@dataclass(frozen=True, eq=False)
class ReadRun:
    """The run of a file and the report on its reading."""

    run: Run
    report: ReadReport


def holds_run(path: Path | str) -> bool:
    """Whether a file's first line looks like a run: query, Q0, item, rank, score, tag."""
    words = first_line(path).split()
    return len(words) == 6 and words[1] == "Q0"


def read_qrels(path: Path | str) -> ReadJudgements:
    """Judgements of a qrels file. Malformed lines are left out and counted; an item judged twice is refused."""
    lines = _Lines(path, "qrels", ("query", "iteration", "item", "grade"))
    query, item, grade = lines.rows("grade", int, "the grade is no whole number")
    report = lines.report("judgements", len(grade))
    with _named(path):
        return ReadJudgements(Judgements(_text(query), _text(item), np.array(grade, dtype=int)), report)


def read_run(path: Path | str) -> ReadRun:
    """A run file. Malformed lines are left out and counted; a score NaN and an item ranked twice are refused."""
    lines = _Lines(path, "run", ("query", "Q0", "item", "rank", "score", "tag"))
    query, item, score = lines.rows("score", float, "the score is no number")
    report = lines.report("ranked items", len(score))
    with _named(path):
        return ReadRun(Run(_text(query), _text(item), np.array(score, dtype=float)), report)


def write_qrels(path: Path | str, judgements: Judgements) -> None:
    """Write judgements as a qrels file, whole or not at all; gzip if the name ends in .gz."""
    query, item = _names(path, judgements.query), _names(path, judgements.item)
    rows = zip(query, item, judgements.grade.tolist(), strict=True)
    _write(path, "".join(f"{q} 0 {i} {int(grade)}\n" for q, i, grade in rows))


def write_run(path: Path | str, run: Run, tag: str = "geoloc") -> None:
    """Write a run file, whole or not at all; gzip if the name ends in .gz. Scores come back as they were.

    Queries in order, their items by score, then item, both descending: the order that trec_eval sees.
    """
    _names(path, np.array([tag]))
    query, item = np.array(_names(path, run.query)), np.array(_names(path, run.item))
    _, number = np.unique(item, return_inverse=True)
    order = np.lexsort((-number, -run.score, query))
    query = query[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query, "left") + 1
    rows = zip(query.tolist(), item[order].tolist(), rank.tolist(), run.score[order].tolist(), strict=True)
    _write(path, "".join(f"{q} Q0 {i} {r} {score!r} {tag}\n" for q, i, r, score in rows))


class _Lines:
    """The lines of a file with named cells; malformed ones are noted."""

    def __init__(self, path: Path | str, kind: str, cells: tuple[str, ...]) -> None:
        self._path, self._kind, self._cells = str(path), kind, cells
        self._skipped: dict[str, list[int]] = {}

    def rows(
        self, number: str, parse: Callable[[str], float], otherwise: str
    ) -> tuple[list[str], list[str], list[float]]:
        """Queries, items and the cells `number` of the lines that are well formed."""
        at = [self._cells.index(name) for name in ("query", "item", number)]
        queries: list[str] = []
        items: list[str] = []
        values: list[float] = []
        for line, text in enumerate(read_text(self._path).splitlines(), 1):
            cells = text.split()
            if len(cells) != len(self._cells):
                if cells:
                    self._skip(line, f"not the {len(self._cells)} cells {' '.join(self._cells)}")
                continue
            query, item, cell = (cells[i] for i in at)
            try:
                value = parse(cell)
            except ValueError:
                self._skip(line, otherwise)
                continue
            if math.isnan(value):
                raise InputError(f"{self._path}: line {line}: the {number} is NaN; drop the line or mend it")
            queries.append(query)
            items.append(item)
            values.append(value)
        return queries, items, values

    def _skip(self, line: int, reason: str) -> None:
        self._skipped.setdefault(reason, []).append(line)

    def report(self, what: str, n_rows: int) -> ReadReport:
        """What became of the lines. A file of which none is well formed is refused."""
        skipped = {reason: Skipped(len(lines), tuple(lines[:SHOWN_LINES])) for reason, lines in self._skipped.items()}
        report = ReadReport(self._path, self._kind, n_rows, skipped, what=what)
        if skipped and not n_rows:
            raise InputError(f"{self._path}: no {self._kind} file: none of its lines can be read\n{report}")
        return report


@contextmanager
def _named(path: Path | str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _text(names: list[str]) -> np.ndarray:
    return np.array(names, dtype=str)


def _names(path: Path | str, names: np.ndarray) -> list[str]:
    """Names as text; InputError for one that would not come back as one cell."""
    found = [str(name) for name in names.tolist()]
    for name in found:
        if name.split() != [name]:
            raise InputError(f"{path}: name {name!r} is empty or holds blanks; TREC's files have no form for it")
    return found


def _write(path: Path | str, text: str) -> None:
    packed = Path(path).suffix.lower() == ".gz"
    write_whole(path, gzip.compress(text.encode("utf-8"), mtime=0) if packed else text)
