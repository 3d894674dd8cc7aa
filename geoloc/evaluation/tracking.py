"""Tracks against a truth, on the ground or in the image, alone or beside another run: one report."""

from collections.abc import Sequence

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.guards import find_leaks, refuse_or_warn, refuse_other_units
from geoloc.evaluation.measures import Measure, difference
from geoloc.evaluation.misfit import find_misfits
from geoloc.evaluation.recording import GROUND, Recording
from geoloc.evaluation.report import Absent, Difference, Figure, Report
from geoloc.evaluation.tracking_measures import TrackingOptions, TrackingScores, tracking_measures
from geoloc.evaluation.tracking_views import charts, error_maps, worst_moments


def evaluate_tracking(
    recording: Recording,
    options: TrackingOptions | None = None,
    against: Recording | None = None,
    oracle: bool = False,
) -> Report:
    """Every figure of a recording's tracks, with intervals, protocols, curves, error map and worst moments.

    `recording` comes from `ground_recording`, `image_recording` or `join`. `against` is another result on the same
    truth: each figure's difference to it is tested in pairs over the same blocks. In the image each camera gets
    its figures too. InputError where the result was made from the truth, unless `oracle`, which warns of it.
    """
    options = options or TrackingOptions()
    warnings = [*recording.notes, *_checked(recording, options, oracle)]
    scores = TrackingScores(recording, options)
    if against is not None:
        told = [*against.notes, *_checked(against, options, oracle)]
        warnings += [f"the other run: {warning}" for warning in told]
    measures, absent = tracking_measures(scores, OVER_ALL)
    figures = _figures(recording, options, measures, OVER_ALL)
    for camera in _cameras(recording):
        own = TrackingScores(recording.of_camera(camera), options)
        found, missing = tracking_measures(own, f"camera {camera}")
        figures += _figures(recording, options, found, f"camera {camera}")
        absent += missing
    return Report(
        title=recording.name,
        family="tracking",
        figures=tuple(figures),
        absent=tuple(_told_once(absent)),
        warnings=tuple(warnings),
        differences=() if against is None else _differences(scores, measures, against, options),
        charts=charts(scores),
        error_maps=error_maps(scores),
        moments=worst_moments(scores),
    )


OVER_ALL = "all"


def _checked(recording: Recording, options: TrackingOptions, oracle: bool) -> list[str]:
    """Warnings of what makes numbers lie; InputError where they would be worth nothing."""
    misfits: list[str] = []
    if recording.plane == GROUND:
        refuse_other_units(recording.truth, recording.result, options.reach)
        misfits = find_misfits(recording.truth, recording.result, options.reach, recording.period)
    if not recording.named:
        return misfits
    pairs = recording.pairs(options.zero_distance)
    return misfits + refuse_or_warn(find_leaks(pairs, recording.truth, recording.result, options.threshold), oracle)


def _cameras(recording: Recording) -> list[str]:
    names = np.unique(recording.camera).tolist()
    return names if len(names) > 1 else []


def _figures(recording: Recording, options: TrackingOptions, measures: Sequence[Measure], part: str) -> list[Figure]:
    how_sure = recording.how_sure(options.block_s)
    return [measure.figure(recording.name, part, how_sure) for measure in measures]


def _differences(
    ours: TrackingScores, measures: Sequence[Measure], against: Recording, options: TrackingOptions
) -> tuple[Difference, ...]:
    """Each figure beside the other run's, tested in pairs."""
    recording = ours.recording
    same = len(recording.time) == len(against.time) and np.array_equal(recording.truth.where, against.truth.where)
    if recording.plane != against.plane or not same:
        raise InputError(f"{against.name}: scored against another truth; two runs compare on one truth and plane only")
    others = {m.name: m for m in tracking_measures(TrackingScores(against, options), OVER_ALL)[0]}
    return tuple(difference(m, others[m.name], OVER_ALL) for m in measures if m.name in others)


def _told_once(absent: Sequence[Absent]) -> list[Absent]:
    """What is missing over all for a reason is missing in each camera for the same one."""
    told = {(a.figure, a.reason) for a in absent if a.part == OVER_ALL}
    return [a for a in absent if a.part == OVER_ALL or (a.figure, a.reason) not in told]
