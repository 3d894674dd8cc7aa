"""Matrices of an OpenCV FileStorage file (XML, YAML or JSON)."""

import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from geoloc.errors import InputError
from geoloc.files import parse_json, read_text

MATRIX = re.compile(r"opencv-(nd-)?matrix")
YAML_PARTS = {
    "rows": r"rows\s*:\s*(\d{1,6})\s",
    "cols": r"cols\s*:\s*(\d{1,6})\s",
    "sizes": r"sizes\s*:\s*\[([^\[\]]*)\]",
    "data": r"data\s*:\s*\[([^\[\]]*)\]",
}


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


def _read_xml(text: str, path: Path | str) -> dict[str, np.ndarray]:
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path}: XML breaks ({error}); is it truncated?") from error
    if root.tag != "opencv_storage":
        raise InputError(f"{path}: its root is <{root.tag}>; an OpenCV file has <opencv_storage>")
    return {node.tag: array for node in root if (array := _xml_array(node, path)) is not None}


def _xml_array(node: ElementTree.Element, path: Path | str) -> np.ndarray | None:
    if node.find("data") is not None:
        parts = {name: node.findtext(name, "") for name in ("rows", "cols", "sizes", "data")}
        return _matrix(parts, node.tag, path)
    try:
        values = np.array([float(word) for word in (node.text or "").split()])
        return values if len(values) else None
    except ValueError:
        return None  # a string, such as the date of the calibration


def _read_yaml(text: str, path: Path | str) -> dict[str, np.ndarray]:
    """The subset of YAML that OpenCV writes; its own parser aborts the whole process on a broken file."""
    if not text.startswith("%YAML"):
        raise InputError(f"{path}: not an OpenCV file; it begins with neither %YAML, <opencv_storage> nor {{")
    starts = list(re.finditer(r"^([A-Za-z_][\w.-]*)[ \t]*:", text, re.MULTILINE))
    ends = [*[match.start() for match in starts[1:]], len(text)]
    found = {}
    for match, end in zip(starts, ends, strict=False):  # one end too many where there is no entry
        array = _yaml_array(text[match.end() : end].strip(), match[1], path)
        if array is not None:
            found[match[1]] = array
    return found


def _yaml_array(body: str, name: str, path: Path | str) -> np.ndarray | None:
    if MATRIX.search(body):
        parts = {part: match[1] for part, form in YAML_PARTS.items() if (match := re.search(form, body))}
        return _matrix(parts, name, path)
    flow = re.fullmatch(r"\[([^\[\]]*)\]", body)
    listed = flow[1].replace(",", " ") if flow else re.sub(r"^\s*-\s", " ", body, flags=re.MULTILINE)
    try:
        return np.array([float(word) for word in listed.split()]) if listed.strip() else None
    except ValueError:
        return None  # a string, or something nested


def _read_json(text: str, path: Path | str) -> dict[str, np.ndarray]:
    found = {}
    for name, value in parse_json(text, path).items():
        if isinstance(value, dict) and MATRIX.search(str(value.get("type_id"))):
            texts = {part: re.sub(r"[\[\],]", " ", str(item)) for part, item in value.items()}
            found[name] = _matrix(texts, name, path)
        elif isinstance(value, int | float | list):
            numbers = value if isinstance(value, list) else [value]
            if numbers and all(type(item) in (int, float) for item in numbers):
                found[name] = np.array([float(str(item)) for item in numbers])
    return found


def _matrix(parts: Mapping[str, str], name: str, path: Path | str) -> np.ndarray:
    """Matrix of the texts of its `data` and its `rows` and `cols`, or its `sizes` if it is not flat."""
    try:
        sizes = parts["sizes"] if parts.get("sizes") else f"{parts['rows']} {parts['cols']}"
        values = np.array([float(word) for word in parts["data"].replace(",", " ").split()])
        return values.reshape([int(size) for size in sizes.replace(",", " ").split()])
    except KeyError as error:
        raise InputError(f"{path}: matrix {name} has no whole {error.args[0]}; is it truncated?") from error
    except (ValueError, OverflowError) as error:
        raise InputError(f"{path}: matrix {name}: {error}") from error
