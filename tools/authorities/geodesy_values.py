"""Writes fixtures/authorities/geodesy.json: what PROJ says of WGS84 points in ECEF and in local planes.

pip install pyproj==3.7.2
python tools/authorities/geodesy_values.py
"""

import json
from pathlib import Path

import numpy as np
import pyproj

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "authorities" / "geodesy.json"
COMMAND = "python tools/authorities/geodesy_values.py"
DATUMS = [  # latitude, longitude (deg), ellipsoidal height (m)
    (49.2, 16.6, 240.0),
    (39.04977294, -85.52924953, 205.0),
    (-33.9, 151.2, 20.0),
    (0.0, 0.0, 0.0),
    (71.17, 179.9995, 3.0),
    (89.9999, 45.0, -20.0),
]


def local_plane(lat: float, lon: float, height: float, points: np.ndarray) -> np.ndarray:
    """East, north, up of (N, 3) lat, lon, height by PROJ's topocentric conversion."""
    steps = (
        "+proj=pipeline +step +proj=axisswap +order=2,1 +step +proj=unitconvert +xy_in=deg +xy_out=rad "
        "+step +proj=cart +ellps=WGS84 "
        f"+step +proj=topocentric +ellps=WGS84 +lat_0={lat!r} +lon_0={lon!r} +h_0={height!r}"
    )
    return np.stack(pyproj.Transformer.from_pipeline(steps).transform(*points.T), axis=-1)


def main() -> None:
    rng = np.random.default_rng(4)
    ecef_from_geodetic = pyproj.Transformer.from_crs("EPSG:4979", "EPSG:4978")
    entries = []
    for lat, lon, height in DATUMS:
        spread = np.array([0.004, 0.006, 60.0])  # some hundred metres around
        points = np.array([lat, lon, height]) + rng.uniform(-1, 1, (8, 3)) * spread
        points[:, 0] = np.clip(points[:, 0], -90, 90)
        points[:, 1] = (points[:, 1] + 180) % 360 - 180
        entries.append(
            {
                "datum": [lat, lon, height],
                "geodetic": points.tolist(),
                "ecef": np.stack(ecef_from_geodetic.transform(*points.T), axis=-1).tolist(),
                "enu": local_plane(lat, lon, height, points).tolist(),
            }
        )
    versions = {"pyproj": pyproj.__version__, "PROJ": pyproj.proj_version_str}
    document = {"command": COMMAND, "versions": versions, "sites": entries}
    OUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
