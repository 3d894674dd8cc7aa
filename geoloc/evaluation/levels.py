"""Heights of truth and result brought together: on the ground they only tell levels apart."""

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.matching import STOREY_APART, Sightings, pair_positions
from geoloc.scene.tables import Tracks

APART = 1e6  # m between levels that are known by name alone: nothing on one is near anything on another
FEWEST_PAIRS = 10  # truths beside a result, from which an offset of heights is estimated
AGREED = 0.5  # share of them that must lie on one offset
WIDTH = 0.5  # m; how far heights may scatter around it
LEAST_OFFSET = 0.3  # m; less is no other datum


def heights_of(truth: Tracks, result: Tracks) -> tuple[np.ndarray, np.ndarray]:
    """z (N,) and (M,) m that keeps levels apart: heights where both state them, else a storey a level name."""
    if np.isfinite(truth.z).all() and np.isfinite(result.z).all():
        return truth.z, result.z
    names, number = np.unique(np.concatenate([truth.level, result.level]), return_inverse=True)
    if len(names) == 1 or (truth.level == "").all() or (result.level == "").all():
        return np.zeros(len(truth)), np.zeros(len(result))
    if len(result) and not np.isin(result.level, truth.level).any():
        ours, theirs = (", ".join(sorted({*levels.tolist()})) for levels in (result.level, truth.level))
        raise InputError(f"the result's levels are {ours}, the truth's {theirs}: they share none; name them alike")
    truth_number, result_number = np.split(number, [len(truth)])
    return APART * truth_number, APART * result_number


def on_one_datum(truth: Tracks, result: Tracks, seen: Sightings, found: Sightings, reach: float) -> tuple[float, str]:
    """How far (m) the heights of `found` lie above those of `seen`, and a warning of it; 0.0 and "" where they do not.

    `seen` and `found` are the rows of `truth` and `result` on frames. The offset is where heights of results less
    those of truths at most `reach` (m) away, not on another named level, are densest, if half of the truths agree.
    """
    offset = _offset(truth, result, seen, found, reach)
    if not LEAST_OFFSET <= abs(offset) < APART / 2:
        return 0.0, ""
    side = "above" if offset > 0 else "below"
    said = f"the result's heights lie {abs(offset):.2f} m {side} the truth's"
    return offset, f"{said}: taken off, as they only tell levels apart"


def says_levels(truth: Sightings, result: Sightings) -> str:
    """What a protocol says of heights, empty where they tell nothing."""
    height = np.concatenate([sightings.where[:, 2] for sightings in (truth, result) if len(sightings)])
    if np.ptp(height) <= STOREY_APART:
        return ""
    if height.max() >= APART or height.min() <= -APART:
        return ", levels apart by name"
    return f", levels apart by heights that differ by over {STOREY_APART:g} m"


def _offset(truth: Tracks, result: Tracks, seen: Sightings, found: Sightings, reach: float) -> float:
    if not len(seen) or not len(found) or not (seen.where[:, 2].any() or found.where[:, 2].any()):
        return 0.0
    flat = [Sightings(s.frame, s.id, s.where[:, :2]) for s in (seen, found)]
    pairs = pair_positions(flat[0], flat[1], reach)
    ours, theirs = result.level[pairs.result], truth.level[pairs.truth]
    fits = (ours == theirs) | (ours == "") | (theirs == "")
    apart = np.sort((found.where[pairs.result, 2] - seen.where[pairs.truth, 2])[fits])
    beside = len(np.unique(pairs.truth))
    if beside < FEWEST_PAIRS or not len(apart):
        return 0.0
    n_near = np.searchsorted(apart, apart + 2 * WIDTH, "right") - np.arange(len(apart))
    first = int(n_near.argmax())
    densest = apart[first : first + n_near[first]]
    return float(np.median(densest)) if len(densest) >= AGREED * beside else 0.0
