"""Where objects change levels: where two of them meet, as at the foot of a ramp, and on stairs and lifts."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations

import shapely
from shapely import Geometry, Polygon

from geoloc.scene.sitemap import Level, SiteMap, Surface

REACH = 1.0  # m in plan, as far as which from both of two levels they meet
GAP = 1.0  # m; they meet where they are no farther apart in height
CLIMBS = frozenset({"stair", "stairs", "stairway", "escalator", "lift", "elevator"})  # kinds of zones
FAR = 1e6  # m, beyond any site


@dataclass(frozen=True, eq=False)
class Joint:
    """Two levels by their places among the map's, first < second, and where one is left for the other.

    They meet on `ramp`; on `climb`, zones of stairs or a lift that both have, one goes up and down. Either may be
    empty.
    """

    first: int
    second: int
    ramp: Geometry
    climb: Geometry


@lru_cache(maxsize=16)
def joints_of(site_map: SiteMap) -> tuple[Joint, ...]:
    """The joints of a map's levels, one a pair of levels that have any."""
    found = []
    for i, j in combinations(range(len(site_map.levels)), 2):
        ramp, climb = _ramp(site_map.levels[i], site_map.levels[j]), _climb(site_map, i, j)
        if not (ramp.is_empty and climb.is_empty):
            found.append(Joint(i, j, ramp, climb))
    return tuple(found)


def _ramp(first: Level, second: Level) -> Geometry:
    return shapely.union_all([_meeting(a, b) for a in first.surfaces for b in second.surfaces])


def _meeting(first: Surface, second: Surface) -> Geometry:
    """Where two surfaces adjoin in plan and meet in height."""
    near = _around(first).intersection(_around(second))
    a, b, c = (p - q for p, q in zip(first.plane, second.plane, strict=True))
    steep = (a * a + b * b) ** 0.5
    if steep < 1e-9:
        return near if abs(c) <= GAP else Polygon()
    # the strip |a x + b y + c| <= GAP
    x, y = -c * a / steep**2, -c * b / steep**2
    along, across = (-b / steep * FAR, a / steep * FAR), (a / steep**2 * GAP, b / steep**2 * GAP)
    corners = [(s * along[0] + t * across[0] + x, s * along[1] + t * across[1] + y) for s, t in
               ((-1, -1), (1, -1), (1, 1), (-1, 1))]  # fmt: skip
    return near.intersection(Polygon(corners))


def _around(surface: Surface) -> Polygon:
    if surface.polygon.is_empty:
        return shapely.box(-FAR, -FAR, FAR, FAR)
    return surface.polygon.buffer(REACH, join_style="mitre")


def _climb(site_map: SiteMap, first: int, second: int) -> Geometry:
    own = [
        shapely.union_all([z.polygon for z in site_map.zones if z.kind in CLIMBS and z.level == level.name])
        for level in (site_map.levels[first], site_map.levels[second])
    ]
    return shapely.intersection(*own)
