"""The decorator that compiles a loop, and where what it compiled is kept.

numba keeps a function's machine code beside its source and renews it when that one file changes, though the
code of every function that it calls lies in it too. So the code is kept in a folder named after the sources of all
kernels that lie together: one that changes takes all of them along.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
CACHE = "GEOLOC_CACHE_DIR"  # environment variable: where compiled code is kept instead of the user's cache


def compiled(function: F) -> F:
    """`function` compiled at its first call, or itself without numba; divisions by zero give infinities or NaN.

    Machine code is kept for the next process where a folder can be written, else made anew in each.
    """
    if not is_compiled():
        return _quiet(function)
    import numba

    options = {"error_model": "numpy", "nogil": True}
    folder = _folder(numba.config.CACHE_DIR, Path(function.__code__.co_filename).parent)
    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder can be written
        return numba.njit(**options)(function)
    finally:
        numba.config.CACHE_DIR = before


def inlined(function: F) -> F:
    """As `compiled`, put into the loops that call it; such a function makes no arrays.

    numba counts the references to every array that is handed on, which takes longer than what most of these work
    out. What makes no arrays need not count.
    """
    if not is_compiled():
        return function
    import numba

    return numba.njit(error_model="numpy", nogil=True, forceinline=True, _nrt=False)(function)


def _quiet(function: F) -> F:
    """`function` as Python, as silent about infinities and numbers that wrap round as machine code is."""

    @wraps(function)
    def quiet(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return cast(F, quiet)


def is_compiled() -> bool:
    """Whether loops run as machine code here."""
    try:
        import numba
    except ImportError:
        return False
    return not numba.config.DISABLE_JIT


def will_compile(kernels: Path) -> bool:
    """Whether the loops in the folder `kernels` are still to be compiled for this machine, once."""
    if not is_compiled():
        return False
    import numba

    return not any(_folder(numba.config.CACHE_DIR, kernels).rglob("*.nbc"))


def _folder(asked: str, kernels: Path) -> Path:
    """The folder of these sources' machine code, under what numba was `asked` to use, or the user's cache."""
    base = os.environ.get(CACHE) or asked
    if not base:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        base = os.path.join(base, "geoloc")
    return Path(base) / f"kernels-{_fingerprint(kernels)}"


@cache
def _fingerprint(kernels: Path) -> str:
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for file in sorted(kernels.glob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
