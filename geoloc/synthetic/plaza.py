"""The plaza: an open square with a kiosk, a fountain and trees, seven cameras on its edge, and people."""

import numpy as np
from shapely import Point, union_all

from geoloc.geometry.geodesy import Datum
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, SiteMap, Surface
from geoloc.synthetic.world import TrafficOptions, Walk, World, make_camera, rectangle, zone

SIZE = (36.0, 24.0)  # m, of the square
HEIGHT = 6.0  # m, of the cameras
TREES = [(9.0, 6.0), (9.0, 18.0), (27.0, 18.0)]


def plaza() -> World:
    """An open square of 36 × 24 m: 7 cameras, 40 people by default."""
    width, depth = SIZE
    ground = Surface((0.0, 0.0, 0.0), rectangle(-3, -3, width + 3, depth + 3), 0.01)
    kiosk, fountain = rectangle(25.5, 5.0, 28.5, 7.5), Point(17.0, 12.0).buffer(2.2, 8)
    trunks = [Point(xy).buffer(0.25, 4) for xy in TREES]
    occluders = (
        Occluder("kiosk", "ground", kiosk, 2.8),
        Occluder("fountain", "ground", fountain, 0.9),
        *(Occluder(f"tree {i + 1}", "ground", trunk, 5.0) for i, trunk in enumerate(trunks)),
    )
    site_map = SiteMap(
        levels=(Level("ground", (ground,)),),
        datum=Datum(46.94809, 7.44744, 590.0),
        zones=(
            zone("square", "ground", (0, 0, width, depth), "area"),
            zone("east door", "ground", (width - 2, 10, width, 14), "entrance"),
            zone("west door", "ground", (0, 10, 2, 14), "entrance"),
        ),
        occluders=occluders,
        control_points=tuple(
            ControlPoint(f"mark {i + 1}", (float(x), float(y), 0.0))
            for i, (x, y) in enumerate(
                [(1, 1), (18, 1), (35, 1), (1, 23), (18, 23), (35, 23), (12, 12), (22, 12)]
            )
        ),
    )
    area = rectangle(0, 0, width, depth).difference(union_all([kiosk, fountain, *trunks]).buffer(0.3))
    doors = np.array([[0.6, 11.0], [0.6, 13.0], [35.4, 11.0], [35.4, 13.0], [13.0, 0.6], [21.0, 23.4]])
    spots = [(-1.5, -1.5), (18.0, -2.0), (37.5, -1.5), (37.5, 25.5), (23.0, 26.0), (11.0, 26.0), (-1.5, 25.5)]
    aims = [(12.0, 8.0), (17.0, 10.0), (24.0, 9.0), (24.0, 15.0), (21.0, 13.0), (13.0, 13.0), (11.0, 15.0)]
    cameras = [
        make_camera(f"c{i + 1}", (*spot, HEIGHT), (*aim, 0.5), field_deg=80)
        for i, (spot, aim) in enumerate(zip(spots, aims, strict=True))
    ]
    traffic = TrafficOptions(duration=60.0, rate=5.0, n_people=40, warmup=20.0)
    return World(
        Site("plaza", tuple(cameras), site_map), walks=(Walk("ground", area, doors),), traffic=traffic
    )
