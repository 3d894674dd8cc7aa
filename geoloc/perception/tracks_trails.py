"""Tracks as they come, made into what a layout is learned of: travel, stays, gaps, and where they begin and end."""

from dataclasses import dataclass, field

import numpy as np

from geoloc.geometry.gaussian import worst_sigma
from geoloc.options import check_range
from geoloc.scene.kinds import family_of
from geoloc.scene.tables import Tracks

VEHICLE, PERSON, OTHER = 0, 1, 2
FAMILIES = {"vehicle": VEHICLE, "cycle": OTHER, "person": PERSON}
GETS_ON = 0.5  # share of the way gone that a piece of a track must get on
CHUNK_S = 10.0  # s of a track that are one piece; a stay is known to that


@dataclass(frozen=True)
class TrailOptions:
    """What a stay, a gap and an end are."""

    stands_s: float = 30.0  # for so long it must have stood, to have stood
    wanders: float = 0.75  # m, that what stands seems to wander
    gap_s: float = 1.0  # unseen for longer is a gap
    lost_s: float = 120.0  # unseen for longer: gone
    vague: float = 0.8  # m; where something is known no better, it tells nothing of lanes and stalls

    def __post_init__(self) -> None:
        check_range(self, stands_s=(1, 1e6), wanders=(0.05, 10), gap_s=(0.05, 1e4), lost_s=(1, 1e6))
        check_range(self, vague=(0.01, 1e3))


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of tracks in the order of track and time, as plain arrays; `level` and `family` (N,) int."""

    track: np.ndarray
    time: np.ndarray
    level: np.ndarray
    xy: np.ndarray
    velocity: np.ndarray
    bias_cov: np.ndarray
    family: np.ndarray
    seen: np.ndarray  # not coasting
    heading: np.ndarray  # rad; NaN: not known
    sigma: np.ndarray  # m, of the reported place in its worst direction

    def take(self, rows: np.ndarray) -> "Rows":
        """Some of them."""
        return Rows(*(getattr(self, name)[rows] for name in Rows.__dataclass_fields__))

    def __len__(self) -> int:
        return len(self.track)


def rows_of(tracks: Tracks, level: np.ndarray) -> Rows:
    """The rows that are known to be something: no tentative ones. `level` (N,) is the index of each row's level."""
    kept = np.flatnonzero((tracks.state != "tentative") & np.isfinite(tracks.xy).all(axis=1))
    order = kept[np.lexsort((tracks.time[kept], tracks.track[kept]))]
    labels, which = np.unique(tracks.label[order].astype(np.str_), return_inverse=True)
    family = np.array([FAMILIES.get(family_of(name), OTHER) for name in labels.tolist()] or [OTHER])[which]
    return Rows(
        tracks.track[order], tracks.time[order], level[order], tracks.xy[order], tracks.velocity[order],
        tracks.bias_cov[order], family, tracks.object[order] >= 0, tracks.heading[order],
        worst_sigma(tracks.position_cov[order]),
    )  # fmt: skip


@dataclass
class Stay:
    """Where something stood: the mean of its places and of their bias (m²), since when and until when, and its axis."""

    track: int
    level: int
    family: int
    start: float
    end: float
    xy: np.ndarray
    bias_cov: np.ndarray
    axis: float  # rad, of the way by which it came, or the engine's heading; NaN: not known
    n: float

    @property
    def lasted(self) -> float:
        """s."""
        return self.end - self.start


@dataclass(frozen=True)
class Gap:
    """Something unseen from one place and time to another."""

    level: tuple[int, int]
    family: int
    time: tuple[float, float]
    start: np.ndarray
    end: np.ndarray


@dataclass(frozen=True)
class End:
    """Where and when something that moved was first seen (`begins`) or last, and its velocity then."""

    begins: bool
    level: int
    family: int
    time: float
    xy: np.ndarray
    velocity: np.ndarray


@dataclass
class _Open:
    """What is known of a track that may go on."""

    time: float
    level: int
    family: int
    xy: np.ndarray
    velocity: np.ndarray  # of its last travel
    speed: float
    seen: float  # when, last
    seen_xy: np.ndarray
    seen_level: int
    stay: Stay | None = None


@dataclass
class Found:
    """What one batch of rows told. `travel` are rows of the batch, `metres` what each of them went."""

    travel: Rows
    metres: np.ndarray
    stays: list[Stay] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)


class Trails:
    """The tracks that are open, and what becomes of them."""

    def __init__(self, options: TrailOptions | None = None) -> None:
        self.options = options or TrailOptions()
        self.open: dict[int, _Open] = {}

    def follow(self, rows: Rows, longest_step_s: float, slowest: float) -> Found:
        """What rows (in the order of track and time, later than all before) add."""
        if not len(rows):
            return Found(rows, np.zeros(0))
        found = Found(rows, np.zeros(0))
        cut = np.ones(len(rows), bool)
        chunk = np.floor(rows.time / CHUNK_S)
        cut[1:] = (rows.track[1:] != rows.track[:-1]) | (chunk[1:] != chunk[:-1])
        starts = np.flatnonzero(cut)
        before = self._times_before(rows, starts)
        speed = np.hypot(rows.velocity[:, 0], rows.velocity[:, 1])
        step = rows.time - before
        metres = np.where((step > 0) & (step <= longest_step_s) & (speed > slowest) & rows.seen, speed * step, 0.0)
        metres[rows.sigma > self.options.vague] = 0.0
        moved = np.flatnonzero((metres > 0) & self._gets_on(rows, starts, metres))
        self._pieces(rows, starts, speed, slowest, found)
        self._gone(float(rows.time.max()), slowest, found)
        return Found(rows.take(moved), metres[moved], found.stays, found.gaps, found.ends)

    def standing(self) -> list[Stay]:
        """What stands now and has for long enough."""
        stays = [one.stay for one in self.open.values() if one.stay is not None]
        return [stay for stay in stays if stay.lasted >= self.options.stands_s]

    def _times_before(self, rows: Rows, starts: np.ndarray) -> np.ndarray:
        before = np.empty(len(rows))
        before[1:] = rows.time[:-1]
        first = starts[np.concatenate([[True], rows.track[starts[1:]] != rows.track[starts[1:] - 1]])]
        before[first] = [self.open[t].time if t in self.open else np.nan for t in rows.track[first].tolist()]
        return before

    def _pieces(self, rows: Rows, starts: np.ndarray, speed: np.ndarray, slowest: float, found: Found) -> None:
        ends = np.append(starts[1:], len(rows))
        count = (ends - starts)[:, None]
        mean = np.add.reduceat(rows.xy, starts, axis=0) / count
        low, high = (which.reduceat(rows.xy, starts, axis=0) for which in (np.minimum, np.maximum))
        bias = np.add.reduceat(rows.bias_cov.reshape(-1, 4), starts, axis=0) / count
        extent = np.hypot(*(high - low).T)
        gaps = np.flatnonzero(self._breaks(rows))
        gap_of = np.searchsorted(starts, gaps, "right") - 1
        broken = dict.fromkeys(gap_of.tolist(), True)
        for i, (a, b) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
            piece = mean[i], bias[i].reshape(2, 2), float(extent[i])
            self._piece(rows, a, b, *piece, speed, slowest, i in broken, found)

    def _gets_on(self, rows: Rows, starts: np.ndarray, metres: np.ndarray) -> np.ndarray:
        """Rows (N,) bool of pieces that get somewhere: what only jitters about goes far and gets nowhere."""
        ends = np.append(starts[1:], len(rows)) - 1
        went = np.hypot(*(rows.xy[ends] - rows.xy[starts]).T)
        return np.repeat(went > GETS_ON * np.add.reduceat(metres, starts), ends - starts + 1)

    def _breaks(self, rows: Rows) -> np.ndarray:
        """Rows (N,) bool that are unseen, or come long after the row before them."""
        late = np.zeros(len(rows), bool)
        late[1:] = (rows.track[1:] == rows.track[:-1]) & (np.diff(rows.time) > self.options.gap_s)
        return late | ~rows.seen

    def _piece(
        self, rows: Rows, a: int, b: int, mean: np.ndarray, bias: np.ndarray, extent: float, speed: np.ndarray,
        slowest: float, broken: bool, found: Found,
    ) -> None:  # fmt: skip
        number, family = int(rows.track[a]), int(rows.family[a])
        one = self.open.get(number)
        if one is None:
            one = _Open(
                float(rows.time[a]), int(rows.level[a]), family, rows.xy[a], np.full(2, np.nan), float(speed[a]),
                float(rows.time[a]), rows.xy[a], int(rows.level[a]),
            )  # fmt: skip
            self.open[number] = one
            if speed[a] > slowest:
                found.ends.append(End(True, one.level, family, one.time, rows.xy[a], rows.velocity[a]))
        for i in range(a, b) if broken else (a, b - 1):
            if rows.seen[i]:
                if rows.time[i] - one.seen > self.options.gap_s and (broken or i == a):
                    levels = (one.seen_level, int(rows.level[i]))
                    times = (one.seen, float(rows.time[i]))
                    found.gaps.append(Gap(levels, family, times, one.seen_xy, rows.xy[i]))
                one.seen, one.seen_xy, one.seen_level = float(rows.time[i]), rows.xy[i], int(rows.level[i])
        self._stay(one, number, rows, a, b, mean, bias, extent, found)
        moving = np.flatnonzero(speed[a:b] > slowest)
        if len(moving):
            one.velocity = rows.velocity[a + moving[-1]]
        last = b - 1
        one.time, one.level, one.family = float(rows.time[last]), int(rows.level[last]), family
        one.xy, one.speed = rows.xy[last], float(speed[last])

    def _stay(
        self, one: _Open, number: int, rows: Rows, a: int, b: int, mean: np.ndarray, bias: np.ndarray, extent: float,
        found: Found,
    ) -> None:  # fmt: skip
        stay, wanders = one.stay, self.options.wanders
        still = extent <= 2 * wanders and rows.sigma[b - 1] <= self.options.vague
        if stay is not None and still and np.hypot(*(mean - stay.xy)) <= wanders:
            n = float(b - a)
            share = n / (stay.n + n)
            stay.xy = stay.xy + share * (mean - stay.xy)
            stay.bias_cov = stay.bias_cov + share * (bias - stay.bias_cov)
            stay.n, stay.end = stay.n + n, float(rows.time[b - 1])
            if np.isfinite(rows.heading[b - 1]):
                stay.axis = float(rows.heading[b - 1])
            return
        if stay is not None and stay.lasted >= self.options.stands_s:
            found.stays.append(stay)
        one.stay = None
        if still:
            axis = float(rows.heading[b - 1])
            if not np.isfinite(axis) and np.isfinite(one.velocity).all():
                axis = float(np.arctan2(one.velocity[1], one.velocity[0]))
            begin, end = float(rows.time[a]), float(rows.time[b - 1])
            one.stay = Stay(number, int(rows.level[a]), int(rows.family[a]), begin, end, mean, bias, axis, float(b - a))

    def _gone(self, now: float, slowest: float, found: Found) -> None:
        for number in [n for n, one in self.open.items() if now - one.time > self.options.lost_s]:
            one = self.open.pop(number)
            if one.speed > slowest:
                found.ends.append(End(False, one.seen_level, one.family, one.seen, one.seen_xy, one.velocity))
            if one.stay is not None and one.stay.lasted >= self.options.stands_s:
                found.stays.append(one.stay)
