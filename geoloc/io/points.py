"""Control points in and out: geoloc's own `points.csv`, and tables that surveyors and photogrammetry write.

`points.csv` lies beside `marks.csv` and has the columns point, x, y, z (m, ENU of the site), sigma_x, sigma_y and
sigma_z (m): points that were set while marking and are not on the map.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_text, write_whole
from geoloc.io.cells import Cells, csv_cells, is_number
from geoloc.io.mark_forms import MarkCells, gcp_list_cells, qgis_cells
from geoloc.io.references import DEGREES, METRES, PointOptions, first_name, named_crs, place_checks, world_points
from geoloc.io.rows import MAX_NAME, ReadReport
from geoloc.scene.sitemap import ControlPoint

COLUMNS = ("point", "x", "y", "z", "sigma_x", "sigma_y", "sigma_z")
NAMES = {  # what goes by which column, in lower case; the first that a file has counts
    "name": ("point", "name", "label", "point_id", "gcp", "gcp_name", "marker", "id", "pointname"),
    "x": ("x", "easting", "east", "e", "mapx", "geo_x", "x/longitude", "x/easting"),
    "y": ("y", "northing", "north", "n", "mapy", "geo_y", "y/latitude", "y/northing"),
    "lon": ("lon", "longitude", "lng", "long", "lon_deg"),
    "lat": ("lat", "latitude", "lat_deg"),
    "z": ("z", "height", "h", "alt", "altitude", "elevation", "z/altitude", "h_map", "geo_z"),
    "sigma_xy": ("sigma_xy", "sigma", "accuracy", "accuracy_xy", "accuracy_xy_(m)", "horizontal_accuracy", "acc_h"),
    "sigma_z": ("sigma_z", "accuracy_z", "vertical_accuracy", "acc_v", "accuracy_z_(m)"),
    "sigma_x": ("sigma_x", "accuracy_x"),
    "sigma_y": ("sigma_y", "accuracy_y"),
}
HEADLESS = ("name", "x", "y", "z", "sigma_xy", "sigma_z")  # Pix4D's order, and that of most total stations
PER_MARK = ("qgis", "gcp_list")
FIRST, AGAIN, ELSEWHERE = 0, 1, 2
USUAL = {"csv": (0.02, 0.02), "qgis": (1.0, 0.2), "gcp_list": (0.02, 0.02)}  # m, xy and z, where a file says nothing


@dataclass(frozen=True, eq=False)
class PointsResult:
    """Control points of a file and the report on its reading."""

    points: tuple[ControlPoint, ...]
    report: ReadReport


def read_points(path: Path | str, kind: str = "", options: PointOptions | None = None) -> PointsResult:
    """Read control points: CSV with a name and x, y, z or lat, lon, height; QGIS `.points`; gcp_list.txt.

    `kind` is one of FORMS; by default it is what the file looks like. Degrees and grids are placed by the datum of
    `options.site_map`; a point without a height lies on its level.
    """
    kind = kind or look_points(path)
    if kind not in FORMS:
        raise unknown_name("form of control points", kind, FORMS)
    points, report = points_of(FORMS[kind](path), kind, options or PointOptions())
    return PointsResult(points, report)


def write_points(path: Path | str, points: Iterable[ControlPoint]) -> None:
    """Write `points.csv`, whole or not at all; every number comes back exactly as it was."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((point.name, *map(float, point.xyz), *map(float, point.sigma)) for point in points)
    write_whole(path, out.getvalue())


def look_points(path: Path | str) -> str:
    """One of FORMS: what a file of control points looks like."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    if not lines:
        raise InputError(f"{path}: the file is empty; it must hold control points")
    if any("mapX" in line for line in lines[:3]):
        return "qgis"
    return "csv" if any("," in line or ";" in line for line in lines[:2]) else "gcp_list"


def points_of(cells: Cells, kind: str, options: PointOptions) -> tuple[tuple[ControlPoint, ...], ReadReport]:
    """Control points of a table: what a row lacks or has twice is counted."""
    columns = {name.lower().strip().lstrip("#"): name for name in cells.header}
    of = {what: first_name(columns, names) for what, names in NAMES.items()}
    notes: list[str] = list(cells.notes) if isinstance(cells, MarkCells) else []
    crs, x, y = _place(cells, columns, of, options, notes)
    coordinates = np.column_stack([cells.numbers(x), cells.numbers(y), cells.numbers(of["z"])])
    name = np.char.strip(cells.text(of["name"]))
    given_z = np.char.strip(cells.text(of["z"])) != ""
    sigma = _sigmas(cells, of, options.sigmas(*USUAL[kind]))
    points = world_points(coordinates, crs, options, cells.path)
    with np.errstate(invalid="ignore"):
        bad_sigma = ~np.all((sigma >= 0) & (sigma < np.inf), axis=1)
    broken = ~np.isfinite(coordinates[:, :2]).all(axis=1) | (given_z & ~np.isfinite(coordinates[:, 2]))
    keep = cells.usable(
        ("no name", name == ""),
        (f"name longer than {MAX_NAME} characters", np.char.str_len(name) > MAX_NAME),
        ("a coordinate is no finite number", broken),
        ("sigma is no number of at least 0", bad_sigma),
        *place_checks(coordinates, points, crs, options).items(),
    )
    order = _order(name, points, keep)
    # in forms of marks a point stands once a still in which it is marked
    repeated = (ELSEWHERE,) if kind in PER_MARK else (AGAIN, ELSEWHERE)
    keep &= cells.usable(("a name for the second time", np.isin(order, repeated)))
    notes += _notes(cells, crs, of, given_z[keep], options, kind)
    rows = np.flatnonzero(keep & (order == FIRST)).tolist()
    found = tuple(
        ControlPoint(str(name[row]), tuple(points[row].tolist()), tuple(sigma[row].tolist())) for row in rows
    )
    report = cells.report(kind, len(found), "control points")
    return found, replace(report, notes=(*report.notes, *notes))


def _place(
    cells: Cells, columns: dict[str, str], of: dict[str, str], options: PointOptions, notes: list[str]
) -> tuple[str, str, str]:
    """Reference system of the rows, and the columns of x (longitude) and y (latitude)."""
    if not of["name"]:
        cells.require("name")
    if of["lon"] and of["lat"] and not (of["x"] and of["y"]):
        return named_crs(options.crs) or DEGREES, of["lon"], of["lat"]
    if not (of["x"] and of["y"]):
        found = ", ".join(cells.header)
        raise InputError(f"{cells.path}: no columns x and y, nor lat and lon; its columns are {found}")
    if of["lon"] and of["lat"]:
        notes.append("has both x, y and lat, lon: x and y are taken")
    stated = cells.crs if isinstance(cells, MarkCells) else METRES
    crs = named_crs(options.crs) or stated
    if not crs and "x/longitude" in columns:
        crs = DEGREES
    return crs, of["x"], of["y"]


def _sigmas(cells: Cells, of: dict[str, str], usual: np.ndarray) -> np.ndarray:
    """Standard deviations (N, 3) m; a cell that is blank is as usual, one that is broken is NaN."""
    out = np.tile(usual, (cells.n, 1))
    for what, axes in (("sigma_xy", (0, 1)), ("sigma_x", (0,)), ("sigma_y", (1,)), ("sigma_z", (2,))):
        if of[what]:
            blank = np.char.strip(cells.text(of[what])) == ""
            for axis in axes:
                out[:, axis] = np.where(blank, out[:, axis], cells.numbers(of[what]))
    return out


def _order(name: np.ndarray, points: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """A row (N,): FIRST of its name, AGAIN the same place, ELSEWHERE the name at another place; -1 not kept."""
    seen: dict[str, int] = {}
    out = np.full(len(name), -1)
    for row in np.flatnonzero(keep).tolist():
        before = seen.setdefault(str(name[row]), row)
        same = bool(np.allclose(points[before], points[row], atol=1e-6, rtol=0))
        out[row] = FIRST if before == row else AGAIN if same else ELSEWHERE
    return out


def _notes(
    cells: Cells, crs: str, of: dict[str, str], given_z: np.ndarray, options: PointOptions, kind: str
) -> list[str]:
    notes = []
    if not (of["sigma_xy"] or of["sigma_x"]):
        xy, _, z = options.sigmas(*USUAL[kind]).tolist()
        notes.append(f"states no sigma: {xy:g} m across and {z:g} m in height are taken")
    if not given_z.all():
        notes.append(f"{int((~given_z).sum())} points have no height: they are taken to lie on the ground")
    if crs != METRES and given_z.any():
        notes.append(f"heights beside {crs.splitlines()[0][:40]} are taken as ellipsoidal")
    return notes


def _csv_cells(path: Path | str) -> Cells:
    """A CSV file of points; comments before the header, a header that begins with # or none at all, ';' for ','."""
    lines = read_text(path).splitlines()
    comments = 0
    while comments + 1 < len(lines) and lines[comments].startswith("#") and not _is_header(lines[comments]):
        comments += 1
    separator = ";" if lines[comments].count(";") > lines[comments].count(",") else ","
    cells = lines[comments].split(separator)
    if len(cells) >= 3 and all(is_number(cell) for cell in cells[1:4]):
        rows = csv.reader(lines[comments:], delimiter=separator)
        width = min(len(cells), len(HEADLESS))
        padded = [(i, (row + [""] * width)[:width]) for i, row in enumerate(rows, comments + 1) if row]
        return Cells(path, HEADLESS[:width], [row for _, row in padded], [i for i, _ in padded])
    return csv_cells(path, comments, separator)


def _is_header(line: str) -> bool:
    words = {cell.strip().lstrip("#").strip().lower() for cell in line.replace(";", ",").split(",")}
    return len(words & {name for names in NAMES.values() for name in names}) >= 3


FORMS = {
    "csv": _csv_cells,
    "qgis": lambda path: qgis_cells(path, ""),
    "gcp_list": lambda path: gcp_list_cells(path, ""),
}
