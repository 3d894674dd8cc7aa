"""Detections out, in the columns that `read_detections` takes: CSV, and JSON lines where there is appearance."""

import csv
import io
import json
from pathlib import Path

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.files import write_whole
from geoloc.scene.tables import Detections

COLUMNS = ("time", "camera", "x1", "y1", "x2", "y2", "label", "score")
FOOT_COLUMNS = ("foot_u", "foot_v")
FOOT_COV = ("foot_uu", "foot_uv", "foot_vv")


def write_detections(path: Path | str, detections: Detections) -> None:
    """Write detections to a .csv or .jsonl file, whole or not at all; numbers come back as they were.

    Ids are not written: a row's number is its id. A `foot_cov` needs its foot. CSV has no column for embeddings: rows
    that carry one are refused, JSON lines take them.
    """
    ending = Path(path).suffix.lower()
    if ending not in WRITERS:
        raise unknown_name("ending of a detections file", ending, WRITERS)
    known = np.isfinite(detections.foot_cov).all(axis=(1, 2))
    if (known & ~np.isfinite(detections.foot).all(axis=1)).any():
        raise InputError(f"{path}: a row has a foot_cov and no foot; write it without, or with both")
    write_whole(path, WRITERS[ending](detections, path))


def _csv_text(detections: Detections, path: Path | str) -> str:
    if detections.embedding.shape[1]:
        raise InputError(f"{path}: CSV has no place for embeddings; write .jsonl")
    columns: list[list[object]] = [detections.time.tolist(), detections.camera.tolist()]
    columns += [*detections.box.T.tolist(), detections.label.tolist(), detections.score.tolist()]
    names = [*COLUMNS]
    if np.isfinite(detections.foot).any():
        names += FOOT_COLUMNS
        columns += [["" if value != value else value for value in axis] for axis in detections.foot.T.tolist()]
    if np.isfinite(detections.foot_cov).any():
        names += FOOT_COV
        cov = detections.foot_cov[:, [0, 0, 1], [0, 1, 1]].T
        columns += [["" if value != value else value for value in axis] for axis in cov.tolist()]
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*columns, strict=True))
    return out.getvalue()


def _jsonl_text(detections: Detections, path: Path | str) -> str:
    return "".join(_json_row(detections, row) for row in range(len(detections)))


def _json_row(detections: Detections, row: int) -> str:
    record: dict[str, object] = {
        "time": float(detections.time[row]),
        "camera": str(detections.camera[row]),
        "box": detections.box[row].tolist(),
        "label": str(detections.label[row]),
        "score": float(detections.score[row]),
    }
    if np.isfinite(detections.foot[row]).all():
        record["foot"] = detections.foot[row].tolist()
    if np.isfinite(detections.foot_cov[row]).all():
        record["foot_cov"] = detections.foot_cov[row][[0, 0, 1], [0, 1, 1]].tolist()
    if np.isfinite(detections.embedding[row]).any():
        record["embedding"] = detections.embedding[row].tolist()
    return json.dumps(record) + "\n"


WRITERS = {".csv": _csv_text, ".jsonl": _jsonl_text}
