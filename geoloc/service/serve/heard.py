"""What comes in: JSON lines, a camera's frame each, checked to the last key before any of it is taken.

    {"time": 1717754530.25, "camera": "gate", "boxes": [{"box": [12.5, 40.0, 90.0, 210.0], "label": "car"}]}
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.scene import jsonfile
from geoloc.scene.columns import LATEST_TIME
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections

FRAME = ("time", "camera", "boxes")
BOX_MAY = ("label", "score", "id", "foot", "foot_cov", "embedding")
MAX_BOXES = 2000  # of a frame
MAX_LABEL = 64  # characters
MAX_EMBEDDING = 4096
MAX_PIXEL = 1e6
NO_ID = -1  # of a box whose sender gave none


@dataclass
class _Rows:
    """Columns while they are gathered."""

    time: list[float] = field(default_factory=list)
    camera: list[str] = field(default_factory=list)
    boxes: list[Mapping[str, Any]] = field(default_factory=list)
    where: list[int] = field(default_factory=list)  # line of each


@dataclass(frozen=True, eq=False)
class Frames:
    """What came at a time: boxes, and the latest frame (s) of each camera, empty ones too."""

    boxes: Detections
    latest: Mapping[str, float]


def detections_of(text: bytes, site: Site) -> Detections:
    """As `frames_of`, the boxes alone."""
    return frames_of(text, site).boxes


def frames_of(text: bytes, site: Site) -> Frames:
    """The frames of some lines as one packet; boxes without an id have NO_ID.

    InputError names the first line that is wrong; nothing of the text is taken then.
    """
    rows, seen = _Rows(), set[tuple[str, float]]()
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            with jsonfile.naming(f"line {number}"):
                _add_frame(rows, _parsed(line), number, site, seen)
    if not seen:
        raise InputError("holds no frame; send one JSON object a line")
    latest: dict[str, float] = {}
    for camera, time in seen:
        latest[camera] = max(time, latest.get(camera, time))
    return Frames(_table(rows), latest)


def _parsed(line: str) -> dict[str, Any]:
    try:
        return jsonfile.mapping("the frame", json.loads(line, parse_constant=_refuse_constant))
    except (ValueError, RecursionError) as error:
        raise InputError(f"is no JSON that can be read ({error})") from error


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _add_frame(rows: _Rows, frame: dict[str, Any], line: int, site: Site, seen: set[tuple[str, float]]) -> None:
    jsonfile.check_keys("the frame", frame, FRAME)
    time = float(jsonfile.numbers("'time'", frame["time"], ()))
    if abs(time) > LATEST_TIME:
        raise InputError(f"'time' is {time:g}; give seconds, such as UTC Unix seconds")
    camera = site.camera(jsonfile.text("'camera'", frame["camera"])).name
    if (camera, time) in seen:
        raise InputError(f"camera {camera!r} at {time} is there twice; send a frame as one line")
    seen.add((camera, time))
    boxes = jsonfile.sequence("'boxes'", frame["boxes"])
    if len(boxes) > MAX_BOXES:
        raise InputError(f"{len(boxes)} boxes; at most {MAX_BOXES} a frame")
    for box in boxes:
        jsonfile.check_keys("a box", jsonfile.mapping("a box", box), ("box",), BOX_MAY)
    n = len(boxes)
    rows.time += [time] * n
    rows.camera += [camera] * n
    rows.boxes += boxes
    rows.where += [line] * n


def _table(rows: _Rows) -> Detections:
    boxes, n = rows.boxes, len(rows.boxes)
    given: dict[str, Any] = {"time": rows.time, "camera": rows.camera, "box": _numbers(rows, "box", (4,))}
    for name, shape in (("foot", (2,)), ("foot_cov", (2, 2))):
        if any(name in box for box in boxes):
            given[name] = _numbers(rows, name, shape)
    if any("embedding" in box for box in boxes):
        given["embedding"] = _embeddings(rows)
    scores = [box.get("score", 1.0) for box in boxes]
    labels = [box.get("label", "") for box in boxes]
    ids = [box.get("id", NO_ID) for box in boxes]
    for where, score, label, one in zip(rows.where, scores, labels, ids, strict=True):
        if type(score) not in (int, float) or not 0 <= score <= 1:
            raise InputError(f"line {where}: a score is {str(score)[:40]!r}; give 0 to 1")
        if not isinstance(label, str) or len(label) > MAX_LABEL or not (label.isprintable() or not label):
            raise InputError(f"line {where}: a label is no text of at most {MAX_LABEL} characters")
        if type(one) is not int or not NO_ID <= one < 1 << 53:
            raise InputError(f"line {where}: an id is {str(one)[:40]!r}; give a whole number from 0 on")
    if not n:
        return Detections()
    return Detections(id=ids, score=np.array(scores, float), label=labels, **given)


def _numbers(rows: _Rows, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A column (N, *shape) of pixels; NaN where a box does not have it."""
    found = np.full((len(rows.boxes), *shape), np.nan)
    has = [k for k, box in enumerate(rows.boxes) if name in box]
    try:
        values = jsonfile.numbers(name, [rows.boxes[k][name] for k in has], (len(has), *shape)) if has else found[:0]
    except InputError:
        for k in has:  # which one it was
            jsonfile.numbers(f"line {rows.where[k]}: a {name}", rows.boxes[k][name], shape)
        raise
    beyond = (np.abs(values) > MAX_PIXEL).any(axis=tuple(range(1, values.ndim)))
    if beyond.any():
        raise InputError(f"line {rows.where[has[int(np.argmax(beyond))]]}: a {name} lies beyond {MAX_PIXEL:g} px")
    found[has] = values
    return found


def _embeddings(rows: _Rows) -> np.ndarray:
    """Embeddings (N, D), of one width; NaN where a box has none."""
    given = [(k, box["embedding"]) for k, box in enumerate(rows.boxes) if "embedding" in box]
    width = len(jsonfile.sequence(f"line {rows.where[given[0][0]]}: an embedding", given[0][1]))
    if not 0 < width <= MAX_EMBEDDING:
        raise InputError(f"line {rows.where[given[0][0]]}: an embedding of {width} numbers; at most {MAX_EMBEDDING}")
    found = np.full((len(rows.boxes), width), np.nan, np.float32)
    for k, one in given:
        values = jsonfile.numbers(f"line {rows.where[k]}: an embedding", one, (width,))
        if np.abs(values).max() > np.finfo(np.float32).max:
            raise InputError(f"line {rows.where[k]}: an embedding does not fit 32 bits")
        found[k] = values
    return found


def lines_of(detections: Detections) -> bytes:
    """The wire's form of a table: a line for each camera's frame, in the order of the rows."""
    frames: dict[tuple[str, float], list[dict[str, Any]]] = {}
    cameras, times = detections.camera.tolist(), detections.time.tolist()
    for row, key in enumerate(zip(cameras, times, strict=True)):
        frames.setdefault(key, []).append(_box(detections, row))
    lines = [{"time": time, "camera": camera, "boxes": boxes} for (camera, time), boxes in frames.items()]
    return b"".join(json.dumps(line, allow_nan=False).encode() + b"\n" for line in lines)


def _box(table: Detections, row: int) -> dict[str, Any]:
    box: dict[str, Any] = {"box": table.box[row].tolist(), "id": int(table.id[row])}
    if table.label[row]:
        box["label"] = str(table.label[row])
    box["score"] = float(table.score[row])
    for name in ("foot", "foot_cov", "embedding"):
        value = getattr(table, name)[row]
        if value.size and np.isfinite(value).all():
            box[name] = value.tolist()
    return box
