"""Tracks as rows of a store's table `positions`, and back, number for number.

One row a track and step. `x`, `y`, `z` in m, `lon`, `lat` in degrees (null without a datum), `sigma` (m) the largest
standard deviation of the reported position, `cov` the upper triangles of `Tracks.cov` and `bias_cov` as 13 float64,
least byte first. `dropped` rows lay on the way from the one before to this one until it was thinned; the straight way
between them misses what those said by `off` (m) at most, see `thinned_keys`.
"""

from collections.abc import Sequence

import numpy as np

from geoloc.geometry.gaussian import worst_sigma
from geoloc.geometry.geodesy import geodetic_from_enu
from geoloc.io.track_csv import BIAS_UPPER, UPPER
from geoloc.io.track_geojson import heights
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.tables import Tracks

COLUMNS = (
    *("win", "step", "track", "object", "time", "level", "level_probability", "x", "y", "z", "vx", "vy"),
    *("lon", "lat", "sigma", "label", "state", "life", "score", "revision", "cov"),
)
THINNED = ("dropped", "off")
N_COV = len(UPPER) + len(BIAS_UPPER)


def rows_of(tracks: Tracks, window: int, step: int, site_map: SiteMap) -> tuple[list[tuple[object, ...]], np.ndarray]:
    """Rows in the order of COLUMNS, and the places (N, 3) of their geometries: lon, lat, height, or x, y, z in m."""
    z = heights(tracks, site_map)
    enu = np.column_stack([tracks.xy, z])
    if site_map.datum is None:
        places, lon, lat = enu, [None] * len(tracks), [None] * len(tracks)
    else:
        latitude, longitude, height = geodetic_from_enu(site_map.datum, enu)
        places = np.stack([longitude, latitude, height], axis=-1)
        lon, lat = longitude.tolist(), latitude.tolist()
    upper = [tracks.cov[:, i, j] for i, j in UPPER] + [tracks.bias_cov[:, i, j] for i, j in BIAS_UPPER]
    packed = np.stack(upper, axis=1).astype("<f8")
    cells = (
        *([window] * len(tracks), [step] * len(tracks), tracks.track.tolist(), tracks.object.tolist()),
        *(tracks.time.tolist(), tracks.level.tolist(), tracks.level_probability.tolist(), *tracks.xy.T.tolist()),
        *(z.tolist(), *tracks.velocity.T.tolist(), lon, lat, worst_sigma(tracks.position_cov).tolist()),
        *(tracks.label.tolist(), tracks.state.tolist(), tracks.life.tolist(), tracks.score.tolist()),
        *(tracks.revision.tolist(), [row.tobytes() for row in packed]),
    )
    return list(zip(*cells, strict=True)), places


def tracks_of_rows(rows: Sequence[Sequence[object]]) -> Tracks:
    """The table of rows in the order of COLUMNS."""
    if not rows:
        return Tracks()
    cell = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True))
    packed = np.frombuffer(b"".join(bytes(one) for one in cell["cov"]), "<f8").reshape(-1, N_COV)
    cov, bias = np.zeros((len(rows), 4, 4)), np.zeros((len(rows), 2, 2))
    for k, (i, j) in enumerate(UPPER):
        cov[:, i, j] = cov[:, j, i] = packed[:, k]
    for k, (i, j) in enumerate(BIAS_UPPER, len(UPPER)):
        bias[:, i, j] = bias[:, j, i] = packed[:, k]
    return Tracks(
        time=np.array(cell["time"], float),
        track=np.array(cell["track"], int),
        object=np.array(cell["object"], int),
        level=np.array(cell["level"], str),
        level_probability=np.array(cell["level_probability"], float),
        xy=np.column_stack([np.array(cell["x"], float), np.array(cell["y"], float)]),
        z=np.array(cell["z"], float),
        velocity=np.column_stack([np.array(cell["vx"], float), np.array(cell["vy"], float)]),
        cov=cov,
        bias_cov=bias,
        label=np.array(cell["label"], str),
        score=np.array(cell["score"], float),
        state=np.array(cell["state"], str),
        life=np.array(cell["life"], str),
        revision=np.array(cell["revision"], int),
    )
