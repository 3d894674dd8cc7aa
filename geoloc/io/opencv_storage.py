"""Matrices of an OpenCV FileStorage file (XML, YAML or JSON), and the cameras that they describe."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from geoloc.errors import InputError
from geoloc.io.files import read_text
from geoloc.scene.lenses import Lens, Pinhole, RadialTangential

DISTORTION_SIZES = (4, 5, 8, 12, 14)


def read_storage(path: Path | str) -> dict[str, np.ndarray]:
    """Every top-level matrix (rows, columns), number (1,) or list of numbers (n,) by its name."""
    text = read_text(path)
    if text.lstrip().startswith("<"):
        return _read_xml(text, path)
    return _read_yaml(text, path)


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
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: XML breaks ({error}); is it truncated?") from error
    if root.tag != "opencv_storage":
        raise InputError(f"{path}: its root is <{root.tag}>; an OpenCV file has <opencv_storage>")
    return {node.tag: array for node in root if (array := _xml_array(node, path)) is not None}


def _xml_array(node: ElementTree.Element, path: Path | str) -> np.ndarray | None:
    data = node.find("data")
    text = (node if data is None else data).text or ""
    try:
        values = np.array([float(word) for word in text.split()])
        if data is None:
            return values if len(values) else None
        return values.reshape(int(node.findtext("rows", "")), int(node.findtext("cols", "")))
    except ValueError as error:
        if data is None:
            return None  # a string, such as the date of the calibration
        raise InputError(f"{path}: matrix <{node.tag}>: {error}") from error


def _read_yaml(text: str, path: Path | str) -> dict[str, np.ndarray]:
    import cv2

    try:
        storage = cv2.FileStorage(text, cv2.FileStorage_READ | cv2.FileStorage_MEMORY)
        root = storage.root()
        nodes = {name: root.getNode(name) for name in root.keys()}  # noqa: SIM118 - not a dict
    except (cv2.error, SystemError, UnicodeDecodeError) as error:
        why = str(error).partition("\n")[0]
        raise InputError(f"{path}: not an OpenCV YAML, JSON or XML file ({why})") from error
    return {name: array for name, node in nodes.items() if (array := _yaml_array(node)) is not None}


def _yaml_array(node: "cv2.FileNode") -> np.ndarray | None:  # type: ignore[name-defined]  # noqa: F821
    if node.isMap():
        matrix = node.mat()
        return None if matrix is None else np.asarray(matrix, float)
    if node.isInt() or node.isReal():
        return np.array([node.real()])
    if node.isSeq():
        items = [node.at(i) for i in range(node.size())]
        if all(item.isInt() or item.isReal() for item in items):
            return np.array([item.real() for item in items])
    return None
