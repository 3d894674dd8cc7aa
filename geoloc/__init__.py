"""geoloc: persistent, georeferenced object positions with honest uncertainty, from a site's fixed cameras.

>>> site = geoloc.load_site("garage")                     # doctest: +SKIP
>>> tracks = geoloc.localize(detections, site)            # doctest: +SKIP

The names below are imported when they are first used, so that `import geoloc` itself costs next to nothing.
"""

# ruff: noqa: F401 - the imports tell type checkers and editors what `__getattr__` gives

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from geoloc.draw.clip import ClipOptions, draw_clip
    from geoloc.draw.export import export
    from geoloc.draw.layers import Markers
    from geoloc.draw.page import PageExtras, PageOptions, write_map_page
    from geoloc.draw.page_cameras import CameraAlarm
    from geoloc.draw.plan import PlanOptions, draw_plan
    from geoloc.draw.still_tracks import draw_still_tracks
    from geoloc.errors import GeolocError, GeometryError, InputError, UnknownNameError
    from geoloc.estimators.triangulation import Triangulation, TriangulationOptions, triangulate
    from geoloc.features.extraction import extract
    from geoloc.geometry.geodesy import Datum
    from geoloc.io.calibrations import CameraOptions, CameraWriteOptions, read_cameras, write_cameras
    from geoloc.io.detection_writers import write_detections
    from geoloc.io.detections import ReadOptions, read_detections
    from geoloc.io.tracks import Exported, WriteOptions, read_tracks, write_tracks
    from geoloc.options import load_options, merge_options, options_to_dict
    from geoloc.pipeline.association import AssociationOptions, associate
    from geoloc.pipeline.existence import ExistenceOptions
    from geoloc.pipeline.footprint import Footprint, FootprintOptions
    from geoloc.pipeline.fusion import FusionOptions, covariance_intersection, fuse
    from geoloc.pipeline.history import HistoryOptions
    from geoloc.pipeline.journal import JournaledLocalizer, JournalOptions
    from geoloc.pipeline.linking import Linked, LinkingOptions, link
    from geoloc.pipeline.localizer import Localizer, LocalizerOptions, localize, replay, windows
    from geoloc.pipeline.projection import ProjectionOptions, project_to_ground
    from geoloc.pipeline.queries import State
    from geoloc.pipeline.smoothing import smooth
    from geoloc.pipeline.stored_state import load_state
    from geoloc.pipeline.tracking import Tracker, TrackingOptions
    from geoloc.relocalize.drift import DriftOptions, check_drift
    from geoloc.relocalize.estimate import PoseEstimate
    from geoloc.relocalize.healing import proposed_camera
    from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks
    from geoloc.relocalize.landmarks import LandmarkMap
    from geoloc.relocalize.mapping import build_landmarks
    from geoloc.relocalize.monitor import DriftMonitor
    from geoloc.relocalize.reference import pin_reference
    from geoloc.relocalize.relocalization import Query, relocalize
    from geoloc.retrieval.gallery import Gallery
    from geoloc.retrieval.looks import Looks
    from geoloc.retrieval.matches import Matches
    from geoloc.retrieval.places import Places, learn_places
    from geoloc.scene.camera import Camera
    from geoloc.scene.lenses import LENSES, Fisheye, Homography, Pinhole, RadialTangential
    from geoloc.scene.map_storage import load_map, save_map
    from geoloc.scene.site import Site
    from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface
    from geoloc.scene.storage import load_cameras, load_site, save_cameras, save_site
    from geoloc.scene.tables import Detections, Dropped, GroundPoints, Objects, Tracks
    from geoloc.scene.versions import list_versions, load_site_at
    from geoloc.scene.visibility import Visibility, compute_visibility

_HOMES = {
    "geoloc.draw.clip": ("ClipOptions", "draw_clip"),
    "geoloc.draw.export": ("export",),
    "geoloc.draw.layers": ("Markers",),
    "geoloc.draw.page": ("PageExtras", "PageOptions", "write_map_page"),
    "geoloc.draw.page_cameras": ("CameraAlarm",),
    "geoloc.draw.plan": ("PlanOptions", "draw_plan"),
    "geoloc.draw.still_tracks": ("draw_still_tracks",),
    "geoloc.errors": ("GeolocError", "GeometryError", "InputError", "UnknownNameError"),
    "geoloc.estimators.triangulation": ("Triangulation", "TriangulationOptions", "triangulate"),
    "geoloc.features.extraction": ("extract",),
    "geoloc.geometry.geodesy": ("Datum",),
    "geoloc.io.calibrations": ("CameraOptions", "CameraWriteOptions", "read_cameras", "write_cameras"),
    "geoloc.io.detection_writers": ("write_detections",),
    "geoloc.io.detections": ("ReadOptions", "read_detections"),
    "geoloc.io.tracks": ("Exported", "WriteOptions", "read_tracks", "write_tracks"),
    "geoloc.options": ("load_options", "merge_options", "options_to_dict"),
    "geoloc.pipeline.association": ("AssociationOptions", "associate"),
    "geoloc.pipeline.existence": ("ExistenceOptions",),
    "geoloc.pipeline.footprint": ("Footprint", "FootprintOptions"),
    "geoloc.pipeline.fusion": ("FusionOptions", "covariance_intersection", "fuse"),
    "geoloc.pipeline.history": ("HistoryOptions",),
    "geoloc.pipeline.journal": ("JournaledLocalizer", "JournalOptions"),
    "geoloc.pipeline.stored_state": ("load_state",),
    "geoloc.pipeline.linking": ("Linked", "LinkingOptions", "link"),
    "geoloc.pipeline.localizer": ("Localizer", "LocalizerOptions", "localize", "replay", "windows"),
    "geoloc.pipeline.projection": ("ProjectionOptions", "project_to_ground"),
    "geoloc.pipeline.queries": ("State",),
    "geoloc.pipeline.smoothing": ("smooth",),
    "geoloc.pipeline.tracking": ("Tracker", "TrackingOptions"),
    "geoloc.relocalize.drift": ("DriftOptions", "check_drift"),
    "geoloc.relocalize.estimate": ("PoseEstimate",),
    "geoloc.relocalize.healing": ("proposed_camera",),
    "geoloc.relocalize.landmark_storage": ("load_landmarks", "save_landmarks"),
    "geoloc.relocalize.landmarks": ("LandmarkMap",),
    "geoloc.relocalize.mapping": ("build_landmarks",),
    "geoloc.relocalize.monitor": ("DriftMonitor",),
    "geoloc.relocalize.reference": ("pin_reference",),
    "geoloc.relocalize.relocalization": ("Query", "relocalize"),
    "geoloc.retrieval.gallery": ("Gallery",),
    "geoloc.retrieval.looks": ("Looks",),
    "geoloc.retrieval.matches": ("Matches",),
    "geoloc.retrieval.places": ("Places", "learn_places"),
    "geoloc.scene.camera": ("Camera",),
    "geoloc.scene.lenses": ("LENSES", "Fisheye", "Homography", "Pinhole", "RadialTangential"),
    "geoloc.scene.map_storage": ("load_map", "save_map"),
    "geoloc.scene.site": ("Site",),
    "geoloc.scene.sitemap": ("ControlPoint", "Level", "Occluder", "Place", "SiteMap", "Surface"),
    "geoloc.scene.storage": ("load_cameras", "load_site", "save_cameras", "save_site"),
    "geoloc.scene.tables": ("Detections", "Dropped", "GroundPoints", "Objects", "Tracks"),
    "geoloc.scene.versions": ("list_versions", "load_site_at"),
    "geoloc.scene.visibility": ("Visibility", "compute_visibility"),
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
