"""The garage: two levels above each other, a ramp, pillars, walls, 80 stalls or more, 14 cameras or 60.

Every level is a one-way loop, counter-clockwise, with two aisles; cars come in at the south-west, leave at
the north-west, and change levels on a two-way ramp in the east. The upper level is open to the sky.
"""

from collections.abc import Iterable
from dataclasses import replace

import networkx as nx
import numpy as np
import shapely
from shapely import Geometry, LineString, union_all

from geoloc.errors import InputError
from geoloc.geometry.geodesy import Datum
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import ControlPoint, Level, Occluder, Place, SiteMap, Surface
from geoloc.synthetic.world import TrafficOptions, Walk, World, add_lane, make_camera, rectangle, zone

STOREY = 3.0  # m
RAMP = (48.5, 14.0, 55.5, 34.0)  # x0, y0, x1, y1; it climbs to the north
AISLES = {"S": 8.0, "N": 24.0}  # y of their middle
STALL = (2.6, 5.0)  # m
PILLAR = 0.4  # m
SPEED = 4.5  # m/s
GATE = 3.0  # s that each car waits at a barrier
ROWS = {  # aisle, side of it (+1: north), x of the first stall, direction in which the numbers grow
    "A": ("S", -1, 11.3, 1),
    "B": ("S", 1, 11.3, 1),
    "C": ("N", -1, 33.7, -1),
    "D": ("N", 1, 33.7, -1),
}
LANES = {  # the lane that the stalls of a level and aisle open to
    ("P1", "S"): ("P1_sw", "P1_s1"),
    ("P2", "S"): ("P2_sw", "P2_se"),
    ("P1", "N"): ("P1_ne", "P1_nw"),
    ("P2", "N"): ("P2_n1", "P2_nw"),
}
EAST, NORTH, WEST, SOUTH = 0.0, np.pi / 2, np.pi, -np.pi / 2  # rad, directions of one-way lanes
SIGMA_Z = 0.01  # m, of each piece of floor
FIXED = 35.0  # m; in a longer garage everything east of here lies farther east
LONG_ROW = 30  # stalls


def garage() -> World:
    """The two-level garage: 80 stalls, 14 cameras, 60 cars and 6 people by default."""
    traffic = TrafficOptions(duration=120.0, rate=5.0, n_cars=60, n_people=6)
    return _garage("garage", _cameras(), 10, traffic)


def long_garage() -> World:
    """The garage for a working day: 240 stalls, 60 cameras with blind gaps, 800 cars in 8 hours by default.

    No camera sees the ramp, its approaches, the cross aisles, or the aisles between the fields of two cameras.
    """
    traffic = TrafficOptions(duration=8 * 3600.0, rate=2.0, n_cars=800, parked_share=0.15, stay=2.0 * 3600.0)
    traffic = replace(traffic, leaving_share=1.0, horizon=600)
    return _garage("long garage", _many_cameras(), LONG_ROW, traffic)


def _garage(name: str, cameras: Iterable[Camera], n_stalls: int, traffic: TrafficOptions) -> World:
    if n_stalls < 10 or n_stalls % 4 != 2:
        raise InputError(f"garage: rows of {n_stalls} stalls; they must be 10, 14, 18, ... stalls long")
    rows = [(level, row) for level in ("P1", "P2") for row in ROWS]
    stalls = {(level, row): _stalls(level, row, n_stalls) for level, row in rows}
    access = {stall.name: LANES[level, ROWS[row][0]] for level, row in rows for stall in stalls[level, row]}
    extra = _extra(n_stalls)
    site_map = SiteMap(
        levels=tuple(_longer_level(level, extra) for level in _levels()),
        datum=Datum(48.13715, 11.57612, 519.0),
        stalls=tuple(stall for row in stalls.values() for stall in row),
        zones=tuple(replace(zone, polygon=_longer(zone.polygon, extra)) for zone in _zones()),
        occluders=(
            *(replace(wall, geometry=_longer(wall.geometry, extra)) for wall in _walls()),
            *_pillars(n_stalls),
        ),
        control_points=tuple(
            replace(point, xyz=(_east(point.xyz[0], extra), *point.xyz[1:])) for point in _control_points()
        ),
    )
    walks = tuple(
        Walk(
            level,
            rectangle(6.0, 32.6, 36.0 + extra, 34.4),
            np.array([[6.3, 33.5], [35.7 + extra, 33.5]]),
        )
        for level in ("P1", "P2")
    )
    return World(Site(name, tuple(cameras), site_map), _lanes(extra), access, walks, traffic)


def _extra(n_stalls: int) -> float:
    """How much longer (m) a garage is whose rows have so many stalls."""
    return float(_offsets(n_stalls)[-1] - _offsets(10)[-1])


def _east(x: float, extra: float) -> float:
    return x + extra if x > FIXED else x


def _longer(geometry: Geometry, extra: float) -> Geometry:
    return shapely.transform(geometry, lambda xy: xy + np.outer(xy[:, 0] > FIXED, [extra, 0.0]))


def _longer_level(level: Level, extra: float) -> Level:
    """Its planes slope along y alone, so they stay as they are."""
    surfaces = (replace(surface, polygon=_longer(surface.polygon, extra)) for surface in level.surfaces)
    return replace(level, surfaces=tuple(surfaces))


def _levels() -> tuple[Level, Level]:
    x0, y0, x1, y1 = RAMP
    slope = STOREY / (y1 - y0)
    # floors and ramp overlap by 0.2 m, so that no car falls between two pieces
    p1 = union_all(
        [
            rectangle(-20, 4, 0, 12),
            rectangle(-20, 20, 0, 28),
            rectangle(0, 0, 45, 35),
            rectangle(45, 0, 57, y0 + 0.2),
        ]
    )
    p2 = union_all([rectangle(0, 0, 45, 35), rectangle(37, 32, 57, 45)])
    p2 = p2.difference(rectangle(x0, y0, x1, y1))
    ramp = Surface((0.0, slope, -slope * y0), rectangle(x0, y0 - 0.2, x1, y1), SIGMA_Z)
    floor = Surface((0.0, 0.0, STOREY), p2, SIGMA_Z)
    return Level("P1", (Surface((0.0, 0.0, 0.0), p1, SIGMA_Z),)), Level("P2", (floor, ramp))


def _offsets(n_stalls: int) -> np.ndarray:
    """Where the stalls of a row stand: 3, then fours, then 3, with a gap of 0.8 m for a pillar between them."""
    index = np.arange(n_stalls)
    return STALL[0] * index + 0.8 * ((index + 1) // 4)


def _row(row: str, n_stalls: int) -> tuple[str, int, float, int]:
    """As ROWS, in a garage whose rows have so many stalls."""
    aisle, side, first, step = ROWS[row]
    return aisle, side, first if step > 0 else first + _extra(n_stalls), step


def _stalls(level: str, row: str, n_stalls: int) -> list[Place]:
    aisle, side, first, step = _row(row, n_stalls)
    near = AISLES[aisle] + 3.0 * side
    low, high = sorted((near, near + STALL[1] * side))
    half = STALL[0] / 2
    return [
        zone(f"{level}-{row}{i + 1:02d}", level, (x - half, low, x + half, high), "stall")
        for i, x in enumerate(first + step * _offsets(n_stalls))
    ]


def _lanes(extra: float) -> nx.DiGraph:
    lanes = nx.DiGraph()
    for level in ("P1", "P2"):
        corners = {"sw": (3, 8), "se": (42, 8), "e1": (42, 16), "ne": (42, 24), "nw": (3, 24)}
        lanes.add_nodes_from((f"{level}_{name}", {"xy": xy}) for name, xy in corners.items())
    lanes.add_node("P1_s1", xy=(37.5, 8))
    lanes.add_node("P2_n1", xy=(36, 24))
    lanes.add_node("in", xy=(-17, 8), entrance=True)
    lanes.add_node("in_gate", xy=(-3, 8), stop=GATE)
    lanes.add_node("out_gate", xy=(-3, 24), stop=GATE)
    lanes.add_node("out", xy=(-17, 24), exit=True)
    lanes.add_nodes_from(
        (name, {"xy": xy})
        for name, xy in {
            "up_1": (45, 6.25),
            "up_2": (53.75, 6.25),
            "up_foot": (53.75, 14),
            "up_head": (53.75, 34),
            "up_3": (53.75, 42),
            "up_4": (40, 42),
            "up_5": (40, 24),
            "down_1": (43.3, 30),
            "down_2": (43.3, 38),
            "down_3": (50.25, 38),
            "down_head": (50.25, 34),
            "down_foot": (50.25, 14),
            "down_4": (50.25, 10),
            "down_5": (42, 10),
        }.items()
    )
    for data in lanes.nodes.values():
        data["xy"] = (_east(data["xy"][0], extra), data["xy"][1])
    add_lane(lanes, ["in", "in_gate", "P1_sw", "P1_s1", "P1_se", "P1_e1", "P1_ne", "P1_nw", "P1_sw"], "P1", SPEED)
    add_lane(lanes, ["P1_nw", "out_gate", "out"], "P1", SPEED)
    add_lane(lanes, ["P2_sw", "P2_se", "P2_e1", "P2_ne", "P2_n1", "P2_nw", "P2_sw"], "P2", SPEED)
    add_lane(lanes, ["P1_s1", "up_1", "up_2", "up_foot"], "P1", SPEED)
    add_lane(lanes, ["up_foot", "up_head", "up_3", "up_4", "up_5", "P2_n1"], "P2", SPEED * 2 / 3)
    add_lane(lanes, ["P2_ne", "down_1", "down_2", "down_3", "down_head", "down_foot"], "P2", SPEED * 2 / 3)
    add_lane(lanes, ["down_foot", "down_4", "down_5", "P1_e1"], "P1", SPEED)
    return lanes


def _zones() -> list[Place]:
    zones = [
        zone("entrance", "P1", (-20, 4, 0, 12), "entrance", EAST),
        zone("exit", "P1", (-20, 20, 0, 28), "exit", WEST),
    ]
    for level in ("P1", "P2"):
        zones += [
            zone(f"{level} aisle south", level, (6, 5, 39, 11), "lane", EAST),
            zone(f"{level} aisle north", level, (6, 21, 39, 27), "lane", WEST),
            zone(f"{level} west", level, (0, 5, 6, 21), "lane", SOUTH),
            zone(f"{level} east", level, (39, 11, 45, 21), "lane", NORTH),
            zone(f"{level} corner southeast", level, (39, 5, 45, 11), "lane"),
            zone(f"{level} corner northeast", level, (39, 21, 45, 27), "lane"),
            zone(f"{level} corner northwest", level, (0, 21, 6, 27), "lane"),
            zone(f"{level} walkway", level, (6, 32.4, 36, 34.6), "walkway"),
        ]
    zones += [
        zone("ramp foot", "P1", (39, 3, 57, RAMP[1] + 0.2), "lane"),
        zone("ramp head", "P2", (37, 24, 57, 45), "lane"),
        zone("ramp", "P2", (RAMP[0], RAMP[1] - 0.2, RAMP[2], RAMP[3]), "ramp"),
    ]
    return zones


def _walls() -> list[Occluder]:
    x0, y0, x1, y1 = RAMP
    p1 = {
        "south": [(0, 0), (57, 0), (57, 14), (55.5, 14)],
        "west": [(0, 12), (0, 20)],
        "southwest": [(0, 0), (0, 4)],
        "north": [(0, 28), (0, 35), (45, 35), (45, 14), (48.5, 14)],
        "core": [(13.0, 16), (25.0, 16)],
    }
    p2 = {
        "south": [(0, 35), (0, 0), (45, 0), (45, 32)],
        "north": [(0, 35), (37, 35), (37, 45), (57, 45), (57, 32)],
        "mouth": [(45, 32), (48.5, 32)],
        "mouth east": [(55.5, 32), (57, 32)],
    }
    walls = [Occluder(f"P1 wall {name}", "P1", LineString(line), STOREY) for name, line in p1.items()]
    walls += [Occluder(f"P2 parapet {name}", "P2", LineString(line), 1.0) for name, line in p2.items()]
    walls += [
        Occluder(f"ramp parapet {side}", "P2", LineString([(x, y0), (x, y1)]), 0.9)
        for side, x in (("west", x0 + 0.05), ("east", x1 - 0.05))
    ]
    stairs = rectangle(0.5, 28.8, 4.0, 31.8)
    return walls + [Occluder(f"{level} stairs", level, stairs, 2.9) for level in ("P1", "P2")]


def _pillars(n_stalls: int) -> list[Occluder]:
    offsets = _offsets(n_stalls)
    last_before = np.arange(2, n_stalls - 1, 4)
    between = (offsets[last_before] + offsets[last_before + 1]) / 2
    gaps = np.array([offsets[0] - 1.7, *between, offsets[-1] + 1.7])
    pillars = []
    for row in ROWS:
        aisle, side, first, step = _row(row, n_stalls)
        y = AISLES[aisle] + 5.5 * side
        for i, x in enumerate(first + step * gaps):
            outline = rectangle(x - PILLAR / 2, y - PILLAR / 2, x + PILLAR / 2, y + PILLAR / 2)
            pillars.append(Occluder(f"P1 pillar {row}{i + 1}", "P1", outline, STOREY))
    return pillars


def _control_points() -> list[ControlPoint]:
    marks = [(6, 5), (6, 11), (39, 5), (39, 11), (6, 21), (6, 27), (39, 21), (39, 27), (22, 5), (22, 27)]
    points = [
        ControlPoint(f"{level} mark {i + 1}", (float(x), float(y), z))
        for level, z in (("P1", 0.0), ("P2", STOREY))
        for i, (x, y) in enumerate(marks)
    ]
    return [
        *points,
        ControlPoint("ramp foot", (52.0, 14.0, 0.0)),
        ControlPoint("ramp head", (52.0, 34.0, STOREY)),
    ]


def _cameras() -> list[Camera]:
    low, high = STOREY - 0.2, STOREY + 3.0  # under the ceiling of P1, on poles of 3 m on P2
    return [
        make_camera("p1-aisle-s-west", (0.5, 10.5, low), (14, 7.5, 0.3)),
        make_camera("p1-aisle-s-east", (44.5, 5.2, low), (30, 8.5, 0.3)),
        make_camera("p1-aisle-n-west", (0.5, 21.5, low), (14, 24.5, 0.3)),
        make_camera("p1-aisle-n-east", (44.5, 26.5, low), (30, 23.5, 0.3)),
        make_camera("p1-row-a", (23.0, 10.8, low), (23.0, 7.2, 0.0), field_deg=150),
        make_camera("p1-row-b", (24.5, 5.2, low), (24.5, 8.8, 0.0), field_deg=150),
        make_camera("p1-row-c", (21.0, 26.8, low), (21.0, 23.2, 0.0), field_deg=150),
        make_camera("p1-row-d", (22.0, 21.2, low), (22.0, 24.8, 0.0), field_deg=150),
        make_camera("p1-ramp-foot", (56.5, 0.5, low), (47, 10, 0.5), field_deg=95),
        make_camera("p2-southwest", (0.5, 0.5, high), (13, 9, STOREY), field_deg=95),
        make_camera("p2-southeast", (44.5, 0.5, high), (31, 10, STOREY), field_deg=95),
        make_camera("p2-northwest", (0.5, 34.5, high), (14, 24, STOREY), field_deg=95),
        make_camera("p2-middle", (22.5, 16.0, high), (31, 20, STOREY), field_deg=105),
        make_camera("p2-ramp-head", (37.5, 44.5, high), (47, 34, STOREY - 0.5), field_deg=95),
    ]


def _many_cameras() -> list[Camera]:
    """Sixty: along each row of stalls, from across its aisle, at both gates, and at the ends of the aisles."""
    extra = _extra(LONG_ROW)
    cameras = [
        make_camera("gate-in", (0.5, 11.5, STOREY - 0.2), (-8, 8, 0.3), field_deg=95),
        make_camera("gate-out", (0.5, 20.5, STOREY - 0.2), (-8, 24, 0.3), field_deg=95),
        make_camera("p1-south-east", (44.5 + extra, 0.5, STOREY - 0.2), (38 + extra, 9, 0.3), field_deg=95),
        make_camera("p2-north-east", (37.5 + extra, 44.5, 2 * STOREY), (40 + extra, 34, STOREY), field_deg=95),
    ]
    for level, high in (("P1", STOREY - 0.2), ("P2", 2 * STOREY)):
        for row, (aisle, side, _, _) in ROWS.items():
            for i, x in enumerate(np.linspace(15.0, 30.0 + extra, 7)):
                y, z = AISLES[aisle] - 2.8 * side, STOREY * (level == "P2")
                target = (float(x), AISLES[aisle] + 3.5 * side, z)
                name = f"{level.lower()}-row-{row.lower()}-{i + 1}"
                cameras.append(make_camera(name, (float(x), y, high), target, field_deg=105))
    return cameras
