"""Objects with identities over time as other programs and annotators write them: positions on a map, or boxes.

CSV with a header (commas, semicolons or tabs; names in any case): `time` (s) or `frame` (needs `fps`), an identity
(`track`, `id` or `object`; a number or a name), then for positions `x`, `y` (m) and, if there are, `z`, `level`,
`label`, `state` and geoloc's covariances; for boxes `camera` and `x1`, `y1`, `x2`, `y2` (px). MOTChallenge's
lines give either (one camera a file, named like it), CityFlow's rows give boxes. A row that is malformed is left out,
counted and named in the report.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import first_line
from geoloc.io.cells import Cells, is_number, plain_cells, table_cells
from geoloc.io.foreign_forms import MOT_EDGE_SHIFT
from geoloc.io.recording_forms import CITYFLOW_EDGE_SHIFT
from geoloc.io.rows import ReadReport
from geoloc.io.track_csv import BIAS_COLUMNS, BIAS_UPPER, COV_COLUMNS, UPPER
from geoloc.io.truth import BoxTracks
from geoloc.scene.columns import LATEST_TIME
from geoloc.scene.tables import Tracks

IDENTITY = ("track", "id", "object", "track_id", "object_id")
BOX = ("x1", "y1", "x2", "y2")
MOT_COLUMNS = ("frame", "id", "left", "top", "width", "height", "conf", "x", "y", "z")
CITYFLOW_COLUMNS = ("number", "id", "frame", "left", "top", "width", "height")
UNREADABLE = -2  # an identity that is none
IGNORED = "ignored"  # state of a truth that is neither to be found nor wrong when found


@dataclass(frozen=True)
class TrackFileOptions:
    """What a file of tracks does not say about itself."""

    fps: float = 0.0  # frames per second of files that count frames; 0: time is the frame's number
    start: float = 0.0  # s; time of the first frame
    camera: str = ""  # of files of boxes that do not name it; default: the file's name


def is_box_file(path: Path | str) -> bool:
    """Whether a file of tracks holds boxes in pixels, by its first line; otherwise positions on a map."""
    words = _first_words(path)
    numbers = all(is_number(word) for word in words[:6])
    return set(BOX) <= set(words) or (numbers and words[2:6] != ["-1"] * 4)


def read_positions(path: Path | str, options: TrackFileOptions | None = None) -> tuple[Tracks, ReadReport]:
    """Tracks on the map, of a result or a truth, and what was left out. Covariances not given are NaN."""
    words = _first_words(path)
    if len(words) >= 9 and all(is_number(word) for word in words) and words[7:9] != ["-1", "-1"]:
        cells = plain_cells(path, MOT_COLUMNS)
    elif is_box_file(path):
        raise InputError(
            f"{path}: holds boxes in pixels; a score in the image is no ground-plane score. Give positions in metres "
            "(x, y), or truth and result both as boxes"
        )
    else:
        cells = table_cells(path)
    cells.require("x", "y")
    time, identity = _times(cells, options or TrackFileOptions()), _identities(cells)
    xy = np.stack([cells.numbers("x"), cells.numbers("y")], axis=1)
    keep = cells.usable(
        ("no readable time", ~np.isfinite(time)),
        ("time looks like milliseconds: divide it by 1000", np.abs(time) > LATEST_TIME),
        ("no readable identity", identity < -1),
        ("position is NaN or infinite", ~np.isfinite(xy).all(axis=1)),
    )
    tracks = Tracks(
        time=time,
        track=identity,
        xy=xy,
        z=cells.numbers("z"),
        velocity=np.stack([cells.numbers("vx"), cells.numbers("vy")], axis=1),
        cov=cells.matrix(COV_COLUMNS, UPPER, 4),
        bias_cov=cells.matrix(BIAS_COLUMNS, BIAS_UPPER, 2),
        level=cells.text("level"),
        label=cells.text("label"),
        score=cells.scores(),
        state=_states(cells),
    )
    return tracks.take(keep), cells.report("tracks", int(keep.sum()))


def read_track_boxes(path: Path | str, options: TrackFileOptions | None = None) -> tuple[BoxTracks, ReadReport]:
    """Boxes with identities, of a result or a truth, and what was left out, in geoloc's pixels."""
    options = options or TrackFileOptions()
    words = _first_words(path)
    if set(BOX) <= set(words):
        cells, corners = table_cells(path), BOX
        camera = cells.text("camera")
        box = np.stack([cells.numbers(name) for name in corners], axis=1)
    elif all(is_number(word) for word in words[:6]):
        commas = "," in first_line(path)
        cells = plain_cells(path, MOT_COLUMNS if commas else CITYFLOW_COLUMNS)
        numbers = cells.whole("number").tolist()
        camera = np.array([""] * cells.n if commas else [f"c{number:03d}" for number in numbers], dtype=str)
        left, top, width, height = (cells.numbers(name) for name in ("left", "top", "width", "height"))
        shift = MOT_EDGE_SHIFT if commas else CITYFLOW_EDGE_SHIFT
        box = np.stack([left, top, left + width, top + height], axis=1) + shift
    else:
        raise InputError(f"{path}: no boxes; its first line begins with {' '.join(words[:6])!r}")
    camera = np.where(camera == "", options.camera or _camera_of(path), camera)
    time, identity = _times(cells, options), _identities(cells)
    with np.errstate(invalid="ignore"):
        flat = ~((box[:, 2] > box[:, 0]) & (box[:, 3] > box[:, 1]))
    keep = cells.usable(
        ("no readable time or frame", ~np.isfinite(time)),
        ("no readable identity", identity < -1),
        ("box has a NaN or infinite edge", ~np.isfinite(box).all(axis=1)),
        ("box has no positive width and height", flat),
    )
    frame = np.where(np.isfinite(cells.numbers("frame")), cells.numbers("frame"), -1).astype(int)
    boxes = BoxTracks(time=time, camera=camera, frame=frame, id=identity, box=box, state=_states(cells))
    return boxes.take(keep), cells.report("boxes", int(keep.sum()))


def _times(cells: Cells, options: TrackFileOptions) -> np.ndarray:
    if "time" in cells.header:
        return cells.numbers("time")
    cells.require("frame")
    return options.start + cells.numbers("frame") / (options.fps or 1.0)


def _identities(cells: Cells) -> np.ndarray:
    names = [name for name in IDENTITY if name in cells.header]
    if not names:
        return np.full(cells.n, -1)
    numbers = cells.whole(names[0])
    words = cells.text(names[0]) if cells.n and (numbers == UNREADABLE).all() else np.empty(0, dtype=str)
    if not len(words) or any(is_number(word) for word in words.tolist()):
        return numbers
    named, which = np.unique(np.char.strip(words), return_inverse=True)
    cells.notes.append(f"identities are names, such as {str(named[-1])!r}: each stands for a number")
    return np.array([_number_of(name) for name in named.tolist()])[which]


def _number_of(name: str) -> int:
    """The same number for the same name in all files, so that ids leaked from a truth stay equal; none for none."""
    if not name:
        return UNREADABLE
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest(), "big")


def _states(cells: Cells) -> np.ndarray:
    """State of each row; a truth that no camera shows, or that MOTChallenge marks with 0, is ignored."""
    state = cells.text("state")
    for column in ("n_cameras", "conf"):
        state = np.where(cells.numbers(column) == 0, IGNORED, state)
    return state


def _first_words(path: Path | str) -> list[str]:
    return [word.lower() for word in re.split(r"[,;\s]+", first_line(path).strip()) if word]


def _camera_of(path: Path | str) -> str:
    return Path(path).name.split(".")[0]
