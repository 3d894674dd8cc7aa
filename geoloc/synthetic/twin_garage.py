"""The twin garage: two roofed levels with one plan, open to the sides, alike but for numbers, signs, stains and cars.

Its plan is the garage's. Level P1 lies under P2, and P2 under the roof, level R; the ramp stands beside them.
"""

from dataclasses import replace

from shapely import LineString, union_all

from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface
from geoloc.synthetic.garage import RAMP, SIGMA_Z, garage
from geoloc.synthetic.world import make_camera, rectangle

STOREY = 3.0  # m
WIDTH, DEPTH = 45.0, 35.0  # m
LEVELS = ("P1", "P2")
PARAPET = 1.0  # m; over it the sides are open
CAMERA_HEIGHT = 2.55  # m over the floor


def twin_garage() -> Site:
    """The site with 20 cameras, ten a level, at the same places of both."""
    plain = garage().site.site_map
    site_map = SiteMap(
        levels=_levels(),
        datum=plain.datum,
        stalls=plain.stalls,
        zones=tuple(zone for zone in plain.zones if not zone.name.startswith("ramp")),
        occluders=tuple(thing for level in LEVELS for thing in _things(level, plain)),
        control_points=tuple(point for point in plain.control_points if " mark " in point.name),
    )
    return Site("twin garage", tuple(camera for i in range(2) for camera in _cameras(i)), site_map)


def _levels() -> tuple[Level, ...]:
    x0, y0, x1, y1 = RAMP
    main = rectangle(0, 0, WIDTH, DEPTH)
    slope = STOREY / (y1 - y0)
    ways = [rectangle(-20, 4, 0, 12), rectangle(-20, 20, 0, 28), main, rectangle(WIDTH, 0, 57, y0 + 0.2)]
    head = union_all([main, rectangle(WIDTH, 32, 57, DEPTH)]).difference(rectangle(x0, y0, x1, y1))
    ramp = Surface((0.0, slope, -slope * y0), rectangle(x0, y0 - 0.2, x1, y1), SIGMA_Z)
    return (
        Level("P1", (Surface((0.0, 0.0, 0.0), union_all(ways), SIGMA_Z),)),
        Level("P2", (Surface((0.0, 0.0, STOREY), head, SIGMA_Z), ramp)),
        Level("R", (Surface((0.0, 0.0, 2 * STOREY), main, SIGMA_Z),)),
    )


def _things(level: str, plain: SiteMap) -> list[Occluder]:
    """Parapets around with gaps for the ways in and out, a wall in the middle, stairs, pillars."""
    around = {
        "south": [(0.0, 0.0), (WIDTH, 0.0)],
        "east": [(WIDTH, 14.2), (WIDTH, 32.0)],
        "north": [(WIDTH, DEPTH), (0.0, DEPTH)],
        "northwest": [(0.0, DEPTH), (0.0, 28.0)],
        "west": [(0.0, 20.0), (0.0, 12.0)],
        "southwest": [(0.0, 4.0), (0.0, 0.0)],
    }
    things = [Occluder(f"{level} parapet {name}", level, LineString(line), PARAPET) for name, line in around.items()]
    things.append(Occluder(f"{level} core", level, LineString([(13.0, 16.0), (25.0, 16.0)]), STOREY))
    things.append(Occluder(f"{level} stairs", level, rectangle(0.5, 28.8, 4.0, 31.8), 2.9))
    for thing in plain.occluders:
        if thing.name.startswith("P1 pillar"):
            name = f"{level} pillar {level[1]}{thing.name.split()[-1]}"
            things.append(replace(thing, name=name, level=level))
    return things


def _cameras(level: int) -> list[Camera]:
    floor = STOREY * level
    spots: dict[str, tuple[tuple[float, float], tuple[float, float], float]] = {
        "aisle-s-west": ((0.6, 10.5), (14, 7.5), 85.0),
        "aisle-s-east": ((44.4, 5.2), (30, 8.5), 85.0),
        "aisle-n-west": ((0.6, 21.5), (14, 24.5), 85.0),
        "aisle-n-east": ((44.4, 26.5), (30, 23.5), 85.0),
        "row-a": ((23.0, 10.6), (23.0, 4.0), 95.0),
        "row-b": ((24.5, 5.4), (24.5, 12.0), 95.0),
        "row-c": ((21.0, 26.6), (21.0, 20.0), 95.0),
        "row-d": ((22.0, 21.4), (22.0, 28.0), 95.0),
        "southeast": ((44.4, 0.6), (33.0, 12.0), 90.0),
        "northwest": ((4.6, 33.0), (14.0, 24.0), 90.0),
    }
    return [
        make_camera(
            f"{LEVELS[level].lower()}-{name}", (*spot, floor + CAMERA_HEIGHT), (*aim, floor + 0.3), field_deg=field
        )
        for name, (spot, aim, field) in spots.items()
    ]
