"""How far the tracks of a recording are from the true ones, as one distance in metres: T-GOSPA."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.metrics.detection import Formula, ratio
from geoloc.metrics.gospa import pair_within, refuse_empty
from geoloc.metrics.matching import Sightings
from geoloc.metrics.switching import assign_with_switching


@dataclass(frozen=True, eq=False)
class TrajectoryScores:
    """T-GOSPA of a recording with what each of `frames` (F,) adds to it.

    `counts` (F, 5): cost of localization, of what is missed, of what is false, of switches since the frame
    before (m^p), and 1. `distance` (m) is the metric, (sum of the costs)^(1/p), which grows with the length
    of the recording; figures are per frame. Where several assignments cost the same, the parts are those of
    one of them; their sum is the same for all. `whole` says that the assignment found has no split weights:
    then no assignment of whole tracks costs less, and the multidimensional metric is the same number.
    """

    frames: np.ndarray
    counts: np.ndarray
    p: float
    whole: bool

    @property
    def distance(self) -> float:
        """The metric of the two sets of tracks, in m."""
        return float(self.counts[:, :4].sum() ** (1 / self.p))

    def figure(self, name: str) -> float:
        """One of `trajectory_figures`: t_gospa in m, the parts in m^p, each per frame; 0 without frames."""
        return float(trajectory_figures(self.p)[name](self.counts.sum(axis=0)))


def trajectory_figures(p: float) -> dict[str, Formula]:
    """Formulas over pooled counts (..., 5) of `TrajectoryScores` of order `p`, per frame."""
    return {
        "t_gospa": lambda n: ratio(n[..., :4].sum(axis=-1), n[..., 4]) ** (1 / p),
        "localization": lambda n: ratio(n[..., 0], n[..., 4]),
        "missed": lambda n: ratio(n[..., 1], n[..., 4]),
        "false": lambda n: ratio(n[..., 2], n[..., 4]),
        "switch": lambda n: ratio(n[..., 3], n[..., 4]),
    }


def score_trajectories(truth: Sightings, result: Sightings, c: float, gamma: float, p: float = 1.0) -> TrajectoryScores:
    """As `trajectory_gospa`, but an empty truth is refused (InputError), as all scores refuse it."""
    refuse_empty(truth)
    return trajectory_gospa(truth, result, c, gamma, p)


def trajectory_gospa(truth: Sightings, result: Sightings, c: float, gamma: float, p: float = 1.0) -> TrajectoryScores:
    """T-GOSPA between two sets of tracks, which may have gaps or be empty; a metric, exact.

    Garcia-Fernandez, Rahmathullah and Svensson 2020, the linear programme: tracks are assigned to each other
    at every step; a pair nearer than `c` (m) costs distance^p, what is missed or false c^p / 2 each, a change
    of the assignment to another track gamma^p and to none half of it (`gamma` in m).
    Steps are the frames of truth and result together, each alike however far apart in time they are: give both
    at one even rate. Frames in which neither has anything are no steps, and cost nothing in the metric either.

    What pairs save against being alone, c^p - distance^p, is maximised less the cost of switches. Pairs at
    the cutoff or beyond, or with one track absent, save nothing: they are left out and the optimum stays.
    """
    if not 0 < gamma < np.inf:
        raise InputError(f"gamma = {gamma} m; the penalty of a switch must be greater than 0 and finite")
    near = pair_within(truth, result, c, p)
    pairs, n_frames = near.pairs, len(near.pairs.frames)
    switch = 0.5 * (gamma / c) ** p
    ids = pairs.truth_id[pairs.truth], pairs.result_id[pairs.result]
    plan = assign_with_switching(*ids, pairs.frame, near.share, n_frames, switch)
    matched = pairs.per_frame(pairs.frame, plan.weight)
    counts = [
        pairs.per_frame(pairs.frame, plan.weight * near.distance**p),
        0.5 * c**p * (pairs.per_frame(pairs.truth_frame) - matched),
        0.5 * c**p * (pairs.per_frame(pairs.result_frame) - matched),
        0.5 * gamma**p * plan.changes,
        np.ones(n_frames),
    ]
    return TrajectoryScores(pairs.frames, np.stack(counts, axis=1), p, plan.whole)
