"""A world on the real stall map of Dragon Lake Parking: two-way aisles between its blocks, and cameras on poles."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import shapely

from geoloc.io.dlp import LEVEL, read_parking_lot
from geoloc.scene.camera import Camera
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, Surface
from geoloc.synthetic.world import TrafficOptions, World, add_lane, make_camera

SIDE = 1.6  # m from the middle of an aisle to that of its right lane
MOUTH = 5.0  # m from the middle of a crossing to where its lanes begin
SPEED = 4.5  # m/s
AROUND = (-10.0, -10.0, 150.0, 90.0)  # m, ground of the world
AISLES = ("R1", "R2", "R3", "R4")
POLE = 9.0  # m
SPOTS = ((4.0, (1,)), (41.0, (-1, 1)), (79.0, (-1, 1)), (109.0, (-1, 1)), (138.5, (-1,)))  # x, ways looked


def dlp_world(folder: Path) -> World:
    """Stalls as on the map, aisles as its ways; 32 cameras along the aisles, calibrated to 0.1 degrees."""
    lot = read_parking_lot(folder / "parking_map.yml")
    rows = {name: float(lot.ways[f"{name}L"][0, 1]) for name in AISLES}
    columns = {name: float(lot.ways[name][0, 0]) for name in ("C1", "C2")}
    lanes = _lanes(rows, columns)
    middles = {stall.name: stall.polygon.centroid.coords[0] for stall in lot.site_map.stalls}
    access = {name: _lane_of(middle, rows, columns["C2"]) for name, middle in middles.items()}
    cameras = [camera for y in rows.values() for camera in _cameras(y)]
    traffic = TrafficOptions(duration=45.0, rate=2.0, n_cars=210, parked_share=0.95, leaving_share=0.03)
    ground = Level(LEVEL, (Surface((0.0, 0.0, 0.0), shapely.box(*AROUND)),))
    site_map = replace(lot.site_map, levels=(ground,))  # cars that back out of the last stalls leave the map's edge
    return World(Site("dlp", tuple(cameras), site_map), lanes, access, traffic=traffic)


def _lanes(rows: dict[str, float], columns: dict[str, float]) -> nx.DiGraph:
    """Both lanes of each aisle left and right of column C2, and of the columns between aisles; turns join them."""
    lanes = nx.DiGraph()
    x1, x2 = columns["C1"], columns["C2"]
    for name, y in rows.items():
        for part, (a, b) in {"L": (x1 + MOUTH, x2 - MOUTH), "R": (x2 + MOUTH, 137.0)}.items():
            _two_ways(lanes, f"{name}{part}", np.array([a, y]), np.array([b, y]))
        _joined(lanes, f"{name}R east end", f"{name}R west start")
    names = list(rows)
    for column, x in columns.items():
        for upper, lower in pairwise(names):
            ends = np.array([x, rows[upper] - MOUTH]), np.array([x, rows[lower] + MOUTH])
            _two_ways(lanes, f"{column} {upper}", *ends)
    for i, name in enumerate(names):
        for column in columns:
            _crossing(lanes, name, column, names[i - 1] if i else "", name if i + 1 < len(names) else "")
    _gate(lanes, rows["R1"])
    return lanes


def _two_ways(lanes: nx.DiGraph, name: str, a: np.ndarray, b: np.ndarray) -> None:
    """A lane each way between two places; traffic keeps to the right. East and south are from a to b."""
    ahead = (b - a) / np.linalg.norm(b - a)
    right = SIDE * np.array([ahead[1], -ahead[0]])
    for way, (start, end) in {"east": (a + right, b + right), "west": (b - right, a - right)}.items():
        lanes.add_node(f"{name} {way} start", xy=tuple(start))
        lanes.add_node(f"{name} {way} end", xy=tuple(end))
        add_lane(lanes, [f"{name} {way} start", f"{name} {way} end"], LEVEL, SPEED)


def _crossing(lanes: nx.DiGraph, row: str, column: str, above: str, below: str) -> None:
    """Turns and straight ways of what meets at a column."""
    west_arm, east_arm = ("", f"{row}L") if column == "C1" else (f"{row}L", f"{row}R")
    comes = [f"{west_arm} east end"] * bool(west_arm) + [f"{east_arm} west end"]
    goes = [f"{west_arm} west start"] * bool(west_arm) + [f"{east_arm} east start"]
    if above:
        comes.append(f"{column} {above} east end")
        goes.append(f"{column} {above} west start")
    if below:
        comes.append(f"{column} {below} west end")
        goes.append(f"{column} {below} east start")
    for a in comes:
        for b in goes:
            if a.rsplit(" ", 2)[0] != b.rsplit(" ", 2)[0]:
                _joined(lanes, a, b)


def _gate(lanes: nx.DiGraph, y: float) -> None:
    lanes.add_node("in", xy=(12.8, 79.0), entrance=True)
    lanes.add_node("out", xy=(16.0, 79.0), exit=True)
    lanes.add_node("in foot", xy=(12.8, y + 4.5))
    lanes.add_node("out foot", xy=(16.0, y + 4.5))
    _joined(lanes, "in", "in foot")
    _joined(lanes, "out foot", "out")
    _joined(lanes, "in foot", "R1L west end")  # by the west to all the lot
    _joined(lanes, "R1L west end", "R1L east start")
    _joined(lanes, "R1L west end", "out foot")


def _joined(lanes: nx.DiGraph, a: str, b: str) -> None:
    add_lane(lanes, [a, b], LEVEL, SPEED * 2 / 3)


def _lane_of(middle: tuple[float, ...], rows: dict[str, float], column: float) -> tuple[str, str]:
    """The lane nearest to a stall: the one on its side of the aisle nearest to it."""
    x, y = middle[:2]
    name = min(rows, key=lambda row: abs(rows[row] - y))
    way = "west" if y > rows[name] else "east"
    lane = f"{name}{'L' if x < column else 'R'} {way}"
    return f"{lane} start", f"{lane} end"


def _cameras(y: float) -> list[Camera]:
    return [
        make_camera(f"r{y:02.0f}-{i}{'w' if way < 0 else 'e'}", (x, y, POLE), (x + 17.0 * way, y, 0.0), 95, 0.1, 0.03)
        for i, (x, ways) in enumerate(SPOTS)
        for way in ways
    ]
