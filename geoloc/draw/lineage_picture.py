"""The lineage as a picture: the plan at a moment, and below it what each number was from when to when."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from geoloc.draw.lineage import EVENTS, LIVES, Lane, life_text, shown_lanes
from geoloc.draw.plan import PlanOptions, render_plan
from geoloc.draw.style import DARK, FONT, LABEL_PT, LIGHT, SMALL_PT, SUBTITLE_PT, Palette
from geoloc.draw.svg import tick_step
from geoloc.draw.words import time_text
from geoloc.files import write_whole
from geoloc.pipeline.answers import Phase
from geoloc.pipeline.lineage import Event
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_LANES = 24
LANE_IN, SIDE_IN, LEFT_IN, TOP_IN, FOOT_IN = 0.24, 0.42, 1.25, 0.5, 0.6
SIGNS = {"born": "D", "recognised": "P", "merged": ">", "split": "<", "undone": "X", "gone": "s"}
TICKS = (1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)  # s


def draw_lineage(
    site: Site,
    tracks: Tracks,
    phases: Sequence[Phase],
    events: Sequence[Event],
    path: str | Path,
    *,
    now: float,
    title: str = "",
    options: PlanOptions | None = None,
) -> Path:
    """Write a PNG of the plan, with `tracks` up to `now` (s), and of the lineage of all time; returns its path.

    `phases` and `events` are as a `localizer.state` tells them. `title` defaults to the site's name.
    """
    options = options or PlanOptions()
    plan = _pixels(render_plan(site, tracks.take(tracks.time <= now), None, (), title, options))
    rows, _ = shown_lanes(phases, events, MOST_LANES)
    below = _pixels(_render(rows, now, plan.shape[1] / options.dpi, options))
    width = min(plan.shape[1], below.shape[1])  # rounding may make them differ by a pixel
    done, data = cv2.imencode(".png", np.vstack([plan[:, :width], below[:, :width]]))
    if done:
        write_whole(path, data.tobytes())
    return Path(path)


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))


def _render(rows: Sequence[Lane], now: float, width: float, options: PlanOptions) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    palette = DARK if options.dark else LIGHT
    height = TOP_IN + LANE_IN * len(rows) + FOOT_IN
    figure = Figure(figsize=(width, height), facecolor=palette.paper)
    FigureCanvasAgg(figure)
    place = (LEFT_IN / width, FOOT_IN / height, (width - LEFT_IN - SIDE_IN) / width, LANE_IN * len(rows) / height)
    axes = figure.add_axes(place, facecolor=palette.panel)
    for row, lane in enumerate(rows):
        _paint(axes, len(rows) - 1 - row, lane, palette)
    _dress(axes, rows, now, palette)
    _legend(axes, rows, palette)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=options.dpi)
    return stream.getvalue()


def life_colour(life: str, palette: Palette) -> str:
    """The colour of a life; that of what is out of sight is the panel's: only its outline shows."""
    given = {"tentative": palette.edge, "out_of_sight": palette.panel}
    cycle = {"confirmed": 0, "parked": 2, "hidden": 4}
    return given.get(life, palette.tracks[cycle.get(life, 0)])


def _paint(axes: "Axes", y: int, lane: Lane, palette: Palette) -> None:
    for phase in lane.phases:
        lost = phase.life == "out_of_sight"
        edge, style = (palette.muted, (0, (3, 2))) if lost else (palette.panel, "solid")
        axes.barh(
            y, phase.end - phase.start, left=phase.start, height=0.62, color=life_colour(phase.life, palette),
            edgecolor=edge, linestyle=style, linewidth=0.6, zorder=2,
        )  # fmt: skip
    for event in (event for event in lane.events if event.kind in SIGNS):
        axes.plot(
            event.time, y, SIGNS[event.kind], color=palette.ink, markersize=5.5, markeredgecolor=palette.panel,
            markeredgewidth=0.7, zorder=4, clip_on=False,
        )  # fmt: skip


def _dress(axes: "Axes", rows: Sequence[Lane], now: float, palette: Palette) -> None:
    phases = [phase for lane in rows for phase in lane.phases]
    start, end = min((p.start for p in phases), default=0.0), max((p.end for p in phases), default=1.0)
    wide = (end - start) / 8
    step = next((tick for tick in TICKS if tick >= wide), tick_step(max(wide, 1.0)))
    ticks = np.arange(np.ceil(start / step) * step, end + 1e-6, step)
    axes.set_xlim(start, max(end, start + 1e-3))
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xticks(ticks, [time_text(tick) for tick in ticks.tolist()])
    axes.set_yticks(range(len(rows)), [lane.name for lane in reversed(rows)])
    axes.tick_params(length=0, pad=5, labelsize=SMALL_PT + 0.6, labelcolor=palette.muted, labelfontfamily=FONT)
    axes.tick_params(axis="y", labelcolor=palette.ink, labelsize=LABEL_PT)
    axes.grid(axis="x", color=palette.grid, linewidth=0.8, zorder=0)
    axes.axvline(now, color=palette.ink, linewidth=1.2, zorder=3)
    for spine in axes.spines.values():
        spine.set_color(palette.edge)
        spine.set_linewidth(0.8)
    axes.set_title(
        "What each number was, and when; the line is the moment above", loc="left", fontsize=SUBTITLE_PT,
        color=palette.ink, weight="bold", family=FONT, pad=8,
    )  # fmt: skip


def _legend(axes: "Axes", rows: Sequence[Lane], palette: Palette) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    lives = {phase.life for lane in rows for phase in lane.phases}
    kinds = {event.kind for lane in rows for event in lane.events}
    entries: list[Patch | Line2D] = [
        Patch(facecolor=life_colour(life, palette), edgecolor=palette.muted, linewidth=0.5, label=life_text(life))
        for life in LIVES
        if life in lives
    ]
    entries += [
        Line2D([], [], color=palette.ink, marker=SIGNS[kind], linestyle="none", markersize=5.5, label=name)
        for kind, (name, _) in EVENTS.items()
        if kind in kinds
    ]
    axes.legend(
        handles=entries, loc="upper left", bbox_to_anchor=(0.0, -0.3 / (LANE_IN * max(len(rows), 1))), ncols=8,
        frameon=False, borderaxespad=0, borderpad=0, columnspacing=1.6, handlelength=1.5, labelcolor=palette.ink,
        prop={"family": FONT, "size": LABEL_PT},
    )  # fmt: skip
