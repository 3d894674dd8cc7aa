"""The robustness suite's report: degradation by hazard and overall, honesty under hazard, charts."""

from dataclasses import replace

import numpy as np

from geoloc.evaluation.report import NO_INTERVAL, Absent, Chart, Figure, Line, Report
from geoloc.evaluation.robustness.cases import Target
from geoloc.evaluation.robustness.images import ImageCase
from geoloc.evaluation.robustness.measure import Robustness, RobustnessOptions, measure_robustness, quiet
from geoloc.evaluation.robustness.suite import Progress, RobustnessScores, mean_interval
from geoloc.evaluation.text_table import aligned

EXPECTED = {"nees": 2.0, "coverage_95": 0.95}  # of honest covariances


def robustness_report(
    target: Target | ImageCase, options: RobustnessOptions | None = None, progress: Progress = quiet
) -> Report:
    """Run the suite and report it; see `measure_robustness` and `report_of`."""
    return report_of(measure_robustness(target, options, progress))


def report_of(measured: Robustness) -> Report:
    """Figures in per cent: an error is 100 x (1 - score), at most 100; a degradation is that less the clean error.

    Of each score that is 1 at best, as `part`: `clean`, `ce_*` and `degradation_*` of every hazard, `mce` and
    `degradation`, their means over the hazards. With a reference `mce_of_reference` and
    `relative_mce_of_reference` follow Hendrycks and Dietterich (2019): 100 % is the reference's error. NEES and
    coverage: clean and, of every hazard, at its greatest strength. Intervals are over draws of the hazards on
    the one recording.
    """
    scores = measured.scores
    figures: list[Figure] = []
    absent = [Absent("all", f"degradation_{name}", why) for name, why in scores.refused.items()]
    for name in scores.names[: scores.n_errors]:
        figures += _error_figures(measured, name)
        figures += _normalised_figures(measured, name, absent)
    for name in scores.names[scores.n_errors :]:
        figures += _honesty_figures(measured, name, absent)
    charts = tuple(_chart(measured, name) for name in scores.names)
    return Report(f"robustness of {scores.case}", "robustness", tuple(figures), tuple(absent), charts=charts)


def robustness_table(scores: RobustnessScores) -> str:
    """A line for each hazard and score: clean, the five strengths (means over the draws), the degradation."""
    rows = []
    for k, name in enumerate(scores.names):
        scale = 1.0 if name == "nees" else 100.0
        for h, hazard in enumerate(scores.hazards):
            means = scale * _mean(scores.values[h, :, :, k])
            lost = f"{100 * scores.degradations(name)[h].mean():.1f}" if k < scores.n_errors else ""
            steps = "  ".join(f"{strength:g}" for strength in scores.strengths[h])
            form = ".2f" if name == "nees" else ".1f"
            cells = [format(value, form) for value in (scale * scores.clean[k], *means)]
            rows.append((name, hazard, *cells, lost, f"{steps} {scores.units[h]}"))
    return aligned(("score", "hazard", "clean", "1", "2", "3", "4", "5", "lost", "strengths"), rows)


def _error_figures(measured: Robustness, name: str) -> list[Figure]:
    scores = measured.scores
    ce, lost = scores.corruption_errors(name), scores.degradations(name)
    clean = 100 * scores.clean_score(name)
    figures = [_figure(measured, name, "clean", np.array([clean]), "the recording as it is")]
    for h, hazard in enumerate(scores.hazards):
        figures.append(_figure(measured, name, f"ce_{hazard}", 100 * ce[h], "mean error over 5 strengths"))
        said = "mean error over 5 strengths less the clean error"
        figures.append(_figure(measured, name, f"degradation_{hazard}", 100 * lost[h], said))
    figures.append(_figure(measured, name, "mce", 100 * ce.mean(axis=0), "mean of ce over the hazards"))
    said = "mean of the degradations of the hazards"
    return [*figures, _figure(measured, name, "degradation", 100 * lost.mean(axis=0), said)]


def _normalised_figures(measured: Robustness, name: str, absent: list[Absent]) -> list[Figure]:
    figures = []
    for other in measured.references:
        said = "of the reference's error, mean over the hazards (Hendrycks and Dietterich 2019, eq. 1)"
        mce = measured.scores.corruption_errors_of(name, other).mean(axis=0)
        figures.append(_figure(measured, name, "mce_of_reference", 100 * mce, said))
        why = _nothing_to_lose(measured.scores, other, name)
        if why:
            absent.append(Absent(name, "relative_mce_of_reference", why))
            continue
        relative = measured.scores.relative_errors_of(name, other)
        sound = np.isfinite(relative).all(axis=1)
        said = f"of the reference's loss, mean over the {sound.sum()} hazards under which it loses (eq. 2)"
        figures.append(_figure(measured, name, "relative_mce_of_reference", 100 * relative[sound].mean(axis=0), said))
    return figures


def _nothing_to_lose(scores: RobustnessScores, other: RobustnessScores, name: str) -> str:
    """Why a loss cannot be stated as a share of the reference's; empty if it can."""
    mine, theirs = scores.clean_score(name), other.clean_score(name)
    if theirs < 0.5 * mine:
        return f"the reference scores {100 * theirs:.1f} % clean against {100 * mine:.1f} %: it has too little to lose"
    lost = np.isfinite(scores.relative_errors_of(name, other)).all(axis=1)
    return "" if lost.any() else "the reference loses nothing under any hazard"


def _honesty_figures(measured: Robustness, name: str, absent: list[Absent]) -> list[Figure]:
    scores, figures = measured.scores, []
    unit, scale, most = ("", 1.0, np.inf) if name == "nees" else ("%", 100.0, 100.0)
    expected = f"{scale * EXPECTED[name]:g} expected; " if name in EXPECTED else ""
    rows = [("clean", scores.clean[[scores.names.index(name)]], "the recording as it is")]
    rows += [
        (hazard, values[-1], "at the greatest strength")
        for hazard, values in zip(scores.hazards, scores.score(name), strict=True)
    ]
    for label, values, said in rows:
        if np.isfinite(values).all():
            figure = _figure(measured, name, f"{name}_{label}", scale * values, expected + said, unit)
            low, high = np.clip([figure.low, figure.high], 0.0, most).tolist()  # a share is never above 100 %
            figures.append(replace(figure, low=low, high=high))
        else:
            absent.append(Absent(name, f"{name}_{label}", "nothing was matched with the truth"))
    return figures


def _figure(
    measured: Robustness, part: str, figure: str, per_draw: np.ndarray, said: str, unit: str = "%"
) -> Figure:
    low, high = mean_interval(per_draw) if len(per_draw) > 1 else NO_INTERVAL
    sure = f"; 95 % over {len(per_draw)} draws" if np.isfinite(low) else ""
    protocol = f"{said}; {measured.protocol}{sure}"
    return Figure(measured.scores.case, part, figure, float(per_draw.mean()), low, high, unit, protocol)


def _chart(measured: Robustness, name: str) -> Chart:
    """A line for each hazard over strengths 1 to 5, 0 being the clean recording."""
    scores = measured.scores
    scale, most = (1.0, np.inf) if name == "nees" else (100.0, 100.0)
    clean = scale * float(scores.clean[scores.names.index(name)])
    lines = []
    for hazard, drawn in zip(scores.hazards, scores.score(name), strict=True):
        values = scale * drawn
        bands = np.clip([mean_interval(draw) for draw in values], 0.0, most)
        low, high = np.vstack([[clean, clean], bands]).T if np.isfinite(bands).all() else np.empty((2, 0))
        lines.append(Line(hazard, np.arange(6.0), np.append(clean, _mean(values)), low, high))
    ideal = scale * EXPECTED[name] if name in EXPECTED else clean
    title = "expected of honest covariances" if name in EXPECTED else "clean"
    lines.append(Line(title, np.array([0.0, 5.0]), np.array([ideal, ideal]), reference=True))
    draws = scores.values.shape[2]
    note = f"{scores.case}: mean over {draws} draws of each hazard; strength 0 is the recording as it is"
    return Chart(f"{name} under hazards", "strength", name if name == "nees" else "%", tuple(lines), note)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the draws that have the score (5, S): (5,), NaN where none has."""
    found = np.isfinite(values)
    total = np.where(found, values, 0.0).sum(axis=1)
    return np.divide(total, found.sum(axis=1), out=np.full(len(values), np.nan), where=found.any(axis=1))
