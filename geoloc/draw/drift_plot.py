"""A camera's checks over time: how far it turned with two sigmas around, what state each frame was in, its alarms."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.draw.style import LIGHT
from geoloc.files import write_whole
from geoloc.relocalize.monitor import DriftMonitor

if TYPE_CHECKING:
    from matplotlib.artist import Artist

PANEL_IN = (8.4, 1.9)
LEAST_DEG = 1e-4  # smaller angles are drawn as this
COLOURS = {
    "unchanged": "#2c8a63",
    "shaken": "#bf8010",
    "moved": "#bd3f78",
    "blocked": "#7b5f42",
    "blurred": "#8552bd",
    "dark": "#36404d",
    "overexposed": "#1f8fa3",
    "another scene": "#a83240",
}


def plot_drift(monitors: Sequence[DriftMonitor], path: str | Path) -> Path:
    """Write a picture (.png, .svg, .pdf) with a panel for each camera; frames that tell no motion lie on its foot."""
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = max(len(monitors), 1)
    size = PANEL_IN[0], rows * PANEL_IN[1] + 0.6
    figure = Figure(figsize=size, dpi=130, layout="constrained", facecolor=LIGHT.panel)
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(rows, 1, sharex=True))
    start = min((monitor.times[0] for monitor in monitors if monitor.times), default=0.0)
    shown: dict[str, Artist] = {}
    for axis, monitor in zip(axes, monitors, strict=False):
        shown |= _panel(axis, monitor, start)
    axes[-1].set_xlabel("hours since the first frame", fontsize=8, color=LIGHT.muted)
    if shown:
        figure.legend(list(shown.values()), list(shown), loc="outside upper center", ncols=4, frameon=False, fontsize=8)
    stream = BytesIO()
    figure.savefig(stream, format=Path(path).suffix.lstrip(".") or "png")
    write_whole(path, stream.getvalue())
    return Path(path)


def _panel(axis, monitor: DriftMonitor, start: float) -> "Mapping[str, Artist]":  # type: ignore[no-untyped-def]
    """One camera; the axes of matplotlib have no types. The handles of its legend by state."""
    series = monitor.series()
    hours = (series["time"] - start) / 3600.0
    known = np.isfinite(series["sigma"])
    angle = np.degrees(np.linalg.norm(series["rotation"], axis=1))
    wide = np.degrees(2.0 * series["sigma"])
    axis.fill_between(
        hours[known],
        np.maximum(angle - wide, LEAST_DEG)[known],
        np.maximum(angle + wide, LEAST_DEG)[known],
        color=LIGHT.accent,
        alpha=0.18,
        linewidth=0,
    )
    axis.plot(hours[known], np.maximum(angle, LEAST_DEG)[known], color=LIGHT.accent, linewidth=1.0)
    handles = {}
    for state in dict.fromkeys(series["state"].tolist()):
        rows = series["state"] == state
        height = np.where(known, np.maximum(np.nan_to_num(angle), LEAST_DEG), LEAST_DEG)[rows]
        handles[state] = axis.scatter(hours[rows], height, s=13, color=COLOURS.get(state, LIGHT.muted), zorder=3)
    for alarm in monitor.alarms:
        end = hours[-1] if alarm.is_on else (alarm.ended - start) / 3600.0
        axis.axvspan((alarm.since - start) / 3600.0, end, color=COLOURS.get(alarm.state, LIGHT.muted), alpha=0.10)
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.7 * LEAST_DEG)
    axis.set_ylabel("turned, deg", fontsize=8, color=LIGHT.muted)
    axis.set_title(monitor.camera, fontsize=9, color=LIGHT.ink, loc="left")
    axis.tick_params(labelsize=7.5)
    axis.grid(color=LIGHT.grid, linewidth=0.7)
    axis.spines[["top", "right"]].set_visible(False)
    return handles
