"""Tracks out, `export`, `write_tracks` and `WRITERS`; and our own CSV back in, `read_tracks`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from geoloc.errors import InputError, unknown_name
from geoloc.files import whole_file
from geoloc.io.parking import apds_lines, ngsi_lines
from geoloc.io.scene_writers import write_glb, write_ply
from geoloc.io.track_csv import FilePieces, csv_lines, read_tracks
from geoloc.io.track_geojson import geojson_lines
from geoloc.io.track_gpkg import write_gpkg
from geoloc.io.track_kml import kml_lines, write_kmz
from geoloc.io.track_mcap import write_mcap
from geoloc.io.track_mfjson import mfjson_lines
from geoloc.io.track_mot import mot_lines
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_parquet import write_parquet
from geoloc.io.track_pieces import Counted, OneTrack, Pieces, Recording, TablePieces
from geoloc.io.track_rerun import write_rrd
from geoloc.io.track_store import StorePieces, is_store
from geoloc.io.track_tum import tum_lines
from geoloc.scene.site import Site
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

__all__ = ["WRITERS", "Exported", "TrackFormat", "WriteOptions", "export", "format_of", "read_tracks", "write_tracks"]


class TrackWriter(Protocol):
    """Puts a recording into one format."""

    def __call__(self, path: Path, recording: Recording, options: WriteOptions) -> None:
        """Write the whole file, piece by piece; rows in the order of track and time."""


@dataclass(frozen=True)
class TrackFormat:
    """A format: its writer, the endings that choose it, and what of a recording it does not hold."""

    write: TrackWriter
    endings: tuple[str, ...]
    lost: str
    on_earth: bool = True  # longitude and latitude: it needs the map's datum


@dataclass(frozen=True)
class Exported:
    """A file that was written, in which format, and what of the recording it does not hold."""

    path: Path
    kind: str
    lost: str
    n_tracks: int
    n_states: int

    def __str__(self) -> str:
        return f"{self.path} ({self.kind}): without {self.lost}" if self.lost else f"{self.path} ({self.kind})"


def _text(lines: Callable[[Recording, WriteOptions], Iterator[str]]) -> TrackWriter:
    """A writer of UTF-8 text from the function that gives its parts."""

    def write(path: Path, recording: Recording, options: WriteOptions) -> None:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.writelines(lines(recording, options))

    return write


WRITERS: dict[str, TrackFormat] = {
    "geojson": TrackFormat(
        _text(geojson_lines), (".geojson", ".json"), "cameras and the covariance of velocities; noise and bias are one"
    ),
    "csv": TrackFormat(_text(csv_lines), (".csv",), "cameras, map and appearance", on_earth=False),
    "mot": TrackFormat(
        _text(mot_lines), (".txt",), "uncertainty, level, label, velocity, cameras and map", on_earth=False
    ),
    "mfjson": TrackFormat(
        _text(mfjson_lines), (".mfjson",), "cameras, map and the covariance of velocities; noise and bias are one"
    ),
    "kml": TrackFormat(
        _text(kml_lines), (".kml",), "the covariance (sigma and ellipse are there), velocity and lenses"
    ),
    "kmz": TrackFormat(write_kmz, (".kmz",), "the covariance (sigma and ellipse are there), velocity and lenses"),
    "gpkg": TrackFormat(write_gpkg, (".gpkg",), "lenses and poses of cameras, and appearance"),
    "parquet": TrackFormat(write_parquet, (".parquet",), "cameras, map and appearance"),
    "mcap": TrackFormat(
        write_mcap, (".mcap",), "velocity, map and the covariance of cameras; noise and bias are one"
    ),
    "rrd": TrackFormat(
        write_rrd,
        (".rrd",),
        "longitude, latitude, velocity, distortion and the covariance of cameras; noise and bias are one",
        on_earth=False,
    ),
    "glb": TrackFormat(
        write_glb, (".glb",), "uncertainty and time; a track is its path, its level its height", on_earth=False
    ),
    "ply": TrackFormat(
        write_ply, (".ply",), "uncertainty, time, names and levels; a track is its path", on_earth=False
    ),
    "apds": TrackFormat(
        _text(apds_lines),
        (".apds",),
        "tracks, places and uncertainty: it counts the stalls taken at the end, by level",
        on_earth=False,
    ),
    "ngsi-ld": TrackFormat(
        _text(ngsi_lines), (".jsonld",), "tracks outside stalls, and the covariance: stalls at the end, with a sigma"
    ),
    "tum": TrackFormat(
        _text(tum_lines), (".tum",), "uncertainty, level, label, cameras and map; a file is one track", on_earth=False
    ),
}


def export(
    path: Path | str,
    site: Site,
    tracks: Tracks | Path | str = "",
    kind: str = "",
    options: WriteOptions | None = None,
    landmarks: np.ndarray | None = None,
    span: tuple[float, float] = (-np.inf, np.inf),
) -> Exported:
    """Write a site and its tracks to a file, whole or not at all; says what the format does not hold.

    `tracks` are a table, or the path of a CSV that `geoloc localize` or `write_tracks` wrote or of a store that
    `geoloc serve` keeps, which is then read and written piece by piece and never held whole; of a store only what lies
    within the `span` (UTC Unix s). `kind` is a key of `WRITERS`; left out, the file's ending says it.
    `landmarks` (N, 3) m are points of the site's landmark map, for formats of scenes. A state whose place or time is
    not finite is refused by name; so is a format with longitude and latitude for a map without a datum.
    """
    kind = kind or format_of(path)
    options = options or WriteOptions()
    if kind not in WRITERS:
        raise unknown_name("kind of tracks file", kind, WRITERS)
    if WRITERS[kind].on_earth:
        site.site_map.require_datum(f"{path}: an export with longitude and latitude")
    table = tracks if isinstance(tracks, Tracks) else None if str(tracks) else Tracks()
    pieces: Pieces = _pieces_of(Path(str(tracks)), span) if table is None else TablePieces(table)
    counted = Counted(OneTrack(pieces, options.track) if options.track >= 0 else pieces)
    recording = Recording(
        site,
        counted,
        np.zeros((0, 3)) if landmarks is None else np.asarray(landmarks, float).reshape(-1, 3),
    )
    with whole_file(path) as temporary:
        WRITERS[kind].write(temporary, recording, options)
    return Exported(Path(path), kind, WRITERS[kind].lost, counted.n_tracks, counted.n_states)


def _pieces_of(path: Path, span: tuple[float, float]) -> Pieces:
    """The tracks of a file, within a `span` (s) where it is a store."""
    if is_store(path):
        return StorePieces(path, *span)
    if np.isfinite(span).any():
        raise InputError(f"{path}: is no store of geoloc serve; times can be chosen of a store only")
    return FilePieces(path)


def write_tracks(
    path: Path | str,
    tracks: Tracks,
    site_map: SiteMap,
    kind: str | None = None,
    options: WriteOptions | None = None,
) -> Exported:
    """As `export`, of tracks on a map without cameras."""
    return export(path, Site("site", (), site_map), tracks, kind or "", options)


def format_of(path: Path | str) -> str:
    """The key of `WRITERS` that a file's ending names; the ending itself where none does."""
    ending = Path(path).suffix.lower()
    return next((kind for kind, form in WRITERS.items() if ending in form.endings), Path(path).suffix)
