"""The picture of a registered scan: what stands in it beside the map's walls, and how its ground departs."""

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import shapely

from geoloc.calibrate.scan import ScanRegistration
from geoloc.calibrate.scan_map import GroundUpdate, ScannedMap
from geoloc.draw.extent import map_bounds
from geoloc.draw.furniture import header
from geoloc.draw.style import FONT, LIGHT, PANEL_PT, SMALL_PT, Palette
from geoloc.draw.words import counted
from geoloc.files import write_whole
from geoloc.scene.sitemap import Level, SiteMap

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEAD, SIDE, GAP, FOOT, BAR = 12.0, 1.35, 0.5, 0.6, 0.55, 0.75  # inches; BAR: room for the scale of colours
SLAB = (0.5, 2.0)  # m above a level; what of the scan is drawn as standing
Inches = tuple[float, float, float, float]  # left, bottom, width, height
MOST_DOTS = 60_000  # a level
LEAST_RISE = 0.05  # m, at the ends of the scale of colours
RISE_COLOURS = "RdBu_r"


def draw_scan(
    points_world: np.ndarray, site_map: SiteMap, found: ScannedMap, registration: ScanRegistration, title: str,
    path: str | Path,
) -> Path:  # fmt: skip
    """Write a PNG, a row a level, of a registered scan (N, 3) m over the map that it was laid on; returns its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    palette = LIGHT
    levels = site_map.levels
    box = _box(found.site_map)
    wide = (WIDTH - 2 * SIDE - GAP - BAR) / 2
    tall = wide * (box[3] - box[1]) / (box[2] - box[0])
    height = HEAD + len(levels) * (tall + GAP) + FOOT
    figure = Figure(figsize=(WIDTH, height), facecolor=palette.paper)
    FigureCanvasAgg(figure)
    header(figure, palette, title, _summary(registration, found))
    for row, level in enumerate(levels):
        bottom = height - HEAD - row * (tall + GAP) - tall
        shares = [(SIDE + i * (wide + GAP), bottom, wide, tall) for i in (0, 1)]
        stands, ground = (figure.add_axes(_share(share, height), facecolor=palette.ground) for share in shares)
        _paint_standing(stands, palette, points_world, site_map, found, level)
        scale = (SIDE + 2 * wide + GAP + 0.12, bottom, 0.12, tall)
        _paint_ground(figure, ground, palette, found.ground[row], _share(scale, height))
        for axes, said in ((stands, f"{level.name}: what stands"), (ground, f"{level.name}: ground, scan less map")):
            _paint_walls(axes, palette, site_map, level)
            _dress(axes, palette, said, box)
    words = "dots: scan; dark: the map's walls and pillars; red: what the map lacked"
    figure.text(SIDE / WIDTH, 0.25 / height, words, fontsize=SMALL_PT + 0.8, family=FONT, color=palette.muted)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=130, metadata={"Software": "geoloc"})
    write_whole(path, stream.getvalue())
    return Path(path)


def _share(box: Inches, height: float) -> Inches:
    left, bottom, wide, tall = box
    return left / WIDTH, bottom / height, wide / WIDTH, tall / height


def _box(site_map: SiteMap) -> np.ndarray:
    """What the panels show, m: all of the map and a little around it, no flatter than one to four."""
    x0, y0, x1, y1 = map_bounds(site_map)
    margin = 0.03 * max(x1 - x0, y1 - y0)
    narrow = max(0.0, (x1 - x0) / 4 - (y1 - y0)) / 2
    return np.array([x0 - margin, y0 - margin - narrow, x1 + margin, y1 + margin + narrow])


def _summary(registration: ScanRegistration, found: ScannedMap) -> str:
    share = f"{registration.matched:.0%} of it on the map's faces, rms {100 * registration.rms:.1f} cm"
    return f"{share}  ·  {counted(len(found.new), 'thing')} that the map lacked"


def _paint_standing(
    axes: "Axes", palette: Palette, points: np.ndarray, site_map: SiteMap, found: ScannedMap, level: Level
) -> None:
    above = points[:, 2] - level.z_at(points[:, :2])
    with np.errstate(invalid="ignore"):
        rows = np.flatnonzero((above > SLAB[0]) & (above < SLAB[1]))
    rows = rows[:: max(1, len(rows) // MOST_DOTS)]
    axes.plot(*points[rows, :2].T, ".", color=palette.footprint, markersize=1.2, markeredgewidth=0, rasterized=True)
    for thing in found.new:
        if thing.level == level.name:
            xy = shapely.get_coordinates(thing.geometry)
            axes.fill(*xy.T, facecolor=palette.heat[-2], edgecolor=palette.heat[-2], linewidth=1.0, zorder=5)


def _paint_ground(figure: "Figure", axes: "Axes", palette: Palette, update: GroundUpdate, scale: Inches) -> None:
    known = np.isfinite(update.rise)
    if not known.any():
        axes.text(
            0.5, 0.5, "not scanned", transform=axes.transAxes, ha="center", family=FONT, color=palette.muted
        )  # fmt: skip
        return
    most = max(float(np.quantile(np.abs(update.rise[known]), 0.98)), LEAST_RISE)
    x, y = update.xy[known].T
    drawn = axes.scatter(
        x, y, c=100 * update.rise[known], cmap=RISE_COLOURS, vmin=-100 * most, vmax=100 * most, s=9, marker="s",
        linewidths=0, rasterized=True,
    )  # fmt: skip
    bar = figure.colorbar(drawn, cax=figure.add_axes(scale))
    bar.set_label("cm", fontsize=SMALL_PT, family=FONT, color=palette.muted)
    bar.ax.tick_params(labelsize=SMALL_PT, labelcolor=palette.muted, length=0)
    bar.outline.set_visible(False)


def _paint_walls(axes: "Axes", palette: Palette, site_map: SiteMap, level: Level) -> None:
    for thing in site_map.occluders:
        if thing.level != level.name:
            continue
        solid = thing.geometry.geom_type.endswith("Polygon")
        for line in shapely.get_parts(thing.geometry.boundary if solid else thing.geometry):
            axes.plot(*shapely.get_coordinates(line).T, color=palette.wall, linewidth=1.0, zorder=4)


def _dress(axes: "Axes", palette: Palette, title: str, box: np.ndarray) -> None:
    x0, y0, x1, y1 = box
    axes.set_xlim(x0, x1)
    axes.set_ylim(y0, y1)
    axes.tick_params(length=0, pad=3, labelsize=SMALL_PT, labelcolor=palette.muted, labelfontfamily=FONT)
    for spine in axes.spines.values():
        spine.set_color(palette.edge)
    axes.set_title(title, loc="left", fontsize=PANEL_PT, color=palette.ink, weight="bold", family=FONT, pad=6)
