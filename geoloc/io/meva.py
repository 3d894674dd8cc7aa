"""The MEVA recording (Kitware Inc. and IARPA, CC BY 4.0): a facility, five-minute slots, up to 13 cameras.

World is the recording's `new` frame, which is ENU around its datum. Time is seconds from the slot's start,
with the cameras' clocks true to about 1 s. Boxes were drawn from corner to corner and are shifted by half a
pixel here. They exist only while an activity lasts: the absence of a box says nothing.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoloc.errors import InputError, unknown_name
from geoloc.files import find_files, read_columns, read_json
from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import from_rt, pose_cov
from geoloc.io.camera_parts import lens_from_matrix
from geoloc.io.recording_forms import MEVA_EDGE_SHIFT as EDGE_SHIFT
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface
from geoloc.scene.tables import Detections

logger = logging.getLogger(__name__)

FPS = 30.0
# Ground of the `new` frame as the recording's README measured it: height z (m) at y (m), to about 0.3 m.
GROUND_PROFILE = ((-80.0, 1.0), (-55.0, 1.1), (-30.0, 0.72), (48.0, -0.5))
GROUND_SIGMA_Z = 0.3
REACH = 2000.0  # m; how far the ground's pieces go beyond the profile
# The files state no accuracy. Assumed: 1 mrad of rotation, 20 cm of position.
ASSUMED_SIGMA = (0.001, 0.2)


def meva_slots(folder: Path | str) -> list[str]:
    """Names of the slots that lie in the recording's folder."""
    return [file.parent.name for file in find_files(folder, "tracks/*/slot.json", "slot")]


def read_meva(
    folder: Path | str,
    slot: str,
    every_s: float = 0.0,
    labels: Collection[str] = ("person", "vehicle"),
    pose_sigma: tuple[float, float] = ASSUMED_SIGMA,
) -> tuple[Site, Detections]:
    """Site and boxes of one slot, without track, object and activity identities.

    `every_s` > 0 keeps, of each camera, the frame that is nearest to each multiple of it (s); 0 keeps all 30
    frames a second. `labels` says which types of object are kept. Cameras without a model in the common
    frame are left out with a warning in the log, and so are their boxes.
    """
    site = read_meva_site(folder, slot, pose_sigma)
    rows = read_boxes(folder, slot)
    keep = np.isin(rows.label, list(labels)) & (site.camera_rows(rows.camera) >= 0)
    if every_s > 0:
        keep &= on_grid(rows, every_s)
    ids = np.arange(len(keep))
    found = Detections(id=ids, time=rows.time, camera=rows.camera, box=rows.box, label=rows.label)
    return site, found.take(keep)


def read_meva_site(folder: Path | str, slot: str, pose_sigma: tuple[float, float] = ASSUMED_SIGMA) -> Site:
    """Cameras of a slot with the models that its `slot.json` names, the tilted ground, the datum."""
    content = _calibration(folder)
    try:
        models = {model["model"]: model for model in content["cameras"]}
        wanted = {entry["camera"]: entry["camera_model"] for entry in _slot(folder, slot)["cameras"]}
        cameras = []
        for name, model in wanted.items():
            why = _left_out(models.get(model))
            if why:
                logger.warning("MEVA slot %s: camera %s is left out: %s", slot, name, why)
            else:
                cameras.append(_camera(name, models[model], pose_sigma))
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder}: cameras_new.json or slot.json of {slot} lacks {error}") from error
    return Site(f"meva {slot}", tuple(cameras), SiteMap((meva_ground(),), datum=read_meva_datum(folder)))


def read_meva_datum(folder: Path | str) -> Datum:
    """Origin of the recording's `new` frame."""
    try:
        origin = _calibration(folder)["wgs84_origin"]
        return Datum(origin["lat"], origin["lon"], origin["h"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder}: cameras_new.json lacks {error} of the frame's origin") from error


def meva_ground() -> Level:
    """The ground of the `new` frame: tilted pieces between the profile's heights, level beyond them."""
    (y_first, z_first), (y_last, z_last) = GROUND_PROFILE[0], GROUND_PROFILE[-1]
    pieces = [_piece(y_first - REACH, y_first, 0.0, z_first), _piece(y_last, y_last + REACH, 0.0, z_last)]
    for (y0, z0), (y1, z1) in pairwise(GROUND_PROFILE):
        slope = (z1 - z0) / (y1 - y0)
        pieces.append(_piece(y0, y1, slope, z0 - slope * y0))
    return Level("ground", tuple(pieces))


@dataclass(frozen=True, eq=False)
class BoxRows:
    """Every box of a slot's files, cameras in the order of their names; a row's index is its detection id."""

    camera: np.ndarray  # (N,) str
    frame: np.ndarray  # (N,) int
    time: np.ndarray  # (N,) s
    object: np.ndarray  # (N,) int, the annotation's; -1: none
    label: np.ndarray  # (N,) str
    box: np.ndarray  # (N, 4) px


def read_boxes(folder: Path | str, slot: str) -> BoxRows:
    """All boxes of a slot with their true object, for the readers of this recording only."""
    files = find_files(Path(folder) / "tracks" / slot, "*.csv.gz", "boxes of a camera")
    parts = [(file.name.removesuffix(".csv.gz"), read_columns(file)) for file in files]

    def join(name: str, dtype: type, empty: str = "") -> np.ndarray:
        try:
            columns = [part[name] for _, part in parts]
            return np.array([cell or empty for column in columns for cell in column], dtype)
        except (KeyError, ValueError) as error:
            raise InputError(f"{folder}: slot {slot}: column {name} is absent or broken ({error})") from error

    box = np.stack([join(name, float) for name in ("x1", "y1", "x2", "y2")], axis=1) + EDGE_SHIFT
    camera = np.repeat([name for name, _ in parts], [len(columns["frame"]) for _, columns in parts])
    frame, time = join("frame", int), join("time_s", float)
    return BoxRows(camera, frame, time, join("object_id", int, empty="-1"), join("type", str), box)


def on_grid(rows: BoxRows, every_s: float) -> np.ndarray:
    """Which rows (N,) lie on the frame of their camera that is nearest to a multiple of `every_s`."""
    keep = np.zeros(len(rows.frame), dtype=bool)
    for name in np.unique(rows.camera):
        mine = np.flatnonzero(rows.camera == name)
        start = np.median(rows.time[mine] - rows.frame[mine] / FPS)
        instant = every_s * np.rint(rows.time[mine] / every_s)
        nearest = np.floor((instant - start) * FPS + 0.5 - 1e-3)  # a tie goes to the earlier frame
        keep[mine] = rows.frame[mine] == nearest
    return keep


def _calibration(folder: Path | str) -> dict[str, Any]:
    return read_json(Path(folder) / "calibration" / "cameras_new.json")


def _slot(folder: Path | str, slot: str) -> dict[str, Any]:
    file = Path(folder) / "tracks" / slot / "slot.json"
    if not file.is_file():
        raise unknown_name("MEVA slot", slot, meva_slots(folder))
    return read_json(file)


def _left_out(model: dict[str, Any] | None) -> str:
    if model is None:
        return "it has no model in cameras_new.json"
    return f"its frame is its own ({model['own_frame']})" if model["own_frame"] else ""


def _camera(name: str, model: dict[str, Any], pose_sigma: tuple[float, float]) -> Camera:
    lens = lens_from_matrix(model["K"], model["distortion"], f"camera {name}")
    pose = from_rt(model["R"], model["t"])
    return Camera(name, lens, (model["width"], model["height"]), pose, pose_cov(*pose_sigma))


def _piece(y0: float, y1: float, slope: float, height: float) -> Surface:
    return Surface((0.0, slope, height), shapely.box(-REACH, y0, REACH, y1), GROUND_SIGMA_Z)
