"""WGS84 and the site's local tangent plane (ENU). Degrees live here and in `io`, nowhere else."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError

WGS84_A = 6378137.0  # semi-major axis, m
WGS84_F = 1.0 / 298.257223563
WGS84_E2 = WGS84_F * (2.0 - WGS84_F)


@dataclass(frozen=True)
class Datum:
    """Origin of a site's ENU frame: WGS84 latitude and longitude in degrees, ellipsoidal height in m."""

    lat_deg: float
    lon_deg: float
    height: float = 0.0

    def __post_init__(self) -> None:
        if not (-90 <= self.lat_deg <= 90 and -180 <= self.lon_deg <= 180 and np.isfinite(self.height)):
            raise InputError(
                f"datum lat {self.lat_deg}, lon {self.lon_deg}, height {self.height} is not on WGS84; "
                "latitude is within 90, longitude within 180 degrees (swapped?)"
            )


def ecef_from_geodetic(lat_deg: np.ndarray, lon_deg: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Earth-centred coordinates: three arrays (...) -> (..., 3) m."""
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    normal = WGS84_A / np.sqrt(1.0 - WGS84_E2 * np.sin(lat) ** 2)
    x = (normal + height) * np.cos(lat) * np.cos(lon)
    y = (normal + height) * np.cos(lat) * np.sin(lon)
    z = (normal * (1.0 - WGS84_E2) + height) * np.sin(lat)
    return np.stack(np.broadcast_arrays(x, y, z), axis=-1)


def geodetic_from_ecef(ecef: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitude (deg), longitude (deg) and height (m) of (..., 3) m; fixed point, below 1e-9 m near Earth."""
    x, y, z = np.moveaxis(np.asarray(ecef, float), -1, 0)
    distance = np.hypot(x, y)
    lat = np.arctan2(z, distance * (1.0 - WGS84_E2))
    for _ in range(6):
        normal = WGS84_A / np.sqrt(1.0 - WGS84_E2 * np.sin(lat) ** 2)
        lat = np.arctan2(z + WGS84_E2 * normal * np.sin(lat), distance)
    normal = WGS84_A / np.sqrt(1.0 - WGS84_E2 * np.sin(lat) ** 2)
    # well conditioned at the poles too, unlike distance / cos(lat) - normal
    height = distance * np.cos(lat) + z * np.sin(lat) - WGS84_A**2 / normal
    return np.degrees(lat), np.degrees(np.arctan2(y, x)), height


def enu_from_geodetic(
    datum: Datum, lat_deg: np.ndarray, lon_deg: np.ndarray, height: np.ndarray | float | None = None
) -> np.ndarray:
    """East, north, up (m) in the datum's tangent plane: (...) each -> (..., 3).

    `height` is ellipsoidal, in m; left out, it is the datum's.
    """
    up = np.asarray(datum.height if height is None else height, float)
    offset = ecef_from_geodetic(np.asarray(lat_deg, float), np.asarray(lon_deg, float), up) - _origin(datum)
    return offset @ _enu_from_ecef(datum).T


def geodetic_from_enu(datum: Datum, enu: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitude (deg), longitude (deg), ellipsoidal height (m) of ENU points (..., 3) m."""
    return geodetic_from_ecef(np.asarray(enu, float) @ _enu_from_ecef(datum) + _origin(datum))


def _origin(datum: Datum) -> np.ndarray:
    return ecef_from_geodetic(*map(np.asarray, (datum.lat_deg, datum.lon_deg, datum.height)))


def _enu_from_ecef(datum: Datum) -> np.ndarray:
    lat, lon = np.radians(datum.lat_deg), np.radians(datum.lon_deg)
    east = [-np.sin(lon), np.cos(lon), 0.0]
    north = [-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)]
    up = [np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)]
    return np.array([east, north, up])
