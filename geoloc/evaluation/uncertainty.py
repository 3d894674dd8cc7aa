"""Whether stated covariances and probabilities are honest, and how sharp they are: one report."""

from dataclasses import dataclass

import numpy as np

from geoloc.errors import InputError
from geoloc.evaluation.measures import Blocks, Measure, of_counts, of_mean, of_quantile
from geoloc.evaluation.recording import GROUND, Recording
from geoloc.evaluation.report import Absent, Chart, Figure, Line, Report
from geoloc.evaluation.tracking_measures import TrackingOptions, TrackingScores
from geoloc.geometry.gaussian import is_covariance
from geoloc.metrics.calibration_curves import coverage_curve, negative_log_likelihood, sharpness
from geoloc.metrics.consistency import consistency, nees
from geoloc.metrics.forecasts import FORECAST_FIGURES, score_forecasts

LEVELS = (0.5, 0.95)
FROM_ZERO = ("reliability", "resolution", "calibration_error")  # distances, which resampling makes larger


@dataclass(frozen=True, eq=False)
class Errors:
    """N errors (N, d) with their stated covariances (N, d, d), in m; `what` they are, such as matched positions.

    Errors of estimates give NEES, innovations with their own covariances NIS: the same figures.
    """

    what: str
    name: str
    error: np.ndarray
    cov: np.ndarray
    blocks: Blocks


@dataclass(frozen=True, eq=False)
class Forecasts:
    """N probabilities in [0, 1] that something is so, and whether it was (N,) bool."""

    what: str
    probability: np.ndarray
    event: np.ndarray
    blocks: Blocks


def evaluate_uncertainty(
    recording: Recording, options: TrackingOptions | None = None, truth_sigma: float = 0.0
) -> Report:
    """Honesty and sharpness of the covariances of a recording's matched positions, and of its scores.

    `truth_sigma` (m, each axis) is the truth's own error, which is added to what is stated.
    """
    options = options or TrackingOptions()
    if recording.plane != GROUND:
        raise InputError(f"{recording.name}: boxes state no covariance; uncertainty is evaluated on the ground")
    scores = TrackingScores(recording, options)
    errors = matched_errors(scores, truth_sigma)
    happened = np.zeros(len(recording.result), dtype=bool)
    happened[scores.detection.result] = True
    forecasts = Forecasts(
        f"ground plane, {recording.rate}; score as probability that a truth lies within {options.reach:g} m",
        recording.result_score,
        happened,
        scores.frame_blocks.take(recording.result.frame),
    )
    return report_uncertainty(recording.name, errors, forecasts, recording.how_sure(options.block_s))


def matched_errors(scores: TrackingScores, truth_sigma: float = 0.0) -> Errors:
    """Errors of the matched positions on the ground that state a covariance, to which the truth's own is added."""
    recording, reach = scores.recording, scores.options.reach
    cov = recording.result_cov[scores.detection.result] + truth_sigma**2 * np.eye(2)
    stated = np.isfinite(cov).all(axis=(1, 2))
    protocol = f"ground plane, {recording.rate}; matched positions within {reach:g} m"
    if truth_sigma:
        protocol += f", truth good to {truth_sigma:g} m each axis"
    blocks = scores.match_blocks.take(np.flatnonzero(stated))
    return Errors(protocol, "nees", scores.errors[stated], cov[stated], blocks)


def report_uncertainty(name: str, errors: Errors, forecasts: Forecasts, how_sure: str) -> Report:
    """A report on errors with covariances and on probabilities; either may have no rows, which it says."""
    figures: list[Figure] = []
    absent: list[Absent] = []
    charts: list[Chart] = []
    if len(errors.error):
        figures += [measure.figure(name, "all", how_sure) for measure in _error_measures(errors)]
        charts += _error_charts(errors)
    else:
        absent.append(Absent("all", errors.name, "no matched row states a covariance"))
    if len(np.unique(forecasts.probability)) > 1:
        figures += [measure.figure(name, "all", how_sure) for measure in _forecast_measures(forecasts)]
        charts.append(_reliability(forecasts))
    else:
        absent.append(Absent("all", "brier", "the result states no probabilities, or one for all"))
    return Report(name, "uncertainty", tuple(figures), tuple(absent), charts=tuple(charts))


def _error_measures(errors: Errors) -> list[Measure]:
    _refuse_bad(errors)
    dof = errors.error.shape[1]
    values = nees(errors.error, errors.cov)
    test = consistency(values, dof, 0.95)
    expected = f"{dof} expected, {test.low:.3g} to {test.high:.3g} in 95 % of independent samples of {test.n}"
    curve, size = coverage_curve(values, dof), sharpness(errors.cov) if dof in (2, 3) else None
    says = errors.what
    found = [of_mean(errors.name, "", f"{says}; {expected}", values, errors.blocks)]
    found += [
        of_counts(
            f"coverage_{100 * level:.0f}",
            "%",
            f"{says}; share inside the ellipse that should hold {100 * level:.0f} %",
            curve.counts(level),
            errors.blocks,
            lambda n: n[..., 0] / np.maximum(n[..., 1], 1.0),
            100,
        )
        for level in LEVELS
    ]
    loss = negative_log_likelihood(errors.error, errors.cov)
    found.append(of_mean("negative_log_likelihood", "nats", f"{says}; Gaussian, of m", loss, errors.blocks))
    inside = np.concatenate([curve.inside.astype(float), np.ones((len(values), 1))], axis=1)

    def miscalibration(n: np.ndarray) -> np.ndarray:
        share = n[..., :-1] / np.maximum(n[..., -1:], 1.0)
        return 100 * np.abs(share - curve.stated).mean(axis=-1)

    how = f"{says}; mean distance of the coverage curve from what is stated"
    found.append(of_counts("miscalibration", "%", how, inside, errors.blocks, miscalibration, skewed=True))
    if size is not None:
        how = f"{says}; sharpness: sigma in its largest direction"
        found.append(of_quantile("sigma_median_m", "m", how, size.worst_sigma, errors.blocks))
    return found


def _error_charts(errors: Errors) -> list[Chart]:
    values = nees(errors.error, errors.cov)
    curve = coverage_curve(values, errors.error.shape[1])
    stated = 100 * np.concatenate([[0.0], curve.stated])
    measured = Line("measured", stated, 100 * np.concatenate([[0.0], curve.measured]))
    honest = Line("honest", np.array([0.0, 100.0]), np.array([0.0, 100.0]), reference=True)
    note = "above the line the covariances are too wide, below it too small"
    return [Chart("Coverage", "% that the ellipse should hold", "% that it holds", (measured, honest), note)]


def _forecast_measures(forecasts: Forecasts) -> list[Measure]:
    scores = score_forecasts(forecasts.probability, forecasts.event)
    pooled = scores.pooled(forecasts.blocks.block)
    counts = np.zeros((forecasts.blocks.n, pooled.shape[1]))
    counts[: len(pooled)] = pooled
    says = f"{forecasts.what}; 10 bins"
    return [
        Measure(name, "", says, counts, FORECAST_FIGURES[name], skewed=name in FROM_ZERO)
        for name in ("brier", "reliability", "resolution", "calibration_error", "log_loss")
    ]


def _reliability(forecasts: Forecasts) -> Chart:
    count, forecast, observed = score_forecasts(forecasts.probability, forecasts.event).diagram()
    seen = count > 0
    line = Line("measured", forecast[seen], observed[seen])
    honest = Line("honest", np.array([0.0, 1.0]), np.array([0.0, 1.0]), reference=True)
    note = "below the line the probabilities are too sure"
    return Chart("Reliability of probabilities", "stated probability", "share that was so", (line, honest), note)


def _refuse_bad(errors: Errors) -> None:
    bad = np.flatnonzero(~is_covariance(errors.cov))
    if len(bad):
        found = errors.cov[bad[0]].tolist()
        raise InputError(f"{errors.name}: {len(bad)} rows state no covariance, the first is {found}; drop or mend them")
