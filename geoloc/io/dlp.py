"""The stall map of the Dragon Lake Parking data set (Shen et al., MPC Lab, UC Berkeley, 2022) as a site's map.

`parking_map.yml`: MAP_SIZE x, y (m, origin at the lot's south-west corner), PARKING_AREAS by letter, each with the
`bounds` of a block (four corners, m) that is divided evenly into `shape` rows by columns of stalls, and WAYPOINTS by
name, each from one place to another with how many lie on the way. There is no datum: the lot is in metres.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geoloc.errors import InputError
from geoloc.io.yaml_text import read_yaml
from geoloc.scene.sitemap import Level, Place, SiteMap, Surface

LEVEL = "lot"
NARROWEST = 0.5  # m; a stall that is narrower is a wrong number


@dataclass(frozen=True, eq=False)
class ParkingLot:
    """The lot's map, and the ways by name: both ends of each, (2, 2) m."""

    site_map: SiteMap
    ways: dict[str, np.ndarray]


def read_parking_lot(path: Path | str) -> ParkingLot:
    """Stalls named after block, row from the north and column from the west, such as `B-2-07`; and the ways."""
    content = read_yaml(path)
    try:
        size = content["MAP_SIZE"]
        ground = shapely.box(0.0, 0.0, float(size["x"]), float(size["y"]))
        stalls = [stall for name, block in content["PARKING_AREAS"].items() for stall in _stalls(str(name), block)]
        ways = {str(name): _points(way["bounds"]) for name, way in content["WAYPOINTS"].items()}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f"{path}: no stall map of Dragon Lake Parking ({error!r})") from error
    level = Level(LEVEL, (Surface((0.0, 0.0, 0.0), ground),))
    return ParkingLot(SiteMap(levels=(level,), stalls=tuple(stalls)), ways)


def _stalls(name: str, block: dict[str, Any]) -> list[Place]:
    corners = _points(block["bounds"])
    (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
    rows, columns = (int(n) for n in block["areas"][0]["shape"])
    if min(rows, columns) < 1 or min((x1 - x0) / columns, (y1 - y0) / rows) < NARROWEST:
        raise ValueError(f"block {name!r}: {rows} x {columns} stalls on {x1 - x0:g} x {y1 - y0:g} m")
    x, y = np.linspace(x0, x1, columns + 1), np.linspace(y1, y0, rows + 1)
    return [
        Place(f"{name}-{i + 1}-{k + 1:02d}", LEVEL, shapely.box(x[k], y[i + 1], x[k + 1], y[i]), "stall")
        for i in range(rows)
        for k in range(columns)
    ]


def _points(values: object) -> np.ndarray:
    points = np.asarray(values, float)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(f"places {values!r}")
    return points
