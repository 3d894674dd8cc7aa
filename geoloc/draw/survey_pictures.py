"""What a survey found, as pictures of each level: mosaic with lines and stalls, whose still each part is, sigmas."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from geoloc.draw.ground_bands import length_text
from geoloc.draw.style import FONT, LIGHT
from geoloc.files import whole_file, write_whole
from geoloc.perception.ground_mosaic import Mosaic
from geoloc.perception.named_things import NamedThing
from geoloc.perception.survey import LevelSurvey

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, DPI = 11.0, 130
HEADER_IN, LEGEND_IN, EDGE_IN = 0.62, 0.55, 0.15
LOW, MIDDLE, HIGH = "#cd2c55", "#e8a01e", "#28b463"  # of a proposal's confidence, on asphalt
LINE, KERB, ARROW, CROSSING, THING = "#3fa7ff", "#ff8fd0", "#ffe14d", "#c58bff", "#ffffff"
SURE, LIKELY = 0.8, 0.5


def save_mosaic(laid: Mosaic, path: Path | str) -> None:
    """The mosaic alone, as PNG with opacity."""
    _, packed = cv2.imencode(".png", laid.image)
    write_whole(path, packed.tobytes())


def draw_level(found: LevelSurvey, things: Sequence[NamedThing], path: Path | str) -> None:
    """A level's mosaic with what was found on it."""
    laid, level = found.mosaic, found.mosaic.sheet.level
    n = len(found.stalls.stalls)
    said = f"{n} stalls proposed" if n else f"no stalls proposed: {found.stalls.refusal}" if found.stalls.refusal else (
        f"all {found.stalls.known} stalls that were found are on the map")  # fmt: skip
    figure, axes = _figure(laid, f"Level {level}", said)
    _lay(axes, laid.image[..., [2, 1, 0, 3]], laid)
    for line in found.lines:
        axes.plot(*line.ends.T, color=KERB if line.kind == "kerb" else LINE, linewidth=0.9, solid_capstyle="butt")
    for crossing in found.crossings:
        axes.plot(*np.array(crossing.outline.exterior.coords).T, color=CROSSING, linewidth=1.6)
    for arrow in found.arrows:
        tip, tail = (tuple(end.tolist()) for end in (arrow.tip, 2 * arrow.middle - arrow.tip))
        axes.annotate("", tip, tail, arrowprops={"arrowstyle": "-|>", "color": ARROW, "lw": 1.4})
    for stall in found.stalls.stalls:
        ring = np.vstack([stall.corners, stall.corners[:1]])
        colour = HIGH if stall.confidence >= SURE else MIDDLE if stall.confidence >= LIKELY else LOW
        axes.fill(*ring.T, facecolor=colour, alpha=0.22, edgecolor="none")
        axes.plot(*ring.T, color=colour, linewidth=1.5)
        x, y = stall.corners.mean(axis=0).tolist()
        axes.text(x, y, f"{stall.name.split('-')[-1]}\n{stall.confidence:.2f}", color="white", fontsize=6.5,
                  ha="center", va="center", family=FONT)  # fmt: skip
    spots = np.array([thing.xy for thing in things if thing.level == level]).reshape(-1, 2)
    axes.plot(*spots.T, linestyle="none", marker="o", markersize=2.6, markerfacecolor="none", markeredgecolor=THING,
              markeredgewidth=0.7)  # fmt: skip
    kinds = {line.kind for line in found.lines}
    entries = [(LINE, "painted line", "paint" in kinds), (KERB, "edge of another surface", "kerb" in kinds),
               (ARROW, "arrow", bool(found.arrows)), (CROSSING, "crossing", bool(found.crossings)),
               (HIGH, f"stall, {SURE:g} and more", bool(n)), (MIDDLE, f"stall, {LIKELY:g} and more", bool(n)),
               (LOW, "stall, less sure", bool(n)), ("#8a94a0", "named corner (ring)", bool(len(spots)))]  # fmt: skip
    _legend(figure, [(colour, name) for colour, name, there in entries if there])
    _save(figure, path)


def draw_sources(laid: Mosaic, path: Path | str) -> None:
    """Which camera each part of a mosaic comes from."""
    from matplotlib.colors import to_rgb

    figure, axes = _figure(laid, f"Level {laid.sheet.level}", "which camera's still each place is from: the sharpest")
    grey = cv2.cvtColor(laid.image[..., :3], cv2.COLOR_BGR2GRAY)[..., None] / 255.0
    colours = np.array([to_rgb(LIGHT.track(i)) for i in range(len(laid.cameras))]).reshape(-1, 3)
    picture = np.zeros((*laid.source.shape, 4))
    seen = laid.source >= 0
    if seen.any():
        picture[seen, :3] = (0.55 * colours[laid.source[seen]] + 0.45 * grey[seen]).clip(0, 1)
        picture[seen, 3] = 1.0
    _lay(axes, picture, laid)
    there = np.unique(laid.source[seen]).tolist()
    _legend(figure, [(LIGHT.track(i), laid.cameras[i]) for i in there])
    _save(figure, path)


def draw_sigma(laid: Mosaic, path: Path | str) -> None:
    """How well the mosaic is known: what its calibration leaves to each place, by the camera that it comes from."""
    from matplotlib.colors import to_rgb

    known = np.isfinite(laid.sigma) & (laid.sigma > 0)
    middle = length_text(float(np.median(laid.sigma[known]))) if known.any() else "–"
    coarse = laid.footprint[np.isfinite(laid.footprint)]
    pixel = length_text(float(np.median(coarse))) if len(coarse) else "–"
    said = f"sigma of its place, {middle} (median); a still's pixel covers {pixel} (median)"
    figure, axes = _figure(laid, f"Level {laid.sheet.level}", said)
    edges = np.array([0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    colours = np.array([to_rgb(each) for each in LIGHT.heat])
    picture = np.zeros((*laid.sigma.shape, 4))
    step = np.digitize(np.nan_to_num(laid.sigma, nan=0.0), edges)
    picture[..., :3], picture[..., 3] = colours[step], known
    _lay(axes, picture, laid)
    names = [f"below {length_text(edges[0])}", *(f"up to {length_text(edge)}" for edge in edges[1:]), "more"]
    _legend(figure, list(zip(LIGHT.heat, names, strict=True)))
    _save(figure, path)


def _figure(laid: Mosaic, title: str, said: str) -> tuple["Figure", "Axes"]:
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, width = laid.source.shape
    wide = WIDTH_IN - 2 * EDGE_IN
    tall = min(wide * height / width, 14.0)
    whole = tall + HEADER_IN + LEGEND_IN
    figure = Figure(figsize=(WIDTH_IN, whole), facecolor=LIGHT.paper)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((EDGE_IN / WIDTH_IN, LEGEND_IN / whole, wide / WIDTH_IN, tall / whole), facecolor="#3a3f4a")
    axes.set_xticks([])
    axes.set_yticks([])
    figure.text(EDGE_IN / WIDTH_IN, 1 - 0.3 / whole, title, fontsize=14, color=LIGHT.ink, family=FONT, weight="bold")
    figure.text(EDGE_IN / WIDTH_IN, 1 - 0.51 / whole, said, fontsize=9, color=LIGHT.muted, family=FONT)
    return figure, axes


def _lay(axes: "Axes", picture: np.ndarray, laid: Mosaic) -> None:
    x0, y0, x1, y1 = laid.extent
    axes.imshow(picture, extent=(x0, x1, y0, y1), interpolation="antialiased", aspect="equal")
    axes.set_xlim(x0, x1)
    axes.set_ylim(y0, y1)
    for side in axes.spines.values():
        side.set_visible(False)
    length = next(step for step in (100, 50, 20, 10, 5, 2, 1, 0.5) if step <= max((x1 - x0) / 6, 0.5))
    x, y = x0 + 0.02 * (x1 - x0), y0 + 0.025 * (y1 - y0)
    axes.plot([x, x + length], [y, y], color="white", linewidth=3, solid_capstyle="butt")
    spot = x + length / 2, y + 0.01 * (y1 - y0)
    axes.text(*spot, f"{length:g} m", color="white", fontsize=8, ha="center", va="bottom", family=FONT)


def _legend(figure: "Figure", entries: Sequence[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, label=name) for colour, name in entries]
    if handles:
        figure.legend(
            handles=handles, loc="lower left", ncols=min(len(handles), 7), frameon=False, fontsize=7.5,
            bbox_to_anchor=(EDGE_IN / WIDTH_IN - 0.005, 0.0), handlelength=1.2, columnspacing=1.2,
            prop={"family": FONT, "size": 7.5},
        )  # fmt: skip


def _save(figure: "Figure", path: Path | str) -> None:
    with whole_file(path) as temporary, temporary.open("wb") as file:
        figure.savefig(file, format="png", dpi=DPI, facecolor=figure.get_facecolor())
