"""What is known of MEVA's objects and people, for evaluation only: objects, identity pairs, GPS."""

from pathlib import Path
from typing import ClassVar, TypeVar

import numpy as np

from geoloc.errors import InputError
from geoloc.files import find_files, read_columns
from geoloc.geometry.geodesy import enu_from_geodetic
from geoloc.io.meva import read_boxes, read_meva_datum
from geoloc.scene.columns import Column, Table

AnyTable = TypeVar("AnyTable", bound=Table)


class MevaBoxes(Table):
    """The annotation's object of every box; `detection` is the id that `read_meva` gives it."""

    detection: np.ndarray
    time: np.ndarray
    camera: np.ndarray
    frame: np.ndarray
    object: np.ndarray
    label: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "detection": Column(int),
        "time": Column(float, unit="s"),
        "camera": Column(str),
        "frame": Column(int),
        "object": Column(int),  # numbered in its camera; -1: none
        "label": Column(str),
    }


class MevaObjects(Table):
    """Objects of single cameras: tracks of one camera that are the same thing, as its editors merged them."""

    camera: np.ndarray
    object: np.ndarray
    label: np.ndarray
    t_first: np.ndarray
    t_last: np.ndarray
    n_frames: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "camera": Column(str),
        "object": Column(int),
        "label": Column(str),
        "t_first": Column(float, unit="s"),
        "t_last": Column(float, unit="s"),
        "n_frames": Column(int),
    }


class MevaPairs(Table):
    """Two objects of two cameras that are the same thing, as derived by the recording's editors."""

    label: np.ndarray
    camera_a: np.ndarray
    object_a: np.ndarray
    camera_b: np.ndarray
    object_b: np.ndarray
    level: np.ndarray
    dt: np.ndarray
    path: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "label": Column(str),
        "camera_a": Column(str),
        "object_a": Column(int),
        "camera_b": Column(str),
        "object_b": Column(int),
        "level": Column(str),  # A, B: moving; C: standing, weak; G: in a walking group
        "dt": Column(float, unit="s"),
        "path": Column(float, unit="m"),
    }


class MevaGpsMatches(Table):
    """Objects and the GPS logger that their person wore; `isolated` matches are the sound ones."""

    camera: np.ndarray
    object: np.ndarray
    logger: np.ndarray
    gps_minus_video: np.ndarray
    distance: np.ndarray
    confidence: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "camera": Column(str),
        "object": Column(int),
        "logger": Column(str),
        "gps_minus_video": Column(float, unit="s"),
        "distance": Column(float, unit="m"),  # median, as the editors found it
        "confidence": Column(str),  # isolated or weak
    }


class MevaGpsFixes(Table):
    """Fixes of the loggers on the site's map, good to 3 to 5 m."""

    logger: np.ndarray
    time: np.ndarray
    xy: np.ndarray
    columns: ClassVar[dict[str, Column]] = {
        "logger": Column(str),
        "time": Column(float, unit="s"),  # from the slot's start
        "xy": Column(float, (2,), "m"),
    }


def read_meva_truth(folder: Path | str, slot: str) -> MevaBoxes:
    """The object of every box of a slot, all types and cameras, whatever `read_meva` keeps of them."""
    rows = read_boxes(folder, slot)
    return MevaBoxes(
        detection=np.arange(len(rows.frame)),
        time=rows.time,
        camera=rows.camera,
        frame=rows.frame,
        object=rows.object,
        label=rows.label,
    )


def read_meva_objects(folder: Path | str, slot: str) -> MevaObjects:
    """Objects of a slot's cameras; empty where it lists none."""
    names = {"object": "object_id", "label": "type"}
    return _read(MevaObjects, Path(folder) / "tracks" / slot / "objects.csv", names)


def read_meva_pairs(folder: Path | str, slot: str) -> MevaPairs:
    """Identity pairs of a slot; empty where it has none."""
    names = {"label": "type", "dt": "dt_s", "path": "path_m"}
    return _read(MevaPairs, Path(folder) / "tracks" / slot / "identities.csv", names)


def read_meva_gps_matches(folder: Path | str, slot: str) -> MevaGpsMatches:
    """Objects with a GPS logger; empty where the slot has no GPS."""
    names = {"object": "object_id", "gps_minus_video": "gps_minus_video_s", "distance": "median_m"}
    return _read(MevaGpsMatches, Path(folder) / "gps" / f"{slot}.matches.csv", names)


def read_meva_gps(folder: Path | str, slot: str) -> MevaGpsFixes:
    """GPS fixes of a slot from their latitude and longitude; empty where the slot has no GPS."""
    if not (Path(folder) / "gps" / f"{slot}.csv.gz").is_file():
        return MevaGpsFixes()
    file = find_files(Path(folder) / "gps", f"{slot}.csv.gz", "GPS fixes")[0]
    columns = read_columns(file)
    try:
        lat, lon = np.array(columns["lat"], float), np.array(columns["lon"], float)
        xy = enu_from_geodetic(read_meva_datum(folder), lat, lon)[:, :2]
        return MevaGpsFixes(logger=columns["logger"], time=np.array(columns["time_s"], float), xy=xy)
    except (KeyError, ValueError) as error:
        raise InputError(f"{file}: column {error} is absent or broken") from error


def _read(table: type[AnyTable], file: Path, names: dict[str, str]) -> AnyTable:
    if not file.is_file():
        return table()
    columns = read_columns(file)
    try:
        return table(
            **{
                name: np.array(columns[names.get(name, name)], dtype=column.dtype)
                for name, column in table.columns.items()
            }
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"{file}: column {error} is absent or broken") from error
