"""Identity over long gaps: does an object that was away get its old id back when it returns?

A truth is followed where it is matched with a result. An event is a truth's return: two matches that follow each
other and are `least_gap_s` or more apart, whatever the reason, the object was away (no truth) or there but not
followed; or a truth that was away for so long, came back, and was never followed again.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.carry_over import carry_over
from geoloc.metrics.detection import Formula, ratio
from geoloc.metrics.matching import EPS, Pairs

SAME, FRESH, WRONG, UNFOLLOWED = range(4)
GAPS_S = (60.0, 300.0, 1800.0)  # 1, 5 and 30 minutes

# Of counts (..., 5): returns with the same id, with a fresh one, with another object's, never followed again; and
# returns whose old id was meanwhile borne by another object.
REIDENTIFICATION_FIGURES: dict[str, Formula] = {
    "same": lambda n: ratio(n[..., 0], n[..., :4].sum(axis=-1)),
    "fresh": lambda n: ratio(n[..., 1], n[..., :4].sum(axis=-1)),
    "wrong": lambda n: ratio(n[..., 2], n[..., :4].sum(axis=-1)),
    "unfollowed": lambda n: ratio(n[..., 3], n[..., :4].sum(axis=-1)),
    "taken": lambda n: ratio(n[..., 4], n[..., :4].sum(axis=-1)),
}


@dataclass(frozen=True, eq=False)
class ReturnScores:
    """E returns of truths, by truth and time.

    `truth` (E,) numbers the truth as in `Pairs.truth_id`; `left` and `back` (E,) s are the last match before and the
    first after (of UNFOLLOWED the truth's return itself); `absent` (E,) s is the longest time between in which
    the truth itself was not there. `outcome` (E,) is SAME: the id after is the id before; WRONG: it was another
    truth's before; FRESH: it was no other's; UNFOLLOWED. `taken` (E,) bool: another truth bore the old id before
    this one was back.
    """

    truth: np.ndarray
    left: np.ndarray
    back: np.ndarray
    absent: np.ndarray
    outcome: np.ndarray
    taken: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def gap(self) -> np.ndarray:
        """Time between the two matches: (E,) s."""
        return self.back - self.left

    def longer_than(self, gap_s: float, absent: bool = False) -> "ReturnScores":
        """The returns after at least `gap_s`; with `absent`, after the truth itself was away for as long."""
        keep = (self.absent if absent else self.gap) >= gap_s
        columns = (self.truth, self.left, self.back, self.absent, self.outcome, self.taken)
        return ReturnScores(*(column[keep] for column in columns))

    @property
    def counts(self) -> np.ndarray:
        """Counts of each return (E, 5), as REIDENTIFICATION_FIGURES take them."""
        return np.column_stack([self.outcome[:, None] == np.arange(4), self.taken]).astype(float)

    def figure(self, name: str) -> float:
        """One of REIDENTIFICATION_FIGURES over all returns: 0 to 1."""
        if not len(self):
            raise InputError("identity over gaps: no truth was away and came back, so there is no figure")
        return float(REIDENTIFICATION_FIGURES[name](self.counts.sum(axis=0)))


def follow(pairs: Pairs, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the truth (T,) and of the result (T,) that are matched one-to-one at a similarity of `threshold`.

    A pair of the frame before is kept, as in CLEAR MOT under TrackEval's convention; nothing is remembered over a gap,
    so that the matching favours no id at the return.
    """
    near = np.flatnonzero(pairs.similarity >= threshold - EPS)
    match = near[carry_over(pairs, near, forget=True)]
    return pairs.truth[match], pairs.result[match]


def score_returns(
    pairs: Pairs, truth: np.ndarray, result: np.ndarray, time: np.ndarray, least_gap_s: float = GAPS_S[0]
) -> ReturnScores:
    """Returns after gaps of at least `least_gap_s`; `longer_than` takes those of longer classes (GAPS_S).

    `truth` and `result` (T,) are the matched rows of `pairs`, one-to-one in each frame, as `follow` gives them.
    `time` (F,) s is that of each of `pairs.frames`. An id that this truth bore earlier than its last match counts as
    FRESH unless another truth bore it too.
    """
    truth, result, time = np.asarray(truth), np.asarray(result), np.asarray(time, float)
    if truth.shape != result.shape or truth.ndim != 1 or time.shape != pairs.frames.shape:
        raise InputError(
            f"identity over gaps: rows {truth.shape} and {result.shape}, times {time.shape}; give (T,), (T,) and "
            f"({len(pairs.frames)},)"
        )
    if not np.isfinite(time).all() or (np.diff(time) <= 0).any():
        raise InputError("identity over gaps: the frames' times must be finite and rise")
    if not least_gap_s > 0:
        raise InputError(f"identity over gaps: gaps of {least_gap_s} s; give more than 0")
    _refuse_double(pairs.truth_frame[truth], truth, result)
    own = _by_truth(pairs.truth_id, time[pairs.truth_frame], np.arange(len(pairs.truth_id)))
    worn = np.full(len(pairs.truth_id), -1)
    worn[truth] = pairs.result_id[result]
    bearers = _by_truth(pairs.result_id[result], time[pairs.truth_frame[truth]], pairs.truth_id[truth])
    events = [
        (number, *event)
        for number, (when, rows) in own.items()
        for event in _returns(number, when, worn[rows], bearers, least_gap_s)
    ]
    columns = np.array(events, dtype=float).reshape(-1, 6).T
    kinds = (int, float, float, float, int, bool)
    return ReturnScores(*(column.astype(kind) for column, kind in zip(columns, kinds, strict=True)))


_Sorted = dict[int, tuple[np.ndarray, np.ndarray]]


def _by_truth(key: np.ndarray, time: np.ndarray, value: np.ndarray) -> _Sorted:
    """Times and values of each key, in the order of time."""
    order = np.lexsort((time, key))
    keys, starts = np.unique(key[order], return_index=True)
    parts = np.split(order, starts[1:]) if len(keys) else []
    return {int(k): (time[rows], value[rows]) for k, rows in zip(keys, parts, strict=True)}


def _returns(
    truth: int, time: np.ndarray, worn: np.ndarray, bearers: _Sorted, least: float
) -> list[tuple[float, float, float, int, bool]]:
    """(left, back, absent, outcome, taken) of each return of one truth with ids `worn` (-1: not followed)."""
    followed = np.flatnonzero(worn >= 0)
    found = []
    for k in np.flatnonzero(np.diff(time[followed]) >= least):
        a, b = followed[k], followed[k + 1]
        left, back = float(time[a]), float(time[b])
        absent = float(np.diff(time[a : b + 1]).max())
        outcome = _outcome(truth, int(worn[a]), int(worn[b]), back, bearers)
        found.append((left, back, absent, outcome, _taken(truth, int(worn[a]), left, back, bearers)))
    if len(followed):
        last = int(followed[-1])
        away = np.diff(time[last:])
        if (away >= least).any():
            first = int(np.argmax(away >= least))
            left, back = float(time[last]), float(time[last + first + 1])
            taken = _taken(truth, int(worn[last]), left, back, bearers)
            found.append((left, back, float(away[first]), UNFOLLOWED, taken))
    return found


def _outcome(truth: int, before: int, after: int, back: float, bearers: _Sorted) -> int:
    if after == before:
        return SAME
    when, who = bearers[after]
    return WRONG if ((when < back) & (who != truth)).any() else FRESH


def _taken(truth: int, old: int, left: float, back: float, bearers: _Sorted) -> bool:
    when, who = bearers[old]
    return bool(((when > left) & (when <= back) & (who != truth)).any())


def _refuse_double(frame: np.ndarray, truth: np.ndarray, result: np.ndarray) -> None:
    for name, rows in (("truth", truth), ("result", result)):
        names, count = np.unique(rows, return_counts=True)
        if (count > 1).any():
            row = names[count > 1][0]
            at = frame[np.flatnonzero(rows == row)[0]]
            raise InputError(f"identity over gaps: {name} row {row} is matched twice in frame {at}; match one-to-one")
