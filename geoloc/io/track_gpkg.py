"""A site and its tracks as GeoPackage (OGC 12-128r19), written with SQLite alone.

Layers, all EPSG:4326 with ellipsoidal heights (m): `states` (points: the columns of `state_columns`, noise and bias
apart), `tracks` (lines: track, label, levels, time_first, time_last, n_states; a track of one state has none),
`cameras` (points: name) and `stalls` (polygons: name, level).
"""

import sqlite3
import struct
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum, geodetic_from_enu
from geoloc.io.track_columns import state_columns
from geoloc.io.track_geojson import heights
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

APPLICATION, VERSION = 0x47504B47, 10300  # "GPKG", 1.3.0
WGS84 = (
    'GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433],AUTHORITY["EPSG","4326"]]'
)
SYSTEMS = (
    ("Undefined cartesian", -1, "NONE", -1, "undefined"),
    ("Undefined geographic", 0, "NONE", 0, "undefined"),
    ("WGS 84", 4326, "EPSG", 4326, WGS84),
)
TABLES = """
CREATE TABLE gpkg_spatial_ref_sys (srs_name TEXT NOT NULL, srs_id INTEGER PRIMARY KEY, organization TEXT NOT NULL,
  organization_coordsys_id INTEGER NOT NULL, definition TEXT NOT NULL, description TEXT);
CREATE TABLE gpkg_contents (table_name TEXT NOT NULL PRIMARY KEY, data_type TEXT NOT NULL, identifier TEXT UNIQUE,
  description TEXT DEFAULT '', last_change DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  min_x DOUBLE, min_y DOUBLE, max_x DOUBLE, max_y DOUBLE, srs_id INTEGER REFERENCES gpkg_spatial_ref_sys(srs_id));
CREATE TABLE gpkg_geometry_columns (table_name TEXT NOT NULL PRIMARY KEY REFERENCES gpkg_contents(table_name),
  column_name TEXT NOT NULL, geometry_type_name TEXT NOT NULL, srs_id INTEGER NOT NULL, z TINYINT NOT NULL,
  m TINYINT NOT NULL, UNIQUE (table_name, column_name));
"""
HEADER = b"GP\x00\x01" + struct.pack("<i", 4326)  # little-endian, no envelope
TYPES = {"i": "INTEGER", "f": "REAL", "U": "TEXT", "O": "TEXT"}


def write_gpkg(path: Path, recording: Recording, options: WriteOptions) -> None:
    """Write the layers, a piece at a time; InputError without a datum, or where SQLite cannot write."""
    try:
        _write(path, recording, options)
    except sqlite3.Error as error:
        raise InputError(f"the GeoPackage cannot be written ({error})") from error


def _write(path: Path, recording: Recording, options: WriteOptions) -> None:
    site = recording.site
    datum = site.site_map.require_datum("GeoPackage")
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(
            f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; PRAGMA journal_mode = OFF;"
            f"PRAGMA synchronous = OFF; {TABLES}"
        )
        db.executemany("INSERT INTO gpkg_spatial_ref_sys VALUES (?, ?, ?, ?, ?, '')", SYSTEMS)
        none = state_columns(Tracks(), np.zeros(0), options.probability)
        _layer(db, "states", "POINT", {name: TYPES[values.dtype.kind] for name, values in none.items()})
        times = {"time_first": "REAL", "time_last": "REAL", "n_states": "INTEGER"}
        _layer(db, "tracks", "LINESTRING", {"track": "INTEGER", "label": "TEXT", "levels": "TEXT", **times})
        _layer(db, "cameras", "POINT", {"name": "TEXT"})
        _layer(db, "stalls", "POLYGON", {"name": "TEXT", "level": "TEXT"})
        for tracks in recording.pieces:
            z = heights(tracks, site.site_map)
            places = on_earth(datum, np.column_stack([tracks.xy, z]))
            columns = state_columns(tracks, z, options.probability)
            cells = zip(*(values.tolist() for values in columns.values()), strict=True)
            _insert(db, "states", shapely.points(places), cells)
            _insert(db, "tracks", *_lines(tracks, places))
        posed = [camera for camera in site.cameras if not camera.is_homography]
        centres = np.array([camera.centre_world for camera in posed]).reshape(-1, 3)
        _insert(db, "cameras", shapely.points(on_earth(datum, centres)), [(camera.name,) for camera in posed])
        _insert(db, "stalls", list(_stalls(site, datum)), [(s.name, s.level) for s in site.site_map.stalls])


def on_earth(datum: Datum, enu: np.ndarray) -> np.ndarray:
    """Longitude, latitude (degrees), ellipsoidal height (m) of points (N, 3) m: (N, 3)."""
    lat, lon, height = geodetic_from_enu(datum, enu)
    return np.stack([lon, lat, height], axis=-1)


def _layer(db: sqlite3.Connection, name: str, kind: str, columns: dict[str, str]) -> None:
    cells = ", ".join(f'"{column}" {type_}' for column, type_ in columns.items())
    db.execute(f"CREATE TABLE {name} (fid INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, geom {kind}, {cells})")
    db.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, srs_id) VALUES (?, 'features', ?, 4326)",
        (name, name),
    )
    db.execute("INSERT INTO gpkg_geometry_columns VALUES (?, 'geom', ?, 4326, 1, 0)", (name, kind))


def _insert(
    db: sqlite3.Connection, layer: str, shapes: Iterable[shapely.Geometry], rows: Iterable[tuple[Any, ...]]
) -> None:
    blobs = [HEADER + shapely.to_wkb(shape, byte_order=1, flavor="iso") for shape in shapes]
    for blob, row in zip(blobs, rows, strict=True):
        db.execute(f"INSERT INTO {layer} VALUES (NULL, {', '.join('?' * (len(row) + 1))})", (blob, *row))
    if blobs:
        x0, y0, x1, y1 = shapely.total_bounds(shapely.from_wkb([blob[len(HEADER) :] for blob in blobs])).tolist()
        db.execute(
            "UPDATE gpkg_contents SET min_x = min(ifnull(min_x, 1e9), ?), min_y = min(ifnull(min_y, 1e9), ?), "
            "max_x = max(ifnull(max_x, -1e9), ?), max_y = max(ifnull(max_y, -1e9), ?) WHERE table_name = ?",
            (x0, y0, x1, y1, layer),
        )


def _lines(tracks: Tracks, places: np.ndarray) -> tuple[list[shapely.Geometry], list[tuple[Any, ...]]]:
    moved = [rows for rows in each_track(tracks) if len(rows) > 1]
    cells = [
        (
            int(tracks.track[rows[0]]),
            str(tracks.label[rows[-1]]),
            ", ".join(dict.fromkeys(tracks.level[rows].tolist())),
            float(tracks.time[rows[0]]),
            float(tracks.time[rows[-1]]),
            len(rows),
        )
        for rows in moved
    ]
    return [shapely.LineString(places[rows]) for rows in moved], cells


def _stalls(site: Site, datum: Datum) -> Iterator[shapely.Geometry]:
    for stall in site.site_map.stalls:
        xy = shapely.get_coordinates(stall.polygon.exterior)
        z = site.site_map.level(stall.level).z_extended(xy)
        yield shapely.Polygon(on_earth(datum, np.column_stack([xy, z])))
