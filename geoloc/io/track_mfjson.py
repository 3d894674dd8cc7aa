"""Tracks as OGC Moving Features JSON (19-045r3, the Prism form): a feature a track, with a MovingPoint.

Coordinates are longitude, latitude (degrees, WGS84; two, as readers such as MovingPandas take no third) over
`datetimes` (ISO 8601, UTC); the height is in z_m. Temporal properties of the same moments: level, state (text, in
steps), object, level_probability, score, sigma_m, ellipse_major_m, ellipse_minor_m, ellipse_azimuth_deg, speed_mps,
heading_deg, velocity_east_mps, velocity_north_mps, z_m (as in GeoJSON), and cov_east_east, cov_east_north,
cov_north_north (m²), of the position as reported, noise and bias together. A score that is not known is left out with
its moment.
Static: track, label, ellipse_probability.
"""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from geoloc.io.track_columns import state_measures
from geoloc.io.track_geojson import DEGREE_DIGITS, METRE_DIGITS, positions_on_earth, utc_text
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording, each_track
from geoloc.scene.tables import Tracks

CRS = {"type": "Name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
TRS = {"type": "Name", "properties": {"name": "urn:ogc:data:time:iso8601"}}
UNITS = {"m": "http://qudt.org/vocab/unit#Meter", "mps": "http://qudt.org/vocab/unit#MeterPerSecond"}
UNITS["deg"] = "http://qudt.org/vocab/unit#DegreeAngle"
COV_DIGITS = 8  # of m²


def mfjson_lines(recording: Recording, options: WriteOptions) -> Iterator[str]:
    """A FeatureCollection of moving points, a track at a time; InputError without a datum."""
    recording.site.site_map.require_datum("Moving Features JSON")
    yield f'{{"type": "FeatureCollection", "crs": {json.dumps(CRS)}, "trs": {json.dumps(TRS)}, "features": ['
    comma = "\n"
    for tracks in recording.pieces:
        lon_lat, z = positions_on_earth(tracks, recording.site.site_map)
        places = np.round(lon_lat, DEGREE_DIGITS)
        numbers = _numbers(tracks, z, options)
        for rows in each_track(tracks):
            feature = _feature(tracks.take(rows), places[rows], {k: v[rows] for k, v in numbers.items()}, options)
            yield comma + json.dumps(feature, ensure_ascii=False, allow_nan=False)
            comma = ",\n"
    yield "\n]}\n"


def _numbers(tracks: Tracks, z: np.ndarray, options: WriteOptions) -> dict[str, np.ndarray]:
    cov = np.round(tracks.position_cov, COV_DIGITS)
    measures = state_measures(tracks, z, options.probability)
    return {
        "object": tracks.object,
        "level_probability": np.round(tracks.level_probability, METRE_DIGITS),
        "score": np.round(tracks.score, METRE_DIGITS),
        **{name: np.round(values, METRE_DIGITS) for name, values in measures.items()},
        "cov_east_east": cov[:, 0, 0],
        "cov_east_north": cov[:, 0, 1],
        "cov_north_north": cov[:, 1, 1],
    }


def _feature(
    track: Tracks, places: np.ndarray, numbers: dict[str, np.ndarray], options: WriteOptions
) -> dict[str, Any]:
    times = [utc_text(time) for time in track.time.tolist()]
    whole = {name: values for name, values in numbers.items() if np.isfinite(values).all()}
    parts = {name: values for name, values in numbers.items() if name not in whole and np.isfinite(values).any()}
    return {
        "type": "Feature",
        "id": str(track.track[0]),
        "properties": {
            "track": int(track.track[0]),
            "label": str(track.label[-1]),
            "ellipse_probability": options.probability,
        },
        "geometry": None,
        "temporalGeometry": {
            "type": "MovingPoint",
            "datetimes": times,
            "coordinates": places.tolist(),
            "interpolation": "Linear",
        },
        "temporalProperties": [
            {
                "datetimes": times,
                "level": {"type": "Text", "values": track.level.tolist(), "interpolation": "Step"},
                "state": {"type": "Text", "values": track.state.tolist(), "interpolation": "Step"},
                **{name: _measure(name, values) for name, values in whole.items()},
            },
            *(
                {
                    "datetimes": [times[i] for i in np.flatnonzero(np.isfinite(values))],
                    name: _measure(name, values[np.isfinite(values)]),
                }
                for name, values in parts.items()
            ),
        ],
    }


def _measure(name: str, values: np.ndarray) -> dict[str, Any]:
    unit = UNITS.get(name.rpartition("_")[2])
    steps = "Step" if name == "object" else "Linear"
    form = {"form": unit} if unit else {}
    return {"type": "Measure", **form, "values": values.tolist(), "interpolation": steps}
