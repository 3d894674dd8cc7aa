"""What geoloc's own JSON files hold, checked piece by piece with clear refusals."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.files import parse_json, read_text


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; InputError where there is none, or a number in it is not finite."""
    document = parse_json(read_text(path), path, finite=True)
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds a JSON {type(document).__name__}; it must be an object")
    return document


@contextmanager
def naming(what: object) -> Iterator[None]:
    """Put the name of a file or part before the message of an InputError that is raised inside."""
    try:
        yield
    except InputError as error:
        raise type(error)(f"{what}: {error}") from error


def check_keys(what: str, found: Mapping[str, Any], required: Collection[str], optional: Collection[str] = ()) -> None:
    """Raise UnknownNameError for a key that is neither required nor optional, InputError for one missing."""
    for key in found:
        if key not in required and key not in optional:
            raise unknown_name("key", key, [*required, *optional], what)
    for key in required:
        if key not in found:
            raise InputError(f"{what} has no {key!r}; add it")


def mapping(what: str, value: object) -> dict[str, Any]:
    """`value` as a JSON object."""
    if not isinstance(value, dict):
        raise InputError(f"{what} is {_short(value)}; it must be an object")
    return value


def sequence(what: str, value: object) -> list[Any]:
    """`value` as a JSON array."""
    if not isinstance(value, list):
        raise InputError(f"{what} is {_short(value)}; it must be a list")
    return value


def text(what: str, value: object, empty: bool = False) -> str:
    """`value` as text, which may be `empty` only if that is said."""
    if not isinstance(value, str) or not (value or empty):
        raise InputError(f"{what} is {_short(value)}; it must be text")
    return value


def numbers(what: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    """`value` as finite float64 numbers of this shape; () is one number."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.array(None)
    if array.dtype.kind not in "iuf" or array.shape != shape:
        want = " by ".join(map(str, shape)) + " numbers" if shape else "a number"
        raise InputError(f"{what} is {_short(value)}; it must be {want}")
    array = array.astype(float)
    if not np.isfinite(array).all():
        raise InputError(f"{what} is {_short(value)}; it must be finite")
    return array


def check_schema(header: Mapping[str, Any], version: int) -> None:
    """Refuse a file of another schema version than `version`."""
    found = header.get("schema")
    if found != version:
        raise InputError(f"is of schema {_short(found)}; this geoloc reads schema {version}")


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
