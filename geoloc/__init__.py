"""What the fixed cameras of a site see becomes georeferenced object positions with honest uncertainty.

>>> from geoloc import load_site, localize, read_detections, write_tracks

Every public name is loaded when it is first asked for, so that `import geoloc` costs next to nothing.
"""

# ruff: noqa: F401 - the imports below are what type checkers and editors see

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from geoloc.errors import GeolocError, GeometryError, InputError, UnknownNameError
    from geoloc.io.detections import ReadOptions, read_detections
    from geoloc.options import load_options, merge_options, options_to_dict
    from geoloc.pipeline.association import AssociationOptions, associate
    from geoloc.pipeline.fusion import FusionOptions, fuse
    from geoloc.pipeline.localizer import Localizer, LocalizerOptions, localize, replay, windows
    from geoloc.pipeline.projection import ProjectionOptions, project_to_ground
    from geoloc.pipeline.smoothing import smooth
    from geoloc.pipeline.tracking import Tracker, TrackingOptions
    from geoloc.scene.camera import Camera
    from geoloc.scene.lenses import Fisheye, Homography, Pinhole, RadialTangential
    from geoloc.scene.site import Site
    from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface
    from geoloc.scene.tables import Detections, Dropped, GroundPoints, Objects, Tracks

_HOMES = {
    "geoloc.errors": ("GeolocError", "GeometryError", "InputError", "UnknownNameError"),
    "geoloc.io.detections": ("ReadOptions", "read_detections"),
    "geoloc.options": ("load_options", "merge_options", "options_to_dict"),
    "geoloc.pipeline.association": ("AssociationOptions", "associate"),
    "geoloc.pipeline.fusion": ("FusionOptions", "fuse"),
    "geoloc.pipeline.localizer": ("Localizer", "LocalizerOptions", "localize", "replay", "windows"),
    "geoloc.pipeline.projection": ("ProjectionOptions", "project_to_ground"),
    "geoloc.pipeline.smoothing": ("smooth",),
    "geoloc.pipeline.tracking": ("Tracker", "TrackingOptions"),
    "geoloc.scene.camera": ("Camera",),
    "geoloc.scene.lenses": ("Fisheye", "Homography", "Pinhole", "RadialTangential"),
    "geoloc.scene.site": ("Site",),
    "geoloc.scene.sitemap": ("ControlPoint", "Level", "Occluder", "Place", "SiteMap", "Surface"),
    "geoloc.scene.tables": ("Detections", "Dropped", "GroundPoints", "Objects", "Tracks"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'geoloc' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
