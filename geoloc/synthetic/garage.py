"""The garage: two levels above each other, a ramp, pillars, walls, 80 stalls, 14 cameras.

Every level is a one-way loop, counter-clockwise, with two aisles; cars come in at the south-west, leave at
the north-west, and change levels on a two-way ramp in the east. The upper level is open to the sky.
"""

import networkx as nx
import numpy as np
from shapely import LineString, union_all

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
SIGMA_Z = 0.01  # m, of each piece of floor


def garage() -> World:
    """The two-level garage: 80 stalls, 60 cars and 6 people by default."""
    levels = ("P1", "P2")
    rows = [(level, row) for level in levels for row in ROWS]
    stalls = [stall for level, row in rows for stall in _stalls(level, row)]
    access = {stall.name: LANES[level, ROWS[row][0]] for level, row in rows for stall in _stalls(level, row)}
    site_map = SiteMap(
        levels=_levels(),
        datum=Datum(48.13715, 11.57612, 519.0),
        stalls=tuple(stalls),
        zones=tuple(_zones()),
        occluders=tuple(_walls() + _pillars()),
        control_points=tuple(_control_points()),
    )
    walks = tuple(
        Walk(level, rectangle(6.0, 32.6, 36.0, 34.4), np.array([[6.3, 33.5], [35.7, 33.5]]))
        for level in levels
    )
    traffic = TrafficOptions(duration=120.0, rate=5.0, n_cars=60, n_people=6)
    return World(Site("garage", tuple(_cameras()), site_map), _lanes(), access, walks, traffic)


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


def _offsets() -> np.ndarray:
    """Where the ten stalls of a row stand: groups of 3, 4 and 3 with a gap of 0.8 m for a pillar."""
    return STALL[0] * np.arange(10) + 0.8 * np.repeat([0, 1, 2], [3, 4, 3])


def _stalls(level: str, row: str) -> list[Place]:
    aisle, side, first, step = ROWS[row]
    near = AISLES[aisle] + 3.0 * side
    low, high = sorted((near, near + STALL[1] * side))
    half = STALL[0] / 2
    return [
        zone(f"{level}-{row}{i + 1:02d}", level, (x - half, low, x + half, high), "stall")
        for i, x in enumerate(first + step * _offsets())
    ]


def _lanes() -> nx.DiGraph:
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
    add_lane(
        lanes, ["in", "in_gate", "P1_sw", "P1_s1", "P1_se", "P1_e1", "P1_ne", "P1_nw", "P1_sw"], "P1", SPEED
    )
    add_lane(lanes, ["P1_nw", "out_gate", "out"], "P1", SPEED)
    add_lane(lanes, ["P2_sw", "P2_se", "P2_e1", "P2_ne", "P2_n1", "P2_nw", "P2_sw"], "P2", SPEED)
    add_lane(lanes, ["P1_s1", "up_1", "up_2", "up_foot"], "P1", SPEED)
    add_lane(lanes, ["up_foot", "up_head", "up_3", "up_4", "up_5", "P2_n1"], "P2", SPEED * 2 / 3)
    add_lane(lanes, ["P2_ne", "down_1", "down_2", "down_3", "down_head", "down_foot"], "P2", SPEED * 2 / 3)
    add_lane(lanes, ["down_foot", "down_4", "down_5", "P1_e1"], "P1", SPEED)
    return lanes


def _zones() -> list[Place]:
    zones = [
        zone("entrance", "P1", (-20, 5, 0, 11), "entrance"),
        zone("exit", "P1", (-20, 21, 0, 27), "exit"),
    ]
    for level in ("P1", "P2"):
        zones += [
            zone(f"{level} aisle south", level, (0, 5, 45, 11), "lane"),
            zone(f"{level} aisle north", level, (0, 21, 45, 27), "lane"),
            zone(f"{level} west", level, (0, 5, 6, 27), "lane"),
            zone(f"{level} east", level, (39, 5, 45, 27), "lane"),
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


def _pillars() -> list[Occluder]:
    offsets = _offsets()
    gaps = np.array(
        [offsets[0] - 1.7, (offsets[2] + offsets[3]) / 2, (offsets[6] + offsets[7]) / 2, offsets[9] + 1.7]
    )
    pillars = []
    for row, (aisle, side, first, step) in ROWS.items():
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
