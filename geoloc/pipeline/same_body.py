"""Tracklets that show one body at the same time: two cameras' views of it that never came together."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from geoloc.geometry.gaussian import mahalanobis2, worst_sigma
from geoloc.options import check_range
from geoloc.pipeline.camera_sets import CameraSets
from geoloc.pipeline.link_costs import log_normal
from geoloc.pipeline.tracklets import Tracklets
from geoloc.scene.kinds import kind_column
from geoloc.scene.tables import Tracks

SAMPLES = 2_000_000  # rows that are compared with each other at most
APART = 1e6  # m between samples of different times
REACH_SIGMA = 2.5
SLOW = 1.0  # m/s; slower objects have no direction
WORST = 4.0  # normalised distance of one sample that can hardly be


@dataclass(frozen=True)
class SameBodyOptions:
    """When two tracklets show one body."""

    sample_s: float = 0.5  # how often places are compared
    least_samples: int = 2  # tracklets that have fewer in common are not compared
    body_sigma: float = 0.1  # of the class's length: two cameras' boxes do not mean the same point of a body
    clock_sigma: float = 0.2  # s, of each camera's clock: an object that moves is seen farther along its way
    headway_s: float = 0.5  # nothing follows another as closely
    shared_share: float = 0.1  # of their time, for which a camera shows both: more, and they are two
    probability: float = 0.5  # that two tracklets show one body, from here on they do

    def __post_init__(self) -> None:
        check_range(self, sample_s=(1e-3, 1e6), least_samples=(1, 1e9), body_sigma=(0, 10))
        check_range(self, shared_share=(0, 1), probability=(1e-9, 1 - 1e-9))
        check_range(self, clock_sigma=(0, 10), headway_s=(0, 100))


@dataclass(frozen=True, eq=False)
class _Samples:
    """Rows of tracklets at common times."""

    tick: np.ndarray  # (S,) number of the sample's time
    tracklet: np.ndarray  # (S,)
    row: np.ndarray  # (S,) row of the tracklets' table


def same_bodies(tracklets: Tracklets, cameras: CameraSets, options: SameBodyOptions) -> np.ndarray:
    """The body (n,) that each tracklet shows, numbered from 0 in the order of the first tracklets."""
    if not len(tracklets):
        return np.zeros(0, dtype=int)
    samples = _sample(tracklets, options.sample_s)
    pairs = _Pairs.near(tracklets, samples, options)
    if not len(pairs.first):
        return np.arange(len(tracklets))
    odds = pairs.odds(tracklets, cameras, options)
    least = float(np.log(options.probability) - np.log1p(-options.probability))
    return contract(pairs.first, pairs.second, odds - least, tracklets)


def _sample(tracklets: Tracklets, sample_s: float) -> _Samples:
    """The first row of each tracklet in each stretch of `sample_s`, or of longer ones where those are too many."""
    time, of_row = tracklets.tracks.time, tracklets.of_row
    while True:
        tick = np.floor(time / sample_s).astype(np.int64)
        first = np.append(True, (np.diff(tick) != 0) | (np.diff(of_row) != 0))
        if first.sum() <= max(SAMPLES, len(tracklets)):
            rows = np.flatnonzero(first)
            return _Samples(tick[rows], of_row[rows], rows)
        sample_s *= 2.0


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Pairs of tracklets that were near each other once, and all samples at which both are there."""

    first: np.ndarray  # (P,) tracklet
    second: np.ndarray  # (P,)
    pair: np.ndarray  # (K,) of each common sample, ascending
    row_first: np.ndarray  # (K,) row of the tracklets' table
    row_second: np.ndarray  # (K,)
    reach: float  # m
    n_samples: int  # of all tracklets

    @classmethod
    def near(cls, tracklets: Tracklets, samples: _Samples, options: SameBodyOptions) -> "_Pairs":
        """Pairs of one family that came within reach of each other."""
        tracks, firsts = tracklets.tracks, tracklets.firsts
        n, reach = len(tracklets), _reach(tracklets, samples, options)
        place = np.column_stack(
            [
                APART * (samples.tick - samples.tick.min()),
                tracks.xy[samples.row],
                APART * firsts.level[samples.tracklet],
            ]
        )
        met = cKDTree(place).query_pairs(reach, output_type="ndarray")
        a, b = np.sort(samples.tracklet[met], axis=1).T
        key = np.unique((a * n + b)[(a != b) & (firsts.family[a] == firsts.family[b])])
        first, second = key // n, key % n
        # every sample of the first of each pair, looked up among those of the second
        begin = np.searchsorted(samples.tracklet, first)
        length = np.searchsorted(samples.tracklet, first, side="right") - begin
        pair = np.repeat(np.arange(len(key)), length)
        mine = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + np.repeat(begin, length)
        low, span = samples.tick.min(), int(np.ptp(samples.tick)) + 1
        keys = samples.tracklet * span + samples.tick - low
        asked = second[pair] * span + samples.tick[mine] - low
        theirs = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        both = keys[theirs] == asked
        return cls(
            first, second, pair[both], samples.row[mine[both]], samples.row[theirs[both]], reach, len(samples.row)
        )

    def odds(self, tracklets: Tracklets, cameras: CameraSets, options: SameBodyOptions) -> np.ndarray:
        """Log-likelihood ratio (P,) that both show one body, against two."""
        n, tracks = len(self.first), tracklets.tracks
        a, b = tracks.take(self.row_first), tracks.take(self.row_second)
        count = np.maximum(np.bincount(self.pair, minlength=n), 1)
        lasted = _lasted(a.time, self.pair, n)
        step = b.xy - a.xy + (a.time - b.time)[:, None] * b.velocity
        bias = _bias(a, options) + _bias(b, options)
        noise = a.cov[:, :2, :2] + b.cov[:, :2, :2]
        mean, mean_bias = _mean_of(step, self.pair, count), _mean_of(bias, self.pair, count)
        cov = mean_bias + _mean_of(noise, self.pair, count) / np.maximum(lasted, 1.0)[:, None, None]
        velocity = _mean_of(0.5 * (a.velocity + b.velocity), self.pair, count)
        # what persists changes with the place, so that it is half noise to an object that moves
        far = mahalanobis2(step - mean[self.pair], noise + 0.5 * bias) > WORST**2
        shared = cameras.share(a.object, b.object)
        # those that one camera tells apart say how densely objects stand around each other
        company = 2.0 * (1.0 + (shared & (np.linalg.norm(step, axis=1) <= self.reach)).sum())
        company /= self.n_samples * np.pi * self.reach**2
        others = np.log(company) + _room(mean, velocity, tracks.label[tracklets.start[self.first]], options)
        two = np.maximum(*(_mean_of(said.astype(float), self.pair, count) for said in (far, shared)))
        return np.where(
            (two > options.shared_share) | (np.bincount(self.pair, minlength=n) < options.least_samples),
            -np.inf,
            log_normal(mean, cov) - others,
        )


def _bias(rows: Tracks, options: SameBodyOptions) -> np.ndarray:
    """Covariance (K, 2, 2) m² of what persists in a track's place: its cameras, their clocks, what a box means."""
    body = options.body_sigma * kind_column(rows.label, "length")
    late = options.clock_sigma * rows.velocity
    return rows.bias_cov + body[:, None, None] ** 2 * np.eye(2) + late[:, :, None] * late[:, None, :]


def _room(step: np.ndarray, velocity: np.ndarray, label: np.ndarray, options: SameBodyOptions) -> np.ndarray:
    """Log of how likely another object is a `step` (P, 2) m from one of `velocity` (P, 2) m/s, beside far off.

    Bodies do not stand in each other, and keep more distance the faster they go.
    """
    length, width = kind_column(label, "length"), kind_column(label, "width")
    speed = np.linalg.norm(velocity, axis=1)
    ahead = velocity / np.maximum(speed, 1e-9)[:, None]
    along = np.einsum("pi,pi->p", step, ahead)
    across = np.sqrt(np.maximum((step**2).sum(axis=1) - along**2, 0.0))
    room = np.where(speed > SLOW, length + options.headway_s * speed, width)
    near = np.hypot(across / width, along / room)
    return np.log(-np.expm1(-(np.maximum(near, 1e-2) ** 4)))


def _reach(tracklets: Tracklets, samples: _Samples, options: SameBodyOptions) -> float:
    """How near (m) two tracks of one body come, nearly always."""
    rows = tracklets.tracks.take(samples.row)
    return float(REACH_SIGMA * np.sqrt(2.0) * np.quantile(worst_sigma(rows.cov[:, :2, :2] + _bias(rows, options)), 0.9))


def _mean_of(values: np.ndarray, pair: np.ndarray, count: np.ndarray) -> np.ndarray:
    """Mean (P, ...) of values (K, ...) over each pair's samples."""
    flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
    total = np.stack([np.bincount(pair, column, len(count)) for column in flat.T], axis=1)
    return (total / count[:, None]).reshape(len(count), *values.shape[1:])


def _lasted(time: np.ndarray, pair: np.ndarray, n: int) -> np.ndarray:
    """From the first to the last sample (P,) s of each pair."""
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    np.minimum.at(low, pair, time)
    np.maximum.at(high, pair, time)
    return np.maximum(high - low, 0.0)


def contract(first: np.ndarray, second: np.ndarray, odds: np.ndarray, tracklets: Tracklets) -> np.ndarray:
    """Bodies (n,) by greedy contraction: the likeliest pair first, while all of both sides taken together agree.

    Tracklets of one body that overlap in time without having been near each other speak against it.
    """
    n = len(tracklets)
    body, members = np.arange(n), {i: [i] for i in range(n)}
    known = {(a, b): w for a, b, w in zip(first.tolist(), second.tolist(), odds.tolist(), strict=True)}
    begin, end = tracklets.firsts.time, tracklets.lasts.time
    for k in np.argsort(-odds, kind="stable"):
        if odds[k] <= 0:
            break
        a, b = body[first[k]], body[second[k]]
        if a == b:
            continue
        pairs = [(min(i, j), max(i, j)) for i in members[a] for j in members[b]]
        total = sum(known.get(pair, _unmet(begin, end, *pair)) for pair in pairs)
        if total > 0:
            low, high = min(a, b), max(a, b)
            members[low] += members.pop(high)
            body[members[low]] = low
    return np.unique(body, return_inverse=True)[1]


def _unmet(begin: np.ndarray, end: np.ndarray, i: int, j: int) -> float:
    """Log-odds that two tracklets which never were near each other show one body."""
    return -np.inf if min(end[i], end[j]) - max(begin[i], begin[j]) > 0 else 0.0
