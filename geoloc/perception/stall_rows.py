"""Rows of stalls among the lines on the ground: parallel lines at one distance, from one common edge to another."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from geoloc.options import check_range
from geoloc.perception.ground_lines import GroundLine

ALIGNED = 0.105  # rad by which a line may run otherwise than its set: a far camera's calibration turns it
SAME_EDGE = 0.35  # m within which ends of lines, and lines across, are one edge of a row
SAME_LINE = 0.45  # m within which the lines of several cameras are one
SHEARS = (0.0, 0.577, -0.577, 1.0, -1.0, 1.732, -1.732)  # a row's edge over its dividers' normal: at right angles, ...
FAR = 14.0  # m without any divider that end a row
MOST_MISSING = 2  # dividers in a row that may be hidden by cars
COST = 0.5  # of a divider that is missing, in dividers that are there
BEYOND, PASSING = 0.5, 0.4  # m by which a line passes an edge, and what it is worth that does
SLANTED_ENDS = 0.5  # of the lines of a slanted row that must reach from edge to edge
MOST_BANDS = 40  # of a set of lines that are tried
HALF = 0.6  # of a row's depth that a line covers which makes a stall with one other line alone


@dataclass(frozen=True)
class RowOptions:
    """What a row of stalls is like."""

    narrowest: float = 2.1  # m between two lines
    widest: float = 3.7  # m
    shortest: float = 3.8  # m from a row's one edge to the other
    longest: float = 6.6  # m
    regular: float = 0.2  # m by which a line may be off the grid

    def __post_init__(self) -> None:
        check_range(self, narrowest=(0.1, 20), widest=(self.narrowest, 40), shortest=(0.1, 50))
        check_range(self, longest=(self.shortest, 100), regular=(0.005, 5))


@dataclass(frozen=True, eq=False)
class Divider:
    """Lines at one place of a row, its number in a block of the grid, and the share of the row's depth they cover."""

    block: int
    number: int
    lines: tuple[GroundLine, ...]
    covered: float


@dataclass(frozen=True, eq=False)
class Row:
    """A row of stalls before it is fitted. Its frame: u along `across` (2,), v along `ahead` (2,), the dividers' way.

    Divider k of block b lies at u = `starts[b]` + k `pitch`; the row's edges at v = `edges` + `shear` u.
    """

    level: str
    ahead: np.ndarray
    pitch: float
    shear: float
    edges: tuple[float, float]
    starts: tuple[float, ...]
    dividers: tuple[Divider, ...]
    closing: tuple[tuple[GroundLine, ...], tuple[GroundLine, ...]]

    @property
    def across(self) -> np.ndarray:
        """Normal (2,) of the dividers, to the right of `ahead`."""
        x, y = self.ahead.tolist()
        return np.array([y, -x])

    @property
    def n_stalls(self) -> int:
        """How many stalls its blocks hold."""
        last = np.zeros(len(self.starts), int)
        for divider in self.dividers:
            last[divider.block] = max(last[divider.block], divider.number)
        return int(last.sum())


def find_rows(level: str, lines: Sequence[GroundLine], options: RowOptions | None = None) -> list[Row]:
    """Rows of stalls among the painted lines of a level, the fullest first. A line may edge two rows."""
    options = options or RowOptions()
    found: list[Row] = []
    for ahead in _directions(lines):
        best: list[Row] = []
        for shear in SHEARS:
            rows = _rows(level, lines, ahead, shear, options)
            if _worth(rows) > _worth(best) + (1.0 if best else 0.0):  # what is at right angles needs no excuse
                best = rows
        found += best
    return sorted(found, key=lambda row: -row.n_stalls)


def _worth(rows: Sequence[Row]) -> float:
    return sum(divider.covered for row in rows for divider in row.dividers)


def _directions(lines: Sequence[GroundLine]) -> list[np.ndarray]:
    """The ways (2,) in which most metres of line run, at least four sets of lines' worth apart."""
    if not lines:
        return []
    angle = np.array([np.arctan2(line.ahead[1], line.ahead[0]) % np.pi for line in lines])
    weight = np.array([line.length for line in lines])
    left, found = weight.copy(), []
    for _ in range(4):
        grid = np.linspace(0, np.pi, 180, endpoint=False)
        off = np.abs(np.mod(angle[None] - grid[:, None] + np.pi / 2, np.pi) - np.pi / 2)
        score = (left * np.clip(1 - off / ALIGNED, 0, None)).sum(axis=1)
        if score.max() < 6.0:
            break
        near = off[int(score.argmax())] < ALIGNED
        turned = np.mod(angle[near] - grid[int(score.argmax())] + np.pi / 2, np.pi) - np.pi / 2
        middle = grid[int(score.argmax())] + _weighted_median(turned, weight[near])
        found.append(np.array([np.cos(middle), np.sin(middle)]))
        left[near] = 0.0
    return found


def _weighted_median(values: np.ndarray, weight: np.ndarray) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


@dataclass(frozen=True, eq=False)
class _Set:
    """Lines in a row's frame: `u` (N,) of their middles, `low` and `high` (N,) the sheared v of their ends."""

    lines: list[GroundLine]
    u: np.ndarray
    low: np.ndarray
    high: np.ndarray
    reach: np.ndarray  # (N, 2) m, the least and the greatest u

    def at_edge(self, u: np.ndarray, edge: float) -> np.ndarray:
        """Whether one of these lines runs along an edge at places u (M,): (M,) bool."""
        mine = self.reach[np.abs(0.5 * (self.low + self.high) - edge) < SAME_EDGE]
        return ((mine[:, 0] - 0.5 < u[:, None]) & (u[:, None] < mine[:, 1] + 0.5)).any(axis=1)


def _worth_of(dividers: _Set, closing: _Set, low: float, high: float) -> np.ndarray:
    """What each line is worth as a divider of a band: little if it runs on beyond an edge that nothing marks."""
    over_low = (dividers.low < low - BEYOND) & ~closing.at_edge(dividers.u, low)
    over_high = (dividers.high > high + BEYOND) & ~closing.at_edge(dividers.u, high)
    return np.asarray(PASSING ** (over_low.astype(float) + over_high))


def _rows(level: str, lines: Sequence[GroundLine], ahead: np.ndarray, shear: float, options: RowOptions) -> list[Row]:
    across = np.array([ahead[1], -ahead[0]])
    along = across + shear * ahead
    dividers = _chosen(lines, ahead, across, ahead, shear)
    closing = _chosen(lines, along / np.linalg.norm(along), across, ahead, shear)
    if len(dividers.lines) < 3:
        return []
    found = []
    taken: list[tuple[float, float, float, float]] = []
    for low, high in _bands(dividers, closing, options):
        share = np.minimum(dividers.high, high) - np.maximum(dividers.low, low)
        rows = np.flatnonzero(share > 0.12 * (high - low))
        for part in _near(rows, dividers.u):
            row = _row(level, ahead, shear, (low, high), dividers, closing, part, options)
            if row is None:
                continue
            u = np.array([dividers_u(row, divider) for divider in row.dividers])
            box = (float(u.min()), low, float(u.max()), high)
            if any(_overlap(box, other) > 0.3 for other in taken):
                continue
            taken.append(box)
            found.append(row)
    return found


def dividers_u(row: Row, divider: Divider) -> float:
    """Where (m) the grid has a divider, in the row's frame."""
    return row.starts[divider.block] + divider.number * row.pitch


def _chosen(lines: Sequence[GroundLine], way: np.ndarray, across: np.ndarray, ahead: np.ndarray, shear: float) -> _Set:
    """The lines that run one way, in the frame of a row."""
    mine = [line for line in lines if abs(float(line.across @ way)) < np.sin(ALIGNED)]
    ends = np.array([line.ends for line in mine]).reshape(-1, 2, 2)
    u, v = ends @ across, ends @ ahead
    sheared = v - shear * u
    reach = np.column_stack([u.min(axis=1), u.max(axis=1)])
    return _Set(mine, u.mean(axis=1), sheared.min(axis=1), sheared.max(axis=1), reach)


def _bands(dividers: _Set, closing: _Set, options: RowOptions) -> list[tuple[float, float]]:
    """From where to where (sheared v, m) rows may reach, the best supported first."""
    spots = np.concatenate([dividers.low, dividers.high, 0.5 * (closing.low + closing.high)])
    worth = np.concatenate([np.full(2 * len(dividers.low), 0.5), [line.length / 2.0 for line in closing.lines]])
    levels = _clusters(spots, worth, SAME_EDGE)
    scored = []
    for (low, first), (high, second) in combinations(levels, 2):
        deep = high - low
        if not options.shortest <= deep <= options.longest:
            continue
        share = (np.minimum(dividers.high, high) - np.maximum(dividers.low, low)) / deep
        # a line that ends where the band ends says more than one that runs on
        ends = np.minimum(np.abs(dividers.low - low), np.abs(dividers.high - high)) < SAME_EDGE
        both = (np.abs(dividers.low - low) < SAME_EDGE) & (np.abs(dividers.high - high) < SAME_EDGE)
        gain = np.clip(share, 0, 1) * (0.4 + 0.6 * ends + 0.6 * both) * _worth_of(dividers, closing, low, high)
        scored.append((float(gain.sum()) + 0.7 * min(first, 8) + 0.7 * min(second, 8), low, high))
    return [(low, high) for _, low, high in sorted(scored, reverse=True)[:MOST_BANDS]]


def _clusters(spots: np.ndarray, worth: np.ndarray, width: float) -> list[tuple[float, float]]:
    """Where values gather within `width`: middle and worth of each, ascending."""
    order = np.argsort(spots)
    spots, worth = spots[order], worth[order]
    left, found = worth.copy(), []
    while left.max(initial=0) > 0:
        sums = [left[(spots >= at - width / 2) & (spots <= at + width / 2)].sum() for at in spots]
        at = spots[int(np.argmax(sums))]
        near = (np.abs(spots - at) <= width / 2) & (left > 0)
        if left[near].sum() < 0.9:
            break
        found.append((float(np.average(spots[near], weights=left[near])), float(left[near].sum())))
        left[np.abs(spots - at) <= width / 2] = 0.0
    return sorted(found)


def _near(rows: np.ndarray, u: np.ndarray) -> list[np.ndarray]:
    """Rows of lines in stretches without too long a gap."""
    order = rows[np.argsort(u[rows])]
    return np.split(order, np.flatnonzero(np.diff(u[order]) > FAR) + 1) if len(order) else []


def _row(
    level: str, ahead: np.ndarray, shear: float, edges: tuple[float, float], dividers: _Set, closing: _Set,
    part: np.ndarray, options: RowOptions,
) -> Row | None:  # fmt: skip
    """The grid that the lines `part` of a band carry; None where they carry none."""
    places = _places(dividers, closing, part, edges)
    pitch = _pitch(np.array([u for u, _, _ in places]), np.array([c for _, c, _ in places]), options)
    if pitch == 0.0:
        return None
    chains = _chains(places, pitch, options)
    if not chains or (shear and _ending(dividers, part, edges) < SLANTED_ENDS):
        return None
    starts, found = [], []
    for block, chain in enumerate(chains):
        numbers = [number for _, number in chain]
        starts.append(float(np.mean([places[i][0] - number * pitch for i, number in chain])))
        found += [
            Divider(block, number, places[i][2], places[i][1])
            for (i, _), number in zip(chain, numbers, strict=True)
        ]
    last = max(places[i][0] for chain in chains for i, _ in chain)
    middle = 0.5 * (closing.low + closing.high)
    near = (closing.u > min(starts) - 3.0) & (closing.u < last + 3.0)
    ends = tuple(
        tuple(closing.lines[i] for i in np.flatnonzero(near & (np.abs(middle - edge) < SAME_EDGE))) for edge in edges
    )
    # what is shorter than a stall is wide, such as the edge of a shadow, shows no edge
    shown = [end if sum(line.length for line in end) > pitch else () for end in ends]
    return Row(level, ahead, pitch, shear, edges, tuple(starts), tuple(found), (shown[0], shown[1]))


def _ending(dividers: _Set, part: np.ndarray, edges: tuple[float, float]) -> float:
    """The share of a band's lines that reach from its one edge to the other and no farther."""
    low, high = np.abs(dividers.low[part] - edges[0]), np.abs(dividers.high[part] - edges[1])
    return float(((low < SAME_EDGE) & (high < SAME_EDGE)).mean())


Places = list[tuple[float, float, tuple[GroundLine, ...]]]


def _places(dividers: _Set, closing: _Set, part: np.ndarray, edges: tuple[float, float]) -> Places:
    """Where there are dividers in a band: u, the share of the depth that is covered, and their lines."""
    deep = edges[1] - edges[0]
    low, high = np.maximum(dividers.low[part], edges[0]), np.minimum(dividers.high[part], edges[1])
    worth = _worth_of(dividers, closing, *edges)[part]
    share = (high - low) / deep * worth
    found: Places = []
    for u, _ in _clusters(dividers.u[part], share, SAME_LINE):
        mine = np.flatnonzero(np.abs(dividers.u[part] - u) <= SAME_LINE / 2 + 0.05)
        marks = np.zeros(50)
        for i in mine:
            a, b = (np.array([low[i], high[i]]) - edges[0]) / deep * 50
            marks[round(a) : round(b)] = np.maximum(marks[round(a) : round(b)], worth[i])
        found.append((u, float(marks.mean()), tuple(dividers.lines[part[i]] for i in mine)))
    # a cluster asks for a line's worth: what is shorter may still stand at the grid's place
    loose = [i for i in range(len(part)) if all(abs(dividers.u[part[i]] - u) > SAME_LINE for u, _, _ in found)]
    found += [(float(dividers.u[part[i]]), float(share[i]), (dividers.lines[part[i]],)) for i in loose]
    return sorted(found, key=lambda place: place[0])


def _pitch(u: np.ndarray, worth: np.ndarray, options: RowOptions) -> float:
    """The distance (m) that most pairs of dividers are apart; 0 where there are too few."""
    if len(u) < 3:
        return 0.0
    i, j = np.triu_indices(len(u), 1)
    apart, weight = u[j] - u[i], np.minimum(worth[i], worth[j])
    grid = np.arange(options.narrowest, options.widest, 0.01)
    score = np.zeros(len(grid))
    for times, share in ((1, 1.0), (2, 0.5), (3, 0.3)):
        off = apart[None] / times - grid[:, None]
        score += share * (weight * np.exp(-0.5 * (off / 0.05) ** 2)).sum(axis=1)
    best = float(grid[int(score.argmax())])
    near = np.abs(apart - best) < options.regular
    if weight[near].sum() < 0.7:
        return 0.0
    return float(np.average(apart[near], weights=weight[near] + 1e-6))


def _chains(places: Places, pitch: float, options: RowOptions) -> list[list[tuple[int, int]]]:
    """Dividers that stand on one grid each: (which place, its number), the fullest first."""
    free = list(range(len(places)))
    chains: list[list[tuple[int, int]]] = []
    while True:
        chain = _longest(places, free, pitch, options)
        worth = [places[i][1] for i, _ in chain]
        good = len(chain) >= 3 and sum(worth) >= 1.2
        good |= len(chain) == 2 and chain[1][1] == 1 and bool(chains) and min(worth) >= HALF
        if not good:
            return chains
        chains.append(chain)
        low, high = places[chain[0][0]][0], places[chain[-1][0]][0]
        free = [i for i in free if places[i][0] < low - 0.05 or places[i][0] > high + 0.05]


def _longest(places: Places, free: list[int], pitch: float, options: RowOptions) -> list[tuple[int, int]]:
    """The chain of the places `free` that is worth most, by what its dividers cover less what is missing."""
    worth: dict[int, float] = {}
    before: dict[int, tuple[int, int]] = {}
    for n, j in enumerate(free):
        worth[j] = places[j][1]
        for i in free[:n]:
            steps = round((places[j][0] - places[i][0]) / pitch)
            off = abs(places[j][0] - places[i][0] - steps * pitch)
            if not 1 <= steps <= MOST_MISSING + 1 or off > options.regular + 0.02 * (steps - 1):
                continue
            if any(places[i][0] < places[k][0] < places[j][0] and _blocks(places, i, k, j) for k in free):
                continue
            value = worth[i] + places[j][1] - COST * (steps - 1) - off
            if value > worth[j]:
                worth[j], before[j] = value, (i, steps)
    if not worth:
        return []
    at = max(worth, key=lambda j: worth[j])
    chain = [(at, 0)]
    while chain[-1][0] in before:
        i, steps = before[chain[-1][0]]
        chain.append((i, chain[-1][1] - steps))
    first = chain[-1][1]
    return [(i, number - first) for i, number in reversed(chain)]


def _blocks(places: Places, i: int, k: int, j: int) -> bool:
    """Whether a full divider stands where no stall between two others can have one."""
    return places[k][1] >= HALF and min(places[k][0] - places[i][0], places[j][0] - places[k][0]) < 1.9


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Share of the smaller of two boxes that the other covers."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    least = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(wide, 0.0) * max(high, 0.0) / max(least, 1e-9)
