"""Whether a map's stated origin agrees with control points whose latitude and longitude are known."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum, enu_from_geodetic, geodetic_from_enu

CERTAIN = 4.0  # sigmas; an origin farther off than this is called wrong


@dataclass(frozen=True)
class DatumCheck:
    """How far a stated origin lies from where control points put it.

    `east` and `north` m are the stated origin's error, `sigma` m how well the points know it on either axis,
    `scatter` m how far the points still disagree (median) once the origin is mended; `mended` is that origin.
    """

    east: float
    north: float
    sigma: float
    scatter: float
    n: int
    mended: Datum

    @property
    def off(self) -> float:
        """Distance of the stated origin from the mended one, m."""
        return float(np.hypot(self.east, self.north))

    @property
    def wrong(self) -> bool:
        """Whether the origin is farther off than the control points could be by chance."""
        return self.off > CERTAIN * self.sigma

    @property
    def words(self) -> str:
        """One line for people, with the next step."""
        if not self.wrong:
            return f"the stated origin agrees with {self.n} control points to {self.off:.1f} m"
        ns = "north" if self.north > 0 else "south"
        ew = "east" if self.east > 0 else "west"
        lat, lon = self.mended.lat_deg, self.mended.lon_deg
        return (
            f"the stated origin is {self.off:.1f} m wrong: {abs(self.east):.1f} m too far {ew} and "
            f"{abs(self.north):.1f} m too far {ns} of where {self.n} control points put it, which agree with each "
            f"other to {self.scatter:.1f} m; set the map's datum to {lat:.7f}, {lon:.7f}"
        )


def check_datum(datum: Datum, xy: np.ndarray, lat_deg: np.ndarray, lon_deg: np.ndarray, sigma: float) -> DatumCheck:
    """Compare map positions (N, 2) m with latitudes and longitudes (N,), each known to `sigma` m on either axis.

    The median of the points' shifts, so that one bad point among three and more does not move it.
    """
    xy = np.asarray(xy, float).reshape(-1, 2)
    if not (len(xy) == len(lat_deg) == len(lon_deg) and len(xy)):
        found = f"{len(xy)} points with {len(lat_deg)} latitudes, {len(lon_deg)} longitudes"
        raise InputError(f"datum: {found}; give as many of each")
    shift = enu_from_geodetic(datum, np.asarray(lat_deg, float), np.asarray(lon_deg, float))[:, :2] - xy
    middle = np.median(shift, axis=0)
    lat, lon, _ = geodetic_from_enu(datum, np.array([*middle, 0.0]))
    scatter = float(np.median(np.linalg.norm(shift - middle, axis=1)))
    # of normal errors the median length is 1.18 sigmas, and the median is 1.25 times as wide as the mean
    spread = 1.25 * max(sigma, scatter / 1.18) / np.sqrt(len(xy))
    mended = Datum(float(lat), float(lon), datum.height)
    return DatumCheck(float(-middle[0]), float(-middle[1]), float(spread), scatter, len(xy), mended)
