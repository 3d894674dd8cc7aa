"""Detections in the columns of `Detections`: CSV with a header, JSON lines, Parquet.

Columns: time (s), camera, x1, y1, x2, y2 (px) and, if wanted, label, score, foot_u, foot_v (px), with
these foot_uu, foot_uv, foot_vv (px², their covariance), embedding.
Pixels are geoloc's own, (0, 0) the centre of the top-left pixel: nothing is shifted. An `id` is not read: a
detection's id is the number of its row.
"""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.rows import UNKNOWN, ReadOptions, ReadResult, Rows

EDGES = ("x1", "y1", "x2", "y2")
REQUIRED = ("time", *EDGES)
FOOT_COV = ("foot_uu", "foot_uv", "foot_vv")
KNOWN = {"id", "time", "camera", *EDGES, "box", "label", "score", "foot_u", "foot_v", "foot", "embedding"}
KNOWN |= {*FOOT_COV, "foot_cov"}
FOOT = {"foot", "foot_u", "foot_v"}
SHOWN_UNKNOWN = 10
Record = Mapping[str, object]


def read_csv(path: Path, options: ReadOptions) -> ReadResult:
    """CSV with a header row; unknown columns are named in the report and not read."""
    rows = Rows(path, "csv")
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    try:
        header = [name.strip() for name in next(reader, [])]
        if header:
            _check_header(header, path, options, rows)
        for cells in reader:
            if cells:
                _add_cells(rows, reader.line_num, header, cells, options)
    except csv.Error as error:
        rows.skip(reader.line_num, f"the rest of the file is not CSV ({error})")
    return rows.result(options)


def read_jsonl(path: Path, options: ReadOptions) -> ReadResult:
    """One detection a line, or one frame: `{"time": 0, "camera": "gate", "detections": [{...}, ...]}`.

    A box is `x1, y1, x2, y2` or `"box": [x1, y1, x2, y2]`; a foot is `foot_u, foot_v` or `"foot": [u, v]`, with
    `"foot_cov": [uu, uv, vv]` if it is known.
    """
    rows = Rows(path, "jsonl")
    unknown: set[str] = set()
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            rows.skip(number, "line is not whole JSON")
            continue
        for record in _records(content):
            if record is None:
                rows.skip(number, "line is neither a detection nor a frame of them")
            else:
                unknown |= record.keys() - KNOWN
                _add_record(rows, number, record, options)
    rows.notes += [
        f"column {name!r} is not known and was not read" for name in sorted(unknown)[:SHOWN_UNKNOWN]
    ]
    return rows.result(options)


def read_parquet(path: Path, options: ReadOptions) -> ReadResult:
    """Parquet with the columns of CSV; `embedding` may be a column of lists. Needs pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise InputError(f"{path}: Parquet needs pyarrow; install geoloc[parquet]") from error
    try:
        table = parquet.read_table(path)
        columns = {name: table[name].to_pylist() for name in table.column_names}
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{path}: not a Parquet file that can be read ({error})") from error
    rows = Rows(path, "parquet", "row")
    _check_header(list(columns), path, options, rows)
    names = [name for name in columns if name in KNOWN]
    for number, values in enumerate(zip(*(columns[name] for name in names), strict=True), 1):
        _add_record(rows, number, dict(zip(names, values, strict=True)), options)
    return rows.result(options)


def number(value: object) -> float:
    """`value` as a float; ValueError if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{type(value).__name__} is no number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("a number beyond all range") from error


def _check_header(header: list[str], path: Path, options: ReadOptions, rows: Rows) -> None:
    """Refuse a header that lacks what is needed; name its unknown columns in the report."""
    missing = [name for name in REQUIRED if name not in header]
    if "camera" not in header and not options.camera:
        missing.append("camera")
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; it needs time, camera, x1, y1, x2, y2 and holds "
            f"{', '.join(name[:40] for name in header[:20])}"
        )
    if len(set(header)) < len(header):
        raise InputError(f"{path}: two columns have the same name; found {', '.join(header[:20])}")
    unknown = [name for name in header if name not in KNOWN]
    rows.notes += [f"column {name!r} is not known and was not read" for name in unknown[:SHOWN_UNKNOWN]]


def _add_cells(rows: Rows, line: int, header: list[str], cells: list[str], options: ReadOptions) -> None:
    if len(cells) != len(header):
        kind = "fewer" if len(cells) < len(header) else "more"
        rows.skip(line, f"line has {kind} cells than the header: truncated or broken")
    else:
        _add_record(rows, line, dict(zip(header, cells, strict=True)), options)


def _records(content: object) -> Iterable[Record | None]:
    """The detections of one line of JSON, each with its frame's time and camera; None for what is none."""
    if not isinstance(content, dict):
        return [None]
    if "detections" not in content:
        return [content]
    items = content["detections"]
    if not isinstance(items, list):
        return [None]
    frame = {key: content[key] for key in ("time", "camera") if key in content}
    return [{**item, **frame} if isinstance(item, dict) else None for item in items]


def _add_record(rows: Rows, line: int, record: Record, options: ReadOptions) -> None:
    """One detection by its column names; None and empty text mean that a column is missing."""
    given = {key: value for key, value in record.items() if value is not None and value != ""}
    try:
        box = _several(given, "box", EDGES)
        foot = _several(given, "foot", ("foot_u", "foot_v")) if given.keys() & FOOT else (UNKNOWN, UNKNOWN)
        rows.add(
            line,
            number(given["time"]),
            _text(given.get("camera", options.camera)),
            box,
            _text(given.get("label", options.label)),
            number(given.get("score", 1.0)),
            foot,
            _numbers(given["embedding"]) if "embedding" in given else (),
            _several(given, "foot_cov", FOOT_COV) if given.keys() & {*FOOT_COV, "foot_cov"} else (UNKNOWN,) * 3,
        )
    except KeyError as error:
        rows.skip(line, f"no {error.args[0]}")
    except ValueError:
        rows.skip(line, "a value is not a number, or a name no text")


def _several(record: Record, whole: str, parts: tuple[str, ...]) -> list[float]:
    if whole not in record:
        return [number(record[name]) for name in parts]
    values = _numbers(record[whole])
    if len(values) != len(parts):
        raise ValueError(f"{whole} has {len(values)} values")
    return values


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"{type(value).__name__} is no name")
    return str(value).strip()


def _numbers(value: object) -> list[float]:
    if not isinstance(value, list | tuple):
        raise ValueError("not a list")
    return [number(item) for item in value]
