"""pycolmap, which not every processor has."""

from types import ModuleType

from geoloc.errors import InputError


def load_pycolmap() -> ModuleType:
    """The library; InputError where it is not installed, as on 64-bit ARM with Linux, for which it has no wheel."""
    try:
        import pycolmap
    except ImportError as error:
        said = "landmarks and relocalization need pycolmap, of which there is no wheel for Linux on 64-bit ARM"
        raise InputError(f"{said} ({error}): do this on another machine, or build pycolmap there") from error
    module: ModuleType = pycolmap
    return module
