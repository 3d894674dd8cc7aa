"""What is known of a site besides marks: small files beside `marks.csv`, all of them optional.

- `distances.csv`: point_a, point_b, distance, sigma (m)
- `lines.csv`: camera, kind (plumb, parallel, horizon), group, u1, v1, u2, v2 (px) and, if it is not 1 px, sigma; for
  parallel lines of a known direction bearing_deg (clockwise from the map's north) and, if not 0.5, bearing_sigma_deg
- `cameras.toml`: heights and lenses
      [lenses.dome]
      model = "radial_tangential"
      size = [1920, 1080]
      params = { fx = 1102.4, fy = 1102.4, cx = 959.5, cy = 539.5, k1 = -0.31, k2 = 0.09, p1 = 0.0, p2 = 0.0 }
      [lenses.bullet]
      file = "lenses/bullet.json"  # what `geoloc calibrate intrinsics` wrote, relative to this file
      [cameras.gate]
      height = 4.2            # m over the ground below it
      height_sigma = 0.05     # m
      level = "deck 2"        # that ground, if it is not the map's first level
      lens = "dome"           # a lens from above, or
      shared_lens = "bullet"  # the same lens, still to be found, as the other cameras that say so
"""

import csv
import io
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_text, write_whole
from geoloc.io.cells import Cells, csv_cells
from geoloc.io.rows import ReadReport
from geoloc.scene import jsonfile
from geoloc.scene.known import (
    BEARING_SIGMA,
    LINE_KINDS,
    LINE_SIGMA,
    Distances,
    ImageLines,
    Known,
    KnownCamera,
    KnownLens,
)
from geoloc.scene.lenses import LENSES, parameter_names
from geoloc.scene.storage import load_cameras

ANGLE_DIGITS = 12  # of degrees
DISTANCES, LINES, CAMERAS = "distances.csv", "lines.csv", "cameras.toml"


@dataclass(frozen=True, eq=False)
class KnownResult:
    """What the files of a folder say, and a report for each table that was there."""

    known: Known
    reports: tuple[ReadReport, ...]


def read_known(folder: Path | str) -> KnownResult:
    """Everything of `distances.csv`, `lines.csv` and `cameras.toml` in a folder; what is not there is empty."""
    folder = Path(folder)
    reports: list[ReadReport] = []
    distances, lines = Distances(), ImageLines()
    if (folder / DISTANCES).is_file():
        distances, report = read_distances(folder / DISTANCES)
        reports.append(report)
    if (folder / LINES).is_file():
        lines, report = read_lines(folder / LINES)
        reports.append(report)
    path = folder / CAMERAS
    cameras, lenses = read_known_cameras(path) if path.is_file() else ((), ())
    with jsonfile.naming(path):
        return KnownResult(Known(distances, lines, cameras, lenses), tuple(reports))


def read_distances(path: Path | str) -> tuple[Distances, ReadReport]:
    """Measured distances; rows that are malformed are left out and counted."""
    cells = csv_cells(path)
    cells.require("point_a", "point_b", "distance", "sigma")
    a, b = (np.char.strip(cells.text(name)) for name in ("point_a", "point_b"))
    distance, sigma = cells.numbers("distance"), cells.numbers("sigma")
    keep = cells.usable(
        ("a point has no name", (a == "") | (b == "")),
        ("from a point to itself", a == b),
        ("distance is no positive number", ~_positive(distance)),
        ("sigma is no positive number", ~_positive(sigma)),
    )
    table = Distances(point_a=a, point_b=b, distance=distance, sigma=sigma).take(keep)
    return table, _report(cells, "distances", len(table))


def read_lines(path: Path | str) -> tuple[ImageLines, ReadReport]:
    """Lines drawn into stills; rows that are malformed are left out and counted."""
    cells = csv_cells(path)
    cells.require("camera", "kind", "u1", "v1", "u2", "v2")
    camera, kind, group = (np.char.strip(cells.text(name)) for name in ("camera", "kind", "group"))
    start, end = (np.column_stack([cells.numbers(name) for name in pair]) for pair in (("u1", "v1"), ("u2", "v2")))
    sigma = _or_usual(cells, "sigma", LINE_SIGMA)
    bearing = np.radians(_or_usual(cells, "bearing_deg", np.nan))
    bearing_sigma = np.radians(_or_usual(cells, "bearing_sigma_deg", np.degrees(BEARING_SIGMA)))
    stated = np.char.strip(cells.text("bearing_deg")) != ""
    with np.errstate(invalid="ignore"):
        short = ~(np.linalg.norm(end - start, axis=1) >= 2.0)
    keep = cells.usable(
        ("no camera", camera == ""),
        (f"kind is none of {', '.join(LINE_KINDS)}", ~np.isin(kind, LINE_KINDS)),
        ("an end is no finite number", ~np.isfinite(np.hstack([start, end])).all(axis=1)),
        ("shorter than 2 px", short),
        ("a parallel line without a group", (kind == "parallel") & (group == "")),
        ("sigma is no positive number", ~_positive(sigma) | ~_positive(bearing_sigma)),
        ("bearing_deg is no number, or of a line that is not parallel to others", stated & _odd(bearing, kind)),
    )
    table = ImageLines(
        camera=camera, kind=kind, group=group, start=start, end=end, sigma=sigma, bearing=bearing,
        bearing_sigma=bearing_sigma,
    ).take(keep)  # fmt: skip
    return table, _report(cells, "lines", len(table))


def write_lines(path: Path | str, lines: ImageLines) -> None:
    """Write `lines.csv`, whole or not at all; every number comes back exactly as it was."""
    columns = dict(lines)
    for name in ("bearing", "bearing_sigma"):  # rounded, so that what was given in degrees is written as it was
        columns[f"{name}_deg"] = np.degrees(columns.pop(name)).round(ANGLE_DIGITS)
    (u1, v1), (u2, v2) = (columns.pop(name).T.tolist() for name in ("start", "end"))
    names = {name: columns.pop(name).tolist() for name in ("camera", "kind", "group")}
    numbers = {name: ["" if value != value else value for value in column.tolist()] for name, column in columns.items()}
    cells = {**names, "u1": u1, "v1": v1, "u2": u2, "v2": v2, **numbers}
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(cells)
    writer.writerows(zip(*cells.values(), strict=True))
    write_whole(path, out.getvalue())


def read_known_cameras(path: Path | str) -> tuple[tuple[KnownCamera, ...], tuple[KnownLens, ...]]:
    """Heights and lenses of `cameras.toml`; InputError names the key that is not known."""
    path = Path(path)
    try:
        document = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML ({error})") from error
    with jsonfile.naming(path):
        jsonfile.check_keys("the file", document, (), ("lenses", "cameras"))
        lenses = jsonfile.mapping("'lenses'", document.get("lenses", {}))
        cameras = jsonfile.mapping("'cameras'", document.get("cameras", {}))
        return (
            tuple(_camera(name, value) for name, value in cameras.items()),
            tuple(_lens(name, value, path.parent) for name, value in lenses.items()),
        )


def _camera(name: str, value: Any) -> KnownCamera:
    what = f"camera {name!r}"
    entry = jsonfile.mapping(what, value)
    jsonfile.check_keys(what, entry, (), ("height", "height_sigma", "lens", "shared_lens", "level"))
    given: dict[str, Any] = {
        key: float(jsonfile.numbers(f"{what}: {key!r}", entry[key], ()))
        for key in ("height", "height_sigma") if key in entry
    }  # fmt: skip
    names = [key for key in ("lens", "shared_lens", "level") if key in entry]
    given |= {key: jsonfile.text(f"{what}: {key!r}", entry[key]) for key in names}
    return KnownCamera(name, **given)


def _lens(name: str, value: Any, folder: Path) -> KnownLens:
    what = f"lens {name!r}"
    entry = jsonfile.mapping(what, value)
    if "file" in entry:
        jsonfile.check_keys(what, entry, ("file",))
        file = folder / jsonfile.text(f"{what}: 'file'", entry["file"])
        found = load_cameras(file)
        if len(found) != 1 or found[0].is_homography:
            raise InputError(f"{what}: {file} holds {len(found)} cameras; give a file of one camera that has a lens")
        return KnownLens(name, found[0].lens, found[0].size)
    jsonfile.check_keys(what, entry, ("model", "size", "params"))
    model = jsonfile.text(f"{what}: 'model'", entry["model"])
    if model not in LENSES or model == "homography":
        raise unknown_name("lens model", model, [known for known in LENSES if known != "homography"], what)
    params = jsonfile.mapping(f"{what}: 'params'", entry["params"])
    names = parameter_names(model, len(params))
    jsonfile.check_keys(f"params of {what}", params, names, parameter_names(model, 18))
    width, height = jsonfile.numbers(f"{what}: 'size'", entry["size"], (2,)).tolist()
    with jsonfile.naming(what):
        values = jsonfile.numbers("'params'", [params[key] for key in names], (len(names),))
        return KnownLens(name, LENSES[model](values), (int(width), int(height)))


def _or_usual(cells: Cells, name: str, usual: float) -> np.ndarray:
    """Numbers of a column that need not be there, or stated."""
    return np.where(np.char.strip(cells.text(name)) == "", usual, cells.numbers(name))


def _odd(bearing: np.ndarray, kind: np.ndarray) -> np.ndarray:
    return ~np.isfinite(bearing) | (kind != "parallel")


def _positive(values: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return (values > 0) & (values < np.inf)


def _report(cells: Cells, what: str, n_rows: int) -> ReadReport:
    return cells.report("csv", n_rows, what)
