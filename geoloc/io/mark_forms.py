"""Marks in the files of other tools, as cells: QGIS georeferencer, OpenDroneMap, CVAT, labelme.

Cells are camera, point, u, v, and x, y, z of the point where the file has them; pixels are geoloc's own already.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.files import parse_json, read_text
from geoloc.io.cells import Cells, csv_cells, is_number
from geoloc.io.references import named_crs

CORNER = 0.5  # px from an image's corner to the centre of its first pixel
HEADER = ("camera", "point", "u", "v", "x", "y", "z")
Row = tuple[int, tuple[str, ...]]


class MarkCells(Cells):
    """Cells of a file that also states the reference system of its points; `unit` is what its lines count."""

    def __init__(self, path: Path | str, rows: Sequence[Row], crs: str = "", unit: str = "line") -> None:
        super().__init__(path, HEADER, [list(row) for _, row in rows], [line for line, _ in rows])
        self.crs, self.unit = crs, unit
        self.notes: list[str] = []

    def skip(self, skipped: dict[str, list[int]]) -> "MarkCells":
        """The same cells, with rows that the reader itself left out."""
        for reason, lines in skipped.items():
            self.skips.add(reason, *lines)
        return self


def qgis_cells(path: Path | str, camera: str) -> MarkCells:
    """QGIS's georeferencer: mapX, mapY, sourceX, sourceY (in old files pixelX, pixelY), enable.

    Source coordinates count from the image's corner, y upwards and so negative. Points are named by their row.
    """
    lines = read_text(path).splitlines()
    stated = [line.partition(":")[2] for line in lines if line.lower().startswith("#crs")]
    table = _comma_cells(path, lines)
    old = "pixelX" in table.header
    names = ("pixelX", "pixelY") if old else ("sourceX", "sourceY")
    table.require("mapX", "mapY", *names)
    u, v = table.numbers(names[0]) - CORNER, table.numbers(names[1])
    upwards = not (v >= 0).all() or not table.n
    v = (-v if upwards else v) - CORNER
    enabled = table.text("enable") if "enable" in table.header else np.full(table.n, "1")
    where = camera or Path(path).name.partition(".")[0]
    rows, off = [], []
    for i, line in enumerate(table.lines.tolist()):
        if enabled[i].strip() in ("0", "false"):
            off.append(line)
            continue
        x, y = (table.columns[name][i] for name in ("mapX", "mapY"))
        rows.append((line, (where, str(i + 1), repr(float(u[i])), repr(float(v[i])), x, y, "")))
    cells = MarkCells(path, rows, named_crs(stated[0]) if stated else "")
    if not upwards:
        cells.notes.append("source y is positive: taken as counting downwards")
    cells.skips = table.skips
    return cells.skip({"not enabled": off})


def gcp_list_cells(path: Path | str, camera: str) -> MarkCells:
    """OpenDroneMap's gcp_list.txt: the reference system, then x y z u v image [name]; its pixels count as ours do."""
    lines = read_text(path).splitlines()
    if not lines:
        raise InputError(f"{path}: the file is empty; its first line must name the reference system")
    numeric = len(lines[0].split()) >= 6 and all(is_number(word) for word in lines[0].split()[:5])
    crs = "" if numeric else named_crs(lines[0])
    rows: list[Row] = []
    short: list[int] = []
    names: dict[tuple[str, ...], str] = {}
    for number, line in enumerate(lines[0 if numeric else 1 :], 1 if numeric else 2):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        if len(words) < 6:
            short.append(number)
            continue
        name = names.setdefault(tuple(words[:3]), words[6] if len(words) > 6 else f"gcp{len(names) + 1}")
        name = words[6] if len(words) > 6 else name
        z = "" if words[2].lower() == "nan" else words[2]
        rows.append((number, (camera or stem(words[5]), name, words[3], words[4], words[0], words[1], z)))
    return MarkCells(path, rows, crs).skip({"fewer than 6 cells": short})


def cvat_cells(path: Path | str, camera: str) -> MarkCells:
    """CVAT for images 1.1: shapes `points`, named by their attribute `name`, else by their label."""
    text = read_text(path)
    if "<!ENTITY" in text or "<!DOCTYPE" in text:
        raise InputError(f"{path}: declares entities; CVAT writes none, and they are not read")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not XML ({error}); is it truncated?") from error
    images = root.findall("image")
    if not images and root.find("track") is not None:
        raise InputError(f"{path}: is CVAT for video; export the stills as 'CVAT for images 1.1'")
    rows: list[Row] = []
    bad: list[int] = []
    number = 0
    for image in images:
        where = camera or stem(image.get("name", ""))
        for shape in image.findall("points"):
            number += 1
            own = [item.text or "" for item in shape.findall("attribute") if item.get("name") == "name"]
            name = (own[0] if own else "").strip() or shape.get("label", "")
            pixels = [pair.split(",") for pair in shape.get("points", "").split(";")]
            if len(pixels) != 1 or len(pixels[0]) != 2:
                bad.append(number)
                continue
            rows.append((number, _corner_row(where, name, *pixels[0])))
    return MarkCells(path, rows, unit="shape").skip({"not one single point": bad})


def labelme_cells(path: Path | str, camera: str) -> MarkCells:
    """labelme: shapes of type `point`, named by their label; the camera is the image's name."""
    document = parse_json(read_text(path), path)
    shapes = document.get("shapes") if isinstance(document, dict) else None
    if not isinstance(shapes, list):
        raise InputError(f"{path}: holds no list 'shapes'; it is no file of labelme")
    where = camera or stem(str(document.get("imagePath") or Path(path).name))
    rows: list[Row] = []
    skipped: dict[str, list[int]] = {}
    for number, shape in enumerate(shapes, 1):
        point = _labelme_point(shape)
        if isinstance(point, str):
            skipped.setdefault(point, []).append(number)
        else:
            rows.append((number, _corner_row(where, str(shape.get("label") or ""), str(point[0]), str(point[1]))))
    return MarkCells(path, rows, unit="shape").skip(skipped)


def stem(image: str) -> str:
    """The camera that an image is named after: its file name, of any system, without its ending."""
    return PurePosixPath(PureWindowsPath(image).as_posix()).stem


def _labelme_point(shape: Any) -> str | list[Any]:
    """Its two numbers, or why it has none."""
    if not isinstance(shape, dict) or shape.get("shape_type") != "point":
        return "a shape that is no point"
    points = shape.get("points")
    if not (isinstance(points, list) and len(points) == 1 and isinstance(points[0], list) and len(points[0]) == 2):
        return "not one single point"
    return points[0]


def _corner_row(camera: str, point: str, u: str, v: str) -> tuple[str, ...]:
    shifted = [repr(float(word) - CORNER) if is_number(word) else "" for word in (u, v)]
    return (camera, point, *shifted, "", "", "")


def _comma_cells(path: Path | str, lines: list[str]) -> Cells:
    """A CSV file that begins with comments."""
    comments = 0
    while comments < len(lines) and lines[comments].startswith("#"):
        comments += 1
    return csv_cells(path, comments)
