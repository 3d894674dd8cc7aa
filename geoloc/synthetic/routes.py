"""From lanes and stalls to the legs that a car drives."""

from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np

from geoloc.synthetic.paths import Leg, make_leg
from geoloc.synthetic.world import World

RADIUS = 4.0  # m, of the centre's path in tight curves
BACK_OUT = 5.0  # m that a car reverses along the lane when it leaves a stall
STALL_SPEED = 2.25  # m/s
MANOEUVRE = 7.0  # m around a stall within which its neighbours are near
CHANGE_GEAR = 1.0  # s between reversing out and driving off


def reachable(world: World, source: str, kind: str) -> list[str]:
    """The nodes marked `kind` that can be driven to from `source`."""
    return [node for node in world.nodes_that_are(kind) if nx.has_path(world.lanes, source, node)]


def legs_through(world: World, source: str, target: str) -> list[Leg]:
    """The shortest way between two nodes."""
    return [_node_leg(world, part) for part in _split(world, _route(world, source, target))]


def legs_to_stall(world: World, source: str, stall: str) -> list[Leg]:
    """From a node into a stall, nose in; empty where no way leads there."""
    begin = world.access[stall][0]
    if not nx.has_path(world.lanes, source, begin):
        return []
    *ahead, last = _split(world, _route(world, source, begin))
    xy, levels, speeds = _line(world, last)
    edge = world.lanes.edges[world.access[stall]]
    centre = stall_centre(world, stall)
    vertices = np.concatenate([xy, [abreast(world, stall)[0], centre]])
    leg = _leg(world, vertices, [*levels, *[edge["level"]] * 2], [*speeds, edge["speed"], STALL_SPEED])
    leg = replace(leg, tight=_near(leg, centre), dwell=_dwell(world, last[0]))
    return [*(_node_leg(world, part) for part in ahead), leg]


def legs_from_stall(world: World, stall: str, target: str) -> list[Leg]:
    """Reversing out of a stall onto its lane, then ahead to a node."""
    lane = world.lanes.edges[world.access[stall]]
    corner, ahead = abreast(world, stall)
    centre, stop = stall_centre(world, stall), corner - BACK_OUT * ahead
    out = _leg(world, np.array([centre, corner, stop]), [lane["level"]] * 2, [STALL_SPEED] * 2)
    out = replace(out, heading=out.heading + np.pi, reverse=True, tight=_near(out, centre))
    first, *others = _split(world, _route(world, world.access[stall][1], target))
    xy, levels, speeds = _line(world, first)
    vertices = np.concatenate([[stop], xy])
    away = _leg(world, vertices, [lane["level"], *levels], [lane["speed"], *speeds])
    return [out, replace(away, dwell=CHANGE_GEAR), *(_node_leg(world, part) for part in others)]


def stall_centre(world: World, stall: str) -> np.ndarray:
    """Where the centre of a parked car is (2,) m."""
    places = {place.name: place for place in world.site.site_map.stalls}
    return np.array(places[stall].polygon.centroid.coords[0])


def stall_heading(world: World, stall: str) -> float:
    """Nose in, seen from the lane (rad); along the longest side where no lane leads there."""
    if stall in world.access:
        side = stall_centre(world, stall) - abreast(world, stall)[0]
    else:
        places = {place.name: place for place in world.site.site_map.stalls}
        sides = np.diff(np.array(places[stall].polygon.exterior.coords), axis=0)
        side = sides[np.argmax(np.linalg.norm(sides, axis=1))]
    return float(np.arctan2(side[1], side[0]))


def abreast(world: World, stall: str) -> tuple[np.ndarray, np.ndarray]:
    """The point of a stall's lane that lies abreast of it (2,) m, and the lane's direction (2,)."""
    a, b = (np.array(world.lanes.nodes[node]["xy"], float) for node in world.access[stall])
    ahead = (b - a) / np.linalg.norm(b - a)
    return a + ((stall_centre(world, stall) - a) @ ahead) * ahead, ahead


def _near(leg: Leg, centre: np.ndarray) -> np.ndarray:
    return np.linalg.norm(leg.xyz[:, :2] - centre, axis=1) < MANOEUVRE


def _route(world: World, source: str, target: str) -> list[str]:
    return nx.shortest_path(world.lanes, source, target, weight="length")


def _split(world: World, nodes: list[str]) -> list[list[str]]:
    """The route cut at the nodes where each car stops."""
    parts = [[nodes[0]]]
    for node in nodes[1:]:
        parts[-1].append(node)
        if _dwell(world, node) and node != nodes[-1]:
            parts.append([node])
    return parts


def _dwell(world: World, node: str) -> float:
    return float(world.lanes.nodes[node].get("stop", 0.0))


def _line(world: World, nodes: list[str]) -> tuple[np.ndarray, list[str], list[float]]:
    edges = [world.lanes.edges[edge] for edge in pairwise(nodes)]
    xy = np.array([world.lanes.nodes[node]["xy"] for node in nodes], float)
    return xy, [edge["level"] for edge in edges], [edge["speed"] for edge in edges]


def _node_leg(world: World, nodes: list[str]) -> Leg:
    leg = _leg(world, *_line(world, nodes))
    reds = []
    for node in nodes:
        data = world.lanes.nodes[node]
        if "light" in data:
            distance = np.linalg.norm(leg.xyz[:, :2] - data["xy"], axis=1)
            reds.append((int(np.argmin(distance)), data["light"]))
    return replace(leg, dwell=_dwell(world, nodes[0]), reds=tuple(reds))


def _leg(world: World, vertices: np.ndarray, levels: list[str], speeds: list[float]) -> Leg:
    return make_leg(world.site.site_map, vertices, levels, speeds, RADIUS)
