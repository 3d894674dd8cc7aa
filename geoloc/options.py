"""Options: one frozen dataclass a stage; defaults < TOML file < `--set stage.key=value`."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from geoloc.errors import InputError, unknown_name
from geoloc.files import read_text

Options = TypeVar("Options")


def check_range(options: object, **limits: tuple[float, float]) -> None:
    """Raise InputError for the first field of `options` outside its closed [low, high]; NaN is outside."""
    for name, (low, high) in limits.items():
        value = getattr(options, name)
        if not low <= value <= high:
            kind = type(options).__name__
            raise InputError(f"{kind}.{name} is {value}; it must lie in [{low:g}, {high:g}]")


def merge_options(options: Options, changes: Mapping[str, Any], path: str = "") -> Options:
    """`options` (a frozen dataclass, perhaps of dataclasses) with nested `changes` applied.

    An unknown key raises UnknownNameError with the nearest name, a value of another type InputError.
    """
    known = {field.name: getattr(options, field.name) for field in fields(options)}  # type: ignore[arg-type]
    new: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in known:
            raise unknown_name("option", path + key, [path + name for name in known])
        old = known[key]
        if is_dataclass(old):
            if not isinstance(value, Mapping):
                raise InputError(f"option {path + key} is a group of options; set one of its keys")
            new[key] = merge_options(old, value, f"{path}{key}.")
        else:
            new[key] = _same_kind(path + key, old, value)
    return replace(options, **new)  # type: ignore[type-var]


def load_options(options: Options, file: Path | None = None, sets: Iterable[str] = ()) -> Options:
    """Defaults in `options`, changed by a TOML `file`, then by `sets` such as `"tracking.gate_sigma=4"`."""
    if file is not None:
        try:
            changes = tomllib.loads(read_text(file))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{file}: not TOML ({error})") from error
        options = merge_options(options, changes)
    for item in sets:
        key, equals, text = item.partition("=")
        if not equals:
            raise InputError(f"--set {item!r}: write it as stage.key=value")
        options = merge_options(options, _nest(key.strip().split("."), _toml_value(text.strip())))
    return options


def options_to_dict(options: object) -> dict[str, Any]:
    """The effective options as nested plain values, as they are written beside every result."""
    return asdict(options)  # type: ignore[call-overload]


def option_groups(options: object, name: str = "options") -> dict[str, object]:
    """Options and all groups of options in them, by their names, such as "options.identity.echoes"."""
    found = {name: options}
    for field in fields(options):  # type: ignore[arg-type]
        value = getattr(options, field.name)
        if is_dataclass(value):
            found |= option_groups(value, f"{name}.{field.name}")
    return found


def _same_kind(key: str, old: Any, value: Any) -> Any:
    if isinstance(old, bool) or isinstance(value, bool):
        fits = isinstance(old, bool) and isinstance(value, bool)
    elif isinstance(old, float):
        fits = isinstance(value, int | float)
        value = float(value) if fits else value
    elif isinstance(old, tuple):
        fits = isinstance(value, list | tuple)
        value = tuple(value) if fits else value
    else:
        fits = isinstance(value, type(old))
    if not fits:
        raise InputError(f"option {key} is {value!r}; it takes a {type(old).__name__} such as {old!r}")
    return value


def _nest(keys: list[str], value: Any) -> dict[str, Any]:
    return {keys[0]: value if len(keys) == 1 else _nest(keys[1:], value)}


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word is a string
