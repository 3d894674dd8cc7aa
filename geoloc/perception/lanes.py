"""Lanes out of travel: ridges of what was driven, their direction, width and how well all of it is known.

A ridge is followed from where most was driven, a step at a time: across it, to the mode of what drives the same way
(mean shift: Fukunaga and Hostetler, 1975), along it, in the mean direction there. Lanes beside each other share the
ground between them; a lane alone is as wide as vehicles and their swerving need.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy.spatial import cKDTree

from geoloc.options import check_range
from geoloc.perception.tracks_flow import Nodes

STEP = 1.0  # m along a ridge
WINDOW = 2.0  # m before and behind, that say where its middle is
REACH = 3.0  # m
SETTLES = 8
ALIKE = 0.766  # directions of one lane: the cosine of 40 degrees
TURN = 0.643  # the most that a ridge turns in one step: of 50
LONGEST = 5000  # steps
CELL_VAR = 0.02  # m², that places within a cell are apart


@dataclass(frozen=True)
class LaneOptions:
    """What counts as a lane."""

    least_passages: float = 5.0  # fewer make no lane
    least_share: float = 0.03  # of what passes on a lane beside it
    shortest: float = 6.0  # m
    kernel: float = 0.5  # m, half width of the window that finds the middle
    narrowest: float = 2.2  # m between two lanes; what is nearer is one
    widest: float = 6.0  # m between two lanes that touch
    vehicle: float = 1.8  # m, width
    clearance: float = 0.7  # m that a lane is wider than its vehicles on each side, where nothing lies beside it
    clearance_sigma: float = 0.3  # m, of an edge beside which nothing is driven
    off_middle: float = 0.2  # m, how far vehicles keep from a lane's middle on the mean; 0.20 on two measured roads
    two_way_share: float = 0.05  # of passages the other way, from which on a lane is no one-way lane

    def __post_init__(self) -> None:
        check_range(self, least_passages=(0.1, 1e6), least_share=(0, 1), shortest=(1, 1000), kernel=(0.05, 5))
        check_range(self, narrowest=(0.2, 20), widest=(1, 50), vehicle=(0.2, 5), clearance=(0, 5))
        check_range(self, clearance_sigma=(0, 5), off_middle=(0, 5), two_way_share=(0, 1))


@dataclass(frozen=True, eq=False)
class LearnedLane:
    """P points of a lane's middle, a metre apart, as it is driven; what was learned at each, and its edges.

    `heading` (P,) rad; `passages` (P,); `spread` (P,) m, of vehicles across; `sigma` (P,) m, of the middle across, of
    which `bias_sigma` is common to the lanes around; `speed`, `speed_sigma` (P,) m/s; `left`, `right` m from the middle
    to its edges, and how well those are known across, `left_sigma`, `right_sigma` m.
    """

    level: int
    xy: np.ndarray
    heading: np.ndarray
    passages: np.ndarray
    spread: np.ndarray
    sigma: np.ndarray
    bias_sigma: np.ndarray
    speed: np.ndarray
    speed_sigma: np.ndarray
    left: float = np.nan
    right: float = np.nan
    left_sigma: float = np.nan
    right_sigma: float = np.nan
    one_way: bool = True
    confidence: float = np.nan

    @property
    def n(self) -> float:
        """Passages, in the middle of those at all points."""
        return float(np.median(self.passages))

    @property
    def width_sigma(self) -> float:
        """m; what is common to both edges is no error of the width."""
        return float(np.sqrt(max(self.left_sigma**2 + self.right_sigma**2 - 2.0 * self.bias_var, 0.0)))

    @property
    def own_var(self) -> float:
        """m², of the middle across, without what is common to the lanes around; in the middle of all points."""
        return float(np.median(self.sigma**2 - self.bias_sigma**2))

    @property
    def bias_var(self) -> float:
        """m², of the middle across, that is common to the lanes around."""
        return float(np.median(self.bias_sigma**2))

    @property
    def length(self) -> float:
        """m."""
        return float(np.linalg.norm(np.diff(self.xy, axis=0), axis=1).sum())


def find_lanes(nodes: Nodes, level: int, options: LaneOptions | None = None) -> list[LearnedLane]:
    """The lanes of one level, most driven first."""
    options = options or LaneOptions()
    ridges = _Ridges(nodes.on(level), level, options)
    lanes = _kept_apart(sorted(ridges.all(), key=lambda lane: -lane.n), options)
    return [_with_edges(lane, lanes, options) for lane in lanes]


class _Ridges:
    """Ridges of travel on one level."""

    def __init__(self, nodes: Nodes, level: int, options: LaneOptions) -> None:
        self.nodes, self.level, self.options = nodes, level, options
        self.axis = np.column_stack([np.cos(nodes.direction), np.sin(nodes.direction)])
        self.tree = cKDTree(nodes.xy) if len(nodes.xy) else None
        self.claimed = np.zeros(len(nodes.xy), bool)

    def all(self) -> list[LearnedLane]:
        """Every ridge long and driven enough."""
        found = []
        for seed in np.argsort(-self.nodes.weight, kind="stable").tolist():
            if self.claimed[seed]:
                continue
            points = self._ridge(self.nodes.xy[seed], self.axis[seed])
            if not points:
                self.claimed[seed] = True
                continue
            lane = self._lane(points)
            self._claim(lane)
            self.claimed[seed] = True
            if lane.length >= self.options.shortest:
                found.append(lane)
        return found

    def _ridge(self, xy: np.ndarray, axis: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        start = self._settled(xy, axis)
        if start is None:
            return []
        ahead, back = self._followed(start, 1.0), self._followed(start, -1.0)
        return [*back[::-1], start, *ahead]

    def _followed(self, start: tuple[np.ndarray, np.ndarray], way: float) -> list[tuple[np.ndarray, np.ndarray]]:
        points: list[tuple[np.ndarray, np.ndarray]] = []
        xy, axis = start
        for _ in range(LONGEST):
            found = self._settled(xy + way * STEP * axis, axis)
            if found is None or found[1] @ axis < TURN or way * (found[0] - xy) @ axis < 0.3 * STEP:
                break
            xy, axis = found
            points.append(found)
            if len(points) > 20 and np.linalg.norm(xy - start[0]) < STEP and axis @ start[1] > ALIKE:
                break  # once round a block
        return points

    def _settled(self, xy: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """The ridge's point and direction nearest to a place; None where nothing or too little was driven."""
        for _ in range(SETTLES):
            near = self._near(xy, axis)
            if near is None:
                return None
            rows, across = near
            weight = self.nodes.weight[rows] * np.exp(-0.5 * (across / self.options.kernel) ** 2)
            weight *= ~self.claimed[rows]
            total = weight.sum()
            if total < 0.5 * self.options.least_passages * 2 * WINDOW:
                return None
            turned = weight @ self.axis[rows]
            shift = float(weight @ across) / total
            xy = xy + shift * np.array([-axis[1], axis[0]])
            axis = turned / np.linalg.norm(turned)
            if abs(shift) < 0.01:
                break
        return xy, axis

    def _near(self, xy: np.ndarray, axis: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Rows of what drives the same way beside a place, and how far to the left of it (m) each is."""
        rows = np.array(self.tree.query_ball_point(xy, REACH) if self.tree else [], int)
        if not len(rows):
            return None
        apart = self.nodes.xy[rows] - xy
        rows_here = (np.abs(apart @ axis) <= WINDOW) & (self.axis[rows] @ axis > ALIKE)
        rows, apart = rows[rows_here], apart[rows_here]
        return (rows, apart @ np.array([-axis[1], axis[0]])) if len(rows) else None

    def _lane(self, points: list[tuple[np.ndarray, np.ndarray]]) -> LearnedLane:
        xy, axis = (np.array(part) for part in zip(*points, strict=True))
        table = np.array([self._figures(*point) for point in points])
        heading = np.unwrap(np.arctan2(axis[:, 1], axis[:, 0]))
        return LearnedLane(self.level, xy, heading, *table.T)

    def _figures(self, xy: np.ndarray, axis: np.ndarray) -> tuple[float, ...]:
        """Passages, spread, sigma and its common part across (m), speed and its spread (m/s) at a ridge's point."""
        near = self._near(xy, axis)
        if near is None:
            return 0.0, 0.0, np.inf, 0.0, np.nan, np.nan
        rows, across = near
        inside = np.abs(across) < 0.5 * self.options.narrowest + 0.2
        rows, across = rows[inside], across[inside]
        weight = self.nodes.weight[rows]
        total = max(weight.sum(), 1e-9)
        n = total / (2 * WINDOW)
        spread = np.sqrt((weight @ across**2) / total + CELL_VAR)
        left = np.array([-axis[1], axis[0]])
        bias = np.einsum("i,nij,j,n->", left, self.nodes.bias_cov[rows], left, weight) / total
        sigma = np.sqrt(spread**2 / max(n, 1.0) + bias + self.options.off_middle**2)
        speed = (weight @ self.nodes.speed[rows]) / total
        square = (weight @ (self.nodes.speed_var[rows] + self.nodes.speed[rows] ** 2)) / total
        return n, spread, sigma, np.sqrt(bias), speed, np.sqrt(max(square - speed**2, 0.0))

    def _claim(self, lane: LearnedLane) -> None:
        """What a lane explains is no other's."""
        if self.tree is None:
            return
        axes = np.column_stack([np.cos(lane.heading), np.sin(lane.heading)])
        for xy, axis, rows in zip(lane.xy, axes, self.tree.query_ball_point(lane.xy, 1.6), strict=True):
            mine = np.array(rows, int)
            apart = self.nodes.xy[mine] - xy
            beside = np.abs(apart @ np.array([-axis[1], axis[0]])) < 0.5 * self.options.narrowest
            here = beside & (np.abs(apart @ axis) < STEP) & (self.axis[mine] @ axis > ALIKE)
            self.claimed[mine[here]] = True


def _beside(lane: LearnedLane, other: LearnedLane, reach: float) -> tuple[float, float, float]:
    """How far to the left of a lane another lies (m, median), how alike they head (cosine), along which share of it."""
    if lane.level != other.level:
        return np.nan, 0.0, 0.0
    distance, row = cKDTree(other.xy).query(lane.xy, distance_upper_bound=reach)
    here = np.flatnonzero(np.isfinite(distance))
    if not len(here):
        return np.nan, 0.0, 0.0
    heading, theirs = lane.heading[here], other.heading[row[here]]
    apart = other.xy[row[here]] - lane.xy[here]
    left = -np.sin(heading) * apart[:, 0] + np.cos(heading) * apart[:, 1]
    # beside, not before or behind
    level_with = np.abs(np.cos(heading) * apart[:, 0] + np.sin(heading) * apart[:, 1]) < 1.5 * STEP
    if not level_with.any():
        return np.nan, 0.0, 0.0
    cosine = float(np.median(np.cos(heading - theirs)[level_with]))
    return float(np.median(left[level_with])), cosine, float(level_with.sum() / len(lane.xy))


def _kept_apart(lanes: list[LearnedLane], options: LaneOptions) -> list[LearnedLane]:
    """Without lanes that are the swerving of a stronger one, or its other direction."""
    kept: list[LearnedLane] = []
    for lane in lanes:
        if lane.n < options.least_passages:
            continue
        for i, other in enumerate(kept):
            left, cosine, share = _beside(lane, other, options.widest)
            if share < 0.5:
                continue
            if lane.n < options.least_share * other.n and abs(cosine) > ALIKE:
                break
            if abs(left) < options.narrowest and cosine > ALIKE:
                break
            if abs(left) < 0.5 * options.narrowest and cosine < -ALIKE:
                both_ways = lane.n >= options.two_way_share * other.n
                kept[i] = replace(other, one_way=other.one_way and not both_ways)
                break
        else:
            kept.append(lane)
    return kept


def _with_edges(lane: LearnedLane, lanes: list[LearnedLane], options: LaneOptions) -> LearnedLane:
    """With its edges: half way to the lanes beside it; on a side without, as far as on the other."""
    beside: dict[bool, tuple[float, LearnedLane]] = {}  # by whether it lies to the left: half way there
    for other in lanes:
        left, cosine, share = _beside(lane, other, options.widest)
        if other is lane or share < 0.5 or abs(cosine) < ALIKE or not options.narrowest <= abs(left) <= options.widest:
            continue
        on_left, half = left > 0, abs(left) / 2
        if on_left not in beside or half < beside[on_left][0]:
            beside[on_left] = half, other
    (left, left_var), (right, right_var) = (_edge(lane, beside, on_left, options) for on_left in (True, False))
    confidence = float(1.0 - 0.5 ** (lane.n / max(options.least_passages, 1e-9)))
    left_sigma, right_sigma = (float(np.sqrt(var + lane.bias_var)) for var in (left_var, right_var))
    return replace(
        lane, left=left, right=right, left_sigma=left_sigma, right_sigma=right_sigma, confidence=confidence
    )


def _edge(
    lane: LearnedLane, beside: dict[bool, tuple[float, LearnedLane]], on_left: bool, options: LaneOptions
) -> tuple[float, float]:
    """How far an edge lies from a lane's middle (m), and the variance (m²) of its place but for the common error."""
    own = lane.own_var
    if on_left in beside:
        half, other = beside[on_left]
        return half, 0.25 * (own + other.own_var)
    free = options.clearance_sigma**2
    if (not on_left) in beside:  # mirrored: what the middle is off, half of it, and what that says of the width
        half, other = beside[not on_left]
        return half, 2.25 * own + 0.25 * other.own_var + free
    return 0.5 * options.vehicle + options.clearance, own + free


def lane_polygon(xy: np.ndarray, left: float, right: float) -> shapely.Polygon:
    """The ground of a piece of lane about its middle (P, 2) m."""
    line = shapely.LineString(xy)
    edges = [shapely.get_coordinates(line.offset_curve(side)) for side in (left, -right)]
    return shapely.Polygon(np.concatenate([edges[0], edges[1][::-1]])).buffer(0)
