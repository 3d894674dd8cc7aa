"""Tracks as GeoJSON (RFC 7946): one line a track, one point a state; longitude first, WGS84.

Properties of a point (feature `"state"`): track, object (-1 = coasting), time (UTC Unix s), time_utc (ISO
8601, for a GIS's time controller), label, state, level, level_probability, score, sigma_m (largest standard
deviation in any direction), ellipse_major_m and ellipse_minor_m (semi-axes), ellipse_azimuth_deg (of the major axis,
clockwise from north, 0 to 180), ellipse_probability, speed_mps, heading_deg (clockwise from north),
velocity_east_mps, velocity_north_mps, z_m (above the datum, of the level's surface). Of a line (feature
`"track"`): track, label, levels, time_first, time_last, time_first_utc, time_last_utc, n_states. A track of
one state has no line.

Uncertainties are of the position as reported: noise and bias together.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.io.track_columns import state_measures
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

DEGREE_DIGITS = 8  # about 1 mm
METRE_DIGITS = 4


def geojson_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """A FeatureCollection of tracks in the order of track and time, piece by piece; InputError without a datum."""
    site_map = recording.site.site_map
    site_map.require_datum("an export with longitude and latitude")
    yield '{"type": "FeatureCollection", "features": ['
    comma = "\n"
    for tracks in recording.pieces:
        lon_lat, z = positions_on_earth(tracks, site_map)
        for feature in (*_lines(tracks, lon_lat), *_points(tracks, lon_lat, z, options)):
            yield comma + json.dumps(feature, ensure_ascii=False, allow_nan=False)
            comma = ",\n"
    yield "\n]}\n"


def positions_on_earth(tracks: Tracks, site_map: SiteMap) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude (N, 2) degrees, and height over the datum (N,) m, 0 off the level."""
    datum = site_map.require_datum("an export with longitude and latitude")
    z = heights(tracks, site_map)
    lat, lon, _ = geodetic_from_enu(datum, np.column_stack([tracks.xy, z]))
    return np.stack([lon, lat], axis=1), z


def heights(tracks: Tracks, site_map: SiteMap) -> np.ndarray:
    """Height of each state's level under it (N,) m; 0 off the level."""
    z = np.zeros(len(tracks))
    for name in np.unique(tracks.level).tolist():
        rows = tracks.level == name
        z[rows] = np.nan_to_num(site_map.level(name).z_at(tracks.xy[rows]), nan=0.0)
    return z


def utc_text(time: float) -> str:
    """Unix seconds as ISO 8601 to the millisecond."""
    return f"{np.datetime64(round(time * 1000), 'ms')}Z"


def _lines(tracks: Tracks, lon_lat: np.ndarray) -> Iterator[dict[str, Any]]:
    for rows in each_track(tracks):
        if len(rows) < 2:
            continue
        first, last = float(tracks.time[rows[0]]), float(tracks.time[rows[-1]])
        properties = {
            "feature": "track",
            "track": int(tracks.track[rows[0]]),
            "label": str(tracks.label[rows[-1]]),
            "levels": ", ".join(dict.fromkeys(tracks.level[rows].tolist())),
            "time_first": first,
            "time_last": last,
            "time_first_utc": utc_text(first),
            "time_last_utc": utc_text(last),
            "n_states": len(rows),
        }
        yield {"type": "Feature", "properties": properties, "geometry": _line_geometry(lon_lat[rows])}


def _line_geometry(lon_lat: np.ndarray) -> dict[str, Any]:
    """A LineString; across the antimeridian a MultiLineString that is cut there (RFC 7946, 3.1.9)."""
    crossings = np.flatnonzero(np.abs(np.diff(lon_lat[:, 0])) > 180.0)
    if not len(crossings):
        return {"type": "LineString", "coordinates": _rounded(lon_lat)}
    parts = []
    begin = lon_lat[:0]
    for part, crossing in zip(np.split(lon_lat, crossings + 1), [*crossings, None], strict=True):
        if crossing is None:
            parts.append(np.concatenate([begin, part]))
            break
        (lon_a, lat_a), (lon_b, lat_b) = lon_lat[crossing], lon_lat[crossing + 1]
        edge = np.copysign(180.0, lon_a)
        share = (edge - lon_a) / (lon_b + 2 * edge - lon_a)
        lat = lat_a + share * (lat_b - lat_a)
        parts.append(np.concatenate([begin, part, [[edge, lat]]]))
        begin = np.array([[-edge, lat]])
    return {"type": "MultiLineString", "coordinates": [_rounded(part) for part in parts]}


def _points(
    tracks: Tracks, lon_lat: np.ndarray, z: np.ndarray, options: WriteOptions
) -> Iterator[dict[str, Any]]:
    metres = state_measures(tracks, z, options.probability)
    rounded = {name: np.round(values, METRE_DIGITS).tolist() for name, values in metres.items()}
    coordinates = _rounded(lon_lat)
    for i in range(len(tracks)):
        properties = {
            "feature": "state",
            "track": int(tracks.track[i]),
            "object": int(tracks.object[i]),
            "time": float(tracks.time[i]),
            "time_utc": utc_text(float(tracks.time[i])),
            "label": str(tracks.label[i]),
            "state": str(tracks.state[i]),
            "level": str(tracks.level[i]),
            "level_probability": _finite(tracks.level_probability[i]),
            "score": _finite(tracks.score[i]),
            "ellipse_probability": options.probability,
            **{name: values[i] for name, values in rounded.items()},
        }
        geometry = {"type": "Point", "coordinates": coordinates[i]}
        yield {"type": "Feature", "properties": properties, "geometry": geometry}


def _rounded(lon_lat: np.ndarray) -> list[list[float]]:
    return np.round(lon_lat, DEGREE_DIGITS).tolist()


def _finite(value: float) -> float | None:
    return round(float(value), METRE_DIGITS) if np.isfinite(value) else None
