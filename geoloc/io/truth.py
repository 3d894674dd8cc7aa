"""Identities over time as annotators or other systems state them: for evaluation, the engine never sees them."""

import csv
import io
from pathlib import Path
from typing import ClassVar

import numpy as np

from geoloc.files import write_whole
from geoloc.scene.columns import Column, Table


class GroundTruth(Table):
    """True positions on the site's map, in metres."""

    time: np.ndarray
    id: np.ndarray
    xy: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "id": Column(int),  # -1: the annotation has no identities
        "xy": Column(float, (2,), "m"),
    }


class BoxTracks(Table):
    """Boxes with the identity of the object, the same in all cameras, in the pixels of `Detections.box`."""

    time: np.ndarray
    camera: np.ndarray
    frame: np.ndarray
    id: np.ndarray
    box: np.ndarray
    state: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "time": Column(float, unit="s"),
        "camera": Column(str),
        "frame": Column(int),  # the recording's own number
        "id": Column(int),
        "box": Column(float, (4,), "px"),
        "state": Column(str),  # "ignored": a truth that is neither to be found nor wrong when found
    }


def write_truth(path: Path | str, truth: GroundTruth | BoxTracks) -> None:
    """Write a truth as CSV that `io.track_tables` reads: whole or not at all, numbers come back as they were."""
    columns: dict[str, np.ndarray] = {"time": truth.time, "id": truth.id}
    if isinstance(truth, GroundTruth):
        columns |= dict(zip(("x", "y"), truth.xy.T, strict=True))
    else:
        columns |= {"camera": truth.camera, "frame": truth.frame}
        columns |= dict(zip(("x1", "y1", "x2", "y2"), truth.box.T, strict=True))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    write_whole(path, out.getvalue())
