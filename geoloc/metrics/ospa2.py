"""How far the tracks found in a window of time are from the true ones, in metres: OSPA(2)."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.assignment import assign
from geoloc.metrics.detection import Formula, ratio
from geoloc.metrics.gospa import NearPairs, pair_within, refuse_empty
from geoloc.metrics.matching import Sightings
from geoloc.metrics.numbering import numbered

# Of pooled counts (..., 2), see Ospa2Scores.
OSPA2_FIGURES: dict[str, Formula] = {"ospa2": lambda n: ratio(n[..., 0], n[..., 1])}


@dataclass(frozen=True, eq=False)
class Ospa2Scores:
    """OSPA(2) of the window that ends at each of `frames` (F,). `counts` (F, 2): OSPA(2) (m), and 1."""

    frames: np.ndarray
    counts: np.ndarray

    def figure(self, name: str) -> float:
        """One of OSPA2_FIGURES, a mean over the windows (m); 0 without frames."""
        return float(OSPA2_FIGURES[name](self.counts.sum(axis=0)))

    @property
    def ospa2(self) -> np.ndarray:
        """OSPA(2) of each window: (F,) m, at most c."""
        return self.counts[:, 0]


def score_ospa2(truth: Sightings, result: Sightings, c: float, window: float, p: float = 1.0) -> Ospa2Scores:
    """As `ospa2`, but an empty truth is refused (InputError), as all scores refuse it."""
    refuse_empty(truth)
    return ospa2(truth, result, c, window, p)


def ospa2(truth: Sightings, result: Sightings, c: float, window: float, p: float = 1.0) -> Ospa2Scores:
    """OSPA between the sets of tracks inside a window of time, for the window that ends at each frame.

    Beard, Vo and Vo 2017: two tracks are apart by the mean, over the frames of the window in which either is,
    of distances cut at `c` (m), c where only one of them is; OSPA of order `p` is taken over that distance.
    The mean too is of order p, as in its authors' program. `window` is in the units of `frame`: a window that
    ends at t holds the frames in (t - window, t], the first ones therefore fewer. Each frame counts alike.
    """
    if not window > 0:
        raise InputError(f"a window of {window}; it must be greater than 0, in the units of the frames")
    near = pair_within(truth, result, c, p)
    frames = near.pairs.frames
    # a hair of slack: 0.1 s steps of a clock in seconds must not fall into the window by rounding
    first = np.searchsorted(frames, frames - window * (1 - 1e-6), "right") if len(frames) else frames
    tracks = _Tracks(near)
    cost = np.array([tracks.cost(int(begin), end) for end, begin in enumerate(first)])
    values = (c**p * cost) ** (1 / p)
    return Ospa2Scores(frames, np.column_stack([values, np.ones(len(frames))]))


class _Tracks:
    """The tracks of truth and result, looked at through one window of frames after another."""

    def __init__(self, near: NearPairs) -> None:
        pairs = near.pairs
        n = len(pairs.frames)
        self.truth = _Presence(pairs.truth_frame, pairs.truth_id, n)
        self.result = _Presence(pairs.result_frame, pairs.result_id, n)
        order = np.argsort(pairs.frame, kind="stable")
        self.cuts = np.searchsorted(pairs.frame[order], np.arange(n + 1))
        couple, self.couple_truth, self.couple_result = pairs.couples
        self.couple = couple[order]
        self.share = near.share[order]

    def cost(self, first: int, last: int) -> float:
        """OSPA(2)^p of the frames `first` to `last` as a share of c^p: 0 to 1."""
        (truths, t_there), (results, r_there) = (x.between(first, last) for x in (self.truth, self.result))
        rows = slice(self.cuts[first], self.cuts[last + 1])
        shares = np.bincount(self.couple[rows], self.share[rows])
        couples = np.flatnonzero(shares)  # a near pair saves something
        t = np.searchsorted(truths, self.couple_truth[couples])
        r = np.searchsorted(results, self.couple_result[couples])
        saved = shares[couples] / (t_there[t] | r_there[r]).sum(axis=1)
        cost = 1.0 - saved[assign(t, r, saved)].sum() / max(len(truths), len(results))
        return max(cost, 0.0)


class _Presence:
    """Which id is there in which frame."""

    def __init__(self, frame: np.ndarray, ids: np.ndarray, n_frames: int) -> None:
        order = np.argsort(frame, kind="stable")
        self.frame, self.ids = frame[order], ids[order]
        self.cuts = np.searchsorted(self.frame, np.arange(n_frames + 1))

    def between(self, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids (n,) that are in any of the frames `first` to `last`, and in which: (n, last - first + 1) bool."""
        rows = slice(self.cuts[first], self.cuts[last + 1])
        names, name = numbered(self.ids[rows])
        there = np.zeros((len(names), last - first + 1), dtype=bool)
        there[name, self.frame[rows] - first] = True
        return names, there
