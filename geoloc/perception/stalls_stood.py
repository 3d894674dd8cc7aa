"""Stalls from where vehicles stood: spots, rows of spots at a regular pitch, and the stalls that they make."""

from dataclasses import dataclass

import numpy as np
import shapely
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from geoloc.options import check_range
from geoloc.perception.tracks_trails import Stay

ALONG_ROW = 0.22  # of the pitch, by which a gap may miss a whole number of them
HARDLY = 1e-9
HEADING = 0.5  # what the way in of one vehicle says of the axis, to what a neighbour does
ALIKE_WITHIN = 15.0  # m, over which stalls mostly lie the same way
AGREEMENTS = 10
SQUARE_ROWS = 3  # spots that say how a row lies
SQUARE = 0.349  # stalls that are so near to square to their row are square
FILLED_ROWS = 4  # spots of a row whose empty places are taken for stalls
COLUMNS = 10  # of a spot: level, weight, x, y, x² + y², cos 2a, sin 2a, axis weight, bias variance, time


@dataclass(frozen=True)
class StallOptions:
    """What stalls look like, and how much says that one is there."""

    same: float = 1.2  # m between two vehicles that stood in one stall
    pitch_low: float = 2.1  # m, least and largest width of a stall
    pitch_high: float = 3.6
    across: float = 0.9  # m that vehicles of a row stand farther in or out
    length: float = 5.0  # m, of a stall; vehicles do not show it
    length_sigma: float = 0.4
    least_stays: float = 0.5  # faded stays of a spot that count
    most_spots: int = 20_000
    fade_s: float = 60 * 86400.0
    passes: float = 5.0  # passages over a spot for each stay, from which on it is a place where vehicles wait
    fills: int = 2  # empty places in a row that are taken for stalls too, if so many lie between two that were used

    def __post_init__(self) -> None:
        check_range(self, same=(0.2, 5), pitch_low=(1, 10), pitch_high=(1, 10), across=(0.1, 5), length=(1, 30))
        check_range(self, length_sigma=(0, 5), least_stays=(0, 1e6), most_spots=(10, 1e7), fade_s=(1, 1e12))
        check_range(self, passes=(0.1, 1e6), fills=(0, 50))


@dataclass(frozen=True, eq=False)
class LearnedStall:
    """A stall: its middle (2,) m with `sigma` m, long axis (rad, from east), size m, and what says that it is there."""

    level: int
    xy: np.ndarray
    sigma: float
    axis: float
    width: float
    length: float
    stays: float
    confidence: float
    row: int
    place: int  # in its row

    def corners(self) -> np.ndarray:
        """(4, 2) m."""
        ahead = np.array([np.cos(self.axis), np.sin(self.axis)])
        left = np.array([-ahead[1], ahead[0]])
        half = 0.5 * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        return self.xy + half[:, :1] * self.length * ahead + half[:, 1:] * self.width * left


class Spots:
    """Where vehicles stood, each spot with faded sums of its stays."""

    def __init__(self, options: StallOptions | None = None) -> None:
        self.options = options or StallOptions()
        self.table = np.zeros((0, COLUMNS))

    def add(self, stays: list[Stay]) -> None:
        """Count stays, each at the spot nearest to it within `same` m, or at a new one."""
        for stay in stays:
            self.table = self._with(self.table, stay)

    def with_standing(self, stays: list[Stay]) -> np.ndarray:
        """The spots as if what stands now had left."""
        table = self.table.copy()
        for stay in stays:
            table = self._with(table, stay)
        return table

    def _with(self, table: np.ndarray, stay: Stay) -> np.ndarray:
        near = np.hypot(table[:, 2] - stay.xy[0], table[:, 3] - stay.xy[1]) if len(table) else np.zeros(0)
        near = np.where(table[:, 0] == stay.level, near, np.inf) if len(table) else near
        at = int(near.argmin()) if len(near) and near.min() <= self.options.same else -1
        if at < 0:
            if len(table) >= self.options.most_spots:
                table = np.delete(table, np.argmin(table[:, 1]), axis=0)
            table = np.vstack([table, [stay.level, 0.0, *stay.xy, 0.0, 0.0, 0.0, 0.0, 0.0, stay.end]])
            at = len(table) - 1
        row = table[at]
        faded = np.exp(-max(stay.end - row[9], 0.0) / self.options.fade_s)
        row[[1, 4, 5, 6, 7]] *= faded
        weight, off = row[1], stay.xy - row[2:4]
        row[1] += 1.0
        row[2:4] += off / row[1]
        row[4] += (weight / row[1]) * float(off @ off)  # sum of squares about the mean
        if np.isfinite(stay.axis):
            row[5:8] += np.cos(2 * stay.axis), np.sin(2 * stay.axis), 1.0
        row[8] += (0.5 * float(np.trace(stay.bias_cov)) - row[8]) / row[1]
        row[9] = max(row[9], stay.end)
        return table


def find_stalls(table: np.ndarray, level: int, passages: np.ndarray, options: StallOptions) -> list[LearnedStall]:
    """Stalls of one level out of spots (S, COLUMNS), of which vehicles drove over each `passages` (S,) times."""
    weight = table[:, 1]
    parked = (table[:, 0] == level) & (weight >= options.least_stays) & (passages <= options.passes * weight + 2.0)
    spots = _merged(table[parked], options)
    if not len(spots):
        return []
    axis = _axes(spots, options)
    row = _rows(spots, axis, options)
    found: list[LearnedStall] = []
    for number in range(row.max() + 1):
        here = np.flatnonzero(row == number)
        found += _stalls_of_row(spots[here], axis[here], level, number, options)
    return _apart(found)


def _apart(stalls: list[LearnedStall]) -> list[LearnedStall]:
    """Without those that lie half on one that was used more."""
    kept: list[LearnedStall] = []
    grounds: list[shapely.Polygon] = []
    for stall in sorted(stalls, key=lambda one: (-one.stays, one.row, one.place)):
        ground = shapely.Polygon(stall.corners())
        if all(ground.intersection(other).area < 0.4 * ground.area for other in grounds):
            kept.append(stall)
            grounds.append(ground)
    return sorted(kept, key=lambda one: (one.row, one.place))


def _merged(spots: np.ndarray, options: StallOptions) -> np.ndarray:
    """Spots that came nearer than two stalls can lie become one, the weaker in the stronger."""
    spots = spots[np.argsort(-spots[:, 1], kind="stable")].copy()
    kept: list[int] = []
    for i in range(len(spots)):
        apart = np.hypot(*(spots[kept, 2:4] - spots[i, 2:4]).T) if kept else np.zeros(0)
        if not len(apart) or apart.min() > 0.75 * options.pitch_low:
            kept.append(i)
            continue
        into, own = spots[kept[int(apart.argmin())]], spots[i]
        share = own[1] / (into[1] + own[1])
        into[4] += own[4] + into[1] * share * float(apart.min() ** 2)
        into[2:4] += share * (own[2:4] - into[2:4])
        into[[1, 5, 6, 7]] += own[[1, 5, 6, 7]]
    return spots[kept]


def _axes(spots: np.ndarray, options: StallOptions) -> np.ndarray:
    """The long axis (S,) rad of each spot: of its vehicles' ways in and its neighbours', or square to its row."""
    tree = cKDTree(spots[:, 2:4])
    said = np.zeros(len(spots), complex)  # direction doubled, so that both ends of an axis are one; length: how sure
    for i, near in enumerate(tree.query_ball_point(spots[:, 2:4], 3.2 * options.pitch_high)):
        apart = spots[near, 2:4] - spots[i, 2:4]
        distance = np.hypot(apart[:, 0], apart[:, 1])
        beside = (distance > 0.5 * options.pitch_low) & (distance < options.pitch_high)
        behind = np.abs(distance - options.length - 0.4) < 0.8
        towards = np.exp(2j * np.arctan2(apart[:, 1], apart[:, 0]))
        weight = np.exp(-0.5 * (distance / options.pitch_high) ** 2)
        double = HEADING * complex((weight * spots[near, 5]).sum(), (weight * spots[near, 6]).sum())
        double += towards[behind].sum() - towards[beside].sum()  # square to those beside it
        said[i] = double
    pairs = tree.query_pairs(ALIKE_WITHIN, output_type="ndarray")
    a, b = np.concatenate([pairs, pairs[:, ::-1]]).T
    agreed = said
    for _ in range(AGREEMENTS):
        way = agreed / np.maximum(np.abs(agreed), HARDLY)
        near = np.bincount(a, way.real[b], len(spots)) + 1j * np.bincount(a, way.imag[b], len(spots))
        agreed = said + 0.5 * near
    return np.where(np.abs(agreed) > HARDLY, 0.5 * np.angle(agreed), 0.0)


def _rows(spots: np.ndarray, axis: np.ndarray, options: StallOptions) -> np.ndarray:
    """The row (S,) that each spot is in: neighbours beside each other, across their axes."""
    reach = (options.fills + 1) * options.pitch_high
    pairs = cKDTree(spots[:, 2:4]).query_pairs(reach, output_type="ndarray")
    a, b = pairs.T
    middle = 0.5 * np.angle(np.exp(2j * axis[a]) + np.exp(2j * axis[b]))
    apart = spots[b, 2:4] - spots[a, 2:4]
    depth = np.abs(apart[:, 0] * np.cos(middle) + apart[:, 1] * np.sin(middle))
    alike = np.abs(np.cos(axis[a] - axis[b])) > 0.906
    joined = (depth < options.across) & alike
    graph = coo_array((np.ones(joined.sum()), (a[joined], b[joined])), shape=(len(spots), len(spots)))
    return np.asarray(connected_components(graph, directed=False)[1])


def _stalls_of_row(
    spots: np.ndarray, axis: np.ndarray, level: int, number: int, options: StallOptions
) -> list[LearnedStall]:
    xy, weight = spots[:, 2:4], spots[:, 1]
    along = _direction(xy, weight, axis)
    inwards = np.array([-along[1], along[0]])
    mean_axis = 0.5 * float(np.angle(np.exp(2j * axis).sum()))
    square = float(np.arctan2(inwards[1], inwards[0]))
    if len(xy) >= SQUARE_ROWS and abs(np.sin(mean_axis - square)) < np.sin(SQUARE):
        mean_axis = square  # vehicles show their axis worse than the row does
    order = np.argsort(xy @ along)
    s, t = (xy @ along)[order], (xy @ inwards)[order]
    spots, weight = spots[order], weight[order]
    spread = float(np.sqrt(max(spots[:, 4].sum() / max(2 * weight.sum() - 2 * len(spots), 1.0), 0.15**2)))
    run, place, pitch = _places(s, options)
    line = np.polynomial.Polynomial
    depth = line.fit(s, t, 1, w=np.sqrt(weight)) if len(s) > 2 else line([t.mean()])
    width = pitch * abs(float(np.cos(mean_axis - np.arctan2(inwards[1], inwards[0]))))
    found: list[LearnedStall] = []
    for one in range(run.max() + 1):
        here = np.flatnonzero(run == one)
        fitted, offset_sigma = _lattice(s[here], place[here], weight[here], pitch, spread)
        for k in range(int(place[here].max()) + 1):
            mine = here[place[here] == k]
            if not len(mine) and len(here) < FILLED_ROWS:
                continue
            stays = float(weight[mine].sum())
            at, noise = fitted(k), offset_sigma
            if len(mine):  # what stood there itself says more, where it stood often
                own = float(np.average(s[mine], weights=weight[mine]))
                own_var, fit_var = spread**2 / max(stays, HARDLY), offset_sigma**2 + 0.12**2
                at = (at / fit_var + own / own_var) / (1 / fit_var + 1 / own_var)
                noise = float(np.sqrt(1 / (1 / fit_var + 1 / own_var)))
            bias = float(np.median(spots[mine if len(mine) else here, 8]))
            confidence = 1.0 - 0.5 ** (stays + 1.0) if len(mine) else 0.6
            centre = at * along + float(depth(at)) * inwards
            found.append(
                LearnedStall(
                    level, centre, float(np.hypot(noise, np.sqrt(bias))), mean_axis, width, options.length, stays,
                    confidence, number, len(found),
                )
            )  # fmt: skip
    return found


def _direction(xy: np.ndarray, weight: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Unit vector (2,) along a row of spots, to the right of its axis' half turn or so; one alone lies across it."""
    own = float(np.angle(np.exp(2j * axis).sum())) / 2 - np.pi / 2
    expected = np.array([np.cos(own), np.sin(own)])
    middle = np.average(xy, axis=0, weights=weight)
    if len(xy) < 3:
        apart = xy[-1] - xy[0]
        return apart / np.linalg.norm(apart) * np.sign(apart @ expected or 1.0) if len(xy) == 2 else expected
    _, _, axes = np.linalg.svd((xy - middle) * np.sqrt(weight)[:, None], full_matrices=False)
    return axes[0] * np.sign(axes[0] @ expected or 1.0)


def _places(s: np.ndarray, options: StallOptions) -> tuple[np.ndarray, np.ndarray, float]:
    """Runs (S,) of spots at one regular pitch, the place (S,) of each in its run, and the pitch (m) of the row."""
    gaps = np.diff(s)
    single = gaps[(gaps >= options.pitch_low) & (gaps <= options.pitch_high)]
    pitch = float(np.median(single)) if len(single) else 0.5 * (options.pitch_low + options.pitch_high)
    for _ in range(5):
        steps = np.maximum(np.round(gaps / pitch), 1)
        good = (np.abs(gaps - steps * pitch) < ALONG_ROW * pitch) & (steps <= options.fills + 1)
        if not good.any():
            break
        pitch = float(np.clip(gaps[good].sum() / steps[good].sum(), options.pitch_low, options.pitch_high))
    run, place = np.zeros(len(s), int), np.zeros(len(s), int)
    for i, gap in enumerate(gaps.tolist()):
        steps_here = max(round(gap / pitch), 1)
        goes_on = abs(gap - steps_here * pitch) < ALONG_ROW * pitch and steps_here <= options.fills + 1
        run[i + 1] = run[i] + (not goes_on)
        place[i + 1] = place[i] + steps_here if goes_on else 0
    return run, place, pitch


def _lattice(
    s: np.ndarray, place: np.ndarray, weight: np.ndarray, pitch: float, spread: float
) -> tuple[np.polynomial.Polynomial, float]:
    """Where the places of a run lie along its row (m), as a line over their number, and the sigma (m) of that."""
    sigma = float(spread / np.sqrt(max(weight.sum(), 1.0)))
    if len(np.unique(place)) < 3:
        return np.polynomial.Polynomial([float(np.average(s - pitch * place, weights=weight)), pitch]), sigma
    fit = np.polynomial.Polynomial.fit(place, s, 1, w=np.sqrt(weight)).convert()
    return fit, 2.0 * sigma
