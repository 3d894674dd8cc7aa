"""What can go wrong, in three kinds; every message says what, which one, what was found, what to do next."""

import difflib
from collections.abc import Iterable


class GeolocError(Exception):
    """Base of every error that geoloc raises on purpose; the command line prints it as one line."""


class InputError(GeolocError):
    """The caller's input is wrong: a file, a table, an option, a name of a column."""


class GeometryError(GeolocError):
    """The data cannot determine the answer."""


class UnknownNameError(InputError):
    """A name that is not in the dict or table that it was looked up in."""


def unknown_name(kind: str, name: str, known: Iterable[str], of: str = "") -> UnknownNameError:
    """The error for a name of a `kind` (`of` what it would belong to), with the nearest known one or the whole list."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"
    whose = f" of {of}" if of else ""
    return UnknownNameError(f"unknown {kind} {name!r}{whose}; {hint}")
