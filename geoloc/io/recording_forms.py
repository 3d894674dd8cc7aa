"""Detections in the forms of single recordings: MVDeTr's boxes, CityFlow, MEVA, FairMOT's archives."""

import csv
import io
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_json, read_text
from geoloc.io.own_forms import number
from geoloc.io.rows import ReadOptions, ReadResult, Rows

CITYFLOW_EDGE_SHIFT = -0.5  # px: whole pixels from corner to corner, 0 to the image's width
MEVA_EDGE_SHIFT = -0.5  # px: drawn from corner to corner
MVDETR_FRAMES_PER_KEY = 5
MVDETR_FPS = 10.0
CITYFLOW_FPS = 10.0
FAIRMOT_BOX_COLUMNS = 5  # left, top, right, bottom, score; the rest is the appearance vector


def read_mvdetr(path: Path, options: ReadOptions) -> ReadResult:
    """`{"360": [[left, top, width, height, -1, camera], ...]}`: key k is frame 5 k at 10 frames a second.

    Camera c is C(c + 1). The boxes were learned from points projected with OpenCV: not shifted.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not all(re.fullmatch("[0-9]{1,15}", key) for key in content):
        raise InputError(f"{path}: not MVDeTr boxes; they are an object whose keys are numbers of frames")
    rows = Rows(path, "mvdetr", "row")
    fps = options.fps or MVDETR_FPS
    frames = ((key, boxes if isinstance(boxes, list) else [boxes]) for key, boxes in content.items())
    for i, (key, row) in enumerate(((key, row) for key, boxes in frames for row in boxes), 1):
        try:
            left, top, width, height, _, camera = (number(value) for value in row)
            name = f"C{int(camera) + 1}"
        except (TypeError, ValueError, OverflowError):
            rows.skip(i, "row is not [left, top, width, height, -1, camera]")
            continue
        time = options.start + int(key) * MVDETR_FRAMES_PER_KEY / fps
        rows.add(i, time, name, [left, top, left + width, top + height], options.label or "person")
    return rows.result(options)


def read_cityflow_rows(path: Path, options: ReadOptions) -> ReadResult:
    """Blank-separated `camera id frame left top width height`: ids not read, frames from 1, cameras cNNN.

    The cameras' own start times are not in this file: `geoloc.io.cityflow` reads a recording with its clocks.
    """
    fps = options.fps or CITYFLOW_FPS
    rows = Rows(path, "cityflow")
    for i, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            camera, _, frame, left, top, width, height = (number(word) for word in line.split()[:7])
            box = np.array([left, top, left + width, top + height]) + CITYFLOW_EDGE_SHIFT
            time = options.start + (frame - 1) / fps
            rows.add(i, time, f"c{int(camera):03d}", box.tolist(), options.label or "car")
        except (ValueError, OverflowError):
            rows.skip(i, "line does not begin with seven numbers: truncated or broken")
    return rows.result(options)


def read_meva_rows(path: Path, options: ReadOptions) -> ReadResult:
    """One camera's `frame,time_s,track_id,object_id,type,x1,y1,x2,y2,key`: identities not read.

    The camera is the file's name unless `camera` is given.
    """
    rows = Rows(path, "meva")
    camera = options.camera or path.name.partition(".")[0]
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        for record in reader:
            try:
                box = [number(record[name]) + MEVA_EDGE_SHIFT for name in ("x1", "y1", "x2", "y2")]
                label = str(record["type"] or options.label)
                rows.add(reader.line_num, number(record["time_s"]), camera, box, label)
            except (KeyError, ValueError):
                rows.skip(reader.line_num, "line lacks time_s, type or a box: truncated or broken")
    except csv.Error as error:
        rows.skip(reader.line_num, f"the rest of the file is not CSV ({error})")
    return rows.result(options)


def read_fairmot(path: Path, options: ReadOptions) -> ReadResult:
    """Archive (.npz) of arrays named by frame: rows left, top, right, bottom, score, appearance vector.

    The camera is the file's name unless `camera` is given; needs `fps`; nothing is shifted.
    """
    fps = options.require_fps("FairMOT")
    camera = options.camera or path.stem
    rows = Rows(path, "fairmot", "row")
    for i, (frame, row) in enumerate(((frame, row) for frame, array in _archive(path) for row in array), 1):
        box, score, vector = row[:4].tolist(), float(row[4]), row[FAIRMOT_BOX_COLUMNS:]
        label = options.label or "person"
        rows.add(i, options.start + frame / fps, camera, box, label, score, embedding=vector)
    return rows.result(options)


def _archive(path: Path) -> list[tuple[int, np.ndarray]]:
    """Frame number and array (N, 5 + D) of every frame, in the order of the frames."""
    unreadable = (ValueError, OSError, EOFError, KeyError, RuntimeError, MemoryError)
    try:
        with np.load(path, allow_pickle=False) as archive:
            frames = [(int(name), np.asarray(archive[name], np.float32)) for name in archive.files]
    except (*unreadable, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise InputError(f"{path}: not an archive of numbered arrays ({error})") from error
    for frame, array in frames:
        if array.ndim != 2 or array.shape[1] < FAIRMOT_BOX_COLUMNS:
            raise InputError(f"{path}: array {frame} has shape {array.shape}; it needs 5 columns or more")
    return sorted(frames, key=lambda item: item[0])
