"""A world: a site, and what its cars and people need to know in order to move in it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import networkx as nx
import numpy as np
import shapely
from shapely import Polygon

from geoloc.errors import InputError
from geoloc.geometry.se3 import look_at, pose_cov
from geoloc.options import check_range
from geoloc.scene.camera import Camera
from geoloc.scene.lenses import Fisheye, Lens, RadialTangential
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Place

SIZE_PX = (1920, 1080)
RADIAL = (-0.09, 0.012, 4e-4, -3e-4)  # k1, k2, p1, p2: one-to-one well past the corners of 100 degrees
FISHEYE = (-0.02, 0.004, -0.001, 0.0)


@dataclass(frozen=True)
class TrafficOptions:
    """How much happens in a world, and for how long."""

    duration: float = 120.0  # s of truth
    rate: float = 5.0  # Hz, truth rows of each object
    n_cars: int = 0  # all that appear, parked or moving
    n_people: int = 0  # present at any time
    parked_share: float = 0.6  # of the cars stand in a stall at the start
    leaving_share: float = 0.3  # of the cars that stand at the start leave during the recording
    stay: float = np.inf  # s, mean time that a car which came stays; infinite: until the recording ends
    horizon: int = 240  # steps of the speed planner within which a drive must end
    warmup: float = 40.0  # s of traffic before the first row
    start_time: float = 1_700_000_000.05  # Unix s of the first row

    def __post_init__(self) -> None:
        check_range(self, duration=(0.1, 86400), rate=(0.1, 1000), n_cars=(0, 100_000), n_people=(0, 100_000))
        check_range(self, stay=(1, np.inf), horizon=(10, 100_000))
        check_range(self, parked_share=(0, 1), leaving_share=(0, 1), warmup=(0, 3600), start_time=(0, 1e11))


@dataclass(frozen=True)
class Light:
    """A traffic light: green in [green_from, green_from + green) s of every `period` s, else red."""

    period: float
    green_from: float
    green: float

    def is_red(self, time: np.ndarray) -> np.ndarray:
        """Whether it is red at times (...) s."""
        return np.mod(time - self.green_from, self.period) >= self.green


@dataclass(frozen=True, eq=False)
class Walk:
    """Where people walk: an area of one level (holes are obstacles); they come and go at its `doors`."""

    level: str
    area: Polygon
    doors: np.ndarray  # (D, 2) m, inside the area; none: nobody comes or goes


@dataclass(frozen=True, eq=False)
class World:
    """A site with the lanes, stalls and walks that its agents use.

    Nodes of `lanes` carry `xy` (m) and perhaps `entrance`, `exit`, `stop` (s that each car waits there) or
    `light`; edges carry `level` and `speed` (m/s). `access` names the lane that each usable stall opens to.
    """

    site: Site
    lanes: nx.DiGraph = field(default_factory=nx.DiGraph)
    access: dict[str, tuple[str, str]] = field(default_factory=dict)
    walks: tuple[Walk, ...] = ()
    traffic: TrafficOptions = field(default_factory=TrafficOptions)

    def __post_init__(self) -> None:
        known = {stall.name for stall in self.site.site_map.stalls}
        for stall, lane in self.access.items():
            if stall not in known or lane not in self.lanes.edges:
                raise InputError(f"world {self.site.name!r}: stall {stall!r} or its lane {lane} does not exist")

    def nodes_that_are(self, kind: str) -> list[str]:
        """Names of the lane nodes marked `entrance` or `exit`, in the order in which they were added."""
        return [node for node, data in self.lanes.nodes(data=True) if data.get(kind)]


def add_lane(lanes: nx.DiGraph, nodes: Iterable[str], level: str, speed: float) -> None:
    """Add the edges that join `nodes` in order, on one level, with one speed limit (m/s)."""
    names = list(nodes)
    for a, b in pairwise(names):
        length = float(np.linalg.norm(np.subtract(lanes.nodes[b]["xy"], lanes.nodes[a]["xy"])))
        lanes.add_edge(a, b, level=level, speed=speed, length=length)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """The polygon between two corners (m)."""
    return shapely.box(x0, y0, x1, y1)


def zone(
    name: str, level: str, corners: tuple[float, float, float, float], kind: str, direction: float = np.nan
) -> Place:
    """A rectangular place of a map from its corners x0, y0, x1, y1 (m); `direction` as of `Place`."""
    return Place(name, level, rectangle(*corners), kind, direction)


def make_camera(
    name: str,
    centre: tuple[float, float, float],
    target: tuple[float, float, float],
    field_deg: float = 85.0,
    sigma_deg: float = 0.12,
    sigma: float = 0.03,
) -> Camera:
    """A 1080p camera at `centre` that looks at `target` (m); over 110 degrees wide it is a fisheye.

    `field_deg` is the horizontal field before distortion; `sigma_deg` and `sigma` (m) are the standard
    deviations of its rotation and position about each axis, which `calib_cov` states.
    """
    pose = look_at(np.array(centre), np.array(target))
    return Camera(name, _lens(field_deg), SIZE_PX, pose, pose_cov(float(np.radians(sigma_deg)), sigma))


def _lens(field_deg: float) -> Lens:
    half = np.radians(field_deg) / 2
    centre = [(size - 1) / 2 for size in SIZE_PX]
    if field_deg > 110:
        return Fisheye(np.array([*[SIZE_PX[0] / 2 / half] * 2, *centre, *FISHEYE]))
    return RadialTangential(np.array([*[SIZE_PX[0] / 2 / np.tan(half)] * 2, *centre, *RADIAL]))
