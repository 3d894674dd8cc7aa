"""Coordinates of map files: between the site's ENU metres and GeoJSON geometries."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import shapely
from shapely import Geometry, Polygon
from shapely.geometry.polygon import orient

from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum, enu_from_geodetic, geodetic_from_enu

MAX_EXTENT = 50e3  # m; farther from its datum a tangent plane is no map any more
DIGITS_DEG = 12  # 1e-7 m
DIGITS_M = 6
Heights = Callable[[np.ndarray], np.ndarray]  # z (N,) m at xy (N, 2) m


def read_geometry(value: object, types: tuple[str, ...]) -> Geometry:
    """The GeoJSON geometry `value`, of one of `types`, its coordinates as they stand in the file."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in types:
        raise InputError(f"its geometry is of type {kind!r}; it must be {' or '.join(types)}")
    try:
        geometry = shapely.from_geojson(json.dumps(value))
    except (shapely.errors.ShapelyError, ValueError, TypeError) as error:
        found = f"its geometry cannot be read ({error})"
        raise InputError(f"{found}; are its coordinates nested rightly?") from error
    coordinates = shapely.get_coordinates(geometry, include_z=geometry.has_z)
    if not len(coordinates) or not np.isfinite(coordinates).all():
        raise InputError("its coordinates are missing or not all numbers (or only some of them have heights)")
    return geometry


def write_geometry(geometry: Geometry, heights: Heights, datum: Datum | None) -> dict[str, Any]:
    """GeoJSON of a geometry in ENU metres, with heights; outlines anticlockwise, holes clockwise."""
    parts = shapely.get_parts(geometry)
    parts = [orient(part) if isinstance(part, Polygon) else part for part in parts]
    flat = shapely.force_2d(type(geometry)(parts) if hasattr(geometry, "geoms") else parts[0])
    xy = shapely.get_coordinates(flat)
    corners = to_file(np.column_stack([xy, heights(xy)]), datum)
    placed = shapely.set_coordinates(shapely.force_3d(flat), corners)
    return shapely.geometry.mapping(placed)


def to_file(points_world: np.ndarray, datum: Datum | None) -> np.ndarray:
    """(N, 3) ENU m as the file has them: (N, 3) lon, lat (deg), height (m), or the same metres."""
    if datum is None:
        return points_world
    lat, lon, height = geodetic_from_enu(datum, points_world)
    return np.column_stack([lon.round(DIGITS_DEG), lat.round(DIGITS_DEG), height.round(DIGITS_M)])


def from_file(coordinates: np.ndarray, datum: Datum | None, heights: Heights) -> np.ndarray:
    """ENU m (N, 3) of the file's coordinates (N, 2 or 3); without heights the points lie on `heights`."""
    if datum is None:
        xy = coordinates[:, :2]
        return coordinates if coordinates.shape[1] == 3 else np.column_stack([xy, heights(xy)])
    _check_place(coordinates[:, 0], coordinates[:, 1], datum)
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    if coordinates.shape[1] == 3:
        return enu_from_geodetic(datum, lat, lon, coordinates[:, 2])
    height = np.full(len(coordinates), datum.height)
    points = enu_from_geodetic(datum, lat, lon, height)
    for _ in range(4):  # plumb line and site's up differ by 1e-5 rad a 60 m: this converges at once
        height = height + heights(points[:, :2]) - points[:, 2]
        points = enu_from_geodetic(datum, lat, lon, height)
    return points


def _check_place(lon: np.ndarray, lat: np.ndarray, datum: Datum) -> None:
    """Refuse coordinates that are not on WGS84 or far from the datum: often they are swapped."""
    here = f"datum lat {datum.lat_deg}, lon {datum.lon_deg}"
    distance = _distance(lon, lat, datum)
    if distance <= MAX_EXTENT:
        return
    found = f"coordinates [{lon[0]:.6f}, {lat[0]:.6f}] lie {distance / 1e3:.0f} km from the {here}"
    if not np.isfinite(distance):
        found = f"coordinates [{lon[0]:.6f}, {lat[0]:.6f}] are not longitude and latitude"
    if _distance(lat, lon, datum) <= MAX_EXTENT:
        raise InputError(f"{found}; longitude and latitude are swapped: GeoJSON has longitude first")
    raise InputError(f"{found}; correct them or the datum (longitude comes first)")


def _distance(lon: np.ndarray, lat: np.ndarray, datum: Datum) -> float:
    if (np.abs(lat) > 90).any() or (np.abs(lon) > 180).any():
        return np.inf
    return float(np.linalg.norm(enu_from_geodetic(datum, lat, lon), axis=1).max())
