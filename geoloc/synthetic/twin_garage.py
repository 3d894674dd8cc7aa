"""The twin garage: two roofed levels with one plan, open to the sides, alike but for numbers, signs, stains and cars.

Plan, lanes and stalls are the garage's. Level P1 lies under P2, and P2 under the roof, level R.
"""

from dataclasses import replace

from shapely import LineString

from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, SiteMap, Surface
from geoloc.synthetic.garage import SIGMA_Z, STOREY, garage
from geoloc.synthetic.world import World, make_camera, rectangle

WIDTH, DEPTH = 45.0, 35.0  # m
LEVELS = ("P1", "P2")
PARAPET = 1.0  # m; over it the sides are open
CAMERA_HEIGHT = 2.55  # m over the floor
CAMERAS: dict[str, tuple[tuple[float, float], tuple[float, float], float]] = {  # spot, aim, field in degrees
    "aisle-s-west": ((0.6, 10.5), (14.0, 7.5), 85.0),
    "aisle-s-east": ((44.4, 5.2), (30.0, 8.5), 85.0),
    "aisle-n-west": ((0.6, 21.5), (14.0, 24.5), 85.0),
    "aisle-n-east": ((44.4, 26.5), (30.0, 23.5), 85.0),
    "row-a": ((23.0, 10.6), (23.0, 4.0), 95.0),
    "row-b": ((24.5, 5.4), (24.5, 12.0), 95.0),
    "row-c": ((21.0, 26.6), (21.0, 20.0), 95.0),
    "row-d": ((22.0, 21.4), (22.0, 28.0), 95.0),
    "southeast": ((44.4, 0.6), (33.0, 12.0), 90.0),
    "northwest": ((4.6, 33.0), (14.0, 24.0), 90.0),
}
AROUND: dict[str, dict[str, list[tuple[float, float]]]] = {
    "P1": {
        "south": [(0, 0), (57, 0), (57, 14)],
        "east": [(45, 14.2), (45, 35)],
        "north": [(45, 35), (0, 35)],
        "northwest": [(0, 35), (0, 28)],
        "west": [(0, 20), (0, 12)],
        "southwest": [(0, 4), (0, 0)],
    },
    "P2": {
        "south": [(0, 0), (45, 0)],
        "east": [(45, 0), (45, 32)],
        "north": [(57, 32), (57, 45), (37, 45), (37, 35), (0, 35)],
        "west": [(0, 35), (0, 0)],
    },
}


def twin_garage() -> World:
    """The twin garage: 80 stalls, 20 cameras, ten a level at the same places of both, 60 cars by default."""
    world = garage()
    plain = world.site.site_map
    roof = Level("R", (Surface((0.0, 0.0, 2 * STOREY), rectangle(0, 0, WIDTH, DEPTH), SIGMA_Z),))
    site_map = replace(
        plain,
        levels=(*plain.levels, roof),
        occluders=tuple(thing for level in LEVELS for thing in _things(level, plain)),
    )
    cameras = tuple(camera for level in LEVELS for camera in _cameras(level))
    return replace(world, site=Site("twin garage", cameras, site_map))


def _things(level: str, plain: SiteMap) -> list[Occluder]:
    """Parapets, a wall in the middle, stairs and pillars of a level."""
    things = [
        Occluder(f"{level} parapet {name}", level, LineString(line), PARAPET) for name, line in AROUND[level].items()
    ]
    things.append(Occluder(f"{level} core", level, LineString([(13.0, 16.0), (25.0, 16.0)]), STOREY))
    things.append(Occluder(f"{level} stairs", level, rectangle(0.5, 28.8, 4.0, 31.8), 2.9))
    pillars = [thing for thing in plain.occluders if thing.name.startswith("P1 pillar")]
    return things + [
        replace(thing, name=f"{level} pillar {level[1]}{thing.name.split()[-1]}", level=level) for thing in pillars
    ]


def _cameras(level: str) -> list[Camera]:
    floor = STOREY * LEVELS.index(level)
    return [
        make_camera(f"{level.lower()}-{name}", (*spot, floor + CAMERA_HEIGHT), (*aim, floor + 0.3), field_deg=field)
        for name, (spot, aim, field) in CAMERAS.items()
    ]
