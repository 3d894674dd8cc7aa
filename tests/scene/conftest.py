"""Scenes that several tests of the nouns share."""

import numpy as np
import pytest
import shapely
from shapely import LineString, box

from geoloc.geometry.geodesy import Datum
from geoloc.geometry.se3 import look_at
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Homography, Pinhole, RadialTangential
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface

OPENING = box(30.0, 10.0, 40.0, 20.0)


@pytest.fixture
def garage_map() -> SiteMap:
    """Two floors 40 x 30 m, 3 m apart; a ramp climbs in an opening of the upper one; pillars, a wall."""
    upper = shapely.difference(box(0, 0, 40, 30), OPENING)
    return SiteMap(
        levels=(
            Level("L0", (Surface((0.0, 0.0, 0.0), box(0, 0, 40, 30), 0.01),)),
            Level("L1", (Surface((0.0, 0.0, 3.0), upper, 0.02),)),
            Level("ramp", (Surface((-0.3, 0.0, 12.0), OPENING, 0.03),)),
        ),
        datum=Datum(49.2, 16.6, 240.0),
        stalls=tuple(Place(f"A{i}", "L0", box(2.5 * i, 0, 2.5 * i + 2.5, 5), "stall") for i in range(4)),
        zones=(Place("entrance", "L0", box(0, 12, 4, 18), "entrance"),),
        occluders=(
            Occluder("p1", "L0", box(14.7, 14.7, 15.3, 15.3), 3.0),
            Occluder("p2", "L0", box(24.7, 7.7, 25.3, 8.3), 3.0),
            Occluder("kerb", "L0", box(8, 20, 12, 21), 0.5),
            Occluder("parapet", "L1", LineString([(5, 12), (20, 12), (20, 25)]), 1.1),
            Occluder("rail", "ramp", LineString([(31, 12), (39, 12)]), 1.0),
        ),
        control_points=(ControlPoint("g1", (1.25, 2.5, 0.02), (0.01, 0.02, 0.03)),),
    )


@pytest.fixture
def garage(garage_map: SiteMap) -> Site:
    """Cameras of three lenses on both floors, and one that is known by its homography of L0 only."""
    k = np.array([1000.0, 1010.0, 955.0, 545.0, -0.2, 0.05, 1e-3, -5e-4, 0.01])
    spread = np.random.default_rng(7).normal(size=(8, 8)) * np.array([1e-3] * 3 + [0.02] * 3 + [2.0, 0.003])
    # pixel = H (x, y, 1): a camera above (20, -5) that looks north
    ground = np.array([[50.0, 48.0, -1000.0 + 900.0], [0.0, 10.0, 6000.0], [0.0, 0.05, 1.0]])
    return Site(
        "garage",
        (
            Camera(
                "east", RadialTangential(k), (1920, 1080), look_at([1.013, 1.017, 2.7], [20, 15, 0]),
                spread.T @ spread, ("fx", "k1"),
            ),
            Camera(
                "round", Fisheye(np.array([600.0, 600.0, 959.5, 719.5, 0.02, -0.01, 0.001, -0.0002])),
                (1920, 1440), look_at([20.013, 19.983, 2.8], [20, 20.01, 0]),
            ),
            Camera("upper", Pinhole(k[:4]), (1920, 1080), look_at([22.013, 26.017, 7], [34, 14, 2])),
            Camera("pillar", RadialTangential(k[:8]), (1920, 1080), look_at([15, 15, 2.5], [35, 15, 0])),
            Camera(
                "plain", Homography(ground.ravel()), (1920, 1080),
                homography_level="L0", homography_sigma_px=4.0,
            ),
        ),
        garage_map,
    )  # fmt: skip
