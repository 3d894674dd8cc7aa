"""One camera's still as PNG: map lines, marks with their residuals, what to mark next."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.calibrate.marks_left_out import MarkChecks
from geoloc.calibrate.report import CalibrationReport, CameraQuality
from geoloc.draw.ground_bands import gain_text
from geoloc.draw.labels import place_labels
from geoloc.draw.still_lines import still_lines
from geoloc.draw.still_svg import FONT, LONGEST_ARROW, NAME, NEXT_FONT, PHOTO, WIDTH, arrow_scale, image_size, mark_kind
from geoloc.draw.style import FONT as FACE
from geoloc.draw.svg import plain
from geoloc.draw.words import one_line
from geoloc.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES = 9.6  # width of the picture
PT = 72 * INCHES / WIDTH  # of one of the drawing's own pixels
KINDS = {"grid": "level", "level": "level", "zone": "zone", "wall": "wall", "stall": "stall"}  # which colour


def draw_still(
    report: CalibrationReport, camera: str, path: str | Path, still: np.ndarray | None = None, dpi: float = 150.0
) -> Path:
    """Write a PNG of what the report says of one camera, over its still (H, W, 3) uint8 BGR or over black."""
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    quality = report.camera(camera)
    size = image_size(report, camera, still)
    scale = WIDTH / size[0]
    height = size[1] * scale
    figure = Figure(figsize=(INCHES, INCHES * height / WIDTH), facecolor="#14181d")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    if still is not None:
        axes.imshow(still[..., ::-1], extent=(0, WIDTH, height, 0), aspect="auto", interpolation="antialiased")
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    _paint_lines(axes, report, camera, scale)
    times = arrow_scale(report.marks, camera, scale)
    _paint_marks(axes, report.marks, camera, scale, times)
    _paint_names(axes, report.marks, quality, scale, height)
    if quality.n_used:
        words = f"{camera}  ·  residuals drawn {plain(times)} times as long"
    else:
        words = f"{camera}  ·  {quality.state}"
    _write(axes, 14.0, height - 16, one_line(words, 90), FONT, PHOTO["word"], "left")
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": "geoloc"})
    write_whole(path, stream.getvalue())
    return Path(path)


def _paint_lines(axes: "Axes", report: CalibrationReport, camera: str, scale: float) -> None:
    from matplotlib.collections import LineCollection

    if camera not in report.site.camera_index:
        return
    lines = still_lines(report.site.camera(camera), report.site.site_map)
    strokes = [(line.pixels + 0.5) * scale for line in lines]
    axes.add_collection(LineCollection(strokes, colors="#00000059", linewidths=2.2), autolim=False)
    colours = [PHOTO[f"{KINDS[line.kind]}-line"] for line in lines]
    axes.add_collection(LineCollection(strokes, colors=colours, linewidths=1.0), autolim=False)


def _paint_marks(axes: "Axes", marks: MarkChecks, camera: str, scale: float, times: float) -> None:
    """Marks as rings, residuals as arrows; an outlier has a dashed line to where it should be."""
    for row in marks.of(camera).tolist():
        kind, at = mark_kind(marks, row), (marks.marks.pixel[row] + 0.5) * scale
        colour = PHOTO["bad" if kind in ("suspicious", "outlier") else "good"]
        axes.plot(*at, "o", markersize=8, markerfacecolor=PHOTO["fill"], markeredgecolor=colour, markeredgewidth=1.2)
        axes.plot(*at, "+", markersize=5, color=colour, markeredgewidth=0.9)
        residual = marks.residual[row] * scale
        if not np.isfinite(residual).all():
            continue
        if kind == "outlier":
            axes.plot(*np.stack([at, at - residual]).T, "--", color=colour, linewidth=1.2)
            continue
        step = residual * times
        tip = at + step * min(1.0, LONGEST_ARROW / max(float(np.linalg.norm(step)), 1e-9))
        arrow = {"arrowstyle": "->", "color": colour, "linewidth": 1.5, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", xy=tuple(tip), xytext=tuple(at), arrowprops=arrow)


def _paint_names(
    axes: "Axes", marks: MarkChecks, quality: CameraQuality, scale: float, height: float
) -> None:
    """Rings around what to mark next, then names where they have room."""
    rows, best = marks.of(quality.name), quality.next_marks[:1]
    for mark, size in zip(quality.next_marks, (24, 15), strict=False):
        spot = (np.array(mark.pixel) + 0.5) * scale
        axes.plot(*spot, "o", markersize=size, markerfacecolor="none", markeredgecolor=PHOTO["goal"], markeredgewidth=2)
    names = [f"next: {one_line(mark.point or 'new point', NAME)}, {gain_text(mark)}" for mark in best]
    names += [one_line(name, NAME) for name in marks.marks.point[rows].tolist()]
    pixels = np.concatenate([np.array([mark.pixel for mark in best]).reshape(-1, 2), marks.marks.pixel[rows]])
    fonts = np.array([NEXT_FONT] * len(best) + [FONT] * len(rows))
    placed = place_labels((pixels + 0.5) * scale, names, fonts, np.array([WIDTH, height]))
    for i in np.flatnonzero(placed.shown).tolist():
        x, y = placed.centre[i].tolist()
        _write(axes, x, y, names[i], float(fonts[i]), PHOTO["goal" if i < len(best) else "word"], "center")


def _write(axes: "Axes", x: float, y: float, words: str, size: float, colour: str, side: str) -> None:
    from matplotlib.patheffects import withStroke

    text = axes.text(
        x, y, words, fontsize=size * PT, color=colour, family=FACE, ha=side, va="center", parse_math=False, clip_on=True
    )
    text.set_path_effects([withStroke(linewidth=2.4, foreground=PHOTO["halo"], alpha=0.75)])
