"""Coordinates of foreign files (degrees, national grids, plain metres) on their way to the site's ENU metres."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from geoloc.errors import InputError
from geoloc.geometry.geodesy import enu_from_geodetic
from geoloc.scene.map_coordinates import MAX_EXTENT
from geoloc.scene.sitemap import SiteMap

DEGREES = "EPSG:4326"
METRES = ""  # the site's own


@dataclass(frozen=True)
class PointOptions:
    """What a file of points or a plan does not say about itself."""

    site_map: SiteMap = field(default_factory=SiteMap)  # its datum places degrees and grids, its level gives heights
    level: str = ""  # on which points without a height lie (default: the map's first)
    # reference system: "EPSG:4326" (degrees), "EPSG:25832", ... ("": what the file says, or else the site's metres)
    crs: str = ""
    unit_m: float = 0.0  # metres in the file's unit, such as 0.001 (0: what the file says, or else metres)
    sigma_xy: float = float("nan")  # m, of points that state none (NaN: what is usual for the form)
    sigma_z: float = float("nan")  # m; as sigma_xy

    def __post_init__(self) -> None:
        if self.level:
            self.site_map.level(self.level)
        if not (np.isfinite(self.unit_m) and self.unit_m >= 0):
            raise InputError(f"unit_m is {self.unit_m}; it must be the metres in one unit of the file, such as 0.001")
        for sigma in (self.sigma_xy, self.sigma_z):
            if not (np.isnan(sigma) or 0 < sigma < np.inf):
                raise InputError(f"sigma of points is {sigma} m; it must be positive")

    def sigmas(self, usual_xy: float, usual_z: float) -> np.ndarray:
        """Standard deviation (3,) m of a point that states none."""
        xy = usual_xy if np.isnan(self.sigma_xy) else self.sigma_xy
        return np.array([xy, xy, usual_z if np.isnan(self.sigma_z) else self.sigma_z])

    def z_at(self, xy: np.ndarray) -> np.ndarray:
        """Height (N,) m of the ground at (N, 2) m."""
        level = self.site_map.level(self.level) if self.level else self.site_map.levels[0]
        return level.z_extended(xy)


def named_crs(words: str) -> str:
    """The reference system in a header such as "EPSG:32632", "WGS84 UTM 32N", WKT or PROJ; METRES for none."""
    words = words.strip()
    utm = re.search(r"UTM\s*(?:zone)?\s*(\d{1,2})\s*([NS])", words, re.IGNORECASE)
    if words.upper() in ("", "LOCAL", "NONE"):
        return METRES
    if utm and not words.startswith(("PROJCRS", "PROJCS", "+proj")):
        return f"EPSG:{(326 if utm[2].upper() == 'N' else 327) * 100 + int(utm[1])}"
    wgs84 = "EPSG:4326" in words.upper() or "CRS84" in words or "+proj=longlat" in words
    geographic = words.upper().startswith(("GEOGCRS", "GEOGCS")) and "WGS 84" in words
    return DEGREES if wgs84 or geographic or words.upper() == "WGS84" else words


def world_points(coordinates: np.ndarray, crs: str, options: PointOptions, path: Path | str) -> np.ndarray:
    """ENU m (N, 3) of x, y, height (N, 3) of a file; x is longitude in degrees. A height of NaN is the ground's.

    A row that is not on WGS84 gives NaN. Heights beside degrees or a grid are taken as ellipsoidal.
    """
    coordinates = np.array(coordinates, float).reshape(-1, 3)
    if crs == METRES:
        points = coordinates * (options.unit_m or 1.0)
        ground = np.isnan(points[:, 2])
        points[ground, 2] = options.z_at(points[ground, :2])
        return points
    datum = options.site_map.require_datum(f"{path}: coordinates in {crs.splitlines()[0][:40]}")
    lon, lat = coordinates[:, 0], coordinates[:, 1]
    if crs != DEGREES:
        lon, lat = _degrees(lon, lat, crs, path)
    with np.errstate(invalid="ignore"):
        off = ~((np.abs(lat) <= 90) & (np.abs(lon) <= 180))
    lon, lat = np.where(off, np.nan, lon), np.where(off, np.nan, lat)
    height = np.where(np.isnan(coordinates[:, 2]), datum.height, coordinates[:, 2])
    points = enu_from_geodetic(datum, lat, lon, height).reshape(-1, 3)
    ground = np.isnan(coordinates[:, 2]) & ~off
    points[ground, 2] = options.z_at(points[ground, :2])
    return points


def place_checks(coordinates: np.ndarray, points: np.ndarray, crs: str, options: PointOptions) -> dict[str, np.ndarray]:
    """Why rows are in no place of this site: reason -> (N,) bool, for `Cells.usable`."""
    with np.errstate(invalid="ignore"):
        far = ~(np.linalg.norm(points[:, :2], axis=1) <= MAX_EXTENT)
    km = f"{MAX_EXTENT / 1e3:.0f} km"
    if crs == METRES:
        return {f"farther than {km} from the site's origin: coordinates of a grid? give its crs": far}
    checks = {}
    if crs == DEGREES and far.any():
        turned = world_points(coordinates[:, [1, 0, 2]], crs, options, "")
        with np.errstate(invalid="ignore"):
            near = np.linalg.norm(turned[:, :2], axis=1) <= MAX_EXTENT
        checks["latitude and longitude are swapped"] = far & near
    return {**checks, f"farther than {km} from the site's datum": far}


def _degrees(x: np.ndarray, y: np.ndarray, crs: str, path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude of a grid's coordinates."""
    try:
        from pyproj import CRS, Transformer
        from pyproj.exceptions import ProjError
    except ImportError as error:
        named = crs.splitlines()[0][:60]
        raise InputError(f"{path}: coordinates in {named} need pyproj; pip install 'geoloc[plans]'") from error
    try:
        lon, lat = Transformer.from_crs(CRS.from_user_input(crs), DEGREES, always_xy=True).transform(x, y)
    except ProjError as error:
        known = "write it as 'EPSG:25832'"
        raise InputError(f"{path}: unknown reference system {crs[:60]!r} ({str(error)[:60]}); {known}") from error
    return np.asarray(lon, float), np.asarray(lat, float)


def first_name(columns: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The column of a file (lower case -> as written) that goes by one of `names`; "" if none does."""
    return next((columns[name] for name in names if name in columns), "")
