"""Objects with identities over time as other programs and annotators write them: positions on a map, or boxes.

CSV with a header: `time` (s) or `frame` (needs `fps`), an identity (`track`, `id` or `object`), then for positions
`x`, `y` (m) and, if there are, `z`, `level`, `label`, `state` and geoloc's covariances; for boxes `camera` and
`x1`, `y1`, `x2`, `y2` (px). MOTChallenge's lines give either (one camera a file, named like it), CityFlow's rows give
boxes. A row that is malformed is left out, counted and named in the report.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_text
from geoloc.io.foreign_forms import MOT_EDGE_SHIFT
from geoloc.io.recording_forms import CITYFLOW_EDGE_SHIFT
from geoloc.io.rows import SHOWN_LINES, ReadReport, Skipped
from geoloc.io.track_csv import BIAS_COLUMNS, BIAS_UPPER, COV_COLUMNS, UPPER
from geoloc.io.truth import BoxTracks
from geoloc.scene.tables import LATEST_TIME, Tracks

IDENTITY = ("track", "id", "object", "track_id", "object_id")
BOX = ("x1", "y1", "x2", "y2")
MOT_COLUMNS = ("frame", "id", "left", "top", "width", "height", "conf", "x", "y", "z")
CITYFLOW_COLUMNS = ("number", "id", "frame", "left", "top", "width", "height")
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
    numbers = all(_is_number(word) for word in words[:6])
    return set(BOX) <= set(words) or (numbers and words[2:6] != ["-1"] * 4)


def read_positions(path: Path | str, options: TrackFileOptions | None = None) -> tuple[Tracks, ReadReport]:
    """Tracks on the map, of a result or a truth, and what was left out. Covariances not given are NaN."""
    words = _first_words(path)
    if len(words) >= 9 and all(_is_number(word) for word in words):
        cells = _plain_cells(path, MOT_COLUMNS)
    elif is_box_file(path):
        raise InputError(
            f"{path}: holds boxes in pixels; a score in the image is no ground-plane score. Give positions in metres "
            "(x, y), or truth and result both as boxes"
        )
    else:
        cells = _csv_cells(path)
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
        cells, corners = _csv_cells(path), BOX
        camera = cells.text("camera")
        box = np.stack([cells.numbers(name) for name in corners], axis=1)
    elif all(_is_number(word) for word in words[:6]):
        commas = "," in _first_line(path)
        cells = _plain_cells(path, MOT_COLUMNS if commas else CITYFLOW_COLUMNS)
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


class _Cells:
    """A file's cells by column; columns that the file lacks read as missing."""

    def __init__(self, path: Path | str, header: tuple[str, ...], rows: list[list[str]], lines: list[int]) -> None:
        self.path, self.header, self.n, self.lines = str(path), header, len(rows), np.array(lines, dtype=int)
        self.columns = dict(zip(header, zip(*rows, strict=True), strict=True)) if rows else {}
        self.skipped: dict[str, np.ndarray] = {}

    def require(self, *names: str) -> None:
        missing = [name for name in names if name not in self.header]
        if missing:
            raise InputError(f"{self.path}: no column {missing[0]!r}; its columns are {', '.join(self.header)}")

    def text(self, name: str) -> np.ndarray:
        return np.array(self.columns.get(name, ("",) * self.n), dtype=str)

    def numbers(self, name: str) -> np.ndarray:
        """A column as floats (N,), NaN where it holds no number."""
        cells = self.columns.get(name)
        if cells is None:
            return np.full(self.n, np.nan)
        try:
            return np.array(cells, dtype=float)
        except ValueError:
            return np.array([float(cell) if _is_number(cell) else np.nan for cell in cells])

    def whole(self, name: str) -> np.ndarray:
        """A column as int (N,), -2 where it holds no whole number."""
        values = self.numbers(name)
        fine = np.isfinite(values) & (np.abs(values) < 2**53)
        return np.where(fine & (values == np.rint(values)), np.where(fine, values, 0), -2).astype(int)

    def matrix(self, names: list[str], places: list[tuple[int, int]], size: int) -> np.ndarray:
        """Symmetric matrices (N, size, size) of upper triangles, NaN where the file has none."""
        out = np.full((self.n, size, size), np.nan)
        for name, (i, j) in zip(names, places, strict=True):
            out[:, i, j] = out[:, j, i] = self.numbers(name)
        return out

    def scores(self) -> np.ndarray:
        """Scores (N,), 1 where the file has none."""
        return np.nan_to_num(self.numbers("score"), nan=1.0)

    def usable(self, *checks: tuple[str, np.ndarray]) -> np.ndarray:
        """Rows (N,) bool that pass all checks; the others are counted under the first that they fail."""
        keep = np.ones(self.n, dtype=bool)
        for reason, bad in checks:
            if (bad & keep).any():
                self.skipped[reason] = self.lines[bad & keep]
            keep &= ~bad
        return keep

    def report(self, kind: str, n_rows: int) -> ReadReport:
        skipped = {why: Skipped(len(at), tuple(at[:SHOWN_LINES].tolist())) for why, at in self.skipped.items()}
        return ReadReport(self.path, kind, n_rows, skipped, () if self.n else ("it holds no rows",), what="rows")


def _csv_cells(path: Path | str) -> _Cells:
    reader = csv.reader(io.StringIO(read_text(path), newline=""))
    header = tuple(cell.strip() for cell in next(reader, []))
    if not header:
        raise InputError(f"{path}: the file is empty; its first line must name its columns")
    return _collect(path, header, ((reader.line_num, row) for row in reader if row))


def _plain_cells(path: Path | str, header: tuple[str, ...]) -> _Cells:
    """Lines of numbers without a header; columns beyond the named ones are not read."""
    lines = ((i, re.split(r"[,\s]+", line.strip())) for i, line in enumerate(read_text(path).splitlines(), 1))
    filled = ((i, words + [""] * (len(header) - len(words))) for i, words in lines if words != [""])
    return _collect(path, header, ((i, words[: len(header)]) for i, words in filled))


def _collect(path: Path | str, header: tuple[str, ...], rows: Iterable[tuple[int, list[str]]]) -> _Cells:
    kept, lines, short = [], [], []
    for line, row in rows:
        if len(row) == len(header):
            kept.append(row)
            lines.append(line)
        else:
            short.append(line)
    cells = _Cells(path, header, kept, lines)
    if short:
        cells.skipped["another number of cells than columns"] = np.array(short)
    return cells


def _times(cells: _Cells, options: TrackFileOptions) -> np.ndarray:
    if "time" in cells.header:
        return cells.numbers("time")
    cells.require("frame")
    return options.start + cells.numbers("frame") / (options.fps or 1.0)


def _identities(cells: _Cells) -> np.ndarray:
    names = [name for name in IDENTITY if name in cells.header]
    return cells.whole(names[0]) if names else np.full(cells.n, -1)


def _states(cells: _Cells) -> np.ndarray:
    """State of each row; a truth that no camera shows, or that MOTChallenge marks with 0, is ignored."""
    state = cells.text("state")
    for column in ("n_cameras", "conf"):
        state = np.where(cells.numbers(column) == 0, IGNORED, state)
    return state


def _first_line(path: Path | str) -> str:
    lines = read_text(path).lstrip().splitlines()
    if not lines:
        raise InputError(f"{path}: the file is empty")
    return lines[0]


def _first_words(path: Path | str) -> list[str]:
    return [word for word in re.split(r"[,\s]+", _first_line(path).strip()) if word]


def _camera_of(path: Path | str) -> str:
    return Path(path).name.split(".")[0]


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
