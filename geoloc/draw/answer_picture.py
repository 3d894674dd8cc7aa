"""The answer of a search as one picture: what was asked for, what it may be and how probably, and where that is."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.draw.extent import choose_extent
from geoloc.draw.style import FONT, LABEL_PT, LIGHT, PANEL_PT, SMALL_PT, SUBTITLE_PT, TITLE_PT, Palette
from geoloc.draw.words import one_line, time_text
from geoloc.files import write_whole
from geoloc.retrieval.matches import Match, Matches
from geoloc.scene.site import Site

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Way = tuple[str, np.ndarray]  # a level, and points (K, 2) m on it
Crop = np.ndarray | None

WIDTH, SIDE, HEAD, CARD, CARD_HEIGHT, GAP, MAP_TOP, FOOT = 12.0, 0.42, 0.95, 1.75, 2.65, 0.16, 0.55, 0.35  # inches
MAP_HEIGHT = 4.6
SHOWN = 5  # matches


def draw_answer(
    site: Site,
    matches: Matches,
    path: str | Path,
    asked: Sequence[np.ndarray] = (),
    views: Sequence[Crop] = (),
    ways: Sequence[Way] = (),
    title: str = "",
    dpi: float = 150.0,
) -> Path:
    """Write a PNG of a search's answer; returns its path.

    `asked` are the pictures (H, W, 3) uint8 BGR that were searched for, `views` those of the matches in their order
    (None: not kept), and `ways` where the likeliest has been. The map shows where the matches were seen.
    """
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    palette, shown = LIGHT, tuple(matches)[:SHOWN]
    levels = _levels(site, shown, ways)
    height = HEAD + CARD_HEIGHT + (MAP_TOP + MAP_HEIGHT if levels else 0.0) + FOOT
    figure = Figure(figsize=(WIDTH, height), facecolor=palette.paper)
    FigureCanvasAgg(figure)
    _words(figure, SIDE, 0.42, title or f"{site.name}: which object is it?", TITLE_PT, palette.ink, bold=True)
    _words(figure, SIDE, 0.70, _summary(matches), SUBTITLE_PT, palette.muted)
    _query(figure, palette, asked)
    for rank, match in enumerate(shown):
        _card(figure, palette, rank, match, views[rank] if rank < len(views) else None)
    _none(figure, palette, len(shown), matches)
    for number, level in enumerate(levels):
        _map(figure, palette, site, level, (number, len(levels)), shown, ways)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": "geoloc"})
    write_whole(path, stream.getvalue())
    return Path(path)


def _levels(site: Site, shown: Sequence[Match], ways: Sequence[Way]) -> list[str]:
    """The levels with something to show, in the map's order."""
    placed = {match.level for match in shown if np.isfinite(match.xy).all()} | {level for level, _ in ways}
    return [level for level in site.site_map.level_index if level in placed][:2]


def _summary(matches: Matches) -> str:
    best = matches.best
    if best is None:
        return f"none of the {matches.n_objects:,} objects searched, most likely"
    return f"{best.name}, {best.probability:.0%} likely, of {matches.n_objects:,} objects searched"


def _query(figure: "Figure", palette: Palette, asked: Sequence[np.ndarray]) -> None:
    axes = _cell(figure, 0)
    _picture(axes, palette, asked[0] if len(asked) else None, palette.ink)
    more = f"and {len(asked) - 1} more views" if len(asked) > 1 else ""
    _words(figure, SIDE, HEAD + CARD + 0.22, "asked for", PANEL_PT, palette.ink, bold=True)
    _words(figure, SIDE, HEAD + CARD + 0.42, more, SMALL_PT, palette.muted)


def _card(figure: "Figure", palette: Palette, rank: int, match: Match, crop: Crop) -> None:
    """A match: its most alike view, who it is, and its probability as a bar."""
    colour, left, top = palette.track(rank), _left(rank + 1), HEAD + CARD
    _picture(_cell(figure, rank + 1), palette, crop, colour)
    _words(figure, left, top + 0.22, match.name, PANEL_PT, palette.ink, bold=True)
    seen = " ".join(word for word in (match.color, match.label) if word)
    where = f"by {match.camera}" if match.camera else ""
    _words(figure, left, top + 0.40, ", ".join(word for word in (seen, where) if word), SMALL_PT, palette.muted)
    when = time_text(match.time, with_date=True) if np.isfinite(match.time) else ""
    _words(figure, left, top + 0.55, when, SMALL_PT, palette.muted)
    _bar(figure, palette, left, match.probability, colour)


def _none(figure: "Figure", palette: Palette, n: int, matches: Matches) -> None:
    left, top = _left(n + 1), HEAD + CARD
    axes = _cell(figure, n + 1)
    _picture(axes, palette, None, palette.muted)
    axes.plot([0.3, 0.7], [0.3, 0.7], color=palette.muted, linewidth=2)
    axes.plot([0.3, 0.7], [0.7, 0.3], color=palette.muted, linewidth=2)
    _words(figure, left, top + 0.22, "not here", PANEL_PT, palette.ink, bold=True)
    if matches.unlisted >= 0.005:
        _words(figure, left, top + 0.40, f"{matches.unlisted:.0%}: another one here", SMALL_PT, palette.muted)
    _bar(figure, palette, left, matches.not_here, palette.muted)


def _left(column: int) -> float:
    """Left edge of a card (inches)."""
    room = (WIDTH - 2 * SIDE - CARD) / (SHOWN + 1)
    return SIDE if column == 0 else SIDE + CARD * 0.15 + column * (room + GAP / 8)


def _cell(figure: "Figure", column: int) -> "Axes":
    height = figure.get_figheight()
    side = CARD if column == 0 else (WIDTH - 2 * SIDE - CARD) / (SHOWN + 1) - GAP
    bottom = height - HEAD - CARD
    axes = figure.add_axes((_left(column) / WIDTH, bottom / height, side / WIDTH, CARD / height))
    axes.set_xticks([])
    axes.set_yticks([])
    return axes


def _picture(axes: "Axes", palette: Palette, crop: Crop, edge: str) -> None:
    axes.set_facecolor(palette.outside)
    for spine in axes.spines.values():
        spine.set_color(edge)
        spine.set_linewidth(1.6)
    if crop is None:
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        return
    box = axes.get_window_extent()
    tall, wide = crop.shape[:2]
    scale = min(box.width / wide, box.height / tall)
    x, y = wide * scale / box.width / 2, tall * scale / box.height / 2
    extent = (0.5 - x, 0.5 + x, 0.5 - y, 0.5 + y)
    axes.imshow(crop[..., ::-1], extent=extent, aspect="auto", interpolation="antialiased")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)


def _bar(figure: "Figure", palette: Palette, left: float, share: float, colour: str) -> None:
    from matplotlib.patches import Rectangle

    width = (WIDTH - 2 * SIDE - CARD) / (SHOWN + 1) - GAP
    low = figure.get_figheight() - HEAD - CARD - 0.78
    for length, face in ((width, palette.grid), (width * share, colour)):
        figure.add_artist(Rectangle((left, low), length, 0.09, facecolor=face, transform=figure.dpi_scale_trans))
    _words(figure, left, HEAD + CARD + 0.95, f"{share:.1%}", LABEL_PT, palette.ink)


def _map(
    figure: "Figure",
    palette: Palette,
    site: Site,
    level: str,
    place: tuple[int, int],
    shown: Sequence[Match],
    ways: Sequence[Way],
) -> None:
    """Where the matches were seen on one level, sharply or not, and where the likeliest has been."""
    from geoloc.draw.furniture import dress
    from geoloc.draw.paint_map import paint_cameras, paint_map
    from geoloc.draw.panel import Panel

    number, count = place
    box = choose_extent(site, (), np.array([match.xy for match in shown if np.isfinite(match.xy).all()]).reshape(-1, 2))
    room = (WIDTH - 2 * SIDE - (count - 1) * 0.4) / count
    scale = min(room / (box[2] - box[0]), MAP_HEIGHT / (box[3] - box[1]))
    size, height = (box[2:] - box[:2]) * scale, figure.get_figheight()
    left = SIDE + number * (room + 0.4) + (room - size[0]) / 2
    axes = figure.add_axes((left / WIDTH, FOOT / height, size[0] / WIDTH, size[1] / height), facecolor=palette.outside)
    axes.set_xlim(box[0], box[2])
    axes.set_ylim(box[1], box[3])
    panel = Panel(axes, level, box, 72 * scale, palette)
    paint_map(panel, site.site_map)
    paint_cameras(panel, list(site.cameras))
    for _, way in (each for each in ways if each[0] == level):
        panel.lines([way], [palette.track(0)], 1.6, 6.0, dashed=True)
    for rank, match in reversed(list(enumerate(shown))):
        if match.level == level and np.isfinite(match.xy).all():
            xy = np.array(match.xy)
            axes.plot(*xy, "o", markersize=9 + 12 * match.probability, color=palette.track(rank), alpha=0.85, zorder=8)
            above = xy + np.array([0.0, 12.0 / panel.pt_per_m])
            panel.text(above, match.name, LABEL_PT, palette.ink, 9.0, bold=rank == 0)
    dress(panel, level, "where they were seen")


def _words(
    figure: "Figure", x: float, down: float, words: str, size_pt: float, colour: str, bold: bool = False
) -> None:
    """Words at inches from the upper left corner."""
    figure.text(
        x / WIDTH, 1.0 - down / figure.get_figheight(), one_line(words, 90), fontsize=size_pt, color=colour,
        family=FONT, weight="bold" if bold else "normal", ha="left", va="baseline", parse_math=False,
    )  # fmt: skip
