"""The picture of a lens calibration: what the boards cover, how sharp the lens is where, residuals, pictures."""

import textwrap
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.calibrate.board_coverage import lens_sigma
from geoloc.calibrate.intrinsics import IntrinsicsFit
from geoloc.draw.extent import nice_step
from geoloc.draw.style import DARK, FONT, LIGHT, PANEL_PT, SMALL_PT, Palette
from geoloc.draw.words import counted, one_line
from geoloc.files import write_whole
from geoloc.options import check_range

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIGMA_PX = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)  # at which the colour of the lens's sigma changes
SIDE, GAP, HEAD, BARS, FOOT_LINE = 0.5, 0.7, 1.25, 1.1, 0.17  # inches
ARROW_SHARE = 0.05  # of the picture's longer side, that an arrow of the 95th percentile is long
MOST_NAMES = 24  # of pictures below their bars
BELOW = 0.95  # inches between the panels and the bars
SCALE = 3.0  # inches that the scale of colours is long


@dataclass(frozen=True)
class CoverageOptions:
    """How the picture of a calibration looks."""

    width_in: float = 12.0  # inches
    height_in: float = 5.6  # largest height of the two panels, inches
    dpi: float = 150.0
    dark: bool = False

    def __post_init__(self) -> None:
        check_range(self, width_in=(8, 100), height_in=(2, 100), dpi=(30, 600))


def draw_coverage(fit: IntrinsicsFit, path: str | Path, options: CoverageOptions | None = None) -> Path:
    """Write a PNG of what boards cover of the picture and how they fit; returns its path."""
    write_whole(path, _render(fit, options or CoverageOptions()))
    return Path(path)


def _render(fit: IntrinsicsFit, options: CoverageOptions) -> bytes:
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from geoloc.draw.furniture import header

    palette = DARK if options.dark else LIGHT
    width, height = fit.size
    scale = min((options.width_in - 2 * SIDE - GAP) / 2 / width, options.height_in / height)
    wide, tall = scale * width, scale * height
    lines = _foot(fit, options.width_in)
    foot = 0.5 + FOOT_LINE * len(lines)
    sheet = (options.width_in, HEAD + tall + BELOW + BARS + foot)
    figure = Figure(figsize=sheet, facecolor=palette.paper)
    FigureCanvasAgg(figure)
    header(figure, palette, fit.name or "camera", _summary(fit))
    left = (sheet[0] - 2 * wide - GAP) / 2
    bottom = sheet[1] - HEAD - tall
    covered = _panel(figure, palette, fit.size, (left, bottom, wide, tall), "where the lens is sharp")
    _paint_cover(covered, palette, fit)
    _paint_scale(figure.add_axes(_share(sheet, (left, bottom - 0.36, SCALE, 0.09))), palette)
    arrows = _panel(figure, palette, fit.size, (left + wide + GAP, bottom, wide, tall), "residuals")
    _paint_residuals(arrows, palette, fit)
    bars = figure.add_axes(_share(sheet, (SIDE, foot, sheet[0] - 2 * SIDE, BARS)), facecolor=palette.ground)
    _paint_bars(bars, palette, fit)
    for i, line in enumerate(lines):
        figure.text(
            SIDE / sheet[0], (foot - 0.5 - FOOT_LINE * i) / sheet[1], line, fontsize=SMALL_PT + 0.8, family=FONT,
            color=palette.muted, parse_math=False,
        )  # fmt: skip
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=options.dpi, metadata={"Software": "geoloc"})
    return stream.getvalue()


def _panel(
    figure: "Figure", palette: Palette, size: tuple[int, int], box: tuple[float, float, float, float], title: str
) -> "Axes":
    """Axes in pixels, v down, at left, bottom, width, height inches."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes(_share((width, height), box), facecolor=palette.ground, label=title)
    axes.set_xlim(-0.5, size[0] - 0.5)
    axes.set_ylim(size[1] - 0.5, -0.5)
    _dress(axes, palette, title)
    return axes


def _dress(axes: "Axes", palette: Palette, title: str) -> None:
    axes.tick_params(length=0, pad=3, labelsize=SMALL_PT, labelcolor=palette.muted, labelfontfamily=FONT)
    for spine in axes.spines.values():
        spine.set_color(palette.edge)
        spine.set_linewidth(0.8)
    axes.set_title(title, loc="left", fontsize=PANEL_PT, color=palette.ink, weight="bold", family=FONT, pad=6)


def _paint_cover(axes: "Axes", palette: Palette, fit: IntrinsicsFit) -> None:
    from matplotlib.patches import Polygon
    from scipy.spatial import ConvexHull

    grid, sigma = lens_sigma(fit.lens, fit.cov, fit.size)
    levels = [0.0, *SIGMA_PX, np.inf]
    top = np.where(np.isfinite(sigma), np.minimum(sigma, 1e3), 1e3)  # where the lens folds over, it says nothing
    axes.contourf(grid[..., 0], grid[..., 1], top, levels=[*levels[:-1], 1e4], colors=palette.heat, alpha=0.6)
    for i, view in enumerate(fit.views):
        pixel = fit.corners.pixel[fit.used & (fit.corners.view == view)]
        colour = palette.track(i)
        outline = pixel[ConvexHull(pixel).vertices]
        axes.add_patch(Polygon(outline, facecolor=palette.ground, edgecolor="none", alpha=0.18))
        axes.add_patch(Polygon(outline, facecolor="none", edgecolor=colour, linewidth=1.1))
        axes.plot(*pixel.T, ".", color=colour, markersize=2.6, markeredgewidth=0)


def _paint_scale(axes: "Axes", palette: Palette) -> None:
    """The colours with the sigmas at which they change."""
    axes.set_axis_off()
    axes.set_xlim(0, len(palette.heat) + 3)
    axes.bar(np.arange(len(palette.heat)) + 0.5, 1.0, width=1.0, color=palette.heat, alpha=0.6)
    said = [(float(i), -0.5, f"{sigma:g}", "center", "top") for i, sigma in enumerate(SIGMA_PX, 1)]
    said.append((len(palette.heat) + 0.2, 0.5, "px, worst direction", "left", "center"))
    for x, y, words, across, up in said:
        axes.text(x, y, words, ha=across, va=up, fontsize=SMALL_PT, color=palette.muted, family=FONT)


def _paint_residuals(axes: "Axes", palette: Palette, fit: IntrinsicsFit) -> None:
    known = np.isfinite(fit.residual[:, 0])
    pixel, residual = fit.corners.pixel, fit.residual
    length = float(np.quantile(np.linalg.norm(residual[fit.used], axis=1), 0.95))
    times = nice_step(ARROW_SHARE * max(fit.size) / max(length, 1e-6))
    order = {view: i for i, view in enumerate(fit.views)}
    colours = np.array([palette.track(order.get(view, 0)) for view in fit.corners.view.tolist()])
    rows = fit.used
    axes.quiver(
        *pixel[rows].T, *(times * residual[rows]).T, color=colours[rows], angles="xy", scale_units="xy", scale=1.0,
        width=1.1, units="dots", headwidth=4, headlength=4, headaxislength=4,
    )  # fmt: skip
    wrong = known & ~fit.used
    axes.plot(*pixel[wrong].T, "x", color=palette.accent, markersize=6, markeredgewidth=1.4)
    said = f"drawn {times:g} times as long"
    said += f"; × {counted(int(wrong.sum()), 'corner')} left out" if wrong.any() else ""
    axes.set_title(said, loc="right", fontsize=SMALL_PT + 0.5, color=palette.muted, family=FONT, pad=6)


def _paint_bars(axes: "Axes", palette: Palette, fit: IntrinsicsFit) -> None:
    _dress(axes, palette, "rms of each picture, px")
    rms = fit.view_rms_px
    colours = [palette.track(i) for i in range(len(rms))]
    axes.bar(np.arange(len(rms)), list(rms.values()), width=0.62, color=colours)
    axes.axhline(fit.rms_px, color=palette.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlim(-0.6, len(rms) - 0.4)
    names = [one_line(view, max(8, 130 // len(rms))) for view in rms] if len(rms) <= MOST_NAMES else [""] * len(rms)
    axes.set_xticks(np.arange(len(rms)), names)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)


def _summary(fit: IntrinsicsFit) -> str:
    f, sigma = fit.lens.params[0], fit.sigma["fx"]
    parts = [f"{fit.size[0]} × {fit.size[1]} px", fit.lens.model.replace("_", "-"), counted(len(fit.views), "picture")]
    parts += [counted(int(fit.used.sum()), "corner"), f"rms {fit.rms_px:.3f} px", f"f {f:.1f} ± {sigma:.1f} px"]
    return "  ·  ".join(parts)


def _foot(fit: IntrinsicsFit, width_in: float) -> list[str]:
    """What is to be said in words, a line each, wrapped."""
    said = [f"left out: {refused.view}: {refused.reason}" for refused in fit.refused]
    lines = [textwrap.wrap(one_line(text, 1000), int(width_in * 16)) for text in (*fit.notes, *said)]
    return [line for wrapped in lines for line in wrapped][:12]


def _share(sheet: tuple[float, float], box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, bottom, wide, tall = box
    return left / sheet[0], bottom / sheet[1], wide / sheet[0], tall / sheet[1]
