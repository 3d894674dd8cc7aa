"""The map's lines on a moved camera's picture: as it was calibrated, and as it is proposed to be."""

from io import BytesIO
from pathlib import Path

import numpy as np
import shapely

from geoloc.draw.style import LIGHT
from geoloc.files import write_whole
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import Level, SiteMap

INCHES = 9.6
STEP_M = 0.5  # between the points that a line is drawn through
FAR_M = 80.0
BEFORE, AFTER = "#ff5a3c", "#35c8ff"


def draw_moved(before: Camera, after: Camera, site_map: SiteMap, image: np.ndarray, path: str | Path) -> Path:
    """Write a PNG of grey values (H, W) uint8 with the stalls, zones and crosses of the map by both calibrations."""
    # here and not above: `import geoloc` does not load matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    width, height = after.size
    figure = Figure(figsize=(INCHES, INCHES * height / width), facecolor="#14181d")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.imshow(image, cmap="gray", vmin=0, vmax=255, extent=(-0.5, width - 0.5, height - 0.5, -0.5), aspect="auto")
    for camera, colour in ((before, BEFORE), (after, AFTER)):
        pieces = _pieces(camera, site_map)
        axes.add_collection(LineCollection(pieces, colors=colour, linewidths=1.3, alpha=0.9))
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    for row, (words, colour) in enumerate((("as calibrated", BEFORE), ("as proposed", AFTER))):
        box = {"facecolor": LIGHT.ink, "alpha": 0.7, "edgecolor": "none", "pad": 2.5}
        axes.text(0.01, 0.97 - 0.05 * row, words, color=colour, transform=axes.transAxes, va="top", bbox=box)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=130, metadata={"Software": "geoloc"})
    write_whole(path, stream.getvalue())
    return Path(path)


def map_lines(site_map: SiteMap) -> list[np.ndarray]:
    """The map's lines on its ground as rows of points (K, 3) m: outlines of stalls and zones, crosses of controls."""
    lines = []
    for thing in (*site_map.stalls, *site_map.zones):
        level = site_map.level(thing.level)
        ring = shapely.segmentize(thing.polygon.exterior, STEP_M)
        lines.append(_raised(level, shapely.get_coordinates(ring)))
    for point in site_map.control_points:
        x, y, z = point.xyz
        arm = 0.4
        lines.append(np.array([[x - arm, y, z], [x + arm, y, z]]))
        lines.append(np.array([[x, y - arm, z], [x, y + arm, z]]))
    return lines


def _raised(level: Level, xy: np.ndarray) -> np.ndarray:
    return np.column_stack([xy, level.z_extended(xy)])


def _pieces(camera: Camera, site_map: SiteMap) -> list[np.ndarray]:
    """Pairs of pixels (2, 2) that a camera sees of the map's lines, each where both ends are in its image."""
    found = []
    for line in map_lines(site_map):
        near = np.linalg.norm(line - camera.centre_world, axis=1) < FAR_M
        pixels = np.where(near[:, None], camera.project(line), np.nan)
        shown = np.isfinite(pixels).all(axis=1) & camera.inside(np.nan_to_num(pixels, nan=-1e6))
        both = np.flatnonzero(shown[:-1] & shown[1:])
        found += [pixels[i : i + 2] for i in both]
    return found
