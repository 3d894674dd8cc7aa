"""How far the positions found in a frame are from the true ones, as one distance in metres: GOSPA and OSPA."""

from dataclasses import dataclass, replace

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.assignment import assign
from geoloc.metrics.detection import Formula, ratio
from geoloc.metrics.matching import Pairs, Sightings, pair_positions

MAX_ORDER = 20.0  # c^p of a larger p is no number to add others to

# Of pooled counts (..., 6), see GospaScores: means over the frames.
GOSPA_FIGURES: dict[str, Formula] = {
    "localization": lambda n: ratio(n[..., 0], n[..., 5]),
    "missed": lambda n: ratio(n[..., 1], n[..., 5]),
    "false": lambda n: ratio(n[..., 2], n[..., 5]),
    "gospa": lambda n: ratio(n[..., 3], n[..., 5]),
    "ospa": lambda n: ratio(n[..., 4], n[..., 5]),
}


@dataclass(frozen=True, eq=False)
class GospaScores:
    """GOSPA and OSPA of each of `frames` (F,); frames in which nothing is and nothing is found are not among them.

    `counts` (F, 6): cost of localization, of what is missed and of what is false (m^p, the parts of GOSPA^p),
    GOSPA (m), OSPA (m), and 1.
    """

    frames: np.ndarray
    counts: np.ndarray

    def figure(self, name: str) -> float:
        """One of GOSPA_FIGURES, a mean over the frames: gospa and ospa in m, the parts in m^p; 0 without frames."""
        return float(GOSPA_FIGURES[name](self.counts.sum(axis=0)))

    @property
    def gospa(self) -> np.ndarray:
        """GOSPA of each frame: (F,) m."""
        return self.counts[:, 3]

    @property
    def ospa(self) -> np.ndarray:
        """OSPA of each frame: (F,) m, at most c."""
        return self.counts[:, 4]


def score_gospa(truth: Sightings, result: Sightings, c: float, p: float = 1.0) -> GospaScores:
    """As `gospa`, but an empty truth is refused (InputError), as all scores refuse it."""
    refuse_empty(truth)
    return gospa(truth, result, c, p)


def gospa(truth: Sightings, result: Sightings, c: float, p: float = 1.0) -> GospaScores:
    """GOSPA with its parts, and OSPA, of every frame; truth and result may be empty.

    GOSPA (Rahmathullah, Garcia-Fernandez and Svensson 2017, alpha = 2): a pair nearer than `c` (m) costs
    distance^p, what is missed or false c^p / 2 each; the least total, to the power 1/p. OSPA (Schuhmacher, Vo
    and Vo 2008): distances are cut at c, each one more in either set costs c^p, and the mean over the larger
    set is taken. With `p` = 1 the parts are in metres; a larger p weighs outliers more.
    """
    near = pair_within(truth, result, c, p)
    pairs = near.pairs
    chosen = assign(pairs.truth, pairs.result, near.share)
    n_truth, n_result = (pairs.per_frame(side) for side in (pairs.truth_frame, pairs.result_frame))
    matched = pairs.per_frame(pairs.frame[chosen])
    costs = np.stack(
        [
            pairs.per_frame(pairs.frame[chosen], near.distance[chosen] ** p),
            0.5 * c**p * (n_truth - matched),
            0.5 * c**p * (n_result - matched),
        ],
        axis=1,
    )
    most = np.maximum(n_truth, n_result)
    per_object = (costs[:, 0] + c**p * (most - matched)) / most
    distances = [costs.sum(axis=1) ** (1 / p), per_object ** (1 / p), np.ones(len(pairs.frames))]
    return GospaScores(pairs.frames, np.column_stack([costs, *distances]))


@dataclass(frozen=True, eq=False)
class NearPairs:
    """Pairs nearer than the cutoff c: `distance` (P,) m, and `share` (P,) of c^p that a pair saves, 0 < share <= 1."""

    pairs: Pairs
    distance: np.ndarray
    share: np.ndarray


def pair_within(truth: Sightings, result: Sightings, c: float, p: float) -> NearPairs:
    """Pairs nearer than `c` (m), with 1 - (distance / c)^p; truth and result may be empty."""
    if not (0 < c < np.inf and 1 <= p <= MAX_ORDER):
        raise InputError(f"c = {c} m, p = {p}; c must be greater than 0 and finite, p from 1 to {MAX_ORDER}")
    for name, sightings in (("truth", truth), ("result", result)):
        if sightings.where.shape[1] > 3:
            raise InputError(f"{name}: rows of {sightings.where.shape[1]} numbers; a position is x, y or x, y, z in m")
    pairs = pair_positions(truth, result, c) if len(truth) else _only_false(result)
    apart = (truth.where[pairs.truth] - result.where[pairs.result])[:, :2] if len(pairs) else np.empty((0, 2))
    distance = np.sqrt((apart**2).sum(axis=1))
    share = 1.0 - (distance / c) ** p
    keep = share > 0
    kept = replace(pairs, truth=pairs.truth[keep], result=pairs.result[keep], similarity=pairs.similarity[keep])
    return NearPairs(kept, distance[keep], share[keep])


def refuse_empty(truth: Sightings) -> None:
    """InputError if there is no truth: the metrics are defined, but as a score they would say nothing."""
    if not len(truth):
        raise InputError("the truth is empty: nothing can be scored; check the part and its times")


def _only_false(result: Sightings) -> Pairs:
    frames, frame = np.unique(result.frame, return_inverse=True)
    ids = np.unique(result.id, return_inverse=True)[1]
    none = np.empty(0, dtype=int)
    return Pairs(frames, none, none, frame, ids, none, none, np.empty(0))
