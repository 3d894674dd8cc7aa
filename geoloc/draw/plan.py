"""The plan view: one picture of a site's map, what its cameras see, and where things went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geoloc.draw.extent import Box, choose_extent
from geoloc.draw.layers import (
    Markers,
    TrackPath,
    as_far_as_seen,
    camera_levels,
    drawable,
    drawable_markers,
    track_paths,
)
from geoloc.draw.sheet import MIN_WIDTH, divide
from geoloc.draw.style import DARK, LIGHT, Palette
from geoloc.draw.words import counted, duration_text, time_text
from geoloc.files import write_whole
from geoloc.options import check_range
from geoloc.scene.footprint import Footprint, footprints
from geoloc.scene.site import Site
from geoloc.scene.tables import Tracks

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from geoloc.draw.panel import Panel

STILLS_Z = 1.5  # of the stills: over the ground and its zones, below stalls and walls


@dataclass(frozen=True)
class PlanOptions:
    """How a plan view looks."""

    width_in: float = 12.0  # largest width of the picture, inches
    height_in: float = 8.5  # largest height of the map panels together, inches
    dpi: float = 150.0
    probability: float = 0.95  # that the error ellipses hold
    range_m: float = 80.0  # footprints end here, m from the camera
    gap_s: float = 2.0  # a path breaks where more seconds than this are missing
    footprints: bool = True
    dark: bool = False

    def __post_init__(self) -> None:
        check_range(self, width_in=(MIN_WIDTH, 100), height_in=(2, 100), dpi=(30, 600), range_m=(1, 1e5))
        check_range(self, probability=(0.01, 0.9999), gap_s=(0, np.inf))


@dataclass(frozen=True, eq=False)
class _Scene:
    site: Site
    tracks: Tracks
    paths: tuple[TrackPath, ...]
    markers: Markers
    seen: tuple[Footprint, ...]
    options: PlanOptions
    stills: Mapping[str, np.ndarray] = field(default_factory=dict)
    film: bool = False  # what moves is drawn later

    @property
    def palette(self) -> Palette:
        return DARK if self.options.dark else LIGHT


def draw_plan(
    site: Site,
    tracks: Tracks,
    path: str | Path,
    *,
    markers: Markers | None = None,
    levels: Sequence[str] = (),
    title: str = "",
    options: PlanOptions | None = None,
    stills: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Write a picture of the site's map with `tracks`, cameras and their footprints; returns its path.

    By the path's ending an SVG, for print and drawing programs, or else a PNG of `dpi` of the options.
    A panel a level, `levels` in their order or all; what part of the ground they show is chosen from tracks
    and map. `markers` are points of another source such as GPS fixes. `title` defaults to the site's name. `stills`
    (H, W, 3) uint8 BGR by camera, laid onto the ground, lie below it all.
    """
    kind = "svg" if Path(path).suffix.lower() == ".svg" else "png"
    write_whole(path, render_plan(site, tracks, markers, levels, title, options or PlanOptions(), kind, stills))
    return Path(path)


def render_plan(
    site: Site,
    tracks: Tracks,
    markers: Markers | None,
    levels: Sequence[str],
    title: str,
    options: PlanOptions,
    kind: str = "png",
    stills: Mapping[str, np.ndarray] | None = None,
) -> bytes:
    """As `draw_plan`, but for the file; `kind` is png or svg."""
    scene, names = _scene(site, tracks, markers, levels, options)
    figure, _ = _figure(replace(scene, stills=stills or {}), names, title or site.name)
    return _saved(figure, kind, options.dpi)


@dataclass(frozen=True, eq=False)
class PlanPicture:
    """A plan view without what moves: `image` (H, W, 3) uint8 BGR, and where on it the panels of the levels are."""

    image: np.ndarray
    panels: dict[str, tuple[float, float]]  # pixel of the box's upper left corner
    corner: tuple[float, float]  # m, of the box's upper left
    px_per_m: float

    def to_pixel(self, level: str, xy: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points xy (N, 2) m of a level; far outside where the picture does not show it."""
        u, v = self.panels.get(level, (-1e5, -1e5))
        off = (xy - self.corner) * (self.px_per_m, -self.px_per_m)
        return np.asarray(off + np.array([u, v]))


def render_parts(site: Site, tracks: Tracks, levels: Sequence[str], title: str, options: PlanOptions) -> PlanPicture:
    """The plan view for a film of `tracks`: they choose what part of the ground it shows, and are not drawn."""
    import cv2

    scene, names = _scene(site, tracks, None, levels, options)
    box = _box(scene)
    figure, panels = _figure(replace(scene, tracks=Tracks(), paths=(), film=True), names, title or site.name, box)
    content = np.frombuffer(_saved(figure, "png", options.dpi), np.uint8)
    image = np.asarray(cv2.imdecode(content, cv2.IMREAD_COLOR))
    height, width = image.shape[:2]
    places = {panel.level: panel.axes.get_position() for panel in panels}
    corners = {level: (place.x0 * width, (1 - place.y1) * height) for level, place in places.items()}
    px_per_m = panels[0].axes.get_position().width * width / (box[2] - box[0])
    return PlanPicture(image, corners, (float(box[0]), float(box[3])), float(px_per_m))


def _scene(
    site: Site, tracks: Tracks, markers: Markers | None, levels: Sequence[str], options: PlanOptions
) -> tuple[_Scene, tuple[str, ...]]:
    names = tuple(site.site_map.level(name).name for name in levels) or tuple(site.site_map.level_index)
    tracks = as_far_as_seen(drawable(tracks, site.site_map))
    seen = footprints(site, options.range_m)
    markers = drawable_markers(markers if markers is not None else Markers(), site.site_map)
    return _Scene(site, tracks, track_paths(tracks, options.gap_s), markers, seen, options), names


def _box(scene: _Scene) -> Box:
    return choose_extent(scene.site, scene.seen, scene.tracks.xy if len(scene.tracks) else scene.markers.xy)


def _figure(
    scene: _Scene, levels: tuple[str, ...], title: str, box: Box | None = None
) -> tuple["Figure", list["Panel"]]:
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from geoloc.draw.furniture import header, legend, note, scale_and_north

    box = _box(scene) if box is None else box
    sheet, scale = divide(len(levels), box, (scene.options.width_in, scene.options.height_in))
    figure = Figure(facecolor=scene.palette.paper)
    FigureCanvasAgg(figure)
    panels = [_panel(figure, scene, level, box, 72 * scale) for level in levels]
    _paint(panels, scene)
    entries = _legend_entries(panels)
    sheet = replace(sheet, names=tuple(entries))
    figure.set_size_inches(sheet.width, sheet.height)
    for i, panel in enumerate(panels):
        panel.axes.set_position(sheet.panel(i))
    header(figure, scene.palette, title, _summary(scene))
    letter = "y" if scene.site.site_map.datum is None else "N"
    scale_and_north(figure, scene.palette, scale, letter, sheet.right)
    legend(figure, scene.palette, entries, sheet)
    note(figure, scene.palette, _origin_text(scene.site))
    return figure, panels


def _saved(figure: "Figure", kind: str, dpi: float) -> bytes:
    from matplotlib import rc_context

    stream = BytesIO()
    about = {"Software": "geoloc"} if kind == "png" else {"Creator": "geoloc", "Date": None}
    with rc_context({"svg.hashsalt": "geoloc"}):  # the same input gives the same file
        figure.savefig(stream, format=kind, dpi=dpi, metadata=about)
    return stream.getvalue()


def _panel(figure: "Figure", scene: _Scene, level: str, box: Box, pt_per_m: float) -> "Panel":
    from geoloc.draw.panel import Panel

    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0), facecolor=scene.palette.outside, label=level)
    axes.set_xlim(box[0], box[2])
    axes.set_ylim(box[1], box[3])
    return Panel(axes, level, box, pt_per_m, scene.palette)


def _paint(panels: Sequence["Panel"], scene: _Scene) -> None:
    from geoloc.draw.furniture import dress
    from geoloc.draw.paint_map import paint_cameras, paint_footprints, paint_map
    from geoloc.draw.paint_tracks import paint_ellipses, paint_ends, paint_markers, paint_names, paint_paths

    tracks, gap_s, probability = scene.tracks, scene.options.gap_s, scene.options.probability
    shown_on = camera_levels(scene.site, scene.seen)
    for panel in panels:
        paint_map(panel, scene.site.site_map)
        if scene.stills:
            _paint_stills(panel, scene)
        paint_footprints(panel, scene.seen if scene.options.footprints and not scene.stills else ())
        cameras = paint_cameras(panel, [c for c in scene.site.cameras if panel.level in shown_on[c.name]])
        paint_markers(panel, scene.markers)
        paint_paths(panel, tracks, scene.paths)
        paint_ellipses(panel, tracks, scene.paths, probability)
        paint_ends(panel, tracks, scene.paths, gap_s)
        paint_names(panel, tracks, scene.paths, cameras)
        n = len(np.unique(tracks.track[tracks.level == panel.level]))
        several = len(panels) > 1
        dress(panel, panel.level if several else "", counted(n, "track") if several and not scene.film else "")


def _paint_stills(panel: "Panel", scene: _Scene) -> None:
    """The stills over the ground of a level, below everything that is drawn."""
    from geoloc.draw.ground_svg import LAID
    from geoloc.perception.ground_mosaic import mosaic

    laid = mosaic(scene.site, panel.level, scene.stills, LAID)
    x0, y0, x1, y1 = laid.extent
    picture = laid.image[..., [2, 1, 0, 3]]
    panel.axes.imshow(picture, extent=(x0, x1, y0, y1), zorder=STILLS_Z, interpolation="antialiased", aspect="auto")
    panel.axes.set_xlim(panel.box[0], panel.box[2])
    panel.axes.set_ylim(panel.box[1], panel.box[3])


def _legend_entries(panels: Sequence["Panel"]) -> dict[str, "Artist"]:
    """Names and signs of all panels: what moves, points of other sources, cameras, the map."""
    entries = {name: entry for panel in panels for name, entry in panel.legend.items()}
    ordered = sorted(entries.items(), key=lambda item: item[1][0])
    return {name: handle for name, (_, handle) in ordered}


def _summary(scene: _Scene) -> str:
    parts = [counted(len(scene.paths), "track")] if scene.paths or not scene.film else []
    parts += [counted(len(scene.site.cameras), "camera")]
    if len(scene.tracks):
        first, last = float(scene.tracks.time.min()), float(scene.tracks.time.max())
        parts += [duration_text(last - first)] if last > first else []
        parts += [f"from {time_text(first, with_date=True)}"]
    return "  ·  ".join(parts)


def _origin_text(site: Site) -> str:
    datum = site.site_map.datum
    if datum is None:
        return "metres in the site's own axes (it has no datum)"
    return f"metres east and north of {datum.lat_deg:.6f}°, {datum.lon_deg:.6f}°"
