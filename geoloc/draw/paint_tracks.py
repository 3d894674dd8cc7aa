"""What moves in a plan view: paths that fade with age, error ellipses, ids; and points of other sources."""

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import EllipseCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Ellipse

from geoloc.draw.labels import place_labels
from geoloc.draw.layers import Markers, TrackPath
from geoloc.draw.panel import MOVING, OTHERS, Dot, Panel
from geoloc.draw.style import ELLIPSE_ALPHA, ELLIPSE_PT, FADED, LABEL_PT, PATH_PT, SMALL_PT, blend
from geoloc.draw.words import one_line
from geoloc.geometry.gaussian import ellipse
from geoloc.scene.tables import Tracks

SHORTEST_STEP_PT = 1.0  # path points nearer to each other than this are drawn as one
ELLIPSE_EVERY_PT = 75.0  # along a path, and at least three ellipses' lengths apart
LEADER_PT = 18.0  # a name farther than this from its point is joined to it by a line
SHADES = 40  # of a fading path
MARKER_SHAPES = ("x", "+", "D", "v")


def paint_paths(panel: Panel, tracks: Tracks, paths: Sequence[TrackPath]) -> None:
    """Lines, newer over older; the oldest part of each path has faded to the ground's colour."""
    steps, colours, times = [], [], []
    for path in paths:
        first, last = tracks.time[path.rows.start], tracks.time[path.rows.stop - 1]
        shades = [_faded(panel, path.track, i / SHADES) for i in range(SHADES + 1)]
        for piece in path.pieces:
            rows = piece.start + _apart(panel.to_pt(tracks.xy[piece]))
            if tracks.level[piece.start] != panel.level or len(rows) < 2:
                continue
            youth = (tracks.time[rows[1:]] - first) / (last - first)
            steps += list(np.stack([tracks.xy[rows[:-1]], tracks.xy[rows[1:]]], axis=1))
            colours += [shades[i] for i in np.rint(SHADES * youth).astype(int)]
            times += tracks.time[rows[1:]].tolist()
    if steps:
        order = np.argsort(times, kind="stable")
        panel.lines([steps[i] for i in order], [colours[i] for i in order], PATH_PT, 4.0)
        line = Line2D([], [], color=panel.palette.tracks[0], linewidth=PATH_PT)
        panel.explain(MOVING, "track, older parts paler", line)


def paint_ends(panel: Panel, tracks: Tracks, paths: Sequence[TrackPath], gap_s: float) -> None:
    """A dot where each track is at the table's last time (within `gap_s`), a ring where it ended before."""
    ground, present = panel.palette.ground, tracks.time.max(initial=-np.inf) - gap_s
    for path in paths:
        last = path.rows.stop - 1
        if tracks.level[last] != panel.level:
            continue
        now = bool(tracks.time[last] >= present)
        panel.dots(tracks.xy[last], _end_sign(panel.palette.track(path.track), ground, now), 5.0)
        example = _end_sign(panel.palette.tracks[0], ground, now)
        panel.explain(MOVING, "last position" if now else "ended earlier", example.line(np.empty(0)))


def paint_ellipses(panel: Panel, tracks: Tracks, paths: Sequence[TrackPath], probability: float) -> None:
    """Ellipses that hold `probability`: at the end of each path, and fainter ones here and there along it."""
    cov = tracks.position_cov
    good = np.isfinite(cov).all(axis=(1, 2)) & (tracks.level == panel.level)
    axes = np.column_stack(ellipse(np.where(good[:, None, None], cov, 0.0), probability))
    for path in paths:
        colour, last = panel.palette.track(path.track), path.rows.stop - 1
        along = [row for piece in path.pieces for row in _every(panel, tracks.xy, axes[:, 0], piece)]
        along = [row for row in along if good[row] and row != last]
        _paint_ellipses(panel, tracks.xy[along], axes[along], colour, 0.5)
        if good[last]:
            _paint_ellipses(panel, tracks.xy[[last]], axes[[last]], colour, 1.0)
    if good.any():
        colour = panel.palette.tracks[0]
        fill = (colour, ELLIPSE_ALPHA)
        patch = Ellipse((0, 0), 1, 1, facecolor=fill, edgecolor=colour, linewidth=ELLIPSE_PT)
        panel.explain(MOVING, f"{100 * probability:g} % error ellipse", patch)


def paint_markers(panel: Panel, markers: Markers) -> None:
    """One shape and colour a series."""
    for i, name in enumerate(np.unique(markers.name).tolist()):
        rows = (markers.name == name) & ((markers.level == panel.level) | (markers.level == ""))
        if rows.any():
            colour = panel.palette.markers[i % len(panel.palette.markers)]
            dot = Dot(MARKER_SHAPES[i % len(MARKER_SHAPES)], 3.6, colour, colour, 0.8)
            panel.dots(markers.xy[rows], dot, 3.8)
            panel.explain(OTHERS, one_line(name, 24) or "points", dot.line(np.empty(0)))


def paint_names(
    panel: Panel, tracks: Tracks, paths: Sequence[TrackPath], cameras: Sequence[tuple[np.ndarray, str]]
) -> None:
    """Ids at the ends of paths and names of cameras, as far as there is room."""
    ends = {path.track: path.rows.stop - 1 for path in paths}
    ends = {k: i for k, i in ends.items() if tracks.level[i] == panel.level and panel.shows(tracks.xy[i])}
    xy = np.array([*(tracks.xy[i] for i in ends.values()), *(spot for spot, _ in cameras)]).reshape(-1, 2)
    texts = [*map(str, ends), *(one_line(name, 24) for _, name in cameras)]
    sizes = np.array([LABEL_PT] * len(ends) + [SMALL_PT] * len(cameras))
    colours = [blend(panel.palette.track(track), panel.palette.ink, 0.8) for track in ends]
    colours += [panel.palette.camera] * len(cameras)
    placed = place_labels(panel.to_pt(xy), texts, sizes, panel.size_pt)
    centres = panel.to_m(placed.centre)
    away = np.linalg.norm(placed.centre - panel.to_pt(xy), axis=1) > LEADER_PT
    leaders = [np.stack([xy[i], centres[i]]) for i in np.flatnonzero(placed.shown & away)]
    panel.lines(leaders, [panel.palette.muted], 0.5, 4.9)
    for i in np.flatnonzero(placed.shown):
        panel.text(centres[i], texts[i], sizes[i], colours[i], 8.0, bold=bool(i < len(ends)))


def _end_sign(colour: str, ground: str, now: bool) -> Dot:
    return Dot("o", 5.0, colour, ground, 0.8) if now else Dot("o", 5.0, ground, colour, 1.2)


def _faded(panel: Panel, track: int, youth: float) -> str:
    return blend(panel.palette.track(track), panel.palette.ground, FADED + (1 - FADED) * youth)


def _paint_ellipses(panel: Panel, xy: np.ndarray, axes: np.ndarray, colour: str, strength: float) -> None:
    width = ELLIPSE_PT * (0.5 + 0.5 * strength)
    ellipses = EllipseCollection(
        2 * axes[:, 0], 2 * axes[:, 1], np.degrees(axes[:, 2]), units="xy", offsets=xy, linewidths=width,
        facecolors=[(colour, ELLIPSE_ALPHA * strength)], edgecolors=[(colour, strength)],
        offset_transform=panel.axes.transData, zorder=3.9 + strength / 2,
    )  # fmt: skip
    panel.axes.add_collection(ellipses, autolim=False)


def _apart(points_pt: np.ndarray) -> np.ndarray:
    """Indices of points that start a new cell of a fine grid, and of both ends."""
    cells = np.floor(points_pt / SHORTEST_STEP_PT)
    keep = np.concatenate([[True], (np.diff(cells, axis=0) != 0).any(axis=1)])
    keep[-1] = True
    return np.flatnonzero(keep)


def _every(panel: Panel, xy: np.ndarray, major: np.ndarray, piece: slice) -> list[int]:
    """Rows along one run of a path, spaced so that their ellipses do not hide it; none where it stands."""
    step = max(ELLIPSE_EVERY_PT / panel.pt_per_m, 6.0 * float(np.median(major[piece])))
    found: list[int] = []
    row = piece.start
    while True:
        far = np.linalg.norm(xy[row : piece.stop] - xy[row], axis=1) >= step
        if not far.any():
            return found
        row += int(far.argmax())
        found.append(row)
