"""Matrices of an OpenCV FileStorage file (XML, YAML or JSON), and the cameras that they describe."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from geoloc.errors import InputError
from geoloc.io.files import parse_json, read_text
from geoloc.scene.lenses import Lens, Pinhole, RadialTangential

DISTORTION_SIZES = (4, 5, 8, 12, 14)


def read_storage(path: Path | str) -> dict[str, np.ndarray]:
    """Every top-level matrix (rows, columns), number (1,) or list of numbers (n,) by its name."""
    text = read_text(path).strip()
    read = {"<": _read_xml, "{": _read_json}.get(text[:1], _read_yaml)
    return read(text, path)


def require(storage: dict[str, np.ndarray], names: tuple[str, ...], path: Path | str) -> np.ndarray:
    """The first of `names` that `storage` holds; InputError that lists what it holds otherwise."""
    for name in names:
        if name in storage:
            return storage[name]
    found = ", ".join(sorted(storage)) or "nothing"
    raise InputError(f"{path}: none of {', '.join(names)} in it; it holds {found}")


def lens_from_matrix(matrix: np.ndarray, distortion: np.ndarray, where: str) -> Lens:
    """Pinhole or radial-tangential lens of a camera matrix (3, 3) and OpenCV distortion coefficients."""
    matrix, distortion = np.asarray(matrix, float), np.asarray(distortion, float).ravel()
    if matrix.shape != (3, 3) or not np.allclose(matrix[[1, 2, 2], [0, 0, 1]], 0) or matrix[2, 2] != 1:
        form = "[[fx, 0, cx], [0, fy, cy], [0, 0, 1]]"
        raise InputError(f"{where}: camera matrix {matrix.tolist()}; it must be {form}")
    if abs(matrix[0, 1]) > 1e-6 * abs(matrix[0, 0]):
        raise InputError(f"{where}: the camera matrix has skew {matrix[0, 1]:g}; lenses here have none")
    focal = [matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]]
    if not np.any(distortion):
        return Pinhole(np.array(focal))
    if len(distortion) not in DISTORTION_SIZES:
        sizes = ", ".join(map(str, DISTORTION_SIZES))
        raise InputError(f"{where}: {len(distortion)} distortion coefficients; OpenCV has {sizes}")
    return RadialTangential(np.array([*focal, *distortion]))


def _read_xml(text: str, path: Path | str) -> dict[str, np.ndarray]:
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: XML breaks ({error}); is it truncated?") from error
    if root.tag != "opencv_storage":
        raise InputError(f"{path}: its root is <{root.tag}>; an OpenCV file has <opencv_storage>")
    return {node.tag: array for node in root if (array := _xml_array(node, path)) is not None}


def _xml_array(node: ElementTree.Element, path: Path | str) -> np.ndarray | None:
    data = node.find("data")
    if data is not None:
        return _matrix(
            (data.text or "").split(), [node.findtext("rows"), node.findtext("cols")], node.tag, path
        )
    try:
        return (
            np.array([float(word) for word in (node.text or "").split()])
            if (node.text or "").strip()
            else None
        )
    except ValueError:
        return None  # a string, such as the date of the calibration


def _read_yaml(text: str, path: Path | str) -> dict[str, np.ndarray]:
    """The subset of YAML that OpenCV writes; its own parser aborts the whole process on a broken file."""
    if not text.startswith("%YAML"):
        raise InputError(f"{path}: not an OpenCV file; it begins with neither %YAML, <opencv_storage> nor {{")
    starts = list(re.finditer(r"^([A-Za-z_][\w.-]*)[ \t]*:", text, re.MULTILINE))
    ends = [match.start() for match in starts[1:]] + [len(text)]
    found = {}
    for match, end in zip(starts, ends, strict=True):
        array = _yaml_array(text[match.end() : end].strip(), match[1], path)
        if array is not None:
            found[match[1]] = array
    return found


def _yaml_array(body: str, name: str, path: Path | str) -> np.ndarray | None:
    if "opencv-matrix" in body:
        data = re.search(r"data\s*:\s*\[([^\[\]]*)\]", body)
        sizes = [re.search(rf"{size}\s*:\s*(\d{{1,6}})\s", body) for size in ("rows", "cols")]
        if data is None or None in sizes:
            raise InputError(f"{path}: matrix {name}: no whole rows, cols and data; is it truncated?")
        words = data[1].replace(",", " ").split()
        return _matrix(words, [match[1] for match in sizes if match], name, path)
    flow = re.fullmatch(r"\[([^\[\]]*)\]", body)
    words = (flow[1].replace(",", " ") if flow else re.sub(r"^\s*-\s", " ", body, flags=re.MULTILINE)).split()
    try:
        return np.array([float(word) for word in words]) if words else None
    except ValueError:
        return None  # a string, or something nested


def _read_json(text: str, path: Path | str) -> dict[str, np.ndarray]:
    found = {}
    for name, value in parse_json(text, path).items():
        if isinstance(value, dict) and value.get("type_id") == "opencv-matrix":
            found[name] = _matrix(value.get("data"), [value.get("rows"), value.get("cols")], name, path)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[name] = np.array([float(value)])
        elif isinstance(value, list) and value and all(isinstance(item, int | float) for item in value):
            found[name] = np.array(value, float)
    return found


def _matrix(data: Any, sizes: list[Any], name: str, path: Path | str) -> np.ndarray:
    try:
        rows, cols = (int(size) for size in sizes)
        return np.array([float(value) for value in data]).reshape(rows, cols)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(f"{path}: matrix {name}: {error}") from error
