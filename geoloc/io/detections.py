"""Detections in: one function for every format, `read_detections`, and the table of formats, `READERS`."""

from pathlib import Path
from typing import Protocol

from geoloc.errors import InputError, unknown_name
from geoloc.io.foreign_forms import read_annotations, read_coco, read_cvml, read_mot
from geoloc.io.own_forms import read_csv, read_jsonl, read_parquet
from geoloc.io.recording_forms import read_cityflow_rows, read_fairmot, read_meva_rows, read_mvdetr
from geoloc.io.rows import ReadOptions, ReadReport, ReadResult
from geoloc.io.sniff import DESCRIPTIONS, look
from geoloc.scene.tables import Detections

__all__ = ["READERS", "DetectionReader", "ReadOptions", "ReadReport", "ReadResult", "read_detections"]


class DetectionReader(Protocol):
    """Reads one format. Malformed rows are left out and counted; a file that is none of it is refused."""

    def __call__(self, path: Path, options: ReadOptions) -> ReadResult:
        """The detections of the file at `path`; ids are the numbers of the rows, truth ids are not read."""


READERS: dict[str, DetectionReader] = {
    "csv": read_csv,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
    "mot": read_mot,
    "coco": read_coco,
    "annotations": read_annotations,
    "cvml": read_cvml,
    "mvdetr": read_mvdetr,
    "cityflow": read_cityflow_rows,
    "meva": read_meva_rows,
    "fairmot": read_fairmot,
}


def read_detections(
    path: Path | str, kind: str | None = None, options: ReadOptions | None = None
) -> ReadResult:
    """Detections of a file (gzip or plain) and the report on what was left out and why.

    `kind` is a key of `READERS`; None takes what the file looks like. A file that looks like another kind is
    refused with what it looks like. An empty file gives an empty table and a report that says so.
    """
    path, options = Path(path), options or ReadOptions()
    if kind is not None and kind not in READERS:
        raise unknown_name("kind of detections", kind, READERS)
    found = look(path)
    if found == "empty":
        report = ReadReport(str(path), kind or "empty", 0, notes=("the file is empty",))
        return ReadResult(Detections(), report)
    if kind is None and found not in READERS:
        known = ", ".join(READERS)
        raise InputError(f"{path}: looks like {DESCRIPTIONS[found]}; give its kind, one of {known}")
    if kind is not None and found not in (kind, "unknown"):
        advice = f"; read it as {found!r}" if found in READERS else ""
        raise InputError(f"{path}: looks like {DESCRIPTIONS[found]}, not {kind!r}{advice}")
    return READERS[kind or found](path, options)
