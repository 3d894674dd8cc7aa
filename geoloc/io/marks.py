"""Marks in and out: geoloc's own `marks.csv`, and what annotation tools and georeferencers write.

`marks.csv` has the columns camera, point, u, v and, if they differ from 1 px, sigma; one row a mark. Pixels are
geoloc's own: (0, 0) is the centre of the top-left pixel. Tools that count from the image's corner are shifted by
half a pixel in their reader. What is malformed is left out, counted and named; a writer writes whole or not at all.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_text, write_whole
from geoloc.io.cells import Cells, csv_cells
from geoloc.io.mark_forms import cvat_cells, gcp_list_cells, labelme_cells, qgis_cells
from geoloc.io.points import points_of
from geoloc.io.references import PointOptions
from geoloc.io.rows import MAX_NAME, ReadReport, Skips
from geoloc.scene.marks import MARK_SIGMA, Marks
from geoloc.scene.sitemap import ControlPoint

COLUMNS = ("camera", "point", "u", "v", "sigma")
MAX_PIXEL = 1e6


@dataclass(frozen=True)
class MarkOptions:
    """What a file of marks does not say about itself."""

    camera: str = ""  # of files that hold one still and do not name it
    # width and height (px) by camera, "" for any other; marks outside are left out
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    sigma: float = MARK_SIGMA  # px, of marks that state none
    points: PointOptions = field(default_factory=PointOptions)  # where control points in the file lie

    def __post_init__(self) -> None:
        if not 0 < self.sigma < np.inf:
            raise InputError(f"sigma of marks is {self.sigma} px; it must be positive")


@dataclass(frozen=True, eq=False)
class MarksResult:
    """Marks of a file, the control points that it holds beside them, and the report on its reading."""

    marks: Marks
    points: tuple[ControlPoint, ...]
    report: ReadReport


def read_marks(path: Path | str, kind: str = "", options: MarkOptions | None = None) -> MarksResult:
    """Read marks: CSV, QGIS `.points`, OpenDroneMap's gcp_list.txt, CVAT 1.1 XML, labelme JSON.

    `kind` is one of FORMS; by default it is what the file looks like. Rows that are malformed, outside their still
    or a second mark of one point in one still are left out and counted.
    """
    options = options or MarkOptions()
    kind = kind or look_marks(path)
    if kind not in FORMS:
        raise unknown_name("form of marks", kind, FORMS)
    cells = FORMS[kind](path, options.camera)
    marks, report = _marks_of(cells, kind, options)
    if kind not in WITH_POINTS:
        return MarksResult(marks, (), report)
    cells.skips = Skips()
    points, lost = points_of(cells, kind, options.points)
    none = (f"{lost.n_skipped} rows give no control point",) if lost.n_skipped else ()
    notes = (*report.notes, *lost.notes, *none)
    return MarksResult(marks, points, replace(report, notes=notes))


def write_marks(path: Path | str, marks: Marks) -> None:
    """Write `marks.csv`, whole or not at all; every number comes back exactly as it was."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    values = (marks.camera.tolist(), marks.point.tolist(), *marks.pixel.T.tolist(), marks.sigma.tolist())
    writer.writerows(zip(*values, strict=True))
    write_whole(path, out.getvalue())


def look_marks(path: Path | str) -> str:
    """One of FORMS: what a file of marks looks like; InputError where it looks like none of them."""
    head = read_text(path)[:20_000].lstrip()
    first = [line for line in head.splitlines() if not line.startswith("#")] or [""]
    if head.startswith("<") and "<annotations" in head:
        return "cvat"
    if head.startswith("{") and '"shapes"' in head:
        return "labelme"
    if "mapX" in first[0]:
        return "qgis"
    if "," in first[0]:
        return "csv"
    if any(len(line.split()) in (6, 7, 8) for line in first[:3]):
        return "gcp_list"
    what = "is empty" if not head else f"begins with {head.splitlines()[0][:40]!r}"
    raise InputError(f"{path}: {what}; marks are CSV with the columns camera,point,u,v,sigma, or {', '.join(FORMS)}")


def _own_cells(path: Path | str, camera: str) -> Cells:
    cells = csv_cells(path)
    for other in ("point_id", "name"):
        if "point" not in cells.header and other in cells.header:
            cells.columns["point"] = cells.columns.get(other, ())
            cells.header = (*cells.header, "point")
    if camera and "camera" not in cells.header:
        cells.columns["camera"] = (camera,) * cells.n
        cells.header = (*cells.header, "camera")
    cells.require("camera", "point", "u", "v")
    return cells


def _marks_of(cells: Cells, kind: str, options: MarkOptions) -> tuple[Marks, ReadReport]:
    camera, point = (np.char.strip(cells.text(name)) for name in ("camera", "point"))
    pixel = np.column_stack([cells.numbers("u"), cells.numbers("v")])
    sigma = cells.numbers("sigma")
    sigma = np.where(np.char.strip(cells.text("sigma")) == "", options.sigma, sigma)
    with np.errstate(invalid="ignore"):
        bad_sigma = ~((sigma > 0) & (sigma < np.inf))
    keep = cells.usable(
        ("no camera", camera == ""),
        ("no point", point == ""),
        (f"camera or point longer than {MAX_NAME} characters", _long(camera) | _long(point)),
        ("u or v is no finite number", ~(np.abs(pixel) < MAX_PIXEL).all(axis=1)),
        ("sigma is no positive number", bad_sigma),
        ("outside its still", _outside(camera, pixel, options.sizes)),
    )
    keep &= cells.usable(
        ("marks a point a second time in one still; delete the wrong one", _repeated(camera, point, keep))
    )
    marks = Marks(camera=camera, point=point, pixel=pixel, sigma=sigma).take(keep)
    return marks, cells.report(kind, len(marks), "marks")


def _long(names: np.ndarray) -> np.ndarray:
    return np.char.str_len(names) > MAX_NAME


def _outside(camera: np.ndarray, pixel: np.ndarray, sizes: Mapping[str, tuple[int, int]]) -> np.ndarray:
    unlimited = (np.inf, np.inf)
    size = np.array([sizes.get(name, sizes.get("", unlimited)) for name in camera.tolist()], float).reshape(-1, 2)
    with np.errstate(invalid="ignore"):
        return np.asarray(((pixel < -0.5) | (pixel > size - 0.5)).any(axis=1))


def _repeated(camera: np.ndarray, point: np.ndarray, keep: np.ndarray) -> np.ndarray:
    seen: set[tuple[str, str]] = set()
    repeated = np.zeros(len(keep), dtype=bool)
    for row in np.flatnonzero(keep).tolist():
        key = (str(camera[row]), str(point[row]))
        repeated[row] = key in seen
        seen.add(key)
    return repeated


FORMS = {
    "csv": _own_cells,
    "qgis": qgis_cells,
    "gcp_list": gcp_list_cells,
    "cvat": cvat_cells,
    "labelme": labelme_cells,
}
WITH_POINTS = ("qgis", "gcp_list")
