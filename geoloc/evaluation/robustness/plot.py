"""The picture of a robustness run: a panel for each hazard."""

from pathlib import Path

import numpy as np

from geoloc.draw.style import LIGHT
from geoloc.evaluation.robustness.measure import Robustness
from geoloc.evaluation.robustness.suite import RobustnessScores, mean_interval

COLUMNS = 4
PANEL_IN = (3.1, 2.35)
LABELS = {
    "hota": "HOTA",
    "idf1": "IDF1",
    "moda": "MODA",
    "coverage_95": "inside the 95 % ellipse",
    "recall_1": "R@1",
    "recall_5": "R@5",
}


def plot_robustness(measured: Robustness, path: str | Path) -> None:
    """Draw every score that is a share over the strengths of each hazard, and write a picture (.png, .svg, .pdf).

    Thin lines are the recording as it is, bands 95 % over the draws, dashes the reference's main score.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scores = measured.scores
    rows = -(-len(scores.hazards) // COLUMNS)
    size = COLUMNS * PANEL_IN[0], rows * PANEL_IN[1] + 0.9
    figure = Figure(figsize=size, dpi=130, layout="constrained", facecolor=LIGHT.panel)
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, COLUMNS, sharey=True)).ravel()
    for h, axis in enumerate(axes):
        if h < len(scores.hazards):
            _panel(axis, measured, h)
        else:
            axis.set_axis_off()
    for axis in axes[::COLUMNS]:
        axis.set_ylabel("%", fontsize=8, color=LIGHT.muted)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    lost = 100 * scores.degradations(scores.names[0]).mean()
    main = LABELS.get(scores.names[0], scores.names[0])
    title = f"{scores.case}: {main} {100 * scores.clean[0]:.1f} % as it is, {lost:.1f} points less under hazards"
    figure.suptitle(title, fontsize=12, color=LIGHT.ink)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _panel(axis, measured: Robustness, h: int) -> None:  # type: ignore[no-untyped-def]
    """One hazard; the axes of matplotlib have no types."""
    scores = measured.scores
    shown = [name for name in scores.names if name != "nees"]
    for name, colour in zip(shown, LIGHT.tracks, strict=False):
        dots = ":" if name not in scores.names[: scores.n_errors] else "-"
        _line(axis, scores, h, name, colour, dots, LABELS.get(name, name))
    for other in measured.references:
        _line(axis, other, h, other.names[0], LIGHT.muted, "--", f"{LABELS.get(other.names[0], '')} of the reference")
    lost = 100 * scores.degradations(scores.names[0])[h].mean()
    title = f"{scores.hazards[h].replace('_', ' ')}  {-lost:+.1f}"
    axis.set_title(title, fontsize=10, color=LIGHT.ink)
    axis.set_xticks(range(6), ["clean", *(f"{strength:g}" for strength in scores.strengths[h])], fontsize=7.5)
    axis.set_xlabel(scores.units[h], fontsize=8, color=LIGHT.muted)
    axis.set_ylim(-4, 104)
    axis.tick_params(axis="y", labelsize=8)
    axis.grid(color=LIGHT.grid, linewidth=0.7)
    axis.spines[["top", "right"]].set_visible(False)


def _line(axis, scores: RobustnessScores, h: int, name: str, colour: str, dots: str, label: str) -> None:  # type: ignore[no-untyped-def]
    clean = 100 * scores.clean_score(name)
    draws = 100 * np.maximum(scores.score(name)[h], 0.0)  # as the errors count it
    found = np.isfinite(draws).all(axis=1)
    x = np.append(0, 1 + np.flatnonzero(found))
    axis.plot(x, np.append(clean, draws[found].mean(axis=1)), dots, color=colour, linewidth=1.6, label=label)
    low, high = np.array([(clean, clean), *(mean_interval(draw) for draw in draws[found])]).T
    axis.fill_between(x, np.clip(low, 0, 100), np.clip(high, 0, 100), color=colour, alpha=0.16, linewidth=0)
    if dots == "-":
        axis.axhline(clean, color=colour, linewidth=0.6, alpha=0.6)
