"""Worlds of streets: an intersection with lights, and a site of any size for benchmarks."""

import networkx as nx
import numpy as np
from shapely import box

from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Occluder, Place, SiteMap, Surface
from geoloc.synthetic.world import Light, TrafficOptions, Walk, World, add_lane, make_camera, rectangle, zone

ARM = 65.0  # m, length of each arm of the intersection
LANE = 1.9  # m, of a lane's middle from the middle of the road
STOP = 11.0  # m, of the centre of the first waiting car from the middle of the crossing
PITCH = 30.0  # m between the streets of the big site
STREET = 6.0  # m
SIDES = {"south": (0, -1), "east": (1, 0), "north": (0, 1), "west": (-1, 0)}


def intersection() -> World:
    """A crossing of two roads with traffic lights: 5 cameras, 36 cars by default."""
    road = 2 * LANE + 1.0
    zones = [
        zone("north-south", "ground", (-road, -ARM - 5, road, ARM + 5), "lane"),
        zone("east-west", "ground", (-ARM - 5, -road, ARM + 5, road), "lane"),
    ]
    houses = [(-40, 12, -14, 32), (15, 14, 38, 30), (14, -34, 34, -13)]
    site_map = SiteMap(
        levels=(Level("ground", (Surface((0.0, 0.0, 0.0), rectangle(-80, -80, 80, 80), 0.02),)),),
        datum=Datum(52.52001, 13.40495, 72.0),
        zones=tuple(zones),
        occluders=tuple(
            Occluder(f"house {i + 1}", "ground", box(*house), 8.0) for i, house in enumerate(houses)
        ),
    )
    spots = {"c1": (-9, -9), "c2": (9.5, -9.5), "c3": (9, 9), "c4": (-9.5, 9.5)}
    cameras = [
        make_camera(name, (x, y, 7.0), (-0.35 * x, -0.35 * y, 0), 88) for name, (x, y) in spots.items()
    ]
    cameras.append(make_camera("c5", (-7, -50, 7.0), (1, -22, 0), 75))
    traffic = TrafficOptions(duration=60.0, rate=10.0, n_cars=36, parked_share=0.0, warmup=30.0)
    return World(Site("intersection", tuple(cameras), site_map), _crossing(), traffic=traffic)


def _crossing() -> nx.DiGraph:
    """Lanes of the four arms, and straight, left and right ways between them; traffic keeps to the right."""
    lanes = nx.DiGraph()
    ways = {name: np.array(side, float) for name, side in SIDES.items()}
    for name, out in ways.items():
        right = LANE * np.array([-out[1], out[0]])  # of a car that comes in, which heads along -out
        light = Light(period=32.0, green_from=0.0 if out[0] == 0 else 16.0, green=12.0)
        lanes.add_node(f"{name} in", xy=tuple(ARM * out + right), entrance=True)
        lanes.add_node(f"{name} stop", xy=tuple(STOP * out + right), light=light)
        lanes.add_node(f"{name} past", xy=tuple(STOP * out - right))
        lanes.add_node(f"{name} out", xy=tuple(ARM * out - right), exit=True)
        add_lane(lanes, [f"{name} in", f"{name} stop"], "ground", 10.5)
        add_lane(lanes, [f"{name} past", f"{name} out"], "ground", 10.5)
    for a, out in ways.items():
        for b, away in ways.items():
            if (out == -away).all():
                add_lane(lanes, [f"{a} stop", f"{b} past"], "ground", 9.0)
            elif a != b:
                corner = LANE * np.array([-out[1], out[0]]) - LANE * np.array([-away[1], away[0]])
                lanes.add_node(f"{a} to {b}", xy=tuple(corner))
                add_lane(lanes, [f"{a} stop", f"{a} to {b}", f"{b} past"], "ground", 6.0)
    return lanes


def grid_site(n_cameras: int = 100, objects_per_camera: float = 3.0) -> World:
    """A site of any size, for benchmarks: one-way streets every 30 m, a camera at each of their crossings.

    A third of the blocks are car parks, a third have a building, a third are open; half of the objects are
    cars, most of them parked.
    """
    if n_cameras < 4:
        raise InputError(
            f"grid_site: {n_cameras} cameras; it needs at least 4, one at each corner of a block"
        )
    side = int(np.ceil(np.sqrt(n_cameras)))
    reach = (side - 1) * PITCH
    blocks = [(i, j) for i in range(side - 1) for j in range(side - 1)]
    site_map = SiteMap(
        levels=(
            Level("ground", (Surface((0.0, 0.0, 0.0), rectangle(-40, -40, reach + 40, reach + 40), 0.02),)),
        ),
        datum=Datum(51.05041, 13.73726, 113.0),
        stalls=tuple(place for block in blocks if _kind(block) == 0 for place in _lot(block)),
        zones=tuple(_street_zones(side, reach)),
        occluders=tuple(_building(block) for block in blocks if _kind(block) == 1),
    )
    cameras = [_corner_camera(i % side, i // side, side) for i in range(n_cameras)]
    n = round(n_cameras * objects_per_camera)
    traffic = TrafficOptions(
        duration=30.0, rate=10.0, n_cars=n - n // 2, n_people=n // 2, parked_share=0.6, warmup=20.0
    )
    walks = tuple(_block_walk(block) for block in blocks if _kind(block))
    site = Site(f"grid-{n_cameras}", tuple(cameras), site_map)
    return World(site, _streets(side, reach), walks=walks, traffic=traffic)


def _kind(block: tuple[int, int]) -> int:
    return (block[0] + 2 * block[1]) % 3


def _middle(block: tuple[int, int]) -> tuple[float, float]:
    return (block[0] + 0.5) * PITCH, (block[1] + 0.5) * PITCH


def _lot(block: tuple[int, int]) -> list[Place]:
    x, y = _middle(block)
    return [
        zone(f"lot{block[0]}-{block[1]}-{row}{i}", "ground", (x0, y0, x0 + 2.6, y0 + 5.0), "stall")
        for row, y0 in (("a", y - 9.0), ("b", y + 4.0))
        for i, x0 in enumerate(x - 9.1 + 2.6 * np.arange(7))
    ]


def _building(block: tuple[int, int]) -> Occluder:
    x, y = _middle(block)
    return Occluder(f"building {block[0]}-{block[1]}", "ground", rectangle(x - 5, y - 4, x + 5, y + 4), 6.0)


def _block_walk(block: tuple[int, int]) -> Walk:
    x, y = _middle(block)
    area = rectangle(x - 11, y - 11, x + 11, y + 11)
    if _kind(block) == 1:
        area = area.difference(rectangle(x - 5.4, y - 4.4, x + 5.4, y + 4.4))
    return Walk("ground", area, np.array([[x - 10.6, y - 10.6], [x + 10.6, y + 10.6]]))


def _street_zones(side: int, reach: float) -> list[Place]:
    half = STREET / 2
    zones = []
    for i in range(side):
        at = i * PITCH
        zones.append(zone(f"street {i}", "ground", (-25, at - half, reach + 25, at + half), "lane"))
        zones.append(zone(f"avenue {i}", "ground", (at - half, -25, at + half, reach + 25), "lane"))
    return zones


def _streets(side: int, reach: float) -> nx.DiGraph:
    """One-way streets (along x) and avenues (along y), in turn in one direction and the other."""
    lanes = nx.DiGraph()
    for i in range(side):
        lanes.add_nodes_from((f"{i},{j}", {"xy": (i * PITCH, j * PITCH)}) for j in range(side))
    for i in range(side):
        ends = ((f"street {i} low", (-20.0, i * PITCH)), (f"street {i} high", (reach + 20.0, i * PITCH)))
        _one_way(lanes, [f"{k},{i}" for k in range(side)], ends, forward=i % 2 == 0)
        ends = ((f"avenue {i} low", (i * PITCH, -20.0)), (f"avenue {i} high", (i * PITCH, reach + 20.0)))
        _one_way(lanes, [f"{i},{k}" for k in range(side)], ends, forward=i % 2 == 1)
    return lanes


def _one_way(
    lanes: nx.DiGraph, crossings: list[str], ends: tuple[tuple[str, tuple[float, float]], ...], forward: bool
) -> None:
    (low, low_xy), (high, high_xy) = ends
    lanes.add_node(low, xy=low_xy, entrance=forward, exit=not forward)
    lanes.add_node(high, xy=high_xy, entrance=not forward, exit=forward)
    nodes = [low, *crossings, high]
    add_lane(lanes, nodes if forward else nodes[::-1], "ground", 8.25)


def _corner_camera(i: int, j: int, side: int) -> Camera:
    """On a pole of 6 m beside a crossing; it looks over the block towards the middle of the site, or past it."""
    towards = np.where(np.array([i, j]) < side - 1, 1, -1)
    if (i + j) % 2 and 0 < i < side - 1:
        towards[0] = -towards[0]  # neighbours look at different blocks
    x, y = np.array([i, j]) * PITCH + 4.0 * towards
    return make_camera(
        f"g{j:02d}{i:02d}", (x, y, 6.0), (x + 12.0 * towards[0], y + 12.0 * towards[1], 0.0), 85
    )
