"""Rows of a detections file on their way to a table: what is malformed is left out, counted and named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.scene.columns import LATEST_TIME
from geoloc.scene.tables import Detections

MAX_NAME = 200  # characters of a camera or label; one runaway name would widen the whole column
SHOWN_LINES = 5
UNKNOWN = float("nan")


@dataclass(frozen=True)
class Skipped:
    """Rows left out for one reason: how many, and where the first of them stand (line or row from 1)."""

    count: int
    first: tuple[int, ...]


class Skips:
    """Lines (or rows) of a file that are left out, collected by reason."""

    def __init__(self) -> None:
        self._lines: dict[str, list[int]] = {}

    def add(self, reason: str, *lines: int) -> None:
        """Leave lines out; none is no reason."""
        if lines:
            self._lines.setdefault(reason, []).extend(lines)

    def counted(self) -> dict[str, Skipped]:
        """What is told of them."""
        return {why: Skipped(len(at), tuple(sorted(at)[:SHOWN_LINES])) for why, at in self._lines.items()}


@dataclass(frozen=True)
class ReadReport:
    """What became of a file's rows. `str()` of it is for people."""

    path: str
    kind: str
    n_rows: int
    skipped: Mapping[str, Skipped] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unit: str = "line"  # what `Skipped.first` counts from 1: lines of text, or rows of another form
    what: str = "detections"  # what the rows are

    @property
    def n_skipped(self) -> int:
        """Rows left out, over all reasons."""
        return sum(item.count for item in self.skipped.values())

    def left_out(self) -> list[str]:
        """A line for each reason for which rows were left out, for a report."""
        name, n = Path(self.path).name, self.n_rows + self.n_skipped
        return [f"{name}: {item.count:,} of {n:,} rows left out: {reason}" for reason, item in self.skipped.items()]

    def __str__(self) -> str:
        lines = [f"{self.path} ({self.kind}): {self.n_rows} {self.what}, {self.n_skipped} rows skipped"]
        for reason, item in self.skipped.items():
            more = ", ..." if item.count > len(item.first) else ""
            lines.append(f"  {item.count} x {reason} ({self.unit} {', '.join(map(str, item.first))}{more})")
        return "\n".join(lines + [f"  note: {note}" for note in self.notes])


@dataclass(frozen=True, eq=False)
class ReadResult:
    """Detections of a file and the report on its reading."""

    detections: Detections
    report: ReadReport


@dataclass(frozen=True)
class ReadOptions:
    """What a file of detections does not say about itself.

    A field that a format needs and that is not set is asked for by name.
    """

    camera: str = ""  # of files that hold one camera and do not name it
    fps: float = 0.0  # frames per second, of files that count frames
    start: float = 0.0  # s; time of the file's first frame
    label: str = ""  # of files without classes; MOTChallenge files without one are "person"
    # pattern of image names or ids with groups camera and frame or time: r"(?P<camera>\w+)_(?P<frame>\d+)"
    image_pattern: str = ""
    images: str = ""  # file that maps image ids: COCO's {"images": [...], "categories": [...]}
    # width and height (px) by camera, "" for any other; boxes wholly outside are left out
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def require_camera(self, kind: str) -> str:
        """The camera's name, or InputError that asks for it."""
        if not self.camera:
            raise InputError(f"{kind} files do not name their camera; give it, such as camera='gate'")
        return self.camera

    def require_fps(self, kind: str) -> float:
        """The frame rate, or InputError that asks for it."""
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"{kind} files count frames; give their rate, such as fps=25 (found {self.fps})")
        return self.fps


def require_whole(result: ReadResult) -> Detections:
    """The detections of a recording's own file, of which no row may be malformed; InputError otherwise."""
    report = result.report
    for reason, item in report.skipped.items():
        where = f"{report.unit} {item.first[0]}, {report.n_skipped} in all"
        raise InputError(f"{report.path}: damaged, fetch it again: {reason} ({where})")
    return result.detections


class Rows:
    """Collects a file's rows in order. Every `add` or `skip` is a row; its running number becomes its id."""

    def __init__(self, path: Path | str, kind: str, unit: str = "line") -> None:
        self.path, self.kind, self.unit = str(path), kind, unit
        self.notes: list[str] = []
        self._n = 0
        self._values: list[tuple[float, ...]] = []
        self._names: list[tuple[str, str]] = []
        self._embeddings: list[Sequence[float]] = []
        self._ids: list[int] = []
        self._lines: list[int] = []
        self._skips = Skips()

    def add(
        self,
        line: int,
        time: float,
        camera: str,
        box: Sequence[float],
        label: str = "",
        score: float = 1.0,
        foot: Sequence[float] = (UNKNOWN, UNKNOWN),
        embedding: Sequence[float] = (),
        foot_cov: Sequence[float] = (UNKNOWN, UNKNOWN, UNKNOWN),
    ) -> None:
        """One row that could be read: box (4,) px in geoloc's pixels, time in s, foot_cov as uu, uv, vv in px²."""
        if not camera:
            self.skip(line, "no camera")
        elif max(len(camera), len(label)) > MAX_NAME:
            self.skip(line, f"camera or label longer than {MAX_NAME} characters")
        else:
            self._values.append((time, *box, score, *foot, *foot_cov))
            self._names.append((camera, label))
            self._embeddings.append(embedding)
            self._ids.append(self._n)
            self._lines.append(line)
            self._n += 1

    def skip(self, line: int, reason: str) -> None:
        """One row that could not be read."""
        self._skips.add(reason, line)
        self._n += 1

    def result(self, options: ReadOptions) -> ReadResult:
        """The table of the rows that are well formed, and the report."""
        values = np.array(self._values, float).reshape(-1, 11)
        names = np.array(self._names, dtype=str).reshape(-1, 2)
        keep = np.ones(len(values), dtype=bool)
        for reason, bad in self._checks(values, names[:, 0], options):
            self._skips.add(reason, *(self._lines[row] for row in np.flatnonzero(bad & keep)))
            keep &= ~bad
        table = Detections(
            id=np.array(self._ids, dtype=int),
            time=values[:, 0],
            camera=names[:, 0],
            box=values[:, 1:5],
            label=names[:, 1],
            score=values[:, 5],
            foot=values[:, 6:8],
            foot_cov=values[:, [8, 9, 9, 10]].reshape(-1, 2, 2),
            embedding=self._embedding_matrix(),
        ).take(keep)
        notes = (*self.notes, *(["it holds no detections"] if self._n == 0 else []))
        report = ReadReport(self.path, self.kind, len(table), self._skips.counted(), notes, self.unit)
        return ReadResult(table, report)

    def _checks(
        self, values: np.ndarray, camera: np.ndarray, options: ReadOptions
    ) -> list[tuple[str, np.ndarray]]:
        time, box, score, foot = values[:, 0], values[:, 1:5], values[:, 5], values[:, 6:8]
        with np.errstate(invalid="ignore"):
            flat = (box[:, 2] <= box[:, 0]) | (box[:, 3] <= box[:, 1])
        one_foot = np.isnan(foot).sum(axis=1) == 1
        cov = values[:, 8:]
        given = ~np.isnan(cov).all(axis=1)
        with np.errstate(invalid="ignore", over="ignore"):
            sound = (cov[:, 0] > 0) & (cov[:, 0] * cov[:, 2] > cov[:, 1] ** 2) & np.isfinite(cov).all(axis=1)
        return [
            ("time is NaN or infinite", ~np.isfinite(time)),
            ("time looks like milliseconds: divide it by 1000", np.abs(time) > LATEST_TIME),
            ("box has a NaN or infinite edge", ~np.isfinite(box).all(axis=1)),
            ("box has no positive width and height", flat),
            ("score is outside [0, 1]", ~((score >= 0) & (score <= 1))),
            ("foot is half given or infinite", one_foot | np.isinf(foot).any(axis=1)),
            ("foot's covariance is none, or has no foot", given & ~(sound & np.isfinite(foot).all(axis=1))),
            ("box is wholly outside the image", self._outside(box, camera, options.sizes)),
        ]

    @staticmethod
    def _outside(box: np.ndarray, camera: np.ndarray, sizes: Mapping[str, tuple[int, int]]) -> np.ndarray:
        unlimited = (np.inf, np.inf)
        size = [sizes.get(name, sizes.get("", unlimited)) for name in camera.tolist()]
        last = np.array(size, float).reshape(-1, 2) - 0.5
        with np.errstate(invalid="ignore"):
            before = (box[:, 2:] <= -0.5).any(axis=1) & np.isfinite(last).all(axis=1)
            return np.asarray(before | (box[:, :2] >= last).any(axis=1))

    def _embedding_matrix(self) -> np.ndarray:
        widths = {len(embedding) for embedding in self._embeddings} - {0}
        if len(widths) > 1:
            raise InputError(f"{self.path}: embeddings of widths {sorted(widths)}; all rows need the same")
        matrix = np.full((len(self._embeddings), max(widths, default=0)), np.nan, np.float32)
        for row, embedding in enumerate(self._embeddings):
            if len(embedding):
                matrix[row] = embedding
        return matrix
