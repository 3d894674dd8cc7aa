"""Poses of single images against a truth, alone or beside another run: one report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.localization_views import areas, charts, error_maps, worst_images
from geoloc.evaluation.matched_poses import MatchedPoses, match_poses
from geoloc.evaluation.measures import Blocks, Measure, difference, of_counts, of_quantile
from geoloc.evaluation.queries import bare_figure, query_blocks
from geoloc.evaluation.report import Absent, Chart, Figure, Report
from geoloc.evaluation.uncertainty import Errors, Forecasts, report_uncertainty
from geoloc.io.poses import NamedPoses
from geoloc.metrics.bootstrap import sequence_blocks
from geoloc.metrics.localization import INDOOR, LOCALIZATION_FIGURES, MISSING, OUTDOOR, REFUSED
from geoloc.options import check_range

OVER_ALL = "all"
SOURCES = dict.fromkeys(INDOOR, " (InLoc, Taira et al. 2018)") | dict.fromkeys(OUTDOOR, " (Sattler et al. 2018)")
NO_ANSWER = "none of the images was answered"
NO_COVARIANCE = "no answer states a covariance"


@dataclass(frozen=True)
class LocalizationOptions:
    """How poses of images are scored."""

    thresholds: tuple[tuple[float, float], ...] = OUTDOOR + INDOOR  # m, deg; of recall and of errors among answers
    cell_m: float = 5.0  # m; side of the cells of the map by which errors are told
    n_areas: int = 3  # worst cells that get a figure
    block_s: float = 0.0  # s; of videos: blocks of a camera's time that intervals are drawn over; 0: single images

    def __post_init__(self) -> None:
        check_range(self, cell_m=(1e-3, 1e6), n_areas=(0, 1000), block_s=(0.0, 1e9))
        if not self.thresholds:
            raise InputError("LocalizationOptions.thresholds is empty; give pairs such as (0.25, 2.0) in m and deg")


def evaluate_localization(
    true: NamedPoses,
    estimated: NamedPoses,
    options: LocalizationOptions | None = None,
    against: NamedPoses | None = None,
    oracle: bool = False,
    name: str = "localization",
) -> Report:
    """Recall at thresholds, medians, refusals apart from errors, ground error by area, honesty of covariances.

    Images of the truth that the estimate neither answers nor refuses are missing; images that only the estimate has
    are left out with a warning. `against` is another estimate of the same images: each figure's difference to it is
    tested in pairs. InputError for an empty truth, names that do not match, poses in another direction or unit, and
    answers that are the truth itself unless `oracle`, which warns of it.
    """
    options = options or LocalizationOptions()
    matched, warnings = match_poses(true, estimated, oracle)
    blocks, sure = _blocks(true, options)
    measures, absent = _measures(matched, options, blocks)
    honesty, coverage_charts, dishonest = _honesty(name, matched, blocks, sure)
    figures = [measure.figure(name, OVER_ALL, sure) for measure in measures]
    figures += [*_counts(name, matched), *honesty, *areas(name, matched, options.cell_m, options.n_areas)]
    others: dict[str, Measure] = {}
    if against is not None:
        other, said = match_poses(true, against, oracle)
        others = {measure.name: measure for measure in _measures(other, options, blocks)[0]}
        warnings += [f"the other run: {warning}" for warning in said]
    return Report(
        title=name,
        family="localization",
        figures=(*figures, *worst_images(name, matched)),
        absent=(*absent, *dishonest),
        warnings=tuple(warnings),
        differences=tuple(difference(m, others[m.name], OVER_ALL) for m in measures if m.name in others),
        charts=(*charts(matched, options.thresholds), *coverage_charts),
        error_maps=error_maps(matched),
    )


def _blocks(true: NamedPoses, options: LocalizationOptions) -> tuple[Blocks, str]:
    """What intervals are drawn over: images, or where they are of videos, blocks of time."""
    if not options.block_s:
        return query_blocks(len(true))
    if not np.isfinite(true.time).all():
        n = int((~np.isfinite(true.time)).sum())
        raise InputError(
            f"blocks of {options.block_s:g} s need times; {n} images of the truth have none; set block_s 0"
        )
    block = sequence_blocks(true.camera, true.time, options.block_s)
    return Blocks(block, int(block.max()) + 1), f"bootstrap over blocks of {options.block_s:g} s"


def _measures(
    matched: MatchedPoses, options: LocalizationOptions, blocks: Blocks
) -> tuple[list[Measure], list[Absent]]:
    scores = matched.scores
    says = f"{len(scores):,} named images, distance of camera centres, angle of rotations"
    found: list[Measure] = []
    for position, rotation in options.thresholds:
        counts, at = scores.counts(position, rotation), f"{position:g}m_{rotation:g}deg"
        how = f"{says}; within {position:g} m and {rotation:g} deg{SOURCES.get((position, rotation), '')}"
        recall = f"{how}; refused and missing are not found"
        found.append(of_counts(f"recall_{at}", "%", recall, counts, blocks, LOCALIZATION_FIGURES["recall"], 100))
        if len(matched.answer):
            wrong = f"{how}; answers that are not"
            error = LOCALIZATION_FIGURES["error_rate"]
            found.append(of_counts(f"error_rate_{at}", "%", wrong, counts, blocks, error, 100))
    counts = scores.counts(*options.thresholds[0])
    answer_rate = LOCALIZATION_FIGURES["answer_rate"]
    found.append(of_counts("answer_rate", "%", f"{says}; right or wrong", counts, blocks, answer_rate, 100))
    reasons = ", ".join(f"{reason or 'no reason'} {n}" for reason, n in scores.reasons().items())
    refused = f"{says}; the system declined" + (f": {reasons}" if reasons else "")
    refusal_rate = LOCALIZATION_FIGURES["refusal_rate"]
    found.append(of_counts("refusal_rate", "%", refused, counts, blocks, refusal_rate, 100))
    if len(matched.answer):
        return found + _medians(matched, blocks), []
    names = [f"error_rate_{position:g}m_{rotation:g}deg" for position, rotation in options.thresholds]
    names += ["median_position_error_m", "median_rotation_error_deg", "ground_error_median_m", "ground_error_p95_m"]
    return found, [Absent(OVER_ALL, name, NO_ANSWER) for name in names]


def _medians(matched: MatchedPoses, blocks: Blocks) -> list[Measure]:
    scores, query = matched.scores, matched.query
    says = f"{len(query):,} answers of {len(scores):,} images; refused and missing have no error"
    position, rotation = scores.position_error[query], np.degrees(scores.rotation_error[query])
    ground, ours = np.linalg.norm(matched.offsets[:, :2], axis=1), blocks.take(query)
    over_ground = f"{says}; distance of camera centres over the ground, heights left out"
    return [
        of_quantile("median_position_error_m", "m", f"{says}; distance of camera centres", position, ours),
        of_quantile("median_rotation_error_deg", "deg", f"{says}; angle of rotations", rotation, ours),
        of_quantile("ground_error_median_m", "m", over_ground, ground, ours),
        of_quantile("ground_error_p95_m", "m", over_ground, ground, ours, 0.95),
    ]


def _counts(name: str, matched: MatchedPoses) -> list[Figure]:
    outcome = matched.scores.outcome
    what = (
        ("images", len(outcome), "of the truth"),
        ("answered", len(matched.answer), "with a pose, right or wrong"),
        ("refused", int((outcome == REFUSED).sum()), "the system declined"),
        ("missing", int((outcome == MISSING).sum()), "neither answered nor refused"),
    )
    return [bare_figure(name, OVER_ALL, key, n, "", says) for key, n, says in what]


def _honesty(
    name: str, matched: MatchedPoses, blocks: Blocks, sure: str
) -> tuple[Sequence[Figure], Sequence[Chart], Sequence[Absent]]:
    """NEES and coverage of the answers that state a covariance."""
    cov = matched.estimated.cov[matched.answer]
    stated = np.isfinite(cov).all(axis=(1, 2))
    if not stated.any():
        return (), (), (Absent(OVER_ALL, "nees", NO_COVARIANCE if len(cov) else NO_ANSWER),)
    what = f"{int(stated.sum()):,} answers with covariance; exp(xi) * cam_from_world, rotation and translation"
    errors = Errors(what, "nees", matched.perturbation[stated], cov[stated], blocks.take(matched.query[stated]))
    none = Forecasts("", np.empty(0), np.empty(0, dtype=bool), Blocks(np.empty(0, dtype=int), blocks.n))
    report = report_uncertainty(name, errors, none, sure)
    # a likelihood of rad and m together has no unit that compares
    figures = [figure for figure in report.figures if figure.figure != "negative_log_likelihood"]
    return figures, report.charts, ()
