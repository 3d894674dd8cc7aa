"""A result that would fit the truth far better elsewhere: shifted, mirrored, turned, or at another time."""

from dataclasses import dataclass

import numpy as np

from geoloc.metrics.matching import Sightings, pair_positions

MOST_FRAMES = 40  # that are looked at, spread over the recording
MOST_ROWS = 2000  # of the truth in them
LAG_S = 2.0  # s; how far clocks are tried apart, each way
LAG_STEPS = 20  # at most, each way
LEAST_FIT = 0.35  # mean closeness from which a change is worth telling
BETTER = 1.5  # times the closeness of the result as it is
SURE = 0.5  # closeness that no change is asked of
FEWEST = 4  # truths a frame: any two objects lie on each other after some shift
TURNS = {
    "mirrored in x (east for west)": ((-1.0, 0.0), (0.0, 1.0)),
    "mirrored in y (north for south)": ((1.0, 0.0), (0.0, -1.0)),
    "turned by 90 degrees counter-clockwise": ((0.0, -1.0), (1.0, 0.0)),
    "turned by 180 degrees": ((-1.0, 0.0), (0.0, -1.0)),
    "turned by 90 degrees clockwise": ((0.0, 1.0), (-1.0, 0.0)),
    "with x and y swapped": ((0.0, 1.0), (1.0, 0.0)),
}


@dataclass(frozen=True, eq=False)
class _Place:
    """How the positions of a result would be changed: (turn, then shift), at which closeness to the truth."""

    shift: np.ndarray
    fit: float


def find_misfits(truth: Sightings, result: Sightings, reach: float, period: float) -> list[str]:
    """What would make a poor result fit much better, with numbers; empty where it fits, or nothing helps.

    Closeness is the mean over the truths of 1 - distance / `reach` (m) to the nearest result of the frame, 0 beyond.
    Frames count from 0 and tick every `period` (s). Nothing is changed: a shift that fits is no proof.
    """
    sample = _sampled(truth)
    flat = Sightings(result.frame, result.id, result.where[:, :2])
    if not len(sample) or not len(flat):
        return []
    now = _fit(sample, flat, reach)
    if now >= SURE:
        return []
    needed = max(LEAST_FIT, BETTER * now)
    return _other_time(sample, flat, reach, period, needed, now) or _other_place(sample, flat, reach, needed, now)


def _other_time(
    truth: Sightings, result: Sightings, reach: float, period: float, needed: float, now: float
) -> list[str]:
    if not np.isfinite(period):
        return []
    most = int(LAG_S / period + 1e-9)
    lags = [lag for lag in range(-most, most + 1, max(1, -(-most // LAG_STEPS))) if lag]
    fits = [_fit(truth, Sightings(result.frame - lag, result.id, result.where), reach) for lag in lags]
    if not fits or max(fits) < needed:
        return []
    lag = lags[int(np.argmax(fits))] * period
    late = "late" if lag > 0 else "early"
    return [f"the result's clock seems {abs(lag):.2g} s {late}: {_says(now, max(fits))}"]


def _other_place(truth: Sightings, result: Sightings, reach: float, needed: float, now: float) -> list[str]:
    if np.median(np.unique(truth.frame, return_counts=True)[1]) < FEWEST:
        return []
    best = _shifted(truth, result, reach)
    if best.fit >= needed:
        east, north = best.shift
        return [f"shifted by ({east:.1f}, {north:.1f}) m the result would fit: {_says(now, best.fit)}"]
    for what, turn in TURNS.items():
        turned = Sightings(result.frame, result.id, result.where @ np.array(turn).T)
        found = _shifted(truth, turned, reach)
        if found.fit >= needed:
            east, north = found.shift
            further = f" and shifted by ({east:.1f}, {north:.1f}) m" if np.hypot(east, north) > reach else ""
            return [f"{what}{further} the result would fit: {_says(now, found.fit)}"]
    return []


def _says(now: float, then: float) -> str:
    return f"closeness to the truth {100 * then:.0f} % instead of {100 * now:.0f} %; nothing was changed"


def _shifted(truth: Sightings, result: Sightings, reach: float) -> _Place:
    """The shift to which most pairs of a frame agree, and how well it fits."""
    apart = _differences(truth, result)
    if not len(apart):
        return _Place(np.zeros(2), 0.0)
    cell = np.floor(apart / reach)
    line = cell @ np.array([1.0, np.ptp(cell[:, 0]) + 1.0])  # a number for each cell
    _, first, count = np.unique(line, return_index=True, return_counts=True)
    centre = (cell[first[count.argmax()]] + 0.5) * reach
    for _ in range(3):  # the densest cell may hold a part of the peak alone
        near = np.linalg.norm(apart - centre, axis=1) <= reach
        centre = np.median(apart[near], axis=0)
    return _Place(centre, _fit(truth, Sightings(result.frame, result.id, result.where + centre), reach))


def _differences(truth: Sightings, result: Sightings) -> np.ndarray:
    """Truth less result of all pairs of a frame: (P, 2) m."""
    order = np.argsort(result.frame, kind="stable")
    frame = result.frame[order]
    begin, end = (np.searchsorted(frame, truth.frame, side) for side in ("left", "right"))
    count = end - begin
    first = np.repeat(begin - np.cumsum(count) + count, count)
    rows = order[first + np.arange(count.sum())]
    return np.repeat(truth.where, count, axis=0) - result.where[rows]


def _fit(truth: Sightings, result: Sightings, reach: float) -> float:
    wanted = np.isin(result.frame, truth.frame)
    near = Sightings(result.frame[wanted], result.id[wanted], result.where[wanted])
    pairs = pair_positions(truth, near, reach)
    best = np.zeros(len(truth))
    np.maximum.at(best, pairs.truth, pairs.similarity)
    return float(best.mean())


def _sampled(truth: Sightings) -> Sightings:
    """Some frames, spread over the recording, without heights."""
    frames = np.unique(truth.frame)
    some = frames[np.unique(np.linspace(0, len(frames) - 1, MOST_FRAMES).astype(int))]
    rows = np.flatnonzero(np.isin(truth.frame, some))
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    return Sightings(truth.frame[rows], truth.id[rows], truth.where[rows, :2])
