"""Truth and result of a recording brought together: every pair of one frame that is similar at all."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.numbering import numbered

EPS = float(np.finfo(float).eps)  # TrackEval's tolerance at a threshold
ROUNDING = 1e-9  # a pair at the zero distance itself is still a pair
CHUNK = 250_000  # candidate pairs that are looked at in one go; bounds the memory
BLOCK = 20_000  # truths that are paired in one go, likewise
STOREY_APART = 1.5  # m, half a storey: rows whose heights differ by more lie on different levels
MAX_BANDS = 64  # that a frame is cut into, so that a row looks at few others

# Lower and upper corner (N, 2) of where a result must have its own, for rows of truth (N,).
Window = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Similarity = Callable[[np.ndarray, np.ndarray], np.ndarray]  # of rows of truth and of result (P,)


@dataclass(frozen=True, eq=False)
class Sightings:
    """What is where in which frame, one row each.

    `frame` (N,) is a frame number or a time: equal values are one frame. `id` (N,) int, at most once in a
    frame. `where` is positions on the ground x, y (N, 2) m, or with the height that tells levels apart (N, 3) m, or
    boxes (N, 4) px as left, top, right, bottom.
    """

    frame: np.ndarray
    id: np.ndarray
    where: np.ndarray

    def __post_init__(self) -> None:
        frame, ids, where = np.asarray(self.frame), np.asarray(self.id), np.asarray(self.where, float)
        n = len(frame)
        where = where.reshape(0, 2) if where.size == 0 and where.ndim != 2 else where
        fits = where.ndim == 2 and len(where) == n and where.shape[1] in (2, 3, 4)
        if frame.shape != (n,) or ids.shape != (n,) or not fits:
            raise InputError(
                f"sightings: frame {frame.shape}, id {ids.shape}, where {where.shape}; they must be "
                "(N,), (N,) and (N, 2), (N, 3) or (N, 4) of one N"
            )
        if not np.isfinite(where).all():
            bad = np.flatnonzero(~np.isfinite(where).all(axis=1))
            raise InputError(f"sightings: row {bad[0]} is {where[bad[0]]}; drop the {len(bad)} such rows")
        for name, array in (("frame", frame), ("id", ids), ("where", where)):
            object.__setattr__(self, name, array)
        self._refuse_repeats()

    @classmethod
    def unnamed(cls, frame: np.ndarray, where: np.ndarray) -> "Sightings":
        """Detections, which have no identity: each row is its own."""
        return cls(frame, np.arange(len(np.asarray(frame))), where)

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def numbers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Distinct frames (F,), frame of each row counted from 0 (N,), distinct ids (K,), id counted from 0 (N,)."""
        return *numbered(self.frame), *numbered(self.id)

    def _refuse_repeats(self) -> None:
        _, frame, names, number = self.numbers
        key = frame * len(names) + number
        in_order = np.sort(key)
        repeated = in_order[1:][in_order[1:] == in_order[:-1]]
        if len(repeated):
            row = np.flatnonzero(key == repeated[0])[0]
            raise InputError(
                f"sightings: id {self.id[row]} comes more than once in frame {self.frame[row]} "
                f"({len(repeated)} such rows); one object has one place in a frame"
            )


@dataclass(frozen=True, eq=False)
class Pairs:
    """N truth rows, M result rows, and P pairs of rows of one frame, sorted by frame.

    `truth_frame` (N,) and `result_frame` (M,) index `frames` (F,); `truth_id` and `result_id` count from 0.
    `truth` and `result` (P,) are row numbers as the caller gave them, `similarity` (P,) in [0, 1].
    Pairs that are missing have similarity 0.
    """

    frames: np.ndarray
    truth_frame: np.ndarray
    truth_id: np.ndarray
    result_frame: np.ndarray
    result_id: np.ndarray
    truth: np.ndarray
    result: np.ndarray
    similarity: np.ndarray

    def __len__(self) -> int:
        return len(self.similarity)

    @cached_property
    def frame(self) -> np.ndarray:
        """Frame of each pair (P,), an index into `frames`."""
        return self.truth_frame[self.truth]

    @cached_property
    def both_seen(self) -> np.ndarray:
        """Frames (indices) that have a truth and a result; TrackEval passes over the others."""
        seen = [self.per_frame(rows) > 0 for rows in (self.truth_frame, self.result_frame)]
        return np.flatnonzero(seen[0] & seen[1])

    @cached_property
    def couples(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The couple of identities that each pair belongs to (P,), and truth and result of each couple (C,)."""
        width = int(self.result_id.max(initial=0)) + 1
        names, couple = numbered(self.truth_id[self.truth] * width + self.result_id[self.result])
        return couple, names // width, names % width

    def per_frame(self, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How many of the frame indices `rows` fall on each frame (or the sum of their weights): (F,)."""
        return np.bincount(rows, weights=weights, minlength=len(self.frames))


def pair_positions(truth: Sightings, result: Sightings, zero_distance: float) -> Pairs:
    """Pairs at most `zero_distance` (m) apart over the ground; similarity is 1 - distance / zero_distance.

    Heights only tell levels apart: rows whose heights differ by more than STOREY_APART are no pair.
    """
    if not zero_distance > 0:
        raise InputError(f"zero_distance is {zero_distance} m; it must be greater than 0")
    if len(truth) and len(result) and truth.where.shape[1] != result.where.shape[1]:
        raise InputError(f"truth of {truth.where.shape[1]} and result of {result.where.shape[1]} coordinates")

    def similarity(t: np.ndarray, r: np.ndarray) -> np.ndarray:
        apart = truth.where.take(t, axis=0) - result.where.take(r, axis=0)
        value = 1.0 - np.sqrt(sum(column * column for column in apart.T[:2])) / zero_distance
        value[np.abs(value) < ROUNDING] = 0.0
        value[(np.abs(apart[:, 2:]) > STOREY_APART).any(axis=1)] = -1.0
        return value

    def window(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        here, slack = truth.where.take(t, axis=0)[:, :2], zero_distance * (1 + 1e-9)
        return here - slack, here + slack

    return _pair(truth, result, window, similarity)


def pair_boxes(truth: Sightings, result: Sightings) -> Pairs:
    """Pairs of boxes that overlap; similarity is intersection over union."""
    for name, sightings in (("truth", truth), ("result", result)):
        n = sightings.where.shape[1]
        if len(sightings) and n != 4:
            raise InputError(f"{name}: rows of {n} numbers; a box is left, top, right, bottom")
    truth_box, result_box = truth.where.reshape(-1, 4), result.where.reshape(-1, 4)

    def similarity(t: np.ndarray, r: np.ndarray) -> np.ndarray:
        overlap = _iou(truth_box.take(t, axis=0), result_box.take(r, axis=0))
        return np.where(overlap > 0, overlap, -1.0)

    def window(t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return truth_box[t, :2] - largest, truth_box[t, 2:]

    largest = (result_box[:, 2:] - result_box[:, :2]).max(axis=0, initial=0.0)
    return _pair(truth, result, window, similarity)


def pair_similarities(
    truth_ids: Sequence[np.ndarray], result_ids: Sequence[np.ndarray], similarities: Sequence[np.ndarray]
) -> Pairs:
    """Pairs from a matrix a frame: ids (n,) and (m,) int and similarity (n, m) in [0, 1] of each frame."""
    sizes = [(len(t), len(r)) for t, r in zip(truth_ids, result_ids, strict=True)]
    for i, (size, matrix) in enumerate(zip(sizes, similarities, strict=True)):
        if np.shape(matrix) != size:
            raise InputError(f"frame {i}: similarity {np.shape(matrix)} for {size[0]} and {size[1]} ids")
    base = _without_pairs(_listed(truth_ids), _listed(result_ids))
    alike = [np.flatnonzero(np.asarray(m) != 0) for m in similarities]  # most entries are 0: few are looked at twice
    value = np.concatenate([np.ravel(m)[k] for m, k in zip(similarities, alike, strict=True)])
    if not ((value > 0) & (value <= 1)).all():
        raise InputError("similarities must lie in [0, 1]; turn distances into 1 - distance / zero_distance")
    n, m = np.array(sizes).reshape(-1, 2).T
    first_truth, first_result = np.cumsum(n) - n, np.cumsum(m) - m
    frame = np.repeat(np.arange(len(n)), [len(k) for k in alike])
    row, column = np.divmod(np.concatenate(alike), m[frame])
    return replace(base, truth=first_truth[frame] + row, result=first_result[frame] + column, similarity=value)


def camera_frames(*sources: tuple[np.ndarray, np.ndarray]) -> list[np.ndarray]:
    """A frame number for each row of sources of (camera (N,), frame (N,)): one array (N,) int a source.

    Equal numbers mean the same camera and the same frame, so that ids are compared across cameras.
    """
    _, which = np.unique(np.concatenate([c for c, _ in sources]), return_inverse=True)
    _, when = np.unique(np.concatenate([f for _, f in sources]), return_inverse=True)
    number = which * (int(when.max(initial=0)) + 1) + when
    return np.split(number, np.cumsum([len(c) for c, _ in sources])[:-1])


def _listed(ids: Sequence[np.ndarray]) -> Sightings:
    frame = np.repeat(np.arange(len(ids)), [len(x) for x in ids])
    flat = np.concatenate([np.asarray(x) for x in ids]) if len(ids) else np.empty(0, dtype=int)
    return Sightings(frame, flat, np.zeros((len(flat), 2)))


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (P, 4) and (P, 4): (P,); boxes without area have none."""
    wide = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    tall = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    both = np.maximum(wide, 0.0) * np.maximum(tall, 0.0)
    area_a, area_b = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    union = area_a + area_b - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def _pair(truth: Sightings, result: Sightings, window: Window, similarity: Similarity) -> Pairs:
    """Pairs whose similarity is not negative, among the results with their corner in the `window` of a truth."""
    base = _without_pairs(truth, result)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for t, r in _blocks(base):
        frames = base.truth_frame[t], base.result_frame[r]
        runs = _runs(*frames, *window(t), result.where.take(r, axis=0)[:, :2])
        found += [_alike(t[i], r[j], similarity) for i, j in _candidates(*runs)]
    t, r, value = (np.concatenate(column) for column in zip(*found, strict=True))
    return replace(base, truth=t, result=r, similarity=value)


def _alike(t: np.ndarray, r: np.ndarray, similarity: Similarity) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    value = similarity(t, r)
    keep = np.flatnonzero(value >= 0)
    return t[keep], r[keep], value[keep]


def _blocks(base: Pairs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of truth and of result, some frames at a time, sorted by frame: small enough for the cache."""
    rows = [np.argsort(frame, kind="stable") for frame in (base.truth_frame, base.result_frame)]
    frames = [base.truth_frame[rows[0]], base.result_frame[rows[1]]]
    first = np.unique(frames[0][::BLOCK])
    cuts = [np.searchsorted(frame, first[1:]) for frame in frames]
    yield from zip(*(np.split(r, cut) for r, cut in zip(rows, cuts, strict=True)), strict=True)


def _runs(
    truth_frame: np.ndarray, result_frame: np.ndarray, low: np.ndarray, high: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Results (M,) sorted by frame, band and place; and the runs of them that truths look at, sorted by frame.

    `low`, `high` (N, 2) are corners of each truth's window, `at` (M, 2) of each result. Gives truth (2N,), order
    of the results (M,), start and count (2N,) of each run. A band is as high as the highest window, so that
    none touches more than two. All bands of all frames lie side by side on one line.
    """
    truth_frame, result_frame = truth_frame - truth_frame[0], result_frame - truth_frame[0]
    least = [min(low[:, i].min(), at[:, i].min(initial=np.inf)) for i in (0, 1)]
    spread = [max(high[:, i].max(), at[:, i].max(initial=-np.inf)) - least[i] for i in (0, 1)]
    height = max((high[:, 1] - low[:, 1]).max() * (1 + 1e-9), spread[1] / MAX_BANDS) or 1.0
    n_bands, span = int(spread[1] / height) + 1, spread[0] * 1.001 + 1.0

    def line(frame: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (frame * n_bands + ((y - least[1]) / height).astype(int)) * span - least[0]

    key = line(result_frame, at[:, 1]) + at[:, 0]
    order = np.argsort(key)
    key = key[order]
    slack = 1e-12 * span * n_bands * (int(truth_frame.max()) + 2)  # rounding of the long line
    begin = line(truth_frame, low[:, 1]) + low[:, 0] - slack
    rows = np.argsort(begin)  # neighbours are looked up one after another: several times faster
    wide = (high[:, 0] - low[:, 0] + 2.0 * slack)[rows]
    starts, counts = [], []
    further = line(truth_frame, high[:, 1]) + low[:, 0] - slack
    for at_band in (begin[rows], further[rows]):
        starts.append(np.searchsorted(key, at_band, "left"))
        counts.append(np.searchsorted(key, at_band + wide, "right") - starts[-1])
    counts[1][begin[rows] == further[rows]] = 0
    return np.repeat(rows, 2), order, np.column_stack(starts).ravel(), np.column_stack(counts).ravel()


def _candidates(
    rows: np.ndarray, order: np.ndarray, start: np.ndarray, count: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Truth and result of the pairs in the runs of `_runs`, about CHUNK at a time."""
    total = np.cumsum(count)
    cuts = np.searchsorted(total, np.arange(CHUNK, total[-1], CHUNK), "right")
    for part in np.split(np.arange(len(rows)), cuts):
        n = count[part]
        first = start[part] - np.cumsum(n) + n
        yield np.repeat(rows[part], n), order[np.repeat(first, n) + np.arange(n.sum())]


def _without_pairs(truth: Sightings, result: Sightings) -> Pairs:
    if not len(truth):
        raise InputError("the truth is empty: nothing can be scored; check the part and its times")
    truth_frames, truth_frame, _, truth_id = truth.numbers
    result_frames, result_frame, _, result_id = result.numbers
    frames = np.union1d(truth_frames, result_frames)
    truth_frame = np.searchsorted(frames, truth_frames)[truth_frame]
    result_frame = np.searchsorted(frames, result_frames)[result_frame]
    none = np.empty(0, dtype=int)
    return Pairs(frames, truth_frame, truth_id, result_frame, result_id, none, none, np.empty(0))
