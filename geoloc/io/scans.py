"""Scans of a site: point clouds of PLY, LAS and LAZ files, and triangle meshes written as PLY."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.files import read_bytes, write_whole

AXES = ("x", "y", "z")
HEADER_LINES = 500  # of a PLY; a longer header is none
LAS_NOISE = (7, 18)  # classes "low noise" and "high noise" of LAS 1.4
TYPES = {  # PLY's names of its number types, old and new
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "float32": "f4", "float64": "f8",
}  # fmt: skip
ORDER = {"binary_little_endian": "<", "binary_big_endian": ">"}


def read_scan(path: Path | str) -> np.ndarray:
    """Points (N, 3) of a scan, in the file's own axes and unit: PLY (text or binary), LAS, LAZ.

    Points without finite coordinates, and those that a LAS file calls noise, are left out. InputError names what a
    file lacks; LAS needs the extra `scan`.
    """
    kind = Path(path).suffix.lower()
    if kind not in SCANS:
        raise InputError(f"scan {path}: {kind or 'no ending'} is not read; give one of {', '.join(SCANS)}")
    points = SCANS[kind](Path(path))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        raise InputError(f"scan {path}: there are no points in it")
    return points


def write_mesh(path: Path | str, vertices: np.ndarray, triangles: np.ndarray) -> None:
    """Write a mesh of `vertices` (V, 3) m and `triangles` (T, 3) as binary PLY, which a site's visibility takes."""
    header = [
        "ply", "format binary_little_endian 1.0", f"element vertex {len(vertices)}",
        *(f"property double {axis}" for axis in AXES), f"element face {len(triangles)}",
        "property list uchar int vertex_indices", "end_header\n",
    ]  # fmt: skip
    faces = np.empty(len(triangles), dtype=[("n", "u1"), ("corners", "<i4", 3)])
    faces["n"], faces["corners"] = 3, triangles
    write_whole(path, "\n".join(header).encode() + np.asarray(vertices, "<f8").tobytes() + faces.tobytes())


@dataclass
class _Element:
    name: str
    count: int
    fields: list[tuple[str, str]]
    has_list: bool = False


def _read_ply(path: Path) -> np.ndarray:
    content = read_bytes(path)
    form, elements, start = _header(path, content)
    if elements[0].name != "vertex":
        raise InputError(f"scan {path}: its first element is {elements[0].name!r}; it must be 'vertex'")
    vertex = elements[0]
    names = [name for name, _ in vertex.fields]
    if vertex.has_list or not set(AXES) <= set(names):
        raise InputError(f"scan {path}: its vertices have {', '.join(names)}; they need plain numbers x, y, z")
    if form == "ascii":
        return _text_rows(path, content[start:], vertex, [names.index(axis) for axis in AXES])
    dtype = np.dtype([(name, ORDER[form] + TYPES[kind]) for name, kind in vertex.fields])
    n_bytes = len(content) - start
    if n_bytes < vertex.count * dtype.itemsize:
        found = f"{vertex.count} points of {dtype.itemsize} bytes promised, {n_bytes} bytes there"
        raise InputError(f"scan {path}: {found}: is it truncated?")
    rows = np.frombuffer(content, dtype, vertex.count, start)
    return np.column_stack([rows[axis].astype(float) for axis in AXES])


def _header(path: Path, content: bytes) -> tuple[str, list[_Element], int]:
    """The form, the elements, and where the data start."""
    form, elements, start = "", list[_Element](), 0
    for line, start in _lines(content):
        words = line.split()
        if words[:1] == ["end_header"]:
            if form in ("ascii", *ORDER) and elements:
                return form, elements, start
            break
        try:
            if words[:1] == ["format"]:
                form = words[1]
            elif words[:1] == ["element"]:
                elements.append(_Element(words[1], int(words[2]), []))
            elif words[:2] == ["property", "list"]:
                elements[-1].has_list = True
            elif words[:1] == ["property"] and words[1] in TYPES:
                elements[-1].fields.append((words[2], words[1]))
            elif words[:1] not in (["ply"], ["comment"], ["obj_info"], []):
                break
        except (IndexError, ValueError):
            break
    raise InputError(f"scan {path}: no PLY header that can be read; write the scan as PLY 1.0 again")


def _lines(content: bytes) -> Iterator[tuple[str, int]]:
    """Lines of the header, each with where the next one starts."""
    start = 0
    for _ in range(HEADER_LINES):
        end = content.find(b"\n", start)
        if end < 0 or not content.startswith(b"ply"):
            return
        line, start = content[start:end], end + 1
        yield line.decode("latin-1").strip(), start


def _text_rows(path: Path, text: bytes, vertex: _Element, at: list[int]) -> np.ndarray:
    rows = text.split(b"\n")[: vertex.count]
    try:
        points = np.array([[float(cells[i]) for i in at] for cells in (row.split() for row in rows)])
    except (ValueError, IndexError) as error:
        raise InputError(f"scan {path}: a point is no row of numbers ({error}): is it truncated?") from error
    if len(points) < vertex.count:
        raise InputError(f"scan {path}: {vertex.count} points promised, {len(points)} there: is it truncated?")
    return points.reshape(-1, 3)


def _read_las(path: Path) -> np.ndarray:
    try:
        laspy = import_module("laspy")
    except ImportError as error:
        raise InputError(f"scan {path}: LAS needs laspy ({error}); pip install 'geoloc[scan]', or give PLY") from error
    if not path.is_file():
        raise InputError(f"scan {path}: there is no such file")
    try:
        las = laspy.read(str(path))
    except (laspy.errors.LaspyException, OSError, ValueError, RuntimeError) as error:
        raise InputError(f"scan {path}: LAS cannot be read ({error}): is it truncated?") from error
    if len(las.points) < las.header.point_count:
        found = f"{las.header.point_count} points promised, {len(las.points)} there"
        raise InputError(f"scan {path}: {found}: is it truncated?")
    return np.asarray(las.xyz, float)[~np.isin(np.asarray(las.classification), LAS_NOISE)]


SCANS = {".ply": _read_ply, ".las": _read_las, ".laz": _read_las}
