"""The rows of COLMAP's cameras and images files, text and binary, in and out; nothing is interpreted here."""

import struct
from pathlib import Path
from typing import NamedTuple

from geoloc.errors import InputError
from geoloc.files import read_bytes, read_text

POINT_BYTES = 24  # x, y, id of the 3D point


class LensRow(NamedTuple):
    """A row of the cameras file; `size` is width and height, px."""

    number: int
    model: str
    size: tuple[int, int]
    params: tuple[float, ...]


class ImageRow(NamedTuple):
    """A row of the images file: quaternion w x y z and translation of cam_from_world."""

    number: int
    quaternion: tuple[float, ...]
    translation: tuple[float, ...]
    camera: int
    name: str


def read_text_cameras(path: Path) -> dict[int, LensRow]:
    """cameras.txt: CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]."""
    found = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            size = (int(words[2]), int(words[3]))
            found[int(words[0])] = LensRow(int(words[0]), words[1], size, tuple(map(float, words[4:])))
        except (ValueError, IndexError) as error:
            raise _broken_line(path, number, line, "CAMERA_ID MODEL WIDTH HEIGHT PARAMS") from error
    return found


def read_text_images(path: Path) -> list[ImageRow]:
    """images.txt: IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, and a line of points, perhaps empty, after each."""
    found, stated, points_next = [], None, False
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if points_next:
            points_next = False
        elif line.startswith("# Number of images:"):
            stated = line.partition(":")[2].partition(",")[0].strip()
        elif line.strip() and not line.startswith("#"):
            words = line.split(maxsplit=9)
            try:
                values = tuple(map(float, words[1:8]))
                row = ImageRow(int(words[0]), values[:4], values[4:], int(words[8]), words[9].strip())
            except (ValueError, IndexError) as error:
                raise _broken_line(path, number, line, "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME") from error
            found.append(row)
            points_next = True
    if stated is not None and stated.isdecimal() and int(stated) != len(found):
        raise InputError(f"{path}: holds {len(found)} images, its head says {stated}; is it truncated?")
    return found


def read_binary_cameras(path: Path, n_params: dict[int, int], names: dict[int, str]) -> dict[int, LensRow]:
    """cameras.bin; a model that is not among `n_params` is refused, for its length is not known."""
    reader = _Reader(path)
    found = {}
    for _ in range(reader.count(24)):
        number, model, width, height = reader.take("<iiQQ")
        if model not in n_params:
            raise InputError(f"{path}: camera {number} is of model {model}; known are {sorted(n_params)}")
        params = reader.take(f"<{n_params[model]}d")
        found[number] = LensRow(number, names[model], (width, height), params)
    reader.finish()
    return found


def read_binary_images(path: Path) -> list[ImageRow]:
    """images.bin; the points of each image are passed over."""
    reader = _Reader(path)
    found = []
    for _ in range(reader.count(73)):
        number, *values, camera = reader.take("<I7dI")
        name = reader.name()
        reader.skip(reader.take("<Q")[0] * POINT_BYTES)
        found.append(ImageRow(number, tuple(values[:4]), tuple(values[4:]), camera, name))
    reader.finish()
    return found


def text_files(lenses: list[LensRow], images: list[ImageRow]) -> dict[str, str]:
    """cameras.txt, images.txt and an empty points3D.txt."""
    cameras = [f"{row.number} {row.model} {row.size[0]} {row.size[1]} {_words(row.params)}\n" for row in lenses]
    rows = [f"{row.number} {_words((*row.quaternion, *row.translation))} {row.camera} {row.name}\n\n" for row in images]
    return {
        "cameras.txt": f"# CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n# Number of cameras: {len(lenses)}\n"
        + "".join(cameras),
        "images.txt": "# IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME, then a line of POINTS2D[]\n"
        f"# Number of images: {len(images)}\n" + "".join(rows),
        "points3D.txt": "# Number of points: 0\n",
    }


def binary_files(lenses: list[LensRow], images: list[ImageRow], numbers: dict[str, int]) -> dict[str, bytes]:
    """cameras.bin, images.bin and an empty points3D.bin; `numbers` are the models'."""
    cameras = [
        struct.pack(f"<iiQQ{len(row.params)}d", row.number, numbers[row.model], *row.size, *row.params)
        for row in lenses
    ]
    rows = [
        struct.pack("<I7dI", row.number, *row.quaternion, *row.translation, row.camera)
        + row.name.encode("utf-8")
        + b"\0"
        + struct.pack("<Q", 0)
        for row in images
    ]
    return {
        "cameras.bin": struct.pack("<Q", len(lenses)) + b"".join(cameras),
        "images.bin": struct.pack("<Q", len(images)) + b"".join(rows),
        "points3D.bin": struct.pack("<Q", 0),
    }


class _Reader:
    """Takes numbers off a file's bytes; what reaches past their end is refused as a truncated file."""

    def __init__(self, path: Path) -> None:
        self._path, self._data, self._at = path, read_bytes(path), 0

    def take(self, form: str) -> tuple:
        """The next numbers of this struct format."""
        start = self._at
        self.skip(struct.calcsize(form))
        return struct.unpack_from(form, self._data, start)

    def skip(self, n: int) -> None:
        """Pass over `n` bytes."""
        if n > len(self._data) - self._at:
            raise InputError(f"{self._path}: ends at byte {len(self._data)} in the middle of a row: is it truncated?")
        self._at += n

    def count(self, at_least: int) -> int:
        """The number of rows, each of `at_least` so many bytes."""
        (n,) = self.take("<Q")
        if n * at_least > len(self._data):
            raise InputError(f"{self._path}: says {n} rows, more than its bytes can hold; is it a COLMAP file?")
        return n

    def name(self) -> str:
        """Text up to the next zero byte."""
        end = self._data.find(b"\0", self._at)
        if end < 0:
            raise InputError(f"{self._path}: ends in the middle of a name: is it truncated?")
        raw, self._at = self._data[self._at : end], end + 1
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{self._path}: the name {raw[:40]!r} is not UTF-8") from error

    def finish(self) -> None:
        """Refuse bytes that are left over."""
        if self._at != len(self._data):
            left = len(self._data) - self._at
            raise InputError(f"{self._path}: {left} bytes follow the last row; is it a COLMAP file?")


def _broken_line(path: Path, number: int, line: str, form: str) -> InputError:
    return InputError(f"{path}: line {number}: {line.strip()[:60]!r}; it must be {form}: is it truncated?")


def _words(values: tuple[float, ...]) -> str:
    return " ".join(repr(float(value)) for value in values)
