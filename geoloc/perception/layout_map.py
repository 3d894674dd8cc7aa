"""A learned layout as a site's map: proposals that a person looks at, and the map with those that are accepted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import shapely
from shapely import LineString, Polygon

from geoloc.perception.lanes import LearnedLane, lane_polygon
from geoloc.perception.stalls_stood import LearnedStall
from geoloc.perception.tracks_doors import LearnedDoor, LearnedTransit
from geoloc.scene.learned import LaneLine, TransitTime
from geoloc.scene.sitemap import Place, SiteMap

LEARNED = "learned"
STRAIGHT = 0.2618  # a piece of lane turns no more than this either way and has one direction
SHORTEST_PIECE = 3.0  # m
OVERLAP = 0.3  # share of a learned stall on a drawn one, from which on it is that one
LANE_OVERLAP = 0.5


@dataclass(frozen=True, eq=False)
class LearnedWalk:
    """Ground that people walk."""

    level: int
    polygon: Polygon
    confidence: float


@dataclass(frozen=True, eq=False)
class Layout:
    """What was learned of a site; `levels` are the names that the indices stand for.

    `blind` are areas that vehicles cross unseen: level, outline, and how many did.
    """

    levels: tuple[str, ...]
    lanes: tuple[LearnedLane, ...]
    stalls: tuple[LearnedStall, ...]
    doors: tuple[LearnedDoor, ...]
    blind: tuple[tuple[int, Polygon, float], ...]
    walks: tuple[LearnedWalk, ...]
    transits: tuple[LearnedTransit, ...]

    def proposal(self, site_map: SiteMap) -> SiteMap:
        """The map's levels with what was learned and nothing else."""
        return SiteMap(
            levels=site_map.levels,
            datum=site_map.datum,
            stalls=tuple(self._stalls()),
            zones=tuple(self._zones()),
            lanes=tuple(self._lane_lines()),
            transits=tuple(self._transits()),
        )

    def accepted(self, site_map: SiteMap, confidence: float = 0.5) -> SiteMap:
        """The map with what was learned that surely: what was learned before gives way, what was drawn stays.

        A learned stall, lane or entrance on one that was drawn is left out.
        """
        learned = self.proposal(site_map)
        stalls = [place for place in site_map.stalls if place.source != LEARNED]
        zones = [place for place in site_map.zones if place.source != LEARNED]
        sure_stalls = [place for place in learned.stalls if place.confidence >= confidence]
        sure_zones = [place for place in learned.zones if place.confidence >= confidence]
        more_stalls = [p for p in sure_stalls if _covered(p, stalls) < OVERLAP]
        more_zones = [p for p in sure_zones if _covered(p, [z for z in zones if z.kind == p.kind]) < LANE_OVERLAP]
        return replace(
            site_map,
            stalls=(*stalls, *_renamed(more_stalls, stalls)),
            zones=(*zones, *more_zones),
            lanes=tuple(lane for lane in learned.lanes if lane.confidence >= confidence),
            transits=learned.transits,
        )

    def counts(self) -> dict[str, int]:
        """How many of each kind."""
        kinds = Counter(door.kind for door in self.doors)
        return {
            "lanes": len(self.lanes), "stalls": len(self.stalls), "entrances": kinds["entrance"],
            "exits": kinds["exit"], "blind areas": len(self.blind), "walked areas": len(self.walks),
            "transits": len(self.transits),
        }  # fmt: skip

    def _stalls(self) -> Iterator[Place]:
        for stall in self.stalls:
            level = self.levels[stall.level]
            name = f"{level} row {stall.row + 1} stall {stall.place + 1}"
            yield Place(
                name, level, Polygon(stall.corners()), "stall", np.nan, stall.sigma, stall.confidence, LEARNED
            )

    def _zones(self) -> Iterator[Place]:
        for i, lane in enumerate(self.lanes):
            pieces = list(_pieces(lane))
            for k, (xy, direction) in enumerate(pieces):
                name = f"learned lane {i + 1}" + (f" piece {k + 1}" if len(pieces) > 1 else "")
                sigma, polygon = float(np.median(lane.sigma)), lane_polygon(xy, lane.left, lane.right)
                if polygon.geom_type == "Polygon" and not polygon.is_empty:
                    level = self.levels[lane.level]
                    yield Place(name, level, polygon, "lane", direction, sigma, lane.confidence, LEARNED)
        for i, door in enumerate(self.doors):
            name, level = f"learned {door.kind} {i + 1}", self.levels[door.level]
            yield Place(name, level, door.polygon, door.kind, door.direction, door.sigma, door.confidence, LEARNED)
        for i, (at, outline, n) in enumerate(self.blind):
            sure = 1.0 - 0.5 ** (n / 2.0)
            yield Place(f"learned blind area {i + 1}", self.levels[at], outline, "blind", np.nan, 0.5, sure, LEARNED)
        for i, walk in enumerate(self.walks):
            name, level = f"learned walkway {i + 1}", self.levels[walk.level]
            yield Place(name, level, walk.polygon, "walkway", np.nan, 0.5, walk.confidence, LEARNED)

    def _lane_lines(self) -> Iterator[LaneLine]:
        for i, lane in enumerate(self.lanes):
            middle = lane.xy + 0.5 * (lane.left - lane.right) * _left(lane.heading)
            line = LineString(middle).simplify(0.05)
            yield LaneLine(
                f"learned lane {i + 1}", self.levels[lane.level], line, lane.left + lane.right,
                lane.width_sigma, float(np.median(lane.sigma)), float(np.median(lane.speed)),
                float(np.median(lane.speed_sigma)), lane.one_way, lane.confidence, LEARNED,
            )  # fmt: skip

    def _transits(self) -> Iterator[TransitTime]:
        for transit in self.transits:
            start, end = transit.start_xy, transit.end_xy
            line = LineString([start, end if np.hypot(*(end - start)) > 0.1 else start + 0.1])
            name, n = f"{transit.start} to {transit.end}", float(len(transit.gap_s))
            yield TransitTime(
                name, self.levels[transit.level], line, transit.start, transit.end, transit.seconds,
                transit.spread_s, n, LEARNED,
            )  # fmt: skip


def _pieces(lane: LearnedLane) -> Iterator[tuple[np.ndarray, float]]:
    """Pieces of a lane's middle and their directions (rad); NaN for short bends and where it is driven both ways."""
    start = 0
    for i in range(1, len(lane.xy) + 1):
        part = lane.heading[start : i + 1]
        if i < len(lane.xy) and np.ptp(part) <= 2 * STRAIGHT:
            continue
        xy = lane.xy[start : i + 1]
        if len(xy) >= 2:
            long = np.linalg.norm(xy[-1] - xy[0]) >= SHORTEST_PIECE
            mean = float(np.angle(np.exp(1j * lane.heading[start:i]).mean()))
            yield xy, mean if long and lane.one_way else np.nan
        start = i


def _left(heading: np.ndarray) -> np.ndarray:
    return np.column_stack([-np.sin(heading), np.cos(heading)])


def _covered(place: Place, others: list[Place]) -> float:
    """Share of a place's ground that lies on others of its level."""
    near = [other.polygon for other in others if other.level == place.level and other.polygon.intersects(place.polygon)]
    if not near:
        return 0.0
    return float(shapely.union_all(near).intersection(place.polygon).area / place.polygon.area)


def _renamed(stalls: list[Place], others: list[Place]) -> list[Place]:
    """Names of stalls must differ."""
    known = {place.name for place in others}
    return [replace(s, name=f"{s.name} (learned)") if s.name in known else s for s in stalls]
