"""One panel of a plan view: a matplotlib Axes in metres, with what its painters need. Loaded only to draw."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.lines import Line2D
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke
from shapely import Geometry

from geoloc.draw.extent import Box
from geoloc.draw.style import FONT, HALO_PT, Palette
from geoloc.draw.words import one_line

MOVING, OTHERS, CAMERAS, MAP = range(4)  # groups of the legend, in its order

Colour = str | tuple[str, float]  # #rrggbb, or that and an opacity


@dataclass(frozen=True)
class Dot:
    """A marker: matplotlib's sign for its shape, its size across, colours, and width of its edge (pt)."""

    shape: str
    size_pt: float
    face: str
    edge: str
    width_pt: float

    def line(self, xy: np.ndarray, z: float = 0.0) -> Line2D:
        """The marker at each point (N, 2) m; with no points, an entry for a legend."""
        x, y = np.reshape(xy, (-1, 2)).T
        return Line2D(
            x, y, linestyle="none", marker=self.shape, markersize=self.size_pt, markerfacecolor=self.face,
            markeredgecolor=self.edge, markeredgewidth=self.width_pt, zorder=z,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Panel:
    """Axes of one level, the box that it shows (m), its scale, and the legend's entries met so far."""

    axes: Axes
    level: str
    box: Box
    pt_per_m: float
    palette: Palette
    legend: dict[str, tuple[int, Artist]] = field(default_factory=dict)

    @property
    def size_pt(self) -> np.ndarray:
        """Width and height (2,) pt."""
        return (self.box[2:] - self.box[:2]) * self.pt_per_m

    def to_pt(self, xy: np.ndarray) -> np.ndarray:
        """Points (N, 2) m as pt from the lower left corner."""
        return (np.asarray(xy, float).reshape(-1, 2) - self.box[:2]) * self.pt_per_m

    def to_m(self, pt: np.ndarray) -> np.ndarray:
        """Inverse of `to_pt`."""
        return np.asarray(pt, float).reshape(-1, 2) / self.pt_per_m + self.box[:2]

    def shows(self, xy: np.ndarray) -> np.ndarray:
        """Which points (N, 2) m lie in the panel: (N,) bool; NaN does not."""
        return np.asarray(((xy >= self.box[:2]) & (xy <= self.box[2:])).all(axis=-1))

    def explain(self, group: int, name: str, handle: Artist) -> None:
        """An entry of the legend; the same name twice is one entry."""
        self.legend[name] = (group, handle)

    def areas(
        self, areas: Sequence[Geometry], face: Colour, z: float, edge: Colour = "none", width_pt: float = 0.0
    ) -> None:
        """Fill polygons and multipolygons, holes left out; `z` says what lies over what."""
        outlines = [_outline(area) for area in areas if not area.is_empty]
        filled = PathCollection(outlines, facecolors=[face], edgecolors=[edge], linewidths=[width_pt], zorder=z)
        self.axes.add_collection(filled, autolim=False)

    def lines(
        self,
        lines: Sequence[np.ndarray],
        colours: Sequence[str],
        width_pt: float,
        z: float,
        dashed: bool = False,
    ) -> None:
        """Stroke polylines (each (K, 2) m) with one colour a line, or one for all."""
        style = (0, (3.5, 2.5)) if dashed else "solid"
        strokes = LineCollection(
            lines, colors=list(colours), linewidths=width_pt, linestyles=style, capstyle="round", zorder=z
        )
        self.axes.add_collection(strokes, autolim=False)

    def dots(self, xy: np.ndarray, dot: Dot, z: float) -> None:
        """One marker at each point (N, 2) m."""
        self.axes.add_artist(dot.line(xy, z))

    def text(self, xy: np.ndarray, words: str, size_pt: float, colour: str, z: float, bold: bool = False) -> None:
        """Words in one line, centred on a point (2,) m, with a halo that keeps them legible on lines."""
        text = self.axes.text(
            float(xy[0]), float(xy[1]), one_line(words), fontsize=size_pt, color=colour, family=FONT,
            weight="bold" if bold else "normal", ha="center", va="center", clip_on=True, parse_math=False,
            zorder=z,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=HALO_PT, foreground=self.palette.ground, alpha=0.85)])


def _outline(area: Geometry) -> Outline:
    """A (multi)polygon as one path; holes wind the other way round once oriented."""
    rings = []
    for part in shapely.get_parts(area):
        if part.geom_type == "Polygon":
            oriented = shapely.orient_polygons(part)
            rings += [oriented.exterior, *oriented.interiors]
    outlines = [Outline(shapely.get_coordinates(ring), closed=True) for ring in rings]
    return Outline.make_compound_path(*outlines)
