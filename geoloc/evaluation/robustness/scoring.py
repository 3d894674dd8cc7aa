"""Scores of tracks under a hazard: the figures of `evaluate_tracking` and `evaluate_uncertainty`, without intervals."""

import numpy as np

from geoloc.evaluation.frames import frames_of
from geoloc.evaluation.recording import Recording, reported, site_recording
from geoloc.evaluation.robustness.cases import Target
from geoloc.evaluation.tracking_measures import TrackingOptions, TrackingScores
from geoloc.evaluation.uncertainty import matched_errors
from geoloc.metrics.consistency import coverage, nees
from geoloc.scene.tables import Tracks


def score_tracks(target: Target, options: TrackingOptions, tracks: Tracks) -> dict[str, float]:
    """Scores as `accuracies` names them (1 at best), and `nees` and `coverage_95` where they are defined.

    Nothing reported scores 0. NEES and coverage, 2 and 0.95 expected, are of the matched positions with a covariance,
    and left out where there is none.
    """
    scores = TrackingScores(recording_of(target, options, tracks), options)
    found = {"moda": scores.detection.moda}
    if target.has_ids:
        found = {"hota": scores.hota.figure("hota"), "idf1": scores.identity.idf1} | found
    errors = matched_errors(scores, target.truth_sigma)
    if not len(errors.error):
        return found
    values = nees(errors.error, errors.cov)
    return found | {"nees": float(values.mean()), "coverage_95": coverage(values, 2, 0.95)}


def recording_of(target: Target, options: TrackingOptions, tracks: Tracks) -> Recording:
    """What a system stands by at the frames of the truth; where no frame came it stands by nothing.

    Where a late packet made it speak twice of one time, its last word counts.
    """
    found = reported(tracks)
    order = np.lexsort((found.time, found.track))
    last = np.diff(found.time[order], append=np.inf) != 0
    last |= np.diff(found.track[order], append=-1) != 0
    # a hazard may have changed the frame rate, which is no reason to refuse
    return site_recording(target.case.site, target.truth, found.take(order[last]), True, options.reach)


def accuracies(target: Target) -> tuple[str, ...]:
    """Names of the scores that are 1 at best; the first is the main one."""
    return ("hota", "idf1", "moda") if target.has_ids else ("moda",)


def protocol(target: Target, options: TrackingOptions) -> str:
    """How scores come about, in words."""
    what = ", ".join(name.upper() for name in accuracies(target))
    rate = frames_of(target.truth.time).rate
    return f"ground plane, {what}, match within {options.reach:g} m, {rate}; confirmed tracks at frames of the truth"
