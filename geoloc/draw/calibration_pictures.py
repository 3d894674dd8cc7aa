"""Pictures of a calibration as PNG: ground sigma, coverage and mosaic of every level, and one camera's still."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.calibrate.ground_cells import LevelGround
from geoloc.calibrate.report import CalibrationReport
from geoloc.draw.ground_bands import N_BANDS, band_edges, band_labels, bands, length_text, region
from geoloc.draw.ground_svg import LAID, MOST_COUNT, cameras_by_level, shown_ground
from geoloc.draw.sheet import divide
from geoloc.draw.style import DARK, LIGHT, Palette, blend
from geoloc.draw.words import counted
from geoloc.files import write_whole
from geoloc.options import check_range
from geoloc.perception.ground_mosaic import mosaic

if TYPE_CHECKING:
    from matplotlib.path import Path as Outline

    from geoloc.draw.panel import Panel

LABEL_PT = 7.5
APART_PT = 60.0  # between labels of bands
COUNT_SHARES = (0.18, 0.4, 0.64, 0.88)  # of the accent, for one camera, two, three, and more

Paint = Callable[["Panel", LevelGround], str]  # draws a level below its lines, and says what it shows


@dataclass(frozen=True)
class PictureOptions:
    """How pictures of a calibration look."""

    width_in: float = 12.0  # largest width of the picture, inches
    height_in: float = 8.5  # largest height of the map panels together, inches
    dpi: float = 150.0
    dark: bool = False

    def __post_init__(self) -> None:
        check_range(self, width_in=(4, 100), height_in=(2, 100), dpi=(30, 600))

    @property
    def palette(self) -> Palette:
        """Its colours."""
        return DARK if self.dark else LIGHT


def draw_ground_sigma(report: CalibrationReport, path: str | Path, options: PictureOptions | None = None) -> Path:
    """Write a PNG of how sharply the ground is known, a panel a level, edges of bands labelled."""
    edges = band_edges(report.grounds)

    def paint(panel: "Panel", ground: LevelGround) -> str:
        from matplotlib.patches import Patch, PathPatch

        seen = PathPatch(_outline(region(ground, np.isfinite(ground.sigma))), transform=panel.axes.transData)
        seen.set_visible(False)
        panel.axes.add_patch(seen)
        names = ["below " + length_text(edges[0]), *(f"up to {length_text(edge)}" for edge in edges[1:]), "more"]
        for i, rings in enumerate(bands(ground, edges)):
            colour = panel.palette.heat[i]
            if rings:
                band = PathPatch(_outline(rings), facecolor=colour, edgecolor="none", zorder=1.0)
                panel.axes.add_patch(band)
                band.set_clip_path(seen)
            panel.explain(i - N_BANDS, names[i], Patch(facecolor=colour))
        for spot, label in band_labels(ground, edges, APART_PT / panel.pt_per_m):
            panel.text(spot, label, LABEL_PT, panel.palette.ink, 7.0, bold=True)
        known = ground.sigma[np.isfinite(ground.sigma)]
        return f"median {length_text(float(np.median(known)))}" if len(known) else "no error stated"

    return _draw(report, path, "ground sigma", paint, options or PictureOptions())


def draw_coverage(report: CalibrationReport, path: str | Path, options: PictureOptions | None = None) -> Path:
    """Write a PNG of how many cameras see each place, a panel a level, blind stalls hatched."""

    def paint(panel: "Panel", ground: LevelGround) -> str:
        from matplotlib.patches import Patch, PathPatch

        palette = panel.palette
        for n, share in enumerate(COUNT_SHARES, 1):
            colour = blend(palette.accent, palette.ground, share)
            rings = region(ground, ground.count >= n)
            if rings:
                panel.axes.add_patch(PathPatch(_outline(rings), facecolor=colour, edgecolor="none", zorder=1.0))
            name = counted(n, "camera") if n < MOST_COUNT else f"{n} cameras or more"
            panel.explain(n - N_BANDS, name, Patch(facecolor=colour))
        blind = {stall.name for stall in ground.stalls if stall.blind}
        for stall in report.site.site_map.stalls:
            if stall.level == ground.name and stall.name in blind:
                outline = _outline([np.asarray(stall.polygon.exterior.coords)])
                edge = palette.heat[5]
                panel.axes.add_patch(PathPatch(outline, zorder=5.0, facecolor="none", edgecolor=edge, hatch="////"))
                sign = Patch(facecolor="none", edgecolor=edge, hatch="////")
                panel.explain(MOST_COUNT + 1 - N_BANDS, "blind stall", sign)
        return f"{ground.seen_m2:,.0f} m² seen"

    return _draw(report, path, "coverage", paint, options or PictureOptions())


def draw_mosaic(
    report: CalibrationReport,
    stills: Mapping[str, np.ndarray],
    path: str | Path,
    options: PictureOptions | None = None,
) -> Path:
    """Write a PNG of all stills (H, W, 3) uint8 BGR by camera, laid onto the map: a panel a level."""

    def paint(panel: "Panel", ground: LevelGround) -> str:
        laid = mosaic(report.site, ground.name, stills, LAID)
        x0, y0, x1, y1 = laid.extent
        picture = laid.image[..., [2, 1, 0, 3]]
        panel.axes.imshow(picture, extent=(x0, x1, y0, y1), zorder=1.0, interpolation="antialiased", aspect="auto")
        panel.axes.set_xlim(panel.box[0], panel.box[2])
        panel.axes.set_ylim(panel.box[1], panel.box[3])
        return counted(sum(view.camera in stills for view in ground.views), "still")

    return _draw(report, path, "stills on the map", paint, options or PictureOptions())


def _draw(report: CalibrationReport, path: str | Path, what: str, paint: Paint, options: PictureOptions) -> Path:
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.artist import Artist
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from geoloc.draw.furniture import dress, header, legend, scale_and_north
    from geoloc.draw.paint_map import paint_cameras
    from geoloc.draw.panel import Panel

    palette, site = options.palette, report.site
    box = shown_ground(report.grounds, site).box
    sheet, scale = divide(len(report.grounds), box, (options.width_in, options.height_in))
    figure = Figure(facecolor=palette.paper)
    FigureCanvasAgg(figure)
    there = cameras_by_level(report.grounds)
    entries: dict[str, tuple[int, Artist]] = {}
    panels: list[Panel] = []
    for ground in report.grounds:
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), facecolor=palette.outside, label=ground.name)
        axes.set_xlim(box[0], box[2])
        axes.set_ylim(box[1], box[3])
        axes.set_xticks([])
        axes.set_yticks([])
        panel = Panel(axes, ground.name, box, 72 * scale, palette)
        said = paint(panel, ground)
        _paint_plan(panel, report)
        paint_cameras(panel, [site.camera(name) for name in there[ground.name]])
        dress(panel, ground.name if len(report.grounds) > 1 else "", said)
        panels.append(panel)
        entries |= panel.legend
    ordered = {name: handle for name, (_, handle) in sorted(entries.items(), key=lambda item: item[1][0])}
    sheet = replace(sheet, names=tuple(ordered))
    figure.set_size_inches(sheet.width, sheet.height)
    for i, panel in enumerate(panels):
        panel.axes.set_position(sheet.panel(i))
    header(figure, palette, f"{site.name}: {what}", _summary(report))
    scale_and_north(figure, palette, scale, "y" if site.site_map.datum is None else "N", sheet.right)
    legend(figure, palette, ordered, sheet)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=options.dpi, metadata={"Software": "geoloc"})
    write_whole(path, stream.getvalue())
    return Path(path)


def _paint_plan(panel: "Panel", report: CalibrationReport) -> None:
    """The level's outline, stalls, walls and pillars over what is painted."""
    import shapely

    site_map, palette = report.site.site_map, panel.palette
    outline = shapely.union_all([surface.polygon for surface in site_map.level(panel.level).surfaces]).boundary
    stalls = [stall.polygon.boundary for stall in site_map.stalls if stall.level == panel.level]
    standing = [thing.geometry for thing in site_map.occluders if thing.level == panel.level]
    solid = [shape for shape in standing if shape.geom_type.endswith("Polygon")]
    walls = [shape for shape in standing if not shape.geom_type.endswith("Polygon")]
    parts = [list(shapely.get_parts(np.array(shapes, dtype=object))) for shapes in ([outline], stalls, walls)]
    edge, thin, thick = ([shapely.get_coordinates(part) for part in lines] for lines in parts)
    panel.lines(edge, [palette.edge], 1.1, 2.0)
    panel.lines(thin, [blend(palette.ink, palette.ground, 0.45)], 0.6, 2.5)
    panel.areas(solid, palette.pillar, 3.0, palette.wall, 0.6)
    panel.lines(thick, [palette.wall], 1.8, 3.1)


def _outline(rings: Sequence[np.ndarray]) -> "Outline":
    from matplotlib.path import Path as Outline

    return Outline.make_compound_path(*(Outline(ring, closed=True) for ring in rings if len(ring) > 2))


def _summary(report: CalibrationReport) -> str:
    fine = sum(camera.state == "consistent" for camera in report.cameras)
    median, high = length_text(report.ground_sigma(0.5)), length_text(report.ground_sigma(0.9))
    cameras = f"{fine} of {counted(len(report.cameras), 'camera')} consistent"
    return f"{cameras}  ·  ground sigma {median} (median), {high} (90 %)"
