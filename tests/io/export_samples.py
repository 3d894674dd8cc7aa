"""A lot with a deck, a wall of stalls and two cameras, a track that drives up and a car that stands."""

import numpy as np
from shapely import box

from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.io.tracks import WriteOptions
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Pinhole, RadialTangential
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, Place, SiteMap, Surface
from geoloc.scene.tables import Tracks

NEEDS = {"parquet": "pyarrow", "mcap": "mcap_protobuf", "rrd": "rerun"}  # packages of extras
OPTIONS = WriteOptions(fps=10.0, start=1.7e9)


def lot() -> Site:
    """Two levels, the upper one a ramp; three stalls; two cameras with poses."""
    levels = (
        Level("ground", (Surface(sigma_z=0.1),)),
        Level("deck", (Surface((0.0, 0.1, 3.0), box(20.0, 30.0, 60.0, 60.0), sigma_z=0.05),)),
    )
    stalls = tuple(
        Place(name, "ground", box(x, -160.0, x + 3.0, -145.0), "stall")
        for name, x in (("A 1", -101.5), ("A 2", -98.0), ("A 3", -94.5))
    )
    site_map = SiteMap(
        levels,
        Datum(39.05, -85.53, 205.0),
        stalls,
        occluders=(Occluder("pillar", "ground", box(0.0, 0.0, 1.0, 1.0)),),
    )
    cov = np.diag([1e-6] * 3 + [1e-4] * 3)
    lens = RadialTangential(np.array([800.0, 790.0, 639.5, 359.5, -0.2, 0.05, 1e-3, -5e-4]))
    cameras = (
        Camera("gate", lens, (1280, 720), look_at(np.array([0.0, -15.0, 5.0]), np.zeros(3)), cov),
        Camera("hall", Pinhole(lens.params[:4]), (1280, 720), look_at(np.array([15.0, 0.0, 6.0]), np.zeros(3)), cov),
    )
    return Site("lot", cameras, site_map)


def _tracks() -> Tracks:
    n = 4
    return Tracks(
        time=1.7e9 + np.array([0.0, 0.1, 0.2, 0.1]),
        track=[1, 1, 1, 5],
        object=[10, -1, 12, 11],
        level=["ground", "ground", "deck", "ground"],
        level_probability=[1.0, 0.9, 0.8, 1.0],
        xy=[[10.0, 20.0], [20.0, 29.0], [30.0, 40.0], [-100.0, -150.0]],
        z=[0.0, 0.0, 7.0, 0.0],
        velocity=[[3.0, 4.0]] * 3 + [[0.0, 0.0]],
        cov=np.tile(np.diag([0.04, 0.01, 0.1, 0.1]), (n, 1, 1)) * np.array([1.0, 2.0, 1.0, 1.0])[:, None, None],
        bias_cov=np.tile(np.array([[0.05, 0.02], [0.02, 0.08]]), (n, 1, 1)),
        label=['car, "red" & <new>', "car", "car", "Fußgänger"],
        score=[0.9, 0.7, 0.8, 0.5],
        state=["confirmed", "coasting", "confirmed", "tentative"],
    )


TRACKS = _tracks()
