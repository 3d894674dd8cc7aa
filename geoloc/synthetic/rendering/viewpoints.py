"""Where pictures are taken from: phones, robots on a walk, fixed cameras and the same cameras moved a little.

Every pose is known exactly; so is the level on which one stands.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import networkx as nx
import numpy as np
import shapely
from scipy.spatial.transform import RigidTransform, Rotation

from geoloc.errors import InputError
from geoloc.geometry.se3 import look_at, perturb
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Pinhole, RadialTangential
from geoloc.scene.sitemap import SiteMap
from geoloc.synthetic.world import World

WAYS = ("lane", "walkway", "area", "ramp")  # kinds of zones in which one stands
CLEAR = 0.6  # m from walls and pillars


@dataclass(frozen=True)
class PhoneOptions:
    """How phones and dashboards look at a site."""

    size: tuple[int, int] = (640, 360)  # px
    focal: tuple[float, float] = (0.72, 0.95)  # of the picture's longer side
    height: tuple[float, float] = (1.2, 1.75)  # m over the floor: from a driver's eye to a tall person's
    pitch_sigma: float = 0.10  # rad
    roll_sigma: float = 0.04  # rad
    upright_share: float = 0.0  # of the pictures are taken with the phone held upright

    def __post_init__(self) -> None:
        check_range(self, pitch_sigma=(0, 1.5), roll_sigma=(0, 3.2), upright_share=(0, 1))


@dataclass(frozen=True)
class WalkOptions:
    """How a site is walked along for mapping."""

    size: tuple[int, int] = (640, 360)  # px
    focal: float = 0.6  # of the picture's width
    height: float = 1.4  # m over the floor
    spacing: float = 2.5  # m between stations
    headings: tuple[float, ...] = (0.0, np.pi / 2, np.pi, -np.pi / 2)  # rad from the way of the walk, to the left
    sway: float = 0.15  # m aside

    def __post_init__(self) -> None:
        check_range(self, focal=(0.1, 10), height=(0.1, 10), spacing=(0.05, 100), sway=(0, 5))


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera, the level it stands on, and what kind of picture it takes."""

    camera: Camera
    level: str
    kind: str


def phone_viewpoints(
    site_map: SiteMap, rng: np.random.Generator, n: int, levels: Sequence[str] = (), options: PhoneOptions | None = None
) -> list[Viewpoint]:
    """`n` phones at random places of lanes and walkways that look any way, on `levels` (none: all that have such)."""
    options = options or PhoneOptions()
    zones = [z for z in site_map.zones if z.kind in WAYS and (z.level in levels or not levels)]
    if not zones:
        raise InputError(f"phones: levels {list(levels) or 'of the map'} have no zone of kind {', '.join(WAYS)}")
    share = np.array([zone.polygon.area for zone in zones])
    found: list[Viewpoint] = []
    while len(found) < n:
        zone = zones[int(rng.choice(len(zones), p=share / share.sum()))]
        x0, y0, x1, y1 = zone.polygon.bounds
        spot = rng.uniform([x0, y0], [x1, y1])
        floor = float(site_map.level(zone.level).z_at(spot[None])[0])  # NaN where the zone reaches past the floor
        blocked = not shapely.contains_xy(zone.polygon, *spot) or _blocked(site_map, zone.level, spot)
        if blocked or np.isnan(floor):
            continue
        pose = _held(rng, np.array([*spot, floor + rng.uniform(*options.height)]), options)
        upright = rng.random() < options.upright_share
        size = options.size[::-1] if upright else options.size
        lens = _pinhole(size, rng.uniform(*options.focal) * max(size))
        found.append(Viewpoint(Camera(f"phone-{len(found):04d}", lens, size, pose), zone.level, "phone"))
    return found


def walk_viewpoints(
    world: World, rng: np.random.Generator, levels: Sequence[str] = (), options: WalkOptions | None = None
) -> list[Viewpoint]:
    """Pictures of a walk around each level with lanes: along its longest loop, at each station in every heading."""
    options, site_map = options or WalkOptions(), world.site.site_map
    lens = _pinhole(options.size, options.focal * options.size[0])
    found: list[Viewpoint] = []
    for level in levels or [level.name for level in site_map.levels if _loop(world, level.name) is not None]:
        ring = _loop(world, level)
        if ring is None:
            raise InputError(f"walk: level {level!r} has no loop of lanes or area to walk around")
        for station, s in enumerate(np.arange(0.0, ring.length, options.spacing)):
            spot, ahead = (np.array(ring.interpolate((s + step) % ring.length).coords[0]) for step in (0.0, 0.5))
            along = (ahead - spot) / max(float(np.linalg.norm(ahead - spot)), 1e-9)
            spot = spot + rng.normal(0, options.sway) * np.array([-along[1], along[0]])
            floor = float(site_map.level(level).z_extended(spot[None])[0])
            for k, turn in enumerate(options.headings):
                heading = np.arctan2(along[1], along[0]) + turn + rng.normal(0, 0.03)
                place = np.array([*spot, floor + options.height])
                pose = _looking(place, heading, rng.normal(-0.03, 0.02), rng.normal(0, 0.01))
                name = f"walk-{level.lower()}-{station:03d}-{k}"
                found.append(Viewpoint(Camera(name, lens, options.size, pose), level, "walk"))
    return found


def fixed_viewpoints(world: World, size: tuple[int, int]) -> list[Viewpoint]:
    """The site's own cameras with pictures of `size` (width, height) px."""
    return [Viewpoint(resized(c, size), _level_under(world.site.site_map, c), "fixed") for c in world.site.cameras]


def _level_under(site_map: SiteMap, camera: Camera) -> str:
    """The highest level that is lower than a camera."""
    x, y, z = camera.centre_world
    heights = [float(level.z_extended(np.array([[x, y]]))[0]) for level in site_map.levels]
    return site_map.levels[int(np.argmax([h if h < z else -np.inf for h in heights]))].name


def resized(camera: Camera, size: tuple[int, int]) -> Camera:
    """The same camera with pictures of another `size` (width, height) px of the same shape."""
    if not isinstance(camera.lens, RadialTangential | Fisheye):
        raise InputError(f"camera {camera.name!r}: its lens {camera.lens.model!r} cannot be resized")
    scale = size[0] / camera.size[0]
    if abs(size[1] / camera.size[1] - scale) > 0.01 * scale:
        raise InputError(f"camera {camera.name!r}: {size} px is not of the shape of {camera.size} px")
    params = camera.lens.params.copy()
    params[:2] *= scale
    params[2:4] = (params[2:4] + 0.5) * scale - 0.5  # pixels count from the centre of the first
    return replace(camera, lens=type(camera.lens)(params), size=size)


def moved(camera: Camera, xi: np.ndarray, zoom: float = 1.0) -> Camera:
    """The camera moved by `exp(xi)` in its own frame, rotation (rad) then translation (m), and zoomed by a factor."""
    if not isinstance(camera.lens, RadialTangential | Fisheye):
        raise InputError(f"camera {camera.name!r}: its lens {camera.lens.model!r} cannot be zoomed")
    params = camera.lens.params.copy()
    params[:2] *= zoom
    pose = perturb(camera.cam_from_world, np.asarray(xi, float))
    return replace(camera, lens=type(camera.lens)(params), cam_from_world=pose)


def _pinhole(size: tuple[int, int], focal: float) -> Pinhole:
    return Pinhole(np.array([focal, focal, (size[0] - 1) / 2, (size[1] - 1) / 2]))


def _held(rng: np.random.Generator, place: np.ndarray, options: PhoneOptions) -> RigidTransform:
    pitch, roll = rng.normal(0, [options.pitch_sigma, options.roll_sigma])
    return _looking(place, rng.uniform(-np.pi, np.pi), pitch, roll)


def _looking(place: np.ndarray, heading: float, pitch: float, roll: float) -> RigidTransform:
    """cam_from_world at `place` (3,) m, looking along `heading`, up by `pitch`, turned about its axis by `roll`."""
    ahead = np.array([np.cos(heading) * np.cos(pitch), np.sin(heading) * np.cos(pitch), np.sin(pitch)])
    turn = RigidTransform.from_rotation(Rotation.from_rotvec([0.0, 0.0, roll]))
    return turn * look_at(place, place + ahead)


def _blocked(site_map: SiteMap, level: str, spot: np.ndarray) -> bool:
    point = shapely.Point(spot)
    return any(t.level == level and t.geometry.distance(point) < CLEAR for t in site_map.occluders)


def _loop(world: World, level: str) -> shapely.LinearRing | None:
    """The longest round trip on the lanes of a level, or 2 m inside the edge of where people walk."""
    lanes = nx.DiGraph([(a, b) for a, b, data in world.lanes.edges(data=True) if data["level"] == level])
    # a cycle may be found from any of its nodes: from the least one on, the same seed walks the same way
    trips = [trip[trip.index(min(trip)) :] + trip[: trip.index(min(trip))] for trip in nx.simple_cycles(lanes)]
    chosen = [[world.lanes.nodes[node]["xy"] for node in trip] for trip in sorted(trips) if len(trip) > 2]
    rings = [shapely.LinearRing(trip) for trip in chosen]
    for walk in world.walks:
        inner = walk.area.buffer(-2.0)
        if walk.level == level and not rings and inner.geom_type == "Polygon" and not inner.is_empty:
            rings.append(shapely.LinearRing(inner.exterior.coords))
    return max(rings, key=lambda ring: float(ring.length), default=None)
