"""TREC's files of rankings (trec_eval's): judgements, called qrels, and runs; plain or gzip.

A qrels file has lines of `query iteration item grade`, a run file `query Q0 item rank score tag`, blanks between.
As in trec_eval the iteration, Q0, the rank and the tag mean nothing, and the score alone makes the order.
"""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import first_line, write_whole
from geoloc.io.cells import Cells, blank_cells, is_number
from geoloc.io.rows import ReadReport
from geoloc.metrics.judgements import Judgements, Run

_Columns = tuple[np.ndarray, np.ndarray, np.ndarray]  # query, item, number


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
    cells = blank_cells(path, ("query", "iteration", "item", "grade"))
    grade = cells.numbers("grade")
    bad = ~np.isfinite(grade) | (grade != np.rint(grade))
    (query, item, grade), report = _well_formed(cells, "grade", bad, "the grade is no whole number", "judgements")
    with _named(path):
        return ReadJudgements(Judgements(query, item, grade.astype(int)), report)


def read_run(path: Path | str) -> ReadRun:
    """A run file. Malformed lines are left out and counted; a score NaN and an item ranked twice are refused."""
    cells = blank_cells(path, ("query", "Q0", "item", "rank", "score", "tag"))
    bad = np.isnan(cells.numbers("score"))
    for line, cell in zip(cells.lines[bad], cells.text("score")[bad], strict=True):
        if is_number(cell):
            raise InputError(f"{path}: line {line}: the score is NaN; drop the line or mend it")
    (query, item, score), report = _well_formed(cells, "score", bad, "the score is no number", "ranked items")
    with _named(path):
        return ReadRun(Run(query, item, score), report)


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


def _well_formed(cells: Cells, number: str, bad: np.ndarray, otherwise: str, what: str) -> tuple[_Columns, ReadReport]:
    """Queries, items and numbers of the lines that are well formed; a file of which none is, is refused."""
    keep = cells.usable((otherwise, bad))
    kind = "run" if number == "score" else "qrels"
    report = cells.report(kind, int(keep.sum()), what)
    if report.n_skipped and not report.n_rows:
        raise InputError(f"{cells.path}: no {kind} file: none of its lines can be read\n{report}")
    return (cells.text("query")[keep], cells.text("item")[keep], cells.numbers(number)[keep]), report


@contextmanager
def _named(path: Path | str) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


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
