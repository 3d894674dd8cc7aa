"""Truth and result of a recording brought together: every pair of one frame that is similar at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import InputError

ROUNDING = 1e-9  # a pair at the zero distance itself is still a pair
CHUNK = 1_000_000  # candidate pairs that are looked at in one go; bounds the memory


@dataclass(frozen=True, eq=False)
class Sightings:
    """What is where in which frame, one row each.

    `frame` (N,) is a frame number or a time: equal values are one frame. `id` (N,) int, at most once in a
    frame. `where` is positions (N, 2) or (N, 3) m, or boxes (N, 4) px as left, top, right, bottom.
    """

    frame: np.ndarray
    id: np.ndarray
    where: np.ndarray

    def __post_init__(self) -> None:
        frame, ids, where = np.asarray(self.frame), np.asarray(self.id), np.asarray(self.where, float)
        n = len(frame)
        where = where.reshape(0, 2) if where.size == 0 else where
        if frame.shape != (n,) or ids.shape != (n,) or where.ndim != 2 or len(where) != n:
            raise InputError(
                f"sightings: frame {frame.shape}, id {ids.shape}, where {where.shape}; they must be "
                "(N,), (N,) and (N, 2), (N, 3) or (N, 4) of one N"
            )
        bad = np.flatnonzero(~np.isfinite(where).all(axis=1))
        if len(bad):
            raise InputError(f"sightings: row {bad[0]} is {where[bad[0]]}; drop the {len(bad)} such rows")
        _refuse_repeats(frame, ids)
        for name, array in (("frame", frame), ("id", ids), ("where", where)):
            object.__setattr__(self, name, array)

    @classmethod
    def unnamed(cls, frame: np.ndarray, where: np.ndarray) -> "Sightings":
        """Detections, which have no identity: each row is its own."""
        return cls(frame, np.arange(len(np.asarray(frame))), where)

    def __len__(self) -> int:
        return len(self.frame)


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

    @property
    def frame(self) -> np.ndarray:
        """Frame of each pair (P,), an index into `frames`."""
        return self.truth_frame[self.truth]

    def per_frame(self, rows: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How many of the frame indices `rows` fall on each frame (or the sum of their weights): (F,)."""
        return np.bincount(rows, weights=weights, minlength=len(self.frames))


def pair_positions(truth: Sightings, result: Sightings, zero_distance: float) -> Pairs:
    """Pairs at most `zero_distance` (m) apart; similarity is 1 - distance / zero_distance."""
    if not zero_distance > 0:
        raise InputError(f"zero_distance is {zero_distance} m; it must be greater than 0")
    if len(truth) and len(result) and truth.where.shape[1] != result.where.shape[1]:
        raise InputError(f"truth of {truth.where.shape[1]} and result of {result.where.shape[1]} coordinates")

    def similarity(t: np.ndarray, r: np.ndarray) -> np.ndarray:
        value = 1.0 - np.sqrt(((truth.where[t] - result.where[r]) ** 2).sum(axis=1)) / zero_distance
        return np.where(np.abs(value) < ROUNDING, 0.0, value)

    slack = zero_distance * (1 + 1e-9)
    low, high = truth.where[:, 0] - slack, truth.where[:, 0] + slack
    return _pair(truth, result, low, high, result.where[:, 0], similarity)


def pair_boxes(truth: Sightings, result: Sightings) -> Pairs:
    """Pairs of boxes that overlap; similarity is intersection over union."""
    for name, sightings in (("truth", truth), ("result", result)):
        n = sightings.where.shape[1]
        if len(sightings) and n != 4:
            raise InputError(f"{name}: rows of {n} numbers; a box is left, top, right, bottom")
    truth_box, result_box = truth.where.reshape(-1, 4), result.where.reshape(-1, 4)

    def similarity(t: np.ndarray, r: np.ndarray) -> np.ndarray:
        overlap = _iou(truth_box[t], result_box[r])
        return np.where(overlap > 0, overlap, -1.0)

    widest = (result_box[:, 2] - result_box[:, 0]).max(initial=0.0)
    return _pair(truth, result, truth_box[:, 0] - widest, truth_box[:, 2], result_box[:, 0], similarity)


def pair_similarities(
    truth_ids: Sequence[np.ndarray], result_ids: Sequence[np.ndarray], similarities: Sequence[np.ndarray]
) -> Pairs:
    """Pairs from a matrix a frame: ids (n,) and (m,) int and similarity (n, m) in [0, 1] of each frame."""
    sizes = [(len(t), len(r)) for t, r in zip(truth_ids, result_ids, strict=True)]
    for i, (size, matrix) in enumerate(zip(sizes, similarities, strict=True)):
        if np.shape(matrix) != size:
            raise InputError(f"frame {i}: similarity {np.shape(matrix)} for {size[0]} and {size[1]} ids")
    base = _without_pairs(_listed(truth_ids), _listed(result_ids))
    value = np.concatenate([np.ravel(m) for m in similarities]) if sizes else np.empty(0)
    if not ((value >= 0) & (value <= 1)).all():
        raise InputError("similarities must lie in [0, 1]; turn distances into 1 - distance / zero_distance")
    n, m = np.array(sizes).reshape(-1, 2).T
    first_truth, first_result, first_pair = (np.cumsum(x) - x for x in (n, m, n * m))
    frame = np.repeat(np.arange(len(n)), n * m)
    row, column = np.divmod(np.arange(len(value)) - first_pair[frame], m[frame])
    keep = value > 0
    truth, result = (first_truth[frame] + row)[keep], (first_result[frame] + column)[keep]
    return replace(base, truth=truth, result=result, similarity=value[keep])


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


def _refuse_repeats(frame: np.ndarray, ids: np.ndarray) -> None:
    order = np.lexsort([ids, frame])
    same = (frame[order][1:] == frame[order][:-1]) & (ids[order][1:] == ids[order][:-1])
    if same.any():
        row = order[1:][same][0]
        raise InputError(
            f"sightings: id {ids[row]} comes more than once in frame {frame[row]} ({same.sum()} such rows); "
            "one object has one place in a frame"
        )


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (P, 4) and (P, 4): (P,); boxes without area have none."""
    wide = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    tall = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    both = np.maximum(wide, 0.0) * np.maximum(tall, 0.0)
    area_a, area_b = ((x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b))
    union = area_a + area_b - both
    return np.divide(both, union, out=np.zeros_like(both), where=union > 0)


def _pair(
    truth: Sightings,
    result: Sightings,
    low: np.ndarray,
    high: np.ndarray,
    at: np.ndarray,
    similarity: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Pairs:
    """Pairs whose similarity is not negative, among results of the frame with low <= at <= high."""
    base = _without_pairs(truth, result)
    order, start, count = _ranges(base.truth_frame, low, high, base.result_frame, at)
    rows = np.argsort(base.truth_frame, kind="stable")
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for part in np.split(rows, _chunk_cuts(count[rows])):
        t = np.repeat(part, count[part])
        offset = np.arange(len(t)) - np.repeat(np.cumsum(count[part]) - count[part], count[part])
        r = order[np.repeat(start[part], count[part]) + offset]
        value = similarity(t, r)
        keep = value >= 0
        found.append((t[keep], r[keep], value[keep]))
    t, r, value = (np.concatenate(column) for column in zip(*found, strict=True))
    return replace(base, truth=t, result=r, similarity=value)


def _ranges(
    truth_frame: np.ndarray, low: np.ndarray, high: np.ndarray, result_frame: np.ndarray, at: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Results sorted by frame and place, and for each truth the run of them that it must look at."""
    least = min(low.min(initial=0.0), at.min(initial=0.0))
    most = max(high.max(initial=0.0), at.max(initial=0.0))
    span = (most - least) * 1.001 + 1.0  # frames laid side by side on one line, none touching the next
    key = result_frame * span + (at - least)
    order = np.argsort(key, kind="stable")
    slack = 1e-12 * span * (int(truth_frame.max(initial=0)) + 2)  # rounding of the long line
    start = np.searchsorted(key[order], truth_frame * span + (low - least) - slack, "left")
    stop = np.searchsorted(key[order], truth_frame * span + (high - least) + slack, "right")
    return order, start, stop - start


def _chunk_cuts(count: np.ndarray) -> np.ndarray:
    total = np.cumsum(count)
    if not len(total) or total[-1] <= CHUNK:
        return np.empty(0, dtype=int)
    return np.searchsorted(total, np.arange(CHUNK, total[-1], CHUNK), "right")


def _without_pairs(truth: Sightings, result: Sightings) -> Pairs:
    if not len(truth):
        raise InputError("the truth is empty: nothing can be scored; check the part and its times")
    frames, frame = np.unique(np.concatenate([truth.frame, result.frame]), return_inverse=True)
    _, truth_id = np.unique(truth.id, return_inverse=True)
    _, result_id = np.unique(result.id, return_inverse=True)
    truth_frame, result_frame = np.split(frame, [len(truth)])
    none = np.empty(0, dtype=int)
    return Pairs(frames, truth_frame, truth_id, result_frame, result_id, none, none, np.empty(0))
