"""What frames a plan view: title, scale bar, north arrow, ticks, legend, note."""

from collections.abc import Mapping

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from geoloc.draw.extent import nice_step
from geoloc.draw.panel import Panel
from geoloc.draw.sheet import LEGEND_PT, SIDE, Sheet
from geoloc.draw.style import FONT, PANEL_PT, SMALL_PT, SUBTITLE_PT, TITLE_PT, Palette
from geoloc.draw.words import one_line

LONGEST_BAR = 1.3  # inches
ARROW = ((0.0, 0.25), (0.075, 0.0), (0.0, 0.065), (-0.075, 0.0))  # inches


def header(figure: Figure, palette: Palette, title: str, subtitle: str) -> None:
    """Title and subtitle at the upper left."""
    width, height = figure.get_size_inches()
    room = int((width - 2 * SIDE - LONGEST_BAR - 0.8) * 72 / (0.66 * TITLE_PT))
    _write(figure, SIDE, height - 0.5, one_line(title, room), TITLE_PT, palette.ink, bold=True)
    _write(figure, SIDE, height - 0.75, subtitle, SUBTITLE_PT, palette.muted)


def scale_and_north(figure: Figure, palette: Palette, inches_per_m: float, letter: str, right: float) -> None:
    """A bar of a round length and an arrow along +y; they end `right` inches from the figure's left."""
    transform, x, y = figure.dpi_scale_trans, right - 0.1, figure.get_figheight() - 0.75
    outline = [(x + dx, y + dy) for dx, dy in ARROW]
    figure.add_artist(Polygon(outline, facecolor=palette.ink, edgecolor="none", transform=transform))
    _write(figure, x, y + 0.31, letter, SUBTITLE_PT, palette.ink, bold=True, centred=True)
    length = nice_step(LONGEST_BAR / inches_per_m)
    end, start = x - 0.35, x - 0.35 - length * inches_per_m
    xs, ys = [start, start, end, end], [y + 0.06, y, y, y + 0.06]
    figure.add_artist(Line2D(xs, ys, color=palette.ink, linewidth=1.4, transform=transform))
    _write(figure, (start + end) / 2, y + 0.1, f"{length:g} m", SUBTITLE_PT - 1, palette.ink, centred=True)


def dress(panel: Panel, title: str, note: str) -> None:
    """Quiet ticks in metres, a hairline for a frame; above it the level's name and a note."""
    axes, palette = panel.axes, panel.palette
    axes.tick_params(length=0, pad=3, labelsize=SMALL_PT, labelcolor=palette.muted, labelfontfamily=FONT)
    for spine in axes.spines.values():
        spine.set_color(palette.edge)
        spine.set_linewidth(0.8)
    axes.set_title(
        one_line(title), loc="left", fontsize=PANEL_PT, color=palette.ink, weight="bold", family=FONT, pad=6,
        parse_math=False,
    )  # fmt: skip
    axes.set_title(note, loc="right", fontsize=LEGEND_PT, color=palette.muted, family=FONT, pad=6)


def legend(figure: Figure, palette: Palette, entries: Mapping[str, Artist], sheet: Sheet) -> None:
    """Entries in the order in which they are given, where the sheet wants them."""
    if not entries:
        return
    x, y = sheet.legend_corner
    drawn = figure.legend(
        list(entries.values()), list(entries), loc="upper left", ncols=sheet.legend_columns, frameon=False,
        bbox_to_anchor=(x / sheet.width, 1 - y / sheet.height), borderaxespad=0, borderpad=0,
        columnspacing=1.6, handletextpad=0.7, handlelength=1.6, labelspacing=0.65, labelcolor=palette.ink,
        prop={"family": FONT, "size": LEGEND_PT},
    )  # fmt: skip
    for text in drawn.get_texts():
        text.set_parse_math(False)


def note(figure: Figure, palette: Palette, words: str) -> None:
    """A quiet line at the foot."""
    _write(figure, SIDE, 0.2, words, SMALL_PT + 0.4, palette.muted)


def _write(
    figure: Figure,
    x: float,
    y: float,
    words: str,
    size_pt: float,
    colour: str,
    bold: bool = False,
    centred: bool = False,
) -> None:
    """Words whose baseline starts (or is centred) at x, y inches from the lower left corner."""
    figure.text(
        x, y, words, fontsize=size_pt, color=colour, family=FONT, weight="bold" if bold else "normal",
        ha="center" if centred else "left", transform=figure.dpi_scale_trans, parse_math=False,
    )  # fmt: skip
